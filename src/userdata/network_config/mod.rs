//! Network configurations of cloud-init: versions 1 and 2, by themselves or below the key `network`.
//!
//! The structure is judged by schemas; addresses, names and what belongs together by code. Where the documentation leaves
//! something open, nothing is said.
//!
//! Source: cloud-init's documentation of networking config versions 1 and 2, netplan's YAML reference, and cloud-init's
//! documentation of the data source NoCloud.

mod address;
mod gateways;
mod network_data;
mod outline;
mod place;
mod version1;
mod version2;

use std::sync::LazyLock;

use super::{
    finding::{Code, Finding},
    line_ends::check_line_ends,
    schema::{Schema, Terms, Unknown, judge_node},
    yaml::{Kind, NodeId, Tree, Value, check_mapping},
};
pub(super) use network_data::check_network_data;
use place::{Place, Report};

static VERSION_1: LazyLock<Schema> =
    LazyLock::new(|| Schema::parse(include_bytes!("version1.json")).expect("a valid schema"));
static VERSION_2: LazyLock<Schema> =
    LazyLock::new(|| Schema::parse(include_bytes!("version2.json")).expect("a valid schema"));

/// Checks a network configuration.
pub fn check(text: &str, findings: &mut Vec<Finding>) {
    check_line_ends(text, findings);
    if text.trim().is_empty() {
        let message = "the network configuration is empty; some versions of cloud-init fail on it";
        findings.push(Finding::new(Code::EmptyNetworkConfig, 0..0, message).with_hint("leave the file out"));
        return;
    }
    let Some(tree) = check_mapping(text, "network configuration", findings) else { return };
    match tree.get(tree.root(), "network") {
        Some(network) if is_empty(&tree, network) => {
            let message = "the network configuration is empty; some versions of cloud-init fail on it";
            let finding = Finding::new(Code::EmptyNetworkConfig, tree.first_character(text), message);
            findings.push(finding.with_hint("leave the file out"));
        }
        Some(network) => check_node(&tree, network, "network", findings),
        None => check_node(&tree, tree.root(), "", findings),
    }
}

/// Whether a value is one that cloud-init takes for no configuration.
fn is_empty(tree: &Tree<'_>, node: NodeId) -> bool {
    match tree.value(node) {
        Value::Mapping(_) | Value::Unknown => false,
        Value::Sequence(items) => items.is_empty(),
        Value::Scalar(scalar) => scalar.kind == Kind::Null || scalar.text.is_empty(),
    }
}

/// Checks a network configuration in a document. `path`: that of the node.
pub(super) fn check_node(tree: &Tree<'_>, node: NodeId, path: &str, findings: &mut Vec<Finding>) {
    if !is_empty(tree, node) && !matches!(tree.value(node), Value::Mapping(_) | Value::Unknown) {
        let message = "expected a mapping with the key \"version\"";
        findings
            .push(Finding { path: path.into(), ..Finding::new(Code::ValueType, tree.span(node), message) });
    }
    if !matches!(tree.value(node), Value::Mapping(_)) {
        return;
    }
    // `config: disabled` is the whole of it.
    if tree.get(node, "config").and_then(|config| tree.string(config)) == Some("disabled") {
        return;
    }
    let root = Place::root(node, path);
    let Some(version) = tree.member(node, "version") else {
        if outline::is_nearly_disabled(&root, &mut Report::new(tree, findings)) {
            return;
        }
        if tree.members(node).iter().all(|member| !matches!(tree.value(member.key), Value::Unknown)) {
            let message = "the key \"version\" is missing";
            let finding =
                Finding { path: path.into(), ..Finding::new(Code::MissingKey, tree.span(node), message) };
            findings.push(finding.with_hint("add \"version: 1\" or \"version: 2\""));
        }
        return;
    };
    let judge = |schema, findings: &mut Vec<Finding>| {
        let terms = Terms { schema, version: None, top_is_open: false, unknown: Unknown::Doubtful };
        judge_node(tree, node, path, terms, findings);
    };
    match tree.scalar(version.value).map(|scalar| scalar.kind) {
        Some(Kind::Integer(version @ (1 | 2)))
            if outline::is_of_other_version(&root, version, &mut Report::new(tree, findings)) => {}
        Some(Kind::Integer(1)) => {
            judge(&VERSION_1, findings);
            version1::check(&root, &mut Report::new(tree, findings));
        }
        Some(Kind::Integer(2)) => {
            let before = findings.len();
            judge(&VERSION_2, findings);
            outline::for_unknown_keys(tree, node, &mut findings[before..]);
            version2::check(&root, &mut Report::new(tree, findings));
        }
        _ if !matches!(tree.value(version.value), Value::Unknown) => {
            let mut report = Report::new(tree, findings);
            if let Some(place) = root.get(tree, "version") {
                let hint = outline::for_version(tree, version.value);
                report.push(Code::BadValue, &place, "expected the number 1 or 2".to_owned(), hint);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
