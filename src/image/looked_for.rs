//! The names of the files that some agent looks for, whatever the layout of the image, and what it takes a volume for.
//!
//! cloud-init reads more than the layouts have: it prefers every dated version of a config drive to `latest`, and knows the
//! first version, from before there was a directory `openstack`. It looks at any image for a config drive, whatever its volume
//! is called.
//!
//! Sources: those of `layout`; cloud-init, `cloudinit/sources/helpers/openstack.py` (`OS_VERSIONS`, `FILES_V1`).

use std::sync::LazyLock;

use super::{JOLIET_IDENTIFIER_CHARACTERS, Layout};

/// The versions of a config drive.
const VERSIONS: [&str; 9] = [
    "latest",
    "2012-08-10",
    "2013-04-04",
    "2013-10-17",
    "2015-10-15",
    "2016-06-30",
    "2016-10-06",
    "2017-02-22",
    "2018-08-27",
];

/// The files in the directory of a version.
const VERSIONED: [&str; 5] =
    ["meta_data.json", "user_data", "vendor_data.json", "vendor_data2.json", "network_data.json"];

/// The files of a config drive that are in no such directory.
const OTHERS: [&str; 4] =
    ["ec2/latest/meta-data.json", "etc/network/interfaces", "meta.js", "root/.ssh/authorized_keys"];

static CONFIG_DRIVE: LazyLock<Vec<String>> = LazyLock::new(|| {
    let path = |version| VERSIONED.map(|name| format!("openstack/{version}/{name}"));
    VERSIONS.into_iter().flat_map(path).collect()
});

/// The names; some of them twice.
pub(super) fn looked_for() -> impl Iterator<Item = &'static str> {
    let config_drive = CONFIG_DRIVE.iter().map(String::as_str);
    Layout::ALL.into_iter().flat_map(Layout::names).chain(config_drive).chain(OTHERS)
}

/// What a reader of Joliet takes a volume for that agents look for, where others know that it has another identifier.
pub(super) fn taken_for(identifier: &str) -> Option<&'static str> {
    let cut: String = identifier.chars().take(JOLIET_IDENTIFIER_CHARACTERS).collect();
    let [all, cut] = [identifier, &cut].map(|text| text.trim_end_matches(' '));
    let taken =
        Layout::ALL.map(Layout::volume_identifier).into_iter().find(|known| cut.eq_ignore_ascii_case(known));
    taken.filter(|_| all != cut)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_is_taken_for_another_where_blanks_hide_what_joliet_cuts() {
        assert_eq!(taken_for("CIDATA          x"), Some("CIDATA"));
        assert_eq!(taken_for("Config-2         x"), Some("config-2"));
        for identifier in
            ["CIDATA", "CIDATA  ", "CIDATA         x", "CIDATA2         x", "x", "12345678901234567"]
        {
            assert_eq!(taken_for(identifier), None, "{identifier}");
        }
    }

    #[test]
    fn the_names_of_the_layouts_are_among_those_of_a_config_drive() {
        for name in Layout::ConfigDrive.names() {
            assert!(CONFIG_DRIVE.iter().any(|path| path == name), "{name}");
        }
    }
}
