//! An image that is open for reading, whatever its file system.

use std::{
    fs::File,
    io::{self, Read, Seek},
    path::{Path, PathBuf},
};

use crate::error::{Context, ErrorKind, ReadError, Result, ensure, error};

use super::{
    AttributesByPath, Record, Tree, Volume, fat,
    iso9660::{self, volume_format::Identifiers},
    limits::Wanted,
    probe::{self, FileSystem},
    source::{Source, StoredFile},
};
use crate::output::atomic_file::unnamed_temporary;

/// An open image.
pub struct Image {
    path: PathBuf,
    volume: OpenVolume,
}

enum OpenVolume {
    Iso9660(Box<iso9660::reader::Reader>),
    Fat(fat::reader::Reader),
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
    /// Fails if the file cannot be read, or is neither an ISO 9660 nor a FAT image. The error names the path.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, ReadError> {
        let path = path.as_ref();
        let open = || {
            ensure!(!path.is_dir(), "is a directory");
            mount(probe::open(path)?)
        };
        let volume = open().with_context(|| format!("reading image {path:?}"))?;
        Ok(Self { path: path.to_path_buf(), volume })
    }

    /// Reads an image from the start of `reader` to its end, for example from bytes in memory. Errors call it `image`.
    ///
    /// The bytes are copied to a temporary file without a name, because the files of an image may be large.
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
        let volume = mount(file).with_context(|| format!("reading image {path:?}"))?;
        Ok(Self { path: path.to_path_buf(), volume })
    }

    /// Bytes in the file or on the device.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match &self.volume {
            OpenVolume::Iso9660(volume) => volume.len(),
            OpenVolume::Fat(volume) => volume.len(),
        }
    }

    /// The volume, and all records of the tree that a Linux guest sees: each directory before its content, and the content in the
    /// order of the image.
    ///
    /// # Errors
    /// Fails if the image cannot be read, a descriptor or a directory is malformed or is read in different ways by Linux and
    /// others, or there are more records than [`crate::image::limits`] allows.
    pub fn list(&mut self) -> Result<(Volume, Vec<Record>), ReadError> {
        let mut list = || {
            let (mut volume, records) = self.try_list(None)?;
            volume.hidden_by = self.hidden_by()?;
            Ok((volume, records))
        };
        let listed: Result<_> = list();
        Ok(listed.with_context(|| format!("reading image {:?}", self.path))?)
    }

    /// The file system that blkid finds before ISO 9660: only FAT is known for certain, by its boot sector.
    fn hidden_by(&self) -> Result<Option<&'static str>> {
        let OpenVolume::Iso9660(volume) = &self.volume else { return Ok(None) };
        Ok(probe::has_fat_boot_sector(volume.file())?.then_some("FAT"))
    }

    /// The volume, and only those records of the root directory whose path is `wanted`, however many others there are.
    ///
    /// # Errors
    /// Fails as [`Image::list`] does, for the root directory.
    pub fn list_root(&mut self, wanted: &Wanted) -> Result<(Volume, Vec<Record>)> {
        self.try_list(Some(wanted)).with_context(|| format!("reading image {:?}", self.path))
    }

    fn try_list(&mut self, only: Option<&Wanted>) -> Result<(Volume, Vec<Record>)> {
        match &mut self.volume {
            OpenVolume::Iso9660(volume) => volume.list(only),
            OpenVolume::Fat(volume) => volume.list(only).map(|(volume, found)| (volume, found.records)),
        }
    }

    /// The attributes of everything in the tree that a Linux guest sees, with those of the root directory.
    ///
    /// # Errors
    /// Fails as [`Image::list`] does.
    pub fn attributes(&mut self) -> Result<AttributesByPath> {
        let found = match &mut self.volume {
            OpenVolume::Iso9660(volume) => volume.attributes(),
            OpenVolume::Fat(volume) => volume.list(None).map(|(_, found)| {
                let paths = found.records.into_iter().map(|record| record.path);
                paths.zip(found.attributes).collect()
            }),
        };
        found.with_context(|| format!("reading image {:?}", self.path))
    }

    /// The identifiers in the primary descriptor other than the volume identifier, and the names of those that were left out
    /// because they are not text. A FAT volume has none.
    #[must_use]
    pub fn identifiers(&self) -> (Identifiers, Vec<&'static str>) {
        match &self.volume {
            OpenVolume::Iso9660(volume) => volume.identifiers(),
            OpenVolume::Fat(_) => Default::default(),
        }
    }

    /// All records of one tree of the volume, as Linux reads it if mount options exclude the others.
    ///
    /// # Errors
    /// Fails if there is no such tree, or Linux does not read it, or as [`Image::list`] does.
    pub fn list_tree(&mut self, tree: Tree) -> Result<Vec<Record>> {
        match &mut self.volume {
            OpenVolume::Iso9660(volume) => volume.list_tree(tree),
            OpenVolume::Fat(_) => Ok(self.try_list(None)?.1),
        }
    }

    /// The file system of the image.
    #[must_use]
    pub fn file_system(&self) -> FileSystem {
        match self.volume {
            OpenVolume::Iso9660(_) => FileSystem::Iso9660,
            OpenVolume::Fat(_) => FileSystem::Fat,
        }
    }

    /// Checks that the image can be signed.
    ///
    /// # Errors
    /// Fails unless it is ISO 9660: on a FAT volume, readers may find different files.
    pub fn check_signable(&self) -> Result<()> {
        match self.volume {
            OpenVolume::Iso9660(_) => Ok(()),
            OpenVolume::Fat(_) => Err(error!("only ISO 9660 images can be signed, and this is a FAT image")),
        }
    }

    /// The volume, if it is ISO 9660.
    pub(super) fn iso9660(&mut self) -> Option<&mut iso9660::reader::Reader> {
        match &mut self.volume {
            OpenVolume::Iso9660(volume) => Some(volume),
            OpenVolume::Fat(_) => None,
        }
    }

    /// The size and the geometry of a FAT volume. `None`: the volume is ISO 9660.
    #[must_use]
    pub fn fat_shape(&self) -> Option<fat::geometry::Shape> {
        match &self.volume {
            OpenVolume::Iso9660(_) => None,
            OpenVolume::Fat(volume) => Some(volume.shape()),
        }
    }

    /// The file or device itself.
    pub(super) fn file(&self) -> &File {
        match &self.volume {
            OpenVolume::Iso9660(volume) => volume.file(),
            OpenVolume::Fat(volume) => volume.file(),
        }
    }

    /// Its path, for errors.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of the image that `record` names, as a source for another image.
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
}

/// Opens the volume in `file`.
fn mount(mut file: File) -> Result<OpenVolume> {
    let mut again = file.try_clone()?;
    let iso9660 = iso9660::reader::Reader::open(file.try_clone()?);
    let error = match iso9660 {
        Ok(volume) => return Ok(OpenVolume::Iso9660(Box::new(volume))),
        Err(error) if error.kind() == ErrorKind::NotAnImage => error,
        Err(error) => return Err(error),
    };
    if probe::file_system(&mut file)? == Some(FileSystem::Fat) {
        let len = file.seek(io::SeekFrom::End(0))?;
        return fat::reader::Reader::open(file, len).map(OpenVolume::Fat);
    }
    // What is behind a disk whose image was never written.
    Err(match probe::emptiness(&mut again) {
        Some(what) => error!("{error}: {what}").of_kind(ErrorKind::NotAnImage),
        None => error,
    })
}
