//! Checking a text, and planning what a guest would have of it. The input is the text.

use metadata_image::{
    check::{self, PLATFORMS, Subject},
    datasource::layout::Layout,
    userdata::{
        config_tree::{ConfigTree, parse},
        finding::{Code, Severity},
        install_plan::InstallPlan,
        meta_data_edit::{member, with_member},
        pack,
        schema::Rules,
    },
};

use super::places::check_places;

pub(crate) const SUBJECTS: [Subject; 9] = [
    Subject::UserData(None),
    Subject::UserData(Some(Layout::LinuxKit)),
    Subject::UserData(Some(Layout::NoCloud)),
    Subject::MetaData(Layout::NoCloud),
    Subject::MetaData(Layout::ConfigDrive),
    Subject::NetworkConfig,
    Subject::NetworkData,
    Subject::VendorData(Layout::NoCloud),
    Subject::VendorData(Layout::ConfigDrive),
];

pub(crate) fn run(data: &[u8]) {
    for subject in SUBJECTS {
        let target = PLATFORMS[data.len() % PLATFORMS.len()];
        for checked in check::check_whole(data, subject, Some(target), &Rules::default()) {
            check_places(&checked);
        }
    }
    check_plan(data);
    check_edits(data);
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        r#"{"ssh": {"entries": {"sshd_config": {"perm": "0600", "content": "x\u00e9"}}}, "hostname": {"content": "a"}}"#,
        "#cloud-config\nusers:\n- &a {name: b}\n- *a\n",
        "instance-id: i-1\nlocal-hostname: web\npublic-keys:\n  - ssh-ed25519 AAAA\n",
        "version: 2\nethernets:\n  eth0: {dhcp4: true}\n",
        "## template: jinja\n#cloud-config\na: {{ b }}\n{# c #}{% if d %}\nusers: [{{ e }}]\n",
        "#cloud-config\nusers:\n- name: a\n  groups: {b: }\nwrite_files:\n- path: /x\n  permissions: 0644\nntp: yes\npackage: [x]\n",
        "#cloud-config\nx: &x {1: 1_0, 0b1: 1:30}\ny: {<<: [*x, {a: 2024-01-02}], ? [k] : !!binary eA==}\nz: 'a\nb'\nu: [tar, -]\n",
        "#cloud-config-archive\n- type: text/cloud-config\n  content: |\n    users: 1\n- '#!/bin/sh'\n",
        "version: 1\nconfig:\n- {type: bond, name: b, bond_interfaces: [c], subnets: [{type: static, address: 10.0.0.1/8, gateway: 10.0.0.2}]}\n",
        "network:\n  version: 2\n  vlans: {v: {id: 5, link: b, addresses: ['::1/64', 1.1.1.1/0], routes: [{to: default, via: fe80::1}]}}\n",
        "{\"uuid\": \"u\", \"links\": [{\"id\": \"a\"}], \"networks\": [{}]}",
        "Content-Type: multipart/mixed; boundary=x\n\n--x\n",
        "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"x\"\n\n--x\nContent-Type: text/cloud-config\nContent-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"a\"\n\nYTogWwo=\n--x\nContent-Type: multipart/mixed;\n boundary=y\n\n--y\nContent-Transfer-Encoding: quoted-printable\n\n#!/bin/sh=0A\n--y--\n--x--\n",
        "#cloud-config-archive\n- type: text/cloud-config\n  content: |\n    a: [\n- '#!/bin/sh'\n",
        "#!/bin/sh\necho\r\n",
        "\u{feff}// x\n{\"a\": {\"content\": \"\",}, /* */ }",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

/// Meta-data that is changed says what was asked for, and the same again if it is changed back and forth.
fn check_edits(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    for key in ["instance-id", "local-hostname", "uuid", "hostname", "a"] {
        let Ok(edited) = with_member(text, key, "web-1") else { continue };
        assert_eq!(member(&edited, key).as_deref(), Some("web-1"), "{key}: {edited:?}");
        let again = with_member(&edited, key, "x: \"#").unwrap();
        assert_eq!(member(&again, key).as_deref(), Some("x: \"#"), "{key}: {again:?}");
        assert_eq!(with_member(&again, key, "web-1").unwrap(), edited, "{key}: {again:?}");
    }
}

/// A plan has what the text says and nothing else, and its tree is the same when it is written and read again.
fn check_plan(data: &[u8]) {
    let plan = InstallPlan::new(Some(data), ConfigTree::default());
    let losses = plan.losses();
    for (_, line) in plan.lines("user-data") {
        assert!(!line.contains('\n'), "{line:?}");
    }
    for listed in plan.list() {
        let normal = |name: &str| !matches!(name, "" | "." | "..") && !name.contains('\0');
        assert!(listed.path.split('/').all(normal), "{:?}", listed.path);
    }
    let _ = plan.hostname();
    if !parse::looks_like_tree(data) {
        assert_eq!((losses.len(), plan.list().len()), (0, 1));
        return;
    }
    let parsed = parse::parse(data);
    let Some(tree) = parsed.tree else { return };
    let text = pack::to_json(&tree).unwrap();
    let again = parse::parse(&text);
    let errors =
        again.findings.iter().filter(|it| it.code.severity() == Severity::Error && it.code != Code::HostName);
    assert_eq!(errors.collect::<Vec<_>>(), Vec::<&_>::new(), "{}", String::from_utf8_lossy(&text));
    assert_eq!(again.tree, Some(tree));
}
