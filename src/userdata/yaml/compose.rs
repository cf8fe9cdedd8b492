//! The documents in a text.

use std::{borrow::Cow, ops::Range};

use super::{
    composer::{Composer, Failure},
    normal::Normal,
    repair::{self, REPAIRS_MAX, Strictness},
    tree::{Node, Tree},
};
use crate::userdata::finding::{Code, Finding};

/// What a text contains.
pub(super) struct Composed<'a> {
    /// The first document.
    pub(super) tree: Tree<'a>,
    /// The first character of the second document.
    pub(super) second: Option<Range<usize>>,
    /// The scalars in quotes and the block scalars, in the order of the text, in bytes.
    pub(super) literal: Vec<Range<usize>>,
}

impl Composed<'_> {
    /// The same, with all texts in it.
    fn into_owned(self) -> Composed<'static> {
        let nodes = self.tree.nodes.into_iter().map(Node::into_owned).collect();
        Composed { tree: Tree { nodes, root: self.tree.root }, second: self.second, literal: self.literal }
    }
}

/// The documents in `text`. What only PyYAML refuses is a finding, and the tree has [`Value::Unknown`](super::tree::Value::Unknown) there. `None`: the text
/// is not YAML at all, and there is a finding; or it cannot be told, and there is none.
pub(super) fn compose<'a>(text: &'a str, findings: &mut Vec<Finding>) -> Option<Composed<'a>> {
    let normal = Normal::of(text);
    if let Cow::Borrowed(text) = normal.text {
        return compose_normal(text, findings);
    }
    let before = findings.len();
    let composed = compose_normal(&normal.text, findings).map(Composed::into_owned);
    for finding in &mut findings[before..] {
        finding.span = normal.original(&finding.span);
    }
    let mut composed = composed?;
    for node in &mut composed.tree.nodes {
        node.span = normal.original(&node.span);
    }
    for span in composed.second.iter_mut().chain(&mut composed.literal) {
        *span = normal.original(span);
    }
    Some(composed)
}

/// The same of a text in which every character means the same for both.
fn compose_normal<'a>(text: &'a str, findings: &mut Vec<Finding>) -> Option<Composed<'a>> {
    let before = findings.len();
    let mut failure = match compose_once(text, findings) {
        Ok(composed) => return Some(composed),
        Err(failure) => failure,
    };
    let mut text = Cow::Borrowed(text);
    for _ in 0..REPAIRS_MAX {
        let Some((strictness, at)) = failure.strictness else { break };
        findings.truncate(before);
        let Some(repaired) = repair::repaired(&text, strictness, at) else {
            if strictness == Strictness::Quotes {
                let message = "not valid YAML: the quotes are not closed";
                findings.push(Finding::new(Code::YamlSyntax, failure.finding.span, message));
            } else if strictness == Strictness::Surrogates {
                findings.push(failure.finding);
            }
            return None;
        };
        text = repaired.into();
        failure = match compose_once(&text, findings) {
            Ok(composed) => return Some(composed.into_owned()),
            Err(failure) => failure,
        };
    }
    if failure.strictness.is_none() {
        findings.push(failure.finding);
    } else {
        findings.truncate(before);
    }
    None
}

fn compose_once<'a>(text: &'a str, findings: &mut Vec<Finding>) -> Result<Composed<'a>, Failure> {
    let mut composer = Composer::new(text, findings);
    composer.run()?;
    let Composer { nodes, documents, literal, .. } = composer;
    let tree = match documents.first() {
        Some((root, _)) => Tree { nodes, root: *root },
        // Comments only.
        None => Tree::empty(),
    };
    Ok(Composed { tree, second: documents.into_iter().nth(1).map(|(_, span)| span), literal })
}
