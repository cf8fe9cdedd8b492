//! Names that people give a file where a layout has another one: those of other layouts and tools, and misspelt ones.

use std::{fs, io, os::unix::ffi::OsStrExt, path::Path};

use crate::{datasource::layout::Layout, error::Result, suggestion::nearest_within};

/// Where people who do not know a layout well put its files.
const DIRECTORIES: [&str; 4] = ["", "latest", "openstack", "openstack/latest"];

/// What people add to a name.
const ENDINGS: [&str; 4] = [".yaml", ".yml", ".json", ".txt"];

/// The most characters that a misspelt name has other than the right one.
const MISSPELT_MAX: usize = 2;

/// The longest name that is looked at, in bytes.
const NAME_BYTES_MAX: usize = 80;

/// The file of the layout that somebody means who types `name`. `None`: the name is as good as any other.
pub(super) fn meant(name: &[u8], layout: Option<Layout>) -> Option<&'static str> {
    let layout = layout?;
    let name = str::from_utf8(name).ok().filter(|name| name.len() <= NAME_BYTES_MAX)?;
    let (directory, file) = name.rsplit_once('/').unwrap_or(("", name));
    // LinuxKit's agent prefers `user-data` to `config`, so that is one of its names, but nobody should add it.
    if layout.userdata_name() == name || layout != Layout::LinuxKit && layout.uses(name.as_bytes()) {
        return None;
    }
    if !DIRECTORIES.contains(&directory) {
        nearest_within(directory, DIRECTORIES, MISSPELT_MAX.min(directory.len() / 4))?;
    }
    let file = file.to_ascii_lowercase().replace('_', "-");
    let dot = file.rfind('.').filter(|&dot| nearest_within(&file[dot..], ENDINGS, 1).is_some());
    let file = &file[..dot.unwrap_or(file.len())];
    let names = [
        (&["user-data", "userdata"] as &[_], Some(layout.userdata_name())),
        (&["meta-data", "metadata"], layout.metadata_name()),
        (&["network-config", "network-data", "net-config", "networkconfig"], layout.network_config_name()),
        (&["vendor-data", "vendordata"], layout.vendor_data_name()),
        // Any image may have a file of that name, but who gives one to LinuxKit's agent means this.
        (
            &["config"],
            Some(layout.userdata_name()).filter(|_| layout == Layout::LinuxKit && directory.is_empty()),
        ),
    ];
    let names = names.iter().filter_map(|(known, meant)| Some((*known, (*meant)?)));
    let all = || names.clone().flat_map(|(known, meant)| known.iter().map(move |known| (*known, meant)));
    // A digit or another ending is meant: user-data2, user-data.old.
    let is_misspelt = file.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    let most = if is_misspelt { MISSPELT_MAX.min(file.len() / 4) } else { 0 };
    let known = nearest_within(file, all().map(|(known, _)| known), most)?;
    all().find(|(other, _)| *other == known).map(|(_, meant)| meant)
}

/// A sentence about a file, in the directory of a seed or for an image of the layout, whose name is almost that of one which the
/// layout has.
pub(super) fn not_used(name: &str, meant: &str) -> String {
    format!("file {name:?} is not used; name it {meant:?}")
}

/// A file in a directory of a seed with a name that is almost right.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NearName {
    /// Its path below the directory.
    pub name: String,
    /// The path that it should have.
    pub meant: &'static str,
}

impl std::fmt::Display for NearName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&not_used(&self.name, self.meant))
    }
}

/// The files in the directory `path` whose names are almost those of files of the layout which are not there, by their names.
///
/// # Errors
/// Fails if the directory cannot be read.
pub fn near_names(path: &Path, layout: Layout) -> Result<Vec<NearName>> {
    let directory = Path::new(layout.userdata_name()).parent().unwrap_or(Path::new(""));
    let mut found = Vec::new();
    for directory in [Path::new(""), directory] {
        let entries = match fs::read_dir(path.join(directory)) {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                continue;
            }
            Err(error) => return Err(error.into()),
        };
        for entry in entries {
            let entry = entry?;
            let name = directory.join(entry.file_name());
            if let Some(meant) = meant(name.as_os_str().as_bytes(), Some(layout))
                && !path.join(meant).exists()
                && !entry.file_type()?.is_dir()
            {
                found.push(NearName { name: name.to_string_lossy().into_owned(), meant });
            }
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, layout: Layout, right: Option<&str>) {
        assert_eq!(meant(name.as_bytes(), Some(layout)), right, "{name} on {layout}");
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
            ("net-config.yaml", Layout::NoCloud, Some("network-config")),
            ("network-config", Layout::NoCloud, None),
            ("config", Layout::NoCloud, None),
            ("user-data", Layout::LinuxKit, Some("config")),
            ("config.json", Layout::LinuxKit, Some("config")),
            ("meta-data", Layout::LinuxKit, None),
            ("config", Layout::LinuxKit, None),
        ] {
            check(name, layout, right);
        }
        assert_eq!(meant(b"user_data", None), None);
        assert_eq!(meant(b"\xff", Some(Layout::NoCloud)), None);
    }

    #[test]
    fn misspelt_names_are_understood_and_others_are_not_touched() {
        for name in
            ["user-dta", "usr-data", "user-dat", "usre-data", "userdta", "user-date.yml", "user-data.yam"]
        {
            check(name, Layout::NoCloud, Some("user-data"));
        }
        for (name, right) in [
            ("metadta", "meta-data"),
            ("netwrok-config", "network-config"),
            ("network-confg.yaml", "network-config"),
            ("vendordata", "vendor-data"),
            ("openstak/latest/user_data", "user-data"),
        ] {
            check(name, Layout::NoCloud, Some(right));
        }
        for (name, right) in [
            ("openstack/lastest/user_data", "openstack/latest/user_data"),
            ("openstack/latest/user_dta", "openstack/latest/user_data"),
            ("openstack/latest/meta_data.jsn", "openstack/latest/meta_data.json"),
            ("lates/meta_dat.json", "openstack/latest/meta_data.json"),
        ] {
            check(name, Layout::ConfigDrive, Some(right));
        }
        check("confg", Layout::LinuxKit, Some("config"));
        for name in [
            "user-data2",
            "user-data.old",
            "my-user-data",
            "data",
            "user",
            "network",
            "app.conf",
            "README",
            "test-data",
            "openstack/latest/vendor_data2.json",
            "openstack/content/0000",
            "openstack/latest/password",
            "late/user_data",
            "models/metadata",
            "latest/config",
        ] {
            for layout in [Layout::NoCloud, Layout::ConfigDrive] {
                check(name, layout, None);
            }
        }
        for name in ["config.d/a", "conf", "cfg", "configs2", "app-config"] {
            check(name, Layout::LinuxKit, None);
        }
        check(&"user-data".repeat(1000), Layout::NoCloud, None);
    }
}
