//! JSON with positions: where the syntax is wrong, and a cursor over valid JSON.
//!
//! `serde_json` decides what is valid, but gives no positions of keys and values. The cursor gives those and decodes nothing.

use std::ops::Range;

use serde_json::value::RawValue;

use crate::userdata::finding::{Code, Finding, floor_char_boundary};

/// Checks the syntax of a JSON text. An error is reported as the mistake that it most likely is.
pub(in crate::userdata) fn check_syntax(text: &str) -> Result<(), Finding> {
    let Err(error) = serde_json::from_str::<&RawValue>(text) else { return Ok(()) };
    let line_start =
        text.split_inclusive('\n').take(error.line().saturating_sub(1)).map(str::len).sum::<usize>();
    let at = (line_start + error.column().saturating_sub(1)).min(text.len());
    let at = floor_char_boundary(text, at);
    let rest = &text[at..];
    let before = text[..at].trim_end();
    let span = at..at + rest.chars().next().map_or(0, char::len_utf8);
    let lost = "a guest stores the data as plain text";
    if ["//", "/*", "#"].iter().any(|comment| rest.starts_with(comment)) {
        let end = rest.find('\n').map_or(text.len(), |end| at + end);
        let finding = Finding::new(Code::Comment, at..end, format!("JSON does not allow comments; {lost}"));
        return Err(finding.with_hint("remove the comment"));
    }
    if before.ends_with(',') && rest.starts_with(['}', ']']) {
        let comma = before.len() - 1;
        let message = format!("there is a comma before a closing bracket; {lost}");
        return Err(
            Finding::new(Code::TrailingComma, comma..comma + 1, message).with_hint("remove the comma")
        );
    }
    // serde_json's text ends with the position, which the finding has already.
    let said = error.to_string();
    let said = said.split(" at line ").next().unwrap_or_default();
    if said == "trailing characters" {
        let end = rest.find('\n').map_or(text.len(), |end| at + end);
        let message = "there is text after the JSON; a guest stores all of the data as plain text";
        return Err(Finding::new(Code::TrailingText, at..end, message));
    }
    let finding = Finding::new(Code::JsonSyntax, span, format!("{said}; {lost}"));
    Err(match hint(rest, said) {
        Some(hint) => finding.with_hint(hint),
        None => finding,
    })
}

/// How to correct a common syntax error.
fn hint(rest: &str, said: &str) -> Option<&'static str> {
    if rest.starts_with('\'') {
        Some("use double quotes")
    } else if ["True", "False", "None"].iter().any(|word| rest.starts_with(word)) {
        Some("write true, false or null")
    } else if said.starts_with("control character") {
        Some("in a string, write \\n for a newline, \\t for a tab, and \\u001b for other characters")
    } else if said == "key must be a string" {
        Some("put names in double quotes")
    } else {
        None
    }
}

/// The type of a JSON value, by its first character.
pub(super) fn type_of(first: u8) -> &'static str {
    match first {
        b'{' => "an object",
        b'[' => "an array",
        b'"' => "a string",
        b't' | b'f' => "a boolean",
        b'n' => "null",
        _ => "a number",
    }
}

/// The span of a scalar, or of the first character of a collection, which may be long.
pub(super) fn short_span(text: &str, span: Range<usize>) -> Range<usize> {
    if matches!(text.as_bytes()[span.start], b'{' | b'[') { span.start..span.start + 1 } else { span }
}

/// A position in valid JSON.
pub(super) struct Cursor<'a> {
    pub(super) text: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// A cursor at the first value of `text`.
    pub(super) fn new(text: &'a str) -> Self {
        let mut cursor = Self { text, at: 0 };
        cursor.skip_white();
        cursor
    }

    /// The byte at the cursor.
    pub(super) fn peek(&self) -> u8 {
        self.text.as_bytes()[self.at]
    }

    fn skip_white(&mut self) {
        let white = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        self.at += self.text.as_bytes()[self.at..].iter().take_while(white).count();
    }

    /// Skips a string, including its quotes.
    pub(super) fn skip_string(&mut self) -> Range<usize> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        self.at += 1;
        while bytes[self.at] != b'"' {
            self.at += if bytes[self.at] == b'\\' { 2 } else { 1 };
        }
        self.at += 1;
        start..self.at
    }

    /// Skips any value, however deep.
    pub(super) fn skip_value(&mut self) -> Range<usize> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let mut depth = 0_usize;
        loop {
            match bytes[self.at] {
                b'"' => drop(self.skip_string()),
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                    continue;
                }
                b'}' | b']' => {
                    depth -= 1;
                    self.at += 1;
                }
                b',' | b':' | b' ' | b'\t' | b'\n' | b'\r' => {
                    self.at += 1;
                    continue;
                }
                _ => {
                    let scalar =
                        |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
                    self.at += bytes[self.at..].iter().take_while(scalar).count();
                }
            }
            if depth == 0 {
                return start..self.at;
            }
        }
    }

    /// Enters the object at the cursor.
    pub(super) fn enter(&mut self) {
        self.at += 1;
    }

    /// The next key of the object that was entered. The cursor is then at its value, which must be skipped before the next
    /// call. `None`: there are no more keys, and the cursor is after the object.
    pub(super) fn next_key(&mut self) -> Option<Range<usize>> {
        self.skip_white();
        if self.peek() == b',' {
            self.at += 1;
            self.skip_white();
        }
        if self.peek() == b'}' {
            self.at += 1;
            return None;
        }
        let key = self.skip_string();
        self.skip_white();
        self.at += 1;
        self.skip_white();
        Some(key)
    }
}
