//! Checking a text, and planning what a guest would have of it. The input is the text.

use metadata_image::{
    check::{self, CheckedText, PLATFORMS, Subject},
    datasource::layout::Layout,
    userdata::{
        config_tree::{ConfigTree, parse},
        finding::{Code, Lines, Severity},
        install_plan::InstallPlan,
        pack,
    },
};

const SUBJECTS: [Subject; 7] = [
    Subject::UserData(None),
    Subject::UserData(Some(Layout::LinuxKit)),
    Subject::UserData(Some(Layout::NoCloud)),
    Subject::MetaData(Layout::NoCloud),
    Subject::MetaData(Layout::ConfigDrive),
    Subject::NetworkConfig,
    Subject::NetworkData,
];

pub(crate) fn run(data: &[u8]) {
    for subject in SUBJECTS {
        let target = PLATFORMS[data.len() % PLATFORMS.len()];
        check_places(&check::check(data, subject, Some(target)));
    }
    check_plan(data);
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
        "#!/bin/sh\necho\r\n",
        "\u{feff}// x\n{\"a\": {\"content\": \"\",}, /* */ }",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

/// Every finding is at a place in the text, in order.
fn check_places(checked: &CheckedText) {
    let CheckedText { text, findings, .. } = checked;
    let lines = Lines::of(text);
    for finding in findings {
        assert!(finding.span.start <= finding.span.end, "{finding:?}");
        assert!(text.get(finding.span.clone()).is_some(), "{finding:?} in {} bytes", text.len());
        let line = finding.in_one_line("x", &lines);
        assert!(!line.contains('\n'), "{line:?}");
    }
    // Errors first; about a config tree all in the order of the text.
    let places: Vec<_> = findings
        .iter()
        .filter(|it| it.code != Code::TooLarge)
        .map(|it| (it.code.severity() == Severity::Warning, it.span.start))
        .collect();
    let is_in_order = places.is_sorted_by_key(|(_, start)| start);
    assert!(places.is_sorted() || is_in_order, "{places:?}");
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
