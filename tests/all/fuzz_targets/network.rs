//! Network configurations. The input is one, by itself or below the key `network`, or `network_data.json`.

use metadata_image::check::{Subject, check};

use super::places::check_places;

pub(crate) fn run(data: &[u8]) {
    for subject in [Subject::NetworkConfig, Subject::NetworkData] {
        check_places(&check(data, subject, None));
    }
    // The same in cloud-config. Of several lines, each is indented.
    let Ok(text) = str::from_utf8(data) else { return };
    let indented: Vec<_> = text.lines().map(|line| format!("  {line}\n")).collect();
    let config = format!("#cloud-config\nnetwork:\n{}", indented.concat());
    check_places(&check(config.as_bytes(), Subject::UserData(None), None));
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "version: 1\nconfig:\n- {type: bond, name: b, bond_interfaces: [c], params: {bond-mode: 802.3ad, bond_miimon: 1}, subnets: [{type: static, address: 10.0.0.1/8, gateway: 10.0.0.2}]}\n- {type: nameserver, address: '::1', search: x}\n",
        "version: 1\nconfig:\n- {type: physical, name: a, mac_address: '52:54:00:ab:cd:ef', subnets: [{type: static, address: 10.0.0.1, netmask: 255.255.0.0, routes: [{network: 10.1.0.0, netmask: 255.0.255.0, gateway: x}]}]}\n- {type: route, destination: default, gateway: ::1}\n",
        "network:\n  version: 2\n  vlans: {v: {id: 5, link: b, addresses: ['::1/64', 1.1.1.1/0], routes: [{to: default, via: fe80::1}]}}\n",
        "version: 2\nethernets: {a: {dhcp4: yes, match: {macaddress: 1}, set-name: b, addresses: [{10.0.0.1/8: {label: x}}], gateway4: 1.1.1.1}}\nbonds: {c: {interfaces: [a, d]}}\n",
        "{\"links\": [{\"id\": \"a\", \"ethernet_mac_address\": \"x\", \"bond_links\": [\"b\"]}], \"networks\": [{\"link\": \"c\", \"type\": \"ipv4\", \"ip_address\": \"10.0.0.1\", \"netmask\": \"255.0.0.0\", \"gateway\": \"11.0.0.1\", \"routes\": [{\"network\": \"0.0.0.0\"}]}], \"services\": [{\"type\": \"dns\", \"address\": \"\"}]}",
        "network: {config: disabled}\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
