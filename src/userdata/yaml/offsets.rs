//! Positions in characters, as saphyr-parser counts them, and in bytes.

use std::ops::Range;

use crate::userdata::finding::floor_char_boundary;

/// Converts character positions to bytes.
pub(super) struct Offsets<'a> {
    text: &'a str,
    /// The byte at which every [`Offsets::STEP`]th character begins; empty if all characters are ASCII.
    steps: Vec<usize>,
}

impl<'a> Offsets<'a> {
    /// Characters between two entries of `steps`.
    const STEP: usize = 64;

    pub(super) fn of(text: &'a str) -> Self {
        let steps = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().step_by(Self::STEP).map(|(at, _)| at).collect()
        };
        Self { text, steps }
    }

    /// The byte at which a character begins; for one past the last, the end of the text.
    pub(super) fn byte(&self, character: usize) -> usize {
        if self.steps.is_empty() {
            return character.min(self.text.len());
        }
        let Some(&step) = self.steps.get(character / Self::STEP) else { return self.text.len() };
        let mut behind = self.text[step..].char_indices();
        behind.nth(character % Self::STEP).map_or(self.text.len(), |(at, _)| step + at)
    }

    /// The bytes of the character that begins at a byte.
    pub(super) fn character_at(&self, byte: usize) -> Range<usize> {
        let start = floor_char_boundary(self.text, byte);
        start..start + self.text[start..].chars().next().map_or(0, char::len_utf8)
    }

    /// The bytes of a character.
    pub(super) fn character(&self, character: usize) -> Range<usize> {
        let start = floor_char_boundary(self.text, self.byte(character));
        start..self.byte(character + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_of_characters_are_in_bytes() {
        for text in ["", "abc", &"aé€😀".repeat(100)] {
            let offsets = Offsets::of(text);
            let expected = text.char_indices().map(|(at, _)| at).chain([text.len(), text.len()]);
            for (character, at) in expected.enumerate() {
                assert_eq!(offsets.byte(character), at);
            }
        }
    }
}
