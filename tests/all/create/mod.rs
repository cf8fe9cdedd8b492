//! `create`: the ways to give data, the layouts, and what is on the image.

mod errors;
mod replacement;

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
};

use crate::support::{Ran, Sandbox, done, failed, noise};

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
