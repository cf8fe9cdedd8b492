//! Layouts: the volume identifier and the file names that an agent looks for, and which file it takes.
//!
//! Sources: LinuxKit `pkg/metadata`; cloud-init's data sources NoCloud and ConfigDrive.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{Kind, Record, Tree, Volume};

/// Bytes of a SHA-256 digest.
pub const DIGEST_BYTES: usize = 32;

/// A volume identifier and file names that some agent looks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// LinuxKit's metadata package: everything in one file `config`.
    ///
    /// Its agent takes a CD-ROM with any identifier, but a disk only when it is called `cidata` or `CIDATA`.
    #[default]
    LinuxKit,
    /// cloud-init's NoCloud: `user-data` and `meta-data`.
    NoCloud,
    /// OpenStack's config drive, version `latest`.
    ConfigDrive,
}

impl Layout {
    /// All of them.
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

    /// The file with the instance's id, host name and keys.
    #[must_use]
    pub fn metadata_name(self) -> Option<&'static str> {
        match self {
            Self::LinuxKit => None,
            Self::NoCloud => Some("meta-data"),
            Self::ConfigDrive => Some("openstack/latest/meta_data.json"),
        }
    }

    /// The file with the network's configuration.
    #[must_use]
    pub fn network_config_name(self) -> Option<&'static str> {
        match self {
            Self::LinuxKit => None,
            Self::NoCloud => Some("network-config"),
            Self::ConfigDrive => Some("openstack/latest/network_data.json"),
        }
    }

    /// The file with what the vendor adds to the user data.
    #[must_use]
    pub fn vendor_data_name(self) -> Option<&'static str> {
        match self {
            Self::LinuxKit => None,
            Self::NoCloud => Some("vendor-data"),
            Self::ConfigDrive => Some("openstack/latest/vendor_data.json"),
        }
    }

    /// The names of the files that its agents look for.
    pub(super) fn names(self) -> impl Iterator<Item = &'static str> {
        // LinuxKit's agent prefers `user-data` to `config`, so that it would hide the data.
        let hides = (self == Self::LinuxKit).then_some("user-data");
        let names = [
            Some(self.userdata_name()),
            self.metadata_name(),
            self.network_config_name(),
            self.vendor_data_name(),
            hides,
        ];
        names.into_iter().flatten()
    }

    /// Whether a file of this name would be taken for one that the layout uses.
    #[must_use]
    pub fn uses(self, name: &[u8]) -> bool {
        self.names().any(|used| used.as_bytes() == name)
    }

    /// The layout that a volume with this identifier and these records has.
    #[must_use]
    pub fn of(volume: &Volume, records: &[Record]) -> Option<Self> {
        let has = |name: &str| find(records, name).is_some();
        let cidata = is_cidata(&volume.identifier);
        if volume.identifier.eq_ignore_ascii_case("config-2") && has("openstack/latest/meta_data.json") {
            Some(Self::ConfigDrive)
        } else if cidata && has("user-data") && has("meta-data") {
            Some(Self::NoCloud)
        } else if !has("user-data") && has("config") {
            Some(Self::LinuxKit)
        } else {
            None
        }
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
            .find(|layout| layout.name() == name)
            .ok_or_else(|| format!("no such layout, there are {known}"))
    }
}

/// Whether agents take a disk with this volume identifier for one of theirs: they know two spellings.
#[must_use]
pub fn is_cidata(identifier: &str) -> bool {
    matches!(identifier.trim(), "cidata" | "CIDATA")
}

/// What a generated meta-data file says besides the instance id.
#[derive(Clone, Debug, Default)]
pub struct Instance {
    /// The instance id; `None`: made from the content of the image.
    pub id: Option<String>,
    /// The host name.
    pub hostname: Option<String>,
    /// Public keys, each a line as in `authorized_keys`.
    pub ssh_keys: Vec<String>,
}

impl Instance {
    /// The bytes of the layout's meta-data file. `digest` is that of the image's content; how many bytes come out does
    /// not depend on it.
    ///
    /// `None` where the layout has no such file.
    pub(super) fn render(&self, layout: Layout, digest: &[u8; DIGEST_BYTES]) -> Option<Vec<u8>> {
        match layout {
            Layout::LinuxKit => None,
            Layout::NoCloud => Some(self.render_nocloud(digest).into_bytes()),
            Layout::ConfigDrive => Some(self.render_configdrive(digest).into_bytes()),
        }
    }

    /// YAML in which every string is a JSON string, which YAML reads the same way.
    fn render_nocloud(&self, digest: &[u8; DIGEST_BYTES]) -> String {
        let id = self.id.clone().unwrap_or_else(|| format!("iid-{}", hex(&digest[..16])));
        let mut lines = vec![format!("instance-id: {}", json!(id))];
        lines.extend(self.hostname.iter().map(|hostname| format!("local-hostname: {}", json!(hostname))));
        lines.extend((!self.ssh_keys.is_empty()).then(|| "public-keys:".to_owned()));
        lines.extend(self.ssh_keys.iter().map(|key| format!("  - {}", json!(key))));
        lines.join("\n") + "\n"
    }

    fn render_configdrive(&self, digest: &[u8; DIGEST_BYTES]) -> String {
        let mut document = json!({ "uuid": self.id.clone().unwrap_or_else(|| uuid(digest)) });
        if let Some(hostname) = &self.hostname {
            document["hostname"] = json!(hostname);
            document["name"] = json!(hostname);
        }
        if !self.ssh_keys.is_empty() {
            let keys =
                self.ssh_keys.iter().enumerate().map(|(number, key)| (format!("key-{number}"), json!(key)));
            document["public_keys"] = keys.collect::<serde_json::Map<_, _>>().into();
        }
        format!("{document:#}\n")
    }
}

/// Lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0x0f)]).collect()
}

/// A UUID of version 8, whose bits are the maker's own, from the first bytes of a digest (RFC 9562, 5.8).
fn uuid(digest: &[u8; DIGEST_BYTES]) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex(&bytes);
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

/// An agent in a guest that looks for user data on images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agent {
    /// `metadata agent`.
    Metadata,
    /// LinuxKit's `pkg/metadata`.
    LinuxKit,
    /// cloud-init with its data sources NoCloud and ConfigDrive.
    CloudInit,
}

/// What an agent makes of an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reading {
    /// The file whose content it takes for the user data.
    pub takes: Option<String>,
    /// Whether it finds that when the image is attached as a CD-ROM.
    pub cdrom: bool,
    /// Whether it does when the image is attached as a virtio disk.
    pub virtio: bool,
    /// Why it does not, where it does not.
    pub because: Option<String>,
}

impl Agent {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Metadata, Self::LinuxKit, Self::CloudInit];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Metadata => "metadata",
            Self::LinuxKit => "LinuxKit",
            Self::CloudInit => "cloud-init",
        }
    }

    /// What this agent makes of an image that holds `volume` with `records`.
    #[must_use]
    pub fn read(self, volume: &Volume, records: &[Record]) -> Reading {
        match self.take(volume, records) {
            Err(because) => Reading { takes: None, cdrom: false, virtio: false, because: Some(because) },
            Ok(taken) => {
                let because = self.overlooks_disk(volume);
                Reading { takes: Some(taken.display_path()), cdrom: true, virtio: because.is_none(), because }
            }
        }
    }

    /// The record whose content this agent takes for the user data from a CD-ROM, or why it takes none.
    ///
    /// # Errors
    /// There is no such file, or it is empty, or cloud-init does not go by the volume identifier.
    pub fn take<'a>(self, volume: &Volume, records: &'a [Record]) -> Result<&'a Record, String> {
        match self {
            Self::Metadata => take_from_root(records, false).map_err(str::to_owned),
            Self::LinuxKit => take_from_root(records, true).map_err(str::to_owned),
            Self::CloudInit => take_as_cloud_init(volume, records),
        }
    }

    /// Why this agent overlooks a disk on which it would take something as a CD-ROM.
    fn overlooks_disk(self, volume: &Volume) -> Option<String> {
        match self {
            // It goes by the identifier in both cases.
            Self::CloudInit => None,
            _ if !is_cidata(&volume.identifier) => {
                Some(format!("a disk must be called CIDATA, not {:?}", volume.identifier))
            }
            // go-diskfs, which LinuxKit's agent reads identifiers with, fails on these.
            Self::LinuxKit if !volume.dates_valid => Some("a descriptor has no valid dates".to_owned()),
            Self::LinuxKit if volume.trees.contains(&Tree::Enhanced) => {
                Some("it has an Enhanced Volume Descriptor".to_owned())
            }
            Self::LinuxKit | Self::Metadata => None,
        }
    }
}

fn find<'a>(records: &'a [Record], name: &str) -> Option<&'a Record> {
    records.iter().find(|record| record.kind == Kind::File && record.path == name.as_bytes())
}

/// `user-data`, else `config`; `hides`: an empty `user-data` ends the search.
fn take_from_root(records: &[Record], hides: bool) -> Result<&Record, &'static str> {
    match (find(records, "user-data"), find(records, "config")) {
        (None, None) => Err("no file user-data or config"),
        (Some(first), _) if first.len > 0 => Ok(first),
        (Some(_), Some(_)) if hides => Err("user-data is empty and hides config"),
        (_, Some(second)) if second.len > 0 => Ok(second),
        (Some(_), _) => Err("user-data is empty"),
        (None, Some(_)) => Err("config is empty"),
    }
}

/// cloud-init goes by the volume identifier, in one of two spellings, and wants the meta-data as well.
fn take_as_cloud_init<'a>(volume: &Volume, records: &'a [Record]) -> Result<&'a Record, String> {
    let layout = match volume.identifier.trim() {
        "cidata" | "CIDATA" => Layout::NoCloud,
        "config-2" | "CONFIG-2" => Layout::ConfigDrive,
        other => return Err(format!("a volume must be called CIDATA or config-2, not {other:?}")),
    };
    let wanted = |name: &str| find(records, name).ok_or_else(|| format!("no file {name}"));
    layout.metadata_name().map(wanted).transpose()?;
    wanted(layout.userdata_name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_version_8_and_the_variant_of_rfc_9562() {
        assert_eq!(uuid(&[0xff; 32]), "ffffffff-ffff-8fff-bfff-ffffffffffff");
        assert_eq!(uuid(&[0; 32]), "00000000-0000-8000-8000-000000000000");
    }

    #[test]
    fn generated_meta_data_has_one_length_whatever_the_digest() {
        let instance =
            Instance { id: None, hostname: Some("web".to_owned()), ssh_keys: vec!["k \"q\"".to_owned()] };
        for layout in Layout::ALL {
            let [zeros, ones] = [[0; 32], [0xff; 32]].map(|digest| instance.render(layout, &digest));
            assert_eq!(zeros.map(|bytes| bytes.len()), ones.map(|bytes| bytes.len()));
        }
    }

    #[test]
    fn nocloud_meta_data_quotes_every_string() {
        let instance = Instance {
            id: Some("yes".to_owned()),
            hostname: Some("1e3".to_owned()),
            ssh_keys: vec!["ssh-ed25519 AAAA a: #b\\".to_owned()],
        };
        assert_eq!(
            instance.render_nocloud(&[0; 32]),
            "instance-id: \"yes\"\nlocal-hostname: \"1e3\"\npublic-keys:\n  - \"ssh-ed25519 AAAA a: #b\\\\\"\n"
        );
    }

    fn file(name: &str, len: u64) -> Record {
        Record { path: name.into(), kind: Kind::File, mode: None, len, extents: Vec::new() }
    }

    #[test]
    fn an_empty_user_data_hides_config_from_linuxkit_only() {
        let records = [file("config", 5), file("user-data", 0)];
        assert_eq!(take_from_root(&records, true).map(|_| ()), Err("user-data is empty and hides config"));
        assert_eq!(take_from_root(&records, false).map(|record| record.len), Ok(5));
        let records = [file("config", 5), file("user-data", 3)];
        assert_eq!(take_from_root(&records, true).map(|record| record.len), Ok(3));
    }
}
