//! The label of a volume, without the rest of it.

use std::fs::File;

use super::{
    chains::Chains,
    directory::{find_label, label_text},
    reader::{DIRECTORY_BYTES_MAX, Reader},
};
use crate::{
    error::Result,
    image::probe::{self, FileSystem},
};

/// The label of the FAT volume in a file or on a device, as it is shown: that of the root directory, else that of the boot sector.
/// `None`: it has none, or there is no such volume that can be read.
pub fn fat_label(file: &mut File) -> Option<String> {
    (probe::file_system(file).ok()? == Some(FileSystem::Fat)).then_some(())?;
    label(file.try_clone().ok()?).ok()?
}

fn label(file: File) -> Result<Option<String>> {
    let reader = Reader::open(file, 0)?;
    let root = reader.root(&mut Chains::new(reader.file(), &reader.boot))?;
    let mut bytes_left = DIRECTORY_BYTES_MAX;
    let stored = find_label(&reader.read(&root, &mut bytes_left)?).map(|(label, _)| label);
    Ok(stored.or(reader.boot.label).as_ref().map(label_text))
}
