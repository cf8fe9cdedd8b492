//! Patterns, in bounded steps.

use std::collections::HashMap;

use regex_lite::{Regex, RegexBuilder};

/// The largest compiled patterns, in bytes, and the steps that each takes for four bytes of text. Matching takes time for every
/// part of the pattern at every character.
const SIZES: [(usize, usize); 3] = [(2 << 10, 1), (16 << 10, 8), (64 << 10, 32)];

/// How many steps it takes to compile a pattern.
const COMPILE_STEPS: usize = 200;

/// The longest pattern, in bytes.
const SOURCE_BYTES_MAX: usize = 4 << 10;

/// The longest text that a pattern is matched against, in bytes. Longer ones match.
const TEXT_BYTES_MAX: usize = 4 << 10;

/// Patterns that have been compiled, and the steps that all may take.
#[derive(Debug)]
pub(super) struct Patterns<'s> {
    compiled: HashMap<&'s str, Option<(Regex, usize)>>,
    /// Steps that are left. Without any, everything matches.
    steps: usize,
}

impl<'s> Patterns<'s> {
    pub(super) fn new(steps: usize) -> Self {
        Self { compiled: HashMap::new(), steps }
    }

    /// Whether a pattern is found in a text. A pattern that the crate does not know, such as one that looks ahead, is found
    /// in all of them.
    pub(super) fn is_match(&mut self, pattern: &'s str, text: &str) -> bool {
        if !self.compiled.contains_key(pattern) {
            if !self.spend(COMPILE_STEPS) {
                return true;
            }
            self.compiled.insert(pattern, compile(pattern));
        }
        let Some(Some((_, cost))) = self.compiled.get(pattern) else { return true };
        let steps = 1 + text.len() / 4 * cost;
        if text.len() > TEXT_BYTES_MAX || !self.spend(steps) {
            return true;
        }
        self.compiled[pattern].as_ref().is_none_or(|(regex, _)| regex.is_match(text))
    }

    /// Whether something was not matched, because it would have taken too many steps.
    pub(super) fn is_exhausted(&self) -> bool {
        self.steps == 0
    }

    fn spend(&mut self, steps: usize) -> bool {
        self.steps = self.steps.saturating_sub(steps);
        self.steps > 0
    }
}

/// A pattern, and the steps that it takes for four bytes.
fn compile(pattern: &str) -> Option<(Regex, usize)> {
    if pattern.len() > SOURCE_BYTES_MAX {
        return None;
    }
    let pattern = pattern.replace("\\Z", "\\z");
    SIZES
        .iter()
        .find_map(|&(bytes, cost)| Some((RegexBuilder::new(&pattern).size_limit(bytes).build().ok()?, cost)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_take_bounded_steps() {
        let nested = "(a*)*".repeat(8) + "$";
        let large = "[a-z]{1,60}".repeat(4) + "!";
        let mut patterns = Patterns::new(100_000);
        let text = "a".repeat(TEXT_BYTES_MAX - 1) + "b";
        assert!(!patterns.is_match("^a$", &text));
        for _ in 0..10_000 {
            patterns.is_match(&nested, &text);
            patterns.is_match(&large, &text);
        }
        assert_eq!(patterns.steps, 0);
        assert!(patterns.is_match("^a$", "b"), "nothing is judged without steps");
    }

    #[test]
    fn a_pattern_that_is_not_understood_is_found_in_everything() {
        let mut patterns = Patterns::new(100_000);
        let long = "x".repeat(SOURCE_BYTES_MAX + 1);
        for pattern in ["^(?=b)", "(a{1000}){1000}", "(", &long] {
            assert!(patterns.is_match(pattern, "c"), "{pattern:.20}");
        }
        assert!(patterns.is_match("^a\\Z", "a") && !patterns.is_match("^a\\Z", "ab"));
    }
}
