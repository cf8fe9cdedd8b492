//! Which files a batch replaces, and that each is whole.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::{fs::symlink, process::ExitStatusExt},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use super::{files, lines};

use crate::{
    interruption::heeding_signals,
    support::{Sandbox, failed},
};

#[test]
fn old_images_are_replaced_as_a_whole() {
    let sandbox = Sandbox::on_tmpfs();
    let input = |data: &str| {
        let line = |number| format!("{{\"image\": \"{number}\", \"data\": \"{data}\"}}\n");
        (0..1500).map(line).collect::<Vec<_>>().concat()
    };
    sandbox.write("old", input("old"));
    sandbox.write("new", input("new"));
    sandbox.succeed(["batch", "old", "--into", "out"]);
    fs::hard_link(sandbox.path("out/7"), sandbox.path("kept")).unwrap();
    // With few open files the groups are small.
    let script = "ulimit -n 150; exec \"$0\" batch new --into out --sync";
    let metadata = assert_cmd::cargo::cargo_bin!("metadata").as_os_str().to_owned();
    sandbox.tool("bash", ["-c".as_ref(), script.as_ref(), &*metadata]);
    assert_eq!(sandbox.succeed(["extract", "kept", "config"]), b"old");
    for number in (0..1500).step_by(307) {
        assert_eq!(sandbox.succeed(["extract", &format!("out/{number}"), "config"]), b"new");
    }
    assert_eq!(files(&sandbox.path("out")).len(), 1500);
    sandbox.succeed(["batch", "old", "--into", "out"]);
    assert_eq!(sandbox.succeed(["extract", "out/1499", "config"]), b"old");
    assert_eq!(files(&sandbox.path("out")).len(), 1500);
}

#[test]
fn files_that_are_not_images_are_kept_unless_forced() {
    let sandbox = Sandbox::new();
    let input = "{\"image\": \"a\", \"data\": \"x\"}\n{\"image\": \"b.yaml\", \"data\": \"x\"}\n";
    sandbox.write("out/a", [0; 5000]);
    sandbox.write("out/b.yaml", "#cloud-config\n");
    let ran = sandbox.run_with_input(["batch", "--into", "out"], input);
    let line = "standard input: line 2: building image \"b.yaml\": the existing file is not an image (--force replaces it); \
                1 image built in \"out\"";
    assert_eq!(ran, failed(1, line));
    assert_eq!(sandbox.succeed(["extract", "out/a", "config"]), b"x");
    assert_eq!(sandbox.read("out/b.yaml"), b"#cloud-config\n");
    assert_eq!(sandbox.run_with_input(["batch", "--into", "out", "--force"], input).status, Some(0));
    assert_eq!(sandbox.succeed(["extract", "out/b.yaml", "config"]), b"x");
}

#[test]
fn nothing_is_written_outside_of_the_directory() {
    let sandbox = Sandbox::new();
    sandbox.write("outside/file", "old");
    fs::create_dir(sandbox.path("out")).unwrap();
    fs::create_dir(sandbox.path("out/directory")).unwrap();
    symlink("../outside", sandbox.path("out/link")).unwrap();
    symlink("../outside/file", sandbox.path("out/image")).unwrap();
    symlink("../outside/absent", sandbox.path("out/dangling")).unwrap();
    sandbox.tool("mkfifo", ["out/fifo"]);
    sandbox.write("source", "hello");
    fs::hard_link(sandbox.path("source"), sandbox.path("out/source")).unwrap();
    let ran = sandbox.run_with_input(
        ["batch", "--into", "out", "--keep-going"],
        r#"{"image": "link/x", "data": "x"}
{"image": "image", "data": "x"}
{"image": "dangling", "data": "x"}
{"image": "directory", "data": "x"}
{"image": "fifo", "data": "x"}
{"image": "source", "data_file": "source"}
{"image": "link/y", "data": "x"}
"#,
    );
    assert_eq!(
        lines(&ran),
        [
            "metadata: line 1: building image \"link/x\": opening directory \"link\": is a symbolic link",
            "metadata: line 4: building image \"directory\": is a directory",
            "metadata: line 5: building image \"fifo\": not a regular file",
            "metadata: line 6: building image \"source\": the image is the same file as \"source\"",
            "metadata: line 7: building image \"link/y\": opening directory \"link\": is a symbolic link",
            "metadata: standard input: 5 lines failed; 2 images built in \"out\"",
        ]
    );
    assert_eq!(sandbox.read("outside/file"), b"old");
    assert_eq!(files(&sandbox.path("outside")), ["file"]);
    assert_eq!(files(&sandbox.path("out")), ["dangling", "fifo", "image", "link", "source"]);
    for image in ["out/image", "out/dangling"] {
        assert!(fs::symlink_metadata(sandbox.path(image)).unwrap().is_file());
    }
    assert_eq!(sandbox.read("source"), b"hello");
}

/// Starts a batch that has built the images 0 to 99 anew and hangs at the data of the next.
fn start(sandbox: &Sandbox) -> Child {
    sandbox.tool("mkfifo", ["fifo"]);
    let input = (0..100)
        .map(|number| format!("{{\"image\": \"{number}\", \"data\": \"x\"}}\n"))
        .collect::<Vec<_>>()
        .concat();
    let hang = "{\"image\": \"hang\", \"data_file\": \"fifo\"}\n";
    let after = (200..1500)
        .map(|number| format!("{{\"image\": \"{number}\", \"data\": \"x\"}}\n"))
        .collect::<Vec<_>>()
        .concat();
    sandbox.write("lines", [&input, hang, &after].concat());
    let mut child = heeding_signals(&Command::new(assert_cmd::cargo::cargo_bin!("metadata")))
        .current_dir(sandbox.path(""))
        .args(["batch", "lines", "--into", "out", "--json", "--jobs", "2"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut told = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    for _ in 0..96 {
        assert!(told.read_line(&mut line).unwrap() > 0);
    }
    child
}

#[test]
fn when_interrupted_images_are_whole_and_running_again_finishes() {
    for (name, number) in [("INT", 2), ("TERM", 15), ("KILL", 9)] {
        for old in [false, true] {
            let sandbox = Sandbox::on_tmpfs();
            if old {
                let input = (0..1600)
                    .map(|number| format!("{{\"image\": \"{number}\", \"data\": \"old\"}}\n"))
                    .collect::<Vec<_>>()
                    .concat();
                sandbox.run_with_input(["batch", "--into", "out"], input);
                // Those in front of the one that hangs are new.
                for number in 0..100 {
                    fs::remove_file(sandbox.path(format!("out/{number}"))).unwrap();
                }
            }
            let mut child = start(&sandbox);
            // Others wait to replace old ones.
            thread::sleep(Duration::from_millis(20));
            let status =
                Command::new("kill").args([format!("-{name}"), child.id().to_string()]).status().unwrap();
            assert!(status.success());
            assert_eq!(child.wait().unwrap().signal(), Some(number));
            let images = files(&sandbox.path("out"));
            assert!(images.iter().all(|image| image.parse::<u32>().is_ok()), "{images:?}");
            for image in images.iter().step_by(if old { 131 } else { 97 }) {
                let data = sandbox.succeed(["extract", &format!("out/{image}"), "config"]);
                assert!(data == b"x" || old && data == b"old", "{image}");
            }
            let writer = sandbox.path("fifo");
            let writer = thread::spawn(move || {
                fs::OpenOptions::new().write(true).open(writer).unwrap().write_all(b"hello").unwrap();
            });
            sandbox.succeed(["batch", "lines", "--into", "out"]);
            writer.join().unwrap();
            assert_eq!(sandbox.succeed(["extract", "out/hang", "config"]), b"hello");
            assert_eq!(sandbox.succeed(["extract", "out/1499", "config"]), b"x");
            assert_eq!(files(&sandbox.path("out")).len(), if old { 1601 } else { 1401 });
        }
    }
}
