//! Characters that PyYAML and saphyr-parser (0.3.3) take for different things, replaced by ones that both read alike.
//!
//! U+0085, U+2028 and U+2029 end a line in YAML 1.1 and not in 1.2. A byte order mark inside of a document is a character like
//! any other for PyYAML, and an error for the parser.

use std::{borrow::Cow, ops::Range};

/// Stands for a byte order mark. It has the same length.
const MARK: char = '\u{fffd}';

/// A text that both read alike, and where it comes from.
pub(super) struct Normal<'a> {
    pub(super) text: Cow<'a, str>,
    /// For each character that became shorter: the place behind it, and how many bytes are missing up to there.
    shorter: Vec<(usize, usize)>,
}

impl<'a> Normal<'a> {
    pub(super) fn of(text: &'a str) -> Self {
        let is_other = |at: usize, it: char| is_line_end(it) || it == '\u{feff}' && at > 0;
        if text.is_ascii() || !text.char_indices().any(|(at, it)| is_other(at, it)) {
            return Self { text: text.into(), shorter: Vec::new() };
        }
        let mut normal = String::with_capacity(text.len());
        let mut shorter = Vec::new();
        for (at, character) in text.char_indices() {
            match character {
                _ if !is_other(at, character) => normal.push(character),
                '\u{feff}' => normal.push(MARK),
                _ => {
                    normal.push('\n');
                    shorter.push((normal.len(), at + character.len_utf8() - normal.len()));
                }
            }
        }
        Self { text: normal.into(), shorter }
    }

    /// A range of the original text.
    pub(super) fn original(&self, range: &Range<usize>) -> Range<usize> {
        self.place(range.start)..self.place(range.end)
    }

    fn place(&self, at: usize) -> usize {
        let before = self.shorter.partition_point(|&(behind, _)| behind <= at);
        at + before.checked_sub(1).map_or(0, |last| self.shorter[last].1)
    }
}

/// Whether a character ends a line in YAML 1.1 only.
pub(super) fn is_line_end(character: char) -> bool {
    matches!(character, '\u{85}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_original_text() {
        let text = "\u{feff}a\u{85}bé\u{2028}\u{2029}c\u{feff}\u{85}";
        let normal = Normal::of(text);
        assert_eq!(normal.text, "\u{feff}a\nbé\n\nc\u{fffd}\n");
        let places: Vec<_> = normal.text.char_indices().map(|(at, _)| normal.place(at)).collect();
        assert_eq!(places, text.char_indices().map(|(at, _)| at).collect::<Vec<_>>());
        assert_eq!(normal.original(&(0..normal.text.len())), 0..text.len());
        assert!(matches!(Normal::of("é\u{fffd}\n").text, Cow::Borrowed(_)));
    }
}
