//! Which file of an image each agent reads, and how the image must be attached for that.
//!
//! Sources: LinuxKit `pkg/metadata`; cloud-init's data sources NoCloud and ConfigDrive; cloudbase-init 1.1.9, `conf/default.py`
//! (`metadata_services`) and `metadata/services/osconfigdrive/windows.py`.

use serde::Serialize;

use super::layout::{Layout, has_cidata};
use crate::image::{FatLabels, Record, SECTOR_BYTES, Tree, Volume};

/// The most sectors of a disk that cloudbase-init copies: it reads two bytes of their number.
const CLOUDBASE_INIT_SECTORS_MAX: u64 = 0xffff;

/// An agent in a guest that looks for user data on images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agent {
    /// `metadata agent`.
    Metadata,
    /// LinuxKit's `pkg/metadata`.
    LinuxKit,
    /// cloud-init with its data sources NoCloud and ConfigDrive.
    CloudInit,
    /// cloudbase-init on Windows, with the metadata services that it has by default.
    CloudbaseInit,
}

/// Whether and how an agent can use an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Compatibility {
    /// The file that it reads as the user data.
    pub takes: Option<String>,
    /// Whether it finds the file if the image is attached as a CD-ROM.
    pub cdrom: bool,
    /// Whether it finds the file if the image is attached as a virtio disk.
    pub virtio: bool,
    /// Why it does not find it, if it does not.
    pub because: Option<String>,
}

impl Agent {
    /// All agents.
    pub const ALL: [Self; 4] = [Self::Metadata, Self::LinuxKit, Self::CloudInit, Self::CloudbaseInit];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::LinuxKit => "LinuxKit",
            Self::CloudInit => "cloud-init",
            Self::CloudbaseInit => "cloudbase-init",
        }
    }

    /// Whether and how this agent can use an image with this volume and these records.
    #[must_use]
    pub fn compatibility(self, volume: &Volume, records: &[Record]) -> Compatibility {
        match self.find_userdata(volume, records) {
            Err(because) => {
                Compatibility { takes: None, cdrom: false, virtio: false, because: Some(because) }
            }
            Ok(taken) => {
                let no_disk = self.why_no_disk(volume);
                let no_cdrom = self.why_no_cdrom(volume);
                Compatibility {
                    takes: Some(taken.display_path()),
                    cdrom: no_cdrom.is_none(),
                    virtio: no_disk.is_none(),
                    because: no_disk.or(no_cdrom),
                }
            }
        }
    }

    /// The record of the file that this agent reads as the user data from a CD-ROM.
    ///
    /// # Errors
    /// Fails if there is no such file, or it is empty, or the agent does not accept the volume identifier. The error says why.
    pub fn find_userdata<'a>(self, volume: &Volume, records: &'a [Record]) -> Result<&'a Record, String> {
        match self {
            Self::Metadata => find_in_root(volume, records, false).map_err(str::to_owned),
            Self::LinuxKit if volume.read.is_fat() => Err("it reads ISO 9660 only".to_owned()),
            Self::LinuxKit => find_in_root(volume, records, true).map_err(str::to_owned),
            Self::CloudInit => find_as_cloud_init(volume, records),
            Self::CloudbaseInit => find_as_cloudbase_init(volume, records),
        }
    }

    /// Why this agent does not find a CD-ROM.
    fn why_no_cdrom(self, volume: &Volume) -> Option<String> {
        let smaller = volume.sector_bytes < SECTOR_BYTES;
        // It has Linux mount the volume.
        (self == Self::CloudInit && smaller).then(|| {
            format!("Linux does not mount FAT with sectors of {} bytes from a CD-ROM", volume.sector_bytes)
        })
    }

    /// Why this agent does not find a disk, although it accepts the image as a CD-ROM.
    fn why_no_disk(self, volume: &Volume) -> Option<String> {
        match self {
            // It checks the identifier in both cases.
            Self::CloudInit => None,
            // It reads any ISO 9660 disk, whatever its identifier.
            Self::CloudbaseInit => (volume.bytes / SECTOR_BYTES > CLOUDBASE_INIT_SECTORS_MAX)
                .then(|| "it reads at most 128 MiB of a disk".to_owned()),
            _ if !has_cidata(volume) => {
                Some(format!("a disk needs the volume identifier CIDATA, not {:?}", volume.identifier))
            }
            // LinuxKit's agent reads identifiers with go-diskfs, which fails on these.
            Self::LinuxKit if !volume.dates_valid => Some("a descriptor has no valid dates".to_owned()),
            Self::LinuxKit if volume.trees.contains(&Tree::Enhanced) => {
                Some("the image has an Enhanced Volume Descriptor".to_owned())
            }
            Self::LinuxKit | Self::Metadata => None,
        }
    }
}

/// Finds `user-data`, or else `config`. `hides`: an empty `user-data` ends the search.
fn find_in_root<'a>(volume: &Volume, records: &'a [Record], hides: bool) -> Result<&'a Record, &'static str> {
    match (volume.find(records, "user-data"), volume.find(records, "config")) {
        (None, None) => Err("no file user-data or config"),
        (Some(first), _) if first.len > 0 => Ok(first),
        (Some(_), Some(_)) if hides => Err("user-data is empty and hides config"),
        (_, Some(second)) if second.len > 0 => Ok(second),
        (Some(_), _) => Err("user-data is empty"),
        (None, Some(_)) => Err("config is empty"),
    }
}

/// Finds the file as cloud-init does: it checks the volume identifier, in one of two spellings, and needs the meta-data as well.
fn find_as_cloud_init<'a>(volume: &Volume, records: &'a [Record]) -> Result<&'a Record, String> {
    if let Some(other) = volume.hidden_by {
        return Err(format!("blkid takes the image for {other}"));
    }
    let layout = match &volume.fat_labels {
        Some(labels) => layout_by_fat_labels(labels),
        None => layout_by_label(volume.identifier.trim()),
    };
    let shown = volume.identifier.trim();
    let layout =
        layout.ok_or_else(|| format!("the volume identifier must be CIDATA or config-2, not {shown:?}"))?;
    let wanted = |name: &str| volume.find(records, name).ok_or_else(|| format!("no file {name}"));
    let metadata = layout.metadata_name().map(wanted).transpose()?;
    match wanted(layout.userdata_name()) {
        // It needs no user data there.
        Err(missing) if layout == Layout::ConfigDrive => metadata.ok_or(missing),
        found => found,
    }
}

fn layout_by_label(label: &str) -> Option<Layout> {
    match label {
        "cidata" | "CIDATA" => Some(Layout::NoCloud),
        "config-2" | "CONFIG-2" => Some(Layout::ConfigDrive),
        _ => None,
    }
}

/// In the boot sector, cloud-init looks for `cidata` as its `fs_label` is spelt (`DataSourceNoCloud.py`, `_get_devices`). A config
/// drive needs no label there, once `ds-identify` has seen one.
fn layout_by_fat_labels(labels: &FatLabels) -> Option<Layout> {
    let boot = labels.boot.as_deref().filter(|label| *label != "CIDATA").and_then(layout_by_label);
    labels.root.as_deref().and_then(layout_by_label).or(boot)
}

/// Finds the file as cloudbase-init does with its usual settings: on a config drive, whatever the case of its identifier.
fn find_as_cloudbase_init<'a>(volume: &Volume, records: &'a [Record]) -> Result<&'a Record, String> {
    let layout = Layout::ConfigDrive;
    let identifier = volume.identifier.trim();
    if !identifier.eq_ignore_ascii_case(layout.volume_identifier()) {
        return Err(if identifier.eq_ignore_ascii_case(Layout::NoCloud.volume_identifier()) {
            "NoCloud is not among its default metadata_services".to_owned()
        } else {
            format!("the volume identifier must be config-2, not {identifier:?}")
        });
    }
    let wanted = |name: &str| volume.find(records, name).ok_or_else(|| format!("no file {name}"));
    let metadata = layout.metadata_name().map(wanted).transpose()?;
    // It needs no user data.
    wanted(layout.userdata_name()).or_else(|missing| metadata.ok_or(missing))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Kind;

    fn file(name: &str, len: u64) -> Record {
        Record { path: name.into(), kind: Kind::File, mode: None, len, extents: Vec::new() }
    }

    fn volume(identifier: &str, bytes: u64) -> Volume {
        Volume {
            identifier: identifier.to_owned(),
            created: None,
            modified: None,
            trees: vec![Tree::Primary],
            read: Tree::Primary,
            malformed: false,
            dates_valid: true,
            bytes,
            sector_bytes: SECTOR_BYTES,
            fat_labels: None,
            hidden_by: None,
        }
    }

    #[test]
    fn cloudbase_init_reads_config_drives_and_128_mib_of_a_disk() {
        let records =
            ["openstack/latest/meta_data.json", "openstack/latest/user_data"].map(|name| file(name, 5));
        let reading = |identifier, sectors, records: &[Record]| {
            let volume = volume(identifier, sectors * SECTOR_BYTES);
            let found = Agent::CloudbaseInit.compatibility(&volume, records);
            (found.takes, found.virtio, found.because)
        };
        let taken = |name: &str| Some(name.to_owned());
        let user_data = taken("openstack/latest/user_data");
        assert_eq!(reading("Config-2", 0xffff, &records), (user_data.clone(), true, None));
        let cut = taken("it reads at most 128 MiB of a disk");
        assert_eq!(reading("config-2", 0x1_0000, &records), (user_data, false, cut));
        let meta_data = taken("openstack/latest/meta_data.json");
        assert_eq!(reading("config-2", 1, &records[..1]), (meta_data, true, None));
        let missing = taken("no file openstack/latest/meta_data.json");
        assert_eq!(reading("config-2", 1, &records[1..]), (None, false, missing));
        let other = taken("the volume identifier must be config-2, not \"x\"");
        assert_eq!(reading("x", 1, &records), (None, false, other));
        let nocloud = taken("NoCloud is not among its default metadata_services");
        assert_eq!(reading("cidata", 1, &records), (None, false, nocloud));
    }

    #[test]
    fn an_empty_user_data_hides_config_from_linuxkit_only() {
        let volume = volume("x", 1);
        let find_in_root = |records, hides| find_in_root(&volume, records, hides);
        let records = [file("config", 5), file("user-data", 0)];
        assert_eq!(find_in_root(&records, true).map(|_| ()), Err("user-data is empty and hides config"));
        assert_eq!(find_in_root(&records, false).map(|record| record.len), Ok(5));
        let records = [file("config", 5), file("user-data", 3)];
        assert_eq!(find_in_root(&records, true).map(|record| record.len), Ok(3));
    }
}
