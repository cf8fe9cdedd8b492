//! What `-m`, `-x` and `-exclude-list` leave out: patterns of a shell, as fnmatch(3) has them.
//!
//! genisoimage compares a pattern with the name of a file, and with its path as that is made of the operand. xorrisofs compares a
//! pattern without a slash with the name, others with the absolute path. Both store what the command line names itself.

use std::{
    ffi::OsStr,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{self, Path},
};

use super::dialect::Dialect;

/// The patterns of a command line.
#[derive(Debug, Default)]
pub(super) struct Exclusions {
    patterns: Vec<Pattern>,
}

/// A pattern, and whether it is compared with names, paths as they are, or absolute paths.
#[derive(Debug)]
struct Pattern {
    steps: Vec<Step>,
    names: bool,
    paths: bool,
    absolute_paths: bool,
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
        let is_path = bytes.contains(&b'/');
        let (names, paths) = if dialect.is_genisoimage() { (true, true) } else { (!is_path, false) };
        let absolute_paths = is_path && !dialect.is_genisoimage();
        let absolute = absolute_paths.then(|| path::absolute(pattern).ok()).flatten();
        let mut bytes = absolute.map_or_else(|| bytes.to_vec(), |path| path.into_os_string().into_vec());
        if absolute_paths && bytes.ends_with(b"/") {
            bytes.pop();
        }
        self.patterns.push(Pattern { steps: steps(&characters(&bytes)), names, paths, absolute_paths });
    }

    /// Whether the file `name`, which is at `source`, is left out.
    pub(super) fn has(&self, name: &[u8], source: &Path) -> bool {
        if self.patterns.is_empty() {
            return false;
        }
        let any = |is_compared: fn(&Pattern) -> bool, text: &[u8]| {
            let text = characters(text);
            self.patterns.iter().any(|pattern| is_compared(pattern) && matches(&pattern.steps, &text))
        };
        any(|pattern| pattern.names, name)
            || any(|pattern| pattern.paths, source.as_os_str().as_bytes())
            || self.patterns.iter().any(|pattern| pattern.absolute_paths)
                && path::absolute(source)
                    .is_ok_and(|source| any(|pattern| pattern.absolute_paths, source.as_os_str().as_bytes()))
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

/// Whether the steps take all of a text, in time that is at most the product of their lengths.
fn matches(steps: &[Step], text: &[u32]) -> bool {
    const SLASH: u32 = b'/' as u32;
    let (mut step, mut at) = (0, 0);
    // Where to go on after the last step that takes any number, if it takes one more.
    let mut again = None;
    while step < steps.len() || at < text.len() {
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
            _ => return false,
        }
    }
    true
}

fn steps(pattern: &[u32]) -> Vec<Step> {
    let is = |character: Option<&u32>, wanted: char| character == Some(&u32::from(wanted));
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
            Some('[') => match Set::parse(&pattern[at..]) {
                Some((set, len)) => {
                    at += len;
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

impl Set {
    fn has(&self, character: u32) -> bool {
        let is_of_class = |class: &Class| char::from_u32(character).as_ref().is_some_and(class);
        let is_there = self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&character))
            || self.classes.iter().any(is_of_class);
        is_there != self.is_negated
    }

    /// What follows an opening bracket, and how many characters that are with the closing one. `None`: there is none.
    fn parse(text: &[u32]) -> Option<(Self, usize)> {
        let is = |at: usize, wanted: char| text.get(at) == Some(&u32::from(wanted));
        let mut set = Self { is_negated: is(0, '!') || is(0, '^'), ..Self::default() };
        let start = usize::from(set.is_negated);
        let mut at = start;
        while at == start || !is(at, ']') {
            if is(at, '[')
                && is(at + 1, ':')
                && let Some((class, len)) = class(&text[at + 2..])
            {
                set.classes.push(class);
                at += 2 + len;
                continue;
            }
            // A character, and where it ends.
            let member = |at: usize| {
                let at = at + usize::from(is(at, '\\'));
                text.get(at).map(|character| (*character, at + 1))
            };
            let (first, end) = member(at)?;
            let is_range = is(end, '-') && end + 1 < text.len() && !is(end + 1, ']');
            let (last, end) = if is_range { member(end + 1)? } else { (first, end) };
            set.ranges.push((first, last));
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
        let end: Vec<_> = name.chars().chain(":]".chars()).map(u32::from).collect();
        text.starts_with(&end).then_some((*class, end.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_match(pattern: &str, text: &str) -> bool {
        matches(&steps(&characters(pattern.as_bytes())), &characters(text.as_bytes()))
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
        let byte = |text: &[u8]| matches(&steps(&characters(b"?")), &characters(text));
        assert!(byte(b"\xff") && !byte(b"\xff\xfe"));
    }
}
