//! The reader: a volume, its records and where their bytes are.
//!
//! hadris-fat 3.0.0-rc.2 is not used for this: it leaves out entries whose names are not valid, shows a short name for some of them, and
//! walks without end through a directory that contains itself.
//!
//! An image is not trusted. Chains that share clusters, and directories that Linux and other systems read differently, are errors. The
//! bytes that are read of directories, the number of records and their depth are bounded. No length that the image states is allocated.

use std::{fs::File, os::unix::fs::FileExt};

use super::{
    chains::Chains,
    directory::{Entry, Label, Listing},
    format::{ENTRIES_MAX, ENTRY_BYTES, FatKind, LABEL_BYTES},
    geometry::Shape,
    label_text,
    volume::{BootSector, RootDirectory},
};
use crate::{
    error::{Context, Result, ensure},
    image::{
        Attributes, Extent, FatLabels, Kind, Record, Tree, Volume,
        limits::{DEPTH_MAX, PATHS_BYTES_MAX, RECORDS_MAX, Wanted},
    },
};

/// The most bytes in all directories together: what 4,096 of them have with clusters of 64 KiB.
const DIRECTORIES_BYTES_MAX: u64 = 256 << 20;

/// The most bytes in one directory.
pub(super) const DIRECTORY_BYTES_MAX: u64 = ENTRIES_MAX * ENTRY_BYTES as u64;

/// A volume in a file or on a device.
pub(in crate::image) struct Reader {
    file: File,
    len: u64,
    pub(super) boot: BootSector,
}

/// What is on a volume.
pub(in crate::image) struct Found {
    pub(in crate::image) records: Vec<Record>,
    /// The attributes of each record.
    pub(in crate::image) attributes: Vec<Attributes>,
    label: Option<Label>,
}

impl Reader {
    /// Reads the boot sector of `file`, which has `len` bytes.
    pub(in crate::image) fn open(file: File, len: u64) -> Result<Self> {
        let boot = BootSector::read(&file)?;
        Ok(Self { file, len, boot })
    }

    pub(in crate::image) fn file(&self) -> &File {
        &self.file
    }

    pub(in crate::image) fn len(&self) -> u64 {
        self.len
    }

    /// The volume and its records; with `only`, those of the root directory that are wanted.
    pub(in crate::image) fn list(&self, only: Option<&Wanted>) -> Result<(Volume, Found)> {
        let walk = Walk {
            reader: self,
            chains: Chains::new(&self.file, &self.boot),
            only,
            found: Found { records: Vec::new(), attributes: Vec::new(), label: None },
            paths_bytes: 0,
            directories_bytes: DIRECTORIES_BYTES_MAX,
        };
        let found = walk.run()?;
        let tree = match self.boot.kind {
            FatKind::Fat12 => Tree::Fat12,
            FatKind::Fat16 => Tree::Fat16,
            FatKind::Fat32 => Tree::Fat32,
        };
        let date = found.label.and_then(|(_, date)| date.to_text());
        let labels = self.labels(found.label.as_ref().map(|(label, _)| label));
        let volume = Volume {
            identifier: labels.shown().to_owned(),
            created: date.clone(),
            modified: date,
            trees: vec![tree],
            read: tree,
            malformed: false,
            dates_valid: true,
            bytes: self.boot.bytes,
            sector_bytes: self.boot.sector_bytes,
            fat_labels: Some(labels),
            hidden_by: None,
        };
        Ok((volume, found))
    }
}

impl Reader {
    /// The size and the division of the volume, which fills the image.
    pub(in crate::image) fn shape(&self) -> Shape {
        let root_entries = match self.boot.root {
            RootDirectory::Fixed { bytes, .. } => bytes / ENTRY_BYTES as u64,
            RootDirectory::Cluster(_) => 0,
        };
        Shape { bytes: self.len, cluster_bytes: self.boot.cluster_bytes, root_entries }
    }

    /// The labels, of which that of the root directory is given.
    pub(super) fn labels(&self, root: Option<&[u8; LABEL_BYTES]>) -> FatLabels {
        FatLabels {
            root: root.and_then(label_text::of_root_directory),
            boot: self.boot.label.as_ref().and_then(label_text::of_boot_sector),
        }
    }

    pub(super) fn root(&self, chains: &mut Chains) -> Result<Vec<Extent>> {
        match self.boot.root {
            RootDirectory::Fixed { offset, bytes } => Ok(vec![Extent { offset, len: bytes }]),
            RootDirectory::Cluster(first) => {
                chains.directory(first, DIRECTORY_BYTES_MAX).context("reading the root directory")
            }
        }
    }

    /// The bytes of a directory. `room`: how many bytes directories may still have.
    pub(super) fn read(&self, extents: &[Extent], room: &mut u64) -> Result<Vec<u8>> {
        let len = extents.iter().map(|extent| extent.len).sum();
        *room = room.checked_sub(len).context("the directories are too large to read")?;
        let mut bytes = vec![0; usize::try_from(len)?];
        let mut rest = &mut bytes[..];
        for extent in extents {
            let (now, later) = rest.split_at_mut(usize::try_from(extent.len)?);
            self.file.read_exact_at(now, extent.offset)?;
            rest = later;
        }
        Ok(bytes)
    }
}

/// A walk, and its bounds.
struct Walk<'a> {
    reader: &'a Reader,
    chains: Chains<'a>,
    only: Option<&'a Wanted<'a>>,
    found: Found,
    paths_bytes: usize,
    /// How many bytes directories may still have.
    directories_bytes: u64,
}

/// A directory that is being walked through: its path, and what of it is to come.
struct Level {
    path: Vec<u8>,
    entries: std::vec::IntoIter<Entry>,
}

impl Walk<'_> {
    fn run(mut self) -> Result<Found> {
        let root = self.reader.root(&mut self.chains)?;
        let listing = self.listing(&root).context("reading the root directory")?;
        self.found.label = listing.label;
        let mut levels = vec![Level { path: Vec::new(), entries: listing.entries.into_iter() }];
        while let Some(level) = levels.last_mut() {
            let Some(entry) = level.entries.next() else {
                levels.pop();
                continue;
            };
            let mut path = level.path.clone();
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend_from_slice(entry.name.as_bytes());
            if self.only.is_some_and(|wanted| !wanted(&path)) {
                continue;
            }
            let context = || format!("reading {:?}", String::from_utf8_lossy(&path));
            let below = self.add(&entry, &path).with_context(context)?;
            if let Some(listing) = below {
                ensure!(TooLarge: levels.len() <= DEPTH_MAX, "the directories are more than {DEPTH_MAX} levels deep");
                levels.push(Level { path, entries: listing.entries.into_iter() });
            }
        }
        Ok(self.found)
    }

    /// Adds the record of an entry. Returns what is in it, if it is a directory whose content is wanted.
    fn add(&mut self, entry: &Entry, path: &[u8]) -> Result<Option<Listing>> {
        ensure!(TooLarge: self.found.records.len() < RECORDS_MAX, "the image has more than {RECORDS_MAX} files and directories");
        self.paths_bytes += path.len();
        ensure!(TooLarge: self.paths_bytes <= PATHS_BYTES_MAX, "the paths on the image have more than {PATHS_BYTES_MAX} bytes");
        // Its chain would be followed for nothing.
        let len = self.reader.len();
        ensure!(entry.len <= len, "it has {} bytes, and the image {len}", entry.len);
        let extents = if entry.is_directory {
            ensure!(entry.cluster != 0, "it is a directory and has no clusters");
            self.chains.directory(entry.cluster, DIRECTORY_BYTES_MAX)?
        } else {
            self.chains.file(entry.cluster, entry.len)?
        };
        let below =
            if entry.is_directory && self.only.is_none() { Some(self.listing(&extents)?) } else { None };
        self.found.attributes.push(Attributes { modified: entry.date.seconds(), ..Attributes::default() });
        self.found.records.push(Record {
            path: path.to_vec(),
            kind: if entry.is_directory { Kind::Directory } else { Kind::File },
            mode: None,
            len: entry.len,
            extents: if entry.is_directory { Vec::new() } else { extents },
        });
        Ok(below)
    }

    fn listing(&mut self, extents: &[Extent]) -> Result<Listing> {
        let listing = Listing::parse(&self.reader.read(extents, &mut self.directories_bytes)?)?;
        // What is not wanted is not counted.
        let count = self.found.records.len() + listing.entries.len();
        ensure!(TooLarge: self.only.is_some() || count <= RECORDS_MAX, "the image has more than {RECORDS_MAX} files and directories");
        Ok(listing)
    }
}
