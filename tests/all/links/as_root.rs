//! Tests that change owners, mounts or the system's settings.

use std::{
    fs,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, lchown, symlink},
        process::ExitStatusExt,
    },
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use super::{metadata, names, replacing, temporaries};

use crate::support::{Ran, Sandbox, failed};

const ANOTHER: u32 = 1234;

const SETTING: &str = "/proc/sys/fs/protected_symlinks";

/// What the system does about links by itself, changed by one test at a time and as before when the value is gone.
struct Protection {
    before: String,
    _turn: MutexGuard<'static, ()>,
}

impl Protection {
    fn new() -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        Self { before: fs::read_to_string(SETTING).unwrap(), _turn: turn }
    }

    fn set(value: &str) {
        fs::write(SETTING, value).expect("setting fs.protected_symlinks, which needs root");
    }
}

impl Drop for Protection {
    fn drop(&mut self) {
        drop(fs::write(SETTING, &self.before));
    }
}

/// A directory for all, of that user, with a link of another user.
fn plant(path: &Path, mode: u32, owner: u32, target: &str, owner_of_link: u32) {
    drop(fs::remove_dir_all(path));
    fs::create_dir(path).unwrap();
    symlink(target, path.join("link")).unwrap();
    lchown(path.join("link"), Some(owner_of_link), None).unwrap();
    lchown(path, Some(owner), None).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
#[ignore = "needs root to give files to other users"]
fn links_of_others_in_a_directory_for_all_are_not_followed() {
    let sandbox = Sandbox::new();
    let sticky = sandbox.path("sticky");
    sandbox.write("outside/image", "precious");
    sandbox.write("lines", "{\"image\": \"image\", \"data\": \"x\"}\n");
    sandbox.write("data", "x");
    sandbox.succeed(["create", "image.iso", "x"]);
    let _protection = Protection::new();
    for value in ["0", "1"] {
        Protection::set(value);
        let why = "\"sticky/link\" is another user's symbolic link in a directory that everybody may write to \
                   (give the path that it leads to, or remove it)";
        for (target, arguments, doing) in [
            ("../outside/image", &["create", "sticky/link", "x"] as &[_], "building image \"sticky/link\""),
            ("../outside/absent", &["create", "sticky/link", "x"], "building image \"sticky/link\""),
            ("../outside", &["create", "sticky/link/image", "x"], "building image \"sticky/link/image\""),
            (
                "../image.iso",
                &["confirm", "sticky/link", "--run-metadata", "x"],
                "confirming image \"sticky/link\"",
            ),
            (
                "../outside",
                &["extract", "image.iso", "--into", "sticky/link"],
                "opening directory \"sticky/link\"",
            ),
            (
                "../outside",
                &["extract", "image.iso", "--into", "sticky/link/x"],
                "opening directory \"sticky/link/x\"",
            ),
            ("../outside", &["apply", "data", "sticky/link"], "opening directory \"sticky/link\""),
            ("../outside", &["batch", "lines", "--into", "sticky/link"], "opening directory \"sticky/link\""),
            (
                "../outside",
                &["agent", "--root", "sticky/link/a/b", "file=data"],
                "opening directory \"sticky/link/a/b\"",
            ),
        ] {
            plant(&sticky, 0o1777, 0, target, ANOTHER);
            let image = sandbox.read("image.iso");
            assert_eq!(sandbox.run(arguments), failed(1, &format!("{doing}: {why}")), "{arguments:?}");
            assert_eq!(names(&sandbox.path("outside")), ["image"], "{arguments:?}");
            assert_eq!(sandbox.read("outside/image"), b"precious", "{arguments:?}");
            assert!(sandbox.read("image.iso") == image);
        }
    }
}

#[test]
#[ignore = "needs root to give files to other users"]
fn links_that_are_no_trap_are_followed() {
    let sandbox = Sandbox::new();
    let directory = sandbox.path("directory");
    let _protection = Protection::new();
    for value in ["0", "1"] {
        Protection::set(value);
        for (mode, owner, owner_of_link) in [
            (0o1777, 0, 0),
            (0o1777, ANOTHER, 0),
            (0o1777, ANOTHER, ANOTHER),
            (0o777, 0, ANOTHER),
            (0o1775, 0, ANOTHER),
        ] {
            for target in ["../image", "../absent"] {
                sandbox.write("image", "");
                plant(&directory, mode, owner, target, owner_of_link);
                sandbox.succeed(["create", "directory/link", "x"]);
                assert_eq!(sandbox.succeed(["extract", &target[3..], "config"]), b"x");
                fs::remove_file(sandbox.path(&target[3..])).unwrap();
            }
        }
    }
}

#[test]
#[ignore = "needs root to give files to other users"]
fn a_directory_that_others_own_gets_one_of_ours() {
    let sandbox = Sandbox::new();
    sandbox.write("data", "x");
    fs::create_dir(sandbox.path("theirs")).unwrap();
    lchown(sandbox.path("theirs"), Some(ANOTHER), None).unwrap();
    sandbox.succeed(["agent", "--root", "theirs/a/b", "file=data"]);
    for path in ["theirs/a", "theirs/a/b"] {
        let found = fs::metadata(sandbox.path(path)).unwrap();
        assert_eq!((found.uid(), found.mode() & 0o7777), (0, 0o755), "{path}");
    }
}

/// The program where there is no /proc, and so no file without a name.
fn without_proc(sandbox: &Sandbox, before: &[&str], arguments: &[&str]) -> Command {
    let mut command = Command::new("env");
    command.current_dir(sandbox.path("")).args(["--default-signal=HUP,INT,TERM"]).args(before);
    command.args([
        "unshare",
        "--mount",
        "sh",
        "-c",
        "umask 0377; mount -t tmpfs none /proc && exec \"$0\" \"$@\"",
    ]);
    command.arg(metadata().get_program()).args(arguments);
    command
}

/// Starts the program, and comes back when there is a temporary in the directory, which it does nothing with.
fn stopped_at_a_temporary(sandbox: &Sandbox, arguments: &[&str], directory: &Path) -> Child {
    // It is the child itself that is killed, not strace. With that umask the program corrects the mode of its temporary, by one of these calls.
    let strace =
        ["strace", "-D", "-f", "-o", "trace", "-e", "inject=fchmod,fdatasync,syncfs:delay_enter=60000000"];
    let mut child = without_proc(sandbox, &strace, arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while temporaries(directory).is_empty() || !hears_signals(&child) {
        assert_eq!(child.try_wait().unwrap(), None, "{arguments:?} ended without a temporary");
        thread::sleep(Duration::from_millis(1));
    }
    child
}

/// Whether the process has the thread that hears signals.
fn hears_signals(child: &Child) -> bool {
    let threads = fs::read_dir(format!("/proc/{}/task", child.id())).into_iter().flatten().flatten();
    let mut names = threads.map(|thread| fs::read_to_string(thread.path().join("comm")));
    names.any(|name| name.is_ok_and(|name| name == "signals\n"))
}

/// Ends what was stopped by a signal. The signal that it died of.
fn end(mut child: Child, signal: &str) -> Option<i32> {
    let kill = |signal: &str, id: &str| {
        assert!(Command::new("kill").args([signal, id]).status().unwrap().success());
    };
    let id = child.id().to_string();
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:\t")).unwrap();
    kill(signal, &id);
    // That thread is the last one to do anything.
    while hears_signals(&child) {
        thread::sleep(Duration::from_millis(1));
    }
    // It would tell of the end only when the call was to be let through.
    kill("-KILL", tracer);
    child.wait().unwrap().signal()
}

#[test]
#[ignore = "needs root to hide /proc, and strace"]
fn a_signal_removes_temporaries_where_files_need_names() {
    let sandbox = Sandbox::new();
    let agent: (&[_], _) = (&["agent", "--root", "agent", "file=data"], sandbox.path("agent"));
    for (arguments, directory) in replacing(&sandbox).into_iter().chain([agent]) {
        assert_eq!(sandbox.run(arguments).status, Some(0));
        let before = names(&directory);
        for (name, number) in [("-TERM", 15), ("-INT", 2), ("-HUP", 1)] {
            let child = stopped_at_a_temporary(&sandbox, arguments, &directory);
            assert_eq!(end(child, name), Some(number), "{arguments:?}");
            assert_eq!(names(&directory), before, "{arguments:?} {name}");
        }
    }
}

#[test]
#[ignore = "needs root to hide /proc, and strace"]
fn a_temporary_of_a_killed_run_is_removed_by_the_next_one() {
    let sandbox = Sandbox::new();
    for (arguments, directory) in replacing(&sandbox) {
        assert_eq!(sandbox.run(arguments).status, Some(0), "{arguments:?}");
        let before = names(&directory);
        for has_proc in [true, false] {
            let child = stopped_at_a_temporary(&sandbox, arguments, &directory);
            // Another run meanwhile leaves it alone.
            assert_eq!(sandbox.run(arguments).status, Some(0), "{arguments:?}");
            assert_eq!(temporaries(&directory).len(), 1, "{arguments:?}");
            assert_eq!(end(child, "-KILL"), Some(9), "{arguments:?}");
            assert_eq!(temporaries(&directory).len(), 1, "{arguments:?}");
            let next = if has_proc {
                sandbox.run(arguments)
            } else {
                Ran::from(without_proc(&sandbox, &[], arguments).output().unwrap())
            };
            assert_eq!(next.status, Some(0), "{next:?}");
            assert_eq!(names(&directory), before, "{arguments:?}");
        }
    }
}
