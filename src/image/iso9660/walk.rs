//! Walks through all directories of one tree of a volume, and lists its records as Linux shows them.

use std::collections::{BTreeSet, HashMap, HashSet};

use hadris_iso::raw::DirDateTime;

use crate::error::{Context, Result, bail, ensure};

use super::{
    device::Bounded,
    records::{DATE_BYTES, Directory, DirectoryRecord},
    rock_ridge::{self, Entries},
    same_files::SameFiles,
    shown,
};
use crate::image::{
    Attributes, Extent, Kind, Record, SECTOR_BYTES, Tree,
    limits::{DEPTH_MAX, PATHS_BYTES_MAX, RECORDS_MAX, Wanted},
};

/// The content of a tree.
pub(super) struct TreeRecords {
    pub(super) records: Vec<Record>,
    /// The attributes of each record.
    pub(super) attributes: Vec<Attributes>,
    /// Those of the root directory.
    pub(super) root: Attributes,
    /// Whether the root directory has records of an odd length.
    pub(super) malformed: bool,
}

/// How Linux comes to read a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TreeChoice {
    /// By default.
    Default(Tree),
    /// Because mount options exclude the others.
    ByOption(Tree),
}

impl TreeChoice {
    fn tree(self) -> Tree {
        let (Self::Default(tree) | Self::ByOption(tree)) = self;
        tree
    }
}

/// All records of the tree whose root directory is at the sector `root`; with `only`, those of the root directory that are wanted.
pub(super) fn walk(
    device: &mut Bounded,
    root: u64,
    choice: TreeChoice,
    only: Option<&Wanted>,
) -> Result<TreeRecords> {
    let walk = TreeWalk {
        device,
        choice,
        only,
        records: Vec::new(),
        paths_bytes: 0,
        seen: HashSet::from([root]),
        same_files: SameFiles::default(),
        relocated: HashMap::new(),
        continuations: BTreeSet::new(),
        root_continuations: BTreeSet::new(),
        ends: BTreeSet::new(),
        attributes: Vec::new(),
    };
    walk.run(root)
}

/// A walk, and its bounds.
struct TreeWalk<'a> {
    device: &'a mut Bounded,
    choice: TreeChoice,
    /// Which records of the root directory are wanted. `None`: all records of the volume.
    only: Option<&'a Wanted<'a>>,
    records: Vec<Record>,
    attributes: Vec<Attributes>,
    paths_bytes: usize,
    /// The first sectors of all directories so far, to detect loops.
    seen: HashSet<u64>,
    same_files: SameFiles,
    /// Directories that belong elsewhere, by sector: their lengths, and whether they were found there.
    relocated: HashMap<u64, Relocated>,
    /// The sectors in which entries of Rock Ridge continue.
    continuations: BTreeSet<u64>,
    /// The same of the root directory's own record. Nothing in them counts to bsdtar.
    root_continuations: BTreeSet<u64>,
    /// The sectors after directories.
    ends: BTreeSet<u64>,
}

/// A directory that is stored in one place and belongs to another.
#[derive(Debug, Default)]
struct Relocated {
    /// Its length in bytes by the record where it is stored (`RE`).
    stored: Option<u64>,
    /// Its length in bytes by its own record, if another record says that it belongs there (`CL`).
    belongs: Option<u64>,
}

/// A directory that is being walked through.
struct Level {
    directory: Directory,
    path: Vec<u8>,
    /// The names in it, in the form in which Linux compares them.
    names: HashSet<Vec<u8>>,
}

impl Level {
    fn new(directory: Directory, path: Vec<u8>) -> Self {
        Self { directory, path, names: HashSet::new() }
    }
}

/// What a record names.
enum Meaning {
    Directory(Directory, Attributes),
    Other(Kind, Attributes),
}

impl TreeWalk<'_> {
    fn run(mut self, root: u64) -> Result<TreeRecords> {
        let root = Directory::open(self.device, root)?;
        let entries = self.own_entries(&root, true)?;
        let attributes = attributes_of(root.own(), &entries);
        self.same_files.add(entries.serial, Kind::Directory, vec![whole(&root)])?;
        self.ends.insert(root.end());
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
                ensure!(TooLarge: levels.len() <= DEPTH_MAX, "the directories are more than {DEPTH_MAX} levels deep");
                self.seen.insert(directory.first_sector());
                self.ends.insert(directory.end());
                levels.push(Level::new(directory, path));
            }
        }
        // The root was the last.
        if self.only.is_none() {
            self.check_places()?;
        }
        Ok(TreeRecords { records: self.records, attributes: self.attributes, root: attributes, malformed })
    }

    /// Adds the file or directory of the records `parts`. Returns a directory with its path.
    fn add(&mut self, level: &mut Level, parts: &[DirectoryRecord]) -> Result<Option<(Vec<u8>, Directory)>> {
        let first = &parts[0];
        let entries = self.entries(parts)?;
        if entries.is_relocated() {
            ensure!(
                first.is_directory() && entries.child.is_none(),
                "a file is stored elsewhere, as a directory"
            );
            let stored = &mut self.relocated.entry(first.first_sector()).or_default().stored;
            ensure!(stored.replace(first.data_len()).is_none(), "a directory is stored twice");
            return Ok(None);
        }
        let name = self.name(first, &entries)?;
        let mut path = level.path.clone();
        if !path.is_empty() {
            path.push(b'/');
        }
        path.extend(&name);
        let display = || String::from_utf8_lossy(&path).into_owned();
        ensure!(level.names.insert(self.key(name)), "Linux sees two files {:?}", display());
        if self.only.is_some_and(|wanted| !wanted(&path)) {
            return Ok(None);
        }
        self.paths_bytes += path.len();
        ensure!(TooLarge: self.records.len() < RECORDS_MAX, "the volume has more than {RECORDS_MAX} files");
        ensure!(TooLarge:
            self.paths_bytes <= PATHS_BYTES_MAX,
            "the file names together are longer than {PATHS_BYTES_MAX} bytes"
        );
        let meaning = self.meaning(parts, &entries).with_context(|| format!("{:?}", display()))?;
        let (directory, kind, attributes) = match meaning {
            Meaning::Directory(directory, attributes) => (Some(directory), Kind::Directory, attributes),
            Meaning::Other(kind, attributes) => (None, kind, attributes),
        };
        let extents = if kind == Kind::File { extents_of(parts)? } else { Vec::new() };
        // bsdtar takes a file for one with the first sector of this.
        ensure!(first.data_len() > 0 || extents.is_empty(), "the first extent of a file is empty");
        let places = directory.as_ref().map_or_else(|| extents.clone(), |directory| vec![whole(directory)]);
        self.same_files.add(entries.serial, kind, places)?;
        let len = extents.iter().map(|extent| extent.len).sum();
        let mode = attributes.mode;
        self.records.push(Record { path: path.clone(), kind, mode, len, extents });
        self.attributes.push(attributes);
        Ok(directory.map(|directory| (path, directory)))
    }

    /// The entries of Rock Ridge, if they count.
    fn entries(&mut self, parts: &[DirectoryRecord]) -> Result<Entries> {
        match self.choice {
            TreeChoice::Default(Tree::RockRidge) | TreeChoice::ByOption(Tree::RockRidge) => {
                let entries = rock_ridge::read(self.device, &parts[0])?;
                self.continuations.extend(&entries.continuations);
                for part in &parts[1..] {
                    let other = rock_ridge::read(self.device, part)?;
                    ensure!(
                        (other.name(), other.is_relocated()) == (entries.name(), entries.is_relocated()),
                        "the records of a file do not belong together"
                    );
                    // Linux takes the extent of the directory for that of the file.
                    ensure!(other.child.is_none(), "an extent of a file is stored elsewhere, as a directory");
                }
                Ok(entries)
            }
            TreeChoice::Default(Tree::Primary) => {
                parts.iter().try_for_each(check_inert)?;
                Ok(Entries::default())
            }
            _ => Ok(Entries::default()),
        }
    }

    fn name(&self, record: &DirectoryRecord, entries: &Entries) -> Result<Vec<u8>> {
        match (self.choice.tree(), entries.name()) {
            (Tree::Joliet, _) => shown::joliet(record.name()),
            (_, Some(name)) => shown::rock_ridge(name.to_vec()),
            _ => shown::plain(record.name()),
        }
    }

    /// The form of a name in which Linux and bsdtar compare it.
    fn key(&self, mut name: Vec<u8>) -> Vec<u8> {
        match self.choice.tree() {
            // Final dots are removed already.
            Tree::Joliet => name.to_ascii_lowercase(),
            Tree::Primary => {
                // bsdtar removes one.
                name.pop_if(|last| *last == b'.');
                name
            }
            _ => name,
        }
    }

    fn meaning(&mut self, parts: &[DirectoryRecord], entries: &Entries) -> Result<Meaning> {
        let record = &parts[0];
        if record.is_directory() {
            ensure!(entries.child.is_none(), "a directory is stored here and also elsewhere");
            check_directory(entries)?;
            let (directory, attributes) = self.directory(record.first_sector())?;
            ensure!(
                entries.continuations.iter().all(|&sector| sector < directory.first_sector()),
                "the name of a directory comes after the directory"
            );
            ensure!(directory.own().data_len() == record.data_len(), "a directory has two lengths");
            return Ok(Meaning::Directory(directory, attributes));
        }
        let kind = match (entries.child, entries.mode) {
            (Some(sector), mode) => {
                check_directory(entries)?;
                ensure!(parts.len() == 1, "a directory has several extents");
                let (directory, own) = self.directory(sector)?;
                self.relocated.entry(sector).or_default().belongs = Some(directory.own().data_len());
                let mode = mode.map(permissions).or(own.mode);
                let attributes = Attributes { mode, owner: entries.owner.or(own.owner), ..own };
                return Ok(Meaning::Directory(directory, attributes));
            }
            (None, None) => Kind::File,
            (None, Some(mode)) => kind_of(mode)?,
        };
        ensure!(
            !entries.is_link() || kind == Kind::SymbolicLink,
            "something that is not a symbolic link has the target of one"
        );
        ensure!(parts.len() == 1 || kind == Kind::File, "something that is not a file has several extents");
        ensure!(
            !entries.is_compressed() || kind != Kind::File,
            "the file is compressed with zisofs, and Linux would decompress it"
        );
        Ok(Meaning::Other(kind, attributes_of(record, entries)))
    }

    /// The directory at a sector, with its attributes.
    fn directory(&mut self, sector: u64) -> Result<(Directory, Attributes)> {
        ensure!(!self.seen.contains(&sector), "the directories form a loop");
        let directory = Directory::open(self.device, sector)?;
        let entries = self.own_entries(&directory, false)?;
        let attributes = attributes_of(directory.own(), &entries);
        Ok((directory, attributes))
    }

    /// The entries of a directory's own record, if they count.
    fn own_entries(&mut self, directory: &Directory, is_root: bool) -> Result<Entries> {
        if self.choice == TreeChoice::Default(Tree::Primary) {
            [Some(directory.own()), directory.above()].into_iter().flatten().try_for_each(check_inert)?;
        }
        if self.choice.tree() != Tree::RockRidge {
            return Ok(Entries::default());
        }
        let entries = rock_ridge::read_own(self.device, directory, is_root)?;
        ensure!(entries.mode.is_none_or(is_directory), "a directory has the type of something else");
        if is_root {
            self.root_continuations.extend(&entries.continuations);
        }
        Ok(entries)
    }

    /// Checks what bsdtar shows only if it is where it looks for it, while Linux looks everywhere.
    fn check_places(&self) -> Result<()> {
        let belongs = |one: &Relocated| one.stored.is_some() && one.stored == one.belongs;
        ensure!(
            self.relocated.values().all(belongs),
            "a directory is stored elsewhere, or belongs elsewhere, and nothing is there"
        );
        let mut next = None;
        for sector in self.continuations.union(&self.root_continuations) {
            let is_read = next == Some(*sector) || self.ends.contains(sector);
            ensure!(
                is_read || !self.continuations.contains(sector),
                "entries continue in a sector that does not follow a directory"
            );
            next = is_read.then_some(sector + 1);
        }
        Ok(())
    }
}

/// Checks the entries of a directory that are not in its own record.
fn check_directory(entries: &Entries) -> Result<()> {
    ensure!(entries.mode.is_none_or(is_directory), "a directory has the type of something else");
    // Linux takes the length of the target, or of what was compressed, for that of the directory.
    ensure!(!entries.is_link() && !entries.is_compressed(), "a directory has the length of something else");
    Ok(())
}

/// All of a directory.
fn whole(directory: &Directory) -> Extent {
    Extent { offset: directory.first_sector() * SECTOR_BYTES, len: directory.own().data_len() }
}

/// Checks that a record has no Rock Ridge entries: Linux uses them even if the root directory has none.
fn check_inert(record: &DirectoryRecord) -> Result<()> {
    let inert = rock_ridge::is_inert(record.system_use());
    ensure!(inert, "there are Rock Ridge entries, but the root directory has none");
    Ok(())
}

const TYPE: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;

fn attributes_of(record: &DirectoryRecord, entries: &Entries) -> Attributes {
    let date = entries.modified.or(record.date());
    Attributes { mode: entries.mode.map(permissions), owner: entries.owner, modified: date.and_then(seconds) }
}

/// A date of a directory record in seconds since 1970. `None`: it is not valid, or not set.
fn seconds([year, month, day, hour, minute, second, offset]: [u8; DATE_BYTES]) -> Option<i64> {
    let offset = offset.cast_signed();
    let date = DirDateTime { year, month, day, hour, minute, second, offset };
    date.to_datetime().map(|date| date.unix_seconds())
}

fn permissions(mode: u32) -> u32 {
    mode & 0o7777
}

fn is_directory(mode: u32) -> bool {
    mode & TYPE == DIRECTORY
}

/// The kind of something that is not a directory, by its `st_mode` (POSIX).
fn kind_of(mode: u32) -> Result<Kind> {
    Ok(match mode & TYPE {
        0o100_000 => Kind::File,
        0o120_000 => Kind::SymbolicLink,
        // Character device, block device, FIFO, socket.
        0o020_000 | 0o060_000 | 0o010_000 | 0o140_000 => Kind::Other,
        _ => bail!("the file type is not valid"),
    })
}

fn extents_of(parts: &[DirectoryRecord]) -> Result<Vec<Extent>> {
    let extents =
        parts.iter().map(|part| Extent { offset: part.first_sector() * SECTOR_BYTES, len: part.data_len() });
    let extents: Vec<_> = extents.collect();
    check_extents(&extents)?;
    Ok(extents.into_iter().filter(|extent| extent.len > 0).collect())
}

/// Rejects extents of one file that readers may read differently, or with which a small image claims to hold a large file.
fn check_extents(extents: &[Extent]) -> Result<()> {
    // Linux reads such an extent to the end of its last sector.
    let in_front = extents.split_last().map_or(&[][..], |(_, in_front)| in_front);
    let is_whole = |extent: &Extent| extent.len.is_multiple_of(SECTOR_BYTES);
    ensure!(in_front.iter().all(is_whole), "an extent of a file ends within a sector, but is not the last");
    let mut sorted: Vec<_> = extents.iter().copied().filter(|extent| extent.len > 0).collect();
    sorted.sort_unstable_by_key(|extent| extent.offset);
    let overlap = |pair: &[Extent]| pair[0].offset.saturating_add(pair[0].len) > pair[1].offset;
    ensure!(!sorted.windows(2).any(overlap), "extents of a file overlap");
    Ok(())
}
