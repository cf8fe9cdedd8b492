//! Recipes: what to build, as data.

mod build;
#[cfg(feature = "yaml")]
pub mod change;
mod names;
pub mod near_names;
mod rebuild;
pub mod seed;
pub mod user_data;

use std::{
    collections::HashSet,
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::error::{Context, Error, ErrorKind, Result, ensure};

use crate::{
    datasource::{
        layout::Layout,
        meta_data::{InstanceData, MetaDataFile},
    },
    image::{
        JOLIET_IDENTIFIER_CHARACTERS,
        draft::Draft,
        fat,
        iso9660::{
            volume_format::VolumeFormat,
            writer::{self, DerivedFile, LayoutCache, VolumeSpec},
        },
        probe::FileSystem,
        source::Source,
    },
    manifest::{self, ManifestFile, Statement, VolumeInfo, timestamp::Timestamp},
    recipe::user_data::UserData,
    userdata::{
        authorized_keys::{self, KeyOptions},
        hostname,
    },
};

/// The longest volume identifier in bytes (ECMA-119, 8.4.7).
const VOLUME_IDENTIFIER_BYTES: usize = 32;

/// The most bytes in all files with public keys together.
const SSH_KEYS_BYTES: u64 = 1 << 20;

/// The default date of an image: 1980-01-01, the first that all file systems of a CD-ROM can store.
pub const DEFAULT_SECONDS: u64 = 315_532_800;

/// The first second that a directory record cannot store: 2156-01-01 (ECMA-119, 9.1.5).
const SECONDS_END: u64 = 5_869_584_000;

/// The default permission bits of an image file. An image contains every secret in its data.
pub const MODE: u32 = 0o600;

/// Parses the permission bits of an image file: an octal number up to 0777.
///
/// # Errors
/// Fails if `text` is not such a number.
pub fn parse_mode(text: &str) -> Result<u32> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let mode = u32::from_str_radix(digits, 8).ok().filter(|_| !digits.starts_with('+'));
    mode.filter(|mode| *mode <= 0o777).context("not an octal number up to 0777")
}

/// An image to build. The default is one of the default layout without anything on it.
#[derive(Clone, Debug, Default)]
pub struct Recipe {
    /// The user data.
    pub data: UserData,
    /// The layout.
    pub layout: Layout,
    /// The file system.
    pub file_system: FileSystem,
    /// The volume identifier, which FAT calls the label. `None`: that of the layout.
    pub volume_id: Option<String>,
    /// Additional files: a path on the image, and its content.
    pub files: Vec<(Vec<u8>, Source)>,
    /// The meta-data file. `None`: it is generated.
    pub meta_data: Option<Source>,
    /// The network configuration.
    pub network_config: Option<Source>,
    /// The vendor data.
    pub vendor_data: Option<Source>,
    /// The host name for a generated meta-data file.
    pub hostname: Option<String>,
    /// Files with public keys for a generated meta-data file.
    pub ssh_keys: Vec<PathBuf>,
    /// The instance id for a generated meta-data file. `None`: it is made from the content.
    pub instance_id: Option<String>,
    /// The password that cloudbase-init gives to the administrator, for a generated meta-data file of a config drive.
    pub admin_pass: Option<String>,
    /// The date of everything on the image, in seconds since 1970. `None`: 1980-01-01.
    pub seconds: Option<u64>,
    /// What the manifest says in addition to the content of the image. `None`: the image has no manifest.
    pub statement: Option<Statement>,
    /// The signature of the manifest.
    pub signature: Option<Vec<u8>>,
    /// What may be a mistake in where the recipe comes from, a sentence each. They are among [`Recipe::warnings`].
    pub notes: Vec<String>,
}

/// A warning about a recipe: what is allowed but likely to be a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// A sentence without a full stop.
    pub text: String,
    /// Whether the guest will not find its data.
    pub loses_data: bool,
}

impl From<String> for Warning {
    fn from(text: String) -> Self {
        Self { text, loses_data: false }
    }
}

/// Why a recipe is never valid, whatever its files hold: a usage error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction(String);

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Contradiction {}

impl From<Contradiction> for Error {
    fn from(contradiction: Contradiction) -> Self {
        Self::new(contradiction.0).of_kind(ErrorKind::Usage)
    }
}

impl Recipe {
    /// A recipe for an image of the default layout with this user data.
    #[must_use]
    pub fn new(data: Source) -> Self {
        Self { data: data.into(), ..Self::default() }
    }

    /// The volume identifier that the image will have.
    #[must_use]
    pub fn volume_identifier(&self) -> &str {
        self.volume_id.as_deref().unwrap_or(self.layout.volume_identifier())
    }

    /// The paths of all files on the host that the recipe names.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        let files = self.files.iter().map(|(_, source)| source);
        let sources = [&self.meta_data, &self.network_config, &self.vendor_data].into_iter().flatten();
        let sources = self.data.sources().chain(files).chain(sources);
        sources.filter_map(Source::path).chain(self.ssh_keys.iter().map(PathBuf::as_path))
    }

    /// Whether nothing is known that a guest would be told, but for its instance id.
    #[must_use]
    pub fn says_nothing(&self) -> bool {
        matches!(self.data, UserData::Absent)
            && self.paths().next().is_none()
            && self.hostname.is_none()
            && self.admin_pass.is_none()
            && [&self.meta_data, &self.network_config, &self.vendor_data].into_iter().all(Option::is_none)
    }

    /// Checks the recipe without opening its files.
    ///
    /// # Errors
    /// Fails if the layout cannot store a part, parts exclude each other, or a name or value is not valid.
    pub fn check(&self) -> Result<(), Contradiction> {
        self.check_parts()?;
        self.check_volume_identifier()?;
        self.hostname.as_deref().map_or(Ok(()), check_hostname)?;
        let (end, last) = match self.file_system {
            FileSystem::Iso9660 => (SECONDS_END, 2155),
            FileSystem::Fat => (fat::date::SECONDS_END, 2107),
        };
        if self.seconds.is_some_and(|seconds| seconds >= end) {
            return Err(Contradiction(format!(
                "the date is after the year {last}, the last that an image can store"
            )));
        }
        if self.file_system == FileSystem::Fat && self.signature.is_some() {
            return Err(Contradiction("only ISO 9660 images can be signed, not FAT images".to_owned()));
        }
        if let Some(Err(error)) = self.statement.as_ref().map(Statement::check) {
            return Err(Contradiction(format!("{error:#}")));
        }
        let inputs = [&self.meta_data, &self.network_config, &self.vendor_data].into_iter().flatten();
        let inputs = self.data.sources().chain(inputs).chain(self.files.iter().map(|(_, source)| source));
        if inputs.filter(|source| matches!(source, Source::StandardInput)).count() > 1 {
            return Err(Contradiction("standard input can be read only once".to_owned()));
        }
        self.check_names()
    }

    fn check_parts(&self) -> Result<(), Contradiction> {
        let layout = self.layout;
        let generated = layout.metadata_name();
        let parts = [
            (self.meta_data.is_some(), "meta-data", generated),
            (self.network_config.is_some(), "network-config", layout.network_config_name()),
            (self.vendor_data.is_some(), "vendor-data", layout.vendor_data_name()),
            (self.hostname.is_some(), "hostname", generated),
            (!self.ssh_keys.is_empty(), "ssh-key", generated),
            (self.instance_id.is_some(), "instance-id", generated),
        ];
        for (given, part, place) in parts {
            if given && place.is_none() {
                return Err(Contradiction(format!("{part} needs the layout nocloud or configdrive")));
            }
        }
        if self.admin_pass.is_some() && layout != Layout::ConfigDrive {
            return Err(Contradiction("admin-pass-file needs the layout configdrive".to_owned()));
        }
        if layout == Layout::LinuxKit && !matches!(self.data, UserData::Whole(_)) {
            return Err(Contradiction(
                match self.data {
                    UserData::Parts(_) => "several parts of user data need the layout nocloud or configdrive",
                    _ => "the layout linuxkit needs data",
                }
                .to_owned(),
            ));
        }
        self.check_generated()?;
        self.instance_id.as_deref().map_or(Ok(()), check_instance_id)
    }

    /// Checks that no value for generated meta-data is given with a meta-data file.
    fn check_generated(&self) -> Result<(), Contradiction> {
        let Some(source) = &self.meta_data else { return Ok(()) };
        let is_drive = self.layout == Layout::ConfigDrive;
        for (given, part, [nocloud, drive]) in [
            (self.hostname.is_some(), "hostname", ["local-hostname", "hostname"]),
            (!self.ssh_keys.is_empty(), "ssh-key", ["public-keys", "public_keys"]),
            (self.instance_id.is_some(), "instance-id", ["instance-id", "uuid"]),
            (self.admin_pass.is_some(), "admin-pass-file", ["", "admin_pass"]),
        ] {
            if given {
                let file = source.path().map_or("the given one".to_owned(), |path| format!("{path:?}"));
                let key = if is_drive { drive } else { nocloud };
                return Err(Contradiction(format!(
                    "{part} is for generated meta-data, but the meta-data is {file}; write {key:?} there, or leave that file out"
                )));
            }
        }
        Ok(())
    }

    fn check_volume_identifier(&self) -> Result<(), Contradiction> {
        let identifier = self.volume_identifier();
        if self.file_system == FileSystem::Fat {
            return fat::names::stored_label(identifier)
                .map(drop)
                .map_err(|why| Contradiction(format!("volume identifier {identifier:?} {why}")));
        }
        let why = if identifier.trim().is_empty() {
            "is empty".to_owned()
        } else if identifier.len() > VOLUME_IDENTIFIER_BYTES {
            format!("has {} bytes; at most {VOLUME_IDENTIFIER_BYTES} are allowed", identifier.len())
        } else if identifier.chars().any(char::is_control) {
            "contains control characters".to_owned()
        } else {
            return Ok(());
        };
        Err(Contradiction(format!("volume identifier {identifier:?} {why}")))
    }

    /// Warnings about what is allowed but likely to be a mistake, in addition to those of the draft.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings: Vec<_> = self.notes.iter().cloned().map(Warning::from).collect();
        let identifier = self.volume_identifier();
        let is_iso9660 = self.file_system == FileSystem::Iso9660;
        if is_iso9660 && identifier.chars().count() > JOLIET_IDENTIFIER_CHARACTERS {
            let cut: String = identifier.chars().take(JOLIET_IDENTIFIER_CHARACTERS).collect();
            warnings.push(format!("volume identifier {identifier:?}: Windows and macOS show {cut:?}, since Joliet stores 16 characters").into());
        }
        let expected = self.layout.volume_identifier();
        let [lower, upper] = [expected.to_ascii_lowercase(), expected.to_ascii_uppercase()];
        // LinuxKit's agent accepts a CD-ROM with any volume identifier.
        let any = is_iso9660 && self.layout == Layout::LinuxKit && !identifier.eq_ignore_ascii_case(expected);
        if !any && identifier != lower && identifier != upper {
            warnings.push(Warning {
                text: format!("volume identifier {identifier:?}: agents look for {upper:?} or {lower:?}"),
                loses_data: true,
            });
        }
        let manifest = self.files.iter().any(|(name, _)| name == manifest::NAME.as_bytes());
        if manifest && self.statement.is_none() {
            let text =
                format!("file {:?} will be read as a manifest, as --run-metadata makes it", manifest::NAME);
            warnings.push(text.into());
        }
        // LinuxKit's images may have any files besides their data.
        for (name, _) in self.files.iter().filter(|_| self.layout != Layout::LinuxKit) {
            if let Some(meant) = near_names::meant(name, Some(self.layout)) {
                let name = String::from_utf8_lossy(name);
                warnings.push(near_names::not_used(&name, meant).into());
            }
        }
        if !is_iso9660 {
            return warnings;
        }
        let clashes = self.clashes();
        warnings.extend(clashes.refused.into_iter().chain(clashes.doubtful).map(Warning::from));
        warnings
    }

    /// A sentence if an image file with the permission bits `mode` lets others read the password on it.
    #[must_use]
    pub fn password_warning(&self, mode: u32) -> Option<String> {
        (self.admin_pass.is_some() && mode & 0o077 != 0).then(|| {
            format!(
                "the permission bits {mode:04o} let other users read the image, and on it the administrator's password"
            )
        })
    }

    /// Opens every source and lays out the image.
    ///
    /// # Errors
    /// Fails if the recipe contradicts itself ([`Contradiction`]), or a source cannot be read.
    pub fn draft(self) -> Result<Draft> {
        self.draft_with_cache(None)
    }

    /// As [`Recipe::draft`], for one of many images ([`LayoutCache`]).
    ///
    /// # Errors
    /// Fails as [`Recipe::draft`] does.
    pub fn draft_with_cache(self, cache: Option<&mut LayoutCache>) -> Result<Draft> {
        self.check()?;
        let identifier = self.volume_identifier().to_owned();
        let layout = self.layout;
        let mut derived: Vec<(_, Arc<dyn DerivedFile>)> = Vec::new();
        if self.meta_data.is_none()
            && let Some(name) = layout.metadata_name()
        {
            let ssh_keys = read_ssh_keys(&self.ssh_keys)?;
            let instance = InstanceData {
                id: self.instance_id,
                hostname: self.hostname,
                ssh_keys,
                admin_pass: self.admin_pass,
            };
            derived.push((name, Arc::new(MetaDataFile { layout, instance })));
        }
        let data = match self.data.joined()? {
            // cloud-init looks for the file itself.
            None if layout == Layout::NoCloud => Some(Source::Bytes(Vec::new())),
            data => data,
        };
        let parts = [
            (Some(layout.userdata_name()), data),
            (layout.metadata_name(), self.meta_data),
            (layout.network_config_name(), self.network_config),
            (layout.vendor_data_name(), self.vendor_data),
        ];
        let parts = parts.into_iter().filter_map(|(name, source)| Some((name?.as_bytes().to_vec(), source?)));
        let files = self.files.into_iter().chain(parts);
        let files =
            files.chain(self.signature.map(|bytes| (manifest::SIGNATURE_NAME.into(), Source::Bytes(bytes))));
        let seconds = self.seconds.unwrap_or(DEFAULT_SECONDS);
        if let Some(statement) = self.statement {
            let created_at = Timestamp::from_seconds(seconds)?;
            let volume = VolumeInfo { identifier: identifier.clone(), layout, created_at };
            derived.push((manifest::NAME, Arc::new(ManifestFile { volume, statement })));
        }
        let files = files.collect();
        if self.file_system == FileSystem::Fat {
            let spec =
                fat::writer::VolumeSpec { label: identifier, seconds, files, derived, ..Default::default() };
            return Ok(fat::writer::Draft::new(spec)?.into());
        }
        let format = VolumeFormat::default();
        let draft =
            writer::Draft::with_cache(VolumeSpec { identifier, seconds, files, derived, format }, cache);
        Ok(draft?.into())
    }
}

fn check_hostname(name: &str) -> Result<(), Contradiction> {
    hostname::check(name).map_err(|why| Contradiction(format!("host name {name:?} {why}")))
}

fn check_instance_id(id: &str) -> Result<(), Contradiction> {
    if id.is_empty() {
        return Err(Contradiction("the instance id is empty".to_owned()));
    }
    if id.chars().any(char::is_control) {
        return Err(Contradiction(format!("instance id {id:?} contains control characters")));
    }
    Ok(())
}

/// The keys of all these files, each once. A file that is named several times is read once.
fn read_ssh_keys(paths: &[PathBuf]) -> Result<Vec<String>> {
    let (mut paths_read, mut known) = (HashSet::new(), HashSet::new());
    let mut keys = Vec::new();
    let mut room = SSH_KEYS_BYTES;
    for path in paths.iter().filter(|path| paths_read.insert(*path)) {
        let (bytes, found) =
            read_ssh_key_file(path, room).with_context(|| format!("reading ssh key {path:?}"))?;
        room -= bytes;
        keys.extend(found.into_iter().filter(|key| known.insert(key.clone())));
    }
    Ok(keys)
}

/// The length of a file like `id_ed25519.pub` or `authorized_keys`, at most `room` bytes, and its keys, one a line.
fn read_ssh_key_file(path: &Path, room: u64) -> Result<(u64, Vec<String>)> {
    ensure!(!fs::metadata(path)?.is_dir(), "is a directory");
    let mut text = String::new();
    let mut file = std::io::Read::take(fs::File::open(path)?, room + 1);
    std::io::Read::read_to_string(&mut file, &mut text)?;
    let bytes = text.len() as u64;
    ensure!(bytes <= SSH_KEYS_BYTES, "the file is larger than 1 MiB");
    ensure!(bytes <= room, "the files with keys together are larger than 1 MiB");
    ensure!(!text.contains("PRIVATE KEY-----"), "is a private key; give the public key, which ends in .pub");
    let keys: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    ensure!(!keys.is_empty(), "the file has no key");
    for key in &keys {
        authorized_keys::check_line(key, KeyOptions::Allowed)
            .with_context(|| format!("checking line {key:?}"))?;
    }
    Ok((bytes, keys))
}
