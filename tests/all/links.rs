//! Nobody else's file: links that others plant, directories that they exchange, and what signals leave.

use std::{
    fs,
    io::Read,
    os::unix::{
        fs::{MetadataExt, PermissionsExt, symlink},
        process::ExitStatusExt,
    },
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use metadata_image::{
    image::{Image, probe},
    output::confined_dir::ConfinedDir,
    provider::{Provider, file::UserDataFile},
    userdata::pack::{pack, to_json},
};
use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::support::{Ran, Sandbox, failed};

const PROC: &str = "the path leads through a link in /proc (give the path that it leads to)";

fn metadata() -> Command {
    Command::new(assert_cmd::cargo::cargo_bin!("metadata"))
}

/// The names in a directory, sorted.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn temporaries(directory: &Path) -> Vec<String> {
    names(directory).into_iter().filter(|name| name.starts_with(".metadata-")).collect()
}

fn shell(sandbox: &Sandbox, script: &str) -> Ran {
    let mut command = Command::new("sh");
    command.current_dir(sandbox.path("")).args(["-c", script]).arg(metadata().get_program());
    Ran::from(command.output().unwrap())
}

#[test]
fn links_in_proc_are_not_followed() {
    let sandbox = Sandbox::new();
    sandbox.write("target", "precious");
    sandbox.write("f", "{}");
    sandbox.succeed(["create", "meta.iso", "x"]);
    fs::create_dir(sandbox.path("empty")).unwrap();
    fs::copy(metadata().get_program(), sandbox.path("program")).unwrap();
    symlink("/proc/self/fd/3", sandbox.path("link")).unwrap();
    let all = sandbox.names();
    let id = std::process::id();
    let of_process = format!("exec \"$0\" create /proc/{id}/cwd/x x");
    for (script, line) in [
        (
            "exec \"$0\" create /dev/stdout x > target",
            "building image \"/dev/stdout\": the path leads through /proc (use '-' for standard output)"
                .to_owned(),
        ),
        (
            "exec \"$0\" create /proc/self/fd/1 x > target",
            "building image \"/proc/self/fd/1\": the path leads through /proc (use '-' for standard output)"
                .to_owned(),
        ),
        (
            "exec \"$0\" create /proc/self/fd/3 x 3<> target",
            format!("building image \"/proc/self/fd/3\": {PROC}"),
        ),
        ("exec \"$0\" create /dev/fd/3 x 3<> target", format!("building image \"/dev/fd/3\": {PROC}")),
        ("exec \"$0\" create link x 3<> target", format!("building image \"link\": {PROC}")),
        ("exec ./program create /proc/self/exe x", format!("building image \"/proc/self/exe\": {PROC}")),
        ("exec \"$0\" create /proc/self/cwd/x x", format!("building image \"/proc/self/cwd/x\": {PROC}")),
        (&of_process, format!("building image \"/proc/{id}/cwd/x\": {PROC}")),
        (
            "exec \"$0\" confirm /dev/fd/3 --run-metadata x 3<> meta.iso",
            format!("confirming image \"/dev/fd/3\": {PROC}"),
        ),
        (
            "exec \"$0\" extract meta.iso --into /proc/self/cwd/y",
            format!("opening directory \"/proc/self/cwd/y\": {PROC}"),
        ),
        (
            "exec \"$0\" extract meta.iso --into /dev/fd/3 3< empty",
            format!("opening directory \"/dev/fd/3\": {PROC}"),
        ),
        ("exec \"$0\" apply f /proc/self/cwd/y", format!("opening directory \"/proc/self/cwd/y\": {PROC}")),
        (
            "exec \"$0\" batch /dev/null --into /proc/self/cwd/y",
            format!("opening directory \"/proc/self/cwd/y\": {PROC}"),
        ),
        (
            "exec \"$0\" agent --root /proc/self/cwd/y/z file=f",
            format!("opening directory \"/proc/self/cwd/y/z\": {PROC}"),
        ),
    ] {
        // What standard output is redirected to is emptied by the shell.
        sandbox.write("target", "precious");
        let ran = shell(&sandbox, script);
        assert_eq!(ran, failed(1, &line), "{script}");
        let expected: &[u8] =
            if script.ends_with("> target") && !script.contains("<>") { b"" } else { b"precious" };
        assert_eq!(sandbox.read("target"), expected, "{script}");
        assert_eq!(sandbox.names(), all, "{script}");
    }
    assert!(sandbox.read("program") == fs::read(metadata().get_program()).unwrap());
}

#[test]
fn own_links_in_a_directory_for_all_are_followed() {
    let sandbox = Sandbox::new();
    let sticky = sandbox.path("sticky");
    fs::create_dir_all(sticky.join("images")).unwrap();
    fs::set_permissions(&sticky, fs::Permissions::from_mode(0o1777)).unwrap();
    symlink("../meta.iso", sticky.join("link")).unwrap();
    symlink("images", sticky.join("directory")).unwrap();
    for image in ["sticky/link", "sticky/directory/meta.iso"] {
        sandbox.succeed(["create", image, "x"]);
    }
    sandbox.succeed(["extract", "meta.iso", "--into", "sticky/directory/out"]);
    for path in ["meta.iso", "sticky/images/meta.iso", "sticky/images/out/config"] {
        assert!(fs::symlink_metadata(sandbox.path(path)).unwrap().is_file(), "{path}");
    }
    assert!(fs::symlink_metadata(sticky.join("link")).unwrap().is_symlink());
}

#[test]
fn a_directory_that_is_exchanged_when_it_was_made_is_not_changed() {
    let sandbox = Sandbox::on_tmpfs();
    let [outside, theirs] = ["outside", "theirs"].map(|name| sandbox.path(name));
    let [root, moved, secret] = ["root", "moved", "secret"].map(|name| theirs.join(name));
    sandbox.write("outside/key", "");
    sandbox.write("theirs/secret/key", "");
    for (path, mode) in [(&outside, 0o700), (&secret, 0o700), (&theirs, 0o777)] {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }
    let (turn, is_over) = (Mutex::new(()), AtomicBool::new(false));
    let check = |path: &Path| {
        let found = fs::metadata(path).map(|found| (found.mode() & 0o7777, names(path))).ok();
        if found != Some((0o700, vec!["key".to_owned()])) {
            is_over.store(true, Ordering::Relaxed);
            panic!("{path:?}: {found:?}");
        }
    };
    let (mut links, mut directories) = (0, 0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut is_link = false;
            while !is_over.load(Ordering::Relaxed) {
                let turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
                if !moved.exists() && fs::rename(&root, &moved).is_ok() {
                    is_link = !is_link;
                    drop(if is_link { symlink(&outside, &root) } else { fs::rename(&secret, &root) });
                }
                drop(turn);
            }
        });
        for _ in 0..3000 {
            if let Ok(directory) = ConfinedDir::open_or_create_all(&root.join("below"), 0o755) {
                drop(directory.write_file(b"file", 0o644, false, |_| Ok(())));
            }
            let turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
            links += u32::from(fs::remove_file(&root).is_ok());
            directories += u32::from(!secret.exists() && fs::rename(&root, &secret).is_ok());
            for path in [&root, &moved] {
                drop(fs::remove_dir_all(path));
            }
            drop(turn);
            check(&outside);
            check(&secret);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(links > 0 && directories > 0, "nothing was exchanged, so nothing was tested");
}

#[test]
fn an_image_that_is_exchanged_for_a_link_while_it_is_locked_gives_nothing_away() {
    let sandbox = Sandbox::new();
    sandbox.succeed(["create", "-q", "secret.iso", "secret"]);
    fs::create_dir(sandbox.path("theirs")).unwrap();
    sandbox.succeed(["create", "-q", "--mode", "0644", "theirs/meta.iso", "hello"]);
    // Whoever may read an image may lock it, and so decides when it is opened.
    let script = "echo locked; read line; ln -s ../secret.iso theirs/link; mv -T theirs/link theirs/meta.iso";
    let mut lock = Command::new("flock");
    lock.current_dir(sandbox.path("")).args(["-s", "theirs/meta.iso", "sh", "-c", script]);
    let mut lock = lock.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = [0; 7];
    lock.stdout.take().unwrap().read_exact(&mut said).unwrap();
    let mut confirm = metadata();
    confirm.current_dir(sandbox.path("")).args(["confirm", "-q", "theirs/meta.iso", "--run-metadata", "x"]);
    let confirm = confirm.spawn().unwrap();
    thread::sleep(Duration::from_millis(200));
    drop(lock.stdin.take());
    assert!(lock.wait().unwrap().success());
    assert!(confirm.wait_with_output().unwrap().status.success());
    // It is the image that the link leads to, where it is and for its owner only.
    let link = fs::symlink_metadata(sandbox.path("theirs/meta.iso")).unwrap();
    assert!(link.is_symlink() && names(&sandbox.path("theirs")) == ["meta.iso"]);
    assert_eq!(fs::metadata(sandbox.path("secret.iso")).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(sandbox.succeed(["extract", "secret.iso", "config"]), b"secret");
}

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

/// Commands that replace a file, and the directory that it is in.
fn replacing(sandbox: &Sandbox) -> [(&'static [&'static str], PathBuf); 4] {
    sandbox.write("data", "x");
    sandbox.write("lines", "{\"image\": \"image\", \"data\": \"x\"}\n");
    sandbox.succeed(["create", "image.iso", "x"]);
    let commands: [&[&str]; 4] = [
        &["create", "created/image", "x", "--quiet"],
        &["batch", "lines", "--into", "built", "--quiet"],
        &["extract", "image.iso", "--into", "extracted", "--force", "--quiet"],
        &["apply", "data", "applied"],
    ];
    fs::create_dir(sandbox.path("created")).unwrap();
    ["created", "built", "extracted", "applied"]
        .map(|name| sandbox.path(name))
        .into_iter()
        .zip(commands)
        .map(|(directory, command)| (command, directory))
        .collect::<Vec<_>>()
        .try_into()
        .unwrap()
}

fn run(command: &mut Command, sandbox: &Sandbox) -> Output {
    command.current_dir(sandbox.path("")).output().unwrap()
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

/// Tests that change owners, mounts or the system's settings.
mod as_root {
    use std::{os::unix::fs::lchown, sync::MutexGuard};

    use super::*;

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
                (
                    "../outside/image",
                    &["create", "sticky/link", "x"] as &[_],
                    "building image \"sticky/link\"",
                ),
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
                (
                    "../outside",
                    &["batch", "lines", "--into", "sticky/link"],
                    "opening directory \"sticky/link\"",
                ),
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
        let strace = [
            "strace",
            "-D",
            "-f",
            "-o",
            "trace",
            "-e",
            "inject=fchmod,fdatasync,syncfs:delay_enter=60000000",
        ];
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
}

/// Exchanges each two paths with one another as long as `run` takes.
fn while_exchanged<T>(pairs: &[(PathBuf, PathBuf)], run: impl FnOnce() -> T) -> T {
    struct SetOnDrop<'a>(&'a AtomicBool);

    impl Drop for SetOnDrop<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                for (one, other) in pairs {
                    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
                }
            }
        });
        let _set = SetOnDrop(&is_over);
        run()
    })
}

#[test]
fn a_link_that_takes_the_place_of_a_file_is_not_packed() {
    let sandbox = Sandbox::new();
    sandbox.write("d/file", "public");
    sandbox.write("d/below/key", "public");
    sandbox.write("secrets/key", "secret");
    sandbox.write("secrets/nameless", "secret");
    sandbox.write("secrets/below/key", "secret");
    symlink(sandbox.path("secrets/key"), sandbox.path("file link")).unwrap();
    symlink(sandbox.path("secrets"), sandbox.path("directory link")).unwrap();
    let pairs = [("d/file", "file link"), ("d/below", "directory link")]
        .map(|(one, other)| (sandbox.path(one), sandbox.path(other)));
    let (mut packed, mut refused) = (Vec::new(), Vec::new());
    while_exchanged(&pairs, || {
        for _ in 0..3000 {
            match pack(&sandbox.path("d"), false).unwrap() {
                Ok(tree) => packed.push(String::from_utf8(to_json(&tree).unwrap()).unwrap()),
                Err(faults) => refused.extend(faults),
            }
        }
    });
    assert!(!packed.is_empty() && !refused.is_empty(), "nothing was exchanged, so nothing was tested");
    assert!(packed.iter().all(|json| !json.contains("secret")));
    // What a directory of others has is not told either.
    assert!(refused.iter().all(|fault| !fault.path.ends_with("nameless")), "{refused:?}");
}

#[test]
fn a_fifo_that_takes_the_place_of_a_file_is_not_waited_for() {
    let sandbox = Sandbox::new();
    sandbox.succeed(["create", "meta.iso", "hello"]);
    sandbox.tool("mkfifo", ["fifo"]);
    let [image, fifo] = ["meta.iso", "fifo"].map(|name| sandbox.path(name));
    let (send, receive) = mpsc::channel();
    let path = image.clone();
    // Not waited for, since it may never end.
    thread::spawn(move || {
        let provider = UserDataFile::new(path.clone());
        let (mut opened, mut refused) = (0, 0);
        for _ in 0..1000 {
            let all = [
                Image::open(&path).map(drop).map_err(root_cause),
                probe::open_regular(&path).map(drop).map_err(|error| error.to_string()),
                provider
                    .fetch(Instant::now(), &mut |_, _| {})
                    .map(|found| assert_eq!(found.unwrap().userdata.as_deref(), Some(&b"hello"[..])))
                    .map_err(root_cause),
            ];
            for found in all {
                match found {
                    Ok(()) => opened += 1,
                    Err(error) => {
                        assert!(error.starts_with("not a regular file"), "{error}");
                        refused += 1;
                    }
                }
            }
        }
        send.send((opened, refused)).unwrap();
    });
    let ended = while_exchanged(&[(image, fifo)], || receive.recv_timeout(Duration::from_secs(60)));
    let (opened, refused) = ended.expect("a FIFO was waited for");
    assert!(opened > 0 && refused > 0, "nothing was exchanged, so nothing was tested");
}

/// The last of the causes of an error.
fn root_cause(error: impl Into<metadata_image::Error>) -> String {
    let error = error.into();
    let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
    causes.last().unwrap().to_string()
}
