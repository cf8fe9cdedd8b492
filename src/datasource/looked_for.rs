//! All file names and volume identifiers that agents look for, in any layout.
//!
//! cloud-init reads more than the files of the layouts. It prefers every dated version of a config drive to `latest`, and knows
//! the first version, from before there was a directory `openstack`. It searches every image for a config drive, whatever its
//! volume identifier.
//!
//! Sources: those of `layout`; cloud-init, `cloudinit/sources/helpers/openstack.py` (`OS_VERSIONS`, `FILES_V1`).

use std::sync::LazyLock;

use super::layout::Layout;
use crate::image::iso9660::clashes::Reserved;

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

/// The files of a config drive outside of these directories.
const OTHERS: [&str; 4] =
    ["ec2/latest/meta-data.json", "etc/network/interfaces", "meta.js", "root/.ssh/authorized_keys"];

static CONFIG_DRIVE: LazyLock<Vec<String>> = LazyLock::new(|| {
    let path = |version| VERSIONED.map(|name| format!("openstack/{version}/{name}"));
    VERSIONS.into_iter().flat_map(path).collect()
});

/// The file names; some are there twice.
fn looked_for() -> impl Iterator<Item = &'static str> {
    let config_drive = CONFIG_DRIVE.iter().map(String::as_str);
    Layout::ALL.into_iter().flat_map(Layout::names).chain(config_drive).chain(OTHERS)
}

/// The file names and volume identifiers, to compare an image with.
pub(crate) static LOOKED_FOR: LazyLock<Reserved> =
    LazyLock::new(|| Reserved::new(|| looked_for().collect(), Layout::ALL.map(Layout::volume_identifier)));

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::image::iso9660::clashes::Clashes;

    #[test]
    fn no_reader_takes_one_name_of_a_layout_for_another() {
        let names: BTreeSet<_> = looked_for().collect();
        for name in &names {
            let others: Vec<_> = names.iter().copied().filter(|other| other != name).collect();
            let clashes = Clashes::of([name.as_bytes()].into_iter(), &Reserved::new(move || others, []), &[]);
            assert_eq!(clashes, Clashes::default(), "{name}");
        }
    }

    #[test]
    fn the_names_of_the_layouts_are_among_those_of_a_config_drive() {
        for name in Layout::ConfigDrive.names() {
            assert!(CONFIG_DRIVE.iter().any(|path| path == name), "{name}");
        }
    }
}
