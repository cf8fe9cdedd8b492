//! The seed as a FAT volume, as mkfs.vfat and mcopy make it: cloud-init finds it by its label in any case, in the boot sector or in the
//! root directory.

use std::fs::File;

use anyhow::Result;
use metadata_image::image::fat::writer::{Draft, VolumeSpec};

use super::{VOLUME_ID, seed::SeedFile};

/// Writes the volume to `out`, an empty file. `seconds`: the date of the files, since 1970. FAT has no modes and no owners.
///
/// # Errors
/// Fails if a file cannot be read or is too large, or the volume cannot be written.
pub(super) fn write(files: Vec<SeedFile>, seconds: u64, out: &File) -> Result<()> {
    let draft = Draft::new(VolumeSpec {
        label: VOLUME_ID.to_owned(),
        seconds,
        files: files.into_iter().map(|file| (file.name.into(), file.source)).collect(),
        ..VolumeSpec::default()
    })?;
    draft.write_to_file(out, &mut ())?;
    Ok(())
}
