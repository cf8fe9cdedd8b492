use crate::support::{Ran, Sandbox, failed, linuxkit_image, noise};

fn printed(stdout: &str) -> Ran {
    Ran { status: Some(0), stdout: stdout.to_owned(), stderr: String::new() }
}

#[test]
fn shows_an_image_of_ours() {
    let sandbox = Sandbox::new();
    sandbox.write("large", noise(3_000_000));
    sandbox.succeed(["create", "meta.iso", "hello", "--file", "models/large=large"]);
    let expected = "\
image     meta.iso
size      3702784 bytes
volume    CIDATA
layout    linuxkit
created   1980-01-01T00:00:00Z
modified  1980-01-01T00:00:00Z
trees     Rock Ridge (shown), Joliet, ISO 9660

mode     size  sector  name
0400        5      24  config
0500        -       -  models/
0400  3000000     192  models/large

agent       reads    cd-rom  virtio disk
metadata    config   yes     yes
LinuxKit    config   yes     yes
cloud-init  nothing  no      no: no file meta-data
";
    assert_eq!(sandbox.run(["show", "meta.iso"]), printed(expected));
}

#[test]
fn shows_an_image_of_linuxkit() {
    let sandbox = Sandbox::new();
    sandbox.write("meta.iso", linuxkit_image(b"hello"));
    let expected = r#"image     meta.iso
size      45056 bytes
volume    config
layout    linuxkit
created   no valid date
modified  no valid date
trees     ISO 9660 (shown); its root directory is malformed

mode  size  sector  name
-        5      21  config

agent       reads    cd-rom  virtio disk
metadata    config   yes     no: a disk needs the volume identifier CIDATA, not "config"
LinuxKit    config   yes     no: a disk needs the volume identifier CIDATA, not "config"
cloud-init  nothing  no      no: the volume identifier must be CIDATA or config-2, not "config"
"#;
    assert_eq!(sandbox.run(["show", "meta.iso"]), printed(expected));
}

#[test]
fn shows_json() {
    let sandbox = Sandbox::new();
    sandbox.succeed(["create", "--lenient", "meta.iso", "hello", "--layout", "nocloud"]);
    let expected = r#"{
  "path": "meta.iso",
  "size": 372736,
  "volume_identifier": "CIDATA",
  "volume_size": 372736,
  "created": "1980-01-01T00:00:00Z",
  "modified": "1980-01-01T00:00:00Z",
  "layout": "nocloud",
  "trees": [
    "Rock Ridge",
    "Joliet",
    "ISO 9660"
  ],
  "tree": "Rock Ridge",
  "malformed": false,
  "files": [
    {
      "name": "meta-data",
      "kind": "file",
      "mode": "0400",
      "size": 52,
      "sector": 22,
      "offset": 45056,
      "complete": true
    },
    {
      "name": "user-data",
      "kind": "file",
      "mode": "0400",
      "size": 5,
      "sector": 23,
      "offset": 47104,
      "complete": true
    }
  ],
  "agents": [
    {
      "agent": "metadata",
      "takes": "user-data",
      "cdrom": true,
      "virtio": true,
      "because": null
    },
    {
      "agent": "LinuxKit",
      "takes": "user-data",
      "cdrom": true,
      "virtio": true,
      "because": null
    },
    {
      "agent": "cloud-init",
      "takes": "user-data",
      "cdrom": true,
      "virtio": true,
      "because": null
    }
  ]
}
"#;
    assert_eq!(sandbox.run(["show", "--json", "meta.iso"]), printed(expected));
}

#[test]
fn an_empty_user_data_hides_config_from_linuxkit() {
    let sandbox = Sandbox::new();
    sandbox.write("config", "hello");
    sandbox.run(["create", "meta.iso", "", "--layout", "nocloud", "--file", "config=config"]);
    let shown = String::from_utf8(sandbox.succeed(["show", "meta.iso"])).unwrap();
    let expected = "\
agent       reads      cd-rom  virtio disk
metadata    config     yes     yes
LinuxKit    nothing    no      no: user-data is empty and hides config
cloud-init  user-data  yes     yes
";
    assert!(shown.ends_with(expected), "{shown}");
}

#[test]
fn what_is_no_image_is_named() {
    let sandbox = Sandbox::new();
    sandbox.write("text", "hello");
    sandbox.write("zeros", vec![0; 100_000]);
    sandbox.write("empty", "");
    sandbox.tool("mkfifo", ["fifo"]);
    for (image, why) in [
        ("absent", "No such file or directory (os error 2)"),
        ("text", "not an ISO 9660 or FAT image"),
        ("zeros", "not an ISO 9660 or FAT image: the file contains only zeros"),
        ("empty", "not an ISO 9660 or FAT image: the file is empty"),
        (".", "is a directory"),
        ("/dev/null", "not a regular file or a block device"),
        ("fifo", "not a regular file or a block device"),
    ] {
        for command in ["show", "extract"] {
            let arguments = if command == "show" { vec![command, image] } else { vec![command, image, "x"] };
            assert_eq!(sandbox.run(arguments), failed(1, &format!("reading image {image:?}: {why}")));
        }
    }
}

#[test]
fn a_truncated_image_is_shown_and_named() {
    let sandbox = Sandbox::new();
    sandbox.write("large", noise(3_000_000));
    sandbox.succeed(["create", "meta.iso", "--data-file", "large"]);
    let image = sandbox.read("meta.iso");
    sandbox.write("cut.iso", &image[..1_000_000]);
    let ran = sandbox.run(["show", "cut.iso"]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stdout.contains("size      1000000 bytes, 3702784 in the descriptor\n"), "{}", ran.stdout);
    assert!(ran.stdout.contains("0400  3000000     192  config  (reaches past the end)\n"), "{}", ran.stdout);
    let expected = "metadata: reading image \"cut.iso\": file \"config\" reaches past the end of the image\n";
    assert_eq!(ran.stderr, expected);
    let expected =
        "copying file \"config\" from image \"cut.iso\": the file reaches past the end of the image";
    assert_eq!(sandbox.run(["extract", "cut.iso", "config"]), failed(1, expected));
}

#[test]
fn a_reader_that_leaves_is_no_failure_of_a_listing_but_one_of_a_copy() {
    let sandbox = Sandbox::new();
    sandbox.succeed(["create", "meta.iso", "hello"]);
    let run = |arguments: &[&str]| {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("metadata"));
        Ran::from(command.current_dir(sandbox.path("")).args(arguments).stdout(writer).output().unwrap())
    };
    assert_eq!(run(&["show", "meta.iso"]), printed(""));
    let broken = "Broken pipe (os error 32)";
    let line = format!("copying file \"config\" from image \"meta.iso\": {broken}");
    assert_eq!(run(&["extract", "meta.iso", "config"]), failed(1, &line));
    let line = format!("writing the image to standard output: writing the image: {broken}");
    assert_eq!(run(&["create", "-", "-q", "x"]), failed(1, &line));
}
