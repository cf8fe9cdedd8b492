//! What is in the file of the image while it is written, and what the file system is asked for.

use std::{fs, os::unix::process::ExitStatusExt, process::Command};

use super::{Programs, habits::with_seed, write};

/// Runs our program so that a signal comes when it copies its second large file, and what follows takes seconds.
fn interrupted(programs: &Programs, signal: &str, image: &str) -> Option<i32> {
    for number in 0..8 {
        write(&programs.path(&format!("seed/large-{number}")), vec![b'x'; 3 << 20]);
    }
    let inject = format!("inject=copy_file_range:signal={signal}:when=2");
    let strace = Command::new("env")
        .current_dir(programs.path(""))
        .args([
            "--default-signal=INT,TERM",
            "strace",
            "-f",
            "-o",
            "/dev/null",
            "-e",
            "trace=copy_file_range,openat",
            "-e",
            &inject,
        ])
        .args(["-e", "inject=openat:delay_enter=100000", "ours/genisoimage"])
        .args(["-quiet", "-J", "-r", "-o", image, "seed"])
        .status();
    strace.unwrap().signal()
}

#[test]
#[ignore = "needs strace"]
fn a_signal_empties_the_old_image_and_removes_a_new_one() {
    let programs = with_seed();
    fs::write(programs.path("old"), vec![b'o'; 1 << 20]).unwrap();
    assert_eq!(interrupted(&programs, "TERM", "old"), Some(15));
    assert_eq!(programs.sandbox.read("old"), b"");
    assert_eq!(interrupted(&programs, "INT", "new"), Some(2));
    assert!(!programs.path("new").exists());
}

#[test]
#[ignore = "needs strace"]
fn what_is_left_after_a_kill_is_not_an_image() {
    let programs = with_seed();
    programs.succeed("genisoimage", ["-J", "-r", "-o", "old", "seed"]);
    assert_eq!(interrupted(&programs, "KILL", "old"), Some(9));
    let left = programs.sandbox.read("old");
    assert!(left.len() > 1 << 20, "it was killed after it had written {} bytes", left.len());
    assert!(left[..64 << 10].iter().all(|byte| *byte == 0));
    assert_eq!(programs.sandbox.run(["show", "old"]).status, Some(1));
}

#[test]
#[ignore = "needs strace"]
fn a_file_without_content_is_not_truncated() {
    let programs = with_seed();
    fs::write(programs.path("old"), "old").unwrap();
    let truncated = |image: &str| {
        let strace = Command::new("strace")
            .current_dir(programs.path(""))
            .args(["-f", "-o", "calls", "-e", "trace=ftruncate", "ours/genisoimage"])
            .args(["-quiet", "-J", "-r", "-o", image, "seed"])
            .status();
        assert!(strace.unwrap().success());
        let calls = String::from_utf8(programs.sandbox.read("calls")).unwrap();
        // The call may be shown in two lines.
        calls.lines().filter(|line| line.contains(", 0)") || line.contains(", 0 <unfinished")).count()
    };
    assert_eq!(truncated("new"), 0, "ext4 would flush it when it is closed");
    assert_eq!(truncated("old"), 1);
}
