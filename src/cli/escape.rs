//! Text of others, made safe for a terminal: the one place that knows what a terminal obeys and what hides.
//!
//! A file name, a message or a line of user data may hold control characters, which a terminal obeys, and marks that turn the
//! direction of text or take no room, so that people read something else than there is.

use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;

/// Whether a terminal obeys a character, or a person does not see it: a control, a line end, an annotation, or one that Unicode
/// says is not shown (`Default_Ignorable_Code_Point` of DerivedCoreProperties.txt, Unicode 16.0).
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            // Soft hyphen, combining grapheme joiner, Arabic letter mark.
            '\u{ad}' | '\u{34f}' | '\u{61c}'
            // Fillers of Hangul, inherent vowels of Khmer.
            | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            // Selectors and the vowel separator of Mongolian.
            | '\u{180b}'..='\u{180f}'
            // Zero width, left-to-right and right-to-left marks.
            | '\u{200b}'..='\u{200f}'
            // Line and paragraph separators, embeddings and overrides.
            | '\u{2028}'..='\u{202e}'
            // Word joiner, invisible operators, isolates, deprecated controls.
            | '\u{2060}'..='\u{206f}'
            // Fillers of Hangul.
            | '\u{3164}' | '\u{ffa0}'
            // Variation selectors.
            | '\u{fe00}'..='\u{fe0f}'
            // Byte order mark, characters that are not assigned, interlinear annotations.
            | '\u{feff}' | '\u{fff0}'..='\u{fffb}'
            // Shorthand, music.
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            // Tags, more variation selectors.
            | '\u{e0000}'..='\u{e0fff}'
        )
}

/// Text for one line of a terminal: what is hidden is escaped as in Rust, such as `\n` and `\u{202e}`.
pub(super) fn printable(text: &str) -> String {
    let mut printed = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hidden(c) {
            printed.extend(c.escape_default());
        } else {
            printed.push(c);
        }
    }
    printed
}

/// The same for a line of a file, whose tabs stay.
pub(super) fn printable_source(line: &str) -> String {
    line.split('\t').map(printable).collect::<Vec<_>>().join("\t")
}

/// `value` as JSON in one line, in which what is hidden is escaped.
pub(super) fn json(value: &impl Serialize) -> Result<String> {
    Ok(printable_json(&serde_json::to_string(value)?))
}

/// `value` as JSON for people as well, with a newline at its end.
pub(super) fn pretty_json(value: &impl Serialize) -> Result<String> {
    Ok(printable_json(&serde_json::to_string_pretty(value)?) + "\n")
}

/// A JSON text in which what is hidden is escaped, `\u202e`. In JSON there are such characters in strings only, but for the
/// white space between values.
pub(super) fn printable_json(json: &str) -> String {
    let mut printed = String::with_capacity(json.len());
    for c in json.chars() {
        if is_hidden(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(printed, "\\u{unit:04x}").expect("a string takes it");
            }
        } else {
            printed.push(c);
        }
    }
    printed
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C0, DEL, C1, marks of direction, separators, zero width, fillers, a tag, variation selectors.
    const HIDDEN: &str = "\0\u{1b}\u{7f}\u{9b}\u{ad}\u{61c}\u{200b}\u{200e}\u{200f}\u{2028}\u{2029}\u{202e}\u{2060}\u{2069}\u{feff}\u{34f}\u{115f}\u{3164}\u{fe0f}\u{e01ef}\u{e0041}";

    #[test]
    fn what_a_terminal_obeys_or_hides_is_escaped() {
        let printed = printable(&format!("é日{HIDDEN}x"));
        assert!(printed.starts_with("é日\\u{0}\\u{1b}\\u{7f}\\u{9b}\\u{ad}"), "{printed}");
        assert!(printed.ends_with("\\u{e01ef}\\u{e0041}x"), "{printed}");
        assert!(!printed.chars().any(is_hidden), "{printed}");
        assert_eq!(printable("a\tb\n"), "a\\tb\\n");
        assert_eq!(printable_source("a\tb\u{85}"), "a\tb\\u{85}");
    }

    #[test]
    fn json_with_escapes_means_the_same() {
        let value = serde_json::json!({ HIDDEN: [HIDDEN, "é\n\"\\"] });
        for text in [json(&value).unwrap(), pretty_json(&value).unwrap()] {
            assert!(!text.chars().any(|c| is_hidden(c) && c != '\n'), "{text}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
        }
        assert_eq!(json(&"\u{202e}\u{e0041}").unwrap(), r#""\u202e\udb40\udc41""#);
    }
}
