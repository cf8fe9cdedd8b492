//! What a text is: its kind, by where it is or how it begins.

use std::fmt;

use crate::{
    datasource::layout::Layout,
    image::{Record, Volume},
    userdata::cloud_config::part_type::windows_header,
};

/// The kind of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// User data, for the agents of a layout if it is known.
    UserData(Option<Layout>),
    /// Meta-data of NoCloud or a config drive.
    MetaData(Layout),
    /// A network configuration of NoCloud.
    NetworkConfig,
    /// `network_data.json` of a config drive.
    NetworkData,
    /// Vendor data of NoCloud, which is like user data, or of a config drive.
    VendorData(Layout),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UserData(None) => "user data",
            Self::UserData(Some(Layout::LinuxKit)) => "user data for LinuxKit",
            Self::UserData(Some(Layout::NoCloud | Layout::ConfigDrive)) => "user data for cloud-init",
            Self::MetaData(_) => "meta-data",
            Self::NetworkConfig | Self::NetworkData => "network configuration",
            Self::VendorData(_) => "vendor data",
        })
    }
}

impl Subject {
    /// The kind of a file by its name, or, if that says nothing, by the keys of its YAML: a network configuration has `network`
    /// alone, or `version` and the networks.
    #[must_use]
    pub fn of_file(name: &str, data: &[u8]) -> Self {
        const NETWORKS: [&str; 7] = ["config", "ethernets", "bonds", "bridges", "vlans", "wifis", "renderer"];
        let by_name = Self::of_name(name);
        if by_name != Self::UserData(None) || data.starts_with(b"#cloud-config") {
            return by_name;
        }
        let text = String::from_utf8_lossy(data);
        let top = text.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_alphabetic()));
        let keys: Vec<_> = top.filter_map(|line| Some(line.split_once(':')?.0)).collect();
        let is_network = !keys.is_empty() && keys.iter().all(|key| *key == "network")
            || keys.contains(&"version") && NETWORKS.iter().any(|key| keys.contains(key));
        if is_network { Self::NetworkConfig } else { by_name }
    }

    /// The kind of a file by its name, in any directory. Files with other names are user data.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        let name = name.rsplit('/').next().unwrap_or(name);
        match name.strip_suffix(".yaml").or(name.strip_suffix(".yml")).unwrap_or(name) {
            "meta-data" => Self::MetaData(Layout::NoCloud),
            "meta_data.json" => Self::MetaData(Layout::ConfigDrive),
            "network-config" => Self::NetworkConfig,
            "network_data.json" => Self::NetworkData,
            "vendor-data" => Self::VendorData(Layout::NoCloud),
            "vendor_data.json" => Self::VendorData(Layout::ConfigDrive),
            "user-data" => Self::UserData(Some(Layout::NoCloud)),
            "user_data" => Self::UserData(Some(Layout::ConfigDrive)),
            // A script for Windows is for nothing else.
            name if windows_header(name).is_some() => Self::UserData(Some(Layout::ConfigDrive)),
            _ => Self::UserData(None),
        }
    }
}

/// The kind of the file that describes networks.
pub(super) fn network_subject(layout: Layout) -> Subject {
    if layout == Layout::ConfigDrive { Subject::NetworkData } else { Subject::NetworkConfig }
}

/// The kind of a file on an image, if an agent reads it.
pub(super) fn subject_of(volume: &Volume, record: &Record, layout: Option<Layout>) -> Option<Subject> {
    let layouts = match layout {
        Some(layout) => vec![layout],
        None => Layout::ALL.to_vec(),
    };
    layouts.into_iter().find_map(|layout| {
        let is =
            |name: Option<&str>| name.is_some_and(|name| volume.is_called(&record.path, name.as_bytes()));
        if is(Some(layout.userdata_name())) {
            Some(Subject::UserData(Some(layout)))
        } else if is(layout.metadata_name()) {
            Some(Subject::MetaData(layout))
        } else if is(layout.network_config_name()) {
            Some(network_subject(layout))
        } else if is(layout.vendor_data_name()) {
            Some(Subject::VendorData(layout))
        } else {
            None
        }
    })
}
