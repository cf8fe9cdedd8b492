//! Network configurations of NoCloud.
//!
//! Source: cloud-init's documentation of the data source NoCloud.

use super::{
    finding::{Code, Finding},
    line_ends::check_line_ends,
    yaml::{NodeId, Tree, check_mapping},
};

/// Checks a network configuration.
pub fn check(text: &str, findings: &mut Vec<Finding>) {
    check_line_ends(text, findings);
    if text.trim().is_empty() {
        let message = "the network configuration is empty; some versions of cloud-init fail on it";
        findings.push(Finding::new(Code::EmptyNetworkConfig, 0..0, message).with_hint("leave the file out"));
        return;
    }
    if let Some(tree) = check_mapping(text, "network configuration", findings) {
        check_node(&tree, tree.root(), "", findings);
    }
}

/// Checks a network configuration in a document. `path`: that of the node.
pub(super) fn check_node(_tree: &Tree<'_>, _node: NodeId, _path: &str, _findings: &mut Vec<Finding>) {}
