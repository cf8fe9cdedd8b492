//! What a run leaves that is killed or fails.

use std::{fs, os::unix::process::ExitStatusExt, process::Command};

use super::{metadata, names, replacing, run, shell, temporaries};

use crate::support::Sandbox;

#[test]
fn a_file_beyond_the_limit_of_the_process_is_an_error() {
    let sandbox = Sandbox::new();
    sandbox.write("data", format!("{{\"small\": {{\"content\": \"{}\"}}}}", " ".repeat(100_000)));
    fs::create_dir(sandbox.path("out")).unwrap();
    for (script, last) in [
        ("\"$0\" apply data out", "applying \"data\": 2 items were skipped"),
        ("\"$0\" agent --root out file=data", "applying FILE data: 2 items were skipped"),
    ] {
        let ran = shell(&sandbox, &format!("ulimit -f 1; exec {script}"));
        let lines: Vec<_> = ran
            .stderr
            .lines()
            .filter(|line| !line.contains(": FILE data: ") && !line.ends_with(" written"))
            .collect();
        let expected = [
            "metadata: skipping \"userdata\": File too large (os error 27)",
            "metadata: skipping \"small\": File too large (os error 27)",
            &format!("metadata: {last}"),
        ];
        assert_eq!((ran.status, &*lines), (Some(1), &expected[..]), "{script}");
        assert!(names(&sandbox.path("out")).iter().all(|name| name == "provider"), "{script}");
    }
}

#[test]
#[ignore = "needs strace"]
fn what_is_left_when_killed_before_a_rename_is_removed_by_the_next_run() {
    let sandbox = Sandbox::new();
    for (arguments, directory) in replacing(&sandbox) {
        assert_eq!(sandbox.run(arguments).status, Some(0), "{arguments:?}");
        let expected = names(&directory);
        for is_gone in [false, true] {
            let mut strace = Command::new("strace");
            strace.args(["-f", "-o", "trace", "-e", "inject=?rename,?renameat,?renameat2:signal=SIGKILL"]);
            let ended = run(strace.arg(metadata().get_program()).args(arguments), &sandbox);
            assert_eq!(ended.status.signal(), Some(9), "{arguments:?}: {ended:?}");
            assert_eq!(temporaries(&directory).len(), 1, "{arguments:?}");
            if is_gone {
                // What was to be replaced, so that nothing is replaced this time.
                for name in &expected {
                    fs::remove_file(directory.join(name)).unwrap();
                }
            }
            assert_eq!(sandbox.run(arguments).status, Some(0), "{arguments:?}");
            assert_eq!(names(&directory), expected, "{arguments:?}");
        }
    }
}
