//! Names that people type where a layout has another one.

use crate::{
    datasource::layout::{Layout, is_cidata},
    image::{Record, Volume},
};

/// The layout of a volume, even if a file of it is missing.
pub(super) fn likely_layout(volume: &Volume, records: &[Record]) -> Option<Layout> {
    let has = |name: &str| records.iter().any(|record| record.path == name.as_bytes());
    let identifier = &volume.identifier;
    Layout::of(volume, records).or_else(|| {
        let is_config_drive = identifier.eq_ignore_ascii_case(Layout::ConfigDrive.volume_identifier());
        let is_nocloud = is_cidata(identifier) && (has("user-data") || has("meta-data"));
        match (is_config_drive, is_nocloud) {
            (true, _) => Some(Layout::ConfigDrive),
            (_, true) => Some(Layout::NoCloud),
            _ => None,
        }
    })
}

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

/// Whether a program that stores only the letters of plain ISO 9660 stores the name `whole` as `stored`, in lower case as Linux
/// shows it: each part with at most 8 and 3 letters (ECMA-119, 10.1), or with at most 30 (7.5).
pub(super) fn is_cut(stored: &[u8], whole: &[u8]) -> bool {
    let is_part = |stored: &[u8], whole: &[u8], short: usize| {
        let plain = |byte: &u8| match byte.to_ascii_lowercase() {
            letter if letter.is_ascii_alphanumeric() => letter,
            _ => b'_',
        };
        let whole: Vec<_> = whole.iter().map(plain).collect();
        [short, 30].iter().any(|&most| stored == &whole[..whole.len().min(most)])
    };
    let split = |name: &[u8]| match name.iter().rposition(|&byte| byte == b'.') {
        Some(dot) => (name[..dot].to_vec(), name[dot + 1..].to_vec()),
        None => (name.to_vec(), Vec::new()),
    };
    let (stored, whole) = (stored.split(|&byte| byte == b'/'), whole.split(|&byte| byte == b'/'));
    let [stored, whole]: [Vec<_>; 2] = [stored.map(split).collect(), whole.map(split).collect()];
    stored.len() == whole.len()
        && stored.iter().zip(&whole).all(|((stem, ending), (whole_stem, whole_ending))| {
            is_part(stem, whole_stem, 8) && is_part(ending, whole_ending, 3)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_were_cut_are_recognized() {
        for (stored, whole, expected) in [
            ("user_dat", "user-data", true),
            ("user_data", "user-data", true),
            ("openstac/latest/meta_dat.jso", "openstack/latest/meta_data.json", true),
            ("openstack/latest/meta_data.json", "openstack/latest/meta_data.json", true),
            ("user_dat", "meta-data", false),
            ("user_da", "user-data", false),
            ("user_dat", "user-data.yaml", false),
            ("user_dat", "d/user-data", false),
            ("config", "config", true),
        ] {
            assert_eq!(is_cut(stored.as_bytes(), whole.as_bytes()), expected, "{stored} for {whole}");
        }
    }

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
