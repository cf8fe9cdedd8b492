//! Untrusted text, made safe for a terminal and for a shell.
//!
//! A file name, a message or a line of user data may contain control characters, which a terminal obeys, and invisible
//! characters or marks that change the direction of text, which make people read something else.

use std::fmt::Write as _;

use anyhow::{Context, Result};
use serde::Serialize;

/// Whether a terminal obeys a character or does not show it: a control character, a line end, an annotation, or a
/// `Default_Ignorable_Code_Point` (DerivedCoreProperties.txt, Unicode 16.0).
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

/// Text for one line on a terminal: hidden characters are escaped as in Rust, such as `\n` and `\u{202e}`.
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

/// The same for a line of a file, which keeps its tabs.
pub(super) fn printable_source(line: &str) -> String {
    line.split('\t').map(printable).collect::<Vec<_>>().join("\t")
}

/// `value` as JSON on one line, with hidden characters escaped.
pub(super) fn json(value: &impl Serialize) -> Result<String> {
    Ok(printable_json(&serde_json::to_string(value)?))
}

/// `value` as indented JSON that ends with a newline, with hidden characters escaped.
pub(super) fn pretty_json(value: &impl Serialize) -> Result<String> {
    Ok(printable_json(&serde_json::to_string_pretty(value)?) + "\n")
}

/// JSON text with hidden characters escaped, such as `\u202e`. Except for white space between values, JSON has such
/// characters only in strings.
pub(super) fn printable_json(json: &str) -> String {
    let mut printed = String::with_capacity(json.len());
    for c in json.chars() {
        if is_hidden(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(printed, "\\u{unit:04x}").expect("writing to a string does not fail");
            }
        } else {
            printed.push(c);
        }
    }
    printed
}

/// `argument` as a POSIX shell reads it back.
///
/// What no shell changes is not quoted, so that `$(metadata attach …)` works without `eval`: shlex would also quote `=` and
/// `,`, and a shell does not remove quotes that come from an expansion.
#[cfg(feature = "cli")]
pub(super) fn shell_quoted(argument: &str) -> Result<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
    if !argument.is_empty() && argument.chars().all(is_plain) {
        return Ok(argument.to_owned());
    }
    let quoted = shlex::try_quote(argument).with_context(|| format!("quoting {argument:?} for a shell"))?;
    Ok(quoted.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C0, DEL, C1, marks of direction, separators, zero width, fillers, a tag, variation selectors.
    const HIDDEN: &str = "\0\u{1b}\u{7f}\u{9b}\u{ad}\u{61c}\u{200b}\u{200e}\u{200f}\u{2028}\u{2029}\u{202e}\u{2060}\u{2069}\u{feff}\u{34f}\u{115f}\u{3164}\u{fe0f}\u{e01ef}\u{e0041}";

    #[test]
    fn characters_that_a_terminal_obeys_or_hides_are_escaped() {
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

    #[test]
    fn a_shell_reads_arguments_back() {
        assert_eq!(shell_quoted("file=a.iso,media=cdrom").unwrap(), "file=a.iso,media=cdrom");
        assert_eq!(shell_quoted("").unwrap(), "''");
        for argument in ["a b", "it's", "$(x)*", "a\\b`c`!^", "é\n\t", "~", "{a,b}", "\"'\"'"] {
            let quoted = shell_quoted(argument).unwrap();
            assert_ne!(quoted, argument);
            let script = format!("printf %s {quoted}");
            let output = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), argument, "{quoted}");
        }
        assert!(shell_quoted("a\0b").is_err());
    }
}
