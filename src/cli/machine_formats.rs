//! Findings for other programs: SARIF 2.1.0, and annotations of GitHub Actions.
//!
//! Sources: OASIS, Static Analysis Results Interchange Format 2.1.0; GitHub, workflow commands.

use metadata_image::{
    check::CheckedText,
    userdata::finding::{Code, Finding, Lines, Position},
};
use serde_json::{Value, json};

use super::{escape, render::full_name};

/// A file that was checked, and the texts in it.
pub(super) struct Outcome {
    pub(super) name: String,
    pub(super) checked: Vec<CheckedText>,
}

/// The findings about all files as one document.
pub(super) fn sarif(outcomes: &[Outcome]) -> String {
    let texts = || outcomes.iter().flat_map(|outcome| &outcome.checked);
    let found = |code: &Code| texts().flat_map(|it| &it.findings).any(|it| it.code == *code);
    let rules: Vec<_> = Code::ALL
        .iter()
        .filter(|code| found(code))
        .map(|code| {
            json!({
                "id": code.name(),
                "shortDescription": { "text": code.meaning() },
                "defaultConfiguration": { "level": code.severity().to_string() },
            })
        })
        .collect();
    let of_file = |outcome: &Outcome| {
        outcome.checked.iter().flat_map(|text| results(&outcome.name, text)).collect::<Vec<_>>()
    };
    let results: Vec<_> = outcomes.iter().flat_map(of_file).collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "metadata", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    escape::json(&log).unwrap_or_default()
}

fn results<'a>(file: &str, checked: &'a CheckedText) -> impl Iterator<Item = Value> + 'a {
    let lines = Lines::of(&checked.text);
    let uri = percent_encoded(&full_name(file, checked));
    checked.findings.iter().map(move |finding| {
        let mut location = json!({ "artifactLocation": { "uri": uri } });
        if !checked.text.is_empty() {
            let [start, end] = ends(&lines, finding);
            location["region"] = json!({
                "startLine": start.line,
                "startColumn": start.column,
                "endLine": end.line,
                "endColumn": end.column,
            });
        }
        json!({
            "ruleId": finding.code.name(),
            "level": finding.code.severity().to_string(),
            "message": { "text": sentence(finding) },
            "locations": [{ "physicalLocation": location }],
        })
    })
}

/// A workflow command on a line for every finding.
pub(super) fn github_lines<'a>(file: &str, checked: &'a CheckedText) -> impl Iterator<Item = String> + 'a {
    let lines = Lines::of(&checked.text);
    let file = property(&full_name(file, checked));
    checked.findings.iter().map(move |finding| {
        let severity = finding.code.severity();
        let place = if checked.text.is_empty() {
            String::new()
        } else {
            let [start, end] = ends(&lines, finding);
            // Columns are of one line.
            let columns = if start.line == end.line {
                format!(",endColumn={}", end.column)
            } else {
                format!(",endLine={}", end.line)
            };
            format!(",line={},col={}{columns}", start.line, start.column)
        };
        let title = property(finding.code.name());
        format!("::{severity} file={file}{place},title={title}::{}", data(&sentence(finding)))
    })
}

/// Where a finding begins, and where it ends.
fn ends(lines: &Lines<'_>, finding: &Finding) -> [Position; 2] {
    let start = lines.position(finding.span.start);
    [start, lines.position(finding.span.end.max(finding.span.start))]
}

/// Path, message and hint in one line.
fn sentence(finding: &Finding) -> String {
    let path = if finding.path.is_empty() { String::new() } else { format!("{}: ", finding.path) };
    let hint = finding.hint.as_deref().map(|hint| format!("; {hint}")).unwrap_or_default();
    escape::printable(&format!("{path}{}{hint}", finding.message))
}

/// A message of a workflow command.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a workflow command.
fn property(text: &str) -> String {
    data(&escape::printable(text)).replace(':', "%3A").replace(',', "%2C")
}

/// A path as a relative reference.
fn percent_encoded(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~' | b'/') {
            encoded.push(byte.into());
        } else {
            encoded.extend(['%', hex(byte >> 4), hex(byte & 0xf)]);
        }
    }
    encoded
}

/// A hexadecimal digit.
fn hex(digit: u8) -> char {
    char::from(b"0123456789ABCDEF"[usize::from(digit & 0xf)])
}
