//! The parser of config trees: the tree, and the findings about it.
//!
//! Source: the documentation of LinuxKit's metadata package, and the behaviour of its agent. Field names match in any case.
//! If a key occurs twice, the last one counts; two `entries` of one entry are merged. Unlike that agent, this parser skips an
//! entry whose name would leave the directory, and keeps the rest of a document that has a value of the wrong type.
//!
//! `check` and `apply` use the same parser, so they cannot disagree.

use std::{borrow::Cow, collections::BTreeMap, ops::Range, sync::Arc};

use super::{
    ConfigTree, Entry, Node,
    json::{Cursor, check_syntax, short_span, type_of},
};
use crate::userdata::{
    binary::find_utf16,
    cloud_config::header::has_header,
    finding::{Code, Finding, push_bounded, shown_path},
    line_ends::check_line_ends,
};

/// Parsed user data.
#[derive(Debug)]
pub struct Parsed<'a> {
    /// The tree; `None`: plain text, which does not become files.
    pub tree: Option<ConfigTree>,
    /// The findings, in the order of the text.
    pub findings: Vec<Finding>,
    /// The text that the findings refer to. It differs from the data where the data is not UTF-8.
    pub text: Cow<'a, str>,
}

/// Whether data is probably meant as a config tree: it starts with a JSON object or array, perhaps after comments or in the
/// wrong encoding.
#[must_use]
pub fn looks_like_tree(data: &[u8]) -> bool {
    let data = data.strip_prefix(BYTE_ORDER_MARK).unwrap_or(data);
    let utf16 = data.starts_with(&[0xff, 0xfe]) || data.starts_with(&[0xfe, 0xff]);
    utf16 || matches!(skip_comments(data).first(), Some(b'{' | b'['))
}

/// `data` without the comments at its start, which people write although JSON has none. A header of cloud-init is not a
/// comment.
fn skip_comments(mut data: &[u8]) -> &[u8] {
    let after = |data: &'_ [u8], end: &[u8]| {
        data.windows(end.len()).position(|window| window == end).map(|at| at + end.len())
    };
    loop {
        let blank = data.iter().take_while(|byte| byte.is_ascii_whitespace() || **byte == 0).count();
        data = &data[blank..];
        let end = if data.starts_with(b"//") || data.starts_with(b"#") && !has_header(data) {
            after(data, b"\n")
        } else if data.starts_with(b"/*") {
            after(data, b"*/")
        } else {
            return data;
        };
        let Some(end) = end else { return &[] };
        data = &data[end..];
    }
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Parses user data.
#[must_use]
pub fn parse(data: &[u8]) -> Parsed<'_> {
    parse_or_check(data, true)
}

/// As [`parse`], for the findings alone: the tree has no content, and takes hardly any memory.
#[cfg(feature = "check")]
pub(crate) fn check(data: &[u8]) -> (Vec<Finding>, Cow<'_, str>) {
    let Parsed { findings, text, .. } = parse_or_check(data, false);
    (findings, text)
}

fn parse_or_check(data: &[u8], keeps_content: bool) -> Parsed<'_> {
    if let Some(finding) = find_utf16(data) {
        return Parsed { tree: None, findings: vec![finding], text: Cow::Borrowed("") };
    }
    let text = String::from_utf8_lossy(data);
    let mut findings = Vec::new();
    if let Err(error) = str::from_utf8(data) {
        // The text is the same up to this byte, where it has a replacement character.
        let at = error.valid_up_to();
        let message = format!("byte {at} is not UTF-8; in the guest it becomes U+FFFD");
        findings.push(Finding::new(Code::NotUtf8, at..at + '\u{fffd}'.len_utf8(), message));
    }
    let tree = parse_text(&text, keeps_content, &mut findings);
    findings.sort_by_key(|finding| finding.span.start);
    Parsed { tree, findings, text }
}

fn parse_text(text: &str, keeps_content: bool, findings: &mut Vec<Finding>) -> Option<ConfigTree> {
    if text.starts_with('\u{feff}') {
        let message = "the data starts with a byte order mark, so it is not valid JSON; a guest stores it as plain text";
        findings.push(
            Finding::new(Code::ByteOrderMark, 0..3, message)
                .with_hint("save the file as UTF-8 without a byte order mark"),
        );
        return None;
    }
    if let Err(finding) = check_syntax(text) {
        findings.push(finding);
        return None;
    }
    check_line_ends(text, findings);
    let mut parser = Parser {
        cursor: Cursor::new(text),
        path: Vec::new(),
        path_bytes: 0,
        shown_path: None,
        keeps_content,
        findings,
    };
    if parser.cursor.peek() != b'{' {
        let span = parser.cursor.skip_value();
        let what = type_of(text.as_bytes()[span.start]);
        let message = format!(
            "the top level is {what}, and only an object becomes files; a guest stores the data as plain text"
        );
        parser.findings.push(Finding::new(Code::RootNoObject, short_span(text, span), message));
        return None;
    }
    Some(ConfigTree { entries: parser.entries() })
}

/// The state of parsing a document.
pub(super) struct Parser<'a, 'f> {
    pub(super) cursor: Cursor<'a>,
    /// The names down to the current entry.
    pub(super) path: Vec<String>,
    /// Bytes in that path, with a slash after every name.
    pub(super) path_bytes: usize,
    /// That path as findings show it, once one needs it.
    shown_path: Option<Arc<str>>,
    /// Whether entries keep their content once it has been checked.
    keeps_content: bool,
    findings: &'f mut Vec<Finding>,
}

impl Parser<'_, '_> {
    pub(super) fn find(&mut self, code: Code, span: Range<usize>, message: impl Into<String>) {
        self.find_with_hint(code, span, message, None);
    }

    pub(super) fn find_with_hint(
        &mut self,
        code: Code,
        span: Range<usize>,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        let path = Arc::clone(self.shown_path.get_or_insert_with(|| shown_path(&self.path)));
        push_bounded(self.findings, Finding { path, hint, ..Finding::new(code, span, message) });
    }

    /// Enters the entry `name`.
    fn descend(&mut self, name: String) {
        self.path_bytes += name.len() + 1;
        self.path.push(name);
        self.shown_path = None;
    }

    /// Leaves the current entry and returns its name.
    fn ascend(&mut self) -> String {
        let name = self.path.pop().unwrap_or_default();
        self.path_bytes -= name.len() + 1;
        self.shown_path = None;
        name
    }

    pub(super) fn decode(&mut self, span: Range<usize>) -> Option<String> {
        let decoded = serde_json::from_str(&self.cursor.text[span.clone()]).ok();
        if decoded.is_none() {
            self.find(
                Code::BadString,
                span,
                "the string contains half of a surrogate pair, which is not valid Unicode; the entry is skipped",
            );
        }
        decoded
    }

    /// Parses the object at the cursor as entries.
    pub(super) fn entries(&mut self) -> BTreeMap<String, Entry> {
        let mut entries = BTreeMap::new();
        self.cursor.enter();
        while let Some(key) = self.cursor.next_key() {
            let Some(name) = self.decode(key.clone()) else {
                self.cursor.skip_value();
                continue;
            };
            let is_duplicate = entries.contains_key(&name);
            self.descend(name);
            let entry = self.entry(key.clone());
            if is_duplicate {
                let name = self.path.last().map(String::as_str).unwrap_or_default();
                let message = format!("{name:?} occurs twice; the last one counts");
                self.find(Code::DuplicateKey, key, message);
            }
            let name = self.ascend();
            // A skipped entry removes an earlier one of its name as well: the last one counts.
            match entry {
                Some(entry) => drop(entries.insert(name, entry)),
                None => drop(entries.remove(&name)),
            }
        }
        entries
    }

    fn entry(&mut self, key: Range<usize>) -> Option<Entry> {
        if self.cursor.peek() != b'{' {
            let value = self.cursor.skip_value();
            let what = type_of(self.cursor.text.as_bytes()[value.start]);
            let hint = Some("write an object, such as {\"content\": \"…\"}".to_owned());
            if what == "null" {
                let message = "the entry is null; it is skipped";
                self.find_with_hint(Code::NoContentOrEntries, value, message, hint);
            } else {
                let message = format!(
                    "the entry is {what} instead of an object; LinuxKit's agent rejects the whole document"
                );
                let span = short_span(self.cursor.text, value);
                self.find_with_hint(Code::WrongType, span, message, hint);
            }
            return None;
        }
        let fields = self.fields();
        let name_is_good = self.check_name(&key);
        let perm = self.perm(fields.perm);
        let node = match (fields.content, fields.entries) {
            (Some(_), Some(_)) => {
                let message =
                    "the entry has both content and entries, so it is a file and a directory; it is skipped";
                self.find(Code::ContentAndEntries, key, message);
                return None;
            }
            (None, None) => {
                if !fields.broken {
                    let message = "the entry has neither content nor entries; it is skipped";
                    let hint =
                        "for an empty file, write \"content\": \"\"; for a directory, write \"entries\": {}";
                    self.find_with_hint(Code::NoContentOrEntries, key, message, Some(hint.to_owned()));
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
        Some(if self.keeps_content { entry } else { Entry::file(String::new(), None) })
    }
}

#[cfg(test)]
mod tests {
    use super::{super::DEPTH_MAX, *};

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
    fn findings_are_listed_up_to_a_number() {
        let json = format!("{{\"a\":{{{}\"content\":\"\"}}}}", "\"\":0,".repeat(150_000));
        let codes = codes(&json);
        assert_eq!((codes.len(), codes[10_000]), (10_001, "too-many"));
        assert!(codes[..10_000].iter().all(|code| *code == "unknown-field"));
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
    fn an_entry_whose_string_is_not_unicode_is_skipped() {
        let parsed =
            parse(br#"{"a":{"content":"\ud800"},"\udc00":{"content":""},"b":{"content":"\ud83d\ude00"}}"#);
        assert_eq!(serde_json::to_string(&parsed.tree).unwrap(), r#"{"b":{"content":"😀"}}"#);
        assert_eq!(parsed.findings.len(), 2);
    }
}
