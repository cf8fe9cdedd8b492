//! `network_data.json` of config drives: links and the networks on them.
//!
//! Source: OpenStack's documentation of the metadata service; cloud-init, `cloudinit/sources/helpers/openstack.py`
//! (`convert_net_json`).

use std::collections::BTreeSet;

use super::{
    address::Network,
    place::{Place, Report},
};
use crate::userdata::{
    finding::{Code, Finding},
    yaml::Tree,
};

/// Keys at the top of the configurations of NoCloud.
const NOCLOUD: [&str; 6] = ["network", "version", "config", "ethernets", "bonds", "bridges"];

/// Checks addresses and names in `network_data.json`.
pub(in crate::userdata) fn check_network_data(tree: &Tree<'_>, findings: &mut Vec<Finding>) {
    let report = &mut Report::new(tree, findings);
    let root = Place::root(tree.root(), "");
    let at = |key| root.get(tree, key);
    if at("links").is_none() && at("networks").is_none() {
        if let Some(other) = NOCLOUD.into_iter().find_map(at) {
            let message =
                "this is a network configuration of NoCloud; cloud-init reads links and networks here";
            report.push_at_key(Code::UnexpectedKey, &other, message.to_owned());
        }
        return;
    }
    let mut ids = BTreeSet::new();
    for link in at("links").iter().flat_map(|it| it.items(tree)) {
        if let Some(id) = link.get(tree, "id")
            && let Some(text) = tree.string(id.node)
            && !ids.insert(text)
        {
            report.push(Code::DuplicateName, &id, "a link of this id is defined above".to_owned(), None);
        }
    }
    for link in at("links").iter().flat_map(|it| it.items(tree)) {
        for mac in ["ethernet_mac_address", "vlan_mac_address"] {
            link.get(tree, mac).iter().for_each(|mac| report.mac(mac));
        }
        for key in ["bond_links", "vlan_link"] {
            link.get(tree, key).iter().for_each(|names| check_names(names, &ids, report));
        }
    }
    for network in at("networks").iter().flat_map(|it| it.items(tree)) {
        network.get(tree, "link").iter().for_each(|name| check_names(name, &ids, report));
        check_network(&network, report);
    }
    for service in at("services").iter().flat_map(|it| it.items(tree)) {
        check_service(&service, report);
    }
}

/// Checks that links of these names are defined.
fn check_names(names: &Place, ids: &BTreeSet<&str>, report: &mut Report<'_, '_>) {
    let tree = report.tree;
    for name in names.strings(tree) {
        if tree.string(name.node).is_some_and(|text| !ids.contains(text)) {
            report.unknown_name(Code::UnknownName, &name, "link", ids.iter().copied());
        }
    }
}

fn check_network(network: &Place, report: &mut Report<'_, '_>) {
    let tree = report.tree;
    let given = |place: &Place, key: &str| {
        // OpenStack leaves out what there is not, and others write an empty string.
        place.get(tree, key).filter(|it| tree.string(it.node).is_some_and(|text| !text.is_empty()))
    };
    let mask = given(network, "netmask").and_then(|it| report.mask(&it));
    let mut networks = Vec::new();
    if let Some(place) = given(network, "ip_address")
        && let Some((address, prefix)) = report.network(&place)
    {
        networks.extend(prefix.or(mask).map(|prefix| Network { address, prefix }));
    }
    if let Some(place) = given(network, "gateway")
        && let Some(gateway) = report.address(&place)
    {
        report.gateway(&place, gateway, &networks);
    }
    for route in network.get(tree, "routes").iter().flat_map(|it| it.items(tree)) {
        given(&route, "network").and_then(|it| report.network(&it));
        given(&route, "netmask").and_then(|it| report.mask(&it));
        given(&route, "gateway").and_then(|it| report.address(&it));
    }
    for service in network.get(tree, "services").iter().flat_map(|it| it.items(tree)) {
        check_service(&service, report);
    }
}

fn check_service(service: &Place, report: &mut Report<'_, '_>) {
    let tree = report.tree;
    let is_dns = service.get(tree, "type").is_some_and(|it| tree.string(it.node) == Some("dns"));
    for address in service.get(tree, "address").iter().filter(|_| is_dns).flat_map(|it| it.strings(tree)) {
        report.address(&address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::userdata::yaml::check_mapping;

    fn lines(text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        let tree = check_mapping(text, "it", &mut findings).unwrap();
        check_network_data(&tree, &mut findings);
        Finding::lines(&findings, text)
    }

    #[test]
    fn addresses_and_links_are_checked() {
        let good = r#"{"links": [{"id": "a", "type": "phy", "ethernet_mac_address": "fa:16:3e:9c:bf:3d", "mtu": null},
            {"id": "b", "type": "bond", "bond_links": ["a"]}, {"id": "v", "type": "vlan", "vlan_link": "b", "vlan_id": 5}],
            "networks": [{"link": "a", "type": "ipv4", "ip_address": "10.0.0.2", "netmask": "255.255.255.0", "gateway": "10.0.0.1",
            "routes": [{"network": "0.0.0.0", "netmask": "0.0.0.0", "gateway": "10.0.0.1"}]},
            {"link": "v", "type": "ipv6", "ip_address": "fd00::2/64", "netmask": "ffff:ffff:ffff:ffff::", "gateway": ""},
            {"link": "v", "type": "ipv4_dhcp"}], "services": [{"type": "dns", "address": "8.8.8.8"}]}"#;
        assert_eq!(lines(good), [""; 0]);
        let bad = r#"{"links": [{"id": "tap1", "ethernet_mac_address": "fa:16"}, {"id": "tap1", "bond_links": ["tap2"]}],
"networks": [{"link": "tpa1", "ip_address": "10.0.0.300", "netmask": "255.0.255.0"},
{"link": "tap1", "ip_address": "10.0.0.2/24", "gateway": "10.1.0.1", "routes": [{"network": "x", "netmask": "1.2.3.4", "gateway": "y"}]}],
"services": [{"type": "dns", "address": "z"}]}"#;
        let found = lines(bad).join("\n");
        let expected = include_str!("../../../testdata/userdata/network/network_data.findings");
        assert_eq!(found, expected.trim_end(), "{found}");
    }

    #[test]
    fn a_configuration_of_nocloud_is_none() {
        assert_eq!(lines("{}"), [""; 0]);
        assert_eq!(
            lines(r#"{"version": 2, "ethernets": {}}"#),
            [
                "f:1:2: \"version\": this is a network configuration of NoCloud; cloud-init reads links and networks here [unexpected-key]"
            ]
        );
    }
}
