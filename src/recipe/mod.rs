//! Recipes: what to build, as data.

mod build;
#[cfg(feature = "yaml")]
pub mod change;
mod contradictions;
mod names;
pub mod near_names;
mod rebuild;
pub mod seed;
mod ssh_keys;
pub mod user_data;
mod warnings;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

pub use contradictions::Contradiction;
pub use warnings::Warning;

use crate::{
    datasource::{
        layout::Layout,
        meta_data::{InstanceData, MetaDataFile},
    },
    error::{Context, Result},
    image::{
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
};

/// The default date of an image in seconds since 1970: 1980-01-01, the first date that FAT can store.
pub const DEFAULT_SECONDS: u64 = 315_532_800;

/// The default permission bits of an image file. An image contains every secret in its data.
pub const MODE: u32 = 0o600;

/// Parses the permission bits of an image file: an octal number up to 0777, with or without `0o` before it.
///
/// # Errors
/// Fails if `text` is not such a number.
pub fn parse_mode(text: &str) -> Result<u32> {
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let mode = u32::from_str_radix(digits, 8).ok().filter(|_| !digits.starts_with('+'));
    mode.filter(|mode| *mode <= 0o777).context("not an octal number up to 0777")
}

/// An image to build. The default is an ISO 9660 image of the default layout without any data.
#[derive(Clone, Debug, Default)]
pub struct Recipe {
    /// The user data.
    pub data: UserData,
    /// The layout.
    pub layout: Layout,
    /// The file system.
    pub file_system: FileSystem,
    /// The volume identifier, which FAT calls the label: at most 32 bytes of UTF-8, or 11 of ASCII on FAT. `None`: that of the
    /// layout.
    pub volume_id: Option<String>,
    /// Additional files: a path from the root of the image, with `/` between its components, and its content.
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
    /// The instance ID for a generated meta-data file. `None`: it is made from the content.
    pub instance_id: Option<String>,
    /// The password that cloudbase-init gives to the administrator, for a generated meta-data file of a config drive.
    pub admin_pass: Option<String>,
    /// The date of everything on the image, in seconds since 1970; before 2156, or before 2108 on FAT. `None`: 1980-01-01.
    pub seconds: Option<u64>,
    /// What the manifest says in addition to the content of the image. `None`: the image has no manifest.
    pub statement: Option<Statement>,
    /// The signature of the manifest, as `ssh-keygen -Y sign` writes it. Only on ISO 9660.
    pub signature: Option<Vec<u8>>,
    /// Warnings about what the recipe was made from, a sentence each. [`Recipe::warnings`] includes them.
    pub notes: Vec<String>,
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

    /// Whether the recipe has nothing for a guest except, perhaps, its instance ID.
    #[must_use]
    pub fn says_nothing(&self) -> bool {
        matches!(self.data, UserData::Absent)
            && self.paths().next().is_none()
            && self.hostname.is_none()
            && self.admin_pass.is_none()
            && [&self.meta_data, &self.network_config, &self.vendor_data].into_iter().all(Option::is_none)
    }

    /// Opens every source and lays out the image.
    ///
    /// # Errors
    /// Fails if the recipe contradicts itself ([`Contradiction`]), a source cannot be read, or the files are too large or too
    /// many for one image.
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
            let ssh_keys = ssh_keys::read(&self.ssh_keys)?;
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
