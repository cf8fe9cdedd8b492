//! What the agent says of its work, and which arguments it takes.

use serde_json::Value;

use super::{agent, ran};

use crate::support::Sandbox;

#[test]
fn the_report_names_what_was_written_skipped_and_left() {
    let sandbox = Sandbox::new();
    let data = r#"{"hostname": {"content": "web\n"}, "a": {"entries": {"b": {"perm": "0600", "content": "x"}}}, "../c": {"content": ""}, "d": {"content": "y"}}"#;
    sandbox.write("data", data);
    sandbox.write("out/d/in the way", "");
    sandbox.write("out/old", "");
    let said = agent(&sandbox, "", "", &["--json", "file=data"]);
    let mut report: Value = serde_json::from_str(&said.stdout).unwrap();
    report["probes"][0]["seconds"] = 0.into();
    let expected = serde_json::json!({
        "provider": "FILE data",
        "probes": [{"provider": "file", "outcome": "served", "error": null, "seconds": 0}],
        "written": [
            {"name": "provider", "path": "provider", "mode": "0644", "size": 9},
            {"name": "userdata", "path": "userdata", "mode": "0600", "size": data.len()},
            {"name": "a/b", "path": "a/b", "mode": "0600", "size": 1},
            {"name": "a", "path": "a", "mode": "0755", "size": null},
            {"name": "hostname", "path": "hostname", "mode": "0644", "size": 4},
        ],
        "skipped": [
            {"path": "../c", "reason": "the name contains '/', which would lead to another directory; the entry is skipped"},
            {"path": "d", "reason": "a directory has this name"},
        ],
        "left": ["d/in the way", "old"],
        "hostname": null,
    });
    assert_eq!(report, expected);
    let stderr = "\
metadata: FILE data: 141 bytes of user data
metadata: user data:1:95: \"../c\": the name contains '/', which would lead to another directory; the entry is skipped [bad-name]
metadata: skipping \"d\": a directory has this name
metadata: \"out\": 4 files written
metadata: left unchanged: \"d/in the way\", \"old\"
metadata: applying FILE data: 2 items were skipped
";
    assert_eq!((said.status, &*said.stderr), (Some(1), stderr));
}

#[test]
fn a_report_of_a_refusal_names_who_was_asked_and_what_is_left() {
    let sandbox = Sandbox::new();
    sandbox.write("signers", "a@b ssh-ed25519 AAAA\n");
    sandbox.write("out/userdata", "old");
    let said = agent(&sandbox, "", "", &["--json", "--allowed-signers", "signers", "cdrom"]);
    let report: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(report["probes"][0]["provider"], "cdrom", "{report}");
    assert_eq!(report["left"], serde_json::json!(["userdata"]));
    assert_eq!(report["error"], "no metadata was found to verify");
    assert!(said.stderr.contains("metadata: left unchanged: \"userdata\"\n"), "{said:?}");
    assert_eq!(said.status, Some(1));
}

#[test]
fn a_host_name_that_cannot_be_one_is_not_set() {
    let sandbox = Sandbox::new();
    sandbox.write("data", r#"{"hostname": {"content": "a_b"}}"#);
    let said = agent(&sandbox, "", "", &["--set-hostname", "file=data"]);
    assert_eq!(said.status, Some(1), "{said:?}");
    let why =
        "setting the host name \"a_b\": the name has characters other than letters, digits, '-' and '.'";
    assert!(said.stderr.contains(why), "{said:?}");
    assert_eq!(sandbox.read("out/hostname"), b"a_b");
}

#[test]
fn providers_are_named_as_linuxkit_names_them() {
    let sandbox = Sandbox::new();
    sandbox.write("data", "hello");
    let said = agent(&sandbox, "", "", &["hetzner", "vmware", "file=data", "file=data"]);
    let stderr = "\
metadata: skipping hetzner: only LinuxKit's agent has this provider
metadata: skipping vmware: only LinuxKit's agent has this provider
metadata: FILE data: 5 bytes of user data
metadata: \"out\": 2 files written
";
    assert_eq!(said, ran(0, stderr));
    for (name, why) in [
        ("file=", "invalid value 'file=' for '[PROVIDER]...': the path is missing (--help shows the usage)"),
        (
            "AWS",
            "invalid value 'AWS' for '[PROVIDER]...': unknown provider; use cdrom, aws, gcp or file=PATH (--help shows the usage)",
        ),
    ] {
        assert_eq!(agent(&sandbox, "", "", &[name]), ran(2, &format!("metadata: {why}\n")));
    }
}

#[test]
fn an_address_that_is_none_is_a_fault_of_usage() {
    let sandbox = Sandbox::new();
    for (aws, gcp, why) in [
        (
            "127.0.0.1:80",
            "",
            "AWS_EC2_METADATA_SERVICE_ENDPOINT=\"127.0.0.1:80\": the URL does not begin with http://",
        ),
        ("", "a/b", "GCE_METADATA_HOST=\"a/b\": the URL has more than a host and a port"),
        (
            "",
            "http://a",
            "GCE_METADATA_HOST=\"http://a\": give a host, optionally with a port, instead of a URL",
        ),
        ("", "::1", "GCE_METADATA_HOST=\"::1\": write an IPv6 address in brackets"),
    ] {
        assert_eq!(agent(&sandbox, aws, gcp, &["aws", "gcp"]), ran(2, &format!("metadata: {why}\n")));
    }
    for seconds in ["-1", "nan", "1e99", "x"] {
        let said = agent(&sandbox, "", "", &["--timeout", seconds, "cdrom"]);
        let why = "not a number of seconds from 0 to 86400 (--help shows the usage)";
        let line = format!("metadata: invalid value '{seconds}' for '--timeout <SECONDS>': {why}\n");
        assert_eq!(said, ran(2, &line));
    }
    assert!(!sandbox.path("out").exists());
}

#[test]
fn a_console_is_not_kept_busy_with_faults() {
    let sandbox = Sandbox::new();
    let bad: Vec<_> = (0..1000).map(|n| format!("\"{n}{}\": 1", "x".repeat(2000))).collect();
    sandbox.write("data", format!("{{{}}}", bad.join(", ")));
    let said = agent(&sandbox, "", "", &["file=data"]);
    assert_eq!(said.status, Some(1));
    assert!(said.stderr.contains("metadata: 980 more warnings; --verbose shows them\n"), "{said:?}");
    assert!(said.stderr.len() < 30_000, "{}", said.stderr.len());
}

#[test]
fn what_an_earlier_run_left_is_named_when_nothing_is_found_too() {
    let sandbox = Sandbox::new();
    sandbox.write("out/provider", "FILE data");
    let said = agent(&sandbox, "", "", &["file=data"]);
    let stderr = "\
metadata: file: the file \"data\" does not exist
metadata: no metadata found (asked file)
metadata: left unchanged: \"provider\"
";
    assert_eq!(said, ran(0, stderr));
}
