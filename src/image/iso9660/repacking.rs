//! Puts other names in the primary tree of a head that was laid out with Rock Ridge: hadris makes the names of the primary tree by
//! rules of its own.
//!
//! Every directory is packed again with the new names, in its old place if it fits there and after the head otherwise, and the path
//! tables are made anew. The contents of files, the Joliet tree, and the continuation areas of Rock Ridge do not move.
//!
//! Sources: ECMA-119, 6.8, 6.9, 8.4 and 9; SUSP, 5.1; RRIP, 4.1.

use std::{
    cmp::Ordering,
    collections::{BTreeSet, HashMap, VecDeque},
    ops::Range,
};

use crate::error::{Context, Result, ensure};

use super::{
    primary_names::{Length, PrimaryNames},
    records::DirectoryRecord,
};
use crate::image::SYSTEM_AREA_BYTES;

/// Bytes in a sector, to count in memory.
const SECTOR: usize = 2048;

/// The most bytes of a directory record: its length is an even byte (ECMA-119, 9.1.1).
const RECORD_BYTES_MAX: usize = 254;

/// Where a directory record has its first sector, its length, its flags, the length of its identifier, and that.
const EXTENT: usize = 2;
const DATA_LEN: usize = 10;
const FLAGS: usize = 25;
const NAME_LEN: usize = 32;
const NAME: usize = 33;

/// The flag of a record that is not the last of its file.
const NOT_FINAL: u8 = 0x80;

/// Fields of a volume descriptor: the length of a path table, where the little-endian one is, where the big-endian one is, and the
/// record of the root.
const PATH_TABLE_LEN: Range<usize> = 132..140;
const PATH_TABLE_L: Range<usize> = 140..144;
const PATH_TABLE_M: Range<usize> = 148..152;
const ROOT_RECORD: usize = 156;
/// What a descriptor says about its tree.
const TREE: Range<usize> = 132..190;

/// The type and the version of an Enhanced Volume Descriptor (ISO 9660:1999, 8.5).
const ENHANCED: [u8; 2] = [2, 2];
const VERSION: usize = 6;

/// A directory of the primary tree.
struct Directory {
    parent: usize,
    /// Its first sector, and its length in bytes, as hadris has laid it out.
    old: (usize, usize),
    /// The same, as packed again.
    new: (usize, usize),
    /// Its own record and that of its parent.
    own: [Vec<u8>; 2],
    entries: Vec<Entry>,
}

/// A file or directory in a directory.
struct Entry {
    name: Vec<u8>,
    identifier: Vec<u8>,
    /// One record, or one for each extent.
    records: Vec<Vec<u8>>,
    /// Which directory it is.
    directory: Option<usize>,
}

/// The names in `head`, the bytes after the system area, become those that `rules` makes. `rock_ridge`: the names, modes and owners of
/// Rock Ridge stay. `head` grows if a directory does not fit into its place.
pub(super) fn repack(head: &mut Vec<u8>, rules: &PrimaryNames, rock_ridge: bool) -> Result<()> {
    head.resize(head.len().next_multiple_of(SECTOR), 0);
    let mut packing = Packing { head, rock_ridge, continuations: Vec::new() };
    let mut directories = packing.read()?;
    for number in 0..directories.len() {
        name_entries(&mut directories, number, rules);
    }
    packing.place(&mut directories);
    packing.write(&directories)?;
    packing.write_path_tables(&directories)?;
    if rules.length == Length::Unlimited {
        packing.share_with_enhanced();
    }
    Ok(())
}

struct Packing<'a> {
    head: &'a mut Vec<u8>,
    rock_ridge: bool,
    /// Where the continuation areas are in the head.
    continuations: Vec<Range<usize>>,
}

impl Packing<'_> {
    /// The directories of the primary tree, each after its parent.
    fn read(&mut self) -> Result<Vec<Directory>> {
        let root = self.head.get(ROOT_RECORD..).context("an image has a descriptor")?;
        let mut waiting = VecDeque::from([(0, place_of(root))]);
        let mut directories = Vec::new();
        while let Some((parent, old)) = waiting.pop_front() {
            let mut records = self.records(old)?.into_iter();
            let own = [records.next(), records.next()].map(Option::unwrap_or_default);
            let mut entries: Vec<Entry> = Vec::new();
            for record in records {
                if let Some(last) = entries.last_mut()
                    && last.records.last().is_some_and(|record| record[FLAGS] & NOT_FINAL != 0)
                {
                    last.records.push(record);
                    continue;
                }
                let name = self.name(&record)?;
                let is_directory =
                    DirectoryRecord::parse(&record)?.is_some_and(|record| record.is_directory());
                let directory = is_directory.then(|| {
                    waiting.push_back((directories.len(), place_of(&record)));
                    directories.len() + waiting.len()
                });
                entries.push(Entry { name, identifier: Vec::new(), records: vec![record], directory });
            }
            directories.push(Directory { parent, old, new: old, own, entries });
        }
        Ok(directories)
    }

    /// The records of a directory.
    fn records(&self, (sector, len): (usize, usize)) -> Result<Vec<Vec<u8>>> {
        let start = position(sector);
        let mut records = Vec::new();
        let mut at = start;
        while at < start + len {
            match self.head.get(at).copied().context("a directory is in the head")? {
                0 => at = (at + 1).next_multiple_of(SECTOR),
                bytes => {
                    let record = self.head.get(at..at + usize::from(bytes));
                    records.push(record.context("a record is in the head")?.to_vec());
                    at += usize::from(bytes);
                }
            }
        }
        Ok(records)
    }

    /// The name of a file by Rock Ridge. Remembers where its continuation areas are.
    fn name(&mut self, record: &[u8]) -> Result<Vec<u8>> {
        let mut name = Vec::new();
        let mut area = system_use(record).to_vec();
        loop {
            let mut next = None;
            for entry in entries_of(&area) {
                match &entry[..2] {
                    b"NM" => name.extend(entry.get(5..).unwrap_or_default()),
                    b"CE" => next = Some(continuation(entry)),
                    _ => {}
                }
            }
            let Some(range) = next else { return Ok(name) };
            area = self.head.get(range.clone()).context("a continuation is in the head")?.to_vec();
            self.continuations.push(range);
        }
    }

    /// Gives every directory its place.
    fn place(&self, directories: &mut [Directory]) {
        let mut end = self.head.len();
        for directory in directories {
            let len = self.packed_len(directory);
            directory.new = if len <= directory.old.1 {
                // It keeps its length, with empty sectors at its end: bsdtar 3.6 loses all names of Rock Ridge if there is a gap
                // between a directory and the continuation areas of its records.
                directory.old
            } else {
                end += len;
                (sector_of(end - len), len)
            };
        }
    }

    /// The bytes of a directory: whole sectors, none of which a record crosses.
    fn packed_len(&self, directory: &Directory) -> usize {
        let own = directory.own.iter().map(|record| self.record_len(record, 1));
        let others = directory.entries.iter().flat_map(|entry| {
            entry.records.iter().map(|record| self.record_len(record, entry.identifier.len()))
        });
        own.chain(others).fold(0, |at, len| place_record(at, len) + len).next_multiple_of(SECTOR)
    }

    fn record_len(&self, record: &[u8], identifier: usize) -> usize {
        let system_use = if self.rock_ridge { system_use(record).len() } else { 0 };
        ((NAME + identifier).next_multiple_of(2) + system_use).next_multiple_of(2)
    }

    /// Writes the directories to their places.
    fn write(&mut self, directories: &[Directory]) -> Result<()> {
        let moved: HashMap<_, _> =
            directories.iter().map(|directory| (directory.old.0, directory.new.0)).collect();
        for directory in directories {
            let (start, len) = (position(directory.old.0), directory.old.1);
            self.head[start..start + len].fill(0);
        }
        let end = directories.iter().map(|directory| position(directory.new.0) + directory.new.1).max();
        let end = end.unwrap_or_default().max(self.head.len());
        self.head.resize(end, 0);
        for directory in directories {
            let parent = directories[directory.parent].new;
            let own = [(&directory.own[0], &b"\0"[..], directory.new), (&directory.own[1], b"\x01", parent)];
            let mut records: Vec<_> = own
                .into_iter()
                .map(|(record, identifier, place)| self.record(record, identifier, Some(place), &moved))
                .collect();
            let mut entries: Vec<_> = directory.entries.iter().collect();
            entries.sort_by(|one, other| compare(&one.identifier, &other.identifier));
            for entry in entries {
                let place = entry.directory.map(|number| directories[number].new);
                records.extend(
                    entry.records.iter().map(|record| self.record(record, &entry.identifier, place, &moved)),
                );
            }
            let start = position(directory.new.0);
            let mut at = 0;
            for record in records {
                ensure!(record.len() <= RECORD_BYTES_MAX, "a name is too long for a directory record");
                at = place_record(at, record.len());
                self.head[start + at..][..record.len()].copy_from_slice(&record);
                at += record.len();
            }
        }
        if self.rock_ridge {
            for range in self.continuations.clone() {
                point_to(&mut self.head[range], &moved);
            }
        } else {
            for range in std::mem::take(&mut self.continuations) {
                self.head[range].fill(0);
            }
        }
        let root = self.record(&self.head[ROOT_RECORD..][..=NAME], b"\0", Some(directories[0].new), &moved);
        self.head[ROOT_RECORD..][..root.len()].copy_from_slice(&root);
        Ok(())
    }

    /// A record with another identifier, and with another place if it is that of a directory.
    fn record(
        &self,
        old: &[u8],
        identifier: &[u8],
        place: Option<(usize, usize)>,
        moved: &HashMap<usize, usize>,
    ) -> Vec<u8> {
        let mut record = old[..NAME].to_vec();
        record[NAME_LEN] = u8::try_from(identifier.len()).unwrap_or(u8::MAX);
        record.extend(identifier);
        record.resize(record.len().next_multiple_of(2), 0);
        if self.rock_ridge {
            let mut area = system_use(old).to_vec();
            point_to(&mut area, moved);
            record.extend(area);
            record.resize(record.len().next_multiple_of(2), 0);
        }
        record[0] = u8::try_from(record.len()).unwrap_or(u8::MAX);
        if let Some((sector, len)) = place {
            record[EXTENT..][..8].copy_from_slice(&both_orders(sector));
            record[DATA_LEN..][..8].copy_from_slice(&both_orders(len));
        }
        record
    }

    /// Writes both path tables: the directories by their depth, the number of their parent, and their identifier (ECMA-119, 6.9.1).
    fn write_path_tables(&mut self, directories: &[Directory]) -> Result<()> {
        let mut order = vec![0];
        let mut numbers = vec![0; directories.len()];
        let mut at = 0;
        while at < order.len() {
            let directory = order[at];
            at += 1;
            numbers[directory] = at;
            let mut below: Vec<_> =
                directories[directory].entries.iter().filter(|entry| entry.directory.is_some()).collect();
            below.sort_by(|one, other| compare(&one.identifier, &other.identifier));
            order.extend(below.into_iter().filter_map(|entry| entry.directory));
        }
        let identifiers = identifiers_of(directories);
        let (mut little, mut big) = (Vec::new(), Vec::new());
        for &directory in &order {
            let identifier = identifiers[directory];
            let parent = u16::try_from(numbers[directories[directory].parent]).unwrap_or(u16::MAX);
            let sector = u32::try_from(directories[directory].new.0)?;
            for (table, sector, parent) in [
                (&mut little, sector.to_le_bytes(), parent.to_le_bytes()),
                (&mut big, sector.to_be_bytes(), parent.to_be_bytes()),
            ] {
                table.extend([u8::try_from(identifier.len())?, 0]);
                table.extend(sector);
                table.extend(parent);
                table.extend(identifier);
                table.resize(table.len().next_multiple_of(2), 0);
            }
        }
        let old_len = number(&self.head[PATH_TABLE_LEN]).next_multiple_of(SECTOR);
        let old_l = number(&self.head[PATH_TABLE_L]);
        let old_m = self.head[PATH_TABLE_M].iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
        let l = self.write_path_table(&little, old_l, old_len);
        let m = self.write_path_table(&big, old_m, old_len);
        self.head[PATH_TABLE_LEN].copy_from_slice(&both_orders(little.len()));
        self.head[PATH_TABLE_L].copy_from_slice(&u32::try_from(l)?.to_le_bytes());
        self.head[PATH_TABLE_M].copy_from_slice(&u32::try_from(m)?.to_be_bytes());
        Ok(())
    }

    /// Writes a path table over the old one if it fits there, and returns its sector.
    fn write_path_table(&mut self, table: &[u8], old_sector: usize, old_len: usize) -> usize {
        let start = position(old_sector);
        self.head[start..start + old_len].fill(0);
        if table.len() <= old_len {
            self.head[start..start + table.len()].copy_from_slice(table);
            return old_sector;
        }
        let sector = sector_of(self.head.len());
        self.head.extend(table);
        self.head.resize(self.head.len().next_multiple_of(SECTOR), 0);
        sector
    }

    /// An Enhanced Volume Descriptor describes the primary tree, as genisoimage has it at level 4.
    fn share_with_enhanced(&mut self) {
        const TERMINATOR: u8 = 255;
        let tree = self.head[TREE].to_vec();
        for descriptor in
            self.head.chunks_exact_mut(SECTOR).take_while(|descriptor| descriptor[0] != TERMINATOR)
        {
            if [descriptor[0], descriptor[VERSION]] == ENHANCED {
                descriptor[TREE].copy_from_slice(&tree);
            }
        }
    }
}

/// Makes the identifiers of what is in a directory.
fn name_entries(directories: &mut [Directory], number: usize, rules: &PrimaryNames) {
    let entries = &mut directories[number].entries;
    entries.sort_by(|one, other| one.name.cmp(&other.name));
    let names: Vec<_> = entries.iter().map(|entry| (&entry.name[..], entry.directory.is_some())).collect();
    let identifiers = rules.identifiers(&names);
    let mut taken = BTreeSet::new();
    for (entry, mut identifier) in entries.iter_mut().zip(identifiers) {
        let room = entry
            .records
            .iter()
            .map(|record| (RECORD_BYTES_MAX - NAME).saturating_sub(system_use(record).len() + 1));
        // What Rock Ridge says is in the same record.
        identifier.truncate(room.min().unwrap_or_default().max(1));
        // The names of a directory itself and of the one above.
        if let [0 | 1] = identifier[..] {
            identifier = b"_".to_vec();
        }
        let mut number = 0_usize;
        while !taken.insert(identifier.clone()) {
            let digits = format!("{number:03}");
            identifier.truncate(identifier.len().saturating_sub(digits.len()));
            identifier.extend(digits.as_bytes());
            number += 1;
        }
        entry.identifier = identifier;
    }
}

/// The identifier of each directory.
fn identifiers_of(directories: &[Directory]) -> Vec<&[u8]> {
    let mut identifiers = vec![&b"\0"[..]; directories.len()];
    for directory in directories {
        for entry in &directory.entries {
            if let Some(number) = entry.directory {
                identifiers[number] = &entry.identifier;
            }
        }
    }
    identifiers
}

/// The order of identifiers in a directory: by name and by extension, each as if it ended in blanks, then by version (ECMA-119, 9.3).
fn compare(one: &[u8], other: &[u8]) -> Ordering {
    let parts = |identifier: &[u8]| -> (Vec<u8>, Vec<u8>) {
        let end = identifier.iter().position(|byte| *byte == b';').unwrap_or(identifier.len());
        let dot = identifier[..end].iter().position(|byte| *byte == b'.').unwrap_or(end);
        (identifier[..dot].to_vec(), identifier.get(dot + 1..end).unwrap_or_default().to_vec())
    };
    let padded = |one: &[u8], other: &[u8]| {
        let len = one.len().max(other.len());
        let bytes =
            |text: &[u8]| text.iter().copied().chain(std::iter::repeat(b' ')).take(len).collect::<Vec<_>>();
        bytes(one).cmp(&bytes(other))
    };
    let (one_parts, other_parts) = (parts(one), parts(other));
    padded(&one_parts.0, &other_parts.0)
        .then_with(|| padded(&one_parts.1, &other_parts.1))
        .then_with(|| one.cmp(other))
}

/// Where a record of `len` bytes begins in a directory that has `at` bytes: in the next sector if it would end in it.
fn place_record(at: usize, len: usize) -> usize {
    if at % SECTOR + len > SECTOR { at.next_multiple_of(SECTOR) } else { at }
}

/// The system use area of a record.
fn system_use(record: &[u8]) -> &[u8] {
    let start = (NAME + usize::from(record[NAME_LEN])).next_multiple_of(2);
    record.get(start..).unwrap_or_default()
}

/// The entries of a system use area.
fn entries_of(area: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = area;
    std::iter::from_fn(move || {
        let len = usize::from(*rest.get(2)?);
        let entry = rest.get(..len).filter(|_| len >= 4)?;
        rest = &rest[len..];
        Some(entry)
    })
}

/// Where a continuation area is in the head.
fn continuation(entry: &[u8]) -> Range<usize> {
    let [sector, offset, len] = [4, 12, 20].map(|at| number(entry.get(at..at + 4).unwrap_or_default()));
    let start = position(sector).saturating_add(offset);
    start..start + len
}

/// Entries that refer to directories refer to their new places.
fn point_to(area: &mut [u8], moved: &HashMap<usize, usize>) {
    let mut at = 0;
    while let Some(len) = area.get(at + 2).map(|len| usize::from(*len)).filter(|len| *len >= 4) {
        let Some(entry) = area.get_mut(at..at + len) else { break };
        if matches!(&entry[..2], b"CL" | b"PL")
            && len >= 12
            && let Some(sector) = moved.get(&number(&entry[4..8]))
        {
            entry[4..12].copy_from_slice(&both_orders(*sector));
        }
        at += len;
    }
}

/// The first sector and the length in a directory record.
fn place_of(record: &[u8]) -> (usize, usize) {
    (number(&record[EXTENT..][..4]), number(&record[DATA_LEN..][..4]))
}

/// Where a sector is in the head.
fn position(sector: usize) -> usize {
    (sector * SECTOR).saturating_sub(SYSTEM_AREA_BYTES)
}

/// The sector at a position in the head.
fn sector_of(position: usize) -> usize {
    (position + SYSTEM_AREA_BYTES) / SECTOR
}

/// A little-endian number, or the first half of one in both byte orders.
fn number(bytes: &[u8]) -> usize {
    bytes.iter().take(4).rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// A number of 32 bits in both byte orders (ECMA-119, 7.3.3).
fn both_orders(number: usize) -> [u8; 8] {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    bytes
}
