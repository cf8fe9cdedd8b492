//! Bounds the cost of laying out names that become the same in a tree of the image.
//!
//! hadris gives such names the suffixes `_1`, `_2` and so on, and tries them from `_1` on for each name (3.0.0-rc.2,
//! `plan/directory.rs`, `dedup`). The time is quadratic: 7,000 names in 64 KiB took seconds. So the cost is computed beforehand,
//! in one pass, and bounded. The test `hadris_still_takes_quadratic_time_for_equal_names` fails when this is no longer needed.

use std::collections::{BTreeMap, BTreeSet, HashMap, hash_map::Entry};

/// How many suffixes hadris may try for all names of an image: as many as 1,024 equal names in one directory need.
const TRIES_MAX: u64 = 1 << 19;

/// Characters of a file name in the plain tree, with a dot and without a version (ECMA-119, 7.5.1).
const PLAIN_CHARACTERS_MAX: usize = 30;

/// Characters of a directory name in the plain tree (ECMA-119, 7.6.3).
const PLAIN_DIRECTORY_CHARACTERS_MAX: usize = 31;

/// Characters of a Joliet name.
const JOLIET_CHARACTERS_MAX: usize = 64;

/// A tree of the image whose names are converted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ConvertedTree {
    Plain,
    Joliet,
}

/// An identifier as hadris makes it, without a version, in UCS-2: what precedes the last dot, and the rest.
#[derive(Clone, Debug)]
struct Identifier {
    base: Vec<u16>,
    extension: Vec<u16>,
}

impl ConvertedTree {
    fn identifier(self, name: &str, is_directory: bool) -> Identifier {
        let plain =
            |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() as u16 } else { u16::from(b'_') };
        let cut = |text: &str, max: usize| text.chars().take(max).map(plain).collect::<Vec<_>>();
        match (self, name.rsplit_once('.')) {
            (Self::Plain, _) if is_directory => {
                Identifier { base: cut(name, PLAIN_DIRECTORY_CHARACTERS_MAX), extension: Vec::new() }
            }
            // A file name without an extension ends with a dot.
            (Self::Plain, None) => Identifier { base: cut(name, PLAIN_CHARACTERS_MAX), extension: vec![DOT] },
            (Self::Plain, Some((base, extension))) => {
                let extension = cut(extension, PLAIN_CHARACTERS_MAX - 2);
                let base = cut(base, PLAIN_CHARACTERS_MAX - 1 - extension.len());
                Identifier { base, extension: [&[DOT], &*extension].concat() }
            }
            (Self::Joliet, _) => {
                let mut base: Vec<_> = name.chars().take(JOLIET_CHARACTERS_MAX).map(ucs2).collect();
                let dot = base.iter().rposition(|&unit| unit == DOT).unwrap_or(base.len());
                let extension = base.split_off(dot);
                Identifier { base, extension }
            }
        }
    }

    /// The parts of an identifier before and after a suffix of `suffix` characters.
    fn cut(self, Identifier { base, extension }: &Identifier, suffix: usize) -> (&[u16], &[u16]) {
        let (max, extension) = match self {
            Self::Plain => (PLAIN_CHARACTERS_MAX, &extension[..]),
            Self::Joliet => {
                (JOLIET_CHARACTERS_MAX, &extension[..extension.len().min(JOLIET_CHARACTERS_MAX - suffix)])
            }
        };
        (&base[..base.len().min(max.saturating_sub(extension.len() + suffix))], extension)
    }

    fn describe(self) -> &'static str {
        match self {
            Self::Plain => "in plain ISO 9660, which stores 30 letters, digits and underscores",
            Self::Joliet => "in Joliet, which stores 64 characters",
        }
    }
}

const DOT: u16 = b'.' as u16;

/// A character of a Joliet name; what Joliet reserves is replaced.
fn ucs2(c: char) -> u16 {
    let reserved = matches!(c, '\0'..='\x1f' | '*' | '/' | ':' | ';' | '?' | '\\');
    u16::try_from(u32::from(c)).ok().filter(|_| !reserved).unwrap_or(u16::from(b'_'))
}

/// The names of one directory in one tree.
#[derive(Default)]
struct Names<'a> {
    /// The identifiers that are taken, and by which name.
    taken: HashMap<Vec<u16>, &'a str>,
    /// For the parts before and after a suffix, and its number of digits: the first number that has not been tried.
    untried: HashMap<(Vec<u16>, Vec<u16>, u32), u64>,
}

impl<'a> Names<'a> {
    /// Adds a name as hadris does. Returns how many suffixes hadris tries, and the name that has the identifier already.
    fn add(&mut self, tree: ConvertedTree, name: &'a str, is_directory: bool) -> (u64, Option<&'a str>) {
        let identifier = tree.identifier(name, is_directory);
        let other = match self.taken.entry([&*identifier.base, &*identifier.extension].concat()) {
            Entry::Vacant(free) => {
                free.insert(name);
                return (0, None);
            }
            Entry::Occupied(taken) => *taken.get(),
        };
        let mut digits = 1;
        loop {
            let (front, behind) = tree.cut(&identifier, 1 + digits as usize);
            let key = (front.to_vec(), behind.to_vec(), digits);
            let untried = self.untried.entry(key).or_insert(10_u64.pow(digits - 1));
            while *untried < 10_u64.pow(digits) {
                let number = *untried;
                *untried += 1;
                let suffix: Vec<_> = format!("_{number}").encode_utf16().collect();
                if let Entry::Vacant(free) = self.taken.entry([front, &suffix, behind].concat()) {
                    free.insert(name);
                    return (number, Some(other));
                }
            }
            digits += 1;
        }
    }
}

/// Checks that `paths`, all files of an image, can be laid out at a reasonable cost.
///
/// # Errors
/// Fails if too many of them become the same in some tree. The error names a directory and two names in it.
pub(crate) fn check<'a>(paths: impl Iterator<Item = &'a [u8]>) -> Result<(), String> {
    // What is in each directory, directories first, as hadris has it.
    let mut directories: BTreeMap<&[u8], BTreeSet<(bool, &[u8])>> = BTreeMap::new();
    for mut path in paths {
        let mut is_file = true;
        loop {
            let (above, name) = match path.iter().rposition(|&byte| byte == b'/') {
                Some(end) => (&path[..end], &path[end + 1..]),
                None => (&[][..], path),
            };
            let known = !directories.entry(above).or_default().insert((is_file, name));
            if known || above.is_empty() {
                break;
            }
            (path, is_file) = (above, false);
        }
    }
    let mut tries = 0;
    for (directory, children) in directories {
        let children: Vec<_> =
            children.iter().map(|(is_file, name)| (*is_file, String::from_utf8_lossy(name))).collect();
        for tree in [ConvertedTree::Plain, ConvertedTree::Joliet] {
            let mut names = Names::default();
            for (is_file, name) in &children {
                let (more, other) = names.add(tree, name, !is_file);
                tries += more;
                if let Some(other) = other.filter(|_| tries > TRIES_MAX) {
                    let place = match directory {
                        [] => "the root directory".to_owned(),
                        _ => format!("directory {:?}", String::from_utf8_lossy(directory)),
                    };
                    let tree = tree.describe();
                    return Err(format!(
                        "too many names in {place} are the same {tree}, such as {other:?} and {name:?}"
                    ));
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;
    use crate::image::{
        iso9660::{
            layout::{ImageHead, VolumeAttributes},
            volume_format::VolumeFormat,
        },
        staging::{Data, FilePlace},
    };

    fn lay_out(names: &[String]) -> ImageHead {
        let files = names.iter().map(|name| (name.as_bytes(), FilePlace::Head(Data::bytes(*b""))));
        VolumeAttributes::new("X", 0, VolumeFormat::default()).unwrap().lay_out(files, 0).unwrap()
    }

    fn check(names: impl Iterator<Item = String>) -> Result<(), String> {
        let names: Vec<_> = names.collect();
        super::check(names.iter().map(String::as_bytes))
    }

    #[test]
    fn hadris_still_takes_quadratic_time_for_equal_names() {
        let time = |names: Vec<String>| {
            let one = || {
                let start = Instant::now();
                lay_out(&names);
                start.elapsed()
            };
            one().min(one())
        };
        let numbers = || 0..2000;
        let distinct = time(numbers().map(|number| format!("{number:04}{}", "n".repeat(30))).collect());
        let same = time(numbers().map(|number| format!("{}{number:04}", "n".repeat(30))).collect());
        assert!(
            same > 3 * distinct.max(Duration::from_millis(1)),
            "hadris lays out equal names in {same:?}, others in {distinct:?}: this module can go"
        );
    }

    #[test]
    fn identifiers_are_those_that_hadris_gives() {
        let n = |count: usize| "n".repeat(count);
        let mut names = vec![
            "a".to_owned(),
            "A".to_owned(),
            "a_1".to_owned(),
            "a.".to_owned(),
            "日".to_owned(),
            "本.txt".to_owned(),
            "語.txt".to_owned(),
            "a:b".to_owned(),
            "a*b".to_owned(),
            "😀".to_owned(),
            "a.b.c".to_owned(),
            "a b.c".to_owned(),
        ];
        for number in 0..12 {
            let long = [
                format!("{}{number}", n(64)),
                format!("{}{number}.txt", n(64)),
                format!("x{number}.{}", n(70)),
                format!("{}{number}/f", n(40)),
                format!("{number}x.{}", n(63)),
                format!(".{}{number}", n(70)),
            ];
            names.extend(long);
        }
        let head = lay_out(&names);
        let mut children: Vec<_> = names
            .iter()
            .map(|name| name.strip_suffix("/f").map_or((true, name.as_str()), |name| (false, name)))
            .collect();
        children.sort_unstable();
        for tree in [ConvertedTree::Plain, ConvertedTree::Joliet] {
            let mut all = Names::default();
            for (is_file, name) in &children {
                all.add(tree, name, !is_file);
            }
            assert_eq!(all.taken.len(), children.len());
            for identifier in all.taken.keys() {
                let bytes: Vec<u8> = match tree {
                    ConvertedTree::Plain => {
                        identifier.iter().map(|&unit| u8::try_from(unit).unwrap()).collect()
                    }
                    ConvertedTree::Joliet => identifier.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
                };
                // With the byte for the length in front, and the version at the end.
                let version =
                    if bytes.contains(&b'.') && tree == ConvertedTree::Plain { &b";1"[..] } else { b"" };
                let bytes = [&bytes, version].concat();
                let field = [&[u8::try_from(bytes.len()).unwrap()], &*bytes].concat();
                assert!(
                    head.bytes.windows(field.len()).any(|window| window == field),
                    "{tree:?}: {:?}",
                    String::from_utf16_lossy(identifier)
                );
            }
        }
    }

    #[test]
    fn a_thousand_names_may_become_the_same_and_no_more() {
        let n = |count: usize| "n".repeat(count);
        assert_eq!(check((0..16_000).map(|number| format!("configuration-file-{number:05}.txt"))), Ok(()));
        let names = |count: u32| {
            let n = n(30);
            (0..count).map(move |number| format!("d/{n}{number:04}"))
        };
        assert_eq!(check(names(1024)), Ok(()));
        let why = check(names(1025)).unwrap_err();
        let all = n(30);
        let expected = format!(
            "too many names in directory \"d\" are the same in plain ISO 9660, which stores 30 letters, digits and underscores, \
             such as \"{all}0000\" and \"{all}1024\""
        );
        assert_eq!(why, expected);
        assert_eq!(check((0..700).map(|number| format!("{}{number:04}", n(64)))), Ok(()));
        assert!(check((0..800).map(|number| format!("{}{number:04}", n(64)))).is_err());
    }

    #[test]
    fn names_that_become_the_same_when_cut_count_together() {
        // Two of each, but the suffixes of all are the same.
        let letters = || "abcdefghijklmnopqrstuvwxyz".chars();
        let pairs = letters().flat_map(|one| letters().map(move |other| format!("{one}{other}")));
        let names = pairs.flat_map(|pair| [0, 1, 2, 3].map(|last| format!("{}{pair}{last}", "n".repeat(28))));
        assert!(check(names).is_err());
        // Names that look as if they had a suffix make hadris try more of them.
        let symbols = (0xa1..0x200_u32).map(|c| char::from_u32(c).unwrap()).map(|c| format!("x{c}"));
        let taken = (1..4000).map(|number| format!("x__{number}"));
        assert!(check(taken.chain(symbols)).is_err());
    }
}
