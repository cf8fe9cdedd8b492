//! A walk through all directories of one tree of a volume: its records as Linux shows them, or an error.

use std::collections::HashSet;

use crate::error::{Context, Result, bail, ensure};

use super::{
    device::Bounded,
    records::{Directory, DirectoryRecord},
    rock_ridge::{self, Entries},
    shown,
};
use crate::image::{Extent, Kind, Record, SECTOR_BYTES, Tree};

/// Records of one volume at most.
pub const RECORDS_MAX: usize = 1 << 14;

/// Bytes of all paths together at most.
pub const PATHS_BYTES_MAX: usize = 1 << 20;

/// Directories below one another at most. ISO 9660 has 8, Rock Ridge as many as it likes.
pub const DEPTH_MAX: usize = 64;

/// Whether a file of this path is of interest.
pub type Wanted<'a> = dyn Fn(&[u8]) -> bool + 'a;

/// What is read of a tree.
pub(super) struct Found {
    pub(super) records: Vec<Record>,
    /// Whether the root directory has records of an odd length.
    pub(super) malformed: bool,
}

/// By what the names of a tree are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Names {
    /// As Linux does where it reads the volume by this tree.
    Read(Tree),
    /// As Linux does where mount options leave it no other.
    Left(Tree),
}

impl Names {
    fn tree(self) -> Tree {
        let (Self::Read(tree) | Self::Left(tree)) = self;
        tree
    }
}

/// Every record of the tree whose root directory is at this sector, or those in that directory that are wanted only.
pub(super) fn walk(device: &mut Bounded, root: u64, names: Names, only: Option<&Wanted>) -> Result<Found> {
    let walk = Walk { device, names, only, records: Vec::new(), paths_bytes: 0, seen: HashSet::from([root]) };
    walk.run(root)
}

/// A walk, and what bounds it.
struct Walk<'a> {
    device: &'a mut Bounded,
    names: Names,
    /// Which records of the root are of interest; `None`: all of the volume.
    only: Option<&'a Wanted<'a>>,
    records: Vec<Record>,
    paths_bytes: usize,
    /// Directories seen, so that a loop is one.
    seen: HashSet<u64>,
}

/// A directory that is being walked through.
struct Level {
    directory: Directory,
    path: Vec<u8>,
    /// The names in it, one of those that Linux takes for one.
    names: HashSet<Vec<u8>>,
}

impl Level {
    fn new(directory: Directory, path: Vec<u8>) -> Self {
        Self { directory, path, names: HashSet::new() }
    }
}

/// What a record stands for.
enum Meaning {
    Directory(Directory, Option<u32>),
    Other(Kind, Option<u32>),
}

impl Walk<'_> {
    fn run(mut self, root: u64) -> Result<Found> {
        let root = Directory::open(self.device, root)?;
        self.directory_mode(&root, true)?;
        let mut levels = vec![Level::new(root, Vec::new())];
        let mut malformed = false;
        while let Some(level) = levels.last_mut() {
            let Some(parts) = level.directory.next(self.device)? else {
                malformed = level.directory.has_odd_lengths();
                levels.pop();
                continue;
            };
            let Some((path, directory)) = self.add(level, &parts)? else { continue };
            if self.only.is_none() {
                ensure!(levels.len() <= DEPTH_MAX, "its directories are more than {DEPTH_MAX} deep");
                self.seen.insert(directory.first_sector());
                levels.push(Level::new(directory, path));
            }
        }
        // The root was the last.
        Ok(Found { records: self.records, malformed })
    }

    /// Adds what the records `parts` are of. Path and place, if it is a directory.
    fn add(&mut self, level: &mut Level, parts: &[DirectoryRecord]) -> Result<Option<(Vec<u8>, Directory)>> {
        let first = &parts[0];
        if first.is_associated() {
            return Ok(None);
        }
        let entries = self.entries(parts)?;
        if entries.is_relocated() {
            return Ok(None);
        }
        let name = self.name(first, &entries)?;
        let mut path = level.path.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend(&name);
        let display = || String::from_utf8_lossy(&path).into_owned();
        ensure!(level.names.insert(self.key(name)), "file {:?} is there twice to Linux", display());
        if self.only.is_some_and(|wanted| !wanted(&path)) {
            return Ok(None);
        }
        self.paths_bytes += path.len();
        ensure!(self.records.len() < RECORDS_MAX, "it holds more than {RECORDS_MAX} files");
        ensure!(
            self.paths_bytes <= PATHS_BYTES_MAX,
            "its file names are longer than {PATHS_BYTES_MAX} bytes in all"
        );
        let meaning = self.meaning(parts, &entries).with_context(|| format!("{:?}", display()))?;
        let (directory, kind, mode) = match meaning {
            Meaning::Directory(directory, mode) => (Some(directory), Kind::Directory, mode),
            Meaning::Other(kind, mode) => (None, kind, mode),
        };
        let extents = if kind == Kind::File { extents_of(parts)? } else { Vec::new() };
        let len = extents.iter().map(|extent| extent.len).sum();
        self.records.push(Record { path: path.clone(), kind, mode, len, extents });
        Ok(directory.map(|directory| (path, directory)))
    }

    /// The entries of Rock Ridge, where they count.
    fn entries(&mut self, parts: &[DirectoryRecord]) -> Result<Entries> {
        match self.names {
            Names::Read(Tree::RockRidge) | Names::Left(Tree::RockRidge) => {
                let entries = rock_ridge::read(self.device, &parts[0])?;
                for part in &parts[1..] {
                    let other = rock_ridge::read(self.device, part)?;
                    ensure!(
                        (other.name(), other.is_relocated()) == (entries.name(), entries.is_relocated()),
                        "the records of a file do not belong together"
                    );
                }
                Ok(entries)
            }
            Names::Read(Tree::Primary) => {
                // Linux makes use of entries also where the root directory has none.
                let inert = parts.iter().all(|part| rock_ridge::is_inert(part.system_use()));
                ensure!(inert, "files have entries of Rock Ridge, and its root directory has none");
                Ok(Entries::default())
            }
            _ => Ok(Entries::default()),
        }
    }

    fn name(&self, record: &DirectoryRecord, entries: &Entries) -> Result<Vec<u8>> {
        match (self.names.tree(), entries.name()) {
            (Tree::Joliet, _) => shown::joliet(record.name()),
            (_, Some(name)) => shown::rock_ridge(name.to_vec()),
            _ => shown::plain(record.name()),
        }
    }

    /// What Linux finds a name by.
    fn key(&self, name: Vec<u8>) -> Vec<u8> {
        // Final dots are gone.
        if self.names.tree() == Tree::Joliet { name.to_ascii_lowercase() } else { name }
    }

    fn meaning(&mut self, parts: &[DirectoryRecord], entries: &Entries) -> Result<Meaning> {
        let record = &parts[0];
        if record.is_directory() {
            ensure!(entries.child.is_none(), "a directory is here and elsewhere");
            return self.directory(record.first_sector());
        }
        let kind = match (entries.child, entries.mode) {
            (Some(sector), mode) => {
                ensure!(mode.is_none_or(is_directory), "a directory has another type");
                return self.directory(sector);
            }
            (None, None) => Kind::File,
            (None, Some(mode)) => kind_of(mode)?,
        };
        ensure!(
            !entries.is_link() || kind == Kind::SymbolicLink,
            "the target of a link is that of something else"
        );
        ensure!(parts.len() == 1 || kind == Kind::File, "something without bytes has several extents");
        ensure!(
            !entries.is_compressed() || kind != Kind::File,
            "it is compressed by zisofs; Linux decompresses such files"
        );
        Ok(Meaning::Other(kind, entries.mode.map(permissions)))
    }

    fn directory(&mut self, sector: u64) -> Result<Meaning> {
        ensure!(!self.seen.contains(&sector), "its directories form a loop");
        let directory = Directory::open(self.device, sector)?;
        let mode = self.directory_mode(&directory, false)?;
        Ok(Meaning::Directory(directory, mode))
    }

    /// The permissions of a directory, which those of its own record are.
    fn directory_mode(&mut self, directory: &Directory, is_root: bool) -> Result<Option<u32>> {
        if self.names.tree() != Tree::RockRidge {
            return Ok(None);
        }
        let mode = rock_ridge::read_own(self.device, directory, is_root)?.mode;
        ensure!(mode.is_none_or(is_directory), "a directory has another type");
        Ok(mode.map(permissions))
    }
}

const TYPE: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;

fn permissions(mode: u32) -> u32 {
    mode & 0o7777
}

fn is_directory(mode: u32) -> bool {
    mode & TYPE == DIRECTORY
}

/// What something is that is no directory (`st_mode` of POSIX).
fn kind_of(mode: u32) -> Result<Kind> {
    Ok(match mode & TYPE {
        0o100_000 => Kind::File,
        0o120_000 => Kind::SymbolicLink,
        // Character device, block device, FIFO, socket.
        0o020_000 | 0o060_000 | 0o010_000 | 0o140_000 => Kind::Other,
        _ => bail!("it has no type that a file can have"),
    })
}

fn extents_of(parts: &[DirectoryRecord]) -> Result<Vec<Extent>> {
    let extents =
        parts.iter().map(|part| Extent { offset: part.first_sector() * SECTOR_BYTES, len: part.data_len() });
    let extents: Vec<_> = extents.filter(|extent| extent.len > 0).collect();
    check_extents(&extents)?;
    Ok(extents)
}

/// Finds extents of one file that no two readers need agree about, or that make a small image stand for a large file.
fn check_extents(extents: &[Extent]) -> Result<()> {
    // Linux reads such an extent to the end of its last sector.
    let in_front = extents.split_last().map_or(&[][..], |(_, in_front)| in_front);
    let is_whole = |extent: &Extent| extent.len.is_multiple_of(SECTOR_BYTES);
    ensure!(
        in_front.iter().all(is_whole),
        "an extent of a file ends within a sector, and is not the last one"
    );
    let mut sorted = extents.to_vec();
    sorted.sort_unstable_by_key(|extent| extent.offset);
    let overlap = |pair: &[Extent]| pair[0].offset.saturating_add(pair[0].len) > pair[1].offset;
    ensure!(!sorted.windows(2).any(overlap), "extents of a file overlap");
    Ok(())
}
