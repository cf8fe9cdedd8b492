//! Characters that PyYAML refuses and YAML 1.2 accepts (`reader.py`, `scanner.py`).

use std::ops::Range;

use crate::userdata::finding::{Code, Finding};

/// Finds characters that PyYAML refuses. `literal`: the scalars in quotes and the block scalars.
pub(super) fn check(text: &str, literal: &[Range<usize>], findings: &mut Vec<Finding>) {
    if let Some((at, refused)) = text.char_indices().find(|&(_, character)| !is_printable(character)) {
        let message =
            format!("not valid YAML 1.1: the character U+{:04X} is not allowed", u32::from(refused));
        let end = at + refused.len_utf8();
        let hint = "in a string in double quotes, write it as an escape such as \\x01";
        findings.push(Finding::new(Code::YamlSyntax, at..end, message).with_hint(hint));
        return;
    }
    if let Some(at) = version(text) {
        let message = "not valid YAML 1.1: cloud-init reads version 1 only";
        findings.push(Finding::new(Code::YamlSyntax, at, message).with_hint("remove the line"));
        return;
    }
    if let Some(at) = mark(text, literal) {
        let message = "the line starts with a byte order mark, which cloud-init takes for part of the key";
        let finding = Finding::new(Code::ByteOrderMark, at..at + MARK.len_utf8(), message);
        findings.push(finding.with_hint("remove it; it is there although editors do not show it"));
    }
    if let Some(at) = tab(text, literal) {
        let message = "not valid YAML 1.1: a tab outside of quotes";
        findings.push(Finding::new(Code::YamlSyntax, at..at + 1, message).with_hint("use spaces"));
    }
}

/// Whether PyYAML reads a character.
fn is_printable(character: char) -> bool {
    matches!(character,
        '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}'
        | '\u{10000}'..)
}

/// A byte order mark.
const MARK: char = '\u{feff}';

/// A byte order mark at the start of a line outside of quotes and block scalars. At the start of the text, it is none of YAML's.
fn mark(text: &str, literal: &[Range<usize>]) -> Option<usize> {
    let is_first = |at: usize| at > 0 && text[..at].ends_with(['\n', '\r']);
    let mut marks = text.match_indices(MARK).map(|(at, _)| at).filter(|&at| is_first(at));
    marks.find(|at| {
        let next = literal.partition_point(|range| range.end <= *at);
        literal.get(next).is_none_or(|range| range.start > *at)
    })
}

/// A directive for a version other than 1.
fn version(text: &str) -> Option<Range<usize>> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if line.starts_with("---") {
            return None;
        }
        if let Some(version) = line.strip_prefix("%YAML ")
            && !version.trim_start().starts_with("1.")
        {
            return Some(at..at + line.trim_end().len());
        }
        if !line.starts_with(['#', '%']) && !line.trim().is_empty() {
            return None;
        }
        at += line.len();
    }
    None
}

/// A tab outside of quotes, block scalars and comments.
fn tab(text: &str, literal: &[Range<usize>]) -> Option<usize> {
    if !text.contains('\t') {
        return None;
    }
    let mut literal = literal.iter().peekable();
    let mut in_comment = false;
    let mut before = '\n';
    let mut skipped = 0;
    for (at, character) in text.char_indices() {
        if at < skipped {
            continue;
        }
        while literal.next_if(|range| range.end <= at && range.start < at).is_some() {}
        if !in_comment && let Some(range) = literal.next_if(|range| range.start <= at) {
            skipped = range.end;
            before = 'x';
            if at < skipped {
                continue;
            }
        }
        match character {
            '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}' => in_comment = false,
            '#' if before.is_whitespace() => in_comment = true,
            '\t' if !in_comment => return Some(at),
            _ => {}
        }
        before = character;
    }
    None
}
