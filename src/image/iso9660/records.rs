//! Directories and the records in them, decoded from their sectors.
//!
//! What readers interpret differently is an error, so that no reader sees other files than Linux does: a directory whose own
//! record points elsewhere, a record across sectors, interleaved files, a file whose records do not belong together; files with
//! extended attributes, which bsdtar takes for their first bytes; associated files, which it shows. A record may have an odd length,
//! although ECMA-119, 9.1.12, forbids it: `linuxkit metadata create` writes such records, and every reader except 7-Zip accepts them.
//!
//! Sources: ECMA-119, 6.8 and 9.1; for how Linux interprets it, `fs/isofs/{dir,namei,inode}.c`.

use crate::error::{Result, bail, ensure};

use super::{
    device::{Bounded, Sector},
    record_fields::{
        ASSOCIATED, ATTRIBUTES_SECTORS, DATA_LEN, DATE, DIRECTORY, EXTENT, FLAGS, GAP_LEN, NAME, NAME_LEN,
        NOT_FINAL, UNIT_LEN, system_use,
    },
};
use crate::image::SECTOR_BYTES;

/// The name of a directory's own record, which is its first (ECMA-119, 6.8.2.2).
const OWN_NAME: &[u8] = b"\0";

/// The name of the record of the directory above.
const ABOVE_NAME: &[u8] = b"\x01";

/// The most records of one file: Linux ignores those after them (`isofs_read_level3_size`).
pub(super) const PARTS_MAX: usize = 100;

/// Bytes of a date in a directory record (ECMA-119, 9.1.5).
pub(super) const DATE_BYTES: usize = 7;

/// A directory record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DirectoryRecord {
    bytes: Vec<u8>,
}

impl DirectoryRecord {
    /// The record at the start of `bytes`, which end where its sector or its directory does. `None`: the rest of the sector is
    /// empty.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>> {
        let len = match bytes.first() {
            None | Some(0) => return Ok(None),
            Some(&len) => usize::from(len),
        };
        ensure!(len > NAME && len <= bytes.len(), "invalid directory record");
        let bytes = &bytes[..len];
        let name_len = usize::from(bytes[NAME_LEN]);
        ensure!(name_len > 0 && NAME + name_len <= len, "invalid directory record");
        for field in [EXTENT, DATA_LEN] {
            let is_one = (0..4).all(|at| bytes[field + at] == bytes[field + 7 - at]);
            ensure!(is_one, "a number in a directory record differs between its two byte orders");
        }
        ensure!(
            bytes[UNIT_LEN] == 0 && bytes[GAP_LEN] == 0,
            "a file is interleaved, which Linux cannot read"
        );
        ensure!(bytes[ATTRIBUTES_SECTORS] == 0, "a file has extended attributes, which not all readers skip");
        ensure!(
            bytes[FLAGS] & ASSOCIATED == 0,
            "a file is associated with another, and not all readers hide it"
        );
        Ok(Some(Self { bytes: bytes.to_vec() }))
    }

    /// Its own length in bytes.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn name(&self) -> &[u8] {
        &self.bytes[NAME..][..usize::from(self.bytes[NAME_LEN])]
    }

    /// The system use area, for extensions of ISO 9660 (ECMA-119, 9.1.13).
    pub(super) fn system_use(&self) -> &[u8] {
        system_use(&self.bytes)
    }

    /// The first sector of the file or directory.
    pub(super) fn first_sector(&self) -> u64 {
        self.number(EXTENT)
    }

    pub(super) fn data_len(&self) -> u64 {
        self.number(DATA_LEN)
    }

    /// When it was recorded, which for most writers is when the content was last changed (ECMA-119, 9.1.5).
    pub(super) fn date(&self) -> Option<[u8; DATE_BYTES]> {
        self.bytes[DATE..].first_chunk().copied()
    }

    pub(super) fn is_directory(&self) -> bool {
        self.flags() & DIRECTORY != 0
    }

    fn flags(&self) -> u8 {
        self.bytes[FLAGS]
    }

    fn is_final(&self) -> bool {
        self.flags() & NOT_FINAL == 0
    }

    /// Whether it is the directory's own record, or that of the directory above.
    pub(super) fn names_itself_or_above(&self) -> bool {
        matches!(self.name(), OWN_NAME | ABOVE_NAME)
    }

    fn number(&self, at: usize) -> u64 {
        let bytes = &self.bytes[at..at + 4];
        bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
    }
}

/// A directory, and how far it has been read.
#[derive(Debug)]
pub(super) struct Directory {
    first_sector: u64,
    bytes: u64,
    at: u64,
    /// Its own record.
    own: DirectoryRecord,
    /// The record of the directory above.
    above: Option<DirectoryRecord>,
    has_odd_lengths: bool,
}

impl Directory {
    /// The directory that begins at this sector. Its own record states its length.
    pub(super) fn open(device: &mut Bounded, first_sector: u64) -> Result<Self> {
        let sector = device.sector(first_sector)?;
        let Some(own) = DirectoryRecord::parse(&sector[..])? else {
            bail!("a directory has no record for itself")
        };
        let is_own = own.name() == OWN_NAME && own.first_sector() == first_sector;
        ensure!(
            is_own && own.is_directory() && own.is_final(),
            "the first record of a directory is not for the directory itself"
        );
        let second = DirectoryRecord::parse(&sector[own.len()..])?;
        let above = second.filter(|second| second.name() == ABOVE_NAME && second.is_final());
        let lengths = [own.len(), above.as_ref().map_or(0, DirectoryRecord::len)];
        Ok(Self {
            first_sector,
            bytes: own.data_len(),
            at: lengths.iter().sum::<usize>() as u64,
            own,
            above,
            has_odd_lengths: lengths.iter().any(|len| !len.is_multiple_of(2)),
        })
    }

    pub(super) fn own(&self) -> &DirectoryRecord {
        &self.own
    }

    pub(super) fn above(&self) -> Option<&DirectoryRecord> {
        self.above.as_ref()
    }

    /// The sector after its last one.
    pub(super) fn end(&self) -> u64 {
        self.first_sector + self.bytes.div_ceil(SECTOR_BYTES)
    }

    pub(super) fn first_sector(&self) -> u64 {
        self.first_sector
    }

    /// Whether a record up to here has an odd length.
    pub(super) fn has_odd_lengths(&self) -> bool {
        self.has_odd_lengths
    }

    /// The records of the next file or directory: one, or for a file one for each extent.
    pub(super) fn next(&mut self, device: &mut Bounded) -> Result<Option<Vec<DirectoryRecord>>> {
        let Some(first) = self.next_record(device)? else { return Ok(None) };
        // Linux does not list such a record, but opens it by the name that its entries give it.
        ensure!(
            !first.names_itself_or_above(),
            "a directory has too many records for itself or the directory above"
        );
        ensure!(first.is_final() || !first.is_directory(), "a directory has more than one extent");
        let mut parts = vec![first];
        while !parts[parts.len() - 1].is_final() {
            let next = self.next_record(device)?;
            let fits = |next: &DirectoryRecord| {
                let other = next.flags() ^ parts[0].flags();
                next.name() == parts[0].name() && other & !NOT_FINAL == 0
            };
            let Some(next) = next.filter(fits) else { bail!("the records of a file do not belong together") };
            ensure!(
                parts.len() < PARTS_MAX,
                "a file has more than {PARTS_MAX} extents, which Linux cannot read"
            );
            parts.push(next);
        }
        Ok(Some(parts))
    }

    fn next_record(&mut self, device: &mut Bounded) -> Result<Option<DirectoryRecord>> {
        while self.at < self.bytes {
            let within = self.at % SECTOR_BYTES;
            let end = SECTOR_BYTES.min(within + self.bytes - self.at);
            let sector = device.sector(self.first_sector + self.at / SECTOR_BYTES)?;
            let part = usize::try_from(within)?..usize::try_from(end)?;
            if let Some(record) = DirectoryRecord::parse(&sector[part])? {
                self.at += record.bytes.len() as u64;
                self.has_odd_lengths |= !record.bytes.len().is_multiple_of(2);
                return Ok(Some(record));
            }
            self.at += SECTOR_BYTES - within;
        }
        Ok(None)
    }
}

/// Whether a directory that begins with this sector is empty to Linux, which then prefers Joliet to Rock Ridge
/// (`rootdir_empty`).
pub(super) fn is_empty(sector: &Sector) -> bool {
    let mut at = 0;
    for _ in 0..3 {
        match sector.get(at) {
            None | Some(0) => return true,
            Some(&len) => at += usize::from(len),
        }
    }
    false
}
