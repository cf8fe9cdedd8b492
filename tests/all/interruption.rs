//! What is left when the program cannot finish.

use std::{
    fs,
    io::Write,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use crate::support::{Ran, Sandbox, fat_boot_sector, noise};

/// The same command where the tests were started with signals ignored, as in the background of a script.
pub(crate) fn heeding_signals(command: &Command) -> Command {
    let mut env = Command::new("env");
    env.arg("--default-signal=HUP,INT,TERM").arg(command.get_program());
    env
}

/// Starts `metadata create` with a pipe as its data, and comes back when it waits for more of it.
fn start(sandbox: &Sandbox) -> Child {
    let mut child = heeding_signals(&Command::new(assert_cmd::cargo::cargo_bin!("metadata")))
        .current_dir(sandbox.path(""))
        .args(["create", "meta.iso", "--data-file", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.as_mut().unwrap().write_all(&noise(3_000_000)).unwrap();
    // It has taken all but what the pipe holds, so it is past the first MiB and writes to its temporary.
    child
}

fn signal(child: &Child, name: &str) {
    let status = Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

#[test]
fn a_signal_leaves_the_old_image_and_nothing_else() {
    for (name, number) in [("INT", 2), ("TERM", 15), ("HUP", 1)] {
        for old in [true, false] {
            let sandbox = Sandbox::new();
            if old {
                sandbox.write("meta.iso", fat_boot_sector());
            }
            let mut child = start(&sandbox);
            signal(&child, name);
            assert_eq!(child.wait().unwrap().signal(), Some(number));
            let expected: &[&str] = if old { &["meta.iso"] } else { &[] };
            assert_eq!(sandbox.names(), expected, "SIG{name}");
            if old {
                assert_eq!(sandbox.read("meta.iso"), fat_boot_sector());
            }
        }
    }
}

#[test]
fn even_when_killed_a_new_image_leaves_nothing() {
    let sandbox = Sandbox::new();
    let mut child = start(&sandbox);
    signal(&child, "KILL");
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    assert_eq!(sandbox.names(), [""; 0]);
}

#[test]
fn a_signal_that_was_ignored_stays_ignored() {
    let sandbox = Sandbox::new();
    sandbox.write("meta.iso", fat_boot_sector());
    let metadata = assert_cmd::cargo::cargo_bin!("metadata");
    let mut child = Command::new("sh")
        .current_dir(sandbox.path(""))
        .args(["-c", "trap '' HUP; exec \"$0\" create meta.iso --quiet --data-file -"])
        .arg(metadata)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.as_mut().unwrap().write_all(&noise(3_000_000)).unwrap();
    signal(&child, "HUP");
    drop(child.stdin.take());
    assert!(child.wait().unwrap().success());
    assert!(sandbox.succeed(["extract", "meta.iso", "config"]) == noise(3_000_000));
}

/// A file system of so many bytes, for as long as the value lives.
struct Tmpfs<'a>(&'a Path);

impl<'a> Tmpfs<'a> {
    fn mount(path: &'a Path, bytes: u32) -> Self {
        fs::create_dir(path).unwrap();
        let size = format!("size={bytes}");
        let status =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "none"]).arg(path).status().unwrap();
        assert!(status.success(), "mounting a tmpfs, which needs root");
        Self(path)
    }
}

impl Drop for Tmpfs<'_> {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(self.0).status());
    }
}

#[test]
#[ignore = "needs root to mount a tmpfs"]
fn a_full_disk_leaves_the_old_image_and_nothing_else() {
    let sandbox = Sandbox::new();
    sandbox.write("large", "x".repeat(3_000_000));
    let small = sandbox.path("small");
    let _mounted = Tmpfs::mount(&small, 2 << 20);
    fs::write(small.join("meta.iso"), fat_boot_sector()).unwrap();
    for image in ["small/meta.iso", "small/new.iso"] {
        for data in ["large", "-"] {
            let ran = sandbox.run_with_input(["create", image, "--data-file", data], "x".repeat(3_000_000));
            let doing = if data == "-" {
                "copying standard input to the image"
            } else {
                "copying data file \"large\" to the image"
            };
            let line = format!("building image {image:?}: {doing}: No space left on device (os error 28)");
            let expected =
                Ran { status: Some(1), stdout: String::new(), stderr: format!("metadata: {line}\n") };
            assert_eq!(ran, expected);
            assert_eq!(fs::read(small.join("meta.iso")).unwrap(), fat_boot_sector());
            assert_eq!(fs::read_dir(&small).unwrap().count(), 1);
        }
    }
    // Also where nothing is written but the head, which takes six pages without the system area.
    fs::write(small.join("filler"), noise((2 << 20) - (16 << 10))).unwrap();
    let ran = sandbox.run(["create", "small/new.iso", "hello"]);
    assert_eq!(ran.status, Some(1));
    assert!(
        ran.stderr.ends_with("writing the image: No space left on device (os error 28)\n"),
        "{}",
        ran.stderr
    );
    assert_eq!(fs::read_dir(&small).unwrap().count(), 2);
}

#[test]
#[ignore = "needs root to mount a tmpfs"]
fn a_full_disk_leaves_whole_images_of_a_batch_and_nothing_else() {
    let sandbox = Sandbox::new();
    let small = sandbox.path("small");
    let _mounted = Tmpfs::mount(&small, 2 << 20);
    let lines = (0..500)
        .map(|number| format!("{{\"image\": \"{number}\", \"data\": \"x\"}}\n"))
        .collect::<Vec<_>>()
        .concat();
    // The only error is part of the last line.
    for (arguments, end) in
        [(&["batch", "--into", "small"] as &[_], "; "), (&["batch", "--into", "small", "--keep-going"], "\n")]
    {
        let ran = sandbox.run_with_input(arguments, lines.clone());
        assert_eq!(ran.status, Some(1));
        let line = format!(": writing the image: No space left on device (os error 28){end}");
        assert!(ran.stderr.contains(&line), "{ran:?}");
        let images =
            fs::read_dir(&small).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let images: Vec<_> = images.collect();
        assert!((10..200).contains(&images.len()), "{images:?}");
        for image in images {
            assert!(image.parse::<u32>().is_ok(), "{image}");
            assert_eq!(sandbox.succeed(["extract", &format!("small/{image}"), "config"]), b"x", "{image}");
        }
    }
}

#[test]
fn a_file_that_changes_while_it_is_read_is_an_error() {
    let sandbox = Sandbox::new();
    let path = sandbox.write("data", "x".repeat(3_000_000));
    let fifo = sandbox.path("fifo");
    sandbox.tool("mkfifo", ["fifo"]);
    // The name of the FIFO comes first, so that the data file has been looked at, but not copied, while it is read.
    let child = Command::new(assert_cmd::cargo::cargo_bin!("metadata"))
        .current_dir(sandbox.path(""))
        .args(["create", "meta.iso", "--data-file", "data", "--file", "a=fifo"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut fifo = fs::OpenOptions::new().write(true).open(fifo).unwrap();
    fifo.write_all(&noise(2_000_000)).unwrap();
    // It has taken more than the MiB that it looks ahead, so it is copying.
    thread::sleep(Duration::from_millis(10));
    fs::OpenOptions::new().append(true).open(path).unwrap().write_all(b"more").unwrap();
    drop(fifo);
    let ran = Ran::from(child.wait_with_output().unwrap());
    let why = "copying data file \"data\" to the image: the file changed while it was being read";
    let line = format!("metadata: building image \"meta.iso\": {why}\n");
    assert_eq!(ran, Ran { status: Some(1), stdout: String::new(), stderr: line });
    assert_eq!(sandbox.names(), ["data", "fifo"]);
}
