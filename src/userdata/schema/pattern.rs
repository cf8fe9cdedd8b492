//! Patterns, in bounded steps.

use std::collections::HashMap;

use regex_lite::{Regex, RegexBuilder};

/// The largest compiled pattern, in bytes.
const PATTERN_BYTES_MAX: usize = 256 << 10;

/// The longest pattern, in bytes.
const SOURCE_BYTES_MAX: usize = 4 << 10;

/// The longest text that a pattern is matched against, in bytes. Longer ones match.
const TEXT_BYTES_MAX: usize = 4 << 10;

/// Patterns that have been compiled.
#[derive(Debug, Default)]
pub(super) struct Patterns<'s> {
    compiled: HashMap<&'s str, Option<Regex>>,
}

impl<'s> Patterns<'s> {
    /// Whether a pattern is found in a text. A pattern that the crate does not know, such as one that looks ahead, is found
    /// in all of them.
    pub(super) fn is_match(&mut self, pattern: &'s str, text: &str) -> bool {
        let compiled = self.compiled.entry(pattern).or_insert_with(|| compile(pattern));
        text.len() > TEXT_BYTES_MAX || compiled.as_ref().is_none_or(|regex| regex.is_match(text))
    }
}

fn compile(pattern: &str) -> Option<Regex> {
    if pattern.len() > SOURCE_BYTES_MAX {
        return None;
    }
    RegexBuilder::new(&pattern.replace("\\Z", "\\z")).size_limit(PATTERN_BYTES_MAX).build().ok()
}
