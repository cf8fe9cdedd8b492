//! The reader of ISO 9660: a volume, its records and where their bytes are.
//!
//! hadris reads the descriptors. Directories are read here, as Linux reads them, with the malformed ones of `linuxkit metadata
//! create`: hadris 3.0.0-rc.2 drops versions and final dots of names, prefers other trees than Linux does, and gives a hard link
//! the bytes of another record.
//!
//! An image is not trusted. What Linux and other readers read differently is an error. The bytes that are read of directories, the
//! number of records and their depth are bounded. No length that the image states is allocated. A file that reaches past the end
//! is an error when it is read.

use std::{fs::File, io};

use crate::error::{ErrorKind, Result, ensure, error};
use hadris_fs::MountOptions;
use hadris_iso::{IsoDate, IsoId, raw, sync::IsoFs};

use super::{
    device::{Bounded, NOT_AN_IMAGE, broken},
    roots::Roots,
    volume_format::Identifiers,
    walk::{TreeChoice, walk},
};
use crate::image::{AttributesByPath, Record, SECTOR_BYTES, Tree, Volume, probe::FIRST_DESCRIPTOR};

pub use crate::image::limits::{DEPTH_MAX, PATHS_BYTES_MAX, RECORDS_MAX, Wanted};

/// A volume in a file or on a device.
pub(in crate::image) struct Reader {
    iso: IsoFs<Bounded>,
}

impl Reader {
    /// Reads the descriptors in `file`.
    pub(in crate::image) fn open(file: File) -> Result<Self> {
        let device = Bounded::new(file)?;
        if device.len() <= FIRST_DESCRIPTOR {
            return Err(error!(NOT_AN_IMAGE).of_kind(ErrorKind::NotAnImage));
        }
        let iso = IsoFs::mount(device, MountOptions::new().read_only())
            .map_err(|error| broken(error.into_error()))?;
        ensure!(u64::from(iso.info().block_size()) == SECTOR_BYTES, "the block size is not 2048 bytes");
        Ok(Self { iso })
    }

    pub(in crate::image) fn file(&self) -> &File {
        self.iso.device().file()
    }

    /// Bytes in the file or on the device.
    pub(in crate::image) fn len(&self) -> u64 {
        self.iso.device().len()
    }

    /// The volume, and the records of the tree that a Linux guest sees; with `only`, those of the root directory that are wanted.
    pub(in crate::image) fn list(&mut self, only: Option<&Wanted>) -> Result<(Volume, Vec<Record>)> {
        let dates_valid = self.dates_valid()?;
        let (mut device, roots) = self.roots()?;
        let read = roots.read_by_linux();
        let found = walk(&mut device, roots.first_sector(read)?, TreeChoice::Default(read), only)?;
        let info = self.iso.info();
        let date = |date| info.date(date).map(iso_8601);
        let volume = Volume {
            identifier: String::from_utf8_lossy(info.id(IsoId::Volume)).into_owned(),
            created: date(IsoDate::Created),
            modified: date(IsoDate::Modified),
            trees: roots.trees(),
            read,
            malformed: found.malformed,
            dates_valid,
            bytes: u64::from(info.volume_space_size()) * SECTOR_BYTES,
            sector_bytes: SECTOR_BYTES,
            fat_labels: None,
            hidden_by: None,
        };
        Ok((volume, found.records))
    }

    /// The attributes of everything in the tree that a Linux guest sees, with those of the root directory.
    pub(in crate::image) fn attributes(&mut self) -> Result<AttributesByPath> {
        let (mut device, roots) = self.roots()?;
        let read = roots.read_by_linux();
        let found = walk(&mut device, roots.first_sector(read)?, TreeChoice::Default(read), None)?;
        let paths = found.records.into_iter().map(|record| record.path);
        Ok(paths.zip(found.attributes).chain([(Vec::new(), found.root)]).collect())
    }

    /// What the primary descriptor says, besides the volume identifier, and the names of what is not text and is left out.
    #[must_use]
    pub(in crate::image) fn identifiers(&self) -> (Identifiers, Vec<&'static str>) {
        let info = self.iso.info();
        let mut lost = Vec::new();
        let mut text = |id, name| {
            // Some programs fill a field with zeros instead of blanks.
            let bytes = info.id(id).trim_ascii_end();
            let end = bytes.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
            match str::from_utf8(&bytes[..end]) {
                Ok(text) if !text.contains(char::is_control) => text.to_owned(),
                _ => {
                    lost.push(name);
                    String::new()
                }
            }
        };
        let identifiers = Identifiers {
            system: text(IsoId::System, "system"),
            volume_set: text(IsoId::VolumeSet, "volume set"),
            publisher: text(IsoId::Publisher, "publisher"),
            preparer: text(IsoId::Preparer, "preparer"),
            application: text(IsoId::Application, "application"),
            copyright_file: text(IsoId::CopyrightFile, "copyright file"),
            abstract_file: text(IsoId::AbstractFile, "abstract file"),
            bibliographic_file: text(IsoId::BibliographicFile, "bibliographic file"),
        };
        (identifiers, lost)
    }

    /// All records of one tree of the volume, as Linux reads it if mount options exclude the others.
    pub(in crate::image) fn list_tree(&mut self, tree: Tree) -> Result<Vec<Record>> {
        let (mut device, roots) = self.roots()?;
        Ok(walk(&mut device, roots.first_sector(tree)?, TreeChoice::ByOption(tree), None)?.records)
    }

    /// A device to read the directories of the volume from, and where they begin.
    pub(super) fn roots(&mut self) -> Result<(Bounded, Roots)> {
        let mut device = Bounded::new(self.file().try_clone()?)?;
        let roots = Roots::of(&mut self.iso, &mut device)?;
        Ok((device, roots))
    }

    /// The descriptor of a number. `None`: there are fewer.
    pub(super) fn descriptor(
        &mut self,
        index: u32,
    ) -> Result<Option<raw::VolumeDescriptor>, hadris_io::Error<io::Error>> {
        self.iso.descriptor(index)
    }

    fn dates_valid(&mut self) -> Result<bool> {
        let mut valid = true;
        for index in 0.. {
            let dates = match self.iso.descriptor(index).map_err(broken)? {
                None => break,
                Some(raw::VolumeDescriptor::Primary(it)) => [it.creation_date, it.modification_date],
                Some(raw::VolumeDescriptor::Supplementary(it)) => [it.creation_date, it.modification_date],
                Some(_) => continue,
            };
            valid &= dates.iter().all(|date| date.to_datetime().is_some());
        }
        Ok(valid)
    }
}

fn iso_8601(time: hadris_fs::DateTime) -> String {
    let (date, clock) = time.to_civil_utc();
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        date.year(),
        date.month(),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second()
    )
}
