//! What is wrong, or likely wrong, with data for a guest, and where.

use std::{cell::Cell, fmt, ops::Range, sync::Arc};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Something is lost: a guest will not have it, or not as it was meant.
    Error,
    /// It works, and is likely not what was meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

macro_rules! codes {
    ($($variant:ident $name:literal $severity:ident $doc:literal)+) => {
        /// What kind of fault a finding is. The names do not change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = $doc] $variant,)+
        }

        impl Code {
            /// All of them, in the order of README.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its name, for machines and for looking it up.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// How bad it is.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity),+ }
            }

            /// What it means, in a sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $doc),+ }
            }
        }
    };
}

codes! {
    JsonSyntax "json-syntax" Error "It begins like JSON and is none; a guest stores it as plain text."
    Comment "comment" Error "JSON has no comments; a guest stores it as plain text."
    TrailingComma "trailing-comma" Error "JSON has no comma before a closing bracket; a guest stores it as plain text."
    TrailingText "trailing-text" Error "Text behind the JSON; a guest stores all of it as plain text."
    ByteOrderMark "byte-order-mark" Error "A byte order mark in front; a guest stores the data as plain text."
    Utf16 "utf-16" Error "UTF-16 instead of UTF-8."
    NotUtf8 "not-utf-8" Error "Bytes that are not UTF-8; in JSON they become U+FFFD."
    Binary "binary" Error "Binary data where text is wanted; cloud-init ignores it."
    RawBytes "raw-bytes" Warning "Data that is not text; LinuxKit's agent stores it as it is."
    CarriageReturn "crlf" Warning "Lines end with a carriage return."
    RootNoObject "root-no-object" Error "A JSON array, of which no files come."
    WrongType "wrong-type" Error "A value of another type than the field has; LinuxKit's agent rejects the whole document."
    ContentAndEntries "content-and-entries" Error "An entry is a file and a directory."
    NoContentOrEntries "no-content-or-entries" Error "An entry is neither a file nor a directory."
    BadString "bad-string" Error "A string that is not Unicode."
    BadPermission "bad-perm" Error "A perm that is no octal number up to 07777."
    SpecialBits "special-bits" Warning "A perm with setuid, setgid or sticky bit, which the guest drops."
    WorldWritable "world-writable" Warning "Everybody in the guest may write it."
    ReadableKey "readable-key" Warning "A private key that others than its owner may read."
    UnknownField "unknown-field" Warning "A field that nobody reads."
    FieldCase "field-case" Warning "A field in another case; LinuxKit's agent takes it by accident."
    DuplicateKey "duplicate-key" Warning "The same key twice; the last one counts."
    BadName "bad-name" Error "A name that cannot be one of a file in the directory."
    ReservedName "reserved-name" Error "A file of the agent's own."
    TooDeep "too-deep" Error "Directories or YAML in more than 128 levels, or a path that is too long to open."
    HostName "bad-hostname" Error "A host name that cannot be set."
    HostNameNewline "hostname-newline" Warning "A host name with a newline at its end, which LinuxKit's agent makes part of the name."
    YamlSyntax "yaml-syntax" Error "It is no YAML."
    AliasExpansion "alias-expansion" Error "YAML aliases that stand for far more than the document holds."
    NoMapping "no-mapping" Error "The YAML is no mapping at its top."
    NoHeader "no-header" Error "cloud-init does not know the first line, and ignores the data."
    Template "template" Warning "Braces of a template without the header of one, by which YAML is lost."
    SeedFrom "seedfrom" Warning "cloud-init replaces the user data with what it downloads."
    NoInstanceId "no-instance-id" Warning "Meta-data without an instance id, by which cloud-init tells a first boot."
    EmptyNetworkConfig "empty-network-config" Warning "An empty network configuration, which fails in some versions of cloud-init."
    VolumeIdentifier "volume-identifier" Error "A volume identifier that agents do not look for."
    Unread "unread" Error "No agent finds its data on the image."
    TooMany "too-many" Error "More findings than are listed."
    TooLarge "too-large" Error "More than the platform takes."
}

/// Something found in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What kind of fault it is.
    pub code: Code,
    /// The entry's path in the config tree, or empty. It is shared by all findings about the entry, and of a long one the
    /// middle is left out ([`shown_path`]), since there may be as many findings as the path has bytes.
    pub path: Arc<str>,
    /// The bytes of the text that it is about.
    pub span: Range<usize>,
    /// What is wrong, in a sentence without a full stop.
    pub message: String,
    /// How to mend it.
    pub hint: Option<String>,
}

impl Finding {
    /// A finding about the bytes `span`, without a path or a hint.
    pub fn new(code: Code, span: Range<usize>, message: impl Into<String>) -> Self {
        Self { code, path: Arc::default(), span, message: message.into(), hint: None }
    }

    /// One line with its place in `file`, the lines of which are given.
    #[must_use]
    pub fn in_one_line(&self, file: &str, lines: &Lines<'_>) -> String {
        let at = lines.position(self.span.start);
        let path = if self.path.is_empty() { String::new() } else { format!("{:?}: ", self.path) };
        format!("{file}:{}:{}: {path}{} [{}]", at.line, at.column, self.message, self.code.name())
    }

    /// The same with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Findings about one text that are listed at most.
const LISTED_MAX: usize = 100_000;

/// Adds a finding to those that are listed. Behind the last one stands that there are more.
pub(super) fn list(findings: &mut Vec<Finding>, finding: Finding) {
    if findings.len() < LISTED_MAX {
        findings.push(finding);
    } else if findings.len() == LISTED_MAX {
        let message =
            format!("there are more than {LISTED_MAX} findings, and those from here on are not listed");
        findings.push(Finding::new(Code::TooMany, finding.span, message));
    }
}

/// Bytes of a path that a finding shows at most.
const SHOWN_PATH_BYTES: usize = 1024;

/// The path of an entry, whose names from the top down are `names`. Of one that is longer than 1024 bytes the middle is
/// left out.
#[must_use]
pub fn shown_path(names: &[String]) -> Arc<str> {
    const HALF: usize = SHOWN_PATH_BYTES / 2;
    let len = names.iter().map(|name| name.len() + 1).sum::<usize>();
    if len <= SHOWN_PATH_BYTES {
        return names.join("/").into();
    }
    let mut start = String::new();
    for name in names {
        start.push_str(&name[..floor_char_boundary(name, HALF)]);
        start.push('/');
        if start.len() > HALF || name.len() > HALF {
            break;
        }
    }
    let mut end = Vec::new();
    let mut left = HALF;
    for name in names.iter().rev() {
        let cut = ceil_char_boundary(name, name.len().saturating_sub(left));
        end.push(&name[cut..]);
        left = left.saturating_sub(name.len() + 1);
        if left == 0 {
            break;
        }
    }
    end.reverse();
    let start = &start[..floor_char_boundary(&start, HALF)];
    format!("{start}…{}", end.join("/")).into()
}

/// The start of the first character at or behind byte `at` of `text`.
fn ceil_char_boundary(text: &str, at: usize) -> usize {
    (at..text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len())
}

/// The start of the character that byte `at` of `text` belongs to; past the end it is the end.
pub(super) fn floor_char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

/// Where a byte of a text is, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line, from 1.
    pub line: usize,
    /// The character in the line, from 1.
    pub column: usize,
    /// Where the line starts, in bytes.
    pub line_start: usize,
}

/// The lines of a text.
#[derive(Debug)]
pub struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
    /// The byte asked for last and its position, from which the next one in the same line is counted.
    last: Cell<(usize, Position)>,
}

impl<'a> Lines<'a> {
    /// Finds where the lines of `text` begin.
    #[must_use]
    pub fn of(text: &'a str) -> Self {
        let starts = [0].into_iter().chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts, last: Cell::new((0, Position { line: 1, column: 1, line_start: 0 })) }
    }

    /// Where byte `at` is; one past the end is the end. In the order of the text it costs no more than the way from the
    /// place before.
    #[must_use]
    pub fn position(&self, at: usize) -> Position {
        let at = self.boundary(at);
        let line = self.starts.partition_point(|&start| start <= at);
        let line_start = self.starts[line - 1];
        let (before, last) = self.last.get();
        let (from, column) =
            if last.line == line && before <= at { (before, last.column) } else { (line_start, 1) };
        let position = Position { line, column: column + self.text[from..at].chars().count(), line_start };
        self.last.set((at, position));
        position
    }

    /// The start of the character that byte `at` belongs to.
    #[must_use]
    pub fn boundary(&self, at: usize) -> usize {
        floor_char_boundary(self.text, at)
    }

    /// The text of this line, counted from 1, without its end.
    #[must_use]
    pub fn line(&self, line: usize) -> &'a str {
        let end = self.starts.get(line).map_or(self.text.len(), |next| next - 1);
        let text = &self.text[self.starts[line - 1]..end];
        text.strip_suffix('\r').unwrap_or(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_path_the_middle_is_left_out() {
        let shown =
            |names: &[&str]| shown_path(&names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>());
        assert_eq!(&*shown(&[]), "");
        assert_eq!(&*shown(&["a", "é"]), "a/é");
        let long = "é".repeat(2000);
        let half = "é".repeat(256);
        assert_eq!(*shown(&["a", &long]), *format!("a/{}…{half}", "é".repeat(255)));
        assert_eq!(*shown(&[&long, "b"]), *format!("{half}…{}/b", "é".repeat(255)));
        let deep = shown(&["abc"; 1000]);
        assert!(deep.starts_with("abc/abc/") && deep.ends_with("/abc/abc") && deep.len() < 1100, "{deep}");
        assert_eq!(shown(&["x"; 512]).len(), 1023);
    }

    #[test]
    fn positions_are_the_same_in_any_order() {
        let text = "é1\r\n\n  ü x\nlast";
        let expected: Vec<_> = (0..=text.len()).map(|at| Lines::of(text).position(at)).collect();
        let lines = Lines::of(text);
        for at in (0..=text.len()).chain((0..=text.len()).rev()).chain([9, 3, 9, 0, 12]) {
            assert_eq!(lines.position(at), expected[at]);
        }
        assert_eq!((expected[10].line, expected[10].column), (3, 4));
        assert_eq!([1, 2, 3, 4].map(|line| lines.line(line)), ["é1", "", "  ü x", "last"]);
    }
}
