//! Version 1: a list of devices.

use std::collections::{BTreeSet, HashSet};

use super::{
    address::Network,
    place::{Place, Report},
};
use crate::userdata::finding::Code;

/// Checks a configuration of version 1 beyond its structure.
pub(super) fn check(root: &Place, report: &mut Report<'_, '_>) {
    let tree = report.tree;
    let Some(config) = root.get(tree, "config") else { return };
    let text = |place: &Place, key| place.get(tree, key).and_then(|it| tree.string(it.node));
    let mut names = BTreeSet::new();
    let mut addresses = HashSet::new();
    for device in config.items(tree) {
        if matches!(text(&device, "type"), Some("nameserver" | "route")) {
            continue;
        }
        if let Some(name) = device.get(tree, "name")
            && let Some(text) = tree.string(name.node)
            && !names.insert(text)
        {
            let message = "an interface of this name is defined above".to_owned();
            report.push(Code::DuplicateName, &name, message, None);
        }
    }
    for device in config.items(tree) {
        match text(&device, "type") {
            Some("nameserver") => {
                let servers = device.get(tree, "address");
                for server in servers.iter().flat_map(|it| it.strings(tree)) {
                    report.address(&server);
                }
            }
            Some("route") => check_route(&device, &[], report),
            _ => {
                if let Some(mac) = device.get(tree, "mac_address") {
                    report.mac(&mac);
                }
                for key in ["bond_interfaces", "bridge_interfaces", "vlan_link"] {
                    let below = device.get(tree, key);
                    for name in below.iter().flat_map(|it| it.strings(tree)) {
                        if tree.string(name.node).is_some_and(|name| !names.contains(name)) {
                            report.unknown_name(
                                Code::UndeclaredName,
                                &name,
                                "interface",
                                names.iter().copied(),
                            );
                        }
                    }
                }
                let subnets = device.get(tree, "subnets");
                for subnet in subnets.iter().flat_map(|it| it.items(tree)) {
                    check_subnet(&subnet, &mut addresses, report);
                }
            }
        }
    }
}

fn check_subnet<'t>(subnet: &Place, addresses: &mut HashSet<&'t str>, report: &mut Report<'_, 't>) {
    let tree = report.tree;
    let mask = subnet.get(tree, "netmask").and_then(|it| report.mask(&it));
    let mut networks = Vec::new();
    if let Some(place) = subnet.get(tree, "address")
        && let Some((address, prefix)) = report.network(&place)
    {
        networks.extend(prefix.or(mask).map(|prefix| Network { address, prefix }));
        if tree.string(place.node).is_some_and(|text| !addresses.insert(text)) {
            report.push(Code::DuplicateAddress, &place, "this address is given twice".to_owned(), None);
        }
    }
    if let Some(place) = subnet.get(tree, "gateway")
        && let Some(gateway) = report.address(&place)
    {
        report.gateway(&place, gateway, &networks);
    }
    let servers = subnet.get(tree, "dns_nameservers");
    for server in servers.iter().flat_map(|it| it.strings(tree)) {
        // A string may have several, with blanks between them.
        if tree.string(server.node).is_some_and(|text| !text.trim().contains([' ', ','])) {
            report.address(&server);
        }
    }
    let routes = subnet.get(tree, "routes");
    routes.iter().flat_map(|it| it.items(tree)).for_each(|it| check_route(&it, &networks, report));
}

fn check_route(route: &Place, networks: &[Network], report: &mut Report<'_, '_>) {
    let tree = report.tree;
    for key in ["destination", "network"] {
        if let Some(place) = route.get(tree, key) {
            report.destination(&place);
        }
    }
    if let Some(place) = route.get(tree, "netmask") {
        report.mask(&place);
    }
    if let Some(place) = route.get(tree, "gateway")
        && let Some(gateway) = report.address(&place)
    {
        report.gateway(&place, gateway, networks);
    }
}
