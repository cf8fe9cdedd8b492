//! Line ends.

use super::{
    cloud_config::part_type::is_script_for_windows,
    finding::{Code, Finding},
};

/// Finds line ends of another system. Agents take their carriage returns for part of the lines, and a system for part of the
/// name of an interpreter. They are usual in scripts for Windows.
pub(super) fn check_line_ends(text: &str, findings: &mut Vec<Finding>) {
    if let Some(at) = text.find("\r\n")
        && !is_script_for_windows(text.trim_start().as_bytes())
    {
        let finding = if text.starts_with("#!") {
            let message = "lines of a script end with a carriage return and a newline, so it does not run";
            Finding::new(Code::ScriptCrlf, at..at + 1, message)
        } else {
            let message = "lines end with a carriage return and a newline";
            Finding::new(Code::CarriageReturn, at..at + 1, message)
        };
        findings.push(finding.with_hint("save the file with Unix line ends"));
    }
}
