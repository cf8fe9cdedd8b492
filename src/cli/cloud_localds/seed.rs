//! The files of the seed, and where their bytes come from.

use std::{
    fs::{self, File, Metadata},
    io::{self, Cursor, Read},
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt},
    },
    path::Path,
};

use anyhow::{Context, Result, ensure};
use metadata_image::{image::source::Source, output::scratch::umask};

use super::{
    meta_data,
    settings::{MetaData, Place, Settings},
};
use crate::cli::streams::read_bounded;

/// The most bytes of a file with network interfaces, which is held in memory.
const INTERFACES_BYTES_MAX: u64 = 1 << 20;

/// Permission bits of a file that is not a copy, less those of the umask.
const MODE: u32 = 0o666;

/// A file of the seed.
#[derive(Debug)]
pub(super) struct SeedFile {
    pub(super) name: &'static str,
    /// The permission bits that a copy of it has.
    pub(super) mode: u32,
    pub(super) source: Source,
}

impl SeedFile {
    /// Its bytes, which can be read once.
    ///
    /// # Errors
    /// Fails if it cannot be opened.
    pub(super) fn open(&self) -> Result<Box<dyn Read + '_>> {
        Ok(match &self.source {
            Source::Bytes(bytes) => Box::new(Cursor::new(bytes)),
            Source::File { path, role } => {
                Box::new(File::open(path).with_context(|| format!("reading {role} {path:?}"))?)
            }
            _ => Box::new(io::stdin().lock()),
        })
    }
}

/// The files of the seed in the order of the original. `output`: what the image is written to, if that is there.
///
/// # Errors
/// Fails if a file is not there, is a directory, or is the output.
pub(super) fn gather(settings: &Settings, output: Option<&Metadata>) -> Result<Vec<SeedFile>> {
    let mask = umask();
    let file = |name, role, path: &Path| copied(name, role, path, mask, output);
    let made = |name, source| SeedFile { name, mode: MODE & !mask, source };
    let mut files = vec![match &settings.user_data {
        Place::Standard => made("user-data", Source::StandardInput),
        Place::Path(path) => file("user-data", "user data", path)?,
    }];
    files.push(match &settings.meta_data {
        MetaData::File(path) => file("meta-data", "meta-data", path)?,
        MetaData::Generated { hostname, interfaces, dsmode } => {
            const ROLE: &str = "network interfaces";
            let interfaces = match interfaces {
                Some(path) => {
                    metadata_of(ROLE, path, output)?;
                    read_bounded(path, ROLE, INTERFACES_BYTES_MAX)?
                }
                None => Vec::new(),
            };
            let text = meta_data::generate(hostname.as_bytes(), &interfaces, dsmode.as_bytes());
            made("meta-data", Source::Bytes(text))
        }
    });
    if let Some(path) = &settings.network_config {
        files.push(file("network-config", "network configuration", path)?);
    }
    if let Some(path) = &settings.vendor_data {
        files.push(file("vendor-data", "vendor data", path)?);
    }
    Ok(files)
}

/// A file that is copied from the host.
fn copied(
    name: &'static str,
    role: &'static str,
    path: &Path,
    mask: u32,
    output: Option<&Metadata>,
) -> Result<SeedFile> {
    let mode = metadata_of(role, path, output)?.permissions().mode() & 0o777 & !mask;
    Ok(SeedFile { name, mode, source: Source::file(path, role) })
}

/// What is known of a file before it is read. The image must not replace what it is made of.
fn metadata_of(role: &str, path: &Path, output: Option<&Metadata>) -> Result<Metadata> {
    let reading = || format!("reading {role} {path:?}");
    let metadata = fs::metadata(path).with_context(reading)?;
    ensure!(!metadata.is_dir(), "{}: is a directory", reading());
    let is_output =
        output.is_some_and(|output| (output.dev(), output.ino()) == (metadata.dev(), metadata.ino()));
    ensure!(!is_output || !metadata.is_file(), "{}: it is the output (give another path)", reading());
    Ok(metadata)
}
