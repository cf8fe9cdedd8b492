//! What `-m`, `-x` and `-exclude-list` leave out: patterns of a shell, as fnmatch(3) has them.
//!
//! genisoimage compares a pattern with the name of a file, and with its path as that is made of the operand. xorrisofs compares a
//! pattern without a slash with the name, others with the absolute path. Both store what the command line names itself.

use std::{
    collections::HashSet,
    ffi::OsStr,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{self, Path},
};

use super::{
    Trouble,
    dialect::{Dialect, Failure},
};

/// How many steps the comparison of one name with all patterns may take. Time grows with the number of names then, and not with the
/// product of names and patterns. A pattern like `*.o` takes one step for most names.
const STEPS_MAX: u32 = 1 << 16;

/// The patterns of a command line.
#[derive(Debug, Default)]
pub(super) struct Exclusions {
    names: Patterns,
    paths: Patterns,
    absolute_paths: Patterns,
}

/// Patterns that are compared with the same text.
#[derive(Debug, Default)]
struct Patterns {
    /// Those without a special character.
    plain: HashSet<Vec<u32>>,
    others: Vec<Vec<Step>>,
}

/// A step of a pattern, which takes a character, or any number of them.
#[derive(Debug)]
enum Step {
    /// This character. No other step takes a slash.
    One(u32),
    Any,
    AnyNumber,
    OneOf(Set),
}

/// Whether a character is of a class.
type Class = fn(&char) -> bool;

/// What is in brackets.
#[derive(Debug, Default)]
struct Set {
    is_negated: bool,
    ranges: Vec<(u32, u32)>,
    classes: Vec<Class>,
}

impl Exclusions {
    pub(super) fn add(&mut self, dialect: Dialect, pattern: &OsStr) {
        let bytes = pattern.as_bytes();
        if dialect.is_genisoimage() {
            self.names.add(bytes);
            self.paths.add(bytes);
        } else if bytes.contains(&b'/') {
            let absolute = path::absolute(pattern).ok();
            let bytes = absolute.map_or_else(|| bytes.to_vec(), |path| path.into_os_string().into_vec());
            self.absolute_paths.add(bytes.strip_suffix(b"/").unwrap_or(&bytes));
        } else {
            self.names.add(bytes);
        }
    }

    /// Whether the file `name`, which is at `source`, is left out.
    ///
    /// # Errors
    /// Fails if there are too many patterns to compare it with.
    pub(super) fn has(&self, name: &[u8], source: &Path) -> Result<bool, Trouble> {
        let mut left = STEPS_MAX;
        let too_many = || {
            let message = format!("comparing {source:?} with the patterns of -m and -x takes too long");
            Trouble::new(Failure::Value, message)
        };
        let path = source.as_os_str().as_bytes();
        if self.names.has(name, &mut left).ok_or_else(too_many)?
            || self.paths.has(path, &mut left).ok_or_else(too_many)?
        {
            return Ok(true);
        }
        if self.absolute_paths.is_empty() {
            return Ok(false);
        }
        let Ok(absolute) = path::absolute(source) else { return Ok(false) };
        self.absolute_paths.has(absolute.as_os_str().as_bytes(), &mut left).ok_or_else(too_many)
    }
}

impl Patterns {
    fn add(&mut self, pattern: &[u8]) {
        let steps = steps(&characters(pattern));
        let character = |step: &Step| if let Step::One(character) = step { Some(*character) } else { None };
        match steps.iter().map(character).collect() {
            Some(plain) => drop(self.plain.insert(plain)),
            None => self.others.push(steps),
        }
    }

    fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.others.is_empty()
    }

    /// Whether one of them is that of a text. `None`: it takes more steps than are left.
    fn has(&self, text: &[u8], left: &mut u32) -> Option<bool> {
        if self.is_empty() {
            return Some(false);
        }
        let text = characters(text);
        if self.plain.contains(&text) {
            return Some(true);
        }
        for steps in &self.others {
            if matches(steps, &text, left)? {
                return Some(true);
            }
        }
        Some(false)
    }
}

/// The characters of a text. A byte that is not UTF-8 is a character that no text has.
fn characters(text: &[u8]) -> Vec<u32> {
    let mut characters = Vec::with_capacity(text.len());
    for chunk in text.utf8_chunks() {
        characters.extend(chunk.valid().chars().map(u32::from));
        characters.extend(chunk.invalid().iter().map(|byte| u32::from(char::MAX) + 1 + u32::from(*byte)));
    }
    characters
}

/// Whether the steps take all of a text. At most the product of their lengths is counted from what is `left`; `None`: there is no more.
fn matches(steps: &[Step], text: &[u32], left: &mut u32) -> Option<bool> {
    const SLASH: u32 = b'/' as u32;
    // Most names end in another character than a pattern does.
    if let Some(Step::One(last)) = steps.last()
        && text.last() != Some(last)
    {
        *left = left.checked_sub(1)?;
        return Some(false);
    }
    let (mut step, mut at) = (0, 0);
    // Where to go on after the last step that takes any number, if it takes one more.
    let mut again = None;
    while step < steps.len() || at < text.len() {
        let weight = if let Some(Step::OneOf(set)) = steps.get(step) { set.weight() } else { 1 };
        *left = left.checked_sub(weight)?;
        let character = text.get(at).copied();
        let is_taken = match (steps.get(step), character) {
            (Some(Step::AnyNumber), _) => {
                again = Some((step + 1, at));
                step += 1;
                continue;
            }
            (Some(Step::One(wanted)), Some(character)) => *wanted == character,
            (Some(Step::Any), Some(character)) => character != SLASH,
            (Some(Step::OneOf(set)), Some(character)) => character != SLASH && set.has(character),
            (_, None) | (None, _) => false,
        };
        if is_taken {
            (step, at) = (step + 1, at + 1);
            continue;
        }
        match again {
            Some((after, from)) if text.get(from).is_some_and(|character| *character != SLASH) => {
                again = Some((after, from + 1));
                (step, at) = (after, from + 1);
            }
            _ => return Some(false),
        }
    }
    Some(true)
}

fn steps(pattern: &[u32]) -> Vec<Step> {
    let is = |character: Option<&u32>, wanted: char| character == Some(&u32::from(wanted));
    let closed = closed(pattern);
    let mut steps = Vec::new();
    let mut at = 0;
    while let Some(&character) = pattern.get(at) {
        at += 1;
        steps.push(match char::from_u32(character) {
            Some('*') => Step::AnyNumber,
            Some('?') => Step::Any,
            Some('\\') if at < pattern.len() => {
                at += 1;
                Step::One(pattern[at - 1])
            }
            Some('[') => match Set::parse(pattern, at, &closed) {
                Some((set, end)) => {
                    at = end;
                    Step::OneOf(set)
                }
                None => Step::One(character),
            },
            _ => Step::One(character),
        });
        // Two of them take no more than one.
        while matches!(steps.last(), Some(Step::AnyNumber)) && is(pattern.get(at), '*') {
            at += 1;
        }
    }
    steps
}

/// For each place in a pattern: whether a bracket is closed whose members go on there. Without this list, time would grow with the
/// square of the number of brackets that are not.
fn closed(pattern: &[u32]) -> Vec<bool> {
    let mut closed = vec![false; pattern.len()];
    // Most patterns have no bracket.
    if pattern.contains(&u32::from(b'[')) {
        for at in (0..pattern.len()).rev() {
            let after = || member(pattern, at).and_then(|(_, end)| closed.get(end).copied());
            closed[at] = pattern[at] == u32::from(b']') || after() == Some(true);
        }
    }
    closed
}

/// What is between brackets.
enum Member {
    Range(u32, u32),
    Class(Class),
}

/// The member of a set that begins at a place, and where it ends.
fn member(pattern: &[u32], at: usize) -> Option<(Member, usize)> {
    let is = |at: usize, wanted: char| pattern.get(at) == Some(&u32::from(wanted));
    if is(at, '[')
        && is(at + 1, ':')
        && let Some((class, len)) = class(&pattern[at + 2..])
    {
        return Some((Member::Class(class), at + 2 + len));
    }
    // A character, and where it ends.
    let character = |at: usize| {
        let at = at + usize::from(is(at, '\\'));
        pattern.get(at).map(|character| (*character, at + 1))
    };
    let (first, end) = character(at)?;
    let is_range = is(end, '-') && end + 1 < pattern.len() && !is(end + 1, ']');
    let (last, end) = if is_range { character(end + 1)? } else { (first, end) };
    Some((Member::Range(first, last), end))
}

impl Set {
    /// How many comparisons it takes.
    fn weight(&self) -> u32 {
        u32::try_from(1 + self.ranges.len() + self.classes.len()).unwrap_or(u32::MAX)
    }

    fn has(&self, character: u32) -> bool {
        let is_of_class = |class: &Class| char::from_u32(character).as_ref().is_some_and(class);
        let is_there = self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&character))
            || self.classes.iter().any(is_of_class);
        is_there != self.is_negated
    }

    /// What follows an opening bracket, and the place after the closing one. `None`: there is none, as [`closed`] says.
    fn parse(pattern: &[u32], mut at: usize, closed: &[bool]) -> Option<(Self, usize)> {
        let is = |at: usize, wanted: char| pattern.get(at) == Some(&u32::from(wanted));
        let mut set = Self { is_negated: is(at, '!') || is(at, '^'), ..Self::default() };
        at += usize::from(set.is_negated);
        // A closing bracket is a member where it comes first.
        let (_, second) = member(pattern, at)?;
        if !*closed.get(second)? {
            return None;
        }
        let start = at;
        while at == start || !is(at, ']') {
            let (member, end) = member(pattern, at)?;
            match member {
                Member::Range(first, last) => set.ranges.push((first, last)),
                Member::Class(class) => set.classes.push(class),
            }
            at = end;
        }
        Some((set, at + 1))
    }
}

/// The class of characters that ends in `:]`, and the length of its name with that.
fn class(text: &[u32]) -> Option<(Class, usize)> {
    const CLASSES: [(&str, Class); 12] = [
        ("alpha", |c| c.is_alphabetic()),
        ("digit", char::is_ascii_digit),
        ("alnum", |c| c.is_alphanumeric()),
        ("upper", |c| c.is_uppercase()),
        ("lower", |c| c.is_lowercase()),
        ("space", |c| c.is_whitespace()),
        ("blank", |c| matches!(c, ' ' | '\t')),
        ("punct", char::is_ascii_punctuation),
        ("print", |c| !c.is_control()),
        ("graph", |c| !c.is_control() && !c.is_whitespace()),
        ("cntrl", |c| c.is_control()),
        ("xdigit", char::is_ascii_hexdigit),
    ];
    CLASSES.iter().find_map(|(name, class)| {
        let end = name.bytes().chain(*b":]").map(u32::from);
        let len = name.len() + 2;
        (text.len() >= len && end.eq(text[..len].iter().copied())).then_some((*class, len))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_match(pattern: &str, text: &str) -> bool {
        let mut left = STEPS_MAX;
        let found = matches(&steps(&characters(pattern.as_bytes())), &characters(text.as_bytes()), &mut left);
        found.unwrap()
    }

    #[test]
    fn patterns_are_those_of_a_shell() {
        for (pattern, text) in [
            ("*.o", "a.o"),
            ("*.o", ".o"),
            ("*", ""),
            ("a*b*c", "axxbyyc"),
            ("a*a", "aaa"),
            ("?", "é"),
            ("[a-c]x", "bx"),
            ("[!a-c]x", "dx"),
            ("[^a]", "b"),
            ("[]a]", "]"),
            ("[a-]", "-"),
            ("[\\]]", "]"),
            ("[[:upper:][:digit:]_]*", "_x"),
            ("[[:upper:]]", "É"),
            ("[[:upper:]", "[p"),
            ("[x[[:digit:]]", "7"),
            ("[a[b]c", "[c"),
            ("\\*", "*"),
            ("[", "["),
            ("[a", "[a"),
            ("\\", "\\"),
            ("a/*/b", "a/x/b"),
            ("**", "abc"),
        ] {
            assert!(is_match(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("*.o", "a.oo"),
            ("a*", "a/b"),
            ("a?b", "a/b"),
            ("a[/]b", "a/b"),
            ("*/b", "a/a/b"),
            ("", "a"),
            ("a", ""),
            ("?", "ab"),
            ("[!a]", "a"),
            ("[[:upper:]]", "a"),
            ("\\*", "a"),
            ("a*b", "ab/b"),
        ] {
            assert!(!is_match(pattern, text), "{pattern} {text}");
        }
        let byte = |text: &[u8]| matches(&steps(&characters(b"?")), &characters(text), &mut 99).unwrap();
        assert!(byte(b"\xff") && !byte(b"\xff\xfe"));
    }

    #[test]
    fn a_name_is_compared_with_a_number_of_patterns_and_then_it_is_an_error() {
        let has = |patterns: &dyn Fn(u32) -> String, count, name: &str| {
            let mut all = Exclusions::default();
            (0..count).for_each(|number| all.add(Dialect::Genisoimage, patterns(number).as_ref()));
            all.has(name.as_bytes(), Path::new(&format!("d/{name}"))).map_err(|trouble| trouble.message)
        };
        let star = |number| format!("*.{number}");
        assert_eq!(has(&star, 10_000, "configuration-file.7777"), Ok(true));
        assert_eq!(has(&star, 10_000, "configuration-file.json"), Ok(false));
        let plain = |number| format!("file-{number}");
        assert_eq!(has(&plain, 100_000, "file-99999"), Ok(true));
        assert_eq!(has(&plain, 100_000, "file-100000"), Ok(false));
        let slow = |_| "*a*b*".to_owned();
        let error = has(&slow, 10_000, &"a".repeat(200)).unwrap_err();
        assert!(error.ends_with("with the patterns of -m and -x takes too long"), "{error}");
    }
}
