//! The reader: an image file or a block device, its volume, its records and their bytes.
//!
//! hadris reads the descriptors. Directories are read here, as Linux reads them, with the malformed ones of `linuxkit metadata
//! create`: hadris 3.0.0-rc.2 drops versions and final dots of names, prefers other trees than Linux does, and gives a hard link
//! the bytes of another record.
//!
//! An image is not trusted. What Linux and other readers read differently is an error. The bytes that are read of directories, the
//! number of records and their depth are bounded. No length that the image states is allocated. A file that reaches past the end
//! is an error when it is read.

use std::{
    fs::File,
    io::{self, Read, Seek},
    path::{Path, PathBuf},
};

use crate::error::{Context, ErrorKind, ReadError, Result, ensure, error};
use hadris_fs::MountOptions;
use hadris_iso::{IsoDate, IsoId, raw, sync::IsoFs};

use super::{
    device::{Bounded, NOT_AN_IMAGE, broken},
    roots::Roots,
    volume_format::Identifiers,
    walk::{TreeChoice, walk},
};
use crate::image::{
    AttributesByPath, Record, SECTOR_BYTES, Tree, Volume,
    probe::{self, FIRST_DESCRIPTOR},
    source::{Source, StoredFile},
};
use crate::output::atomic_file::unnamed_temporary;

pub use super::walk::{DEPTH_MAX, PATHS_BYTES_MAX, RECORDS_MAX, Wanted};

/// An open image.
pub struct Image {
    path: PathBuf,
    iso: IsoFs<Bounded>,
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Image").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Image {
    /// Opens an image file, or a block device with an image on it.
    ///
    /// # Errors
    /// Fails if it cannot be read, or is not an ISO 9660 image. The error names the path.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ReadError> {
        let path = path.as_ref();
        let open = || {
            ensure!(!path.is_dir(), "is a directory");
            mount(probe::open(path)?)
        };
        let iso = open().with_context(|| format!("reading image {path:?}"))?;
        Ok(Self { path: path.to_path_buf(), iso })
    }

    /// Reads an image from `reader`, from its first byte to its last: bytes in memory, for example. Errors call it `image`.
    ///
    /// The bytes are copied to a temporary file without a name, since the files of an image may be large.
    ///
    /// # Errors
    /// Fails as [`Image::open`] does, or if the temporary file cannot be written.
    pub fn from_reader(mut reader: impl Read + Seek) -> Result<Self, ReadError> {
        let mut copy = || -> io::Result<File> {
            let mut file = unnamed_temporary()?;
            reader.rewind()?;
            io::copy(&mut reader, &mut file)?;
            Ok(file)
        };
        let path = Path::new("image");
        let file = copy().with_context(|| format!("reading image {path:?}"))?;
        Self::in_file(file, path)
    }

    /// Reads the image in `file`. Errors call it `path`.
    ///
    /// # Errors
    /// Fails as [`Image::open`] does.
    pub fn in_file(file: File, path: &Path) -> Result<Self, ReadError> {
        let iso = mount(file).with_context(|| format!("reading image {path:?}"))?;
        Ok(Self { path: path.to_path_buf(), iso })
    }

    /// Bytes in the file or on the device.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.iso.device().len()
    }

    /// The volume, and all records of the tree that a Linux guest sees: each directory before what is in it, siblings in the order
    /// of the image.
    ///
    /// # Errors
    /// Fails if a descriptor or a directory is malformed, or there are too many records.
    pub fn list(&mut self) -> Result<(Volume, Vec<Record>), ReadError> {
        Ok(self.try_list(None).with_context(|| format!("reading image {:?}", self.path))?)
    }

    /// The volume, and only those records of the root directory whose path is `wanted`, however many others there are.
    ///
    /// # Errors
    /// Fails as [`Image::list`] does, for the root directory.
    pub fn list_root(&mut self, wanted: &Wanted) -> Result<(Volume, Vec<Record>)> {
        self.try_list(Some(wanted)).with_context(|| format!("reading image {:?}", self.path))
    }

    fn try_list(&mut self, only: Option<&Wanted>) -> Result<(Volume, Vec<Record>)> {
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
        };
        Ok((volume, found.records))
    }

    /// The attributes of everything in the tree that a Linux guest sees, with those of the root directory.
    ///
    /// # Errors
    /// Fails as [`Image::list`] does.
    pub fn attributes(&mut self) -> Result<AttributesByPath> {
        let mut list = || {
            let (mut device, roots) = self.roots()?;
            let read = roots.read_by_linux();
            walk(&mut device, roots.first_sector(read)?, TreeChoice::Default(read), None)
        };
        let found = list().with_context(|| format!("reading image {:?}", self.path))?;
        let paths = found.records.into_iter().map(|record| record.path);
        Ok(paths.zip(found.attributes).chain([(Vec::new(), found.root)]).collect())
    }

    /// What the primary descriptor says, besides the volume identifier, and the names of what is not text and is left out.
    #[must_use]
    pub fn identifiers(&self) -> (Identifiers, Vec<&'static str>) {
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
    ///
    /// # Errors
    /// Fails if there is no such tree, or Linux does not read it, or as [`Image::list`] does.
    pub fn list_tree(&mut self, tree: Tree) -> Result<Vec<Record>> {
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

    /// The file or device itself.
    pub(in crate::image) fn file(&self) -> &File {
        self.iso.device().file()
    }

    /// Its path, for errors.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file of the image, as a source for another image.
    ///
    /// # Errors
    /// Fails if the image ends before the file does, or cannot be read.
    pub fn source(&self, record: &Record) -> Result<Source> {
        let label = format!("file {:?} of image {:?}", record.display_path(), self.path);
        ensure!(Truncated: self.holds(record), "reading {label}: the file reaches past the end of the image");
        let image = self.file().try_clone();
        let stored =
            image.and_then(|image| StoredFile::new(image.into(), record.extents.clone(), label.clone()));
        Ok(Source::Stored(stored.with_context(|| format!("reading {label}"))?))
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

fn mount(file: File) -> Result<IsoFs<Bounded>> {
    let mut again = file.try_clone()?;
    mount_unless_foreign(file).map_err(|error| match error.kind() {
        // What is behind a disk whose image was never written.
        ErrorKind::NotAnImage => match probe::emptiness(&mut again) {
            Some(what) => error!("{NOT_AN_IMAGE}: {what}").of_kind(ErrorKind::NotAnImage),
            None => error,
        },
        _ => error,
    })
}

fn mount_unless_foreign(file: File) -> Result<IsoFs<Bounded>> {
    let device = Bounded::new(file)?;
    if device.len() <= FIRST_DESCRIPTOR {
        return Err(error!(NOT_AN_IMAGE).of_kind(ErrorKind::NotAnImage));
    }
    let iso =
        IsoFs::mount(device, MountOptions::new().read_only()).map_err(|error| broken(error.into_error()))?;
    ensure!(u64::from(iso.info().block_size()) == SECTOR_BYTES, "the block size is not 2048 bytes");
    Ok(iso)
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
