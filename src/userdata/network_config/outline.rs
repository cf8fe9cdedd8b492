//! Mistakes in the outline of a configuration: the wrong version, a key of another place.

use std::collections::HashSet;

use super::{
    place::{Place, Report},
    version2::KINDS,
};
use crate::{
    suggestion::{did_you_mean, nearest},
    userdata::{
        finding::{Code, Finding},
        yaml::{Kind, NodeId, Tree, Value},
    },
};

/// Keys that the devices of version 2 have.
const DEVICE_KEYS: [&str; 9] =
    ["dhcp4", "dhcp6", "addresses", "match", "set-name", "interfaces", "gateway4", "nameservers", "routes"];

/// What to do about a version that is neither 1 nor 2.
pub(super) fn for_version(tree: &Tree<'_>, version: NodeId) -> Option<String> {
    let scalar = tree.scalar(version)?;
    match scalar.kind {
        Kind::String if matches!(&*scalar.text, "1" | "2") => Some("remove the quotes".to_owned()),
        Kind::Float(number) if [1.0, 2.0].contains(&number) => Some(format!("write {number}")),
        _ => None,
    }
}

/// Finds a configuration without a version that is `config: disabled` misspelt.
pub(super) fn is_nearly_disabled(root: &Place, report: &mut Report<'_, '_>) -> bool {
    let tree = report.tree;
    let Some(config) = root.get(tree, "config") else { return false };
    let is_near = tree.string(config.node).is_some_and(|text| nearest(text, ["disabled"]).is_some());
    if is_near {
        let message = "expected \"disabled\"".to_owned();
        report.push(Code::BadValue, &config, message, Some(did_you_mean("disabled")));
    }
    is_near
}

/// Finds a configuration of one version that says to be of the other.
pub(super) fn is_of_other_version(root: &Place, version: i128, report: &mut Report<'_, '_>) -> bool {
    let tree = report.tree;
    let has = |key: &&&str| tree.get(root.node, key).is_some();
    let of_1 = Some(&"config").filter(has);
    let of_2 = KINDS.iter().find(has);
    let (key, other) = match (version, of_1, of_2) {
        (1, None, Some(key)) => (key, 2),
        (2, Some(key), None) => (key, 1),
        _ => return false,
    };
    let Some(place) = root.get(tree, "version") else { return false };
    let message = format!("the version is {version}, but the key {key:?} belongs to version {other}");
    report.push(Code::BadValue, &place, message, Some(format!("write {other}")));
    true
}

/// Says of unknown keys of version 2 where they belong.
pub(super) fn for_unknown_keys(tree: &Tree<'_>, root: NodeId, findings: &mut [Finding]) {
    let is_device = |node: NodeId| {
        matches!(tree.value(node), Value::Mapping(_))
            && DEVICE_KEYS.iter().any(|key| tree.get(node, key).is_some())
    };
    let devices: HashSet<_> = tree
        .members(root)
        .iter()
        .filter(|member| is_device(member.value))
        .map(|member| tree.span(member.key).start)
        .collect();
    for finding in findings.iter_mut().filter(|it| it.code == Code::UnknownKey) {
        if devices.contains(&finding.span.start) {
            finding.hint = Some("indent it, so that it belongs to \"ethernets\"".to_owned());
        } else if let Some(parent) = finding.path.strip_suffix(".gateway") {
            let hint = if parent.ends_with(']') {
                "did you mean \"via\"?"
            } else {
                "use \"routes\" with \"to: default\" and \"via\""
            };
            finding.hint = Some(hint.to_owned());
        }
    }
}
