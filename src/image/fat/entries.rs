//! The entries of a directory as they are written: short ones, and long names in front of them ("FAT Long Directory Entries").

use super::{
    date::FatDate,
    format::{ENTRY_BYTES, LABEL_BYTES, LONG_NAME_UNITS},
    short_names::{SHORT_NAME_BYTES, ShortName, checksum},
};

/// Attributes of an entry.
pub(super) const VOLUME_LABEL: u8 = 0x08;
pub(super) const DIRECTORY: u8 = 0x10;
const ARCHIVE: u8 = 0x20;

/// The attributes by which an entry is a part of a long name.
pub(super) const LONG_NAME: u8 = 0x0f;

/// The bit in the number of the part that is the last of its name, and so the first that is stored.
pub(super) const LAST_PART: u8 = 0x40;

/// Where the characters of a long name are in an entry.
pub(super) const LONG_NAME_PLACES: [std::ops::Range<usize>; 3] = [1..11, 14..26, 28..32];

/// What a short entry says besides a name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Described {
    pub(super) is_directory: bool,
    pub(super) date: FatDate,
    /// The first cluster; 0: none.
    pub(super) cluster: u32,
    /// Bytes in a file, 0 for a directory.
    pub(super) len: u32,
}

/// How many entries a file takes at most.
pub(super) fn count(name: &str) -> u64 {
    1 + name.encode_utf16().count().div_ceil(LONG_NAME_UNITS) as u64
}

/// The entry of the label.
pub(super) fn label(label: [u8; LABEL_BYTES], date: FatDate) -> [u8; ENTRY_BYTES] {
    let mut entry = [0; ENTRY_BYTES];
    entry[..LABEL_BYTES].copy_from_slice(&label);
    entry[11] = VOLUME_LABEL;
    put(&mut entry, 22, date.time);
    put(&mut entry, 24, date.date);
    entry
}

/// A short entry.
pub(super) fn short(name: ShortName, it: Described) -> [u8; ENTRY_BYTES] {
    let mut entry = [0; ENTRY_BYTES];
    entry[..SHORT_NAME_BYTES].copy_from_slice(&name);
    entry[11] = if it.is_directory { DIRECTORY } else { ARCHIVE };
    let [low, high] =
        [it.cluster & 0xffff, it.cluster >> 16].map(|half| u16::try_from(half).unwrap_or_default());
    let FatDate { date, time } = it.date;
    // Created, accessed, written.
    for (at, number) in [(14, time), (16, date), (18, date), (20, high), (22, time), (24, date), (26, low)] {
        put(&mut entry, at, number);
    }
    entry[28..].copy_from_slice(&it.len.to_le_bytes());
    entry
}

/// Adds the parts of a long name, the last one first.
pub(super) fn push_long(name: &str, short: &ShortName, out: &mut Vec<u8>) {
    let units: Vec<_> = name.encode_utf16().collect();
    let sum = checksum(short);
    for (number, part) in (1_u8..).zip(units.chunks(LONG_NAME_UNITS)).collect::<Vec<_>>().into_iter().rev() {
        let is_last = usize::from(number) == units.len().div_ceil(LONG_NAME_UNITS);
        let mut entry = [0; ENTRY_BYTES];
        entry[0] = if is_last { number | LAST_PART } else { number };
        entry[11] = LONG_NAME;
        entry[13] = sum;
        // A name that does not fill its last part ends in a NUL.
        let units = part.iter().copied().chain([0]).chain(std::iter::repeat(0xffff));
        for (at, unit) in LONG_NAME_PLACES.into_iter().flat_map(|place| place.step_by(2)).zip(units) {
            put(&mut entry, at, unit);
        }
        out.extend(entry);
    }
}

fn put(entry: &mut [u8; ENTRY_BYTES], at: usize, number: u16) {
    entry[at..at + 2].copy_from_slice(&number.to_le_bytes());
}
