//! Records in a directory, entries of Rock Ridge, and where sectors are in a head.
//!
//! Sources: ECMA-119, 7.3 and 9.1; SUSP, 4 and 5.1; RRIP, 4.1.5.

use std::{collections::HashMap, ops::Range};

use super::super::record_fields::{DATA_LEN, EXTENT, NAME};
use crate::image::SYSTEM_AREA_BYTES;

/// Bytes in a sector, to count in memory.
pub(super) const SECTOR: usize = 2048;

/// What the entries of a directory refer to, after it and others have moved.
pub(super) struct References<'a> {
    /// The first sector of each directory, by the one that it had before.
    pub(super) directories: &'a HashMap<usize, usize>,
    /// The first sector of the continuation areas of this directory, before and now.
    pub(super) continuations: (usize, usize),
}

impl References<'_> {
    /// Entries that refer to a sector refer to where that is now.
    pub(super) fn update(&self, area: &mut [u8]) {
        let mut at = 0;
        while let Some(len) = area.get(at + 2).map(|len| usize::from(*len)).filter(|len| *len >= 4) {
            let Some(entry) = area.get_mut(at..at + len) else { break };
            if len >= 12 {
                let sector = number(&entry[4..8]);
                let (old, new) = self.continuations;
                let now = match &entry[..2] {
                    b"CL" | b"PL" => self.directories.get(&sector).copied(),
                    b"CE" => sector.checked_sub(old).map(|after| after + new),
                    _ => None,
                };
                if let Some(now) = now {
                    entry[4..12].copy_from_slice(&both_orders(now));
                }
            }
            if special_of(entry).is_some() {
                // Bytes without a meaning (SUSP, 5.2).
                entry[..2].copy_from_slice(b"PD");
                entry[4..].fill(0);
            }
            at += len;
        }
    }
}

/// hadris has no FIFOs and sockets. They are laid out as devices of a number that no device has: its major one is this, and its minor
/// one is the type of file in a mode.
pub(in super::super) const SPECIAL: u32 = u32::MAX;
pub(in super::super) const FIFO: u32 = 0o010_000;
pub(in super::super) const SOCKET: u32 = 0o140_000;

/// The type of file of a FIFO or a socket, if an entry of Rock Ridge is that of one.
pub(super) fn special_of(entry: &[u8]) -> Option<u32> {
    let device = |at: usize| Some(u32::from_le_bytes(entry.get(at..at + 4)?.try_into().ok()?));
    (entry.starts_with(b"PN") && device(4)? == SPECIAL).then(|| device(12)).flatten()
}

/// Sets the type of file in the modes of a system use area (RRIP, 4.1.1).
pub(super) fn set_type(area: &mut [u8], kind: u32) {
    const PERMISSIONS: usize = 0o7777;
    let mut at = 0;
    while let Some(len) = area.get(at + 2).map(|len| usize::from(*len)).filter(|len| *len >= 4) {
        if let Some(entry) = area.get_mut(at..at + len)
            && entry.starts_with(b"PX")
            && len >= 12
        {
            let mode = number(&entry[4..8]) & PERMISSIONS | kind as usize;
            entry[4..12].copy_from_slice(&both_orders(mode));
        }
        at += len;
    }
}

/// The records in the bytes of a directory: where each is.
pub(super) fn records_in(bytes: &[u8]) -> impl Iterator<Item = Range<usize>> {
    let mut at = 0;
    std::iter::from_fn(move || {
        while let Some(len) = bytes.get(at).map(|len| usize::from(*len)) {
            if len > 0 {
                let record = at..at + len;
                at = record.end;
                return (record.end <= bytes.len() && len > NAME).then_some(record);
            }
            at = (at + 1).next_multiple_of(SECTOR);
        }
        None
    })
}

/// The entries of a system use area.
pub(super) fn entries_of(area: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = area;
    std::iter::from_fn(move || {
        let len = usize::from(*rest.get(2)?);
        let entry = rest.get(..len).filter(|_| len >= 4)?;
        rest = &rest[len..];
        Some(entry)
    })
}

/// Where the continuation area of an entry is in the head.
pub(super) fn continuation(entry: &[u8]) -> Range<usize> {
    let [sector, offset, len] = [4, 12, 20].map(|at| number(entry.get(at..at + 4).unwrap_or_default()));
    let start = position(sector).saturating_add(offset);
    start..start + len
}

/// The first sector and the length in a directory record.
pub(super) fn place_of(record: &[u8]) -> (usize, usize) {
    (number(&record[EXTENT..][..4]), number(&record[DATA_LEN..][..4]))
}

/// Where a sector is in the head.
pub(super) fn position(sector: usize) -> usize {
    (sector * SECTOR).saturating_sub(SYSTEM_AREA_BYTES)
}

/// The sector at a position in the head.
pub(super) fn sector_of(position: usize) -> usize {
    (position + SYSTEM_AREA_BYTES) / SECTOR
}

/// A little-endian number, or the first half of one in both byte orders.
pub(super) fn number(bytes: &[u8]) -> usize {
    bytes.iter().take(4).rev().fold(0, |number, byte| number << 8 | usize::from(*byte))
}

/// A number of 32 bits in both byte orders (ECMA-119, 7.3.3).
pub(super) fn both_orders(number: usize) -> [u8; 8] {
    let number = u32::try_from(number).unwrap_or(u32::MAX);
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    bytes
}
