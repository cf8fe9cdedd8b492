//! Line ends.

use super::finding::{Code, Finding};

/// Finds line ends of another system. Agents take their carriage returns for part of the lines.
pub(super) fn check_line_ends(text: &str, findings: &mut Vec<Finding>) {
    if let Some(at) = text.find("\r\n") {
        let message = "lines end with a carriage return and a newline";
        let finding = Finding::new(Code::CarriageReturn, at..at + 1, message);
        findings.push(finding.with_hint("save the file with Unix line ends"));
    }
}
