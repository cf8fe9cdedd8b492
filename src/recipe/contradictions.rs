//! Whether the parts of a recipe fit together, without a look at their files.

use std::fmt;

use super::{Recipe, user_data::UserData};
use crate::{
    datasource::layout::Layout,
    error::{Error, ErrorKind},
    image::{fat, probe::FileSystem, source::Source},
    manifest::Statement,
    userdata::hostname,
};

/// The longest volume identifier in bytes (ECMA-119, 8.4.7).
const VOLUME_IDENTIFIER_BYTES: usize = 32;

/// The first second that a directory record cannot store: 2156-01-01 (ECMA-119, 9.1.5).
pub(super) const SECONDS_END: u64 = 5_869_584_000;

/// Why a recipe is never valid, whatever its files hold: a usage error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contradiction(pub(super) String);

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
}

pub(super) fn check_hostname(name: &str) -> Result<(), Contradiction> {
    hostname::check(name).map_err(|why| Contradiction(format!("host name {name:?} {why}")))
}

pub(super) fn check_instance_id(id: &str) -> Result<(), Contradiction> {
    if id.is_empty() {
        return Err(Contradiction("the instance ID is empty".to_owned()));
    }
    if id.chars().any(char::is_control) {
        return Err(Contradiction(format!("instance ID {id:?} contains control characters")));
    }
    Ok(())
}
