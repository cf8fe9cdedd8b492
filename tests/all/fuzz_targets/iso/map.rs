//! Where the structures of an image are.

use std::{collections::BTreeSet, ops::Range};

use super::fields::*;

/// Where the structures of an image are.
#[derive(Default)]
pub(super) struct Map {
    pub(super) descriptors: Vec<usize>,
    /// The bytes of directories, whole sectors.
    pub(super) directories: Vec<Range<usize>>,
    /// Directory records, those in descriptors as well.
    pub(super) records: Vec<Spot>,
    /// Rock Ridge entries.
    pub(super) entries: Vec<Spot>,
    /// Records of path tables.
    pub(super) table_records: Vec<usize>,
}

/// A structure that begins with, or soon has, its length, and the end of what it is in.
#[derive(Clone, Copy)]
pub(super) struct Spot {
    pub(super) at: usize,
    pub(super) end: usize,
}

impl Map {
    /// Follows what can be followed. An image that has been mutated already has less of it.
    pub(super) fn of(image: &[u8]) -> Self {
        const STRUCTURES_MAX: usize = 1000;
        let mut map = Self::default();
        let mut queue = Vec::new();
        for sector in FIRST_DESCRIPTOR..FIRST_DESCRIPTOR + 8 {
            let at = sector * SECTOR;
            let Some(descriptor) = image.get(at..at + SECTOR) else { break };
            if descriptor[1..6] != *b"CD001" {
                break;
            }
            map.descriptors.push(at);
            if matches!(descriptor[0], 1 | 2) {
                map.records.push(Spot { at: at + ROOT_RECORD, end: at + ROOT_RECORD + 34 });
                queue.extend(extent_of(image, at + ROOT_RECORD));
                let little = little(image, at + 140).unwrap_or(0);
                let big = little_of_big(image, at + 148);
                for table in [little, big] {
                    map.add_table(image, table as usize * SECTOR, little_len(image, at + 132));
                }
            }
        }
        let mut seen = BTreeSet::new();
        while let Some(directory) = queue.pop() {
            if map.records.len() < STRUCTURES_MAX && seen.insert(directory.start) {
                map.add_directory(image, &directory, &mut queue);
                map.directories.push(directory);
            }
        }
        map
    }

    pub(super) fn add_table(&mut self, image: &[u8], start: usize, len: usize) {
        let end = start.saturating_add(len).min(image.len());
        let mut at = start;
        while at + 8 <= end && image[at] > 0 && self.table_records.len() < 100 {
            self.table_records.push(at);
            at += 8 + usize::from(image[at]).next_multiple_of(2);
        }
    }

    pub(super) fn add_directory(
        &mut self,
        image: &[u8],
        directory: &Range<usize>,
        queue: &mut Vec<Range<usize>>,
    ) {
        let mut at = directory.start;
        while at + RECORD_BYTES < directory.end {
            let len = usize::from(image[at]);
            if len <= RECORD_BYTES {
                at = (at / SECTOR + 1) * SECTOR;
                continue;
            }
            let end = (at + len).min(directory.end);
            self.records.push(Spot { at, end: directory.end });
            if image[at + RECORD_FLAGS] & FLAG_DIRECTORY != 0 {
                queue.extend(extent_of(image, at));
            }
            let name_end = at + RECORD_BYTES + usize::from(image[at + RECORD_NAME_LEN]);
            self.add_entries(image, name_end + name_end % 2, end);
            at += len;
        }
    }

    /// The Rock Ridge entries of a system use area, and of those that it continues in.
    pub(super) fn add_entries(&mut self, image: &[u8], mut at: usize, mut end: usize) {
        for _ in 0..4 {
            let mut next = None;
            while at + 4 <= end && image[at + 2] >= 4 {
                self.entries.push(Spot { at, end });
                if image[at..].starts_with(b"CE") {
                    let number = |field| little(image, at + field).map(|number| number as usize);
                    next = number(4).zip(number(12)).zip(number(20));
                }
                at += usize::from(image[at + 2]);
            }
            let Some(((sector, offset), len)) = next else { return };
            at = sector.saturating_mul(SECTOR).saturating_add(offset).min(image.len());
            end = at.saturating_add(len).min(image.len());
        }
    }
}
