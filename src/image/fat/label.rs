//! The labels of a volume, without the rest of it.

use std::fs::File;

use super::{
    chains::Chains,
    directory::find_label,
    reader::{DIRECTORY_BYTES_MAX, Reader},
};
use crate::{
    error::Result,
    image::{
        FatLabels,
        probe::{self, FileSystem},
    },
};

/// The labels of the FAT volume in a file or on a device, without the rest of it. `None`: there is no such volume that can be read.
pub fn fat_labels(file: &mut File) -> Option<FatLabels> {
    (probe::file_system(file).ok()? == Some(FileSystem::Fat)).then_some(())?;
    read(file.try_clone().ok()?).ok()
}

fn read(file: File) -> Result<FatLabels> {
    let reader = Reader::open(file, 0)?;
    let root = reader.root(&mut Chains::new(reader.file(), &reader.boot))?;
    let mut bytes_left = DIRECTORY_BYTES_MAX;
    let stored = find_label(&reader.read(&root, &mut bytes_left)?).map(|(label, _)| label);
    Ok(reader.labels(stored.as_ref()))
}
