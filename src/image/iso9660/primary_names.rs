//! Names for the primary tree as genisoimage and xorrisofs make them: agents and guests read some images by these names alone.
//!
//! hadris makes names of its own; `repacking` puts these in their place. The rules are those that genisoimage 1.1.11 and xorrisofs
//! 1.5.4 were seen to follow, and a test compares the names with theirs.
//!
//! Where two names become one, genisoimage numbers them in the order in which the system lists the directory. Here that is the order
//! of their bytes, so that equal trees make equal images.

use std::collections::{HashMap, HashSet};

/// The longest identifier of ISO 9660:1999 in bytes, level 4 (ISO 9660:1999, 7.5.1).
const LEVEL_4_BYTES_MAX: usize = 207;

/// Characters of a name and of its extension at level 1 (ECMA-119, 10.1).
const LEVEL_1: (usize, usize) = (8, 3);

/// Whose names are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// Those of genisoimage, and of mkisofs.
    Genisoimage,
    /// Those of xorrisofs.
    Xorrisofs,
}

/// How many characters a name has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// Eight, and three of an extension (level 1).
    Short,
    /// 31 with the dot.
    Long,
    /// 37 with the dot, which no level allows.
    Longest,
    /// 207 bytes, whatever they are, without a version (level 4 of genisoimage).
    Unlimited,
}

/// The rules for the names of a primary tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of mkisofs")]
pub struct PrimaryNames {
    /// Whose they are.
    pub dialect: Dialect,
    /// How long they are.
    pub length: Length,
    /// Lower-case letters are kept.
    pub lower_case: bool,
    /// More than one dot is kept.
    pub many_dots: bool,
    /// A dot at the beginning is kept.
    pub leading_dot: bool,
    /// All characters of ASCII are kept.
    pub ascii: bool,
    /// `~`, `-` and `#` are kept.
    pub tilde_hyphen_hash: bool,
    /// A file without an extension has no dot at its end.
    pub omit_dot: bool,
    /// A file has no version.
    pub omit_version: bool,
}

impl PrimaryNames {
    /// The names of level 1.
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            length: Length::Short,
            lower_case: false,
            many_dots: false,
            leading_dot: false,
            ascii: false,
            tilde_hyphen_hash: false,
            omit_dot: false,
            omit_version: false,
        }
    }

    /// The identifiers of the files and directories of one directory: each name, and whether it is that of a directory. They are
    /// different. Names are in the order of their bytes.
    pub(super) fn identifiers(&self, names: &[(&[u8], bool)]) -> Vec<Vec<u8>> {
        let parts = names.iter().map(|(name, is_directory)| self.parts(name, *is_directory)).collect();
        let parts = match self.dialect {
            Dialect::Genisoimage => self.number_as_genisoimage(parts),
            Dialect::Xorrisofs => self.number_as_xorrisofs(names, parts),
        };
        let with_version = |(parts, (_, is_directory)): (Parts, &(&[u8], bool))| {
            let mut identifier = parts.joined();
            if !is_directory && !self.omit_version && self.length != Length::Unlimited {
                identifier.extend(b";1");
            }
            identifier
        };
        parts.into_iter().zip(names).map(with_version).collect()
    }

    fn parts(&self, name: &[u8], is_directory: bool) -> Parts {
        match self.dialect {
            Dialect::Genisoimage if self.length == Length::Unlimited => {
                Parts { name: name[..name.len().min(LEVEL_4_BYTES_MAX)].to_vec(), extension: None }
            }
            Dialect::Genisoimage => self.parts_of_genisoimage(name, is_directory),
            Dialect::Xorrisofs => self.parts_of_xorrisofs(name, is_directory),
        }
    }

    /// The most characters of a name with its dot.
    fn longest(&self) -> usize {
        match self.length {
            Length::Short => LEVEL_1.0 + 1 + LEVEL_1.1,
            Length::Long => 31,
            Length::Longest => 37,
            Length::Unlimited => LEVEL_4_BYTES_MAX,
        }
    }

    /// The byte that is in an identifier for one of a name.
    fn convert(&self, byte: u8) -> u8 {
        let kept = match byte {
            b'A'..=b'Z' | b'0'..=b'9' | b'_' => true,
            b'a'..=b'z' => self.lower_case,
            b'~' | b'-' | b'#' => self.ascii || self.tilde_hyphen_hash,
            byte => self.ascii && byte.is_ascii(),
        };
        match byte {
            byte if kept => byte,
            b'a'..=b'z' => byte.to_ascii_uppercase(),
            _ => b'_',
        }
    }

    fn parts_of_genisoimage(&self, name: &[u8], is_directory: bool) -> Parts {
        let last_dot = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte == b'.');
        let whole = name.len();
        let shortened;
        let name = match name.strip_suffix(b".tar.gz") {
            Some(start) if !self.many_dots => {
                shortened = [start, b".tgz"].concat();
                &shortened[..]
            }
            _ => name,
        };
        // A dot at the end, or before a '~', is the one that counts only if there is no other.
        let dot = last_dot(name).map(|dot| match name.get(dot + 1) {
            None | Some(b'~') => last_dot(&name[..dot]).unwrap_or(dot),
            Some(_) => dot,
        });
        // "tar.gz" is shortened too late for more of the name to remain.
        let after_dot = dot.map_or(0, |dot| if whole == name.len() { whole - dot } else { b".gz".len() });
        let longest = self.longest();
        let before_max = match self.length {
            Length::Short => LEVEL_1.0,
            _ if is_directory => longest,
            _ if dot.is_none() && self.omit_dot => longest,
            // A name that would just fit is cut like a longer one, by one more.
            _ if dot.is_none() => longest - 1 - usize::from(whole == longest - 1),
            _ => longest.saturating_sub(after_dot).max(longest / 2),
        };
        // A dot at the beginning is a character like others, unless it may be kept.
        let separator = dot.filter(|dot| *dot > 0 || self.leading_dot);
        let (mut base, mut extension) = (Vec::new(), None::<Vec<u8>>);
        let (mut before, mut after, mut lost) = (0, 0, 0);
        for (at, byte) in name.iter().enumerate() {
            if Some(at) == separator {
                if self.length != Length::Short && lost + base.len() >= longest {
                    break;
                }
                extension = Some(Vec::new());
                continue;
            }
            let converted = match byte {
                b'.' if self.many_dots && (at > 0 || self.leading_dot) => b'.',
                b'.' => b'_',
                byte => self.convert(*byte),
            };
            let len = lost + base.len() + extension.as_ref().map_or(0, |extension| extension.len() + 1);
            let is_full = self.length != Length::Short && len >= longest;
            let after_max = if self.length == Length::Short { LEVEL_1.1 } else { longest };
            // Dots count as characters of the name, even in the extension.
            let (count, most) = match extension {
                Some(_) if *byte != b'.' => (&mut after, after_max),
                _ => (&mut before, before_max),
            };
            if *count < most && !is_full {
                *count += 1;
                extension.as_mut().unwrap_or(&mut base).push(converted);
            } else if *byte == b'.' {
                // A dot takes its place even where it is left out.
                lost += 1;
            }
        }
        let extension = extension.or_else(|| (!is_directory && !self.omit_dot).then(Vec::new));
        Parts { name: base, extension }
    }

    /// Gives numbers to names that are there twice: the one that comes first in the order of bytes keeps its name.
    fn number_as_genisoimage(&self, mut parts: Vec<Parts>) -> Vec<Parts> {
        // It numbers what is before the first dot, whichever dot the extension is after.
        let plain: Vec<_> = parts.iter().map(|parts| Parts::at_first_dot(&parts.without_version())).collect();
        let mut owners: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut next = HashMap::new();
        for mut moved in (0..parts.len()).rev() {
            let mut identifier = parts[moved].without_version();
            while let Some(owner) = owners.get(&identifier).copied() {
                // The one that is there gives way to the later one.
                owners.insert(identifier, moved);
                moved = owner;
                parts[moved] = self.numbered(&plain[moved], &mut next, &owners);
                identifier = parts[moved].without_version();
            }
            owners.insert(identifier, moved);
        }
        parts
    }

    /// The name with the next free number of base 36, three digits or more.
    fn numbered(
        &self,
        plain: &Parts,
        next: &mut HashMap<Vec<u8>, usize>,
        owners: &HashMap<Vec<u8>, usize>,
    ) -> Parts {
        const DIGITS: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        let room = match self.length {
            Length::Short => LEVEL_1.0,
            _ => self.longest() - 1 - plain.extension.as_ref().map_or(0, Vec::len),
        };
        let mut stem = plain.clone();
        loop {
            stem.name = plain.name[..plain.name.len().min(room.max(4) - 3)].to_vec();
            let number = next.entry(stem.joined()).or_insert(0_usize);
            let mut left = *number;
            *number += 1;
            let mut digits = Vec::new();
            while left > 0 || digits.len() < 3 {
                digits.push(DIGITS[left % 36]);
                left /= 36;
            }
            digits.reverse();
            stem.name.extend(digits);
            if !owners.contains_key(&stem.without_version()) {
                return stem;
            }
        }
    }

    fn parts_of_xorrisofs(&self, name: &[u8], is_directory: bool) -> Parts {
        /// The fewest characters of a long extension.
        const AFTER_DOT_MIN: usize = 3;
        /// A byte that stands for a character that is not ASCII.
        const NOT_ASCII: u8 = 0xff;

        // Names are characters, and each that is not ASCII becomes one.
        let text = String::from_utf8_lossy(name);
        let characters: Vec<u8> = text
            .chars()
            .map(|character| u8::try_from(character).ok().filter(u8::is_ascii).unwrap_or(NOT_ASCII))
            .collect();
        let last_dot = characters.iter().rposition(|byte| *byte == b'.');
        let is_short = self.length == Length::Short;
        let separator = last_dot.filter(|dot| {
            // Level 1 has no empty name before an extension that would be cut, the others have no empty extension.
            let after = characters.len() - dot - 1;
            if is_short { *dot > 0 || after <= LEVEL_1.1 } else { after > 0 }
        });
        let (before, after) = match separator {
            Some(dot) => (&characters[..dot], &characters[dot + 1..]),
            None => (&characters[..], &[][..]),
        };
        let convert = |byte: &u8| match byte {
            b'.' if self.ascii => b'.',
            b'.' => b'_',
            byte => self.convert(*byte),
        };
        let room = self.longest() - 1;
        let (before_max, after_max) = match is_short {
            true => LEVEL_1,
            false if before.len() + after.len() <= room => (before.len(), after.len()),
            // Room is taken from a long extension first.
            false => {
                let after_max = after.len().min(room.saturating_sub(before.len()).max(AFTER_DOT_MIN));
                (room - after_max, after_max)
            }
        };
        let mut base: Vec<_> = before.iter().map(convert).take(before_max).collect();
        if is_short && separator.is_none() && characters.first() == Some(&b'.') {
            base[0] = b'_';
        }
        let extension: Vec<_> = after.iter().map(convert).take(after_max).collect();
        let has_dot = !extension.is_empty() || !is_directory && !self.omit_dot;
        Parts { name: base, extension: has_dot.then_some(extension) }
    }

    /// Gives numbers to all names that are there twice, in the order of their bytes.
    fn number_as_xorrisofs(&self, names: &[(&[u8], bool)], mut parts: Vec<Parts>) -> Vec<Parts> {
        let mut groups: HashMap<Vec<u8>, Vec<usize>> = HashMap::new();
        for (index, parts) in parts.iter().enumerate() {
            groups.entry(parts.joined()).or_default().push(index);
        }
        let mut taken: HashSet<_> = groups.keys().cloned().collect();
        let mut same: Vec<_> = groups.into_iter().filter(|(_, group)| group.len() > 1).collect();
        same.sort();
        // The first number that no group has tried, by the name without digits, how many they are, and how many the first has.
        let mut untried: HashMap<(Vec<u8>, usize, usize), usize> = HashMap::new();
        for (_, group) in same {
            let width = group.len().to_string().len();
            let mut number = 0_usize;
            for &index in &group {
                let is_directory = names[index].1;
                let plain = Parts::at_last_dot(&parts[index].joined());
                loop {
                    let digits = format!("{number:0width$}");
                    let stem = self.with_digits(&plain, is_directory, &vec![b'/'; digits.len()]).joined();
                    let next = untried.entry((stem, digits.len(), width)).or_default();
                    if *next > number {
                        number = *next;
                        continue;
                    }
                    number += 1;
                    *next = number;
                    let numbered = self.with_digits(&plain, is_directory, digits.as_bytes());
                    if taken.insert(numbered.joined()) {
                        parts[index] = numbered;
                        break;
                    }
                }
            }
        }
        parts
    }

    /// The name with these digits at the end of its first part. Of what is too long, an extension of more than three characters
    /// loses some first.
    fn with_digits(&self, plain: &Parts, is_directory: bool, digits: &[u8]) -> Parts {
        let mut extension = plain.extension.clone();
        let after = extension.as_ref().map_or(0, Vec::len);
        let room = if self.length == Length::Short {
            // Without a dot, a file has room where its extension would be.
            if extension.is_none() && !is_directory { LEVEL_1.0 + LEVEL_1.1 } else { LEVEL_1.0 }
        } else {
            let longest = self.longest() - 1;
            let over = (plain.name.len() + digits.len() + after).saturating_sub(longest);
            let cut = over.min(after.saturating_sub(3));
            if let Some(extension) = &mut extension {
                extension.truncate(after - cut);
            }
            longest - (after - cut)
        };
        let mut name = plain.name[..plain.name.len().min(room.saturating_sub(digits.len()))].to_vec();
        name.extend(digits);
        Parts { name, extension }
    }
}

/// An identifier without its version.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    name: Vec<u8>,
    /// What follows the dot. `None`: there is no dot.
    extension: Option<Vec<u8>>,
}

impl Parts {
    /// The parts of a name that has been made, at its first dot that is not at the beginning, if there is one.
    fn at_first_dot(joined: &[u8]) -> Self {
        let later = joined.iter().skip(1).position(|byte| *byte == b'.').map(|dot| dot + 1);
        Self::split(joined, later.or_else(|| joined.starts_with(b".").then_some(0)))
    }

    /// The parts of a name that has been made, at its last dot.
    fn at_last_dot(joined: &[u8]) -> Self {
        Self::split(joined, joined.iter().rposition(|byte| *byte == b'.'))
    }

    fn split(joined: &[u8], dot: Option<usize>) -> Self {
        match dot {
            Some(dot) => Self { name: joined[..dot].to_vec(), extension: Some(joined[dot + 1..].to_vec()) },
            None => Self { name: joined.to_vec(), extension: None },
        }
    }

    /// The name without what looks like a version, which genisoimage does not compare.
    fn without_version(&self) -> Vec<u8> {
        let mut joined = self.joined();
        let before = joined.iter().rposition(|byte| !byte.is_ascii_digit());
        if let Some(before) = before.filter(|at| joined[*at] == b';' && at + 1 < joined.len()) {
            joined.truncate(before);
        }
        joined
    }

    fn joined(&self) -> Vec<u8> {
        match &self.extension {
            Some(extension) => [&self.name[..], b".", extension].concat(),
            None => self.name.clone(),
        }
    }
}
