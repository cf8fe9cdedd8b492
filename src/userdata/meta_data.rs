//! Meta-data of NoCloud and of config drives: a YAML mapping that describes the instance.
//!
//! Source: cloud-init's documentation of the data sources NoCloud and ConfigDrive.

use super::{
    cloud_config::yaml::{Member, Value, check_mapping},
    finding::{Code, Finding, push_bounded},
    hostname,
    line_ends::check_line_ends,
};

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
    let Some(mapping) = check_mapping(text, "meta-data", findings) else { return MetaData::default() };
    let members = mapping.members();
    if !members.iter().any(|member| member.key == id && !member.value.is_null()) {
        findings.push(no_instance_id(id));
    }
    let mut meta_data = MetaData::default();
    for Member { key, span, value } in members {
        if key == "seedfrom" {
            let message = "seedfrom makes cloud-init replace the user data with what it downloads";
            push_bounded(findings, Finding::new(Code::SeedFrom, span.clone(), message));
        }
        if (key == "local-hostname" || key == "hostname")
            && let Value::Scalar(name) = &**value
            && let Err(why) = hostname::check(name)
        {
            let message = format!("the host name {why}");
            push_bounded(findings, Finding::new(Code::HostName, span.clone(), message));
        }
        match (key.as_ref(), &**value) {
            (key, Value::Scalar(name)) if key == id && !value.is_null() => {
                meta_data.instance_id = Some(name.clone().into_owned());
            }
            ("local-hostname", Value::Scalar(name)) if !value.is_null() => {
                meta_data.local_hostname = Some(name.clone().into_owned());
            }
            ("public-keys", keys) => meta_data.public_keys = lines_of(keys),
            _ => {}
        }
    }
    meta_data
}

/// The keys in the value of `public-keys`: text with one key a line, a list of such text, or a mapping of names to either.
fn lines_of(keys: &Value<'_>) -> Vec<String> {
    match keys {
        Value::Scalar(text) if !keys.is_null() => {
            text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
        }
        Value::Sequence(list) => list.iter().flat_map(|value| lines_of(value)).collect(),
        Value::Mapping(members) => members.iter().flat_map(|member| lines_of(&member.value)).collect(),
        Value::Scalar(_) | Value::Other => Vec::new(),
    }
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
