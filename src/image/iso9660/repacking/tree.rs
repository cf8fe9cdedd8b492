//! The primary tree of a head, as hadris has laid it out.

use std::{collections::VecDeque, ops::Range};

use super::{
    super::record_fields::{DIRECTORY, FLAGS, NOT_FINAL, system_use},
    fields::{SECTOR, continuation, entries_of, place_of, position, records_in, sector_of, special_of},
};
use crate::error::{Context, Result};

/// A directory of the primary tree.
pub(super) struct Directory {
    pub(super) parent: usize,
    /// Its first sector, and its length in bytes, as it was laid out.
    pub(super) old: (usize, usize),
    /// The same, as packed again.
    pub(super) new: (usize, usize),
    /// Its bytes, as it was laid out.
    bytes: Vec<u8>,
    /// Its own record and that of its parent, without names.
    own: [Vec<u8>; 2],
    pub(super) entries: Vec<Entry>,
    /// Where the continuation areas of its records are in the head. Their sectors follow those of the directory.
    pub(super) continuations: Vec<Range<usize>>,
}

/// A file or directory in a directory.
pub(super) struct Entry {
    pub(super) name: Vec<u8>,
    pub(super) identifier: Vec<u8>,
    /// Where its records are in the bytes of the directory: one, or one for each extent.
    records: Vec<Range<usize>>,
    /// Which directory it is.
    pub(super) directory: Option<usize>,
    /// The type in its mode, if it is a FIFO or a socket.
    pub(super) special: Option<u32>,
}

/// The directories of the primary tree of `head`, whose root has this record; each is after its parent.
pub(super) fn read(head: &[u8], root: &[u8]) -> Result<Vec<Directory>> {
    let mut waiting = VecDeque::from([(0, place_of(root))]);
    let mut directories = Vec::new();
    while let Some((parent, old)) = waiting.pop_front() {
        let number = directories.len();
        let mut directory = Directory::read(head, parent, old)?;
        let Directory { bytes, entries, .. } = &mut directory;
        for entry in entries.iter_mut().filter(|entry| entry.directory.is_some()) {
            let record = entry.records.first().context("every entry has a record")?;
            waiting.push_back((number, place_of(&bytes[record.clone()])));
            entry.directory = Some(number + waiting.len());
        }
        directories.push(directory);
    }
    Ok(directories)
}

impl Directory {
    /// The directory at `old`. The directories in it are not numbered yet.
    fn read(head: &[u8], parent: usize, old: (usize, usize)) -> Result<Self> {
        let (start, len) = (position(old.0), old.1);
        let bytes = head.get(start..start + len).context("a directory is in the head")?.to_vec();
        let (mut entries, mut continuations) = (Vec::<Entry>::new(), Vec::new());
        let mut records = records_in(&bytes);
        let mut own = [Vec::new(), Vec::new()];
        for own in &mut own {
            let range = records.next().context("a directory has a record of itself and of the one above")?;
            read_name(head, &bytes[range.clone()], &mut continuations)?;
            *own = without_names(&bytes[range]);
        }
        let mut is_continued = false;
        for range in records {
            let record = &bytes[range.clone()];
            let (name, special) = read_name(head, record, &mut continuations)?;
            match entries.last_mut().filter(|_| is_continued) {
                Some(last) => last.records.push(range),
                None => entries.push(Entry {
                    name,
                    identifier: Vec::new(),
                    directory: (record[FLAGS] & DIRECTORY != 0).then_some(0),
                    special,
                    records: vec![range],
                }),
            }
            is_continued = record[FLAGS] & NOT_FINAL != 0;
        }
        Ok(Self { parent, old, new: old, bytes, own, entries, continuations })
    }

    /// Its own record and that of its parent.
    pub(super) fn own(&self) -> [&[u8]; 2] {
        self.own.each_ref().map(Vec::as_slice)
    }

    /// The records of an entry.
    pub(super) fn records<'a>(&'a self, entry: &'a Entry) -> impl Iterator<Item = &'a [u8]> {
        entry.records.iter().map(|record| &self.bytes[record.clone()])
    }

    /// The sectors of its continuation areas: the first one, and how many there are.
    pub(super) fn continued(&self) -> (usize, usize) {
        let first = self.old.0 + self.old.1 / SECTOR;
        let end = self.continuations.iter().map(|range| sector_of(range.end.next_multiple_of(SECTOR))).max();
        (first, end.map_or(0, |end| end.saturating_sub(first)))
    }
}

/// A record of a directory itself or of the one above, without its name of Rock Ridge (RRIP, 4.1.4): genisoimage and xorrisofs store
/// none, and bsdtar shows that of the root in front of every path, as in `./user-data`.
fn without_names(record: &[u8]) -> Vec<u8> {
    let area = system_use(record);
    let entries = entries_of(area).filter(|entry| !entry.starts_with(b"NM"));
    let mut without = record[..record.len() - area.len()].to_vec();
    without.extend(entries.flatten());
    without
}

/// The name of a file by Rock Ridge, and its type if it is a FIFO or a socket. Adds to `continuations` where the continuation areas of its record are in the head.
fn read_name(
    head: &[u8],
    record: &[u8],
    continuations: &mut Vec<Range<usize>>,
) -> Result<(Vec<u8>, Option<u32>)> {
    let (mut name, mut special) = (Vec::new(), None);
    let mut area = system_use(record);
    loop {
        let mut next = None;
        for entry in entries_of(area) {
            match &entry[..2] {
                b"NM" => name.extend(entry.get(5..).unwrap_or_default()),
                b"CE" => next = Some(continuation(entry)),
                b"PN" => special = special_of(entry),
                _ => {}
            }
        }
        let Some(range) = next else { return Ok((name, special)) };
        area = head.get(range.clone()).context("a continuation is in the head")?;
        continuations.push(range);
    }
}
