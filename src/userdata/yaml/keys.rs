//! Keys that PyYAML refuses.

use std::ops::Range;

use super::{
    composer::Composer,
    tree::{NodeId, Value},
};
use crate::userdata::finding::{Code, Finding, push_bounded};

/// The most characters of a key that has no question mark, up to its colon (YAML 1.1, 7.3; `scanner.py`,
/// `stale_possible_simple_keys`).
const KEY_CHARACTERS_MAX: usize = 1024;

impl Composer<'_, '_> {
    /// Reports what PyYAML refuses of a scalar as a key.
    pub(super) fn check_key(&mut self, range: &Range<usize>) {
        if range.is_empty() {
            if self.is_missing_key(range.start) {
                self.refuse_at(self.offsets.character_at(range.start), "there is no key before the colon");
            }
            return;
        }
        // The parser itself looks at those of block mappings.
        let Some(open) = self.open.last() else { return };
        if !self.text[self.offsets.byte(open.start)..].starts_with('{') {
            return;
        }
        let behind = &self.text[range.end..];
        let behind = &behind[..behind.len() - behind.trim_start().len()];
        let is_implicit = !self.text[..range.start].trim_end().ends_with('?');
        if !is_implicit || !self.text[range.end + behind.len()..].starts_with(':') {
            return;
        }
        let key = &self.text[range.start..range.end + behind.len()];
        if key.chars().nth(KEY_CHARACTERS_MAX).is_some() {
            self.refuse_at(range.clone(), "a key between braces has at most 1024 characters");
        } else if key.contains(['\n', '\r']) {
            self.refuse_at(range.clone(), "a key between braces and its colon are in one line");
        }
    }

    /// Whether the empty key at a byte is one that is simply missing. An empty key behind a question mark is allowed.
    fn is_missing_key(&self, at: usize) -> bool {
        self.text[at..].starts_with(':') && !self.text[..at].trim_end().ends_with('?')
    }

    /// A list or a mapping as a key, which Python does not have. Two braces are the usual reason.
    pub(super) fn refuse_key(&mut self, node: NodeId, at: usize) {
        let is_template = self.text[..at].ends_with('{') && self.text[at..].starts_with('{');
        self.nodes[node].value = Value::Unknown;
        if is_template {
            let message = "the value starts with {{, which YAML takes for a mapping";
            let finding = Finding::new(Code::Template, at - 1..at + 1, message);
            let hint = "make \"## template: jinja\" the first line, or quote the value";
            push_bounded(self.findings, finding.with_hint(hint));
        } else {
            self.refuse(node, "a list or a mapping cannot be a key");
        }
    }
}
