//! Time, memory and processes: what a policy may take, and that nothing of it is left.

use std::{
    fs::{self, Permissions},
    io::Write,
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use super::{allowed, broken, decide, denied, image};

use crate::support::{Ran, Sandbox, copy_program};

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
        copy_program(&program);
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
