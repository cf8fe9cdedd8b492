//! What is wrong with the command line or with the data.

use std::os::unix::fs::symlink;

use super::MADE;
use crate::support::{Ran, Sandbox, done, failed, fat_boot_sector};

#[test]
fn usage_errors_are_one_line_and_touch_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("meta.iso", fat_boot_sector());
    sandbox.write("f", "file");
    let long = format!("{}=f", "x".repeat(256));
    let long_fault = format!("file name {:?} has a component longer than 255 bytes", "x".repeat(256));
    for (arguments, line) in [
        (
            &["create", "meta.iso"] as &[_],
            "DATA is missing after the image \"meta.iso\": a string, --user-data PATH, --from DIR or --data-dir DIR; \
             without data, a seed needs --layout nocloud or configdrive",
        ),
        (
            &["create", "meta.iso", "x", "-data", "y"],
            "the data is given twice: as \"x\" after the image \"meta.iso\", and with an option; leave out one of them",
        ),
        (
            &["create", "meta.iso", "-data-file=f", "-data", "y"],
            "--data and --user-data both give the data; leave out one of them",
        ),
        (&["create", "meta.iso", "x", "--hostname", "h"], "hostname needs the layout nocloud or configdrive"),
        (&["create", "meta.iso", "x", "--ssh-key", "f"], "ssh-key needs the layout nocloud or configdrive"),
        (
            &["create", "meta.iso", "x", "--instance-id", "i"],
            "instance-id needs the layout nocloud or configdrive",
        ),
        (
            &["create", "meta.iso", "x", "--meta-data", "f"],
            "meta-data needs the layout nocloud or configdrive",
        ),
        (
            &["create", "meta.iso", "x", "--network-config", "f"],
            "network-config needs the layout nocloud or configdrive",
        ),
        (
            &["create", "meta.iso", "x", "--vendor-data", "f"],
            "vendor-data needs the layout nocloud or configdrive",
        ),
        (
            &["create", "meta.iso", "x", "--layout", "nocloud", "--meta-data", "f", "--hostname", "h"],
            "hostname is for generated meta-data, but the meta-data is \"f\"; write \"local-hostname\" there, or leave that file out",
        ),
        (
            &["create", "meta.iso", "x", "--layout", "nocloud", "--hostname", "a_b"],
            r#"host name "a_b" has characters other than letters, digits, '-' and '.'"#,
        ),
        (
            &["create", "meta.iso", "x", "--layout", "NoClouds"],
            "invalid value 'NoClouds' for '--layout <LAYOUT>' [possible values: linuxkit, nocloud, configdrive] \
             (--help shows the usage)",
        ),
        (
            &["create", "meta.iso", "x", "--file", "config=f"],
            r#"file name "config" is used by the layout linuxkit itself"#,
        ),
        (
            &["create", "meta.iso", "x", "--file", "user-data=f"],
            r#"file name "user-data" is used by the layout linuxkit itself"#,
        ),
        (&["create", "meta.iso", "x", "--file", "../a=f"], r#"file name "../a" has a component '.' or '..'"#),
        (&["create", "meta.iso", "x", "--file", "/a=f"], r#"file name "/a" is not relative"#),
        (&["create", "meta.iso", "x", "--file", "a//b=f"], r#"file name "a//b" has an empty component"#),
        (&["create", "meta.iso", "x", "--file", "=f"], r#"file name "" is empty"#),
        (&["create", "meta.iso", "x", "--file", &long], &long_fault),
        (&["create", "meta.iso", "x", "--file", "a=f", "--file", "a=f"], r#"file name "a" is given twice"#),
        (
            &["create", "meta.iso", "x", "--file", "a=f", "--file", "a/b=f"],
            r#"file name "a" is also a directory of another file"#,
        ),
        (
            &["create", "meta.iso", "x", "--file", "config/b=f"],
            r#"file name "config" is also a directory of another file"#,
        ),
        (
            &["create", "meta.iso", "x", "--file", "a"],
            "invalid value 'a' for '--file <NAME=PATH>': not in the form NAME=PATH (--help shows the usage)",
        ),
        (&["create", "meta.iso", "x", "--volume-id", ""], r#"volume identifier "" is empty"#),
        (
            &["create", "meta.iso", "x", "--volume-id", "123456789012345678901234567890123"],
            r#"volume identifier "123456789012345678901234567890123" has 33 bytes; at most 32 are allowed"#,
        ),
        (
            &["create", "meta.iso", "x", "--mode", "0888"],
            "invalid value '0888' for '--mode <OCTAL>': not an octal number up to 0777 (--help shows the usage)",
        ),
        (&["create", "-", "x", "--json"], "--json cannot be used when the image goes to standard output"),
        (
            &["create", "-", "x", "--mode", "600"],
            "--mode cannot be used when the image goes to standard output",
        ),
        (&["create", "-", "x", "--sync"], "--sync cannot be used when the image goes to standard output"),
        (&["create", "meta.iso", "-data-file=-", "--file", "a=-"], "standard input can be read only once"),
    ] {
        assert_eq!(sandbox.run(arguments), failed(2, line), "{arguments:?}");
        assert_eq!(sandbox.read("meta.iso"), fat_boot_sector(), "{arguments:?}");
        assert_eq!(sandbox.names(), ["f", "meta.iso"], "{arguments:?}");
    }
}

#[test]
fn bad_input_is_named_and_touches_nothing() {
    let sandbox = Sandbox::new();
    sandbox.write("meta.iso", fat_boot_sector());
    sandbox.write("directory/x", "");
    sandbox.write("private", "-----BEGIN OPENSSH PRIVATE KEY-----\n");
    sandbox.write("text", "hello\n");
    symlink("meta.iso", sandbox.path("link")).unwrap();
    let names = sandbox.names();
    for (arguments, line) in [
        (
            &["create", "meta.iso", "--data-file", "x"] as &[_],
            r#"reading data file "x": No such file or directory (os error 2)"#,
        ),
        (
            &["create", "meta.iso", "--data-file", "directory"],
            r#"reading data file "directory": is a directory"#,
        ),
        (
            &["create", "meta.iso", "x", "--file", "a=x"],
            r#"reading file "x": No such file or directory (os error 2)"#,
        ),
        (
            &["create", "meta.iso", "--data-file", "meta.iso"],
            r#"building image "meta.iso": the image is the same file as "meta.iso""#,
        ),
        (
            &["create", "meta.iso", "--data-file", "link"],
            r#"building image "meta.iso": the image is the same file as "link""#,
        ),
        (
            &["create", "link", "x", "--file", "a=meta.iso"],
            r#"building image "link": the image is the same file as "meta.iso""#,
        ),
        (&["create", "directory", "x"], r#"building image "directory": is a directory"#),
        (&["create", "a/b.iso", "x"], r#"building image "a/b.iso": directory "a" does not exist"#),
        (&["create", "new/", "x"], r#"building image "new/": the path ends in '/', so it names a directory"#),
        (
            &["create", "/dev/stdout", "x"],
            r#"building image "/dev/stdout": the path leads through /proc (use '-' for standard output)"#,
        ),
        (&["create", "absent/..", "x"], r#"building image "absent/..": directory "absent" does not exist"#),
        (&["create", "text/.", "x"], r#"building image "text/.": Not a directory (os error 20)"#),
        (&["create", "directory/.", "x"], r#"building image "directory/.": is a directory"#),
        (&["create", "directory/..", "x"], r#"building image "directory/..": is a directory"#),
        (&["create", "text/b.iso", "x"], r#"building image "text/b.iso": Not a directory (os error 20)"#),
        (&["create", "/dev/null", "x"], r#"building image "/dev/null": is a device"#),
        (
            &["create", "meta.iso", "", "--strict"],
            "the data is empty, and the guest's agent ignores an empty file",
        ),
        (
            &["create", "meta.iso", "x", "--layout", "nocloud", "--ssh-key", "private"],
            r#"reading SSH key "private": is a private key; give the public key, which ends in .pub"#,
        ),
        (
            &["create", "meta.iso", "x", "--layout", "nocloud", "--ssh-key", "text"],
            r#"reading SSH key "text": checking line "hello": not a public key"#,
        ),
    ] {
        assert_eq!(sandbox.run(arguments), failed(1, line), "{arguments:?}");
        assert_eq!(sandbox.read("meta.iso"), fat_boot_sector(), "{arguments:?}");
        assert_eq!(sandbox.names(), names, "{arguments:?}");
    }
}

#[test]
fn what_is_likely_a_mistake_is_said_and_done() {
    let sandbox = Sandbox::new();
    sandbox.write("f", "");
    for (arguments, warning) in [
        (
            &["create", "meta.iso", ""] as &[_],
            "the data is empty, and the guest's agent ignores an empty file",
        ),
        (&["create", "meta.iso", "-"], "the data is a single '-'; to read standard input, use --user-data -"),
        (
            &["create", "meta.iso", "x", "--volume-id", "CiData"],
            r#"volume identifier "CiData": agents look for "CIDATA" or "cidata""#,
        ),
        (
            &["create", "meta.iso", "x", "--volume-id", "12345678901234567"],
            r#"volume identifier "12345678901234567": Windows and macOS show "1234567890123456", since Joliet stores 16 characters"#,
        ),
    ] {
        assert_eq!(sandbox.run(arguments), done(&format!("metadata: warning: {warning}\n{MADE}")));
        let strict = [arguments, &["--strict"]].concat();
        assert_eq!(sandbox.run(strict), failed(1, warning));
    }
    let nocloud = ["create", "meta.iso", "#!", "-q", "--lenient", "-l", "nocloud", "--volume-id", "seed"];
    let warning = r#"warning: volume identifier "seed": agents look for "CIDATA" or "cidata""#;
    assert_eq!(sandbox.run(nocloud), done(&format!("metadata: {warning}\n")));
    let ran = sandbox.run(["create", "meta.iso", "x", "--quiet", "--file", "a:b=f"]);
    let warning = r#"warning: file "a:b": some readers see "a_b" (characters Joliet forbids become _ in the Joliet name)"#;
    assert_eq!(ran, done(&format!("metadata: {warning}\n")));
}

#[test]
fn what_is_wrong_with_the_data_is_shown_and_fails_if_strict() {
    let sandbox = Sandbox::new();
    sandbox.write("empty", "");
    sandbox.write("meta", "seedfrom: x\n");
    let data = r#"{"a": {"content": 1}}"#;
    let finding = "\
error[wrong-type]: a: content is a number instead of a string; LinuxKit's agent rejects the whole document
 --> meta.iso/config:1:19
  |
1 | {\"a\": {\"content\": 1}}
  |                   ^
  |
help: put it in quotes: \"1\"

";
    let made = MADE.replace('\n', "; 1 error, no warnings in the data (--strict rejects it)\n");
    assert_eq!(sandbox.run(["create", "meta.iso", data]), done(&format!("{finding}{made}")));
    assert_eq!(
        sandbox.run_with_input(["create", "meta.iso", "-data-file=-"], data).stderr,
        format!("{finding}{made}")
    );
    sandbox.write("meta.iso", fat_boot_sector());
    let failed = Ran {
        status: Some(1),
        stdout: String::new(),
        stderr: format!("{finding}metadata: meta.iso/config has 1 error, no warnings\n"),
    };
    assert_eq!(sandbox.run(["create", "meta.iso", data, "--strict"]), failed);
    assert_eq!(sandbox.read("meta.iso"), fat_boot_sector());

    let arguments = ["--layout", "nocloud", "--network-config", "empty", "--meta-data", "meta", "--quiet"];
    let stderr = sandbox.run([&["create", "meta.iso", "hello"], &arguments[..]].concat()).stderr;
    let codes: Vec<_> = stderr.lines().filter_map(|line| line.split_once(']')?.0.split_once('[')).collect();
    let [error, warning] = ["error", "warning"];
    assert_eq!(
        codes,
        [
            (error, "no-header"),
            (warning, "no-instance-id"),
            (warning, "seedfrom"),
            (warning, "empty-network-config")
        ]
    );
}

#[test]
fn data_of_up_to_8_mib_is_looked_at_wherever_it_comes_from() {
    let sandbox = Sandbox::new();
    let data = |len: usize| format!("{{\"a\": {{\"content\": \"{}\", \"mode\": 1}}}}", "x".repeat(len));
    for (len, found) in [(100, true), (3 << 20, true), (8 << 20, false)] {
        sandbox.write("data", data(len));
        for ran in [
            sandbox.run(["create", "meta.iso", "--data-file", "data"]),
            sandbox.run_with_input(["create", "meta.iso", "--data-file", "-"], data(len)),
        ] {
            assert_eq!(ran.stderr.contains("warning[unknown-field]"), found, "{len}: {}", ran.stderr);
        }
        assert!(sandbox.succeed(["extract", "meta.iso", "config"]) == data(len).as_bytes());
    }
}

#[test]
fn what_could_not_be_read_back_is_not_built() {
    let sandbox = Sandbox::new();
    sandbox.write("f", "");
    let deep = format!("{}f=f", "d/".repeat(65));
    let ran = sandbox.run(["create", "meta.iso", "x", "--file", &deep]);
    assert_eq!(ran.status, Some(2));
    assert!(ran.stderr.ends_with("\" is more than 64 directories deep\n"), "{ran:?}");
    let deep = format!("{}f=f", "d/".repeat(64));
    assert_eq!(sandbox.run(["create", "meta.iso", "x", "--file", &deep]).status, Some(0));
    sandbox.succeed(["extract", "meta.iso", deep.trim_end_matches("=f")]);

    let create = |count: usize, name: &str| {
        let files: Vec<_> = (0..count).map(|number| format!("{number:05}{name}=f")).collect();
        let files = files.iter().flat_map(|file| ["--file", file]);
        sandbox.run(["create", "-q", "meta.iso", "x"].into_iter().chain(files))
    };
    assert_eq!(create(16_377, ""), failed(2, "an image holds at most 16376 files and directories"));
    assert_eq!(create(16_376, ""), done(""));
    assert!(sandbox.run(["show", "meta.iso"]).stdout.contains("16375\n"));
    let long = "x".repeat(200);
    assert_eq!(create(6000, &long), failed(2, "the file names together are longer than 1048576 bytes"));
}
