//! Lines with faults, and bounds.

use std::fmt::Write as _;

use super::{files, lines};

use crate::support::{Ran, Sandbox, done, failed};

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
        [
            &*format!("metadata: line 1: {finding}; put it in quotes: \"1\""),
            &*format!("metadata: line 2: {warning}"),
            last
        ]
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
        ["metadata: 80 more findings; --json lists all of them", "metadata: out: 100 images"]
    );
}

#[test]
fn data_that_names_a_file_is_not_taken_for_data_in_silence() {
    let sandbox = Sandbox::new();
    sandbox.write("user-data", "#cloud-config\n");
    sandbox.write("seed/user-data", "#cloud-config\n");
    sandbox.write("tree/etc/motd", "hello");
    sandbox.write("my seed.yaml", "#cloud-config\n");
    sandbox.write("hello world", "");
    let run = |line: &str| sandbox.run_with_input(["batch", "--into", "out"], line);
    for (data, field, what, content) in [
        ("user-data", "user_data", "the content of that file", "the content"),
        ("my seed.yaml", "user_data", "the content of that file", "the content"),
        ("seed", "from", "that directory", "the seed in it"),
        ("tree", "data_dir", "that directory", "its files as JSON for LinuxKit"),
    ] {
        let text = format!(
            "the data is the text \"{data}\", not {what}; to store {content}: \"{field}\": \"{data}\" (\"lenient\": true \
             stores the text)"
        );
        let ran = run(&format!(r#"{{"image": "a", "data": "{data}"}}"#));
        assert_eq!(ran, done(&format!("metadata: line 1: warning: {text}\nmetadata: out: 1 image\n")));
        for rest in [r#""layout": "nocloud""#, r#""layout": "configdrive""#, r#""strict": true"#] {
            let ran = run(&format!(r#"{{"image": "b", "data": "{data}", {rest}}}"#));
            let line = format!("standard input: line 1: {text}; 0 images built in \"out\"");
            assert_eq!(ran, failed(1, &line), "{rest}");
        }
    }
    let words = run(r#"{"image": "a", "data": "hello world"}"#);
    assert_eq!(words, done("metadata: out: 1 image\n"), "no file is looked for");
}

#[test]
fn findings_are_listed_as_create_lists_them_and_all_are_counted() {
    let sandbox = Sandbox::new();
    let members: Vec<_> = (0..30).map(|number| format!("\"f{number}\": {{\"content\": 1}}")).collect();
    sandbox.write("config.json", format!("{{{}}}", members.join(", ")));
    let line = r#"{"image": "a.iso", "user_data": "config.json"}"#;
    let ran = sandbox.run_with_input(["batch", "--into", "out"], line);
    assert_eq!(
        lines(&ran)[20..],
        [
            "metadata: 10 more findings; metadata check shows all of them",
            "metadata: out: 1 image; 30 errors, no warnings in the data (--strict rejects it)"
        ]
    );
    let ran = sandbox.run_with_input(["batch", "--into", "out", "--json"], line);
    let batch: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let create = sandbox.succeed(["create", "--json", "a.iso", "--user-data", "config.json"]);
    let create: serde_json::Value = serde_json::from_slice(&create).unwrap();
    assert_eq!(batch["warnings"].as_array().map(Vec::len), Some(20));
    assert_eq!(batch["warnings"], create["warnings"]);
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
    let why = "reading SSH key \"keys17\": the files with keys together are larger than 1 MiB";
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
