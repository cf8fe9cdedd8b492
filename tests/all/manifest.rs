//! Strings attached to a boot: `create --run-metadata`, `confirm`, and what `show` says of them.

use std::{fs, os::unix::fs::PermissionsExt, thread};

use crate::support::{Ran, Sandbox, done, failed, linuxkit_image, noise};

#[test]
fn a_manifest_lists_every_other_file_and_the_strings() {
    let sandbox = Sandbox::new();
    sandbox.write("ca.pem", "pem");
    sandbox.succeed([
        "create",
        "meta.iso",
        "hello",
        "--file",
        "keys/ca.pem=ca.pem",
        "--run-metadata",
        "deploy",
        "--run-metadata",
        "-v \"1\"",
        "--run-id",
        "r1",
    ]);
    let manifest = sandbox.succeed(["extract", "meta.iso", "manifest.json"]);
    assert_eq!(
        String::from_utf8(manifest).unwrap(),
        concat!(
            r#"{"created_at":"1980-01-01T00:00:00Z","files":[{"name":"config","sha256":"#,
            r#""2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824","size":5},{"name":"keys/ca.pem","#,
            r#""sha256":"f0aeace912cf19dc1c6fffd41de6e395daeb5462f1221945706bd0674c3005eb","size":3}],"#,
            r#""layout":"linuxkit","run_id":"r1","user_provided_metadata":["deploy","-v \"1\""],"version":1,"#,
            r#""volume_identifier":"CIDATA"}"#
        )
    );
    let shown = String::from_utf8(sandbox.succeed(["show", "meta.iso"])).unwrap();
    let said = "run       r1\nmetadata  deploy\nmetadata  -v \"1\"\nsigned    no\n\n";
    assert!(shown.contains(said), "{shown}");
}

#[test]
fn an_image_without_strings_has_no_manifest() {
    let sandbox = Sandbox::new();
    sandbox.succeed(["create", "meta.iso", "hello"]);
    assert_eq!(
        sandbox.run(["extract", "meta.iso", "manifest.json"]),
        failed(1, "image \"meta.iso\" has no file \"manifest.json\"; it has \"config\"")
    );
}

#[test]
fn a_file_that_is_called_as_a_manifest_is_warned_about() {
    let sandbox = Sandbox::new();
    sandbox.write("f", "1");
    let ran = sandbox.run(["create", "--quiet", "meta.iso", "hello", "--file", "manifest.json=f"]);
    let warning = "file \"manifest.json\" will be read as a manifest, as --run-metadata makes it";
    assert_eq!((ran.status, ran.stderr), (Some(0), format!("metadata: warning: {warning}\n")));
}

#[test]
fn a_manifest_does_not_change_the_instance_id() {
    let sandbox = Sandbox::new();
    sandbox.write("large", noise(3_000_000));
    for layout in ["nocloud", "configdrive"] {
        let create = ["create", "meta.iso", "#!\n", "--layout", layout, "--file", "large=large"];
        let name = if layout == "nocloud" { "meta-data" } else { "openstack/latest/meta_data.json" };
        sandbox.succeed(create);
        let without = sandbox.succeed(["extract", "meta.iso", name]);
        sandbox.succeed([&create[..], &["--run-metadata", "deploy"]].concat());
        assert_eq!(sandbox.succeed(["extract", "meta.iso", name]), without);
    }
}

#[test]
fn confirming_makes_the_image_that_creating_with_all_strings_makes() {
    let sandbox = Sandbox::new();
    sandbox.write("small", noise(5000));
    sandbox.write("large", noise(3_000_000));
    let options: [&[&str]; 4] = [
        &["hello"],
        &["--data-file", "large", "--file", "models/small=small", "--file", "empty=/dev/null"],
        &[
            "#!\n",
            "--layout",
            "nocloud",
            "--network-config",
            "small",
            "--volume-id",
            "mine",
            "--file",
            "large=large",
        ],
        &["#!\n", "--layout", "configdrive", "--hostname", "web", "--vendor-data", "small"],
    ];
    for options in options {
        let create = |image: &str, strings: &[&str]| {
            let strings = strings.iter().flat_map(|string| ["--run-metadata", string]);
            let arguments: Vec<_> = ["create", "--lenient", image]
                .into_iter()
                .chain(options.iter().copied())
                .chain(strings)
                .collect();
            let output = sandbox.command(arguments).env("SOURCE_DATE_EPOCH", "1700000001").output().unwrap();
            assert!(output.status.success(), "{output:?}");
        };
        create("all.iso", &["one", "two", "three"]);
        create("meta.iso", &["one"]);
        sandbox.succeed(["confirm", "meta.iso", "--run-metadata", "two", "--run-metadata", "three"]);
        assert!(sandbox.read("meta.iso") == sandbox.read("all.iso"), "{options:?}");
    }
}

#[test]
fn of_those_who_confirm_at_once_none_is_lost() {
    let sandbox = Sandbox::new();
    sandbox.succeed(["create", "meta.iso", "hello"]);
    let strings: Vec<_> = (0..8).map(|number| number.to_string()).collect();
    thread::scope(|scope| {
        for string in &strings {
            scope.spawn(|| sandbox.succeed(["confirm", "meta.iso", "--run-metadata", string]));
        }
    });
    let manifest = sandbox.succeed(["extract", "meta.iso", "manifest.json"]);
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let mut attached: Vec<_> = manifest["user_provided_metadata"].as_array().unwrap().iter().collect();
    attached.sort_by_key(|string| string.as_str());
    assert_eq!(attached, strings.iter().collect::<Vec<_>>());
}

#[test]
fn an_image_without_a_manifest_gets_one_when_it_is_confirmed() {
    let sandbox = Sandbox::new();
    sandbox.succeed(["create", "meta.iso", "hello"]);
    sandbox.succeed(["create", "new.iso", "hello", "--run-metadata", "x"]);
    let id = "46da07b36016d63f1653fe1f83ecf214";
    assert_eq!(
        sandbox.run(["confirm", "meta.iso", "--run-metadata", "x"]),
        done(&format!("metadata: meta.iso: 372736 bytes, layout linuxkit, run {id}\n"))
    );
    assert!(sandbox.read("meta.iso") == sandbox.read("new.iso"));
}

#[test]
fn confirming_keeps_the_permission_bits_and_a_link() {
    let sandbox = Sandbox::new();
    let path = sandbox.path("meta.iso");
    sandbox.succeed(["create", "meta.iso", "hello", "--mode", "0644"]);
    std::os::unix::fs::symlink("meta.iso", sandbox.path("link")).unwrap();
    assert_eq!(sandbox.run(["confirm", "--quiet", "link", "--run-metadata", "x"]), done(""));
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o7777, 0o644);
    assert_eq!(sandbox.names(), ["link", "meta.iso"]);
}

#[test]
fn an_image_that_is_not_what_its_manifest_says_is_not_confirmed() {
    let sandbox = Sandbox::new();
    sandbox.succeed(["create", "meta.iso", "hello", "--run-metadata", "x"]);
    let mut image = sandbox.read("meta.iso");
    let at = image.windows(5).position(|bytes| bytes == b"hello").unwrap();
    image[at] = b'j';
    sandbox.write("meta.iso", &image);
    assert_eq!(
        sandbox.run(["confirm", "meta.iso", "--run-metadata", "y"]),
        failed(
            1,
            "confirming image \"meta.iso\": comparing the image with its manifest.json: file \"config\" has other content, \
             with the SHA-256 digest 187c9bceeb919e1b3e6d20fa50ecabf7d9d50b5343e8f9a3d912abb13929102e"
        )
    );
    assert!(sandbox.read("meta.iso") == image, "the image is as it was");
}

#[test]
fn what_cannot_be_confirmed_is_an_error() {
    let sandbox = Sandbox::new();
    sandbox.write("linuxkit.iso", linuxkit_image(b"hello"));
    sandbox.write("text", "text");
    sandbox.succeed(["create", "--lenient", "other.iso", "#!", "-l", "nocloud", "--volume-id", "mine"]);
    for (image, error) in [
        ("linuxkit.iso", "confirming image \"linuxkit.iso\": the volume has no valid date"),
        ("other.iso", "confirming image \"other.iso\": the layout is unknown"),
        ("text", "reading image \"text\": not an ISO 9660 or FAT image"),
        ("none.iso", "reading image \"none.iso\": No such file or directory (os error 2)"),
        ("/dev/null", "confirming image \"/dev/null\": is a device"),
    ] {
        assert_eq!(sandbox.run(["confirm", image, "--run-metadata", "x"]), failed(1, error));
    }
    assert_eq!(sandbox.run(["confirm", "other.iso"]).status, Some(2));
}

#[test]
fn names_and_ids_that_no_manifest_can_have_are_usage_errors() {
    let sandbox = Sandbox::new();
    sandbox.write("f", "1");
    let create =
        |more: &[&str]| sandbox.run([&["create", "meta.iso", "hello", "--run-metadata", "x"], more].concat());
    let own =
        |name: &str| failed(2, &format!("file name {name:?} is used for the manifest or its signature"));
    assert_eq!(create(&["--file", "manifest.json=f"]), own("manifest.json"));
    assert_eq!(create(&["--file", "manifest.json.sig=f"]), own("manifest.json.sig"));
    assert_eq!(
        create(&["--file", "manifest.json/x=f"]),
        failed(2, "file name \"manifest.json\" is also a directory of another file")
    );
    assert_eq!(create(&["--run-id", ""]), failed(2, "the run ID is empty"));
    assert_eq!(create(&["--run-id", "a\nb"]), failed(2, r#"the run ID "a\nb" has control characters"#));
    let Ran { status, stderr, .. } = sandbox.run(["create", "meta.iso", "hello", "--run-id", "x"]);
    assert_eq!((status, stderr.contains("--run-metadata")), (Some(2), true), "{stderr}");
    assert_eq!(sandbox.names(), ["f"]);
    // Without strings a file may have any name.
    sandbox.succeed(["create", "meta.iso", "hello", "--file", "manifest.json=f"]);
    let shown = String::from_utf8(sandbox.succeed(["show", "meta.iso"])).unwrap();
    assert!(shown.contains("manifest  reading manifest.json: invalid type"), "{shown}");
}

#[test]
fn a_manifest_is_the_same_whether_data_comes_from_a_file_or_a_pipe() {
    let sandbox = Sandbox::new();
    let data = noise(3_000_000);
    sandbox.write("large", &data);
    let strings = ["--run-metadata", "x"];
    sandbox.succeed([&["create", "file.iso", "--data-file", "large"], &strings[..]].concat());
    for image in ["pipe.iso", "-"] {
        let create = [&["create", image, "--data-file", "-"], &strings[..]].concat();
        let output = sandbox.command(create).write_stdin(data.clone()).output().unwrap();
        assert!(output.status.success());
        let made = if image == "-" { output.stdout } else { sandbox.read(image) };
        assert!(made == sandbox.read("file.iso"), "{image}");
    }
}

#[test]
#[ignore = "needs genisoimage"]
fn an_image_of_genisoimage_can_be_confirmed() {
    let sandbox = Sandbox::new();
    sandbox.write("seed/user-data", "#cloud-config\n");
    sandbox.write("seed/meta-data", "instance-id: i-1\n");
    sandbox.tool("genisoimage", ["-quiet", "-V", "cidata", "-J", "-r", "-o", "seed.iso", "seed"]);
    sandbox.succeed(["confirm", "--quiet", "seed.iso", "--run-metadata", "x"]);
    assert_eq!(sandbox.succeed(["extract", "seed.iso", "user-data"]), b"#cloud-config\n");
    assert_eq!(sandbox.succeed(["extract", "seed.iso", "meta-data"]), b"instance-id: i-1\n");
    let shown = String::from_utf8(sandbox.succeed(["show", "seed.iso"])).unwrap();
    assert!(shown.contains("\nvolume    cidata\nlayout    nocloud\n"), "{shown}");
    sandbox.write("seed/empty/../link-target", "");
    fs::create_dir(sandbox.path("seed/none")).unwrap();
    sandbox.tool("genisoimage", ["-quiet", "-V", "cidata", "-J", "-r", "-o", "seed.iso", "seed"]);
    let Ran { status, stderr, .. } = sandbox.run(["confirm", "seed.iso", "--run-metadata", "x"]);
    assert_eq!(status, Some(1));
    assert!(stderr.ends_with("has no files, so a manifest cannot list it\n"), "{stderr}");
}
