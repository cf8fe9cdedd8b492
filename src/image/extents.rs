//! Finds the files of a volume that share their bytes.
//!
//! A record takes 34 bytes and names up to 4 GiB, so a small image may name the same bytes many times. Files with the same
//! extents are treated as one file with several names. Any other overlap is an error. So all files together have at most as
//! many bytes as the image.

use std::collections::HashMap;

use crate::error::{Result, ensure};

use super::{Extent, Kind, Record};

/// For each record, the index of the first one with the same extents, which may be its own. Records without bytes, such as
/// directories and empty files, share nothing.
///
/// # Errors
/// Fails if extents of one file or of two files overlap without being the same.
pub fn sharing(records: &[&Record]) -> Result<Vec<usize>> {
    let mut first_with = HashMap::new();
    let mut firsts = Vec::with_capacity(records.len());
    let mut extents = Vec::new();
    for (index, record) in records.iter().enumerate() {
        if record.kind != Kind::File || record.len == 0 {
            firsts.push(index);
            continue;
        }
        let first = *first_with.entry(&record.extents).or_insert(index);
        firsts.push(first);
        if first == index {
            let filled = record.extents.iter().filter(|extent| extent.len > 0);
            extents.extend(filled.map(|&extent| (extent, index)));
        }
    }
    extents.sort_unstable_by_key(|(extent, index)| (extent.offset, *index));
    for pair in extents.windows(2) {
        let [(one, first), (other, second)] = [pair[0], pair[1]];
        let name = |index: usize| records[index].display_path();
        ensure!(
            end(one) <= other.offset,
            "files {:?} and {:?} overlap in part, which no file system can store",
            name(first),
            name(second)
        );
    }
    Ok(firsts)
}

fn end(extent: Extent) -> u64 {
    extent.offset.saturating_add(extent.len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, extents: &[(u64, u64)]) -> Record {
        let extents: Vec<_> = extents.iter().map(|&(offset, len)| Extent { offset, len }).collect();
        let len = extents.iter().map(|extent| extent.len).sum();
        Record { path: path.into(), kind: Kind::File, mode: None, len, extents }
    }

    fn sharing(records: &[Record]) -> Result<Vec<usize>> {
        super::sharing(&records.iter().collect::<Vec<_>>())
    }

    #[test]
    fn files_with_the_same_extents_are_one() {
        let records = [
            file("a", &[(0, 10)]),
            file("b", &[(10, 5), (20, 5)]),
            file("c", &[(0, 10)]),
            file("empty", &[(0, 0)]),
            file("d", &[(10, 5), (20, 5)]),
            file("void", &[]),
        ];
        assert_eq!(sharing(&records).unwrap(), [0, 1, 0, 3, 1, 5]);
    }

    #[test]
    fn extents_that_overlap_in_part_are_refused() {
        let refused = |records: &[Record]| sharing(records).unwrap_err().to_string();
        let said = refused(&[file("a", &[(0, 10)]), file("b", &[(9, 10)])]);
        assert!(said.starts_with("files \"a\" and \"b\" overlap in part"), "{said}");
        refused(&[file("a", &[(0, 10)]), file("b", &[(0, 9)])]);
        refused(&[file("a", &[(0, 10), (20, 1)]), file("b", &[(20, 1)])]);
        refused(&[file("a", &[(0, 10), (0, 10)])]);
        refused(&[file("a", &[(0, 1 << 40), (5, 10)])]);
        assert_eq!(sharing(&[file("a", &[(0, 10), (10, 10)]), file("b", &[(20, 1)])]).unwrap(), [0, 1]);
    }
}
