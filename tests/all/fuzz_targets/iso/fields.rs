//! Where structures of ISO 9660 have their fields, and how numbers are read and written.

use std::ops::Range;

use super::{
    Choices,
    map::{Map, Spot},
};

pub(crate) const SECTOR: usize = 2048;

/// The sector of the first descriptor (ECMA-119, 6.2.1).
pub(crate) const FIRST_DESCRIPTOR: usize = 16;

/// Where a descriptor has the record of its root directory (ECMA-119, 8.4.18).
pub(super) const ROOT_RECORD: usize = 156;

/// Bytes of a directory record before its name (ECMA-119, 9.1).
pub(super) const RECORD_BYTES: usize = 33;

pub(super) const RECORD_EXTENT: usize = 2;
pub(super) const RECORD_DATA_LEN: usize = 10;
pub(super) const RECORD_FLAGS: usize = 25;
pub(super) const RECORD_NAME_LEN: usize = 32;

pub(super) const FLAG_DIRECTORY: u8 = 2;
pub(super) const FLAG_NOT_FINAL: u8 = 0x80;

/// How the bytes of a number are arranged.
#[derive(Clone, Copy)]
pub(super) enum Form {
    Byte,
    Little32,
    Big32,
    Both16,
    Both32,
}

pub(super) fn little(image: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(image.get(at..at + 4)?.try_into().ok()?))
}

pub(super) fn little_of_big(image: &[u8], at: usize) -> u32 {
    little(image, at).unwrap_or(0).swap_bytes()
}

pub(super) fn little_len(image: &[u8], at: usize) -> usize {
    little(image, at).unwrap_or(0) as usize
}

/// The bytes of the directory that the record at `at` names, in whole sectors, as far as the image has them.
pub(super) fn extent_of(image: &[u8], at: usize) -> Option<Range<usize>> {
    const DIRECTORY_BYTES_MAX: usize = 32 * SECTOR;
    let start = (little(image, at + RECORD_EXTENT)? as usize).checked_mul(SECTOR)?;
    let len = little_len(image, at + RECORD_DATA_LEN).min(DIRECTORY_BYTES_MAX).next_multiple_of(SECTOR);
    let end = start.checked_add(len)?.min(image.len());
    (start < end).then_some(start..end)
}

/// A number that a field could have: a place or a length on the image, a limit, or any other.
pub(super) fn number(image: &[u8], map: &Map, choices: &mut Choices<'_>) -> u32 {
    const LIMITS: [u32; 24] = [
        0,
        1,
        2,
        16,
        17,
        18,
        19,
        20,
        33,
        34,
        255,
        256,
        2047,
        2048,
        2049,
        4096,
        16384,
        65535,
        65536,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_f800,
        0xffff_fffe,
        u32::MAX,
    ];
    let sectors = u32::try_from(image.len() / SECTOR).unwrap_or(u32::MAX);
    let directory = |choices: &mut Choices<'_>| {
        let starts: Vec<_> = map.directories.iter().map(|directory| directory.start / SECTOR).collect();
        choices.one_of(&starts).and_then(|start| u32::try_from(start).ok())
    };
    match choices.below(6) {
        0 => choices.one_of(&LIMITS).unwrap_or(0),
        1 => u32::from(choices.byte()),
        2 => sectors.wrapping_add(u32::from(choices.byte())).wrapping_sub(2),
        3 => choices.number(),
        _ => directory(choices).unwrap_or(0),
    }
}

/// Writes a number. `sides`: of one that is there in both byte orders, only one may be changed.
pub(super) fn put(image: &mut [u8], at: usize, form: Form, number: u32, sides: u8) -> Option<()> {
    let [little, big] = [number.to_le_bytes(), number.to_be_bytes()];
    let (first, second) = (sides != 1, sides != 2);
    let mut write = |at: usize, bytes: &[u8]| {
        image.get_mut(at..at + bytes.len())?.copy_from_slice(bytes);
        Some(())
    };
    match form {
        Form::Byte => write(at, &little[..1]),
        Form::Little32 => write(at, &little),
        Form::Big32 => write(at, &big),
        Form::Both16 if first && second => write(at, &[little[0], little[1], big[2], big[3]]),
        Form::Both16 if first => write(at, &little[..2]),
        Form::Both16 => write(at + 2, &big[2..]),
        Form::Both32 if first && second => write(at, &[little, big].concat()),
        Form::Both32 if first => write(at, &little),
        Form::Both32 => write(at + 4, &big),
    }
}

/// Puts `bytes` before what is at `at`; what no longer fits before `end` is lost.
pub(super) fn insert(image: &mut [u8], Spot { at, end }: Spot, bytes: &[u8]) -> Option<()> {
    let room = image.get_mut(at..end)?;
    let len = bytes.len().min(room.len());
    room.rotate_right(len);
    room[..len].copy_from_slice(&bytes[..len]);
    Some(())
}

/// Removes `len` bytes at `at`; zeros follow before `end`.
pub(super) fn remove(image: &mut [u8], Spot { at, end }: Spot, len: usize) -> Option<()> {
    let room = image.get_mut(at..end)?;
    let len = len.min(room.len());
    room[..len].fill(0);
    room.rotate_left(len);
    Some(())
}

/// Sectors up to the last that is not all zeros. Whole sectors are compared, which stays fast where each comparison of the
/// target's own is counted.
pub(crate) fn used_sectors(image: &[u8]) -> usize {
    const ZEROS: [u8; SECTOR] = [0; SECTOR];
    let last = image.chunks(SECTOR).rposition(|sector| sector != &ZEROS[..sector.len()]);
    last.map_or(0, |last| last + 1)
}
