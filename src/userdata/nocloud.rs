//! Data for cloud-init: headers of user data, and the YAML of cloud-config, meta-data and network configurations.
//!
//! Sources: cloud-init's documents of user-data formats and of the data source NoCloud.

use std::ops::Range;

use saphyr::{MarkedYaml, YamlData, YamlLoader};
use saphyr_parser::{Marker, Parser};

use super::finding::{Code, Finding};

/// How user data begins that cloud-init knows, in lower case.
const HEADERS: [&str; 9] = [
    CLOUD_CONFIG,
    "#!",
    "#include",
    "#cloud-boothook",
    "#part-handler",
    "## template: jinja",
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

/// Nodes that aliases of a YAML document may make of it at most.
const ALIAS_NODES_MAX: usize = 1000;

/// Whether user data is compressed, so that there is nothing to look at.
#[must_use]
pub fn is_compressed(data: &[u8]) -> bool {
    data.starts_with(&[0x1f, 0x8b])
}

/// What is to say about user data that is no config tree. `for_cloud_init`: it is known to be for cloud-init; otherwise
/// any text will do, unless it is evidently meant for it.
pub fn check_userdata(text: &str, for_cloud_init: bool, findings: &mut Vec<Finding>) {
    let first = text.lines().next().unwrap_or_default();
    let begins = text.trim_start().get(..32).unwrap_or(text.trim_start()).to_ascii_lowercase();
    let header = HEADERS.into_iter().find(|header| begins.starts_with(header));
    if header.is_some() {
        check_line_ends(text, findings);
    }
    if header == Some(CLOUD_CONFIG) && !begins.starts_with("#cloud-config-archive") {
        drop(check_mapping(text, "cloud-config", findings));
        return;
    }
    let nearly =
        first.starts_with('#') && first.to_ascii_lowercase().replace(['_', ' '], "-").contains("cloud-");
    let meant = nearly || first.split_once(':').is_some_and(|(key, _)| KEYS.contains(&key));
    if header.is_none() && (meant || for_cloud_init && !text.trim().is_empty()) {
        let message = "cloud-init does not know the first line, and ignores the data";
        let finding = Finding::new(Code::NoHeader, 0..first.len(), message);
        findings.push(finding.with_hint(if meant {
            format!("the first line must be {CLOUD_CONFIG:?}")
        } else {
            format!("it begins with {CLOUD_CONFIG:?} for YAML, with \"#!\" for a script")
        }));
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
    if !mapping.iter().any(|(key, _)| key == id) {
        findings.push(no_instance_id(id));
    }
    for (_, span) in mapping.iter().filter(|(key, _)| key == "seedfrom") {
        let message = "with seedfrom cloud-init replaces the user data with what it downloads";
        findings.push(Finding::new(Code::SeedFrom, bytes_of(text, span.clone()), message));
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

fn check_line_ends(text: &str, findings: &mut Vec<Finding>) {
    if let Some(at) = text.find("\r\n") {
        let message = "lines end with a carriage return and a newline";
        let finding = Finding::new(Code::CarriageReturn, at..at + 1, message);
        findings.push(finding.with_hint("save it with Unix line ends"));
    }
}

/// The keys of a YAML document that is one mapping, and which characters of the text they are; `None`: it is none,
/// which has been said.
fn check_mapping(text: &str, what: &str, findings: &mut Vec<Finding>) -> Option<Vec<(String, Range<usize>)>> {
    let mut loader = YamlLoader::<MarkedYaml<'_>>::default();
    loader.early_parse(false);
    loader.alias_limit(ALIAS_NODES_MAX);
    let parsed = Parser::new_from_str(text).load(&mut loader, true);
    if let Some(error) = parsed.as_ref().err().or(loader.error()) {
        let at = error.marker().index();
        let message = format!("this is no YAML: {}", error.info());
        findings.push(Finding::new(Code::YamlSyntax, bytes_of(text, at..at + 1), message));
        return None;
    }
    let mut documents = loader.into_documents().into_iter();
    let (Some(document), more) = (documents.next(), documents.next()) else {
        // Comments only.
        return Some(Vec::new());
    };
    let mut no_mapping = |at: &Marker, message: String| {
        findings.push(Finding::new(Code::NoMapping, bytes_of(text, at.index()..at.index() + 1), message));
        None
    };
    if let Some(more) = more {
        return no_mapping(&more.span.start, format!("a second document, and {what} is one mapping"));
    }
    match &document.data {
        YamlData::Mapping(mapping) => {
            let keys = mapping.iter().filter_map(|(key, _)| match &key.data {
                YamlData::Representation(name, _, _) => {
                    Some((name.to_string(), key.span.start.index()..key.span.end.index()))
                }
                _ => None,
            });
            Some(keys.collect())
        }
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
        assert_eq!(codes("#cloud-config\na: 1\na: 2\n", true), ["yaml-syntax"]);
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
