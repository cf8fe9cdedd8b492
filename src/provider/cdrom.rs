//! A CD-ROM or disk with an image on it, which LinuxKit calls the HyperKit provider.
//!
//! User data is the content of `user-data` in the root directory, else that of `config`. An empty `user-data` does not
//! hide `config`, as it does from LinuxKit's agent.

use std::path::Path;

use anyhow::Result;

use crate::image::{Image, Kind, Record, layout::Agent};

/// Bytes of user data, and of meta-data, at most.
const DATA_BYTES_MAX: u64 = 64 << 20;

/// What an image holds for a guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The user data; `None` where there is none or it is empty.
    pub userdata: Option<Vec<u8>>,
    /// The content of `meta-data`, a YAML document; `None` where there is none.
    pub metadata: Option<Vec<u8>>,
}

/// Reads the image at `path`, a file or a block device.
///
/// # Errors
/// It cannot be read, is no image, or its data is larger than 64 MiB.
pub fn fetch_from(path: &Path) -> Result<Found> {
    let mut image = Image::open(path)?;
    let (volume, records) = image.list()?;
    let read = |record: &Record| image.read(record, DATA_BYTES_MAX);
    let metadata = records.iter().find(|record| record.kind == Kind::File && record.path == b"meta-data");
    Ok(Found {
        userdata: Agent::Metadata.take(&volume, &records).ok().map(read).transpose()?,
        metadata: metadata.map(read).transpose()?,
    })
}
