//! The entries of a directory as they are read ("FAT Directory Structure").
//!
//! Names are those that Linux shows: the long name if it fits the short one behind it, else the short name, in code page 437. A long
//! name that is incomplete, or belongs to another short name, is ignored, as everywhere.

use std::collections::HashMap;

use super::{
    date::FatDate,
    entries::{DIRECTORY, LAST_PART, LONG_NAME, LONG_NAME_PLACES, VOLUME_LABEL},
    format::{ENTRY_BYTES, LABEL_BYTES, LONG_NAME_UNITS},
    names::folded,
    short_names::{SHORT_NAME_BYTES, checksum},
};
use crate::error::{Context, Result, ensure};

/// The first byte of an entry that was deleted.
pub(super) const DELETED: u8 = 0xe5;

/// What stands for that byte at the start of a name.
pub(super) const DELETED_BYTE_IN_NAME: u8 = 0x05;

/// The most parts of a long name.
const PARTS_MAX: u8 = 20;

/// A file or a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) is_directory: bool,
    /// The first cluster; 0: it has none.
    pub(super) cluster: u32,
    /// Bytes in a file.
    pub(super) len: u64,
    /// When it was last changed.
    pub(super) date: FatDate,
}

/// A label and its date.
pub(super) type Label = ([u8; LABEL_BYTES], FatDate);

/// What is in a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Listing {
    pub(super) entries: Vec<Entry>,
    /// The label of the volume, if this is its root directory.
    pub(super) label: Option<Label>,
}

/// The parts of a long name so far.
struct LongName {
    /// The number of the part that must come next; 0: it is complete.
    next: u8,
    checksum: u8,
    /// The characters, of which the first parts are missing.
    units: Vec<u16>,
}

impl Listing {
    /// Reads the entries in `bytes`.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let mut listing = Self::default();
        let mut long = None;
        let mut names = Names::default();
        listing.label = find_label(bytes);
        let mut all = bytes.chunks_exact(ENTRY_BYTES);
        for entry in all.by_ref().take_while(|entry| entry[0] != 0) {
            let attributes = entry[11];
            if entry[0] == DELETED {
                long = None;
            } else if attributes == LONG_NAME {
                long = LongName::with(long.take(), entry);
            } else if attributes & VOLUME_LABEL != 0 {
                long = None;
            } else {
                let entry = read(entry, long.take())?;
                if let Some((entry, short)) = entry {
                    names.add(&entry.name, &short)?;
                    listing.entries.push(entry);
                }
            }
        }
        // Linux reads on, other systems do not.
        ensure!(
            all.all(|entry| matches!(entry[0], 0 | DELETED)),
            "the directory has files after its end, which Linux shows and other systems do not"
        );
        Ok(listing)
    }
}

/// The label in the entries of a root directory: the first that blkid takes for one (util-linux, libblkid/src/superblocks/vfat.c,
/// `search_fat_label`). One with a cluster is none.
pub(super) fn find_label(bytes: &[u8]) -> Option<Label> {
    const ALL_ATTRIBUTES: u8 = 0x3f;
    let mut entries = bytes.chunks_exact(ENTRY_BYTES).take_while(|entry| entry[0] != 0);
    let is_label = |attributes: u8| {
        attributes & ALL_ATTRIBUTES != LONG_NAME && attributes & (VOLUME_LABEL | DIRECTORY) == VOLUME_LABEL
    };
    let has_cluster = |entry: &[u8]| number(entry, 20) != 0 || number(entry, 26) != 0;
    entries.find(|entry| entry[0] != DELETED && is_label(entry[11]) && !has_cluster(entry)).map(label)
}

fn number(entry: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([entry[at], entry[at + 1]])
}

fn date(entry: &[u8]) -> FatDate {
    FatDate { date: number(entry, 24), time: number(entry, 22) }
}

fn label(entry: &[u8]) -> Label {
    let mut label = [b' '; LABEL_BYTES];
    label.copy_from_slice(&entry[..LABEL_BYTES]);
    (label, date(entry))
}

/// Reads a short entry, with the long name before it, and gives its short name, too. `None`: it is `.` or `..`.
fn read(entry: &[u8], long: Option<LongName>) -> Result<Option<(Entry, String)>> {
    let mut stored = [0; SHORT_NAME_BYTES];
    stored.copy_from_slice(&entry[..SHORT_NAME_BYTES]);
    if matches!(&stored, b".          " | b"..         ") {
        return Ok(None);
    }
    let short = short_name(stored, entry[12]);
    let long = long.filter(|long| long.next == 0 && long.checksum == checksum(&stored));
    let name = long.map_or_else(|| Ok(short.clone()), LongName::text)?;
    let is_valid =
        !matches!(&*name, "" | "." | "..") && !name.contains(['/', '\0']) && !name.ends_with(['.', ' ']);
    ensure!(is_valid && !name.contains(|char| char < ' '), "{name:?} is not a valid name");
    let cluster = u32::from(number(entry, 20)) << 16 | u32::from(number(entry, 26));
    let len = u32::from_le_bytes([entry[28], entry[29], entry[30], entry[31]]);
    let is_directory = entry[11] & DIRECTORY != 0;
    let entry = Entry {
        name,
        is_directory,
        cluster,
        len: if is_directory { 0 } else { len.into() },
        date: date(entry),
    };
    Ok(Some((entry, short)))
}

/// A short name as Linux shows it. `case`: which of its parts are in lower case.
fn short_name(mut stored: [u8; SHORT_NAME_BYTES], case: u8) -> String {
    const LOWER_BASE: u8 = 0x08;
    const LOWER_EXTENSION: u8 = 0x10;
    if stored[0] == DELETED_BYTE_IN_NAME {
        stored[0] = DELETED;
    }
    let part = |bytes: &[u8], is_lower: bool| {
        let end = bytes.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
        let text: String = bytes[..end].iter().map(|byte| decoded(*byte)).collect();
        if is_lower { text.to_ascii_lowercase() } else { text }
    };
    let base = part(&stored[..8], case & LOWER_BASE != 0);
    let extension = part(&stored[8..], case & LOWER_EXTENSION != 0);
    if extension.is_empty() { base } else { format!("{base}.{extension}") }
}

/// A character of code page 437, the one that Linux takes for short names.
pub(super) fn decoded(byte: u8) -> char {
    const UPPER: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";
    let upper = byte.checked_sub(0x80).and_then(|number| UPPER.chars().nth(number.into()));
    upper.unwrap_or(char::from(byte & 0x7f))
}

impl LongName {
    /// The name with a further part. `None`: it does not belong to it, and does not begin another.
    fn with(before: Option<Self>, entry: &[u8]) -> Option<Self> {
        let (part, checksum) = (entry[0] & !LAST_PART, entry[13]);
        let mut name = if entry[0] & LAST_PART != 0 {
            (1..=PARTS_MAX).contains(&part).then(|| Self { next: part, checksum, units: Vec::new() })
        } else {
            before
        }?;
        if name.next != part || part == 0 || name.checksum != checksum {
            return None;
        }
        name.next -= 1;
        let mut units = Vec::with_capacity(LONG_NAME_UNITS + name.units.len());
        units.extend(
            LONG_NAME_PLACES.into_iter().flat_map(|place| place.step_by(2)).map(|at| number(entry, at)),
        );
        units.append(&mut name.units);
        name.units = units;
        Some(name)
    }

    fn text(self) -> Result<String> {
        let end = self.units.iter().position(|unit| *unit == 0).unwrap_or(self.units.len());
        String::from_utf16(&self.units[..end]).ok().context("a long name is not valid UTF-16")
    }
}

/// The names of a directory, long and short: each finds one file, whichever way a reader compares them.
#[derive(Default)]
struct Names {
    /// The number of the file by name.
    known: HashMap<String, usize>,
    count: usize,
}

impl Names {
    fn add(&mut self, name: &str, short: &str) -> Result<()> {
        self.count += 1;
        for name in [name, short] {
            let other = self.known.insert(folded(name), self.count);
            ensure!(
                other.is_none_or(|other| other == self.count),
                "a directory has two files that are called {name:?}, counting short names"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &[u8; 11], attributes: u8, case: u8) -> Vec<u8> {
        let mut entry = vec![0; 32];
        entry[..11].copy_from_slice(name);
        (entry[11], entry[12]) = (attributes, case);
        entry
    }

    fn names(bytes: &[u8]) -> Result<Vec<String>> {
        Ok(Listing::parse(bytes)?.entries.into_iter().map(|entry| entry.name).collect())
    }

    fn with_long_name(name: &str, short: &[u8; 11]) -> Vec<u8> {
        let mut bytes = Vec::new();
        super::super::entries::push_long(name, short, &mut bytes);
        bytes.extend(entry(short, 0x20, 0));
        bytes
    }

    #[test]
    fn code_page_437_has_128_characters() {
        let all: std::collections::HashSet<char> = (0..=255).map(decoded).collect();
        assert_eq!(all.len(), 256);
        assert_eq!([0x41, 0x81, 0xe1, 0xff].map(decoded), ['A', 'ü', 'ß', '\u{a0}']);
    }

    #[test]
    fn short_names_are_shown_as_linux_does() -> Result<()> {
        for (name, case, shown) in [
            (b"CONFIG     ", 0, "CONFIG"),
            (b"CONFIG     ", 0x08, "config"),
            (b"META    JSO", 0x18, "meta.jso"),
            (b"META    JSO", 0x10, "META.jso"),
            (b"\x05BC     \x81  ", 0, "σBC.ü"),
            (b"A B        ", 0, "A B"),
        ] {
            assert_eq!(names(&entry(name, 0x20, case))?, [shown]);
        }
        Ok(())
    }

    #[test]
    fn a_long_name_counts_only_if_it_is_whole_and_fits() -> Result<()> {
        let long = "network-config-of-the-machine";
        let whole = with_long_name(long, b"NETWOR~1   ");
        assert_eq!(names(&whole)?, [long]);
        for broken in 0..3 {
            for (at, byte) in [(0, 0x07), (0, DELETED), (13, 0), (0, LAST_PART | 0x15), (0, LAST_PART)] {
                let mut bytes = whole.clone();
                bytes[broken * 32 + at] = byte;
                assert_eq!(names(&bytes)?, ["NETWOR~1"], "{broken}: {at}, {byte:#x}");
            }
            let bytes = [&whole[..broken * 32], &whole[broken * 32 + 32..]].concat();
            assert_eq!(names(&bytes)?, ["NETWOR~1"]);
        }
        assert_eq!(names(&[&whole[..96], &entry(b"OTHER      ", 0x20, 0)].concat())?, ["OTHER"]);
        assert_eq!(names(&[&whole[..64], &whole].concat())?, [long], "another begins");
        Ok(())
    }

    #[test]
    fn what_readers_understand_differently_is_an_error() {
        let twice =
            [with_long_name("Config", b"CONFIG~1   "), with_long_name("config", b"CONFIG~2   ")].concat();
        let alias =
            [with_long_name("other", b"CONFIG     "), with_long_name("config", b"CONFIG~2   ")].concat();
        let behind = [entry(b"A          ", 0x20, 0), vec![0; 32], entry(b"B          ", 0x20, 0)].concat();
        for (bytes, why) in [
            (twice, "a directory has two files that are called \"config\""),
            (alias, "a directory has two files that are called \"config\""),
            (behind, "the directory has files after its end"),
            (with_long_name("a/b", b"AB         "), "\"a/b\" is not a valid name"),
            (with_long_name("..", b"AB         "), "\"..\" is not a valid name"),
            (with_long_name("a.", b"AB         "), "\"a.\" is not a valid name"),
            (entry(b"A\x01         ", 0x20, 0), "\"A\\u{1}\" is not a valid name"),
        ] {
            let error = names(&bytes).unwrap_err().to_string();
            assert!(error.starts_with(why), "{error}");
        }
    }

    #[test]
    fn deleted_entries_dots_and_labels_are_no_files() -> Result<()> {
        let mut deleted = with_long_name("deleted", b"DELETED    ");
        deleted.chunks_mut(32).for_each(|entry| entry[0] = DELETED);
        let label = entry(b"cidata     ", 0x08, 0);
        let bytes = [entry(b".          ", 0x10, 0), entry(b"..         ", 0x10, 0), deleted, label].concat();
        let listing = Listing::parse(&bytes)?;
        assert!(listing.entries.is_empty());
        assert_eq!(listing.label.map(|(label, _)| label), Some(*b"cidata     "));
        Ok(())
    }
}
