//! Findings: mistakes in data for a guest, and where they are.

use std::{cell::Cell, fmt, ops::Range, sync::Arc};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The guest loses something, or gets it in another form than intended.
    Error,
    /// It works, but is probably not intended.
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
        /// The kind of a finding. The names do not change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = $doc] $variant,)+
        }

        impl Code {
            /// All codes.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// Its name in output and documentation.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// Its severity.
            #[must_use]
            pub fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity),+ }
            }

            /// Its meaning, in a sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $doc),+ }
            }
        }
    };
}

codes! {
    JsonSyntax "json-syntax" Error "The data is meant as JSON, but is not valid."
    Comment "comment" Error "The data contains a comment, which JSON does not allow; a guest stores it as plain text."
    TrailingComma "trailing-comma" Error "There is a comma before a closing bracket; a guest stores the data as plain text."
    TrailingText "trailing-text" Error "There is text after the JSON; a guest stores all of the data as plain text."
    ByteOrderMark "byte-order-mark" Error "The text starts with a byte order mark; a guest stores the data as plain text."
    Utf16 "utf-16" Error "The text is encoded in UTF-16 instead of UTF-8."
    NotUtf8 "not-utf-8" Error "Some bytes are not UTF-8; in JSON they become U+FFFD."
    Binary "binary" Error "The data is binary, but text is expected; cloud-init ignores it."
    RawBytes "raw-bytes" Warning "The data is not text; LinuxKit's agent stores it unchanged."
    CarriageReturn "crlf" Warning "Lines end with a carriage return and a newline."
    RootNoObject "root-no-object" Error "The top level is an array; only an object becomes files."
    WrongType "wrong-type" Error "A value has the wrong type; LinuxKit's agent rejects the whole document."
    ContentAndEntries "content-and-entries" Error "An entry has both content and entries."
    NoContentOrEntries "no-content-or-entries" Error "An entry has neither content nor entries."
    BadString "bad-string" Error "A string is not valid Unicode."
    BadPermission "bad-perm" Error "perm is not an octal number up to 07777."
    SpecialBits "special-bits" Warning "perm has the setuid, setgid or sticky bit, which the guest drops."
    WorldWritable "world-writable" Warning "Every user of the guest can write the file."
    ReadableKey "readable-key" Warning "Users other than the owner can read a private key."
    UnknownField "unknown-field" Warning "An entry has a field that no agent reads."
    FieldCase "field-case" Warning "The name of a field is in the wrong case; LinuxKit's agent accepts it by accident."
    DuplicateKey "duplicate-key" Warning "The same key occurs twice; the last one counts."
    BadName "bad-name" Error "A name cannot be a file name in its directory."
    ReservedName "reserved-name" Error "The name belongs to the agent."
    TooDeep "too-deep" Error "Directories or YAML are nested in more than 128 levels, or a path is too long to open."
    HostName "bad-hostname" Error "The host name cannot be set."
    HostNameNewline "hostname-newline" Warning "The host name ends with a newline, which LinuxKit's agent makes part of the name."
    YamlSyntax "yaml-syntax" Error "The data is not valid YAML."
    AliasExpansion "alias-expansion" Error "The YAML aliases expand to far more than the document contains."
    NoMapping "no-mapping" Error "The YAML is not a single mapping at the top level."
    UnknownKey "unknown-key" Warning "cloud-init does not know a key."
    UnexpectedKey "unexpected-key" Error "A key is not known in the mapping that it is in."
    MissingKey "missing-key" Error "A mapping lacks a key that it must have."
    ExclusiveKeys "exclusive-keys" Error "Keys exclude each other, or a value has two forms at once."
    ValueType "value-type" Error "A value has a type that is not allowed for its key."
    BadValue "bad-value" Error "A value is not one of those that are allowed for its key."
    Unquoted "unquoted" Warning "YAML takes a value for a number, a boolean or a date, but a string is expected."
    UnknownModule "unknown-module" Warning "cloud-init has no module of this name."
    Deprecated "deprecated" Warning "A key or a value is deprecated."
    TooNew "too-new" Warning "The version of --cloud-init does not know a key or a value."
    BadAddress "bad-address" Error "A network address, prefix or mask is not valid."
    BadMac "bad-mac" Error "A hardware address is not valid."
    UnknownName "unknown-name" Error "A network configuration refers to an interface that it does not define."
    UndeclaredName "undeclared-name" Warning "A network configuration of version 1 refers to an interface that it does not define."
    DuplicateName "duplicate-name" Error "A network configuration defines an interface twice."
    DuplicateAddress "duplicate-address" Warning "A network configuration gives the same address twice."
    Gateway "gateway" Warning "A gateway is not in any network of its interface."
    ScriptCrlf "script-crlf" Error "A script has lines that end with a carriage return and a newline; its first line names an interpreter that does not exist."
    NoObject "no-object" Error "A JSON file of a config drive does not contain an object."
    OtherAgent "other-agent" Warning "The data is for cloud-init, but the file is one that only LinuxKit's agent reads."
    NoHeader "no-header" Error "cloud-init does not recognize the first line and ignores the data."
    MimeSyntax "mime-syntax" Error "cloud-init does not find the parts of the MIME document."
    MimeType "mime-type" Error "cloud-init does not know the type of a part, and ignores the part."
    MimeEncoding "mime-encoding" Error "cloud-init cannot decode a part, or changes its characters."
    Unchecked "unchecked" Warning "The data is too large, has too many parts, or takes a schema too many steps, to be checked completely."
    Template "template" Error "A value starts with the braces of a template, but the template header is missing."
    SeedFrom "seedfrom" Warning "cloud-init replaces the user data with what it downloads from seedfrom."
    NoInstanceId "no-instance-id" Warning "The meta-data has no instance ID, which cloud-init uses to recognize a first boot."
    EmptyNetworkConfig "empty-network-config" Warning "The network configuration is empty; some versions of cloud-init fail on it."
    VolumeIdentifier "volume-identifier" Error "Agents do not look for this volume identifier."
    Unread "unread" Error "No agent finds its data on the image."
    NearName "near-name" Warning "A file in the directory of a seed has almost the name of one that agents read, and is not read."
    Mistakable "mistakable" Warning "Other programs may take the image for one with another file system."
    TooMany "too-many" Error "There are more findings than are listed."
    TooLarge "too-large" Error "The user data is larger than the platform accepts."
}

impl Code {
    /// Whether cloud-init ignores the whole file with such a mistake in it.
    #[must_use]
    pub fn loses_data(self) -> bool {
        matches!(
            self,
            Self::ByteOrderMark
                | Self::Utf16
                | Self::Binary
                | Self::JsonSyntax
                | Self::TooDeep
                | Self::YamlSyntax
                | Self::AliasExpansion
                | Self::NoMapping
                | Self::NoHeader
                | Self::VolumeIdentifier
                | Self::Unread
        )
    }
}

/// A mistake in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Its kind.
    pub code: Code,
    /// The entry's path in the config tree, or empty. All findings about an entry share it, and a long one is shortened
    /// ([`shown_path`]), because there may be as many findings as the path has bytes.
    pub path: Arc<str>,
    /// Where it is in the text, in bytes.
    pub span: Range<usize>,
    /// What is wrong: a sentence without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Finding {
    /// A finding at the bytes `span`, without a path or a hint.
    pub fn new(code: Code, span: Range<usize>, message: impl Into<String>) -> Self {
        Self { code, path: Arc::default(), span, message: message.into(), hint: None }
    }

    /// The finding on one line, with its position in `file`, which has these lines.
    #[must_use]
    pub fn in_one_line(&self, file: &str, lines: &Lines<'_>) -> String {
        let at = lines.position(self.span.start);
        let path = if self.path.is_empty() { String::new() } else { format!("{:?}: ", self.path) };
        format!("{file}:{}:{}: {path}{} [{}]", at.line, at.column, self.message, self.code.name())
    }

    /// The findings of a text, each on one line with its hint.
    #[cfg(test)]
    pub(super) fn lines(findings: &[Self], text: &str) -> Vec<String> {
        let lines = Lines::of(text);
        let line = |it: &Self| {
            let hint = it.hint.as_deref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            it.in_one_line("f", &lines) + &hint
        };
        findings.iter().map(line).collect()
    }

    /// The finding with a hint.
    #[must_use]
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The most findings that are listed for a text.
pub(super) const FINDINGS_MAX: usize = 10_000;

/// Adds a finding, unless the list is full. The last finding of a full list says so.
pub(super) fn push_bounded(findings: &mut Vec<Finding>, finding: Finding) {
    if findings.len() < FINDINGS_MAX {
        findings.push(finding);
    } else if findings.len() == FINDINGS_MAX {
        let message =
            format!("there are more than {FINDINGS_MAX} findings; the ones from here on are not listed");
        findings.push(Finding::new(Code::TooMany, finding.span, message));
    }
}

/// The longest path that a finding shows in full, in bytes.
const SHOWN_PATH_BYTES: usize = 1024;

/// The path of an entry, from its names from the top down. One longer than 1024 bytes is shortened in the middle.
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

/// A path. One longer than 1024 bytes is shortened in the middle.
#[cfg(feature = "check")]
pub(super) fn shortened(path: &str) -> Arc<str> {
    const HALF: usize = SHOWN_PATH_BYTES / 2;
    if path.len() <= SHOWN_PATH_BYTES {
        return path.into();
    }
    let start = &path[..floor_char_boundary(path, HALF)];
    let end = &path[ceil_char_boundary(path, path.len() - HALF)..];
    format!("{start}…{end}").into()
}

/// The start of the first character at or after byte `at` of `text`.
fn ceil_char_boundary(text: &str, at: usize) -> usize {
    (at..text.len()).find(|&at| text.is_char_boundary(at)).unwrap_or(text.len())
}

/// The start of the character that contains byte `at` of `text`; past the end, the end.
pub(super) fn floor_char_boundary(text: &str, at: usize) -> usize {
    (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

/// The line and column of a byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line, counted from 1.
    pub line: usize,
    /// The character in the line, counted from 1.
    pub column: usize,
    /// Where the line starts, in bytes.
    pub line_start: usize,
}

/// The lines of a text.
#[derive(Debug)]
pub struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
    /// The last byte asked for and its position, so that the next one on the same line is counted from there.
    last: Cell<(usize, Position)>,
}

impl<'a> Lines<'a> {
    /// Finds where the lines of `text` begin.
    #[must_use]
    pub fn of(text: &'a str) -> Self {
        let starts = [0].into_iter().chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { text, starts, last: Cell::new((0, Position { line: 1, column: 1, line_start: 0 })) }
    }

    /// The position of byte `at`; past the end, that of the end. In ascending order, each call counts only from the position
    /// of the one before.
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

    /// The start of the character that contains byte `at`.
    #[must_use]
    pub fn boundary(&self, at: usize) -> usize {
        floor_char_boundary(self.text, at)
    }

    /// The text of a line, counted from 1, without its line end.
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
    fn a_long_path_is_shortened_in_the_middle() {
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
