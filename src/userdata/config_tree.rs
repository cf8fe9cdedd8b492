//! The config tree: JSON user data that becomes files below `/run/config`.
//!
//! The document is a map from names to entries. An entry has `content`, and is a file, or `entries`, and is a
//! directory; `perm` is its mode as an octal string. Source: the document of LinuxKit's metadata package, and what its
//! agent does: field names in any case, of a key that is there twice the last one, of two `entries` of one entry both.
//! Unlike that agent, a name that would leave the directory costs its entry, and a value of the wrong type does not
//! cost the document.
//!
//! There is one parser. It gives the tree and what is to say about it, so that those who check and those who apply
//! cannot disagree.

use std::{borrow::Cow, collections::BTreeMap, fmt, ops::Range, str::FromStr};

use serde::{Serialize, Serializer, ser::SerializeMap};
use serde_json::value::RawValue;

use super::{
    finding::{Code, Finding, floor_char_boundary},
    hostname,
};

/// Directories below one another at most.
pub const DEPTH_MAX: usize = 128;

/// Bytes in a name at most: Linux, `NAME_MAX` in `limits.h`.
pub const NAME_BYTES: usize = 255;

/// Files that the agent makes itself.
pub const RESERVED: [&str; 2] = ["provider", "userdata"];

/// Names and what they are, in the order of the names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigTree {
    /// The entries by name.
    pub entries: BTreeMap<String, Entry>,
}

/// A file or directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its mode, where one is given.
    pub perm: Option<Mode>,
    /// What it is.
    pub node: Node,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A file with this content.
    File(String),
    /// A directory.
    Directory(ConfigTree),
}

impl Entry {
    /// The permission bits that the guest gives it: those of `perm` without setuid, setgid and sticky bit, or 0644 for
    /// a file and 0755 for a directory.
    #[must_use]
    pub fn permissions(&self) -> u32 {
        match (&self.perm, &self.node) {
            (Some(mode), _) => u32::from(mode.0 & 0o777),
            (None, Node::File(_)) => FILE_MODE,
            (None, Node::Directory(_)) => DIRECTORY_MODE,
        }
    }
}

/// Permission bits of a file without `perm`.
pub const FILE_MODE: u32 = 0o644;

/// Permission bits of a directory without `perm`.
pub const DIRECTORY_MODE: u32 = 0o755;

/// Permission bits up to 07777, as text an octal number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(u16);

impl Mode {
    /// `None`: bits above 07777.
    #[must_use]
    pub fn new(bits: u32) -> Option<Self> {
        u16::try_from(bits).ok().filter(|bits| *bits <= 0o7777).map(Self)
    }

    /// Its bits.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0.into()
    }
}

impl FromStr for Mode {
    type Err = ();

    /// # Errors
    /// It has other characters than octal digits, or is over 07777.
    fn from_str(text: &str) -> Result<Self, ()> {
        let octal = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
        let bits = if octal { u32::from_str_radix(text, 8).ok() } else { None };
        bits.and_then(Self::new).ok_or(())
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl Serialize for ConfigTree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.entries.serialize(serializer)
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(perm) = &self.perm {
            map.serialize_entry("perm", &perm.to_string())?;
        }
        match &self.node {
            Node::File(content) => map.serialize_entry("content", content)?,
            Node::Directory(tree) => map.serialize_entry("entries", tree)?,
        }
        map.end()
    }
}

/// What came of user data.
#[derive(Debug)]
pub struct Parsed<'a> {
    /// The tree; `None`: plain text, of which a guest makes no files.
    pub tree: Option<ConfigTree>,
    /// What is to say about it, in the order of the text.
    pub findings: Vec<Finding>,
    /// The text that the findings point into; it differs from the data where that is not UTF-8.
    pub text: Cow<'a, str>,
}

/// Whether data is meant to be a config tree: its first character opens a JSON object or array, or it is something that
/// would be one but for its encoding.
#[must_use]
pub fn is_meant(data: &[u8]) -> bool {
    let data = data.strip_prefix(BYTE_ORDER_MARK).unwrap_or(data);
    let first = data.iter().find(|byte| !byte.is_ascii_whitespace() && **byte != 0);
    let utf16 = data.starts_with(&[0xff, 0xfe]) || data.starts_with(&[0xfe, 0xff]);
    utf16 || matches!(first, Some(b'{' | b'['))
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Parses user data.
#[must_use]
pub fn parse(data: &[u8]) -> Parsed<'_> {
    let utf16 = |pair: &[u8]| data.starts_with(pair);
    if utf16(&[0xff, 0xfe])
        || utf16(&[0xfe, 0xff])
        || matches!(data, [b'{' | b'[', 0, ..] | [0, b'{' | b'[', ..])
    {
        let finding = Finding::new(Code::Utf16, 0..0, "this is UTF-16, and a guest reads UTF-8")
            .with_hint("convert it, for instance with iconv -f UTF-16 -t UTF-8");
        return Parsed { tree: None, findings: vec![finding], text: Cow::Borrowed("") };
    }
    let text = String::from_utf8_lossy(data);
    let mut findings = Vec::new();
    if let Err(error) = str::from_utf8(data) {
        // The text up to there is the same; what follows is one replacement character.
        let at = error.valid_up_to();
        let message = format!("byte {at} is not UTF-8; in the guest it becomes U+FFFD");
        findings.push(Finding::new(Code::NotUtf8, at..at + '\u{fffd}'.len_utf8(), message));
    }
    let tree = parse_text(&text, &mut findings);
    findings.sort_by_key(|finding| finding.span.start);
    Parsed { tree, findings, text }
}

fn parse_text(text: &str, findings: &mut Vec<Finding>) -> Option<ConfigTree> {
    if text.starts_with('\u{feff}') {
        let message = "a byte order mark; with it the data is no JSON, and a guest stores it as plain text";
        findings
            .push(Finding::new(Code::ByteOrderMark, 0..3, message).with_hint("save it as UTF-8 without BOM"));
        return None;
    }
    if let Err(finding) = check_syntax(text) {
        findings.push(finding);
        return None;
    }
    if let Some(at) = text.find("\r\n") {
        let message = "lines end with a carriage return and a newline";
        findings.push(
            Finding::new(Code::CarriageReturn, at..at + 1, message).with_hint("save it with Unix line ends"),
        );
    }
    let mut walk = Walk { text, at: 0, path: Vec::new(), findings };
    walk.skip_white();
    if walk.peek() != b'{' {
        let span = walk.skip_value();
        let what = type_of(text.as_bytes()[span.start]);
        let message =
            format!("{what} at the top; a guest stores it as plain text, only an object becomes files");
        walk.findings.push(Finding::new(Code::RootNoObject, first_of(text, span), message));
        return None;
    }
    Some(ConfigTree { entries: walk.entries() })
}

/// The syntax error of a JSON text, as the mistake that it most likely is.
fn check_syntax(text: &str) -> Result<(), Finding> {
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
        let finding = Finding::new(Code::Comment, at..end, format!("JSON has no comments; {lost}"));
        return Err(finding.with_hint("remove it"));
    }
    if before.ends_with(',') && rest.starts_with(['}', ']']) {
        let comma = before.len() - 1;
        let message = format!("a comma before a closing bracket; {lost}");
        return Err(
            Finding::new(Code::TrailingComma, comma..comma + 1, message).with_hint("remove the comma")
        );
    }
    // serde_json's text ends with the place, which is told otherwise.
    let said = error.to_string();
    let said = said.split(" at line ").next().unwrap_or_default();
    if said == "trailing characters" {
        let end = rest.find('\n').map_or(text.len(), |end| at + end);
        let message = format!("text behind the JSON; {lost}, all of it");
        return Err(Finding::new(Code::TrailingText, at..end, message));
    }
    Err(Finding::new(Code::JsonSyntax, span, format!("{said}; {lost}")))
}

/// What a JSON value is, by its first character.
fn type_of(first: u8) -> &'static str {
    match first {
        b'{' => "an object",
        b'[' => "an array",
        b'"' => "a string",
        b't' | b'f' => "a boolean",
        b'n' => "null",
        _ => "a number",
    }
}

/// The first character of a value that may be long.
fn first_of(text: &str, span: Range<usize>) -> Range<usize> {
    if matches!(text.as_bytes()[span.start], b'{' | b'[') { span.start..span.start + 1 } else { span }
}

/// A walk over a JSON text that is known to be well-formed.
struct Walk<'a, 'f> {
    text: &'a str,
    at: usize,
    /// The names down to the present entry.
    path: Vec<String>,
    findings: &'f mut Vec<Finding>,
}

impl Walk<'_, '_> {
    fn peek(&self) -> u8 {
        self.text.as_bytes()[self.at]
    }

    fn skip_white(&mut self) {
        let white = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        self.at += self.text.as_bytes()[self.at..].iter().take_while(white).count();
    }

    /// Passes over a string, from quote to quote.
    fn skip_string(&mut self) -> Range<usize> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        self.at += 1;
        while bytes[self.at] != b'"' {
            self.at += if bytes[self.at] == b'\\' { 2 } else { 1 };
        }
        self.at += 1;
        start..self.at
    }

    /// Passes over any value, however deep.
    fn skip_value(&mut self) -> Range<usize> {
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

    /// Calls `member` for each key of the object that begins here, standing at its value, which `member` passes over.
    fn members(&mut self, mut member: impl FnMut(&mut Self, Range<usize>)) {
        self.at += 1;
        loop {
            self.skip_white();
            match self.peek() {
                b'}' => break,
                b',' => self.at += 1,
                _ => {
                    let key = self.skip_string();
                    self.skip_white();
                    self.at += 1;
                    self.skip_white();
                    member(self, key);
                }
            }
        }
        self.at += 1;
    }

    fn find(&mut self, code: Code, span: Range<usize>, message: impl Into<String>) -> &mut Finding {
        let mut finding = Finding::new(code, span, message);
        finding.path = self.path.join("/");
        self.findings.push(finding);
        self.findings.last_mut().expect("one has been pushed")
    }

    fn decode(&mut self, span: Range<usize>) -> Option<String> {
        let decoded = serde_json::from_str(&self.text[span.clone()]).ok();
        if decoded.is_none() {
            self.find(
                Code::BadString,
                span,
                "half of a surrogate pair is no character; the entry is skipped",
            );
        }
        decoded
    }

    /// The entries of the object that begins here.
    fn entries(&mut self) -> BTreeMap<String, Entry> {
        let mut entries = BTreeMap::new();
        self.members(|walk, key| {
            let Some(name) = walk.decode(key.clone()) else {
                walk.skip_value();
                return;
            };
            walk.path.push(name);
            let entry = walk.entry(key.clone());
            let name = walk.path.pop().unwrap_or_default();
            if entries.contains_key(&name) {
                walk.path.push(name.clone());
                walk.find(Code::DuplicateKey, key, format!("{name:?} is here twice; the last one counts"));
                walk.path.pop();
            }
            // An entry that is skipped leaves nothing of an earlier one either: the last one counts.
            match entry {
                Some(entry) => drop(entries.insert(name, entry)),
                None => drop(entries.remove(&name)),
            }
        });
        entries
    }

    fn entry(&mut self, key: Range<usize>) -> Option<Entry> {
        if self.peek() != b'{' {
            let value = self.skip_value();
            let what = type_of(self.text.as_bytes()[value.start]);
            let finding = if what == "null" {
                self.find(Code::NoContentOrEntries, value, "null instead of an entry; it is skipped")
            } else {
                let message =
                    format!("{what} instead of an entry; LinuxKit's agent rejects the whole document");
                let span = first_of(self.text, value);
                self.find(Code::WrongType, span, message)
            };
            finding.hint = Some("an entry is an object: {\"content\": \"…\"}".to_owned());
            return None;
        }
        let fields = self.fields();
        let name_is_good = self.check_name(&key);
        let perm = self.perm(fields.perm);
        let node = match (fields.content, fields.entries) {
            (Some(_), Some(_)) => {
                let message = "both content and entries: a file or a directory? it is skipped";
                self.find(Code::ContentAndEntries, key, message);
                return None;
            }
            (None, None) => {
                if !fields.broken {
                    let message = "neither content nor entries; it is skipped";
                    let finding = self.find(Code::NoContentOrEntries, key, message);
                    finding.hint = Some(
                        "for an empty file: \"content\": \"\", for a directory: \"entries\": {}".to_owned(),
                    );
                }
                return None;
            }
            (Some(content), None) => Node::File(content),
            (None, Some(entries)) => Node::Directory(ConfigTree { entries }),
        };
        if fields.broken || !name_is_good {
            return None;
        }
        let entry = Entry { perm: perm.ok()?, node };
        self.check_content(&entry, key);
        Some(entry)
    }

    fn fields(&mut self) -> Fields {
        let mut fields = Fields::default();
        let mut seen = Vec::new();
        self.members(|walk, key| {
            let Some(name) = walk.decode(key.clone()) else {
                walk.skip_value();
                return;
            };
            let Some(field) = FIELDS.into_iter().find(|field| field.eq_ignore_ascii_case(&name)) else {
                walk.skip_value();
                let finding = walk.find(Code::UnknownField, key, format!("nobody reads a field {name:?}"));
                finding.hint = suggestion(&name).map(|field| format!("did you mean {field:?}?"));
                return;
            };
            if field != name {
                let message = format!("the field is {field:?}; LinuxKit's agent takes {name:?} by accident");
                walk.find(Code::FieldCase, key.clone(), message);
            }
            if seen.contains(&field) {
                let which = if field == "entries" { "both count, as one" } else { "the last one counts" };
                walk.find(Code::DuplicateKey, key, format!("{field:?} is here twice; {which}"));
            }
            seen.push(field);
            fields.take(walk, field);
        });
        fields
    }

    /// The mode of an entry. `Err`: it is none, and the entry is skipped with all below it.
    fn perm(&mut self, perm: Option<(String, Range<usize>)>) -> Result<Option<Mode>, ()> {
        let Some((text, span)) = perm.filter(|(text, _)| !text.is_empty()) else { return Ok(None) };
        let Ok(mode) = text.parse::<Mode>() else {
            let message = format!(
                "perm {text:?} is no octal number up to 07777; the entry and all below it is skipped"
            );
            let finding = self.find(Code::BadPermission, span, message);
            finding.hint = Some("for instance \"0600\" or \"0755\"".to_owned());
            return Err(());
        };
        if mode.bits() & 0o7000 != 0 {
            let message = format!("perm {text:?} has a setuid, setgid or sticky bit, which the guest drops");
            self.find(Code::SpecialBits, span.clone(), message);
        }
        if mode.bits() & 0o002 != 0 {
            self.find(Code::WorldWritable, span, format!("with perm {text:?} everybody may write it"));
        }
        Ok(Some(mode))
    }

    /// Whether the name of the present entry can be one.
    fn check_name(&mut self, key: &Range<usize>) -> bool {
        let Some(name) = self.path.last() else { return true };
        let why = match name.as_str() {
            "" => "an empty name",
            "." | ".." => "a name for a directory that is there already",
            _ if name.contains('/') => "a name with '/', which would lead elsewhere",
            _ if name.contains('\0') => "a name with a NUL character",
            _ if name.len() > NAME_BYTES => "a name longer than 255 bytes",
            reserved if self.path.len() == 1 && RESERVED.contains(&reserved) => {
                let message = format!("{reserved:?} is a file of the agent's own; the entry is skipped");
                self.find(Code::ReservedName, key.clone(), message);
                return false;
            }
            _ => return true,
        };
        let nested = name.contains('/') && !name.split('/').any(|part| matches!(part, "" | "." | ".."));
        let hint = nested
            .then(|| "for a file in a directory nest it: {\"a\": {\"entries\": {\"b\": …}}}".to_owned());
        self.find(Code::BadName, key.clone(), format!("{why}; the entry is skipped")).hint = hint;
        false
    }

    fn check_content(&mut self, entry: &Entry, key: Range<usize>) {
        let Node::File(content) = &entry.node else { return };
        if entry.permissions() & 0o044 != 0 && content.contains("PRIVATE KEY-----") {
            let message = format!("a private key with mode {:04o}: others may read it", entry.permissions());
            self.find(Code::ReadableKey, key.clone(), message).hint = Some("\"perm\": \"0600\"".to_owned());
        }
        if self.path.len() == 1 && self.path[0] == "hostname" {
            let name = content.strip_suffix('\n').unwrap_or(content);
            if let Err(why) = hostname::check(name) {
                self.find(Code::HostName, key, format!("the host name {why}"));
            } else if name != content {
                let message = "the host name ends with a newline, which LinuxKit's agent makes part of it";
                self.find(Code::HostNameNewline, key, message);
            }
        }
    }
}

/// The fields of an entry.
const FIELDS: [&str; 3] = ["perm", "content", "entries"];

#[derive(Default)]
struct Fields {
    perm: Option<(String, Range<usize>)>,
    content: Option<String>,
    entries: Option<BTreeMap<String, Entry>>,
    /// Whether one of them is of the wrong type.
    broken: bool,
}

impl Fields {
    /// Takes the value of `field`, at which `walk` stands. A null is as if there were none.
    fn take(&mut self, walk: &mut Walk<'_, '_>, field: &str) {
        match (field, walk.peek()) {
            (_, b'n') => drop(walk.skip_value()),
            ("entries", b'{') if walk.path.len() > DEPTH_MAX => {
                let span = walk.skip_value();
                let message = format!("directories in more than {DEPTH_MAX} levels; the entry is skipped");
                walk.find(Code::TooDeep, span.start..span.start + 1, message);
                self.broken = true;
            }
            ("entries", b'{') => {
                let entries = walk.entries();
                self.entries.get_or_insert_default().extend(entries);
            }
            ("content" | "perm", b'"') => {
                let span = walk.skip_string();
                match walk.decode(span.clone()) {
                    None => self.broken = true,
                    Some(text) if field == "perm" => self.perm = Some((text, span)),
                    Some(text) => self.content = Some(text),
                }
            }
            (_, first) => {
                let span = walk.skip_value();
                let (what, wanted) =
                    (type_of(first), if field == "entries" { "an object" } else { "a string" });
                let value = walk.text[span.clone()].to_owned();
                let message = format!(
                    "{field} is {what} instead of {wanted}; LinuxKit's agent rejects the whole document"
                );
                let span = first_of(walk.text, span);
                let finding = walk.find(Code::WrongType, span, message);
                if what == "a number" {
                    finding.hint = Some(format!("put it in quotes: \"{value}\""));
                }
                self.broken = true;
            }
        }
    }
}

/// The field that somebody who wrote `name` most likely meant.
fn suggestion(name: &str) -> Option<&'static str> {
    match name.to_ascii_lowercase().as_str() {
        "contents" | "contnet" | "conten" | "data" | "text" | "value" | "body" => Some("content"),
        "mode" | "perms" | "permission" | "permissions" | "prem" => Some("perm"),
        "entry" | "entires" | "files" | "children" | "dir" | "directory" => Some("entries"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(json: &str) -> Vec<&'static str> {
        parse(json.as_bytes()).findings.iter().map(|finding| finding.code.name()).collect()
    }

    #[test]
    fn a_tree_is_written_in_the_order_of_its_names() {
        let json = r#"{"b":{"entries":{"y":{"content":""},"x":{"perm":"600","content":"1"}},"perm":"0700"},"a":{"content":"é"}}"#;
        let parsed = parse(json.as_bytes());
        assert_eq!(parsed.findings, []);
        assert_eq!(
            serde_json::to_string(&parsed.tree).unwrap(),
            r#"{"a":{"content":"é"},"b":{"perm":"0700","entries":{"x":{"perm":"0600","content":"1"},"y":{"content":""}}}}"#
        );
    }

    #[test]
    fn the_last_of_two_keys_counts_and_two_entries_merge() {
        let json = r#"{"a":{"content":"1","content":"2"},"b":{"entries":{"x":{"content":"1"}},"Entries":{"y":{"content":"2"}}},"a":null}"#;
        let parsed = parse(json.as_bytes());
        let written = serde_json::to_string(&parsed.tree).unwrap();
        assert_eq!(written, r#"{"b":{"entries":{"x":{"content":"1"},"y":{"content":"2"}}}}"#);
        let codes: Vec<_> = parsed.findings.iter().map(|finding| finding.code.name()).collect();
        assert_eq!(
            codes,
            ["duplicate-key", "field-case", "duplicate-key", "duplicate-key", "no-content-or-entries"]
        );
    }

    #[test]
    fn depth_is_bounded_without_recursion() {
        let nested = |levels: usize| {
            let open = r#"{"d":{"entries":"#.repeat(levels);
            format!("{open}{{}}{}", "}}".repeat(levels))
        };
        assert_eq!(codes(&nested(DEPTH_MAX)), [""; 0]);
        assert_eq!(codes(&nested(DEPTH_MAX + 1))[0], "too-deep");
        assert_eq!(codes(&nested(200_000))[0], "too-deep");
    }

    #[test]
    fn a_string_that_is_no_unicode_costs_its_entry() {
        let parsed =
            parse(br#"{"a":{"content":"\ud800"},"\udc00":{"content":""},"b":{"content":"\ud83d\ude00"}}"#);
        assert_eq!(serde_json::to_string(&parsed.tree).unwrap(), r#"{"b":{"content":"😀"}}"#);
        assert_eq!(parsed.findings.len(), 2);
    }
}
