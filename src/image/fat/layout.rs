//! Lays out a volume: its directories first, then the files in memory, then the large ones. Each has clusters that follow one
//! another.
//!
//! hadris-fat 3.0.0-rc.2 is not used for this. It takes time with the square of the number of files in a directory (4,000 long names:
//! 15 s), reads contents only from memory, and writes labels in upper case, where some agents look for `config-2` in lower case.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::{
    boot_sector::{ROOT_CLUSTER, reserved_area, set_serial},
    date::FatDate,
    entries::{self, Described},
    format::{ENTRIES_MAX, ENTRY_BYTES, FILE_BYTES_MAX, FatKind, LABEL_BYTES},
    geometry::{Geometry, Needs, SECTOR_BYTES, Shape, TABLES},
    short_names::{ShortName, short_names},
};
use crate::{
    error::{Context, Result, ensure},
    image::{AttributesByPath, Extent, LONG_BYTES, staging::FilePlace},
};

/// What a volume is like, apart from its files.
#[derive(Clone, Debug)]
pub(super) struct VolumeAttributes {
    pub(super) label: [u8; LABEL_BYTES],
    /// The date of everything that has no other.
    pub(super) date: FatDate,
    /// The dates of files and directories.
    pub(super) attributes: AttributesByPath,
    /// Directories that may have no files.
    pub(super) directories: Vec<Vec<u8>>,
    /// An old volume whose size it should have.
    pub(super) shape: Option<Shape>,
}

/// What precedes the large files.
#[derive(Debug, Default)]
pub(super) struct Head {
    /// Its bytes, up to the end of the last file in memory.
    pub(super) bytes: Vec<u8>,
    /// Where the directories and the contents begin in it.
    pub(super) directories: u64,
    /// Bytes in the image.
    pub(super) image_bytes: u64,
    /// Where each file is, in the order in which they were given. An empty file has an offset of 0.
    pub(super) extents: Vec<Extent>,
}

/// A directory, or a file by its number.
#[derive(Clone, Copy)]
enum Node {
    Directory(usize),
    File(usize),
}

/// A directory that is being laid out.
#[derive(Default)]
struct Directory {
    path: Vec<u8>,
    parent: usize,
    children: BTreeMap<String, Node>,
}

impl Directory {
    fn entries(&self) -> u64 {
        self.children.keys().map(|name| entries::count(name)).sum()
    }
}

/// A run of clusters.
#[derive(Clone, Copy, Default)]
struct Run {
    /// The first cluster; 0: there is none.
    first: u32,
    count: u32,
}

/// Lays out `files`. Large ones have an extent whose offset does not count.
pub(super) fn lay_out(volume: &VolumeAttributes, files: &[(&[u8], FilePlace)]) -> Result<Head> {
    let directories = tree(files.iter().map(|(name, _)| *name), &volume.directories);
    for (name, place) in files {
        ensure!(
            len_of(place) <= FILE_BYTES_MAX,
            "file {:?} has more than {FILE_BYTES_MAX} bytes, the most that FAT stores",
            String::from_utf8_lossy(name)
        );
    }
    let needs = Needs {
        files: files.iter().map(|(_, place)| len_of(place)).collect(),
        // With `.` and `..`.
        directories: directories[1..].iter().map(|directory| 2 + directory.entries()).collect(),
        root_entries: 1 + directories[0].entries(),
        aligned: files.iter().any(|(_, place)| len_of(place) >= LONG_BYTES),
    };
    let is_too_long = |entries: &u64| *entries > ENTRIES_MAX;
    ensure!(
        !needs.directories.iter().chain([&needs.root_entries]).any(is_too_long),
        "a directory has too many files for FAT"
    );
    let geometry = volume.shape.and_then(|shape| Geometry::like(shape, &needs));
    let geometry = geometry.or_else(|| Geometry::smallest(&needs));
    let geometry = geometry.context("the files are too large for one FAT volume")?;
    let plan = Plan::new(geometry, &needs, files);
    let mut head = Head { image_bytes: geometry.bytes, ..Head::default() };
    head.extents =
        files.iter().zip(&plan.files).map(|((_, place), run)| plan.extent(*run, len_of(place))).collect();
    plan.write(volume, &directories, files, &mut head);
    Ok(head)
}

/// The directories of these files, the root first and each before what is in it.
fn tree<'a>(files: impl Iterator<Item = &'a [u8]>, empty: &'a [Vec<u8>]) -> Vec<Directory> {
    let mut all = vec![Directory::default()];
    let mut known: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    let files = files.enumerate().map(|(number, path)| (path, Some(Node::File(number))));
    for (path, node) in files.chain(empty.iter().map(|path| (path.as_slice(), None))) {
        let text = String::from_utf8_lossy(path);
        let mut names: Vec<_> = text.split('/').collect();
        let file = node.map(|node| (names.pop().unwrap_or_default().to_owned(), node));
        let mut at = 0;
        let mut above = Vec::new();
        for name in names {
            above.extend_from_slice(name.as_bytes());
            let next = *known.entry(above.clone()).or_insert_with(|| {
                all.push(Directory { path: above.clone(), parent: at, ..Directory::default() });
                all.len() - 1
            });
            all[at].children.insert(name.to_owned(), Node::Directory(next));
            at = next;
            above.push(b'/');
        }
        if let Some((name, node)) = file {
            all[at].children.insert(name, node);
        }
    }
    all
}

/// Which clusters everything has.
struct Plan {
    geometry: Geometry,
    /// The root directory first. It has none unless the volume is FAT32.
    directories: Vec<Run>,
    files: Vec<Run>,
    /// The first free cluster.
    end: u32,
}

impl Plan {
    fn new(geometry: Geometry, needs: &Needs, files: &[(&[u8], FilePlace)]) -> Self {
        let mut end = ROOT_CLUSTER;
        let mut run = |len: u64| {
            let count = u32::try_from(len.div_ceil(geometry.cluster_bytes)).unwrap_or(u32::MAX);
            let first = if count == 0 { 0 } else { end };
            end = end.saturating_add(count);
            Run { first, count }
        };
        let is_fixed = geometry.kind != FatKind::Fat32;
        let root = if is_fixed { 0 } else { needs.root_entries };
        let entries = [root].into_iter().chain(needs.directories.iter().copied());
        let directories = entries.map(|entries| run(entries * ENTRY_BYTES as u64)).collect();
        let mut runs = vec![Run::default(); files.len()];
        for large in [false, true] {
            for ((run_of, len), (_, place)) in runs.iter_mut().zip(&needs.files).zip(files) {
                if matches!(place, FilePlace::Behind(_)) == large {
                    *run_of = run(*len);
                }
            }
        }
        Self { geometry, directories, files: runs, end }
    }

    fn extent(&self, run: Run, len: u64) -> Extent {
        let offset = |cluster: u32| {
            self.geometry.data_start() + u64::from(cluster - ROOT_CLUSTER) * self.geometry.cluster_bytes
        };
        Extent { offset: if run.first == 0 { 0 } else { offset(run.first) }, len }
    }

    fn write(
        &self,
        volume: &VolumeAttributes,
        directories: &[Directory],
        files: &[(&[u8], FilePlace)],
        head: &mut Head,
    ) {
        let geometry = &self.geometry;
        let used = u64::from(self.end - ROOT_CLUSTER);
        let free = u32::try_from(geometry.clusters - used).unwrap_or_default();
        let mut bytes = reserved_area(geometry, volume.label, (free, self.end));
        let table = self.table();
        for _ in 0..TABLES {
            bytes.extend(&table);
        }
        head.directories = bytes.len() as u64;
        let mut put = |offset: u64, content: &[u8]| {
            let start = usize::try_from(offset).unwrap_or_default();
            let end = start + content.len();
            if bytes.len() < end {
                bytes.resize(end, 0);
            }
            bytes[start..end].copy_from_slice(content);
        };
        put(geometry.data_start(), &[]);
        for (number, directory) in directories.iter().enumerate() {
            let run = self.directories[number];
            let place = self.extent(run, 0).offset;
            let offset = if run.first == 0 { geometry.root_start() } else { place };
            put(offset, &self.entries(volume, directory, number, files));
        }
        for ((_, place), extent) in files.iter().zip(&head.extents) {
            if let FilePlace::Head(data) = place
                && extent.len > 0
            {
                put(extent.offset, data.as_bytes().unwrap_or_default());
            }
        }
        // Equal volumes have equal serial numbers.
        let digest = Sha256::digest(&bytes);
        set_serial(&mut bytes, geometry.kind, [digest[0], digest[1], digest[2], digest[3]]);
        head.bytes = bytes;
    }

    /// The file allocation table ("FAT Data Structure").
    fn table(&self) -> Vec<u8> {
        const MEDIA: u32 = 0x0fff_fff8;
        const END: u32 = 0x0fff_ffff;
        let mut entries = vec![MEDIA, END];
        let mut runs: Vec<_> =
            self.directories.iter().chain(&self.files).filter(|run| run.first > 0).collect();
        runs.sort_by_key(|run| run.first);
        for run in runs {
            entries.extend(run.first + 1..run.first + run.count);
            entries.push(END);
        }
        let mut table = match self.geometry.kind {
            FatKind::Fat12 => {
                // Two entries in three bytes.
                let pair = |pair: &[u32]| {
                    let both = pair[0] & 0xfff | (pair.get(1).copied().unwrap_or(0) & 0xfff) << 12;
                    let [first, second, third, _] = both.to_le_bytes();
                    [first, second, third]
                };
                entries.chunks(2).flat_map(pair).collect::<Vec<_>>()
            }
            FatKind::Fat16 => {
                entries.iter().flat_map(|entry| [0, 1].map(|at| entry.to_le_bytes()[at])).collect()
            }
            FatKind::Fat32 => entries.iter().flat_map(|entry| entry.to_le_bytes()).collect(),
        };
        table.resize(usize::try_from(self.geometry.table_sectors * SECTOR_BYTES).unwrap_or_default(), 0);
        table
    }

    /// The entries of a directory.
    fn entries(
        &self,
        volume: &VolumeAttributes,
        directory: &Directory,
        number: usize,
        files: &[(&[u8], FilePlace)],
    ) -> Vec<u8> {
        let date_of = |path: &[u8]| {
            let known = volume.attributes.get(path).and_then(|attributes| attributes.modified);
            known.map_or(volume.date, FatDate::of)
        };
        let described =
            |cluster, path: &[u8]| Described { is_directory: true, date: date_of(path), cluster, len: 0 };
        let mut out = Vec::new();
        if number == 0 {
            out.extend(entries::label(volume.label, volume.date));
        } else {
            // The parent has cluster 0 if it is the root directory, also on FAT32.
            let parent = if directory.parent == 0 { 0 } else { self.directories[directory.parent].first };
            out.extend(entries::short(dots(1), described(self.directories[number].first, &directory.path)));
            out.extend(entries::short(dots(2), described(parent, &directory.path)));
        }
        let names: Vec<_> = directory.children.keys().map(String::as_str).collect();
        for ((name, node), (short, needs_long)) in directory.children.iter().zip(short_names(&names)) {
            if needs_long {
                entries::push_long(name, &short, &mut out);
            }
            let path = if number == 0 {
                name.as_bytes().to_vec()
            } else {
                [&directory.path[..], b"/", name.as_bytes()].concat()
            };
            out.extend(entries::short(
                short,
                match *node {
                    Node::Directory(below) => described(self.directories[below].first, &path),
                    Node::File(file) => Described {
                        is_directory: false,
                        date: date_of(&path),
                        cluster: self.files[file].first,
                        len: u32::try_from(len_of(&files[file].1)).unwrap_or(u32::MAX),
                    },
                },
            ));
        }
        out
    }
}

fn len_of(place: &FilePlace) -> u64 {
    match place {
        FilePlace::Head(data) => data.len(),
        FilePlace::Behind(extent) => extent.len,
    }
}

/// The name `.` or `..`.
fn dots(count: usize) -> ShortName {
    let mut name = [b' '; 11];
    name[..count].fill(b'.');
    name
}
