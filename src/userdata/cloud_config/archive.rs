//! `#cloud-config-archive`: a list of parts, each a text or a mapping of its type and content.
//!
//! Source: cloud-init's documentation of user-data formats.

use std::ops::Range;

use crate::userdata::{
    finding::{Code, Finding, push_bounded},
    yaml::{Kind, NodeId, Tree, Value, check_document},
};

/// Checks the text of a part with its content type, if it has one.
pub(super) type CheckPart<'c> = &'c dyn Fn(&str, Option<&str>, &mut Vec<Finding>);

/// Checks an archive.
pub(super) fn check(text: &str, check_part: CheckPart<'_>, findings: &mut Vec<Finding>) {
    let Some(tree) = check_document(text, "an archive", findings) else { return };
    if !matches!(tree.value(tree.root()), Value::Sequence(_) | Value::Unknown) {
        let message = "an archive must be a list of parts";
        findings.push(Finding::new(Code::ValueType, tree.span(tree.root()), message));
        return;
    }
    for (number, &item) in tree.items(tree.root()).iter().enumerate() {
        check_item(text, &tree, number, item, check_part, findings);
    }
}

fn check_item(
    text: &str,
    tree: &Tree<'_>,
    number: usize,
    item: NodeId,
    check_part: CheckPart<'_>,
    findings: &mut Vec<Finding>,
) {
    let wrong = |node: NodeId, message: &str| Finding {
        path: format!("[{number}]").into(),
        ..Finding::new(Code::ValueType, tree.span(node), message)
    };
    let (content, content_type) = match tree.value(item) {
        Value::Mapping(_) => match tree.get(item, "content") {
            Some(content) => (content, tree.get(item, "type").and_then(|node| tree.string(node))),
            None => return,
        },
        Value::Scalar(_) => (item, None),
        Value::Sequence(_) => {
            push_bounded(findings, wrong(item, "a part must be a string or a mapping with its content"));
            return;
        }
        Value::Unknown => return,
    };
    let Some(scalar) = tree.scalar(content) else {
        if !matches!(tree.value(content), Value::Unknown) {
            push_bounded(findings, wrong(content, "the content of a part must be a string"));
        }
        return;
    };
    if scalar.kind != Kind::String {
        return;
    }
    let mut inner = Vec::new();
    check_part(&scalar.text, content_type, &mut inner);
    let places = Places::of(text, tree.span(content), &scalar.text);
    for finding in inner {
        let path = match &*finding.path {
            "" => format!("[{number}]"),
            path => format!("[{number}].{path}"),
        };
        let span = places.of_span(&finding.span);
        push_bounded(findings, Finding { path: path.into(), span, ..finding });
    }
}

/// Where the lines of a block scalar are in the text around it.
struct Places {
    whole: Range<usize>,
    /// Where each line begins in the scalar and around it; empty if the lines are not the same in both.
    lines: Vec<(usize, usize)>,
}

impl Places {
    fn of(text: &str, whole: Range<usize>, content: &str) -> Self {
        let mut lines = Vec::new();
        // The parser says where the content begins, or where the line with the bar does.
        let mut at = text[..whole.start].rfind('\n').map_or(0, |end| end + 1);
        let mut around = text[at..].split_inclusive('\n');
        if text[whole.start..].starts_with(['|', '>', '"', '\'']) {
            at += around.next().map_or(0, str::len);
        }
        let mut inner = 0;
        for line in content.split_inclusive('\n') {
            let Some(outer) = around.next() else { break };
            let bare = outer.trim_end_matches(['\r', '\n']);
            if !bare.ends_with(line.trim_end_matches('\n')) {
                return Self { whole, lines: Vec::new() };
            }
            lines.push((inner, at + bare.len() - line.trim_end_matches('\n').len()));
            inner += line.len();
            at += outer.len();
        }
        Self { whole, lines }
    }

    /// The place of a span of the scalar. A span that cannot be found is the whole scalar's first line.
    fn of_span(&self, span: &Range<usize>) -> Range<usize> {
        let line = self.lines.partition_point(|&(inner, _)| inner <= span.start);
        match line.checked_sub(1).and_then(|line| self.lines.get(line)) {
            Some(&(inner, outer)) => outer + span.start - inner..outer + span.end - inner,
            None => self.whole.clone(),
        }
    }
}
