//! Network configurations of NoCloud.
//!
//! Source: cloud-init's documentation of the data source NoCloud.

use super::{
    finding::{Code, Finding},
    line_ends::check_line_ends,
    yaml::check_mapping,
};

/// Checks a network configuration.
pub fn check(text: &str, findings: &mut Vec<Finding>) {
    check_line_ends(text, findings);
    if text.trim().is_empty() {
        let message = "the network configuration is empty; some versions of cloud-init fail on it";
        findings.push(Finding::new(Code::EmptyNetworkConfig, 0..0, message).with_hint("leave the file out"));
        return;
    }
    check_mapping(text, "network configuration", findings);
}
