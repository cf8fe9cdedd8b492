//! Anchors, whose names and uses PyYAML is stricter about (`scanner.py`, `scan_anchor`; `composer.py`, `compose_node`).

use std::ops::Range;

use super::composer::Composer;

impl Composer<'_, '_> {
    /// Reports an anchor that PyYAML refuses. `start`: where the node begins, which is its anchor or its tag, in bytes.
    pub(super) fn check_anchor(&mut self, start: usize) {
        let text = self.text;
        let Some(start) = anchor_behind_tag(text, start) else { return };
        let name = name_at(text, start);
        let span = start..start + 1 + name.len();
        if !is_name(name) {
            self.refuse_at(span, "the name of an anchor has only the letters a to z, digits, - and _");
        } else if !self.names.insert(name) {
            self.refuse_at(span, "another anchor has this name");
        }
    }

    /// Reports an alias whose name PyYAML refuses.
    pub(super) fn check_alias(&mut self, span: Range<usize>) {
        if !is_name(name_at(self.text, span.start)) {
            self.refuse_at(span, "the name of an anchor has only the letters a to z, digits, - and _");
        }
    }
}

/// Whether PyYAML accepts the name of an anchor. Behind it, it takes some signs for the beginning of something else; whether
/// that is right is left open.
fn is_name(name: &str) -> bool {
    let end = name.find(|it: char| !it.is_ascii_alphanumeric() && !matches!(it, '-' | '_'));
    end.is_none_or(|end| end > 0 && name[end..].starts_with(':'))
}

/// The name behind the sign of an anchor or alias.
fn name_at(text: &str, sign: usize) -> &str {
    let name = text.get(sign + 1..).unwrap_or_default();
    let end = name.find(|it: char| it.is_whitespace() || matches!(it, ',' | '[' | ']' | '{' | '}'));
    &name[..end.unwrap_or(name.len())]
}

/// The place of the sign of the anchor of a node, which may be behind a tag. `None`: there are comments in between.
fn anchor_behind_tag(text: &str, start: usize) -> Option<usize> {
    let node = text.get(start..)?;
    let at = if node.starts_with('!') {
        let tag = node.find(char::is_whitespace)?;
        tag + node[tag..].len() - node[tag..].trim_start().len()
    } else {
        0
    };
    node[at..].starts_with('&').then_some(start + at)
}
