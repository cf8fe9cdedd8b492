//! `check` of images, files, directories and texts.

mod formats;
mod texts;

use crate::support::{Ran, Sandbox, done, failed};

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
help: add the line \"#cloud-config\" above it

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
    let no_seed = "the directory is not a seed: it has no user-data, no meta-data and no openstack/latest \
                   ('metadata pack' makes user data for LinuxKit from a directory)";
    let no_file = "is a directory (metadata pack makes user data from a directory)";
    for (arguments, why) in [(&["check"] as &[_], no_seed), (&["apply", "--dry-run"], no_file)] {
        let line = r#"reading "absent": No such file or directory (os error 2)"#;
        assert_eq!(sandbox.run([arguments, &["absent"]].concat()), failed(1, line));
        assert_eq!(sandbox.run([arguments, &["."]].concat()), failed(1, &format!("reading \".\": {why}")));
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

#[test]
fn several_paths_have_a_result_each_and_one_for_all() {
    let sandbox = Sandbox::new();
    sandbox.write("good", "#cloud-config\npackages: [a]\n");
    sandbox.write("bad", "# cloud-config\n");
    sandbox.succeed(["create", "-q", "seed.iso", "hello"]);
    let ran = sandbox.run(["check", "good", "seed.iso"]);
    let stderr = "\
metadata: good: checked as user data: no errors, no warnings
metadata: seed.iso: checked as image: no errors, no warnings
metadata: 2 files checked: no errors, no warnings
";
    assert_eq!(ran, done(stderr));
    assert_eq!(sandbox.run(["check", "-q", "good", "seed.iso"]), done(""));
    let ran = sandbox.run(["check", "good", "absent", "bad"]);
    let stderr = "\
metadata: good: checked as user data: no errors, no warnings
metadata: reading \"absent\": No such file or directory (os error 2)
metadata: checking \"bad\": 1 error, no warnings
metadata: 2 files checked: 1 error, no warnings; 1 file not checked
";
    assert_eq!((ran.status, &*ran.stderr, codes(&ran)), (Some(1), stderr, vec!["no-header".to_owned()]));
    let ran = sandbox.run(["check", "--json", "good", "bad"]);
    assert!(ran.stdout.contains("\"file\":\"bad\"") && ran.stdout.lines().count() == 1, "{ran:?}");
}

#[test]
fn a_directory_with_the_files_of_a_seed_is_checked() {
    let sandbox = Sandbox::new();
    sandbox.write("seed/user-data", "#cloud-config\n- a\n");
    sandbox.write("seed/network-config", "");
    sandbox.write("seed/other", "# cloud-config\n");
    let ran = sandbox.run(["check", "seed"]);
    assert_eq!(codes(&ran), ["no-mapping", "empty-network-config"]);
    let stderr = "\
metadata: checking \"seed/user-data\": 1 error, no warnings
metadata: seed/network-config: checked as network configuration, which is empty: no errors, 1 warning
metadata: 2 files checked: 1 error, 1 warning
";
    assert_eq!((ran.status, &*ran.stderr), (Some(1), stderr));
    assert!(ran.stdout.contains(" --> seed/user-data:2:1\n"), "{}", ran.stdout);
    sandbox.write("drive/openstack/latest/user_data", "hello");
    sandbox.write("drive/openstack/latest/network_data.json", "links: []\n");
    let ran = sandbox.run(["check", "drive/"]);
    assert_eq!(codes(&ran), ["no-header", "json-syntax"]);
}

#[test]
fn an_empty_file_and_zeros_are_called_so() {
    let sandbox = Sandbox::new();
    sandbox.write("empty", "");
    sandbox.write("zeros", vec![0; 70_000]);
    let line = "metadata: empty: checked as user data, which is empty: no errors, no warnings\n";
    assert_eq!(sandbox.run(["check", "empty"]), done(line));
    let ran = sandbox.run(["check", "zeros"]);
    assert!(ran.stdout.starts_with("error[binary]: only zeros; cloud-init ignores it\n"), "{}", ran.stdout);
}

#[test]
fn parts_are_checked_on_an_image_too() {
    let sandbox = Sandbox::new();
    let part = "Content-Type: text/cloud-config\nContent-Transfer-Encoding: base64\n\nYTogWwo=\n";
    sandbox.write(
        "mime",
        format!("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\n{part}--b--\n"),
    );
    sandbox.run(["create", "-q", "--lenient", "seed.iso", "--data-file", "mime", "--layout", "nocloud"]);
    let expected = "\
error[yaml-syntax]: not valid YAML: while parsing a node, did not find expected node content
 --> seed.iso/user-data/part-001:2:1
  |
2 |
  | ^
  |
help: close the \"[\" in \"a: [\"

";
    let stderr = "metadata: checking \"seed.iso\": 1 error, no warnings\n".to_owned();
    assert_eq!(
        sandbox.run(["check", "seed.iso"]),
        Ran { status: Some(1), stdout: expected.to_owned(), stderr }
    );
}

#[test]
fn compressed_data_is_checked_and_unpacked_within_bounds() {
    let sandbox = Sandbox::new();
    let unpacked = |text: &str| {
        sandbox.write("data", text);
        sandbox.write("data.gz", sandbox.tool("gzip", ["-nc", "data"]));
        codes(&sandbox.run(["check", "--as", "cloud-init", "data.gz"]))
    };
    assert_eq!(unpacked("#cloud-config\npackages: [a]\n"), [""; 0]);
    assert_eq!(unpacked("#cloud-config\n- a\n"), ["no-mapping"]);
    assert_eq!(unpacked(&format!("#cloud-config\n{}", "# comment\n".repeat(500_000))), ["unchecked"]);
}

#[test]
fn json_files_of_a_config_drive_are_checked_on_images() {
    let sandbox = Sandbox::new();
    sandbox.write("meta", "uuid: 1\n");
    sandbox.write("network", "[]");
    sandbox.write("vendor", "{");
    let files = ["--meta-data", "meta", "--network-config", "network", "--vendor-data", "vendor"];
    sandbox.run(
        [&["create", "-q", "--lenient", "x.iso", "#cloud-config\n", "-l", "configdrive"], &files[..]]
            .concat(),
    );
    assert_eq!(codes(&sandbox.run(["check", "x.iso"])), ["json-syntax", "no-object", "json-syntax"]);
}

#[test]
fn a_schema_is_one_file_of_bounded_size() {
    let sandbox = Sandbox::new();
    sandbox.write("user-data", "#cloud-config\na: 1\n");
    sandbox.write("other.json", "{}");
    sandbox.write("large.json", " ".repeat((4 << 20) + 1));
    let too_large = "the schema is larger than 4 MiB".to_owned();
    for (name, reference, why) in [
        ("a.json", "other.json", None),
        ("a.json", "file:///dev/null", None),
        ("a.json", "https://192.0.2.1/a.json#/b", None),
        ("a.json", "#/other.json", None),
        ("large.json", "", Some(&too_large)),
        ("/dev/zero", "", Some(&too_large)),
    ] {
        sandbox.write("a.json", format!("{{\"properties\": {{\"a\": {{\"$ref\": \"{reference}\"}}}}}}"));
        let refused =
            format!("the reference {reference:?} names nothing in the schema; other files are not read");
        let line = format!("reading the schema {name:?}: {}", why.unwrap_or(&refused));
        assert_eq!(sandbox.run(["check", "--schema", name, "user-data"]), failed(1, &line));
    }
}
