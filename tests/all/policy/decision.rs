//! What a policy sees, and what it decides.

use serde_json::{Value, json};

use super::{allowed, broken, decide, denied, image};

use crate::support::{Ran, Sandbox, failed};

#[test]
fn a_policy_sees_the_boot_and_its_image() {
    let sandbox = Sandbox::new();
    sandbox.write("user", "#cloud-config\n");
    sandbox.succeed([
        "create",
        "--quiet",
        "meta.iso",
        "--data-file",
        "user",
        "--layout",
        "nocloud",
        "--hostname",
        "web",
        "--instance-id",
        "i-1",
        "--run-metadata",
        "deploy",
        "--run-id",
        "r1",
    ]);
    let printed = sandbox.succeed(["policy", "meta.iso", "--print-input"]);
    let digest = |text: &str| {
        let summed = assert_cmd::Command::new("sha256sum").write_stdin(text).output().unwrap().stdout;
        String::from_utf8(summed).unwrap()[..64].to_owned()
    };
    let meta_data = "instance-id: \"i-1\"\nlocal-hostname: \"web\"\n";
    assert_eq!(
        serde_json::from_slice::<Value>(&printed).unwrap(),
        json!({
            "run": {
                "id": "r1",
                "created_at": 315_532_800_000_000_000_u64,
                "state": "PREPARING",
                "triggered_by": "cdrom",
                "user_provided_metadata": ["deploy"],
            },
            "image": {
                "volume_identifier": "CIDATA",
                "files": [
                    { "name": "meta-data", "size": 41, "sha256": digest(meta_data) },
                    { "name": "user-data", "size": 14, "sha256": digest("#cloud-config\n") },
                ],
            },
            "signature": null,
            "static_run_environment": { "host_name": "web", "instance_id": "i-1" },
            "worker_version": env!("CARGO_PKG_VERSION"),
        })
    );
    assert_eq!(
        decide(&sandbox, "package p\nallow if input.run.created_at == 315532800000000000", &[]),
        allowed()
    );
}

#[test]
fn rego_of_version_1_is_read_and_else_of_version_0() {
    let sandbox = image(&["one"]);
    for policy in [
        "package p\nallow if { input.run.user_provided_metadata[0] == \"one\" }",
        "package p\nimport rego.v1\nallow if count(input.run.user_provided_metadata) == 1",
        "package p\nallow { input.run.user_provided_metadata[_] == \"one\" }",
        "package p\ndeny[\"no\"] { input.run.user_provided_metadata[_] == \"two\" }",
        "package p\ndefault allow = false\nallow = true { true }",
        "package a[\"b.c\"]\nallow := true",
        "package p\r\nallow := true\r\n",
        "package p\nimport future.keywords\nallow if { true }\nx { true }",
    ] {
        assert_eq!(decide(&sandbox, policy, &[]), allowed(), "{policy}");
    }
}

#[test]
fn what_a_policy_denies_is_said_a_line_each() {
    let sandbox = image(&["one"]);
    for (policy, messages) in [
        ("package p\ndeny contains \"one\" if true\ndeny contains \"two\" if true", &["one", "two"][..]),
        ("package p\ndeny[\"one\"] { true }", &["one"]),
        ("package p\ndeny := true", &["deny is true"]),
        ("package p\ndeny := \"a\\u001b[2Jb\"", &["a\\u{1b}[2Jb"]),
        ("package p\nallow := false", &["allow is not true"]),
        ("package p\nallow if { false }", &["allow is not true"]),
        ("package p\nallow := \"true\"", &["allow is not true"]),
        ("package p\nallow := true\ndeny := {\"x\"}", &["x"]),
        ("package p\nallow := true\ndeny := null", &["null"]),
    ] {
        assert_eq!(decide(&sandbox, policy, &[]), denied(messages), "{policy}");
    }
}

#[test]
fn json_has_the_decision_and_its_reasons() {
    let sandbox = image(&["one"]);
    let decide = |policy: &str| {
        sandbox.write("p.rego", policy);
        sandbox.run(["policy", "--json", "meta.iso", "--policy", "p.rego"])
    };
    let allowed = "{\n  \"path\": \"meta.iso\",\n  \"allowed\": true,\n  \"denials\": []\n}\n";
    let ran = decide("package p\nallow := true");
    assert_eq!(ran, Ran { status: Some(0), stdout: allowed.to_owned(), stderr: String::new() });
    let why = "refusing \"meta.iso\": the policy denies the boot";
    let denied = format!(
        "{{\n  \"path\": \"meta.iso\",\n  \"allowed\": false,\n  \"denials\": [\n    \"no\"\n  ],\n  \
         \"error\": {why:?}\n}}\n"
    );
    let stderr = format!("metadata: denied: no\nmetadata: {why}\n");
    let ran = decide("package p\ndeny := \"no\"");
    assert_eq!(ran, Ran { status: Some(1), stdout: denied, stderr });
}

#[test]
fn a_policy_that_fails_denies() {
    let sandbox = image(&["one"]);
    for (policy, why) in [
        ("", "reading policy \"p.rego\": p.rego:1:1: expecting `package` Missing package declaration."),
        ("package p\nallow if {", "reading policy \"p.rego\": p.rego:2:11: expecting expression"),
        ("package p\n", "the policy defines none of the rules allow, deny and sample"),
        ("package p\npermit := true", "the policy defines none of the rules allow, deny and sample"),
        // Names of rules are ASCII: a letter that only looks like one is an error.
        (
            "package p\nallow := true\nd\u{435}ny := true",
            "reading policy \"p.rego\": p.rego:3:2: invalid character",
        ),
        ("package p\nallow := to_number(\"x\") == 1", "p.rego:2:21: could not parse string as number"),
        (
            "package p\nallow := true\nsample := to_number(\"x\")",
            "p.rego:3:22: could not parse string as number",
        ),
        (
            "package p\nallow if exec({\"command\": [\"/bin/true\"]})",
            "p.rego:2:14: could not find function exec",
        ),
        (
            "package p\nallow if not exec({\"command\": [\"/bin/true\"]})",
            "p.rego:2:18: could not find function exec",
        ),
        (
            "package p\nallow if http.send({\"url\": \"http://127.0.0.1\"})",
            "p.rego:2:19: could not find function http.send",
        ),
        // What version 0 would take for `allow` and a rule `if`.
        (
            "package p\nallow if { false }\nx { true }",
            "reading policy \"p.rego\": p.rego:3:3: `if` keyword is required before rule body",
        ),
        (
            "package p\nallow := true in {false}\nx { true }",
            "reading policy \"p.rego\": p.rego:3:3: `if` keyword is required before rule body",
        ),
        (
            "package p\nallow := true\ndeny contains \"no\" if { true }\nx { true }",
            "reading policy \"p.rego\": p.rego:4:3: `if` keyword is required before rule body",
        ),
    ] {
        assert_eq!(decide(&sandbox, policy, &[]), broken(why), "{policy}");
    }
    assert_eq!(
        sandbox.run(["policy", "meta.iso", "--policy", "none.rego"]),
        failed(1, "reading policy \"none.rego\": No such file or directory (os error 2)")
    );
    sandbox.write("large.rego", " ".repeat((1 << 20) + 1));
    assert_eq!(
        sandbox.run(["policy", "meta.iso", "--policy", "large.rego"]),
        failed(1, "reading policy \"large.rego\": the file is larger than 1048576 bytes")
    );
}

#[test]
fn a_policy_is_logged_when_it_asks_for_that_in_the_shape_of_the_reference() {
    let sandbox = image(&["deploy-metadata"]);
    let body = "package spacelift\nsample { true }\n";
    let Ran { status, stderr, .. } = decide(&sandbox, body, &[]);
    assert_eq!(status, Some(0), "{stderr}");
    let lines: Vec<_> = stderr.lines().collect();
    assert_eq!(lines[1..], ["metadata: meta.iso: allowed"]);
    let mut line: Value = serde_json::from_str(lines[0]).unwrap();
    let input: Value =
        serde_json::from_slice(&sandbox.succeed(["policy", "meta.iso", "--print-input"])).unwrap();
    let ts = line["ts"].take().as_str().unwrap().to_owned();
    assert!(ts.len() == "2021-09-02T13:17:37.785219048Z".len() && ts.ends_with('Z'), "{ts}");
    let caller = line["caller"].take().as_str().unwrap().to_owned();
    assert!(caller.starts_with("policy.rs:"), "{caller}");
    let id = input["run"]["id"].as_str().unwrap();
    assert_eq!(
        line,
        json!({
            "caller": null,
            "level": "info",
            "msg": format!("Sample 0/INITIALIZATION/{id}/allow"),
            "sample": {
                "body": body,
                "input": input,
                "outcome": "allow",
                "results": { "deny": [], "sample": true },
                "error": "",
            },
            "ts": null,
        })
    );
    let Ran { status, stderr, .. } =
        decide(&sandbox, "package p\nsample := true\nallow if to_number(\"x\") == 1", &[]);
    let line: Value = serde_json::from_str(stderr.lines().next().unwrap()).unwrap();
    assert_eq!(status, Some(1));
    assert_eq!(line["sample"]["error"], "p.rego:3:21: could not parse string as number");
    assert_eq!(line["sample"]["outcome"], "deny");
}

#[test]
fn every_file_of_a_policy_counts() {
    let sandbox = image(&["one"]);
    sandbox.write("a/p.rego", "package a\nimport data.lib\nallow if lib.one");
    sandbox.write("b/p.rego", "package lib\none if input.run.user_provided_metadata[0] == \"one\"");
    sandbox.write("c/p.rego", "package c\ndeny[\"no\"] { true }");
    let files = ["--policy", "a/p.rego", "--policy", "b/p.rego"];
    let policy = [&["policy", "meta.iso"], &files[..]].concat();
    assert_eq!(sandbox.run(&policy), allowed());
    assert_eq!(sandbox.run([&policy[..], &["--policy", "c/p.rego"]].concat()), denied(&["no"]));
}

#[test]
fn an_image_that_is_not_what_its_manifest_says_is_refused_by_every_policy() {
    let sandbox = image(&["one"]);
    let mut bytes = sandbox.read("meta.iso");
    let at = bytes.windows(5).position(|bytes| bytes == b"\"web\"").unwrap();
    bytes[at + 1] = b'W';
    sandbox.write("meta.iso", bytes);
    let Ran { status, stderr, .. } = decide(&sandbox, "package p\nallow := true", &[]);
    assert_eq!(status, Some(1));
    assert!(
        stderr.starts_with("metadata: refusing \"meta.iso\": comparing the image with its manifest.json"),
        "{stderr}"
    );
}
