//! Names that people give a file where a layout has another one.

use crate::datasource::layout::Layout;

/// The file of the layout that somebody means who types `name`. `None`: the name is as good as any other.
pub(super) fn meant(name: &[u8], layout: Option<Layout>) -> Option<&'static str> {
    /// Where the files of a layout are looked for by those who do not know it well.
    const DIRECTORIES: [&str; 4] = ["", "latest", "openstack", "openstack/latest"];
    const ENDINGS: [&str; 4] = [".yaml", ".yml", ".json", ".txt"];
    let (layout, name) = (layout?, str::from_utf8(name).ok()?);
    let (directory, file) = name.rsplit_once('/').unwrap_or(("", name));
    // LinuxKit's agent prefers `user-data` to `config`, so that is one of its names, but nobody should add it.
    if !DIRECTORIES.contains(&directory) || layout != Layout::LinuxKit && layout.uses(name.as_bytes()) {
        return None;
    }
    let file = file.to_ascii_lowercase().replace('_', "-");
    let file = ENDINGS.iter().find_map(|ending| file.strip_suffix(ending)).unwrap_or(&file);
    let meant = match file {
        "user-data" | "userdata" => Some(layout.userdata_name()),
        "meta-data" | "metadata" => layout.metadata_name(),
        "network-config" | "network-data" => layout.network_config_name(),
        "vendor-data" | "vendordata" => layout.vendor_data_name(),
        _ => None,
    };
    meant.filter(|meant| *meant != name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_another_layout_are_understood() {
        for (name, layout, right) in [
            ("user-data", Layout::ConfigDrive, Some("openstack/latest/user_data")),
            ("openstack/latest/user-data", Layout::ConfigDrive, Some("openstack/latest/user_data")),
            ("network-config", Layout::ConfigDrive, Some("openstack/latest/network_data.json")),
            ("meta_data.json", Layout::ConfigDrive, Some("openstack/latest/meta_data.json")),
            ("openstack/latest/user_data", Layout::ConfigDrive, None),
            ("openstack/2018-08-27/user_data", Layout::ConfigDrive, None),
            ("app/user-data", Layout::ConfigDrive, None),
            ("openstack/latest/user_data", Layout::NoCloud, Some("user-data")),
            ("user_data", Layout::NoCloud, Some("user-data")),
            ("User-Data", Layout::NoCloud, Some("user-data")),
            ("user-data.yaml", Layout::NoCloud, Some("user-data")),
            ("network-config", Layout::NoCloud, None),
            ("config", Layout::NoCloud, None),
            ("user-data", Layout::LinuxKit, Some("config")),
            ("meta-data", Layout::LinuxKit, None),
            ("config", Layout::LinuxKit, None),
        ] {
            assert_eq!(meant(name.as_bytes(), Some(layout)), right, "{name} on {layout}");
        }
        assert_eq!(meant(b"user_data", None), None);
        assert_eq!(meant(b"\xff", Some(Layout::NoCloud)), None);
    }
}
