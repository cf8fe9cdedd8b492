//! Data for cloud-init: headers of user data, and the YAML of cloud-config, meta-data and network configurations.
//!
//! Sources: cloud-init's documents of user-data formats and of the data source NoCloud.

use std::ops::Range;

use saphyr::{MarkedYaml, YamlData, YamlLoader};
use saphyr_parser::{Marker, Parser, ScanError};

use super::{
    finding::{Code, Finding},
    hostname,
};

/// How user data begins that cloud-init knows, in lower case.
const HEADERS: [&str; 9] = [
    CLOUD_CONFIG,
    "#!",
    "#include",
    "#cloud-boothook",
    "#part-handler",
    TEMPLATE,
    "content-type:",
    "mime-version:",
    "from ",
];

/// The header of YAML.
const CLOUD_CONFIG: &str = "#cloud-config";

/// Keys of cloud-config that people begin with, by which YAML without its header is known.
const KEYS: [&str; 14] = [
    "apt",
    "bootcmd",
    "chpasswd",
    "fqdn",
    "growpart",
    "hostname",
    "network",
    "ntp",
    "package_update",
    "packages",
    "runcmd",
    "ssh_authorized_keys",
    "users",
    "write_files",
];

/// The header of a template, which comes before another one.
const TEMPLATE: &str = "## template: jinja";

/// Nodes that aliases of a YAML document may make of it at most.
const ALIAS_NODES_MAX: usize = 1000;

/// Whether user data is compressed, so that there is nothing to look at.
#[must_use]
pub fn is_compressed(data: &[u8]) -> bool {
    data.starts_with(&[0x1f, 0x8b])
}

/// Whether user data begins with a header that cloud-init knows.
#[must_use]
pub fn has_header(data: &[u8]) -> bool {
    let begins: Vec<_> = data.iter().take(32).map(u8::to_ascii_lowercase).collect();
    HEADERS.iter().any(|header| begins.starts_with(header.as_bytes()))
}

/// What is to say about user data that is no config tree. `for_cloud_init`: it is known to be for cloud-init; otherwise
/// any text will do, unless it is evidently meant for it.
pub fn check_userdata(text: &str, for_cloud_init: bool, findings: &mut Vec<Finding>) {
    if has_header(text.trim_start().as_bytes()) {
        check_line_ends(text, findings);
    }
    let mut template = false;
    let mut at = 0;
    if let Some((first, _)) = text.split_once('\n')
        && first.trim().to_ascii_lowercase().starts_with(TEMPLATE)
    {
        template = true;
        at = first.len() + 1;
    }
    let body = &text[at..];
    let begins = body.trim_start();
    let first = body.lines().next().unwrap_or_default();
    let lower = first.to_ascii_lowercase();
    if has_header(begins.as_bytes()) {
        // #cloud-config-archive and #cloud-config-jsonp are lists.
        let word = begins.split_ascii_whitespace().next().unwrap_or_default();
        if word.eq_ignore_ascii_case(CLOUD_CONFIG) && !template {
            check_templates(text, findings);
            check_mapping(text, "cloud-config", findings);
        }
        return;
    }
    let nearly = first.starts_with('#') && lower.replace(['_', ' '], "-").contains("cloud-");
    let nearly_template = first.starts_with("##") && lower.contains("jinja");
    let meant = nearly || first.split_once(':').is_some_and(|(key, _)| KEYS.contains(&key));
    if meant || nearly_template || (for_cloud_init || template) && !body.trim().is_empty() {
        let message = "cloud-init does not know this line, and ignores the data";
        let finding = Finding::new(Code::NoHeader, at..at + first.len(), message);
        findings.push(finding.with_hint(if nearly_template {
            format!("for a template it must be {TEMPLATE:?}")
        } else if meant {
            format!("it must be {CLOUD_CONFIG:?}")
        } else {
            format!("it begins with {CLOUD_CONFIG:?} for YAML, with \"#!\" for a script")
        }));
    }
}

/// Finds a value that begins with the braces of a template, in a document that is none: YAML takes them for a mapping.
fn check_templates(text: &str, findings: &mut Vec<Finding>) {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let value = line.split_once(": ").map_or(line, |(_, value)| value).trim_start_matches([' ', '-']);
        if value.starts_with("{{") {
            let at = start + line.len() - value.len();
            let message = "a value that begins with {{ is no YAML for cloud-init";
            let finding = Finding::new(Code::Template, at..at + 2, message);
            findings.push(
                finding.with_hint(format!("put {TEMPLATE:?} in the first line, or quotes around the value")),
            );
            return;
        }
        start += line.len();
    }
}

/// What is to say about meta-data. `id`: the key of the instance id.
pub fn check_metadata(text: &str, id: &str, findings: &mut Vec<Finding>) {
    check_line_ends(text, findings);
    if text.trim().is_empty() {
        findings.push(no_instance_id(id));
        return;
    }
    let Some(mapping) = check_mapping(text, "meta-data", findings) else { return };
    let empty =
        |value: &Option<String>| value.as_deref().is_some_and(|value| matches!(value, "" | "~" | "null"));
    if !mapping.iter().any(|member| member.key == id && !empty(&member.value)) {
        findings.push(no_instance_id(id));
    }
    for Member { key, span, value } in &mapping {
        if key == "seedfrom" {
            let message = "with seedfrom cloud-init replaces the user data with what it downloads";
            findings.push(Finding::new(Code::SeedFrom, bytes_of(text, span.clone()), message));
        }
        if (key == "local-hostname" || key == "hostname")
            && let Some(Err(why)) = value.as_deref().map(hostname::check)
        {
            let message = format!("the host name {why}");
            findings.push(Finding::new(Code::HostName, bytes_of(text, span.clone()), message));
        }
    }
}

fn no_instance_id(id: &str) -> Finding {
    let message = format!("there is no {id}, by which cloud-init tells a first boot");
    Finding::new(Code::NoInstanceId, 0..0, message).with_hint(format!("for instance \"{id}: i-1\""))
}

/// What is to say about a network configuration.
pub fn check_network_config(text: &str, findings: &mut Vec<Finding>) {
    check_line_ends(text, findings);
    if text.trim().is_empty() {
        let message = "it is empty, which fails in some versions of cloud-init";
        findings.push(Finding::new(Code::EmptyNetworkConfig, 0..0, message).with_hint("leave it out"));
        return;
    }
    check_mapping(text, "network configuration", findings);
}

/// Finds the line ends of another system, which are taken for a part of the line.
pub(super) fn check_line_ends(text: &str, findings: &mut Vec<Finding>) {
    if let Some(at) = text.find("\r\n") {
        let message = "lines end with a carriage return and a newline";
        let finding = Finding::new(Code::CarriageReturn, at..at + 1, message);
        findings.push(finding.with_hint("save it with Unix line ends"));
    }
}

/// A member of a mapping.
struct Member {
    key: String,
    /// Which characters of the text the key is.
    span: Range<usize>,
    /// `None`: it is no scalar.
    value: Option<String>,
}

/// The documents of a YAML text. Of a key that is there twice PyYAML, and so cloud-init, takes the last value.
fn load<'a>(text: &'a str, findings: &mut Vec<Finding>) -> Result<Vec<MarkedYaml<'a>>, ScanError> {
    let load = |allow_duplicate_keys| {
        let mut loader = YamlLoader::<MarkedYaml<'a>>::default();
        loader.early_parse(false);
        loader.alias_limit(ALIAS_NODES_MAX);
        loader.allow_duplicate_keys(allow_duplicate_keys);
        Parser::new_from_str(text).load(&mut loader, true)?;
        match loader.error() {
            Some(error) => Err(error.clone()),
            None => Ok(loader.into_documents()),
        }
    };
    match load(false) {
        Err(error) if error.info().contains("duplicated key") => {
            let at = error.marker().index();
            let span = bytes_of(text, at..at + 1);
            // Merged mappings may be several.
            if !text[span.start..].starts_with("<<") {
                findings.push(Finding::new(
                    Code::DuplicateKey,
                    span,
                    "this key is here twice; the last one counts",
                ));
            }
            load(true)
        }
        loaded => loaded,
    }
}

/// The members of a YAML document that is one mapping; `None`: it is none, which has been said.
fn check_mapping(text: &str, what: &str, findings: &mut Vec<Finding>) -> Option<Vec<Member>> {
    let documents = match load(text, findings) {
        Ok(documents) => documents,
        Err(error) => {
            let at = error.marker().index();
            let message = format!("this is no YAML: {}", error.info());
            findings.push(Finding::new(Code::YamlSyntax, bytes_of(text, at..at + 1), message));
            return None;
        }
    };
    let mut no_mapping = |at: &Marker, message: String| {
        findings.push(Finding::new(Code::NoMapping, bytes_of(text, at.index()..at.index() + 1), message));
        None
    };
    let document = match documents.as_slice() {
        // Comments only.
        [] => return Some(Vec::new()),
        [document] => document,
        [_, more, ..] => {
            return no_mapping(&more.span.start, format!("a second document, and {what} is one mapping"));
        }
    };
    let scalar = |node: &MarkedYaml<'_>| match &node.data {
        YamlData::Representation(text, _, _) => Some(text.to_string()),
        _ => None,
    };
    match &document.data {
        YamlData::Mapping(mapping) => Some(
            mapping
                .iter()
                .filter_map(|(key, value)| {
                    let span = key.span.start.index()..key.span.end.index();
                    Some(Member { key: scalar(key)?, span, value: scalar(value) })
                })
                .collect(),
        ),
        YamlData::Representation(text, _, _) if matches!(&**text, "" | "~" | "null") => Some(Vec::new()),
        _ => no_mapping(
            &document.span.start,
            format!("{what} is a mapping of keys to values, and this is none"),
        ),
    }
}

/// The bytes of these characters.
fn bytes_of(text: &str, characters: Range<usize>) -> Range<usize> {
    let mut offsets = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let start = offsets.nth(characters.start).unwrap_or(text.len());
    let more = characters.len().checked_sub(1);
    let end = more.and_then(|more| offsets.nth(more)).unwrap_or(text.len());
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str, for_cloud_init: bool) -> Vec<&'static str> {
        let mut findings = Vec::new();
        check_userdata(text, for_cloud_init, &mut findings);
        findings.iter().map(|finding| finding.code.name()).collect()
    }

    #[test]
    fn what_cloud_init_takes_is_taken() {
        for text in [
            "#cloud-config\npackages: [a]\n",
            "#cloud-config\n# nothing\n",
            "#Cloud-Config\n{}\n",
            "#!/bin/sh\n: {\n",
            "#include\nx\n",
            "## template: jinja\n#cloud-config\n{% x %}\n",
            "Content-Type: multipart/mixed\n",
            "#cloud-config-archive\n- type: x\n",
            "#cloud-config-jsonp\n[{\"op\": \"add\"}]\n",
            "#cloud-config\nx: &x {a: 1}\ny: &y {b: 1}\nz:\n  <<: *x\n  <<: *y\n",
            "#cloud-config\nruncmd: ['{{ x }}', \"a {{ b }}\"]\n",
            "",
        ] {
            assert_eq!(codes(text, true), [""; 0], "{text:?}");
        }
    }

    #[test]
    fn what_cloud_init_ignores_is_found() {
        assert_eq!(codes("# cloud-config\npackages: []\n", false), ["no-header"]);
        assert_eq!(codes("#cloud_config\n", false), ["no-header"]);
        assert_eq!(codes("packages:\n- a\n", false), ["no-header"]);
        assert_eq!(codes("hello", true), ["no-header"]);
        assert_eq!(codes("hello", false), [""; 0]);
        assert_eq!(codes("#cloud-config\n- a\n", true), ["no-mapping"]);
        assert_eq!(codes("#cloud-config\na: 1\n---\nb: 2\n", true), ["no-mapping"]);
        assert_eq!(codes("#cloud-config\r\na: 1\r\n", true), ["crlf"]);
        assert_eq!(codes("#!/bin/sh\r\n", true), ["crlf"]);
        assert_eq!(codes("#cloud-config\na: [1\n", true), ["yaml-syntax"]);
        assert_eq!(codes("#cloud-config\na: 1\na: 2\n", true), ["duplicate-key"]);
        assert_eq!(codes("#cloud-config\nruncmd:\n- {{ v1.x }}\n", true)[0], "template");
        assert_eq!(codes("## template: jinja\n#cloud-confg\na: {{ x }}\n", false), ["no-header"]);
        assert_eq!(codes("## template:jinja\n#cloud-config\n", false), ["no-header"]);
    }

    #[test]
    fn the_place_of_an_error_is_in_bytes() {
        let mut findings = Vec::new();
        let text = "instance-id: ä\nseedfrom: x\nö: [1\n";
        check_metadata(text, "instance-id", &mut findings);
        assert_eq!(text[..findings[0].span.start].lines().count(), 3, "{findings:?}");
        findings.clear();
        check_metadata(&text[..text.len() - 7], "instance-id", &mut findings);
        assert_eq!(&text[findings[0].span.clone()], "seedfrom");
    }
}
