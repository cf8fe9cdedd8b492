//! The JSON files of a config drive.
//!
//! Sources: cloud-init, `cloudinit/sources/helpers/openstack.py` (`read_v2`), `cloudinit/sources/__init__.py`
//! (`convert_vendordata`).

use super::{
    config_tree::check_syntax,
    finding::{Code, Finding},
    yaml::check_mapping,
};

/// What a broken file of a config drive leads to.
const LOST: &str = "cloud-init ignores the config drive";

/// What to do about YAML in the place of JSON.
const YAML_HINT: &str =
    "this is YAML; a config drive needs JSON in the form of OpenStack, and --layout nocloud accepts YAML";

/// Checks that `text` is a JSON object; findings call it `what`. Returns whether it is.
pub fn check_object(text: &str, what: &str, findings: &mut Vec<Finding>) -> bool {
    let is_valid = check(text, findings);
    let is_object = text.trim_start().starts_with('{');
    if is_valid && !is_object {
        let message = format!("{what} must be a JSON object; {LOST}");
        findings.push(Finding::new(Code::NoObject, first_character(text), message));
    }
    is_valid && is_object
}

/// Checks vendor data: a JSON object, list or string.
pub fn check_vendor_data(text: &str, findings: &mut Vec<Finding>) {
    if check(text, findings) && !text.trim_start().starts_with(['{', '[', '"', 'n']) {
        let message = format!("vendor_data.json must be a JSON object, a list or a string; {LOST}");
        findings.push(Finding::new(Code::NoObject, first_character(text), message));
    }
}

/// Whether `text` is JSON. Otherwise there is a finding.
fn check(text: &str, findings: &mut Vec<Finding>) -> bool {
    let Err(mut finding) = check_syntax(text) else { return true };
    // The end says what happens to a config tree.
    let said = finding.message.split_once("; ").map_or(&*finding.message, |(said, _)| said);
    finding.message = if finding.code == Code::JsonSyntax {
        format!("not valid JSON: {said}; {LOST}")
    } else {
        format!("{said}; {LOST}")
    };
    if is_yaml(text) {
        finding.hint = Some(YAML_HINT.to_owned());
    }
    findings.push(finding);
    false
}

/// Whether a text that is not JSON is a mapping in YAML.
fn is_yaml(text: &str) -> bool {
    let mut findings = Vec::new();
    let is_mapping = !text.trim_start().starts_with(['{', '[', '"'])
        && check_mapping(text, "it", &mut findings).is_some_and(|tree| !tree.members(tree.root()).is_empty());
    is_mapping && findings.is_empty()
}

fn first_character(text: &str) -> std::ops::Range<usize> {
    let start = text.len() - text.trim_start().len();
    start..start + text[start..].chars().next().map_or(0, char::len_utf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_config_drive_are_json_objects() {
        let said = |text: &str| {
            let mut findings = Vec::new();
            let is_object = check_object(text, "meta_data.json", &mut findings);
            assert_eq!(is_object, findings.is_empty());
            findings
                .iter()
                .map(|finding| format!("{}: {}", finding.code.name(), finding.message))
                .collect::<Vec<_>>()
                .concat()
        };
        assert_eq!(said(" {\"uuid\": \"1\"}\n"), "");
        assert_eq!(
            said("[]"),
            "no-object: meta_data.json must be a JSON object; cloud-init ignores the config drive"
        );
        assert_eq!(
            said("uuid: 1\n"),
            "json-syntax: not valid JSON: expected value; cloud-init ignores the config drive"
        );
        for (text, hint) in [("uuid: 1\n", Some(YAML_HINT)), ("uuid", None), ("", None)] {
            let mut findings = Vec::new();
            check_object(text, "meta_data.json", &mut findings);
            assert_eq!(findings[0].hint.as_deref(), hint, "{text}");
        }
        assert!(said("{\"a\": 1,}").starts_with("trailing-comma: "));
        assert!(said("").starts_with("json-syntax: "));
    }

    #[test]
    fn vendor_data_may_be_a_list_or_a_string() {
        let codes = |text: &str| {
            let mut findings = Vec::new();
            check_vendor_data(text, &mut findings);
            findings.iter().map(|finding| finding.code.name()).collect::<Vec<_>>()
        };
        for text in ["{}", "[]", "\"#cloud-config\"", "null"] {
            assert_eq!(codes(text), [""; 0], "{text}");
        }
        assert_eq!(codes("1"), ["no-object"]);
        assert_eq!(codes("#cloud-config"), ["comment"]);
    }
}
