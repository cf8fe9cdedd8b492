//! What PyYAML accepts and saphyr-parser (0.3.3) refuses. The text is changed, in its length not at all, until the parser
//! accepts it; every position stays what it was.

use saphyr_parser::ScanError;

/// A text is changed at so many places at most. Each takes another run of the parser.
pub(super) const REPAIRS_MAX: usize = 16;

/// What the parser is too strict about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strictness {
    /// Text in quotes goes on to the left of its mapping.
    Quotes,
    /// A scalar between brackets is to the left of its mapping.
    Brackets,
    /// `[tar, -]`: a dash as an item between brackets.
    Dash,
    /// A comment directly behind a bracket or a quote.
    Comment,
    /// `"\ud83d\ude00"`: halves of a character as escapes, which Python's strings can have.
    Surrogates,
    /// Something that is not repaired.
    Other,
}

impl Strictness {
    /// What an error is about, if PyYAML accepts what the parser complains of.
    pub(super) fn of(error: &ScanError) -> Option<Self> {
        Some(match error.info() {
            "invalid indentation in quoted scalar" => Self::Quotes,
            "invalid indentation in flow construct" | "invalid indentation" => Self::Brackets,
            "plain scalar cannot start with '-' followed by ,[]{}" => Self::Dash,
            "comments must be separated from other tokens by whitespace" => Self::Comment,
            "while parsing a quoted scalar, found invalid Unicode character escape code" => Self::Surrogates,
            "':' may not precede any of `[{` in flow mapping" | "expected whitespace" => Self::Other,
            _ => return None,
        })
    }
}

/// The text with a change at byte `at`, where the parser stopped. `None`: there is none that helps.
pub(super) fn repaired(text: &str, strictness: Strictness, at: usize) -> Option<String> {
    let mut bytes = text.as_bytes().to_vec();
    match strictness {
        Strictness::Quotes => {
            let end = at + end_of_quotes(&text[at..])?;
            bytes[at..end]
                .iter_mut()
                .filter(|byte| matches!(byte, b'\n' | b'\r'))
                .for_each(|byte| *byte = b' ');
        }
        Strictness::Brackets => {
            let line_end = text[..at].rfind('\n')?;
            let line_start = text[..line_end].rfind('\n').map_or(0, |end| end + 1);
            // The line would become part of the comment.
            if text[line_start..line_end].contains('#') {
                return None;
            }
            bytes[line_end] = b' ';
        }
        Strictness::Dash => *bytes.get_mut(at).filter(|byte| **byte == b'-')? = b'_',
        Strictness::Comment => {
            let start = at + text[at..].find('#')?;
            let end = text[start..].find('\n').map_or(text.len(), |end| start + end);
            bytes[start..end].fill(b' ');
        }
        Strictness::Surrogates => replace_surrogates(&mut bytes).then_some(())?,
        Strictness::Other => return None,
    }
    String::from_utf8(bytes).ok()
}

/// Makes U+FFFD of all escapes of half a character. Returns whether there was one.
fn replace_surrogates(bytes: &mut [u8]) -> bool {
    let mut found = false;
    let mut at = 0;
    while at + 6 <= bytes.len() {
        let escape = match &bytes[at..] {
            [b'\\', b'u', ..] => Some(at + 2),
            [b'\\', b'U', b'0', b'0', b'0', b'0', ..] => Some(at + 6),
            _ => None,
        };
        // Behind a backslash, the next character is part of its escape.
        let end = if bytes[at] == b'\\' { at + 2 } else { at + 1 };
        let half = escape.filter(|start| {
            bytes.get(*start..start + 4).is_some_and(|digits| {
                matches!(digits, [b'd' | b'D', b'8' | b'9' | b'a'..=b'f' | b'A'..=b'F', ..])
                    && digits.iter().all(u8::is_ascii_hexdigit)
            })
        });
        if let Some(start) = half {
            bytes[start..start + 4].copy_from_slice(b"fffd");
            found = true;
        }
        at = end;
    }
    found
}

/// The length of a text in quotes. Two single quotes stand for one, so that a text in them is several in a row.
fn end_of_quotes(text: &str) -> Option<usize> {
    if text.starts_with('\'') {
        let mut at = 0;
        while text[at..].starts_with('\'') {
            at += 1 + text[at + 1..].find('\'')? + 1;
        }
        return Some(at);
    }
    let mut characters = text.char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => drop(characters.next()),
            '"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}
