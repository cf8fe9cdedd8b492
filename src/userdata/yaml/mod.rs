//! YAML as cloud-init reads it, with positions.
//!
//! cloud-init uses PyYAML's `safe_load`, which is YAML 1.1: `yes` is a boolean, `0644` is 420, `1:30` is 90. The events come
//! from saphyr-parser, which is YAML 1.2; what a scalar means, merge keys, duplicate keys and what PyYAML refuses are decided
//! here. A [`Tree`] is an arena: an alias names the node of its anchor, so memory grows with the text.
//!
//! Source: PyYAML 6.0 (`resolver.py`, `constructor.py`, `reader.py`, `scanner.py`).

mod anchors;
mod compose;
mod composer;
mod keys;
mod members;
mod normal;
mod numbers;
mod offsets;
mod refused;
mod repair;
mod scalar;
mod syntax_error;
mod tag;
mod timestamp;
mod tree;

use crate::userdata::finding::{Code, Finding};
use compose::compose;

#[cfg(feature = "check")]
pub(in crate::userdata) use timestamp::is_date;
#[cfg(feature = "check")]
pub(in crate::userdata) use tree::Scalar;
pub(in crate::userdata) use tree::{Kind, Member, NodeId, Tree, Value};

/// The document in `text`, if it is one mapping or empty. `None`: it is neither, and there is a finding. Findings call it
/// `what`.
pub(in crate::userdata) fn check_mapping<'a>(
    text: &'a str,
    what: &str,
    findings: &mut Vec<Finding>,
) -> Option<Tree<'a>> {
    let tree = check_document(text, what, findings)?;
    match tree.value(tree.root()) {
        Value::Mapping(_) => Some(tree),
        Value::Scalar(scalar) if scalar.kind == Kind::Null && scalar.text.is_empty() => Some(Tree::empty()),
        // There is a finding about it already.
        Value::Unknown => None,
        _ => {
            let message = format!("{what} must be a mapping of keys to values");
            let finding = Finding::new(Code::NoMapping, tree.first_character(text), message);
            let is_key =
                |text: &str| text.split_once(':').is_some_and(|(key, _)| !key.contains(char::is_whitespace));
            let lacks_space = tree.string(tree.root()).is_some_and(is_key);
            findings.push(if lacks_space {
                finding.with_hint("write a space after the colon of a key")
            } else {
                finding
            });
            None
        }
    }
}

/// The only document in `text`, which is an empty mapping if there are only comments. `None`: there are more, or it is not
/// valid, and there is a finding, unless it cannot be told whether PyYAML accepts it.
pub(in crate::userdata) fn check_document<'a>(
    text: &'a str,
    what: &str,
    findings: &mut Vec<Finding>,
) -> Option<Tree<'a>> {
    let composed = compose(text, findings)?;
    if let Some(second) = composed.second {
        let message = format!("there is a second document, but {what} is a single mapping");
        findings.push(Finding::new(Code::NoMapping, second, message));
        return None;
    }
    refused::check(text, &composed.literal, findings);
    Some(composed.tree)
}

#[cfg(test)]
mod py_yaml;
#[cfg(test)]
mod tests;
