//! The path tables of the primary tree, and the order of identifiers.
//!
//! Sources: ECMA-119, 6.9.1, 8.4 and 9.3.

use std::{cmp::Ordering, ops::Range};

use super::{
    fields::{SECTOR, both_orders, number, position, sector_of},
    tree::Directory,
};
use crate::error::Result;

/// Fields of a volume descriptor: the length of a path table, where the little-endian one is, and where the big-endian one is.
const PATH_TABLE_LEN: Range<usize> = 132..140;
const PATH_TABLE_L: Range<usize> = 140..144;
const PATH_TABLE_M: Range<usize> = 148..152;

/// Writes both path tables: the directories by their depth, the number of their parent, and their identifier.
pub(super) fn write(head: &mut Vec<u8>, directories: &[Directory]) -> Result<()> {
    let (order, numbers) = order_of(directories);
    let identifiers = identifiers_of(directories);
    let (mut little, mut big) = (Vec::new(), Vec::new());
    for directory in order {
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
    let old_len = number(&head[PATH_TABLE_LEN]).next_multiple_of(SECTOR);
    let old_l = number(&head[PATH_TABLE_L]);
    let old_m = head[PATH_TABLE_M].iter().fold(0, |number, byte| number << 8 | usize::from(*byte));
    let l = write_one(head, &little, old_l, old_len);
    let m = write_one(head, &big, old_m, old_len);
    head[PATH_TABLE_LEN].copy_from_slice(&both_orders(little.len()));
    head[PATH_TABLE_L].copy_from_slice(&u32::try_from(l)?.to_le_bytes());
    head[PATH_TABLE_M].copy_from_slice(&u32::try_from(m)?.to_be_bytes());
    Ok(())
}

/// Writes a path table over the old one if it fits there, and returns its sector.
fn write_one(head: &mut Vec<u8>, table: &[u8], old_sector: usize, old_len: usize) -> usize {
    let start = position(old_sector);
    head[start..start + old_len].fill(0);
    if table.len() <= old_len {
        head[start..start + table.len()].copy_from_slice(table);
        return old_sector;
    }
    let sector = sector_of(head.len());
    head.extend(table);
    head.resize(head.len().next_multiple_of(SECTOR), 0);
    sector
}

/// The directories in the order of a path table, and the number in it of each, from 1 on.
fn order_of(directories: &[Directory]) -> (Vec<usize>, Vec<usize>) {
    let mut order = vec![0];
    let mut numbers = vec![0; directories.len()];
    let mut at = 0;
    while let Some(&directory) = order.get(at) {
        at += 1;
        numbers[directory] = at;
        // What is in a directory is in the order of its identifiers.
        order.extend(directories[directory].entries.iter().filter_map(|entry| entry.directory));
    }
    (order, numbers)
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
pub(super) fn compare(one: &[u8], other: &[u8]) -> Ordering {
    let parts = |identifier: &'_ [u8]| -> (Range<usize>, Range<usize>) {
        let end = identifier.iter().position(|byte| *byte == b';').unwrap_or(identifier.len());
        let dot = identifier[..end].iter().position(|byte| *byte == b'.').unwrap_or(end);
        (0..dot, (dot + 1).min(end)..end)
    };
    let ((name, extension), (other_name, other_extension)) = (parts(one), parts(other));
    compare_padded(&one[name], &other[other_name])
        .then_with(|| compare_padded(&one[extension], &other[other_extension]))
        .then_with(|| one.cmp(other))
}

/// The order of two texts as if the shorter one ended in blanks.
fn compare_padded(one: &[u8], other: &[u8]) -> Ordering {
    let common = one.len().min(other.len());
    let with_blanks = |rest: &[u8]| rest.iter().map(|byte| byte.cmp(&b' ')).find(|order| order.is_ne());
    let rest = || match with_blanks(&one[common..]) {
        Some(order) => order,
        None => with_blanks(&other[common..]).map_or(Ordering::Equal, Ordering::reverse),
    };
    one[..common].cmp(&other[..common]).then_with(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_ecma_119() {
        let ordered: [&[u8]; 9] =
            [b"A", b"A.;1", b"A.B;1", b"A.B;2", b"A.BA;1", b"A!.A;1", b"A-B.;1", b"AB.;1", b"B"];
        for (number, one) in ordered.iter().enumerate() {
            for other in &ordered[number + 1..] {
                assert_eq!(compare(one, other), Ordering::Less, "{one:?} {other:?}");
                assert_eq!(compare(other, one), Ordering::Greater, "{one:?} {other:?}");
            }
        }
        // A blank has no weight, and what is less than a blank has.
        assert_eq!(compare_padded(b"A", b"A  "), Ordering::Equal);
        assert_eq!(compare_padded(b"A", b"A\n"), Ordering::Greater);
        assert_eq!(compare_padded(b"A\n", b"A "), Ordering::Less);
    }
}
