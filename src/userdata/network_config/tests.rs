use super::*;

fn lines(text: &str) -> Vec<String> {
    let mut findings = Vec::new();
    check(text, &mut findings);
    Finding::lines(&findings, text)
}

#[test]
fn valid_configurations_pass() {
    for text in [
        "network: {config: disabled}\n",
        "version: 1\nconfig:\n- type: physical\n  name: eth0\n  mac_address: '52:54:00:12:34:00'\n  mtu: 9000\n  subnets:\n\
         \x20 - type: dhcp4\n  - type: static\n    address: 10.0.0.5/24\n    gateway: 10.0.0.1\n    dns_nameservers: [10.0.0.2]\n\
         \x20   routes:\n    - destination: 10.1.0.0\n      netmask: 255.255.0.0\n      gateway: 10.0.0.3\n\
         - type: nameserver\n  address: [1.1.1.1, '2606:4700:4700::1111']\n  search: [a.example]\n\
         - type: route\n  destination: 10.2.0.0/16\n  gateway: 10.0.0.1\n  metric: 3\n",
        "version: 1\nconfig:\n- {type: physical, name: a}\n- {type: physical, name: b}\n\
         - {type: bond, name: bond0, bond_interfaces: [a, b], params: {bond-mode: active-backup}, subnets: [{type: manual}]}\n\
         - {type: vlan, name: bond0.5, vlan_link: bond0, vlan_id: 5, subnets: [{type: static, address: 'fd00::5', netmask: 64}]}\n\
         - {type: bridge, name: br0, bridge_interfaces: [bond0.5], params: {bridge_stp: 'off'}}\n",
        "network:\n  version: 2\n  renderer: networkd\n  ethernets:\n    lan:\n      match: {macaddress: '52:54:00:ab:cd:ef', name: en*}\n\
         \x20     set-name: eth0\n      dhcp4: yes\n      dhcp4-overrides: {route-metric: 200, use-dns: false}\n      addresses:\n\
         \x20     - 10.0.0.5/24\n      - 'fd00::5/64': {label: x}\n      routes:\n      - {to: default, via: 10.0.0.1}\n\
         \x20     - {to: 10.3.0.0/16, via: 192.0.2.1, on-link: true}\n      nameservers: {addresses: [1.1.1.1], search: [x]}\n",
        "version: 2\nethernets: {a: {addresses: [203.0.113.7/32], routes: [{to: default, via: 172.31.1.1}]}, b: {}}\n\
         bonds: {bond0: {interfaces: [a, b], parameters: {mode: 802.3ad, mii-monitor-interval: 100}}}\n\
         vlans: {v5: {id: 5, link: bond0}}\nbridges: {br0: {interfaces: [v5], parameters: {stp: false}}}\n",
        "version: 2\nethernets:\n  a:\n    addresses: ['2001:db8::2/64']\n    routes: [{to: '::/0', via: 'fe80::1'}]\n",
        "version: 2\nwifis: {w: {dhcp4: true, access-points: {home: {password: x}}}}\ntunnels: {t: {mode: gre, local: 1.1.1.1}}\n",
    ] {
        assert_eq!(lines(text), [""; 0], "{text}");
    }
}

#[test]
fn mistakes_in_version_2_are_found() {
    let text = "version: 2\nrenderer: netwrokd\nethernets:\n  eth0:\n    dhcp4: treu\n    dhpc6: true\n    addresses:\n    \
         - 10.0.0.300/24\n    - 10.0.0.5\n    - 10.0.1.5/33\n    - 10.0.2.5/24\n    gateway4: 10.9.9.9\n    macaddress: 52:54:00:12:34:56\n    \
         mtu: '1500'\n    routes: [{via: 10.0.2.1}, {to: x, via: 10.0.2.256}]\n    nameservers: {addresses: [dns]}\n    \
         set-name: lan\n    colour: red\n  eth1:\n    match: {macaddress: 52-54}\n    addresses: [10.0.2.5/24]\n\
         bonds:\n  bond0: {interfaces: [eth1, eth2], parameters: {mode: active-backupp}}\nvlans:\n  eth1: {id: 4095, link: bnod0}\n";
    let found = lines(text).join("\n");
    let expected = include_str!("../../../testdata/userdata/network/version2.findings");
    assert_eq!(found, expected.trim_end(), "{found}");
}

#[test]
fn mistakes_in_version_1_are_found() {
    let text = "version: 1\nconfig:\n- type: physical\n  name: eth0\n  mac_adress: x\n  mac_address: 52:54:00:12:34\n  subnets:\n  \
         - type: static\n    address: 10.0.0.5\n    netmask: 255.0.255.0\n    gateway: 10.0.0.257\n  - type: statick\n  - type: static\n    \
         address: 10.1.0.5/24\n    gateway: 10.2.0.1\n  - {type: static, address: 10.1.0.5/24}\n- type: physical\n  name: eth0\n- type: bond\n  name: bond0\n  \
         bond_interfaces: [eth0, eht1]\n- type: vlan\n  name: v\n  vlan_link: bond1\n- type: nameserver\n  address: 300.1.1.1\n- type: phys\n";
    let found = lines(text).join("\n");
    let expected = include_str!("../../../testdata/userdata/network/version1.findings");
    assert_eq!(found, expected.trim_end(), "{found}");
}

#[test]
fn keys_and_values_of_bonds_bridges_and_routes_are_known() {
    let config = |devices: &str| lines(&format!("version: 1\nconfig:\n{devices}"));
    for device in [
        "- {type: bond, name: b, bond_interfaces: [], params: {bond-mode: 4, bond_miimon: 100, bond-updelay: '5'}}",
        // cloud-init itself reads these names with hyphens only, although its schema lacks them.
        "- {type: bond, name: b, bond_interfaces: [], params: {bond-mode: 802.3ad, bond-lacp-rate: fast, bond-min-links: 1}}",
        "- {type: bridge, name: b, bridge_interfaces: [], params: {bridge_stp: on, bridge_fd: 4}}",
        "- {type: physical, name: a, subnets: [{type: manual, routes: [{network: 10.0.0.0, netmask: 255.0.0.0, gateway: 10.0.0.1}]}]}",
        "- {type: route, destination: 10.0.0.0/8, gateway: 10.0.0.1, metric: 5}",
    ] {
        assert_eq!(config(device), [""; 0], "{device}");
    }
    for (device, expected) in [
        (
            "- {type: bond, name: b, bond_interfaces: []}",
            "config[0]: the key \"params\" is missing [missing-key]",
        ),
        (
            "- {type: bond, name: b, bond_interfaces: [], params: {bond-modes: 1}}",
            "config[0].params.bond-modes: this key is not known here [unexpected-key] (did you mean \"bond-mode\"?)",
        ),
        (
            "- {type: bond, name: b, bond_interfaces: [], params: {bond-miimon: fast}}",
            "config[0].params.bond-miimon: expected a number, found the string \"fast\" [bad-value]",
        ),
        (
            "- {type: physical, name: a-name-of-16-cha}",
            "config[0].name: expected at most 15 characters, found 16 [bad-value]",
        ),
        (
            "- {type: physical, name: a, subnets: [{type: manual, routes: [{network: 10.0.0.0, gatewya: 10.0.0.1}]}]}",
            "config[0].subnets[0].routes[0].gatewya: this key is not known here [unexpected-key] (did you mean \"gateway\"?)",
        ),
        (
            "- {tpye: physical, name: a}",
            "config[0].tpye: this key is not known here [unexpected-key] (did you mean \"type\"?)",
        ),
        ("- {type: physical, name: a, id: x}", "config[0].id: this key is not known here [unknown-key]"),
    ] {
        let found = config(device);
        let [found] = &*found else { panic!("{device}: {found:#?}") };
        let found = found.split_once(": ").unwrap().1.replacen('"', "", 2);
        assert!(found.starts_with(expected), "{device}: {found}");
    }
}

/// What each is told: kind and hint.
#[test]
fn mistakes_in_the_outline_have_one_finding_and_say_what_to_write() {
    for (text, expected) in [
        (
            "version: 1\nethernets: {eth0: {dhcp4: true}}\n",
            "the version is 1, but the key \"ethernets\" belongs to version 2 [bad-value] (write 2)",
        ),
        (
            "version: 2\nconfig: [{type: physical, name: a}]\n",
            "the version is 2, but the key \"config\" belongs to version 1 [bad-value] (write 1)",
        ),
        ("version: '2'\nethernets: {}\n", "expected the number 1 or 2 [bad-value] (remove the quotes)"),
        ("version: 2.0\nethernets: {}\n", "expected the number 1 or 2 [bad-value] (write 2)"),
        ("network: {config: disable}\n", "expected \"disabled\" [bad-value] (did you mean \"disabled\"?)"),
        (
            "version: 2\nethernets:\neth0: {dhcp4: true}\n",
            "this key is not known here [unknown-key] (indent it, so that it belongs to \"ethernets\")",
        ),
        (
            "version: 2\nethernets: {a: {gateway: 10.0.0.1}}\n",
            "this key is not known here [unknown-key] (use \"routes\" with \"to: default\" and \"via\")",
        ),
        (
            "version: 2\nethernets: {a: {routes: [{to: default, gateway: 10.0.0.1}]}}\n",
            "this key is not known here [unknown-key] (did you mean \"via\"?)",
        ),
        (
            "version: 2\nethernets: {a: {routes: [{to: defualt, via: 10.0.0.1}]}}\n",
            "\"defualt\" is not an IP address [bad-address] (did you mean \"default\"?)",
        ),
        (
            "version: 2\nethernets: {a: {routes: {to: default, via: 10.0.0.1}}}\n",
            "expected a list or nothing, found a mapping [value-type] (write a list: put \"- \" in front of the first key, and \
             indent the others)",
        ),
        (
            "version: 2\nethernets: [eth0: {dhcp4: true}]\n",
            "expected a mapping or nothing, found a list [value-type] (write a mapping, without \"- \" in front of the keys)",
        ),
        (
            "version: 2\nethernets: {eth0: {}}\nbonds: {b: {interfaces: [eth0, eth1]}}\n",
            "no interface \"eth1\" is defined [unknown-name]",
        ),
    ] {
        let found = lines(text);
        let [found] = &*found else { panic!("{text}: {found:#?}") };
        assert!(found.ends_with(expected), "{text}: {found}");
    }
    // Both are there: who knows which is meant.
    let both = "version: 2\nconfig: []\nethernets: {eth0: {dhcp4: true}}\n";
    assert_eq!(lines(both), ["f:2:1: \"config\": this key is not known here [unknown-key]"]);
}

#[test]
fn what_is_no_configuration_is_found() {
    let all = [
        "",
        "[]",
        "network: 1",
        "ethernets: {}",
        "version: 3",
        "network: {version: '2'}",
        "network:\n",
        "version: ~\nethernets: {}\n",
    ]
    .map(lines);
    let expected: [&[&str]; 8] = [
        &[
            "f:1:1: the network configuration is empty; some versions of cloud-init fail on it [empty-network-config] (leave the file out)",
        ],
        &["f:1:1: network configuration must be a mapping of keys to values [no-mapping]"],
        &["f:1:10: \"network\": expected a mapping with the key \"version\" [value-type]"],
        &["f:1:1: the key \"version\" is missing [missing-key] (add \"version: 1\" or \"version: 2\")"],
        &["f:1:10: \"version\": expected the number 1 or 2 [bad-value]"],
        &["f:1:20: \"network.version\": expected the number 1 or 2 [bad-value] (remove the quotes)"],
        &[
            "f:1:1: the network configuration is empty; some versions of cloud-init fail on it [empty-network-config] (leave the file out)",
        ],
        &["f:1:10: \"version\": expected the number 1 or 2 [bad-value]"],
    ];
    assert_eq!(all.to_vec(), expected.to_vec());
}
