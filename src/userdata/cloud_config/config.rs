//! cloud-config: what its keys may contain.
//!
//! Source: cloud-init's module reference, from which `schema.json` was written.

use std::sync::LazyLock;

use crate::userdata::{
    finding::Finding,
    network_config,
    schema::{Rules, Schema, Terms, Unknown, judge},
    yaml::{Tree, check_mapping},
};

/// The schema of the program. Parsing it takes about a millisecond, so that it happens only when something is judged by it.
static SCHEMA: LazyLock<Schema> =
    LazyLock::new(|| Schema::parse(include_bytes!("schema.json")).expect("a valid schema"));

/// Checks a cloud-config.
pub(super) fn check(text: &str, rules: &Rules, findings: &mut Vec<Finding>) {
    if let Some(tree) = check_mapping(text, "cloud-config", findings) {
        check_tree(&tree, rules, findings);
    }
}

/// Checks the keys and values of a cloud-config.
pub(super) fn check_tree(tree: &Tree<'_>, rules: &Rules, findings: &mut Vec<Finding>) {
    let schema = rules.schema.as_deref().unwrap_or_else(|| &SCHEMA);
    judge(
        tree,
        Terms { schema, version: rules.cloud_init, unknown: Unknown::Refused, top_is_open: true },
        findings,
    );
    if let Some(network) = tree.get(tree.root(), "network") {
        network_config::check_node(tree, network, "network", findings);
    }
}
