//! The seed as an ISO 9660 image, as `genisoimage -volid cidata -joliet -rock` makes it.

use std::{fs::File, os::unix::fs::MetadataExt};

use anyhow::Result;
use metadata_image::image::{
    Attributes, AttributesByPath,
    iso9660::{
        primary_names::{Dialect, PrimaryNames},
        volume_format::{Identifiers, VolumeFormat},
        writer::{Draft, VolumeSpec},
    },
};

use super::{VOLUME_ID, seed::SeedFile};

/// The system identifier of genisoimage.
const SYSTEM_ID: &str = "LINUX";

/// Permission bits that genisoimage gives the root directory.
const ROOT_MODE: u32 = 0o555;

/// Writes the image to `out`, an empty file, whose owner is that of the files. `seconds`: their date, since 1970.
///
/// # Errors
/// Fails if a file cannot be read, or the image cannot be written.
pub(super) fn write(files: Vec<SeedFile>, seconds: u64, out: &File) -> Result<()> {
    let owned_by = out.metadata()?;
    let owner = Some((owned_by.uid(), owned_by.gid()));
    let root = Attributes { mode: Some(ROOT_MODE), owner: Some((0, 0)), modified: None };
    let mut attributes = AttributesByPath::from([(Vec::new(), root)]);
    for file in &files {
        let own = Attributes { mode: Some(file.mode), owner, modified: None };
        attributes.insert(file.name.into(), own);
    }
    let draft = Draft::new(VolumeSpec {
        identifier: VOLUME_ID.to_owned(),
        seconds,
        files: files.into_iter().map(|file| (file.name.into(), file.source)).collect(),
        derived: Vec::new(),
        format: VolumeFormat {
            primary_names: Some(PrimaryNames::new(Dialect::Genisoimage)),
            identifiers: Identifiers { system: SYSTEM_ID.to_owned(), ..Identifiers::default() },
            attributes,
            ..VolumeFormat::default()
        },
    })?;
    draft.write_to_file(out, &mut ())?;
    Ok(())
}
