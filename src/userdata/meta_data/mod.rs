//! Meta-data of NoCloud and of config drives: a YAML mapping that describes the instance.
//!
//! Source: cloud-init's documentation of the data sources NoCloud and ConfigDrive.

#[cfg(feature = "check")]
mod shape;

use super::{
    finding::{Code, Finding, push_bounded},
    hostname,
    line_ends::check_line_ends,
    yaml::{Kind, Member, NodeId, Tree, Value, check_mapping},
};

#[cfg(feature = "check")]
pub use shape::{check_config_drive, check_network_data, check_nocloud};

/// The part of the meta-data that an agent applies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MetaData {
    /// The instance ID, as written.
    pub instance_id: Option<String>,
    /// The value of `local-hostname`, as written.
    pub local_hostname: Option<String>,
    /// The public keys of `public-keys`, each as a line of `authorized_keys`.
    pub public_keys: Vec<String>,
}

/// Parses meta-data. Returns nothing from it if it is not a mapping. `id`: the key of the instance ID.
pub fn parse(text: &str, id: &str, findings: &mut Vec<Finding>) -> MetaData {
    check_line_ends(text, findings);
    if text.trim().is_empty() {
        findings.push(no_instance_id(id));
        return MetaData::default();
    }
    let Some(tree) = check_mapping(text, "meta-data", findings) else { return MetaData::default() };
    let members = tree.members(tree.root());
    if !members.iter().any(|it| tree.string(it.key) == Some(id) && !is_null(&tree, it.value)) {
        findings.push(no_instance_id(id));
    }
    let mut meta_data = MetaData::default();
    for &Member { key, value } in members {
        let Some(name) = tree.string(key) else { continue };
        if name == "seedfrom" {
            let message = "seedfrom makes cloud-init replace the user data with what it downloads";
            push_bounded(findings, Finding::new(Code::SeedFrom, tree.span(key), message));
        }
        if (name == "local-hostname" || name == "hostname")
            && let Some(scalar) = tree.scalar(value)
            && let Err(why) = hostname::check(&scalar.text)
        {
            let message = format!("the host name {why}");
            push_bounded(findings, Finding::new(Code::HostName, tree.span(key), message));
        }
        let text = || tree.text(value).map(str::to_owned);
        match name {
            name if name == id => meta_data.instance_id = text(),
            "local-hostname" => meta_data.local_hostname = text(),
            "public-keys" => meta_data.public_keys = lines_of(&tree, value),
            _ => {}
        }
    }
    meta_data
}

fn is_null(tree: &Tree<'_>, node: NodeId) -> bool {
    tree.scalar(node).is_some_and(|scalar| scalar.kind == Kind::Null)
}

/// The keys in the value of `public-keys`: text with one key a line, a list of such text, or a mapping of names to either.
fn lines_of(tree: &Tree<'_>, keys: NodeId) -> Vec<String> {
    let mut lines = Vec::new();
    let mut left = vec![keys];
    while let Some(node) = left.pop() {
        match tree.value(node) {
            Value::Scalar(_) => {
                let text = tree.text(node).unwrap_or_default();
                lines.extend(text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned));
            }
            Value::Sequence(items) => left.extend(items.iter().rev()),
            Value::Mapping(members) => left.extend(members.iter().rev().map(|member| member.value)),
            Value::Unknown => {}
        }
    }
    lines
}

fn no_instance_id(id: &str) -> Finding {
    let message = format!("the meta-data has no {id}, which cloud-init uses to recognize a first boot");
    Finding::new(Code::NoInstanceId, 0..0, message).with_hint(format!("add one, such as \"{id}: i-1\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_position_of_an_error_is_in_bytes() {
        let mut findings = Vec::new();
        let text = "instance-id: ä\nseedfrom: x\nö: [1\n";
        parse(text, "instance-id", &mut findings);
        assert_eq!(text[..findings[0].span.start].lines().count(), 3, "{findings:?}");
        findings.clear();
        parse(&text[..text.len() - 7], "instance-id", &mut findings);
        assert_eq!(&text[findings[0].span.clone()], "seedfrom");
    }

    #[test]
    fn keys_are_read_in_every_form_that_cloud_init_accepts() {
        let parsed = |keys: &str| {
            parse(&format!("instance-id: i\npublic-keys: {keys}\n"), "instance-id", &mut Vec::new())
        };
        for keys in [
            "\"a 1\\nb 2\\n\"",
            "[a 1, b 2]",
            "\n- a 1\n- b 2",
            "{x: a 1, y: [b 2]}",
            "{0: {openssh-key: a 1}, 1: b 2}",
        ] {
            assert_eq!(parsed(keys).public_keys, ["a 1", "b 2"], "{keys}");
        }
        for keys in ["", "null", "[]", "{}", "''"] {
            let expected = MetaData { instance_id: Some("i".to_owned()), ..MetaData::default() };
            assert_eq!(parsed(keys), expected, "{keys}");
        }
    }

    #[test]
    fn the_host_name_is_that_of_local_hostname() {
        let parsed = |text: &str| parse(text, "instance-id", &mut Vec::new()).local_hostname;
        assert_eq!(parsed("hostname: a\nlocal-hostname: \"b\"\n").as_deref(), Some("b"));
        assert_eq!(parsed("{\"local-hostname\": \"b\"}").as_deref(), Some("b"));
        assert_eq!(parsed("local-hostname:\n"), None);
        assert_eq!(parsed("local-hostname: [b]\n"), None);
        assert_eq!(parsed("- local-hostname\n"), None);
        assert_eq!(parsed(""), None);
    }
}
