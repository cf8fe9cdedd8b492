use crate::support::{Ran, Sandbox, failed};

fn codes(ran: &Ran) -> Vec<String> {
    let found = ran.stdout.lines().filter(|line| line.starts_with("error[") || line.starts_with("warning["));
    found.map(|line| line.split(['[', ']']).nth(1).unwrap().to_owned()).collect()
}

#[test]
fn an_image_is_checked_with_its_files() {
    let sandbox = Sandbox::new();
    sandbox.write("meta", "local-hostname: web\n");
    let nocloud =
        ["create", "-q", "--lenient", "seed.iso", "packages: []", "-l", "nocloud", "--meta-data", "meta"];
    sandbox.run([&nocloud[..], &["--volume-id", "CiData"]].concat());
    let ran = sandbox.run(["check", "seed.iso"]);
    let expected = "\
error[volume-identifier]: the volume identifier is \"CiData\", but agents look for \"CIDATA\" or \"cidata\"
--> seed.iso

warning[no-instance-id]: the meta-data has no instance-id, which cloud-init uses to recognize a first boot
 --> seed.iso/meta-data:1:1
  |
1 | local-hostname: web
  | ^
  |
help: add one, such as \"instance-id: i-1\"

error[no-header]: cloud-init does not recognize this line and ignores the data
 --> seed.iso/user-data:1:1
  |
1 | packages: []
  | ^^^^^^^^^^^^
  |
help: write \"#cloud-config\"

";
    let stderr = "metadata: checking \"seed.iso\": 2 errors, 1 warning\n".to_owned();
    assert_eq!(ran, Ran { status: Some(1), stdout: expected.to_owned(), stderr });
}

#[test]
fn an_image_that_nobody_reads_is_an_error() {
    let sandbox = Sandbox::new();
    sandbox.run(["create", "-q", "meta.iso", ""]);
    let ran = sandbox.run(["check", "meta.iso"]);
    assert_eq!((ran.status, codes(&ran)), (Some(1), vec!["unread".to_owned()]));
}

#[test]
fn what_a_platform_takes_is_compared() {
    let sandbox = Sandbox::new();
    for (target, bytes) in
        [("aws", 16_384), ("gcp", 262_144), ("vmware", 65_536), ("proxmox", 4_194_304), ("kubevirt", 2048)]
    {
        sandbox.write("data", "x".repeat(bytes));
        assert_eq!(sandbox.run(["check", "data", "--target", target]).status, Some(0), "{target}");
        sandbox.write("data", "x".repeat(bytes + 1));
        let ran = sandbox.run(["check", "data", "--target", target]);
        assert_eq!((ran.status, codes(&ran)), (Some(1), vec!["too-large".to_owned()]), "{target}");
    }
}

#[test]
fn what_a_text_is_may_be_said() {
    let sandbox = Sandbox::new();
    sandbox.write("text", "hello\n");
    for (what, expected) in [
        ("user-data", &[] as &[&str]),
        ("cloud-init", &["no-header"]),
        ("meta-data", &["no-mapping"]),
        ("network-config", &["no-mapping"]),
    ] {
        assert_eq!(codes(&sandbox.run(["check", "text", "--as", what])), expected, "{what}");
    }
}

#[test]
fn warnings_fail_if_strict() {
    let sandbox = Sandbox::new();
    sandbox.write("data.json", r#"{"a": {"content": "", "mode": ""}}"#);
    assert_eq!(sandbox.run(["check", "data.json"]).status, Some(0));
    let ran = sandbox.run(["check", "data.json", "--strict"]);
    assert_eq!(ran.status, Some(1));
    assert_eq!(ran.stderr, "metadata: checking \"data.json\": no errors, 1 warning\n");
}

#[test]
fn json_has_a_line_for_every_finding() {
    let sandbox = Sandbox::new();
    sandbox.write("data.json", "{\"é\":\n {\"content\": 1}}");
    let expected = r#"{"code":"wrong-type","severity":"error","file":"data.json","path":"é","line":2,"column":14,"message":"content is a number instead of a string; LinuxKit's agent rejects the whole document","hint":"put it in quotes: \"1\""}
"#;
    let ran = sandbox.run(["check", "data.json", "--json"]);
    assert_eq!((ran.status, &*ran.stdout), (Some(1), expected));
}

#[test]
fn what_cannot_be_read_is_named() {
    let sandbox = Sandbox::new();
    for arguments in [&["check"] as &[_], &["apply", "--dry-run"]] {
        let line = r#"reading "absent": No such file or directory (os error 2)"#;
        assert_eq!(sandbox.run([arguments, &["absent"]].concat()), failed(1, line));
        let line = r#"reading ".": is a directory (metadata pack makes user data from a directory)"#;
        assert_eq!(sandbox.run([arguments, &["."]].concat()), failed(1, line));
    }
    let line = r#"reading directory "absent": No such file or directory (os error 2)"#;
    assert_eq!(sandbox.run(["pack", "absent"]), failed(1, line));
}

#[test]
fn many_findings_in_one_line_are_all_shown_with_their_columns() {
    let sandbox = Sandbox::new();
    let entries: Vec<_> = (0..4_000).map(|number| format!(r#""{number:05}":{{"contents":"é"}}"#)).collect();
    sandbox.write("data.json", format!("{{{}}}", entries.join(",")));
    let ran = sandbox.run(["check", "data.json"]);
    assert_eq!(codes(&ran).len(), 8_000);
    // The last entry begins after the brace and 3,999 others of 24 characters and a comma.
    let last = 1 + 3_999 * 25 + 1;
    assert!(ran.stdout.contains(&format!(" --> data.json:1:{last}\n")));
}
