//! Version 2: devices by kind and name, as netplan has them.

use std::collections::{BTreeMap, HashSet};

use super::place::{Place, Report};
use crate::userdata::finding::Code;

/// The keys of devices.
pub(super) const KINDS: [&str; 11] = [
    "ethernets",
    "modems",
    "wifis",
    "bridges",
    "bonds",
    "vlans",
    "tunnels",
    "vrfs",
    "dummy-devices",
    "virtual-ethernets",
    "nm-devices",
];

/// Checks a configuration of version 2 beyond its structure.
pub(super) fn check(root: &Place, report: &mut Report<'_, '_>) {
    let tree = report.tree;
    let mut names = BTreeMap::new();
    let kinds = || KINDS.iter().filter_map(|kind| Some((*kind, root.get(tree, kind)?)));
    for (kind, devices) in kinds() {
        for device in devices.members(tree) {
            let Some(name) = device.name(tree) else { continue };
            if let Some(other) = names.insert(name, kind) {
                let message = format!("an interface of this name is defined in {other:?}");
                report.push_at_key(Code::DuplicateName, &device, message);
            }
        }
    }
    let mut addresses = HashSet::new();
    for (kind, devices) in kinds() {
        for device in devices.members(tree) {
            check_addresses(&device, &mut addresses, report);
            check_device(&device, report);
            let reference = match kind {
                "bonds" | "bridges" | "vrfs" => device.get(tree, "interfaces"),
                "vlans" => device.get(tree, "link"),
                _ => None,
            };
            for name in reference.iter().flat_map(|it| it.strings(tree)) {
                let text = tree.string(name.node);
                // netplan makes the ports of Open vSwitch by themselves.
                if text.is_some_and(|text| !names.contains_key(text))
                    && root.get(tree, "openvswitch").is_none()
                {
                    report.unknown_name(Code::UnknownName, &name, "interface", names.keys().copied());
                }
            }
        }
    }
}

fn check_device(device: &Place, report: &mut Report<'_, '_>) {
    let tree = report.tree;
    if let Some(mac) = device.get(tree, "macaddress") {
        report.mac(&mac);
    }
    let matched = device.get(tree, "match");
    if let Some(mac) = matched.as_ref().and_then(|it| it.get(tree, "macaddress")) {
        report.mac(&mac);
    }
    if let Some(name) = device.get(tree, "set-name")
        && matched.is_none()
    {
        let message = "the key \"match\" is missing, which \"set-name\" needs".to_owned();
        report.push_at_key(Code::MissingKey, &name, message);
    }
    let servers = device.get(tree, "nameservers").and_then(|it| it.get(tree, "addresses"));
    for server in servers.iter().flat_map(|it| it.items(tree)) {
        report.address(&server);
    }
}

/// Checks the addresses, gateways and routes of a device.
fn check_addresses<'t>(device: &Place, seen: &mut HashSet<&'t str>, report: &mut Report<'_, 't>) {
    let tree = report.tree;
    let mut networks = Vec::new();
    let addresses = device.get(tree, "addresses");
    for address in addresses.iter().flat_map(|it| it.items(tree)) {
        // An address with options is a mapping of one key.
        let Some(text) = tree.string(address.node) else { continue };
        networks.extend(report.full_network(&address));
        if !seen.insert(text) {
            report.push(Code::DuplicateAddress, &address, "this address is given twice".to_owned(), None);
        }
    }
    let has = |key| {
        device.get(tree, key).is_some_and(|it| !matches!(tree.text(it.node), Some("false" | "no" | "off")))
    };
    // What DHCP brings is not known.
    let networks = if has("dhcp4") || has("dhcp6") { Vec::new() } else { networks };
    for (key, is_ipv4) in [("gateway4", true), ("gateway6", false)] {
        let Some(place) = device.get(tree, key) else { continue };
        let Some(gateway) = report.address(&place) else { continue };
        if gateway.is_ipv4() == is_ipv4 {
            report.gateway(&place, gateway, &networks);
        } else {
            let message = format!("expected an IPv{} address", if is_ipv4 { 4 } else { 6 });
            report.push(Code::BadAddress, &place, message, None);
        }
    }
    let routes = device.get(tree, "routes");
    for route in routes.iter().flat_map(|it| it.items(tree)) {
        if let Some(to) = route.get(tree, "to") {
            report.destination(&to);
        }
        for key in ["via", "from"] {
            let Some(place) = route.get(tree, key) else { continue };
            let address =
                if key == "via" { report.address(&place) } else { report.network(&place).and(None) };
            let is_on_link = route.get(tree, "on-link").is_some();
            if let Some(via) = address.filter(|_| !is_on_link) {
                report.gateway(&place, via, &networks);
            }
        }
    }
}
