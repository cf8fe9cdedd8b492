use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt, symlink},
    },
};

use crate::support::{Ran, Sandbox, done, failed, fat_boot_sector, linuxkit_image, noise};

const MADE: &str = "metadata: meta.iso: 372736 bytes, layout linuxkit\n";

fn config(sandbox: &Sandbox) -> Vec<u8> {
    sandbox.succeed(["extract", "meta.iso", "config"])
}

#[test]
fn every_way_to_give_data_gives_the_same_image() {
    let sandbox = Sandbox::new();
    sandbox.write("data", "hello");
    assert_eq!(sandbox.run(["create", "first.iso", "hello"]).status, Some(0));
    for arguments in [
        &["--data", "hello"] as &[_],
        &["--data=hello"],
        &["-data", "hello"],
        &["-data=hello"],
        &["--data-file", "data"],
        &["--data-file=data"],
        &["-data-file", "data"],
        &["-data-file=data"],
        &["-data-file=-"],
        &["--data-file", "-"],
    ] {
        let arguments = [&["create", "meta.iso"], arguments].concat();
        assert_eq!(sandbox.run_with_input(&arguments, "hello"), done(MADE), "{arguments:?}");
        assert!(sandbox.read("meta.iso") == sandbox.read("first.iso"), "{arguments:?}");
    }
}

#[test]
fn the_image_may_come_before_or_behind_the_options() {
    let sandbox = Sandbox::new();
    assert_eq!(sandbox.run(["create", "-data", "hello", "meta.iso"]), done(MADE));
    assert_eq!(config(&sandbox), b"hello");
}

#[test]
fn data_may_begin_with_a_dash() {
    let sandbox = Sandbox::new();
    for (arguments, data) in [
        (&["--", "--x"] as &[_], "--x"),
        (&["--", "-data"], "-data"),
        (&["-data", "-data"], "-data"),
        (&["--data", "--quiet"], "--quiet"),
        (&["-data=-"], "-"),
        (&["-"], "-"),
    ] {
        sandbox.succeed([&["create", "meta.iso"], arguments].concat());
        assert_eq!(config(&sandbox), data.as_bytes());
    }
}

#[test]
fn arguments_need_not_be_utf_8() {
    let sandbox = Sandbox::new();
    let [data, path, file] = [&b"\xff\xfe"[..], b"\xff.iso", b"\xfe\xfd=\xff.iso"].map(OsStr::from_bytes);
    sandbox.succeed([OsStr::new("create"), path, data]);
    sandbox.succeed([OsStr::new("create"), OsStr::new("meta.iso"), data, OsStr::new("--file"), file]);
    assert_eq!(config(&sandbox), b"\xff\xfe");
}

#[test]
fn the_layouts_have_their_files_and_identifiers() {
    let sandbox = Sandbox::new();
    sandbox.write("network", "version: 2\n");
    sandbox.write("vendor", "#cloud-config\n");
    sandbox.write("key.pub", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1LbhbqWSmmEFLOaGmtqPBJmcOQWWFCSwV1I0i3PlGV me@host\n# a comment\n\necdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBO01T/Tc5MWmrkV5ez0kBn2ckXatx4smn0n5BTkCD3oVPd/vIKsMG6OvCybiX2aTK5jQS97B3vfKgFXRVPspUU8= b\n");
    let options = [
        "--network-config",
        "network",
        "--vendor-data",
        "vendor",
        "--hostname",
        "web-1",
        "--ssh-key",
        "key.pub",
    ];

    let arguments = ["create", "meta.iso", "#!data", "--layout", "nocloud", "--instance-id", "i-1"];
    sandbox.succeed([&arguments[..], &options].concat());
    assert_eq!(sandbox.succeed(["extract", "meta.iso", "user-data"]), b"#!data");
    assert_eq!(sandbox.succeed(["extract", "meta.iso", "network-config"]), b"version: 2\n");
    assert_eq!(sandbox.succeed(["extract", "meta.iso", "vendor-data"]), b"#cloud-config\n");
    let expected = r#"instance-id: "i-1"
local-hostname: "web-1"
public-keys:
  - "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1LbhbqWSmmEFLOaGmtqPBJmcOQWWFCSwV1I0i3PlGV me@host"
  - "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBO01T/Tc5MWmrkV5ez0kBn2ckXatx4smn0n5BTkCD3oVPd/vIKsMG6OvCybiX2aTK5jQS97B3vfKgFXRVPspUU8= b"
"#;
    assert_eq!(String::from_utf8(sandbox.succeed(["extract", "meta.iso", "meta-data"])).unwrap(), expected);

    let arguments =
        ["create", "--lenient", "meta.iso", "#!data", "-l", "configdrive", "--instance-id", "i-1"];
    sandbox.succeed([&arguments[..], &options].concat());
    assert_eq!(sandbox.succeed(["extract", "meta.iso", "openstack/latest/user_data"]), b"#!data");
    assert_eq!(
        sandbox.succeed(["extract", "meta.iso", "openstack/latest/network_data.json"]),
        b"version: 2\n"
    );
    assert_eq!(
        sandbox.succeed(["extract", "meta.iso", "openstack/latest/vendor_data.json"]),
        b"#cloud-config\n"
    );
    let expected = r#"{
  "hostname": "web-1",
  "name": "web-1",
  "public_keys": {
    "key-0": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1LbhbqWSmmEFLOaGmtqPBJmcOQWWFCSwV1I0i3PlGV me@host",
    "key-1": "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBO01T/Tc5MWmrkV5ez0kBn2ckXatx4smn0n5BTkCD3oVPd/vIKsMG6OvCybiX2aTK5jQS97B3vfKgFXRVPspUU8= b"
  },
  "uuid": "i-1"
}
"#;
    let metadata = sandbox.succeed(["extract", "meta.iso", "openstack/latest/meta_data.json"]);
    assert_eq!(String::from_utf8(metadata).unwrap(), expected);
}

#[test]
fn a_meta_data_file_is_taken_as_it_is() {
    let sandbox = Sandbox::new();
    sandbox.write("mine", "instance-id: mine\n");
    sandbox.succeed(["create", "meta.iso", "#!data", "--layout", "nocloud", "--meta-data", "mine"]);
    assert_eq!(sandbox.succeed(["extract", "meta.iso", "meta-data"]), b"instance-id: mine\n");
}

#[test]
fn the_instance_id_changes_exactly_when_the_content_does() {
    let sandbox = Sandbox::new();
    sandbox.write("file", "1");
    sandbox.write("large", noise(3_000_000));
    let id = |arguments: &[&str]| {
        sandbox.succeed([&["create", "--lenient", "meta.iso", "--layout", "nocloud"], arguments].concat());
        let text = String::from_utf8(sandbox.succeed(["extract", "meta.iso", "meta-data"])).unwrap();
        text.lines().next().unwrap().to_owned()
    };
    let first = id(&["data"]);
    assert_eq!(first.len(), "instance-id: \"iid-\"".len() + 32, "{first}");
    assert_eq!(id(&["data"]), first);
    assert_eq!(id(&["data", "--volume-id", "cidata", "--mode", "644"]), first, "neither is content");
    let mut ids = vec![
        first,
        id(&["dat", "--file", "a=file"]),
        id(&["data", "--file", "a=file"]),
        id(&["data", "--file", "b=file"]),
        id(&["data", "--hostname", "web"]),
        id(&["data", "--vendor-data", "file"]),
        id(&["--data-file", "large"]),
    ];
    sandbox.write("large", noise(3_000_001));
    ids.push(id(&["--data-file", "large"]));
    let all = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), all);
}

#[test]
fn further_files_get_their_directories() {
    let sandbox = Sandbox::new();
    sandbox.write("one", "1");
    sandbox.write("two", noise(2_000_000));
    sandbox.succeed([
        "create",
        "meta.iso",
        "x",
        "--file",
        "a/b/one=one",
        "--file",
        "two=two",
        "--file",
        "e=/dev/null",
    ]);
    assert_eq!(sandbox.succeed(["extract", "meta.iso", "a/b/one"]), b"1");
    assert!(sandbox.succeed(["extract", "meta.iso", "two"]) == noise(2_000_000));
    assert_eq!(sandbox.succeed(["extract", "meta.iso", "e"]), b"");
}

#[test]
fn many_small_files_take_no_more_memory_than_two_mebibytes_and_are_all_there() {
    let sandbox = Sandbox::new();
    sandbox.write("file", noise(700_000));
    let files: Vec<_> = (0..8).map(|number| format!("{number}=file")).collect();
    let files = files.iter().flat_map(|file| ["--file", file]);
    sandbox.succeed(["create", "meta.iso", "x"].into_iter().chain(files));
    for number in 0..8 {
        assert!(sandbox.succeed(["extract", "meta.iso", &number.to_string()]) == noise(700_000), "{number}");
    }
}

#[test]
fn an_image_is_for_its_owner_only_unless_asked() {
    let sandbox = Sandbox::new();
    let mode = || fs::metadata(sandbox.path("meta.iso")).unwrap().permissions().mode() & 0o7777;
    sandbox.succeed(["create", "meta.iso", "x"]);
    assert_eq!(mode(), 0o600);
    for umask in ["077", "000"] {
        let umask = format!("umask {umask}; exec \"$0\" \"$@\"");
        let metadata = assert_cmd::cargo::cargo_bin!("metadata").as_os_str().to_owned();
        let arguments = ["create", "meta.iso", "x", "--mode", "0664"].map(OsStr::new);
        sandbox.tool("sh", [OsStr::new("-c"), OsStr::new(&umask), &metadata].into_iter().chain(arguments));
        assert_eq!(mode(), 0o664);
    }
    sandbox.succeed(["create", "meta.iso", "x"]);
    assert_eq!(mode(), 0o600, "also when it replaces one that is not");
}

#[test]
fn an_old_image_is_replaced_as_a_whole() {
    let sandbox = Sandbox::new();
    sandbox.write("large", noise(3_000_000));
    sandbox.succeed(["create", "meta.iso", "--data-file", "large"]);
    fs::hard_link(sandbox.path("meta.iso"), sandbox.path("old.iso")).unwrap();
    sandbox.succeed(["create", "meta.iso", "x"]);
    assert_eq!(config(&sandbox), b"x");
    assert_eq!(fs::metadata(sandbox.path("meta.iso")).unwrap().len(), 372_736);
    assert!(sandbox.succeed(["extract", "old.iso", "config"]) == noise(3_000_000));
    assert_eq!(sandbox.names(), ["large", "meta.iso", "old.iso"]);
}

#[test]
fn a_file_that_is_not_an_image_is_kept_unless_forced() {
    let sandbox = Sandbox::new();
    let refused = |arguments: &[&str], why: &str| {
        let line = format!("building image \"my.yaml\": {why}");
        assert_eq!(sandbox.run([&["create", "my.yaml"], arguments].concat()), failed(1, &line));
        assert_eq!(sandbox.read("my.yaml"), b"#cloud-config\n");
    };
    sandbox.write("my.yaml", "#cloud-config\n");
    let swapped = "the existing file is not an image; was this meant: metadata create --layout nocloud --user-data my.yaml \
                   seed.iso (--force replaces \"my.yaml\")";
    refused(&["seed.iso"], swapped);
    refused(&["--data-file", "seed.iso"], swapped);
    let plain = "the existing file is not an image (--force replaces it)";
    refused(&["hello"], plain);
    refused(&["--data", "seed.iso"], plain);
    assert_eq!(sandbox.names(), ["my.yaml"]);
    sandbox.succeed(["create", "my.yaml", "hello", "--force"]);
    assert_eq!(sandbox.succeed(["extract", "my.yaml", "config"]), b"hello");

    // Images, those of other programs, and files that were made to have some size.
    for old in [linuxkit_image(b"x"), fat_boot_sector(), Vec::new(), vec![0; 100_000]] {
        sandbox.write("meta.iso", old);
        sandbox.succeed(["create", "meta.iso", "hello"]);
    }
    sandbox.write("disk", [&b"QFI\xfb"[..], &[0; 9000]].concat());
    let line = r#"building image "disk": the existing file is not an image (--force replaces it)"#;
    assert_eq!(sandbox.run(["create", "disk", "hello"]), failed(1, line));
}

#[test]
fn a_file_that_appears_meanwhile_is_kept_unless_it_is_an_image() {
    for (appears, is_kept) in [(&b"precious"[..], true), (&fat_boot_sector(), false)] {
        let sandbox = Sandbox::new();
        sandbox.tool("mkfifo", ["fifo"]);
        let mut create = std::process::Command::new(assert_cmd::cargo::cargo_bin!("metadata"));
        create.current_dir(sandbox.path("")).args(["create", "meta.iso", "--data-file", "fifo"]);
        let child = create.stderr(std::process::Stdio::piped()).spawn().unwrap();
        // When it reads the data, it knows that there is no such file.
        let mut fifo = fs::OpenOptions::new().write(true).open(sandbox.path("fifo")).unwrap();
        sandbox.write("meta.iso", appears);
        std::io::Write::write_all(&mut fifo, b"hello").unwrap();
        drop(fifo);
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!(ran.status, Some(i32::from(is_kept)), "{ran:?}");
        assert_eq!(sandbox.read("meta.iso") == appears, is_kept);
        assert_eq!(sandbox.names(), ["fifo", "meta.iso"]);
    }
}

#[test]
fn a_symbolic_link_is_followed() {
    let sandbox = Sandbox::new();
    sandbox.write("images/old.iso", "");
    symlink("images/old.iso", sandbox.path("meta.iso")).unwrap();
    symlink("images/new.iso", sandbox.path("new.iso")).unwrap();
    symlink("loop.iso", sandbox.path("loop.iso")).unwrap();
    for (image, target) in [("meta.iso", "images/old.iso"), ("new.iso", "images/new.iso")] {
        sandbox.succeed(["create", image, "x"]);
        assert!(fs::symlink_metadata(sandbox.path(image)).unwrap().is_symlink());
        assert_eq!(sandbox.succeed(["extract", target, "config"]), b"x");
    }
    let expected = failed(1, r#"building image "loop.iso": too many levels of symbolic links"#);
    assert_eq!(sandbox.run(["create", "loop.iso", "x"]), expected);
}

#[test]
fn the_tail_is_a_hole() {
    let sandbox = Sandbox::new();
    sandbox.succeed(["create", "meta.iso", "x"]);
    let metadata = fs::metadata(sandbox.path("meta.iso")).unwrap();
    assert_eq!(metadata.len() % 4096, 0);
    assert!(metadata.blocks() * 512 < 80_000, "{} bytes on the disk", metadata.blocks() * 512);
}

#[test]
fn json_describes_the_image() {
    let sandbox = Sandbox::new();
    sandbox.write("empty", "");
    let ran = sandbox.run(["create", "meta.iso", "hello", "--json", "--quiet", "--file", "a/empty=empty"]);
    let sha256 = String::from_utf8(sandbox.tool("sha256sum", ["meta.iso"])).unwrap();
    let expected = format!(
        r#"{{
  "path": "meta.iso",
  "size": 372736,
  "sha256": "{}",
  "volume_identifier": "CIDATA",
  "layout": "linuxkit",
  "files": [
    {{
      "name": "a/empty",
      "size": 0,
      "mode": "0400",
      "offset": 0,
      "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    }},
    {{
      "name": "config",
      "size": 5,
      "mode": "0400",
      "offset": 49152,
      "sha256": "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
    }}
  ],
  "warnings": []
}}
"#,
        &sha256[..64]
    );
    assert_eq!(ran, Ran { status: Some(0), stdout: expected, stderr: String::new() });
}

#[test]
fn a_date_is_taken_from_the_environment() {
    let sandbox = Sandbox::new();
    let create = |epoch: &str| {
        let mut command = sandbox.command(["create", "meta.iso", "x"]);
        Ran::from(command.env("SOURCE_DATE_EPOCH", epoch).output().unwrap())
    };
    for (epoch, date) in [
        ("0", "1970-01-01T00:00:00Z"),
        ("1700000000", "2023-11-14T22:13:20Z"),
        ("5869583999", "2155-12-31T23:59:59Z"),
    ] {
        assert_eq!(create(epoch), done(MADE));
        let shown = String::from_utf8(sandbox.succeed(["show", "meta.iso"])).unwrap();
        assert!(shown.contains(&format!("created   {date}\nmodified  {date}\n")), "{shown}");
    }
    for epoch in ["", "-1", "+1", "1.5", "now", "99999999999999999999"] {
        let expected =
            failed(2, &format!("SOURCE_DATE_EPOCH {epoch:?} is not a number of seconds since 1970"));
        assert_eq!(create(epoch), expected);
    }
    let expected = failed(2, "the date is after the year 2155, the last that an image can store");
    assert_eq!(create("5869584000"), expected);
}

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
            r#"reading ssh key "private": is a private key; give the public key, which ends in .pub"#,
        ),
        (
            &["create", "meta.iso", "x", "--layout", "nocloud", "--ssh-key", "text"],
            r#"reading ssh key "text": checking line "hello": not a public key"#,
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
fn an_image_goes_to_standard_output() {
    let sandbox = Sandbox::new();
    sandbox.write("large", noise(3_000_000));
    for data in [
        &["hello"] as &[_],
        &["--data-file", "large"],
        &["--data-file", "large", "-l", "nocloud", "--lenient"],
    ] {
        sandbox.succeed([&["create", "meta.iso"], data].concat());
        assert!(sandbox.succeed([&["create", "-"], data].concat()) == sandbox.read("meta.iso"), "{data:?}");
    }
    let ran = sandbox.command(["create", "-", "hello"]).output().unwrap();
    assert_eq!(
        String::from_utf8(ran.stderr).unwrap(),
        "metadata: standard output: 372736 bytes, layout linuxkit\n"
    );
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
    let made = MADE.replace('\n', "; 1 error, no warnings in the data (--strict refuses it)\n");
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
    assert_eq!(create(16_377, ""), failed(2, "an image holds at most 16376 files"));
    assert_eq!(create(16_376, ""), done(""));
    assert!(sandbox.run(["show", "meta.iso"]).stdout.contains("16375\n"));
    let long = "x".repeat(200);
    assert_eq!(create(6000, &long), failed(2, "the file names together are longer than 1048576 bytes"));
}
