//! Layouts: the volume identifier and the file names that an agent looks for.
//!
//! Sources: LinuxKit `pkg/metadata`; cloud-init's data sources NoCloud and ConfigDrive.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::image::{FatLabels, Record, Volume};

/// A volume identifier and file names that an agent looks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// LinuxKit's metadata package: everything in one file `config`.
    ///
    /// Its agent accepts a CD-ROM with any volume identifier, but a disk only with `cidata` or `CIDATA`.
    #[default]
    LinuxKit,
    /// cloud-init's NoCloud: `user-data` and `meta-data`.
    #[serde(alias = "cidata", alias = "cloud-init", alias = "no-cloud")]
    NoCloud,
    /// OpenStack's config drive, version `latest`.
    #[serde(
        alias = "config-drive",
        alias = "config-2",
        alias = "openstack",
        alias = "cloudbase-init",
        alias = "windows"
    )]
    ConfigDrive,
}

impl Layout {
    /// All layouts.
    pub const ALL: [Self; 3] = [Self::LinuxKit, Self::NoCloud, Self::ConfigDrive];

    /// Its name on the command line.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LinuxKit => "linuxkit",
            Self::NoCloud => "nocloud",
            Self::ConfigDrive => "configdrive",
        }
    }

    /// Other names that people give it.
    #[must_use]
    pub fn aliases(self) -> &'static [&'static str] {
        match self {
            Self::LinuxKit => &[],
            Self::NoCloud => &["cidata", "cloud-init", "no-cloud"],
            Self::ConfigDrive => &["config-drive", "config-2", "openstack", "cloudbase-init", "windows"],
        }
    }

    /// The volume identifier that its agents look for.
    #[must_use]
    pub fn volume_identifier(self) -> &'static str {
        match self {
            Self::LinuxKit | Self::NoCloud => "CIDATA",
            Self::ConfigDrive => "config-2",
        }
    }

    /// The file with the user data.
    #[must_use]
    pub fn userdata_name(self) -> &'static str {
        match self {
            Self::LinuxKit => "config",
            Self::NoCloud => "user-data",
            Self::ConfigDrive => "openstack/latest/user_data",
        }
    }

    /// The file with the instance ID, the host name and the keys.
    #[must_use]
    pub fn metadata_name(self) -> Option<&'static str> {
        match self {
            Self::LinuxKit => None,
            Self::NoCloud => Some("meta-data"),
            Self::ConfigDrive => Some("openstack/latest/meta_data.json"),
        }
    }

    /// The file with the network configuration.
    #[must_use]
    pub fn network_config_name(self) -> Option<&'static str> {
        match self {
            Self::LinuxKit => None,
            Self::NoCloud => Some("network-config"),
            Self::ConfigDrive => Some("openstack/latest/network_data.json"),
        }
    }

    /// The file with the vendor's additions to the user data.
    #[must_use]
    pub fn vendor_data_name(self) -> Option<&'static str> {
        match self {
            Self::LinuxKit => None,
            Self::NoCloud => Some("vendor-data"),
            Self::ConfigDrive => Some("openstack/latest/vendor_data.json"),
        }
    }

    /// The names of its files, that of the user data first.
    pub fn file_names(self) -> impl Iterator<Item = &'static str> {
        let others = [self.metadata_name(), self.network_config_name(), self.vendor_data_name()];
        [self.userdata_name()].into_iter().chain(others.into_iter().flatten())
    }

    /// The names of the files that its agents look for.
    pub(super) fn names(self) -> impl Iterator<Item = &'static str> {
        // LinuxKit's agent prefers `user-data` to `config`, so it would hide the data.
        let hides = (self == Self::LinuxKit).then_some("user-data");
        self.file_names().chain(hides)
    }

    /// Whether the layout uses a file of this name.
    #[must_use]
    pub fn uses(self, name: &[u8]) -> bool {
        self.names().any(|used| used.as_bytes() == name)
    }

    /// The layout that a volume with this identifier and these records has.
    #[must_use]
    pub fn of(volume: &Volume, records: &[Record]) -> Option<Self> {
        let has = |name: &str| volume.find(records, name).is_some();
        let cidata = has_cidata(volume);
        if is_config_drive(volume) && has("openstack/latest/meta_data.json") {
            Some(Self::ConfigDrive)
        } else if cidata && has("user-data") && has("meta-data") {
            Some(Self::NoCloud)
        } else if !has("user-data") && has("config") {
            Some(Self::LinuxKit)
        } else {
            None
        }
    }

    /// The layout that a volume is most likely meant to have, even if a file of it is missing.
    #[must_use]
    pub fn likely_of(volume: &Volume, records: &[Record]) -> Option<Self> {
        let has = |name: &str| records.iter().any(|record| volume.is_called(&record.path, name.as_bytes()));
        Self::of(volume, records).or_else(|| {
            let is_nocloud = has_cidata(volume) && (has("user-data") || has("meta-data"));
            match (is_config_drive(volume), is_nocloud) {
                (true, _) => Some(Self::ConfigDrive),
                (_, true) => Some(Self::NoCloud),
                _ => None,
            }
        })
    }
}

impl fmt::Display for Layout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Layout {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = Self::ALL.map(Self::name).join(", ");
        Self::ALL
            .into_iter()
            .find(|layout| layout.name() == name || layout.aliases().contains(&name))
            .ok_or_else(|| format!("unknown layout (use one of {known})"))
    }
}

/// Whether agents accept a disk with this volume identifier. They know two spellings.
#[must_use]
pub fn is_cidata(identifier: &str) -> bool {
    matches!(identifier.trim(), "cidata" | "CIDATA")
}

/// Whether agents accept a disk with this volume: the labels of FAT count as they are.
#[must_use]
pub fn has_cidata(volume: &Volume) -> bool {
    match &volume.fat_labels {
        Some(labels) => are_cidata(labels),
        None => is_cidata(&volume.identifier),
    }
}

/// As [`has_cidata`], for a FAT volume.
#[must_use]
pub fn are_cidata(labels: &FatLabels) -> bool {
    labels.iter().any(|label| matches!(label, "cidata" | "CIDATA"))
}

/// Whether a volume has the identifier of a config drive, in any case.
#[must_use]
pub fn is_config_drive(volume: &Volume) -> bool {
    let is = |identifier: &str| identifier.eq_ignore_ascii_case(Layout::ConfigDrive.volume_identifier());
    is(&volume.identifier) || volume.fat_labels.as_ref().is_some_and(|labels| labels.iter().any(is))
}
