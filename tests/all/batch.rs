use std::{
    fmt::Write as _,
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, symlink},
        process::ExitStatusExt,
    },
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use crate::{
    interruption::heeding_signals,
    support::{Ran, Sandbox, done, failed, noise},
};

/// The paths of all files beneath a directory, sorted.
fn files(directory: &Path) -> Vec<String> {
    fn walk(directory: &Path, above: &str, files: &mut Vec<String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{above}{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), &format!("{path}/"), files);
            } else {
                files.push(path);
            }
        }
    }
    let mut all = Vec::new();
    walk(directory, "", &mut all);
    all.sort();
    all
}

fn lines(ran: &Ran) -> Vec<&str> {
    ran.stderr.lines().collect()
}

#[expect(clippy::too_many_lines, reason = "a table")]
#[test]
fn every_option_makes_the_image_that_create_makes() {
    let sandbox = Sandbox::new();
    sandbox.write("small", noise(5000));
    sandbox.write("large", noise(5_000_000));
    sandbox.write("tree/ssh/sshd_config", "PermitRootLogin no\n");
    symlink("ssh", sandbox.path("tree/link")).unwrap();
    sandbox.write(
        "key.pub",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1LbhbqWSmmEFLOaGmtqPBJmcOQWWFCSwV1I0i3PlGV me@host\n",
    );
    sandbox.write("net", "version: 2\n");
    sandbox.write("meta", "instance-id: mine\n");
    let cases: [(&str, &[&str]); 20] = [
        (r#""data": "hello""#, &["hello"]),
        (r#""data": """#, &[""]),
        (r#""data": "\u00e9\u0000\n", "follow": false, "strict": null"#, &["--data-file", "special"]),
        (r#""data_file": "small""#, &["--data-file", "small"]),
        (r#""data_file": "large", "hostname": null"#, &["--data-file", "large"]),
        (r#""data_dir": "tree", "follow": true"#, &["--data-dir", "tree", "--follow"]),
        (
            r#""data": "x", "files": {"a/b": "small", "c": "large"}"#,
            &["x", "--file", "a/b=small", "--file", "c=large"],
        ),
        (
            r#""data": "x", "files": ["a/b=small", "c=large", "d=net"]"#,
            &["x", "--file", "a/b=small", "--file", "c=large", "--file", "d=net"],
        ),
        (r##""data": "#!", "layout": "nocloud""##, &["#!", "--layout", "nocloud"]),
        (
            r##""data": "#!", "layout": "nocloud", "hostname": "web", "ssh_keys": ["key.pub", "key.pub"]"##,
            &[
                "#!",
                "--layout",
                "nocloud",
                "--hostname",
                "web",
                "--ssh-key",
                "key.pub",
                "--ssh-key",
                "key.pub",
            ],
        ),
        (
            r#""data_file": "large", "layout": "nocloud", "hostname": "web""#,
            &["--data-file", "large", "--layout", "nocloud", "--hostname", "web"],
        ),
        (
            r##""data": "#!", "layout": "nocloud", "instance_id": "i-1", "network_config": "net""##,
            &["#!", "--layout", "nocloud", "--instance-id", "i-1", "--network-config", "net"],
        ),
        (
            r##""data": "#!", "layout": "nocloud", "meta_data": "meta", "vendor_data": "small""##,
            &["#!", "--layout", "nocloud", "--meta-data", "meta", "--vendor-data", "small"],
        ),
        (
            r##""data": "#!", "layout": "configdrive", "network_config": "net", "hostname": "h""##,
            &["#!", "--layout", "configdrive", "--network-config", "net", "--hostname", "h"],
        ),
        (r#""data": "x", "volume_id": "cidata""#, &["x", "--volume-id", "cidata"]),
        (r#""data": "x", "mode": "0640""#, &["x", "--mode", "0640"]),
        (
            r##""data": "#!", "layout": "nocloud", "run_metadata": ["a", "b"]"##,
            &["#!", "--layout", "nocloud", "--run-metadata", "a", "--run-metadata", "b"],
        ),
        (
            r##""data": "#?", "layout": "nocloud", "run_metadata": ["c"]"##,
            &["#?", "--layout", "nocloud", "--run-metadata", "c"],
        ),
        (
            r#""data_file": "large", "run_metadata": ["a"], "run_id": "r1""#,
            &["--data-file", "large", "--run-metadata", "a", "--run-id", "r1"],
        ),
        (r#""data": "x", "layout": "linuxkit", "strict": true"#, &["x", "--strict"]),
    ];
    sandbox.write("special", "\u{e9}\0\n");
    // Twice, so that the second of each is laid out with the help of the first.
    for copy in 0..2 {
        let input: Vec<_> = (0..)
            .zip(cases)
            .map(|(number, (fields, _))| format!("{{\"image\": \"{copy}/{number}.iso\", {fields}}}\n"))
            .collect();
        for jobs in ["1", "3"] {
            let into = format!("out-{jobs}");
            let mut command =
                sandbox.command(["batch", "--lenient", "--quiet", "--into", &into, "--jobs", jobs]);
            let output =
                command.env("SOURCE_DATE_EPOCH", "1700000000").write_stdin(input.concat()).output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    for (number, (fields, options)) in (0..).zip(cases) {
        let mut command = sandbox.command(
            [
                if options.contains(&"--strict") {
                    &["create", "meta.iso"] as &[_]
                } else {
                    &["create", "--lenient", "meta.iso"]
                },
                options,
            ]
            .concat(),
        );
        assert!(command.env("SOURCE_DATE_EPOCH", "1700000000").output().unwrap().status.success());
        for made in ["out-1/0", "out-1/1", "out-3/0", "out-3/1"] {
            let made = format!("{made}/{number}.iso");
            assert!(sandbox.read(&made) == sandbox.read("meta.iso"), "{made}: {fields}");
            let bits = |name: &str| fs::metadata(sandbox.path(name)).unwrap().permissions().mode();
            assert_eq!(bits(&made), bits("meta.iso"), "{made}: {fields}");
            let blocks = |name: &str| fs::metadata(sandbox.path(name)).unwrap().blocks();
            assert_eq!(blocks(&made), blocks("meta.iso"), "{made}: {fields}");
        }
    }
}

#[test]
fn many_lines_of_many_lengths_make_the_images_that_create_makes() {
    let sandbox = Sandbox::new();
    let data = |number: usize| String::from_utf8(vec![b'x'; number * 37 % 9000]).unwrap();
    let input = (0..400)
        .map(|number| {
            format!("{{\"image\":\"{number}\",\"layout\":\"nocloud\",\"data\":\"{}\"}}\n", data(number))
        })
        .collect::<Vec<_>>()
        .concat();
    sandbox.write("lines", input);
    assert_eq!(sandbox.run(["batch", "lines", "--into", "out", "--quiet", "--lenient"]).status, Some(0));
    assert_eq!(files(&sandbox.path("out")).len(), 400);
    for number in (0..400).step_by(23) {
        sandbox.write("data", data(number));
        sandbox.succeed(["create", "meta.iso", "--data-file", "data", "-l", "nocloud", "-q", "--lenient"]);
        assert!(sandbox.read(&format!("out/{number}")) == sandbox.read("meta.iso"), "{number}");
    }
}

#[test]
fn what_is_done_is_said_and_quiet_says_nothing() {
    let sandbox = Sandbox::new();
    sandbox
        .write("lines", "{\"image\": \"a\", \"data\": \"x\"}\r\n\n  \n{\"data\": \"y\", \"image\": \"b/c\"}");
    assert_eq!(sandbox.run(["batch", "lines", "--into", "out"]), done("metadata: out: 2 images\n"));
    assert_eq!(files(&sandbox.path("out")), ["a", "b/c"]);
    assert_eq!(sandbox.run(["batch", "lines", "--into", "out", "--quiet"]), done(""));
    let ran = sandbox.run_with_input(["batch", "-", "--into", "one"], "{\"image\": \"a\", \"data\": \"x\"}");
    assert_eq!(ran, done("metadata: one: 1 image\n"));
    assert_eq!(sandbox.run_with_input(["batch", "--into", "none"], ""), done("metadata: none: 0 images\n"));
    assert_eq!(files(&sandbox.path("none")), [""; 0]);
}

#[test]
fn faults_of_lines_are_found_before_an_image_is_built() {
    let sandbox = Sandbox::new();
    let long = format!(r#"{{"image": "a", "data": "{}"}}"#, "x".repeat(1 << 20));
    let faults = [
        ("{", "column 1: the line ends within the JSON object"),
        ("[]", "not a JSON object"),
        ("\u{feff}{}", "the line starts with a byte order mark"),
        (r#"{"data": "x"}"#, "the field \"image\" is missing: the path of the image"),
        (r#"{"image": "a"}"#, "data is missing: give one of data, user_data, data_dir and from"),
        (
            r#"{"image": "a", "data": "x", "data_file": "f"}"#,
            "give only one of data, data_file, user_data, data_dir and from",
        ),
        (r#"{"image": "b", "data": "x", "data": "y"}"#, "the field \"data\" is given twice"),
        (
            r#"{"image": "c", "data": "x", "hostnam": "h"}"#,
            "there is no field \"hostnam\"; did you mean \"hostname\"?",
        ),
        (r#"{"image": "d", "data": "x"} x"#, "column 29: not valid JSON: trailing characters"),
        (r#"{"image": "../d", "data": "x"}"#, "image \"../d\" has a component '.' or '..'"),
        (r#"{"image": "/d", "data": "x"}"#, "image \"/d\" is not relative"),
        (r#"{"image": "d/", "data": "x"}"#, "image \"d/\" has an empty component"),
        (r#"{"image": "", "data": "x"}"#, "image \"\" is empty"),
        (r#"{"image": "e\u0000", "data": "x"}"#, "image \"e\\0\" contains a NUL character"),
        (
            r#"{"image": "f", "data": "x", "hostname": "h"}"#,
            "hostname needs the layout nocloud or configdrive",
        ),
        (r#"{"image": "g", "data": "x", "mode": "888"}"#, "mode \"888\": not an octal number up to 0777"),
        (r#"{"image": "h", "data": "x", "mode": 420}"#, "the field \"mode\" must be a string, not a number"),
        (r#"{"image": "i", "data": "x", "files": {"a": "f", "a": "g"}}"#, "file name \"a\" is given twice"),
        (r#"{"image": "j", "data": "x", "files": ["a"]}"#, "column 42: file \"a\" is not NAME=PATH"),
        (r#"{"image": "k", "data_file": "-"}"#, "data file \"-\": a line cannot read standard input"),
    ];
    for (fault, said) in faults.into_iter().chain([
        (&*long, "the line is longer than 1048576 bytes; use data_file for large data"),
        (r#"{"image": "good", "data": "y"}"#, "image \"good\" is also the image of an earlier line"),
        (
            r#"{"image": "l", "data": "x", "layout": "x"}"#,
            "the field \"layout\" must be linuxkit, nocloud or configdrive",
        ),
        (r#"{"image": "m", "data": "x", "follow": true}"#, "follow needs data_dir"),
        (r#"{"image": "n", "data": "x", "run_id": "r"}"#, "run_id needs run_metadata"),
    ]) {
        let good = r#"{"image": "good", "data": "x"}"#;
        sandbox.write("lines", format!("\n{good}\n{fault}\n"));
        let expected = Ran {
            status: Some(1),
            stdout: String::new(),
            stderr: format!("metadata: \"lines\": line 3: {said}; 0 images built in \"out\"\n"),
        };
        assert_eq!(sandbox.run(["batch", "lines", "--into", "out"]), expected);
        assert!(!sandbox.path("out").exists(), "{fault}");
    }
    sandbox.write("lines", "{]\n".repeat(30));
    let ran = sandbox.run(["batch", "lines", "--into", "out"]);
    assert_eq!(lines(&ran).len(), 22);
    assert_eq!(lines(&ran)[20], "metadata: 10 more lines have errors; --json lists all of them");
    assert_eq!(lines(&ran)[21], "metadata: \"lines\": 30 lines failed; 0 images built in \"out\"");
    let ran = sandbox.run(["batch", "lines", "--into", "out", "--json"]);
    assert_eq!(ran.stdout.lines().count(), 30);
    assert_eq!(
        ran.stdout.lines().last(),
        Some(r#"{"line":30,"image":null,"error":"column 2: not valid JSON: key must be a string"}"#)
    );
}

#[test]
fn the_first_fault_is_the_end_and_what_is_in_front_of_it_is_done() {
    let sandbox = Sandbox::new();
    let mut input = String::new();
    for number in 1..=100 {
        let data = if number == 60 { "\"data_file\": \"absent\"" } else { "\"data\": \"x\"" };
        writeln!(input, "{{\"image\": \"{number:03}\", {data}}}").unwrap();
    }
    sandbox.write("lines", &input);
    let fault = "line 60: reading data file \"absent\": No such file or directory (os error 2)";
    for (into, arguments, name) in
        [("file", &["lines"] as &[_], "\"lines\""), ("pipe", &[], "standard input")]
    {
        let arguments = [&["batch", "--into", into], arguments].concat();
        let ran = sandbox.run_with_input(&arguments, input.clone());
        let made = files(&sandbox.path(into));
        let expected = format!("{name}: {fault}; {} images built in {into:?}", made.len());
        assert_eq!(ran, failed(1, &expected));
        assert!(
            made.len() >= 59
                && made[..59].iter().zip(1..).all(|(name, number)| *name == format!("{number:03}"))
        );

        let ran = sandbox.run_with_input([&arguments[..], &["--keep-going"]].concat(), input.clone());
        let last = format!("metadata: {name}: 1 line failed; 99 images built in {into:?}\n");
        assert_eq!(ran.stderr, format!("metadata: {fault}\n{last}"));
        assert_eq!((ran.status, files(&sandbox.path(into)).len()), (Some(1), 99));
    }
}

#[test]
fn json_has_a_result_for_every_line_in_their_order() {
    let sandbox = Sandbox::new();
    sandbox.write("large", noise(3_000_000));
    let mut input = String::new();
    for number in 1..=500 {
        let line = match number {
            7 => "{\"image\": \"bad\", \"data\": 1}\n".to_owned(),
            8 | 250 => format!("{{\"image\": \"{number}\", \"data_file\": \"large\"}}\n"),
            9 => "\n".to_owned(),
            10 => "{\"image\": \"10\", \"data\": \"\"}\n".to_owned(),
            _ => format!("{{\"image\": \"{number}\", \"data\": \"x\"}}\n"),
        };
        input.push_str(&line);
    }
    let ran = sandbox
        .run_with_input(["batch", "--into", "out", "--json", "--quiet", "--keep-going"], input.clone());
    assert_eq!(ran.status, Some(1));
    let results: Vec<serde_json::Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<_> = results.iter().map(|result| result["line"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=500).filter(|number| *number != 9).collect::<Vec<_>>());
    let made = |line: u32, image: &str, warnings: &str| {
        format!(
            "{{\"line\":{line},\"image\":{image:?},\"size\":372736,\"volume_identifier\":\"CIDATA\",\
             \"layout\":\"linuxkit\",\"replaced\":false,\"warnings\":[{warnings}]}}"
        )
    };
    let told: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(told[0], made(1, "1", ""));
    let empty = r#""the data is empty, and the guest's agent ignores an empty file""#;
    assert_eq!(told[8], made(10, "10", empty));
    let fault = r#"{"line":7,"image":"bad","error":"the field \"data\" must be a string, not a number"}"#;
    assert_eq!(told[6], fault);

    // Once more, so that they are replaced, and with digests.
    let input = input.lines().take(20).collect::<Vec<_>>().join("\n");
    let ran = sandbox
        .run_with_input(["batch", "--into", "out", "--json", "--digests", "--quiet", "--keep-going"], input);
    for line in ran.stdout.lines().filter(|line| line.contains("sha256")).step_by(4) {
        let result: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(result["replaced"], true);
        let path = format!("out/{}", result["image"].as_str().unwrap());
        let digest = String::from_utf8(sandbox.tool("sha256sum", [&path])).unwrap();
        assert_eq!(result["sha256"], digest[..64]);
        assert_eq!(result["files"][0]["name"], "config");
        assert_eq!(result["files"][0]["sha256"].as_str().unwrap().len(), 64);
    }
}

#[test]
fn a_reader_that_has_heard_enough_is_no_failure() {
    let sandbox = Sandbox::new();
    let input = (0..2000)
        .map(|number| format!("{{\"image\": \"{number}\", \"data\": \"x\"}}\n"))
        .collect::<Vec<_>>()
        .concat();
    sandbox.write("lines", input);
    let mut child = Command::new(assert_cmd::cargo::cargo_bin!("metadata"))
        .current_dir(sandbox.path(""))
        .args(["batch", "lines", "--into", "out", "--json", "--quiet"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
    assert_eq!(files(&sandbox.path("out")).len(), 2000);
}

#[test]
fn two_lines_with_one_image_are_a_fault_wherever_they_are() {
    let sandbox = Sandbox::new();
    let line = |image: &str| format!("{{\"image\": \"{image}\", \"data\": \"x\"}}\n");
    let input = [line("a"), line("b"), line("c"), line("\\u0061")].concat();
    for arguments in [&["--keep-going"] as &[_], &["--shard", "3/4", "--keep-going"], &["--shard", "1/2"]] {
        let ran = sandbox.run_with_input([&["batch", "--into", "out"], arguments].concat(), input.clone());
        assert_eq!(
            lines(&ran)[0].replace("standard input: ", "").split(';').next(),
            Some("metadata: line 4: image \"a\" is also the image of an earlier line"),
            "{arguments:?}"
        );
        assert_eq!(ran.status, Some(1));
    }
    let ran = sandbox.run_with_input(["batch", "--into", "out", "--shard", "0/4"], input);
    assert_eq!(ran, done("metadata: out: 1 image\n"), "the first of them is none");
}

#[test]
fn the_shards_together_make_what_one_process_makes() {
    let sandbox = Sandbox::new();
    let input = (0..50)
        .map(|number| format!("\n{{\"image\": \"{number}\", \"data\": \"{number}\"}}\n"))
        .collect::<Vec<_>>()
        .concat();
    sandbox.write("lines", &input);
    sandbox.succeed(["batch", "lines", "--into", "all"]);
    for shard in ["0/3", "1/3", "2/3"] {
        let before = fs::read_dir(sandbox.path("shards")).map_or(0, Iterator::count);
        sandbox.succeed(["batch", "lines", "--into", "shards", "--shard", shard]);
        assert!(
            (16..=17).contains(&(fs::read_dir(sandbox.path("shards")).unwrap().count() - before)),
            "{shard}"
        );
    }
    assert_eq!(files(&sandbox.path("shards")), files(&sandbox.path("all")));
    for image in files(&sandbox.path("all")) {
        let [one, other] = ["all", "shards"].map(|directory| sandbox.read(&format!("{directory}/{image}")));
        assert!(one == other, "{image}");
    }
    let fault =
        "invalid value '3/3' for '--shard <I/N>': I must be from 0 to N-1, here 2 (--help shows the usage)";
    assert_eq!(sandbox.run(["batch", "lines", "--into", "x", "--shard", "3/3"]), failed(2, fault));
}

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

#[test]
fn what_is_likely_a_mistake_is_said_and_fails_if_strict() {
    let sandbox = Sandbox::new();
    let bad = r#"{"image": "a", "data": "{\"a\": {\"content\": 1}}"}"#;
    let input = format!("{bad}\n{}\n", r#"{"image": "b", "data": "x", "volume_id": "CiData"}"#);
    let finding = "config:1:19: \"a\": content is a number instead of a string; LinuxKit's agent rejects the whole \
                   document [wrong-type]";
    let warning = r#"volume identifier "CiData": agents look for "CIDATA" or "cidata""#;
    let ran = sandbox.run_with_input(["batch", "--into", "out", "--quiet"], input.clone());
    let expected = format!("metadata: line 1: error: {finding}\nmetadata: line 2: warning: {warning}\n");
    assert_eq!(ran, done(&expected));
    let ran = sandbox.run_with_input(["batch", "--into", "strict", "--strict", "--keep-going"], input);
    let last = "metadata: standard input: 2 lines failed; 0 images built in \"strict\"";
    assert_eq!(
        lines(&ran),
        [&*format!("metadata: line 1: {finding}"), &*format!("metadata: line 2: {warning}"), last]
    );
    let ran = sandbox
        .run_with_input(["batch", "--into", "strict"], r#"{"image": "a", "data": "", "strict": true}"#);
    let line = "standard input: line 1: the data is empty, and the guest's agent ignores an empty file; 0 images built in \
                \"strict\"";
    assert_eq!(ran, failed(1, line));
    let input = (0..100)
        .map(|number| format!("{{\"image\": \"{number}\", \"data\": \"\"}}\n"))
        .collect::<Vec<_>>()
        .concat();
    let ran = sandbox.run_with_input(["batch", "--into", "out"], input);
    assert_eq!(lines(&ran).len(), 22);
    assert_eq!(
        lines(&ran)[20..],
        ["metadata: 80 more warnings; --json lists all of them", "metadata: out: 100 images"]
    );
}

#[test]
fn what_cannot_be_read_or_written_is_named() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "");
    for (arguments, line) in [
        (
            &["batch", "absent", "--into", "out"],
            r#"reading "absent": No such file or directory (os error 2)"#,
        ),
        (&["batch", ".", "--into", "out"], r#"reading ".": is a directory"#),
        (&["batch", "file", "--into", "file"], r#"opening directory "file": Not a directory (os error 20)"#),
        (
            &["batch", "file", "--into", "a/b"],
            r#"opening directory "a/b": No such file or directory (os error 2)"#,
        ),
    ] {
        assert_eq!(sandbox.run(arguments), failed(1, line));
    }
    assert_eq!(sandbox.run(["batch", "file", "--into", "out", "--jobs", "0"]).status, Some(2));
    assert_eq!(sandbox.run(["batch", "file"]).status, Some(2));
    assert_eq!(sandbox.run(["batch", "file", "--into", "out", "--digests"]).status, Some(2));
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

#[test]
fn files_with_keys_are_read_once_and_bounded_together() {
    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJvIxMfGxcTDwsHAv768u7q5uLe2tbSzsrGwr66trKuq";
    let sandbox = Sandbox::on_tmpfs();
    let keys =
        |count: usize| (0..count).map(|number| format!("{KEY} {number}\n")).collect::<Vec<_>>().concat();
    sandbox.write("keys", keys(700));
    sandbox.write("same", keys(701));
    let line = |image: &str, ssh_keys: &[String]| {
        serde_json::json!({"image": image, "layout": "nocloud", "data": "", "ssh_keys": ssh_keys}).to_string()
            + "\n"
    };
    sandbox.write("lines", line("a", &[vec!["keys".to_owned(); 5000], vec!["same".to_owned()]].concat()));
    assert_eq!(sandbox.run(["batch", "-q", "lines", "--into", "out"]).status, Some(0));
    let meta_data = String::from_utf8(sandbox.succeed(["extract", "out/a", "meta-data"])).unwrap();
    assert_eq!(meta_data.matches(KEY).count(), 701, "each key once");

    let names: Vec<_> = (0..20).map(|number| format!("keys{number}")).collect();
    for name in &names {
        sandbox.write(name, keys(700));
    }
    sandbox.write("lines", line("b", &names));
    let ran = sandbox.run(["batch", "-q", "lines", "--into", "out"]);
    let why = "reading ssh key \"keys17\": the files with keys together are larger than 1 MiB";
    assert!(ran.status == Some(1) && ran.stderr.contains(why), "{ran:?}");
}

#[test]
fn the_path_of_an_image_is_bounded() {
    let sandbox = Sandbox::new();
    let deep = |levels: usize| "d/".repeat(levels) + "x";
    let long = vec!["n".repeat(200); 21].join("/");
    for (image, why) in [
        (deep(65), format!("image {:?}: the path has more than 64 directories", deep(65))),
        (long, "image: the path is longer than 4095 bytes".to_owned()),
    ] {
        sandbox.write("lines", serde_json::json!({"image": image, "data": ""}).to_string());
        let ran = sandbox.run(["batch", "lines", "--into", "out"]);
        assert!(ran.status == Some(1) && ran.stderr.contains(&format!("line 1: {why}; 0 images")), "{ran:?}");
    }
    sandbox.write("lines", serde_json::json!({"image": deep(64), "data": ""}).to_string());
    assert_eq!(sandbox.run(["batch", "-q", "lines", "--into", "out"]).status, Some(0));
}
