//! The shape of meta-data, and of the JSON files of config drives.
//!
//! Sources: cloud-init's documentation of NoCloud and ConfigDrive; OpenStack's documentation of the metadata service.

use std::sync::LazyLock;

use crate::{
    suggestion::did_you_mean,
    userdata::{
        finding::{Code, Finding, floor_char_boundary, push_bounded},
        network_config::check_network_data as check_addresses,
        schema::{Schema, Terms, Unknown, judge},
        yaml::{Tree, check_mapping},
    },
};

static NOCLOUD: LazyLock<Schema> =
    LazyLock::new(|| Schema::parse(include_bytes!("nocloud.json")).expect("a valid schema"));
static CONFIG_DRIVE: LazyLock<Schema> =
    LazyLock::new(|| Schema::parse(include_bytes!("config_drive.json")).expect("a valid schema"));
static NETWORK_DATA: LazyLock<Schema> =
    LazyLock::new(|| Schema::parse(include_bytes!("network_data.json")).expect("a valid schema"));

/// Keys of NoCloud that people write with underscores.
const KEYS: [&str; 3] = ["instance-id", "local-hostname", "public-keys"];

/// Checks meta-data of NoCloud.
pub fn check_nocloud(text: &str, findings: &mut Vec<Finding>) {
    super::parse(text, "instance-id", findings);
    // What is said of the document has been said.
    let Some(tree) = check_mapping(text, "meta-data", &mut Vec::new()) else { return };
    judge_by(&tree, &NOCLOUD, findings);
    for member in tree.members(tree.root()) {
        let known = tree.string(member.key).map(|key| key.replace('_', "-"));
        if let Some(known) = known.filter(|known| tree.string(member.key) != Some(known))
            && KEYS.contains(&known.as_str())
        {
            let finding =
                Finding::new(Code::UnknownKey, tree.span(member.key), "cloud-init does not know this key");
            let path = tree.string(member.key).unwrap_or_default().into();
            let finding = Finding { path, ..finding }.with_hint(did_you_mean(&known));
            push_bounded(findings, finding);
            // That the key is missing is the same mistake.
            if known == KEYS[0] {
                findings.retain(|it| it.code != Code::NoInstanceId);
            }
        }
    }
}

/// Checks `meta_data.json` of a config drive.
pub fn check_config_drive(text: &str, findings: &mut Vec<Finding>) {
    if check_json(text, "meta_data.json", findings) {
        let mut about_text = Vec::new();
        super::parse(text, "uuid", &mut about_text);
        // JSON is read as JSON: whatever YAML has against it does not count.
        findings.extend(about_text.into_iter().filter(|it| it.code != Code::YamlSyntax));
        judge_json(text, &CONFIG_DRIVE, findings);
    }
}

/// Checks `network_data.json` of a config drive.
pub fn check_network_data(text: &str, findings: &mut Vec<Finding>) {
    if check_json(text, "network_data.json", findings) {
        judge_json(text, &NETWORK_DATA, findings);
        // What is not read as YAML has been said as JSON.
        if let Some(tree) = check_mapping(text, "JSON", &mut Vec::new()) {
            check_addresses(&tree, findings);
        }
    }
}

fn judge_json(text: &str, schema: &Schema, findings: &mut Vec<Finding>) {
    let mut about_text = Vec::new();
    if let Some(tree) = check_mapping(text, "JSON", &mut about_text)
        && about_text.is_empty()
    {
        judge_by(&tree, schema, findings);
    }
}

fn judge_by(tree: &Tree<'_>, schema: &Schema, findings: &mut Vec<Finding>) {
    judge(tree, Terms { schema, version: None, unknown: Unknown::Doubtful, top_is_open: false }, findings);
}

/// Whether a text is a JSON object. Otherwise there is a finding.
fn check_json(text: &str, what: &str, findings: &mut Vec<Finding>) -> bool {
    match serde_json::from_str::<&serde_json::value::RawValue>(text) {
        Ok(json) if json.get().starts_with('{') => true,
        Ok(_) => {
            let message = format!("{what} must contain a JSON object");
            let start = text.len() - text.trim_start().len();
            findings.push(Finding::new(Code::NoObject, start..start + 1, message));
            false
        }
        Err(error) => {
            let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
            let at = lines.map(str::len).sum::<usize>() + error.column().saturating_sub(1);
            let at = floor_char_boundary(text, at.min(text.len()));
            let end = at + text[at..].chars().next().map_or(0, char::len_utf8);
            let said = error.to_string();
            let said = said.split(" at line ").next().unwrap_or_default();
            let message = format!("{what} is not valid JSON: {said}");
            findings.push(Finding::new(Code::JsonSyntax, at..end, message));
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(check: fn(&str, &mut Vec<Finding>), text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        check(text, &mut findings);
        findings.iter().map(|it| format!("{} {}: {}", it.code.name(), it.path, it.message)).collect()
    }

    #[test]
    fn keys_and_types_of_meta_data_are_checked() {
        for text in [
            "instance-id: 1\nlocal-hostname: a\npublic-keys: {0: {openssh-key: a}}\ndsmode: net\nmine: [1]\n",
            "{\"instance-id\": \"i\", \"public-keys\": [\"a b\"]}",
        ] {
            assert_eq!(said(check_nocloud, text), [""; 0], "{text}");
        }
        assert_eq!(
            said(check_nocloud, "instance-id: [1]\nlocal_hostname: a\ndsmode: nett\n"),
            [
                "value-type instance-id: expected a string, a number or nothing, found a list",
                "bad-value dsmode: expected \"local\", \"net\", \"disabled\" or \"pass\", found the string \"nett\"",
                "unknown-key local_hostname: cloud-init does not know this key",
            ]
        );
        assert_eq!(
            said(check_nocloud, "instance_id: i\n"),
            ["unknown-key instance_id: cloud-init does not know this key"]
        );
    }

    #[test]
    fn files_of_a_config_drive_are_json_objects() {
        let good = "{\"uuid\": \"u\", \"name\": \"\\ud83d\\ude00\", \"public_keys\": {\"a\": \"ssh-rsa\\n\"}, \"x\": 1}";
        assert_eq!(said(check_config_drive, good), [""; 0]);
        assert_eq!(
            said(check_config_drive, "{\"uuid\": 5, \"files\": [{}]}"),
            [
                "unquoted uuid: expected a string, found the number 5",
                "missing-key files[0]: the key \"path\" is missing",
                "missing-key files[0]: the key \"content_path\" is missing",
            ][..2]
        );
        assert_eq!(
            said(check_config_drive, " []"),
            ["no-object : meta_data.json must contain a JSON object"]
        );
        assert_eq!(
            said(check_config_drive, "uuid: u"),
            ["json-syntax : meta_data.json is not valid JSON: expected value"]
        );
        let good = "{\"links\": [{\"id\": \"a\", \"type\": \"phy\", \"mtu\": null}], \"networks\": [{\"link\": \"a\", \"type\": \"ipv4\"}]}";
        assert_eq!(said(check_network_data, good), [""; 0]);
        assert_eq!(
            said(check_network_data, "{\"links\": {}, \"networks\": [{\"link\": 1, \"type\": \"ipv4\"}]}"),
            [
                "value-type links: expected a list or nothing, found an empty mapping",
                "unquoted networks[0].link: expected a string, found the number 1",
            ]
        );
    }
}
