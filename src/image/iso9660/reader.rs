//! The reader: an image file or a block device, its volume, its records and their bytes.
//!
//! hadris reads the descriptors; directories are read here, as Linux reads them, the malformed ones of `linuxkit metadata create`
//! among them. hadris 3.0.0-rc.2 drops versions and final dots of names, prefers other trees than Linux, and gives a hard link
//! the bytes of another record.
//!
//! An image is not trusted: what Linux and others read differently is an error, what is read of its directories, how many
//! records it has and how deep they go is bounded, no length that it states is allocated, and a file that is said to reach past
//! the end is an error when it is read.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use crate::error::{Context, Result, ensure, error};
use hadris_fs::MountOptions;
use hadris_iso::{Detail, IsoDate, IsoId, raw, sync::IsoFs};

use super::{
    clashes::Reserved,
    device::{Bounded, CUT_OFF},
    namespaces,
    roots::Roots,
    walk::{Names, walk},
};
use crate::image::{
    Record, SECTOR_BYTES, Tree, Volume,
    probe::{self, FIRST_DESCRIPTOR},
    source::{Source, Stored},
};

pub use super::walk::{DEPTH_MAX, PATHS_BYTES_MAX, RECORDS_MAX, Wanted};

const NO_IMAGE: &str = "it is no ISO 9660 image";

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
    /// It cannot be read, or is no ISO 9660 image. The error names the path.
    pub fn open(path: &Path) -> Result<Self> {
        let open = || {
            ensure!(!path.is_dir(), "it is a directory");
            mount(probe::open(path)?)
        };
        let iso = open().with_context(|| format!("reading image {path:?}"))?;
        Ok(Self { path: path.to_path_buf(), iso })
    }

    /// Reads the image in `file`, which will be called `path`.
    ///
    /// # Errors
    /// As [`Image::open`].
    pub fn in_file(file: File, path: &Path) -> Result<Self> {
        let iso = mount(file).with_context(|| format!("reading image {path:?}"))?;
        Ok(Self { path: path.to_path_buf(), iso })
    }

    /// Bytes in the file or on the device.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.iso.device().len()
    }

    /// What the volume says of itself, and every record of the tree that a Linux guest sees, directories before what is
    /// in them, siblings in the order of the image.
    ///
    /// # Errors
    /// A descriptor or a directory is malformed, or there is too much of them.
    pub fn list(&mut self) -> Result<(Volume, Vec<Record>)> {
        self.try_list(None).with_context(|| format!("reading image {:?}", self.path))
    }

    /// The same with those records of the root directory only whose path is `wanted`, however many others there are.
    ///
    /// # Errors
    /// Those of [`Image::list`] about the root directory.
    pub fn list_root(&mut self, wanted: &Wanted) -> Result<(Volume, Vec<Record>)> {
        self.try_list(Some(wanted)).with_context(|| format!("reading image {:?}", self.path))
    }

    fn try_list(&mut self, only: Option<&Wanted>) -> Result<(Volume, Vec<Record>)> {
        let dates_valid = self.dates_valid()?;
        let (mut device, roots) = self.roots()?;
        let read = roots.read_by_linux();
        let found = walk(&mut device, roots.first_sector(read)?, Names::Read(read), only)?;
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

    /// Every record of one tree of the volume, as Linux reads it where mount options leave it no other.
    ///
    /// # Errors
    /// There is no such tree, or one that Linux does not read; and those of [`Image::list`].
    pub fn list_tree(&mut self, tree: Tree) -> Result<Vec<Record>> {
        let (mut device, roots) = self.roots()?;
        Ok(walk(&mut device, roots.first_sector(tree)?, Names::Left(tree), None)?.records)
    }

    /// Where the directories of the volume are read from, and where they begin.
    fn roots(&mut self) -> Result<(Bounded, Roots)> {
        let mut device = Bounded::new(self.file().try_clone()?)?;
        let roots = Roots::of(&mut self.iso, &mut device)?;
        Ok((device, roots))
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

    /// A file of the image, to be put on another.
    ///
    /// # Errors
    /// The image ends before the file does, or cannot be read.
    pub fn source(&self, record: &Record) -> Result<Source> {
        let label = format!("file {:?} of image {:?}", record.display_path(), self.path);
        ensure!(self.holds(record), "reading {label}: it reaches past the end of the image");
        let image = self.file().try_clone();
        let stored = image.and_then(|image| Stored::new(image.into(), record.extents.clone(), label.clone()));
        Ok(Source::Stored(stored.with_context(|| format!("reading {label}"))?))
    }

    /// Whether all trees of the volume name the files in `records`, which are those of the tree that is read.
    ///
    /// # Errors
    /// One of them names something else, or cannot be read.
    pub fn check_trees(&mut self, records: &[Record], looked_for: &Reserved) -> Result<()> {
        let (_, roots) = self.roots()?;
        namespaces::check(self, &roots, records, looked_for)
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
    let device = Bounded::new(file)?;
    ensure!(device.len() > FIRST_DESCRIPTOR, NO_IMAGE);
    let iso =
        IsoFs::mount(device, MountOptions::new().read_only()).map_err(|error| broken(error.into_error()))?;
    ensure!(u64::from(iso.info().block_size()) == SECTOR_BYTES, "its blocks are not of 2048 bytes");
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

/// What hadris found wrong, without where in its own terms.
pub(super) fn broken(error: hadris_fs::Error<io::Error>) -> crate::error::Error {
    if error.kind() == hadris_fs::ErrorKind::NotRecognized {
        return error!(NO_IMAGE);
    }
    let message = match Detail::of(&error) {
        Some(Detail::OutsideImage) => CUT_OFF,
        _ => error.message(),
    };
    match error.into_device_error() {
        Some(error) => error.into(),
        None => error!(message),
    }
}
