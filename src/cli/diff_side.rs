//! One side of a comparison: an image, or a directory that is made into one.

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io::Read,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use metadata_image::image::{
    DIGEST_BYTES, Extent, Image, Kind, Record, Volume,
    digests::digest_of,
    extents::sharing,
    iso9660::reader::{DEPTH_MAX, RECORDS_MAX},
    probe,
};

use super::progress::Bar;

/// What is on one side.
pub(super) struct Side {
    pub(super) path: PathBuf,
    /// What the image says of its volume. `None`: the side is a directory.
    pub(super) volume: Option<Volume>,
    pub(super) entries: BTreeMap<Vec<u8>, Entry>,
    image: Option<Image>,
    /// The digests of files that share their bytes are computed once.
    digests: RefCell<HashMap<Vec<Extent>, [u8; DIGEST_BYTES]>>,
}

/// A file or a directory.
pub(super) struct Entry {
    pub(super) kind: Kind,
    /// The permission bits, if they are those that a guest would see.
    pub(super) mode: Option<u32>,
    pub(super) len: u64,
    place: Place,
}

enum Place {
    Image(Record),
    Host(PathBuf),
}

impl Side {
    /// Lists the image or the directory at `path`.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let is_directory = fs::metadata(path).with_context(|| format!("reading {path:?}"))?.is_dir();
        let (image, volume, entries) = if is_directory {
            (None, None, list_directory(path).with_context(|| format!("reading directory {path:?}"))?)
        } else {
            let mut image = Image::open(path)?;
            let (volume, records) = image.list()?;
            // A small image must not name large files without end.
            sharing(&records.iter().collect::<Vec<_>>())
                .with_context(|| format!("reading image {path:?}"))?;
            let entries = records.into_iter().map(|record| (record.path.clone(), Entry::of_record(record)));
            (Some(image), Some(volume), entries.collect())
        };
        Ok(Self { path: path.to_path_buf(), volume, entries, image, digests: RefCell::default() })
    }

    /// The SHA-256 digest of a file.
    pub(super) fn digest(&self, entry: &Entry, progress: &mut Bar) -> Result<[u8; DIGEST_BYTES]> {
        match (&entry.place, &self.image) {
            (Place::Image(record), Some(image)) => {
                if let Some(known) = self.digests.borrow().get(&record.extents) {
                    return Ok(*known);
                }
                let digest = image.digest(record, progress)?;
                self.digests.borrow_mut().insert(record.extents.clone(), digest);
                Ok(digest)
            }
            (Place::Host(path), _) => {
                let digest = || Ok::<_, anyhow::Error>(digest_of(probe::open_regular(path)?)?);
                digest().with_context(|| format!("reading {path:?}"))
            }
            (Place::Image(_), None) => unreachable!("only an image has records"),
        }
    }

    /// The bytes of a file. `None`: there are more than `limit`.
    pub(super) fn read(&self, entry: &Entry, limit: u64) -> Result<Option<Vec<u8>>> {
        if entry.len > limit {
            return Ok(None);
        }
        match (&entry.place, &self.image) {
            (Place::Image(record), Some(image)) => Ok(Some(image.read(record, limit)?)),
            (Place::Host(path), _) => {
                let read = || {
                    let mut bytes = Vec::new();
                    File::take(probe::open_regular(path)?, limit + 1).read_to_end(&mut bytes)?;
                    Ok::<_, anyhow::Error>(Some(bytes).filter(|bytes| bytes.len() as u64 <= limit))
                };
                read().with_context(|| format!("reading {path:?}"))
            }
            (Place::Image(_), None) => unreachable!("only an image has records"),
        }
    }
}

impl Entry {
    fn of_record(record: Record) -> Self {
        let Record { kind, mode, len, .. } = record;
        Self { kind, mode, len, place: Place::Image(record) }
    }
}

/// Everything below a directory, by its path from there. A symbolic link to a file is that file; no other is followed.
fn list_directory(root: &Path) -> Result<BTreeMap<Vec<u8>, Entry>> {
    let mut entries = BTreeMap::new();
    let mut pending = vec![(root.to_path_buf(), Vec::new(), 1)];
    while let Some((directory, name, depth)) = pending.pop() {
        ensure!(depth <= DEPTH_MAX, "the directories are more than {DEPTH_MAX} levels deep");
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let (path, mut name) = (entry.path(), name.clone());
            if !name.is_empty() {
                name.push(b'/');
            }
            name.extend(entry.file_name().as_bytes());
            let found = entry.file_type()?;
            let target = fs::metadata(&path).ok().filter(fs::Metadata::is_file);
            let kind = match &target {
                Some(_) => Kind::File,
                None if found.is_dir() => Kind::Directory,
                None if found.is_symlink() => Kind::SymbolicLink,
                None => Kind::Other,
            };
            if kind == Kind::Directory {
                pending.push((path.clone(), name.clone(), depth + 1));
            }
            let len = target.map_or(0, |target| target.len());
            entries.insert(name, Entry { kind, mode: None, len, place: Place::Host(path) });
            ensure!(entries.len() <= RECORDS_MAX, "there are more than {RECORDS_MAX} files");
        }
    }
    Ok(entries)
}
