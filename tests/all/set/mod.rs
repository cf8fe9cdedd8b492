//! `metadata set`: files of an image are changed, and all else is kept or the image is rejected.

mod foreign;
mod image_file;
mod manifest;
mod names;

use std::{fs, os::unix::fs::PermissionsExt};

use serde_json::Value;

use crate::support::{Sandbox, done, failed, noise};

const OLD: &str = "#cloud-config\npackages: [nginx]\n";
const NEW: &str = "#cloud-config\npackages: [nginx, vim]\n";

/// A sandbox with `old`, `new` and an image of `layout` with `old` as its user data.
fn with_image(layout: &str, options: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("old", OLD);
    sandbox.write("new", NEW);
    create(&sandbox, "seed.iso", layout, "old", options);
    sandbox
}

fn create(sandbox: &Sandbox, image: &str, layout: &str, data: &str, options: &[&str]) {
    sandbox.succeed([&["create", image, "--layout", layout, "--data-file", data], options].concat());
}

/// A sandbox with `new` and an image that another program makes of a seed.
fn with_foreign_image(command: &[&str]) -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("new", NEW);
    sandbox.write("seed/user-data", OLD);
    sandbox.write("seed/meta-data", "# mine\ninstance-id: i-1 # given\n");
    sandbox.write("seed/tool", "#!/bin/sh\n");
    fs::create_dir_all(sandbox.path("seed/empty/below")).unwrap();
    sandbox.tool("touch", ["-d", "2001-02-03T04:05:06Z", "seed/tool"]);
    sandbox.tool("chown", ["-h", "12:34", "seed/tool"]);
    fs::set_permissions(sandbox.path("seed/tool"), fs::Permissions::from_mode(0o4755)).unwrap();
    sandbox.tool(command[0], [&command[1..], &["-o", "seed.iso", "seed"]].concat());
    sandbox
}

fn show(sandbox: &Sandbox, image: &str) -> Value {
    serde_json::from_slice(&sandbox.succeed(["show", "--json", image])).unwrap()
}

fn extracted(sandbox: &Sandbox, name: &str) -> String {
    String::from_utf8(sandbox.succeed(["extract", "seed.iso", name])).unwrap()
}

#[test]
fn an_image_with_new_content_is_the_one_that_create_makes() {
    let keys = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPKr4SYjQM8sUXZ7Ru3aDGlU7yBGEn3h9SZnUE0Bv5Y9 a\n";
    for (layout, name) in
        [("linuxkit", "config"), ("nocloud", "user-data"), ("configdrive", "openstack/latest/user_data")]
    {
        let sandbox = with_image("linuxkit", &[]);
        sandbox.write("keys", keys);
        sandbox.write("large", noise(3_000_000));
        let generated: &[&str] =
            if layout == "linuxkit" { &[] } else { &["--hostname", "web", "--ssh-key", "keys"] };
        let deep = "1/2/3/4/5/6/7/8/9=old";
        for more in [&[] as &[&str], &["--file", "x/large=large", "--file", deep]] {
            let options = [generated, more].concat();
            create(&sandbox, "seed.iso", layout, "old", &options);
            let before = sandbox.read("seed.iso");
            sandbox.succeed(["set", "seed.iso", &format!("{name}=old")]);
            assert!(sandbox.read("seed.iso") == before, "{layout}, {more:?}: the same content");
            sandbox.succeed(["set", "seed.iso", &format!("{name}=new")]);
            create(&sandbox, "new.iso", layout, "new", &options);
            assert!(sandbox.read("seed.iso") == sandbox.read("new.iso"), "{layout}, {more:?}");
            sandbox.succeed(["set", "seed.iso", "a/b=old", &format!("{name}=old")]);
            create(&sandbox, "new.iso", layout, "old", &[&options[..], &["--file", "a/b=old"]].concat());
            assert!(sandbox.read("seed.iso") == sandbox.read("new.iso"), "{layout}, {more:?}: another file");
            sandbox.succeed(["set", "seed.iso", "--remove", "a/b"]);
            assert!(sandbox.read("seed.iso") == before, "{layout}, {more:?}: the file removed");
        }
    }
}

#[test]
fn a_host_name_and_an_instance_id_are_those_that_create_writes() {
    for layout in ["nocloud", "configdrive"] {
        let sandbox = with_image(layout, &["--hostname", "web"]);
        for options in [&["--hostname", "web2"] as &[_], &["--hostname", "web2", "--instance-id", "i-2"]] {
            sandbox.succeed([&["set", "seed.iso"], options].concat());
            create(&sandbox, "new.iso", layout, "old", options);
            assert!(sandbox.read("seed.iso") == sandbox.read("new.iso"), "{layout}, {options:?}");
        }
    }
}

#[test]
fn findings_about_new_files_are_shown_and_agents_that_lose_their_data() {
    let sandbox = with_image("nocloud", &["--instance-id", "i-1"]);
    let ran =
        sandbox.run_with_input(["set", "-q", "--lenient", "seed.iso", "user-data=-"], "# cloud-config\n");
    assert_eq!(ran.status, Some(0));
    assert!(ran.stderr.starts_with("error[no-header]: "), "{}", ran.stderr);
    let before = sandbox.read("seed.iso");
    let ran =
        sandbox.run_with_input(["set", "-q", "--strict", "seed.iso", "user-data=-"], "# cloud-config\na\n");
    assert!(ran.stderr.ends_with("seed.iso/user-data has 1 error, no warnings\n"), "{}", ran.stderr);
    let lost = "cloud-init no longer finds its data: no file meta-data";
    assert_eq!(
        sandbox.run(["set", "--strict", "seed.iso", "--remove", "meta-data"]),
        failed(1, &format!("changing image \"seed.iso\": {lost}"))
    );
    assert!(sandbox.read("seed.iso") == before);
    let ran = sandbox.run(["set", "seed.iso", "--remove", "meta-data"]);
    let expected =
        format!("metadata: warning: seed.iso: {lost}\nmetadata: seed.iso: 372736 bytes, layout unknown\n");
    assert_eq!(ran, done(&expected));
}

#[test]
fn json_describes_the_new_image() {
    let sandbox = with_image("nocloud", &["--instance-id", "i-1"]);
    let output = sandbox.succeed(["set", "-q", "--json", "--sync", "seed.iso", "user-data=new"]);
    let found: Value = serde_json::from_slice(&output).unwrap();
    let digest = String::from_utf8(sandbox.tool("sha256sum", ["seed.iso"])).unwrap();
    assert_eq!(found["sha256"], digest[..64]);
    assert_eq!(found["files"][1]["size"], NEW.len());
    assert!(found["warnings"][0]["message"].as_str().unwrap().starts_with("the instance ID \"i-1\" stays"));
}
