//! `metadata diff`.

use std::{fs, os::unix::fs::symlink};

use serde_json::Value;

use crate::support::{Ran, Sandbox, with_root};

/// A sandbox with two images that differ in some ways.
fn with_images() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("a/user-data", "#cloud-config\n# \u{1b}[2J\npackages: [nginx]\n");
    sandbox.write("b/user-data", "#cloud-config\npackages: [vim]");
    sandbox.write("x", "same length");
    sandbox.write("y", "SAME LENGTH");
    let create = ["create", "--lenient", "--layout", "nocloud", "--instance-id", "i"];
    sandbox.succeed(
        [&create[..], &["--data-file", "a/user-data", "a.iso", "--file", "x=x", "--file", "d/a=x"]].concat(),
    );
    sandbox.succeed(
        [
            &create[..],
            &[
                "--data-file",
                "b/user-data",
                "b.iso",
                "--file",
                "x=y",
                "--file",
                "n\n=x",
                "--volume-id",
                "cidata",
            ],
        ]
        .concat(),
    );
    sandbox
}

fn different(stdout: &str) -> Ran {
    Ran { status: Some(1), stdout: stdout.to_owned(), stderr: String::new() }
}

#[test]
fn the_differences_between_two_images_are_listed() {
    let sandbox = with_images();
    let expected = "\
volume    CIDATA -> cidata
removed   d/
removed   d/a (11 bytes)
added     n\\n (11 bytes)
changed   user-data (39 -> 29 bytes)
changed   x
";
    assert_eq!(sandbox.run(["diff", "a.iso", "b.iso"]), different(expected));
    assert_eq!(sandbox.run(["diff", "-q", "a.iso", "b.iso"]), different(""));
    let same = Ran { status: Some(0), stdout: String::new(), stderr: String::new() };
    assert_eq!(sandbox.run(["diff", "a.iso", "a.iso"]), same);
}

#[test]
fn changed_lines_are_shown_with_control_characters_escaped() {
    let sandbox = with_images();
    let ran = sandbox.run(["diff", "--text", "a.iso", "b.iso"]);
    let lines = "\
changed   user-data (39 -> 29 bytes)
--- a.iso/user-data
+++ b.iso/user-data
@@ -1,3 +1,2 @@
 #cloud-config
-# \\u{1b}[2J
-packages: [nginx]
+packages: [vim]
\\ No newline at end of file
changed   x
--- a.iso/x
";
    assert!(ran.stdout.contains(lines), "{}", ran.stdout);
}

#[test]
fn json_has_what_differs() {
    let sandbox = with_images();
    let ran = sandbox.run(["diff", "--json", "--text", "a.iso", "b.iso"]);
    let found: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((ran.status, &found["same"]), (Some(1), &Value::Bool(false)));
    assert_eq!(found["volume"][0]["what"], "volume_identifier");
    let files = found["files"].as_array().unwrap();
    let changes: Vec<_> = files.iter().map(|file| (file["name"].as_str(), file["change"].as_str())).collect();
    let some = |name, change| (Some(name), Some(change));
    let expected = [
        some("d", "removed"),
        some("d/a", "removed"),
        some("n\n", "added"),
        some("user-data", "content"),
        some("x", "content"),
    ];
    assert_eq!(changes, expected);
    assert!(files[3]["text"].as_str().unwrap().contains("\n-packages: [nginx]\n"));
    assert_eq!(files[4]["a"]["sha256"].as_str().unwrap().len(), 64);
    let ran = sandbox.run(["diff", "--json", "a.iso", "a.iso"]);
    assert_eq!(ran.status, Some(0));
    assert_eq!(serde_json::from_str::<Value>(&ran.stdout).unwrap()["same"], true);
}

#[test]
fn a_directory_is_compared_by_names_and_bytes() {
    let sandbox = with_images();
    sandbox.write("seed/meta-data", "instance-id: \"i\"\n");
    sandbox.write("seed/d/a", "same length");
    sandbox.write("seed/x", "same length");
    symlink("../a/user-data", sandbox.path("seed/user-data")).unwrap();
    assert_eq!(sandbox.run(["diff", "seed", "a.iso"]).status, Some(0));
    assert_eq!(sandbox.run(["diff", "seed/", "seed"]).status, Some(0));
    sandbox.write("seed/x", "SAME LENGTH");
    sandbox.tool("mkfifo", ["seed/fifo"]);
    let expected = "added     fifo (other)\nchanged   x\n";
    assert_eq!(sandbox.run(["diff", "a.iso", "seed"]), different(expected));
}

#[test]
#[ignore = "needs genisoimage"]
fn images_of_other_programs_differ_in_modes_and_dates() {
    let sandbox = with_images();
    sandbox.write("seed/config", "hello");
    sandbox.tool("genisoimage", ["-quiet", "-V", "CIDATA", "-r", "-o", "g.iso", "seed"]);
    sandbox.succeed(["create", "m.iso", "hello"]);
    let ran = sandbox.run(["diff", "m.iso", "g.iso"]);
    let whats: Vec<_> = ran.stdout.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(whats, ["created", "modified", "mode"], "{}", ran.stdout);
    assert!(ran.stdout.ends_with("\nmode      config (mode 0400 -> 0444)\n"), "{}", ran.stdout);
}

#[test]
fn trouble_has_its_own_exit_status() {
    let sandbox = with_images();
    for arguments in [&["diff", "a.iso", "none"] as &[_], &["diff", "x", "a.iso"], &["diff", "a.iso"]] {
        let ran = sandbox.run(arguments);
        assert_eq!((ran.status, &*ran.stdout, ran.stderr.lines().count()), (Some(2), "", 1), "{arguments:?}");
    }
    let image = sandbox.read("a.iso");
    let len = fs::metadata(sandbox.path("a.iso")).unwrap().len();
    let beyond = with_root(image, &[("CONFIG".to_owned(), 20, u32::try_from(2 * len).unwrap())]);
    sandbox.write("beyond.iso", beyond);
    assert_eq!(sandbox.run(["diff", "beyond.iso", "beyond.iso"]).status, Some(2));
}
