//! Policies: what they see, what they say, and that nothing they do ends in being allowed.

use std::{
    fs::{self, Permissions},
    io::Write,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::support::{Ran, Sandbox, done, failed};

/// What a policy in `p.rego` makes of `meta.iso`.
fn decide(sandbox: &Sandbox, policy: &str, more: &[&str]) -> Ran {
    sandbox.write("p.rego", policy);
    sandbox.run([&["policy", "meta.iso", "--policy", "p.rego"], more].concat())
}

fn image(strings: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    let strings = strings.iter().flat_map(|string| ["--run-metadata", string]);
    let create = ["create", "--quiet", "meta.iso", r#"{"hostname":{"content":"web"}}"#];
    sandbox.succeed(create.into_iter().chain(strings));
    sandbox
}

fn allowed() -> Ran {
    done("metadata: meta.iso: allowed\n")
}

fn denied(messages: &[&str]) -> Ran {
    let lines = messages.iter().map(|message| format!("metadata: denied: {message}\n"));
    let stderr = lines.collect::<String>() + "metadata: refusing \"meta.iso\": the policy denies the boot\n";
    Ran { status: Some(1), stdout: String::new(), stderr }
}

fn broken(why: &str) -> Ran {
    failed(1, &format!("refusing \"meta.iso\": the policy failed, which denies the boot: {why}"))
}

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
fn what_only_looks_like_a_rule_denies() {
    let sandbox = image(&[]);
    for (policy, place, head, rule) in [
        // Functions.
        ("package p\nallow := true\ndeny(x) := true", "3:1", "deny(…)", "deny"),
        ("package p\nallow := true\n  deny(x) := \"no\"", "3:3", "deny(…)", "deny"),
        ("package p\nallow := true\n\tdeny(_) if true", "3:5", "deny(…)", "deny"),
        ("package p\nallow := true deny(1) := 2", "2:15", "deny(…)", "deny"),
        ("package p\nallow := true\ndeny() := true", "3:1", "deny(…)", "deny"),
        ("package p\nallow := true\ndefault deny(x) := true", "3:1", "deny(…)", "deny"),
        ("package p\nallow { true }\ndeny(x) = true { x }", "3:1", "deny(…)", "deny"),
        (
            "package p\nallow := true\nf(x) := 1 if { x } else := 2\ndeny(x) := 1 if { x } else := 2",
            "4:1",
            "deny(…)",
            "deny",
        ),
        ("package p\nallow := true\na.deny(x) := true", "3:1", "a.deny(…)", "deny"),
        ("package p\nallow := true\ndeny[x](y) := 1 if x := 1", "3:1", "deny[x](…)", "deny"),
        // Names below others.
        ("package p\nallow := true\na.deny contains \"no\"", "3:1", "a.deny", "deny"),
        ("package p\nallow := true\na[\"deny\"] contains \"no\"", "3:1", "a[\"deny\"]", "deny"),
        ("package p\nallow := true\na[\"de\\u006ey\"] := \"no\"", "3:1", "a[\"deny\"]", "deny"),
        ("package p\nallow := true\na[\"deny\"] if true", "3:1", "a[\"deny\"]", "deny"),
        ("package p\nallow { true }\na[\"deny\"] { true }", "3:1", "a[\"deny\"]", "deny"),
        ("package p\nallow { true }\na[\"deny\"] = \"no\" { true }", "3:1", "a[\"deny\"]", "deny"),
        ("package p\nallow { true }\na.deny { true }", "3:1", "a.deny", "deny"),
        ("package p\nallow := true\na[x].deny := 1 if x := 1", "3:1", "a[x].deny", "deny"),
        ("package p\nallow := true\na.deny[x] := 1 if x := 1", "3:1", "a.deny[x]", "deny"),
        ("package p\nallow := true\na.deny := \"x\" if { false } else := \"y\"", "3:1", "a.deny", "deny"),
        ("package p\nallow := true\ndefault a.b.allow := false", "3:1", "a.b.allow", "allow"),
        ("package p\nallow := true\na[\"ä\"].deny := 1", "3:1", "a[\"ä\"].deny", "deny"),
        ("package p\nallow := true\nlog.sample := true", "3:1", "log.sample", "sample"),
        // Names below the rule itself.
        ("package p\nallow := true\ndeny.b := 1", "3:1", "deny.b", "deny"),
        ("package p\nallow := true\ndeny[\"no\"] := \"x\"", "3:1", "deny[\"no\"]", "deny"),
        ("package p\nallow := true\ndeny[\"no\"] if true", "3:1", "deny[\"no\"]", "deny"),
        ("package p\nallow := true\ndeny[x][y] := 1 if { x := 1; y := 1 }", "3:1", "deny[x][y]", "deny"),
        ("package p\nallow := true\ndeny[x].y := 1 if x := 1", "3:1", "deny[x].y", "deny"),
        // Names with other letters.
        ("package p\nallow := true\nDeny contains \"no\"", "3:1", "Deny", "deny"),
        ("package p\nallow := true\na[\"deny \"] := \"no\"", "3:1", "a[\"deny \"]", "deny"),
        // Behind other things.
        ("package p\nallow := true\nx := `\n`\n  a.deny := 1", "5:3", "a.deny", "deny"),
        ("package p\nimport data.q as deny\nallow := true\na.deny := 1", "4:1", "a.deny", "deny"),
    ] {
        let ran = decide(&sandbox, policy, &[]);
        let why = format!(
            "reading policy \"p.rego\": p.rego:{place}: {head:?} looks like the rule {rule}, but is not evaluated as that rule: write {rule}, or rename it"
        );
        assert_eq!(ran, broken(&why), "{policy}");
    }
}

#[test]
fn a_package_that_is_named_like_a_rule_denies() {
    let sandbox = image(&[]);
    sandbox.write("allow.rego", "package b\nallow := true");
    for (package, name, rule) in [
        ("b.deny", "b.deny", "deny"),
        ("deny", "deny", "deny"),
        ("a[\"deny\"]", "a[\"deny\"]", "deny"),
        ("b.deny.c", "b.deny.c", "deny"),
        ("b.Allow", "b.Allow", "allow"),
        ("sample", "sample", "sample"),
    ] {
        sandbox.write("p.rego", format!("package {package}\nreasons contains \"no\"\nallow := true"));
        let ran = sandbox.run(["policy", "meta.iso", "--policy", "allow.rego", "--policy", "p.rego"]);
        let why = format!(
            "reading policy \"p.rego\": p.rego:1:1: the package {name:?} is named like the rule {rule}, but its rules are not evaluated as that rule: rename the package"
        );
        assert_eq!(ran, broken(&why), "{package}");
    }
}

#[test]
fn what_has_the_name_of_a_rule_and_is_not_one_is_allowed() {
    let sandbox = image(&["one"]);
    for policy in [
        "package p\nallow if {\n  x := {\"allow\": true}\n  x.allow\n}",
        "package p\nallow := true\n# deny(x) := 1\n   # a.deny contains \"no\"",
        "package p\nallow := true\nx := \"deny(x) := 1\"\ny := {\"deny\": [\"a.deny := 1\"]}",
        "package p\nx := `\ndeny(x) := 1\na.deny contains \"no\"\n  deny := true\n`\nallow := true",
        "package p\nallow if {\n  some deny in [1]\n  deny == 1\n}",
        "package p\nallow if {\n  some deny\n  input.run.user_provided_metadata[deny] == \"one\"\n}",
        "package p\nallow if {\n  deny := 1\n  deny == 1\n}",
        "package p\nallow if {\n  every deny in [1] { deny == 1 }\n}",
        "package p\nimport input.run as deny\nallow if deny.state == \"PREPARING\"",
        "package p\nimport input.run.sample\nallow := true",
        "package p\nf(deny) := deny\nallow if f(true)",
        "package p\nactions contains \"deny\"\nallow if \"deny\" in actions",
        "package p\nimport future.keywords.contains\nactions contains \"deny\" { true }\nallow { actions.deny }",
        "package p\nteams[name] := 1 if name := \"deny\"\nallow if teams.deny == 1",
        "package p\ndenied := true\nallow_all(x) := x\ndeny_list.a := 1\nallow := true",
        "package p\ndefault allow := false\nallow if { false } else := true",
        "package p\nallow := true\ndefault deny := false\ndefault sample := false",
        "package p\nallow := true\ndefault deny() := false",
        "package p\nallow := \"ä\" == \"\\u00e4\"\nx := \"dеny(x)\"",
        "package a.denied[\"allow it\"]\nallow := true",
    ] {
        assert_eq!(decide(&sandbox, policy, &[]), allowed(), "{policy}");
    }
    // Those that are evaluated.
    for (policy, messages) in [
        ("package p\nallow := true\ndeny[1] := \"a\"", &["a"][..]),
        ("package p\nallow := true\ndeny[x] := \"a\" if x := \"b\"", &["a"]),
        ("package p\nallow { true }\ndeny[x] { x := \"a\" }", &["a"]),
        ("package p\nallow { true }\ndeny[\"allow\"] { true }", &["allow"]),
        ("package p\nallow := true\n  deny contains \"a\"", &["a"]),
        ("package p\nallow := true deny := \"a\"", &["a"]),
        ("package p\nallow := true\ndefault deny := \"a\"", &["a"]),
        ("package p\nallow := true\ndeny := \"b\" if { false } else := \"a\"", &["a"]),
        ("package p\nimport data.q as deny\nallow := true\ndeny contains \"a\"", &["a"]),
    ] {
        assert_eq!(decide(&sandbox, policy, &[]), denied(messages), "{policy}");
    }
}

#[test]
fn two_files_of_one_package_are_refused() {
    let sandbox = image(&[]);
    sandbox.write("one.rego", "package p\nallow := false");
    sandbox.write("two.rego", "package p\nallow := true");
    let ran = sandbox.run(["policy", "meta.iso", "--policy", "one.rego", "--policy", "two.rego"]);
    let why = "two files have the package \"p\"; give each file its own\n";
    assert!(ran.status == Some(1) && ran.stderr.ends_with(why), "{ran:?}");
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
fn a_policy_that_takes_too_much_denies() {
    let sandbox = image(&["one"]);
    let brackets = format!("{}1{}", "[".repeat(30), "]".repeat(30));
    for policy in [
        "allow if count(numbers.range(0, 100000000)) > 0".to_owned(),
        "allow if count(numbers.range(0, 4000000000000000000)) > 0".to_owned(),
        "f(n) := f(n + 1)\nallow if f(1)".to_owned(),
        "allow if { some i in numbers.range(0, 3000); some j in numbers.range(0, 3000); i + j == -1 }"
            .to_owned(),
        "allow if sprintf(\"%1000000000d\", [1]) != \"\"".to_owned(),
        format!("allow if {{ x := {brackets}; true }}"),
        "allow := true\ndeny := [x | some i in numbers.range(0, 30000); x := sprintf(\"%060d\", [i])]"
            .to_owned(),
    ] {
        let Ran { status, stderr, .. } = decide(&sandbox, &format!("package p\n{policy}"), &[]);
        assert_eq!(status, Some(1), "{policy}: {stderr}");
        let is_limit = |why| stderr.contains(&format!("the policy failed, which denies the boot: {why}"));
        assert!(is_limit("the evaluation ") || is_limit("the results "), "{policy}: {stderr}");
    }
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
fn programs_run_only_where_that_is_allowed_and_only_so_long() {
    let sandbox = image(&["one"]);
    let run = |policy: &str| decide(&sandbox, &format!("package p\n{policy}"), &["--allow-exec"]);
    let cat = r#"allow if exec({"command": ["/bin/cat", "-"], "stdin": input.run.user_provided_metadata[0]}) ==
        {"status": 0, "stdout": "one", "stderr": ""}"#;
    assert_eq!(run(cat), allowed());
    let shell = |script: &str| format!(r#"exec({{"command": ["/bin/sh", "-c", {}]}})"#, json!(script));
    assert_eq!(run(&format!("allow if {}.status == 3", shell("exit 3"))), allowed());
    assert_eq!(run(&format!("allow if {}.stderr == \"x\\n\"", shell("echo x >&2"))), allowed());
    assert_eq!(
        run(&format!(
            "allow if {}.stdout == \"\"",
            shell("env | grep -v ^PWD= | grep -v ^_=; ulimit -v | grep -v unlimited")
        )),
        allowed()
    );
    let running = |program: &str, why: &str| broken(&format!("p.rego:2:14: running {program:?}: {why}"));
    assert_eq!(
        run(&format!("allow if {}.status == 0", shell("kill -9 $$"))),
        running("/bin/sh", "the program was ended by signal: 9 (SIGKILL)")
    );
    assert_eq!(
        run(&format!("allow if {}.status == 0", shell("head -c 1048577 /dev/zero"))),
        running("/bin/sh", "the program wrote more than 1048576 bytes")
    );
    assert_eq!(
        run(r#"allow if exec({"command": ["/nothing"]}).status == 0"#),
        running("/nothing", "No such file or directory (os error 2)")
    );
    let what = |call: &str, why: &str| {
        let Ran { status, stderr, .. } = run(&format!("allow if {call}"));
        assert!(status == Some(1) && stderr.contains(why), "{call}: {stderr}");
    };
    what(r#"exec({"command": ["true"]})"#, "\"true\" is not an absolute path");
    what(r#"exec({"command": []})"#, "the command of exec is empty");
    what(r#"exec({"command": ["/bin/true"], "shell": true})"#, "unknown field");
    what(r#"exec("true")"#, "reading the argument of exec");
    what(r#"not exec({"command": ["/nothing"]})"#, "No such file or directory");
    what(r"exec(1, 2)", "incorrect number of parameters");
    assert_eq!(sandbox.run(["policy", "meta.iso", "--print-input", "--allow-exec"]).status, Some(2));
}

/// A script that leaves a process in a session of its own, whose parent has ended, and then does `then`. The process writes
/// `marker` after some seconds.
fn daemon(sandbox: &Sandbox, seconds: u32, then: &str) -> String {
    let [pid, marker] = ["pid", "marker"].map(|name| sandbox.path(name).display().to_string());
    let started = format!("echo $$ > {pid}; sleep {seconds}; touch {marker}");
    let script = format!(
        "(setsid sh -c '{started}' </dev/null >/dev/null 2>&1 &); while [ ! -s {pid} ]; do sleep 0.01; done; {then}"
    );
    format!(r#"exec({{"command": ["/bin/sh", "-c", {}]}})"#, json!(script))
}

/// The processes that were started in the directory of a sandbox.
fn processes(sandbox: &Sandbox) -> Vec<String> {
    let directory = sandbox.path("").canonicalize().unwrap();
    let entries = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let there = entries.filter(|path| fs::read_link(path.join("cwd")).is_ok_and(|cwd| cwd == directory));
    there.map(|path| fs::read_to_string(path.join("cmdline")).unwrap_or_default()).collect()
}

/// Nothing is left of a policy that has run [`daemon`], and nothing comes of it.
fn nothing_is_left(sandbox: &Sandbox) {
    assert_eq!(processes(sandbox), Vec::<String>::new());
    assert!(!sandbox.read("pid").is_empty(), "it was started");
    thread::sleep(Duration::from_millis(2500));
    assert!(!sandbox.path("marker").exists());
}

#[test]
fn nothing_that_a_program_has_started_outlives_it() {
    let sandbox = image(&["one"]);
    let run = |policy: &str| decide(&sandbox, &format!("package p\n{policy}"), &["--allow-exec"]);
    let leaves = daemon(&sandbox, 2, "exit 0");
    // It is gone before the next program is run.
    let looks = format!(
        r#"exec({{"command": ["/bin/sh", "-c", "kill -0 $(cat {}) 2>&1; exit 0"]}})"#,
        sandbox.path("pid").display()
    );
    assert_eq!(
        run(&format!("allow if {{ {leaves}.status == 0; contains({looks}.stdout, \"No such process\") }}")),
        allowed()
    );
    nothing_is_left(&sandbox);
}

#[test]
fn nothing_of_an_evaluation_that_is_killed_outlives_it() {
    for (then, why) in [
        ("kill -9 $PPID; sleep 1000", "the evaluation did not finish: signal: 9 (SIGKILL)"),
        // A program that signals its process group ends itself.
        ("kill -9 0", "p.rego:2:14: running \"/bin/sh\": the program was ended by signal: 9 (SIGKILL)"),
    ] {
        let sandbox = image(&["one"]);
        let policy = format!("package p\nallow if {}.status == 0", daemon(&sandbox, 2, then));
        assert_eq!(decide(&sandbox, &policy, &["--allow-exec"]), broken(why));
        nothing_is_left(&sandbox);
    }
}

#[test]
fn nothing_of_an_evaluation_outlives_the_agent() {
    let sandbox = image(&["one"]);
    sandbox.write("p.rego", format!("package p\nallow if {}.status == 0", daemon(&sandbox, 2, "sleep 1000")));
    let mut agent = Command::new(assert_cmd::cargo::cargo_bin!("metadata"))
        .args(["policy", "meta.iso", "--policy", "p.rego", "--allow-exec"])
        .current_dir(sandbox.path(""))
        .spawn()
        .unwrap();
    let until = Instant::now() + Duration::from_secs(5);
    let started = || fs::read(sandbox.path("pid")).is_ok_and(|pid| !pid.is_empty());
    while !started() && Instant::now() < until {
        thread::sleep(Duration::from_millis(1));
    }
    assert!(processes(&sandbox).len() > 3, "{:?}", processes(&sandbox));
    agent.kill().unwrap();
    agent.wait().unwrap();
    let until = Instant::now() + Duration::from_secs(2);
    while !processes(&sandbox).is_empty() && Instant::now() < until {
        thread::sleep(Duration::from_millis(1));
    }
    nothing_is_left(&sandbox);
}

#[test]
fn a_program_that_starts_itself_again_and_again_is_ended() {
    let sandbox = image(&["one"]);
    let pid = sandbox.path("pid");
    let chain = sandbox.write("chain", format!("echo $$ >> {}\nsetsid sh \"$0\" &\n", pid.display()));
    let script = format!("sh {} >/dev/null 2>&1 </dev/null; sleep 0.1", chain.display());
    let policy = format!(
        "package p\nallow if exec({{\"command\": [\"/bin/sh\", \"-c\", {}]}}).status == 0",
        json!(script)
    );
    assert_eq!(decide(&sandbox, &policy, &["--allow-exec"]), allowed());
    nothing_is_left(&sandbox);
}

#[test]
#[ignore = "takes 15 seconds"]
fn nothing_of_a_program_outlives_its_time() {
    let sandbox = image(&["one"]);
    let policy = format!("package p\nallow if {}", daemon(&sandbox, 11, "sleep 1000"));
    let Ran { status, stderr, .. } = decide(&sandbox, &policy, &["--allow-exec"]);
    assert_eq!(status, Some(1));
    assert!(stderr.contains("running \"/bin/sh\": the program took more than 10 seconds"), "{stderr}");
    nothing_is_left(&sandbox);
}

#[test]
#[ignore = "takes 45 seconds"]
fn nothing_outlives_a_supervisor_that_was_stopped() {
    let sandbox = image(&["one"]);
    let supervisor = "$(cut -d ' ' -f 4 /proc/$PPID/stat)";
    let stops = format!("kill -STOP {supervisor} $PPID; sleep 1000");
    let policy = format!("package p\nallow if {}.status == 0", daemon(&sandbox, 2, &stops));
    let ran = decide(&sandbox, &policy, &["--allow-exec"]);
    assert_eq!(ran, broken("the evaluation took more than 30 seconds"));
    assert_eq!(processes(&sandbox), Vec::<String>::new());
}

#[test]
fn the_program_that_evaluates_is_this_one_whatever_is_at_its_path() {
    let sandbox = image(&["one"]);
    let answer = r#"{"rules":[["allow",{"value":true}]],"error":null}"#;
    let planted = format!("#!/bin/sh\nread request\necho '{answer}'\n");
    for at in ["program (deleted)", "program"] {
        let program = sandbox.path("program");
        fs::copy(assert_cmd::cargo::cargo_bin!("metadata"), &program).unwrap();
        let mut agent = Command::new(&program)
            .args(["policy", "meta.iso", "--policy", "/dev/stdin"])
            .current_dir(sandbox.path(""))
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        fs::remove_file(&program).unwrap();
        let planted = sandbox.write(at, &planted);
        fs::set_permissions(&planted, Permissions::from_mode(0o755)).unwrap();
        agent.stdin.take().unwrap().write_all(b"package p\nallow := false").unwrap();
        let ran = Ran::from(agent.wait_with_output().unwrap());
        assert_eq!(ran, denied(&["allow is not true"]), "{at}");
        fs::remove_file(&planted).unwrap();
    }
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

/// The policies in `testdata/policies`, which docs/trust.md describes.
fn example(sandbox: &Sandbox, name: &str, trusted: bool) -> Ran {
    let path = format!("{}/testdata/policies/{name}.rego", env!("CARGO_MANIFEST_DIR"));
    let signers = if trusted { &["--allowed-signers", "allowed"][..] } else { &[] };
    let mut ran = sandbox.run([&["policy", "meta.iso", "--policy", &path], signers].concat());
    ran.stderr = ran.stderr.split_inclusive('\n').filter(|line| !line.starts_with('{')).collect();
    ran
}

fn write_key(sandbox: &Sandbox, identity: &str) {
    let key = ssh_key::PrivateKey::from(ssh_key::private::Ed25519Keypair::from_seed(&[1; 32]));
    sandbox.write("key", key.to_openssh(ssh_key::LineEnding::LF).unwrap().as_bytes());
    sandbox.write("allowed", format!("{identity} {}\n", key.public_key().to_openssh().unwrap()));
}

/// What the examples say, but for the line about who signed.
fn after_signer(ran: Ran) -> Ran {
    let stderr = ran.stderr.split_inclusive('\n').filter(|line| !line.contains(": signed by "));
    Ran { stderr: stderr.collect(), ..ran }
}

#[test]
fn the_example_for_signed_runs_allows_the_release_team_only() {
    let sandbox = image(&["deploy"]);
    write_key(&sandbox, "release@example.com");
    assert_eq!(example(&sandbox, "signed", false), denied(&["allow is not true"]), "no signature");
    assert_eq!(
        example(&sandbox, "signed", true),
        failed(1, "refusing \"meta.iso\": the image is not signed: manifest.json.sig is missing")
    );
    sandbox.succeed(["sign", "--quiet", "meta.iso", "--key", "key"]);
    assert_eq!(
        example(&sandbox, "signed", false),
        denied(&["allow is not true"]),
        "nobody checked the signature"
    );
    assert_eq!(after_signer(example(&sandbox, "signed", true)), allowed());
    write_key(&sandbox, "intern@example.com");
    assert_eq!(after_signer(example(&sandbox, "signed", true)), denied(&["allow is not true"]));
}

#[test]
fn the_example_for_approvals_asks_for_two_teams_and_a_signature() {
    let sandbox = image(&["deploy", "approved by release"]);
    write_key(&sandbox, "release@example.com");
    let sign = || sandbox.succeed(["sign", "--quiet", "meta.iso", "--key", "key"]);
    let confirm = |string| sandbox.succeed(["confirm", "--quiet", "meta.iso", "--run-metadata", string]);
    let decided = || after_signer(example(&sandbox, "approvals", true));
    sign();
    assert_eq!(decided(), denied(&["allow is not true"]), "one");
    confirm("approved by release");
    sign();
    assert_eq!(decided(), denied(&["allow is not true"]), "the same one twice");
    confirm("approved by interns");
    sign();
    assert_eq!(decided(), denied(&["allow is not true"]), "one that may not");
    confirm("approved by security");
    assert_eq!(example(&sandbox, "approvals", false), denied(&["allow is not true"]), "nobody signed it");
    sign();
    assert_eq!(decided(), allowed());
}

#[test]
fn a_policy_that_only_denies_allows_what_has_no_metadata() {
    let deny = "package p\ndeny contains \"bad token\" if {
        token := input.run.user_provided_metadata[0]
        not endswith(token, input.static_run_environment.host_name)
    }";
    assert_eq!(decide(&image(&["token web"]), deny, &[]), allowed());
    assert_eq!(decide(&image(&["token db"]), deny, &[]), denied(&["bad token"]));
    assert_eq!(decide(&image(&[]), deny, &[]), allowed(), "it fails open");
    let allow = "package p\ndefault allow := false\nallow if {
        endswith(input.run.user_provided_metadata[0], input.static_run_environment.host_name)
    }";
    assert_eq!(decide(&image(&["token web"]), allow, &[]), allowed());
    assert_eq!(decide(&image(&["token db"]), allow, &[]), denied(&["allow is not true"]));
    assert_eq!(decide(&image(&[]), allow, &[]), denied(&["allow is not true"]));
}
