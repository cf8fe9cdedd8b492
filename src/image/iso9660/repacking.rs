//! Puts other names in the primary tree of a head that was laid out with Rock Ridge: hadris makes the names of the primary tree by
//! rules of its own.
//!
//! Every directory is packed again with the new names, in its old place if it fits there and after the head otherwise, and the path
//! tables are made anew. The contents of files and the Joliet tree do not move. The continuation areas of Rock Ridge go with their
//! directory: bsdtar reads them only if they directly follow it.
//!
//! Sources: ECMA-119, 6.8, 6.9, 8.4 and 9; SUSP, 5.1; RRIP, 4.1.

mod fields;
mod path_tables;
mod tree;

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
};

use crate::error::{Context, Result, ensure};

use super::{
    primary_names::{Length, PrimaryNames},
    record_fields::{DATA_LEN, EXTENT, NAME, NAME_LEN, system_use},
};
use fields::{References, SECTOR, both_orders, position, sector_of, set_type};
use tree::Directory;

pub(super) use fields::{FIFO, SOCKET, SPECIAL};

/// The most bytes of a directory record: its length is an even byte (ECMA-119, 9.1.1).
const RECORD_BYTES_MAX: usize = 254;

/// Where a volume descriptor has the record of the root.
const ROOT_RECORD: usize = 156;

/// What a descriptor says about its tree.
const TREE: Range<usize> = 132..190;

/// The type and the version of an Enhanced Volume Descriptor (ISO 9660:1999, 8.5).
const ENHANCED: [u8; 2] = [2, 2];
const VERSION: usize = 6;

/// The names in `head`, the bytes after the system area, become those that `rules` makes. `rock_ridge`: the names, modes and owners of
/// Rock Ridge stay. `head` grows if a directory does not fit into its place.
pub(super) fn repack(head: &mut Vec<u8>, rules: &PrimaryNames, rock_ridge: bool) -> Result<()> {
    head.resize(head.len().next_multiple_of(SECTOR), 0);
    let root = head.get(ROOT_RECORD..).context("an image has a descriptor")?;
    let mut directories = tree::read(head, root)?;
    for directory in &mut directories {
        name_entries(directory, rules);
    }
    let mut packing = Packing { head, rock_ridge };
    packing.place(&mut directories);
    packing.write(&directories)?;
    path_tables::write(packing.head, &directories)?;
    if rules.length == Length::Unlimited {
        packing.share_with_enhanced();
    }
    Ok(())
}

struct Packing<'a> {
    head: &'a mut Vec<u8>,
    rock_ridge: bool,
}

impl Packing<'_> {
    /// Gives every directory its place.
    fn place(&mut self, directories: &mut [Directory]) {
        for directory in directories {
            let len = self.packed_len(directory);
            if len > directory.old.1 {
                directory.new = (sector_of(self.head.len()), len);
                let continued = if self.rock_ridge { directory.continued().1 * SECTOR } else { 0 };
                self.head.resize(self.head.len() + len + continued, 0);
            }
            // Otherwise it keeps its length, with empty sectors at its end, so that its continuation areas follow it.
        }
    }

    /// The bytes of a directory: whole sectors, none of which a record crosses.
    fn packed_len(&self, directory: &Directory) -> usize {
        let own = directory.own().into_iter().map(|record| self.record_len(record, 1));
        let others = directory.entries.iter().flat_map(|entry| {
            directory.records(entry).map(|record| self.record_len(record, entry.identifier.len()))
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
        for directory in directories {
            let continuations = (directory.continued().0, directory.new.0 + directory.new.1 / SECTOR);
            let references = References { directories: &moved, continuations };
            self.write_continuations(directory, &references);
            self.write_records(directories, directory, &references)?;
        }
        let root = self.head[ROOT_RECORD..][..=NAME].to_vec();
        let references = References { directories: &moved, continuations: (usize::MAX, 0) };
        let mut record = Vec::new();
        self.put_record(&mut record, &root, b"\0", Some(directories[0].new), &references);
        self.head[ROOT_RECORD..][..record.len()].copy_from_slice(&record);
        Ok(())
    }

    /// Moves the continuation areas of a directory, or removes them without Rock Ridge.
    fn write_continuations(&mut self, directory: &Directory, references: &References) {
        let (old, new) = references.continuations;
        let from = position(old)..position(old + directory.continued().1);
        if self.rock_ridge {
            for range in &directory.continuations {
                references.update(&mut self.head[range.clone()]);
            }
            if old != new {
                self.head.copy_within(from.clone(), position(new));
            }
        }
        if old != new || !self.rock_ridge {
            self.head[from].fill(0);
        }
    }

    fn write_records(
        &mut self,
        directories: &[Directory],
        directory: &Directory,
        references: &References,
    ) -> Result<()> {
        let mut packed = Vec::with_capacity(directory.new.1);
        let mut record = Vec::with_capacity(RECORD_BYTES_MAX);
        let mut put = |old: &[u8], identifier: &[u8], place, special| {
            record.clear();
            self.put_record(&mut record, old, identifier, place, references);
            if let (Some(kind), true) = (special, self.rock_ridge) {
                let start = (NAME + identifier.len()).next_multiple_of(2);
                set_type(&mut record[start..], kind);
            }
            ensure!(record.len() <= RECORD_BYTES_MAX, "a name is too long for a directory record");
            packed.resize(place_record(packed.len(), record.len()), 0);
            packed.extend_from_slice(&record);
            Ok(())
        };
        let [own, above] = directory.own();
        put(own, b"\0", Some(directory.new), None)?;
        put(above, b"\x01", Some(directories[directory.parent].new), None)?;
        for entry in &directory.entries {
            let place = entry.directory.map(|number| directories[number].new);
            for old in directory.records(entry) {
                put(old, &entry.identifier, place, entry.special)?;
            }
        }
        ensure!(packed.len() <= directory.new.1, "a directory has outgrown its place");
        self.head[position(directory.new.0)..][..packed.len()].copy_from_slice(&packed);
        Ok(())
    }

    /// Adds a record with another identifier, and with another place if it is that of a directory.
    fn put_record(
        &self,
        record: &mut Vec<u8>,
        old: &[u8],
        identifier: &[u8],
        place: Option<(usize, usize)>,
        references: &References,
    ) {
        record.extend_from_slice(&old[..NAME]);
        record[NAME_LEN] = u8::try_from(identifier.len()).unwrap_or(u8::MAX);
        record.extend_from_slice(identifier);
        record.resize(record.len().next_multiple_of(2), 0);
        if self.rock_ridge {
            let start = record.len();
            record.extend_from_slice(system_use(old));
            references.update(&mut record[start..]);
            record.resize(record.len().next_multiple_of(2), 0);
        }
        record[0] = u8::try_from(record.len()).unwrap_or(u8::MAX);
        if let Some((sector, len)) = place {
            record[EXTENT..][..8].copy_from_slice(&both_orders(sector));
            record[DATA_LEN..][..8].copy_from_slice(&both_orders(len));
        }
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

/// Makes the identifiers of what is in a directory, and puts it in their order.
fn name_entries(directory: &mut Directory, rules: &PrimaryNames) {
    directory.entries.sort_by(|one, other| one.name.cmp(&other.name));
    let names: Vec<_> =
        directory.entries.iter().map(|entry| (&entry.name[..], entry.directory.is_some())).collect();
    let mut identifiers = rules.identifiers(&names);
    let mut taken = BTreeSet::new();
    for (entry, identifier) in directory.entries.iter().zip(&mut identifiers) {
        let room = directory
            .records(entry)
            .map(|record| (RECORD_BYTES_MAX - NAME).saturating_sub(system_use(record).len() + 1));
        // What Rock Ridge says is in the same record.
        identifier.truncate(room.min().unwrap_or_default().max(1));
        // The names of a directory itself and of the one above.
        if let [0 | 1] = identifier[..] {
            *identifier = b"_".to_vec();
        }
        let mut number = 0_usize;
        while !taken.insert(identifier.clone()) {
            let digits = format!("{number:03}");
            identifier.truncate(identifier.len().saturating_sub(digits.len()));
            identifier.extend(digits.as_bytes());
            number += 1;
        }
    }
    for (entry, identifier) in directory.entries.iter_mut().zip(identifiers) {
        entry.identifier = identifier;
    }
    // How many sectors the records need depends on their order.
    directory.entries.sort_by(|one, other| path_tables::compare(&one.identifier, &other.identifier));
}

/// Where a record of `len` bytes begins in a directory that has `at` bytes: in the next sector if it would end in it.
fn place_record(at: usize, len: usize) -> usize {
    if at % SECTOR + len > SECTOR { at.next_multiple_of(SECTOR) } else { at }
}
