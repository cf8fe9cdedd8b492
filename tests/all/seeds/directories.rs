//! `--from`: the files of a directory.

use std::fs;

use super::{CONFIG, made, sandbox};
use crate::support::{Ran, done, failed};

#[test]
fn a_directory_is_a_seed_by_its_files() {
    let sandbox = sandbox();
    let from = |files: &[&str], arguments: &[&str]| {
        let _ = fs::remove_dir_all(sandbox.path("seed"));
        for file in files {
            let content = match *file {
                "user-data" | "openstack/latest/user_data" => CONFIG,
                "meta-data" => "instance-id: i-1\n",
                file if file.contains("_data.json") => "{\"uuid\": \"i-1\"}",
                _ => "version: 2\n",
            };
            sandbox.write(&format!("seed/{file}"), content);
        }
        sandbox.run([&["create", "--from", "seed", "seed.iso"], arguments].concat())
    };
    let names = || {
        let shown: serde_json::Value =
            serde_json::from_slice(&sandbox.succeed(["show", "--json", "seed.iso"])).unwrap();
        let files = shown["files"].as_array().unwrap().clone();
        files.iter().filter_map(|file| file["name"].as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    assert_eq!(from(&["user-data", "network-config", "README"], &[]), done(&made("nocloud")));
    assert_eq!(names(), ["meta-data", "network-config", "user-data"]);
    let drive = ["openstack/latest/meta_data.json", "openstack/latest/user_data"];
    assert_eq!(from(&drive, &[]), done(&made("configdrive")));
    assert_eq!(names().len(), 4, "two directories and two files: {:?}", names());
    let both = ["user-data", drive[0]];
    assert_eq!(from(&both, &["-l", "nocloud", "-H", "web"]), done(&made("nocloud")));
    let reading = |fault: &str| failed(1, &format!("reading seed directory \"seed\": {fault}"));
    assert_eq!(
        from(&both, &[]),
        reading("it has the files of two layouts; choose one with --layout nocloud or configdrive")
    );
    assert_eq!(
        from(&["config"], &[]),
        reading("it has no user-data, no meta-data and no openstack/latest (for LinuxKit, use --data-dir)")
    );
    assert_eq!(
        from(&["user-data"], &["-l", "configdrive"]),
        reading("file \"user-data\" is not used; name it \"openstack/latest/user_data\"")
    );
    assert_eq!(
        sandbox.run(["create", "--from", "none", "seed.iso"]),
        failed(1, "reading seed directory \"none\": No such file or directory (os error 2)")
    );
}

#[test]
fn a_name_in_a_directory_that_is_almost_right_is_named() {
    let sandbox = sandbox();
    for name in ["user-data.yaml", "user_data", "network-config.yml", "README"] {
        sandbox.write(&format!("seed/{name}"), CONFIG);
    }
    let create = ["create", "--from", "seed", "seed.iso"];
    let note = |name: &str, meant: &str| format!("file {name:?} is not used; name it {meant:?}");
    let first = note("network-config.yml", "network-config");
    assert_eq!(sandbox.run(create), failed(1, &format!("reading seed directory \"seed\": {first}")));
    sandbox.write("seed/meta-data", "instance-id: i-1\n");
    let notes = [first, note("user-data.yaml", "user-data"), note("user_data", "user-data")];
    let notes = notes.map(|note| format!("metadata: warning: {note}\n")).concat();
    assert_eq!(sandbox.run(create), done(&(notes + &made("nocloud"))));
    let line = "{\"image\": \"b.iso\", \"from\": \"seed\"}\n";
    let ran = sandbox.run_with_input(["batch", "-q", "--into", "."], line);
    assert_eq!(ran.stderr.lines().count(), 3, "{}", ran.stderr);
    // check finds the same.
    let finding = |name: &str, meant: &str| {
        format!(
            "warning[near-name]: the file is not used\n--> seed/{name}\n |\nhelp: name it \"{meant}\"\n\n"
        )
    };
    let findings = [
        ("network-config.yml", "network-config"),
        ("user-data.yaml", "user-data"),
        ("user_data", "user-data"),
    ];
    let expected = Ran {
        status: Some(0),
        stdout: findings.map(|(name, meant)| finding(name, meant)).concat(),
        stderr: "metadata: seed/meta-data: checked as meta-data: no errors, no warnings\n\
                 metadata: 1 file checked: no errors, 3 warnings\n"
            .to_owned(),
    };
    assert_eq!(sandbox.run(["check", "seed"]), expected);
    assert_eq!(sandbox.run(["check", "--strict", "seed"]).status, Some(1));
    let sarif: serde_json::Value =
        serde_json::from_slice(&sandbox.succeed(["check", "--format", "sarif", "seed"])).unwrap();
    let place =
        &sarif["runs"][0]["results"][1]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"];
    assert_eq!(place, "seed/user-data.yaml");
    fs::remove_file(sandbox.path("seed/meta-data")).unwrap();
    assert_eq!(
        sandbox.run(["check", "seed"]),
        failed(1, &format!("reading \"seed\": {}", note("network-config.yml", "network-config")))
    );
    sandbox.write("seed/meta-data", "instance-id: i-1\n");
    sandbox.write("seed/user-data", CONFIG);
    sandbox.write("seed/network-config", "version: 2\n");
    assert_eq!(sandbox.run(create), done(&made("nocloud")), "the right file is there as well");
    let ran = sandbox.run(["create", "-l", "nocloud", "-H", "a", "--file", "usr-data=a.yaml", "seed.iso"]);
    assert_eq!(
        ran,
        done(&format!("metadata: warning: {}\n{}", note("usr-data", "user-data"), made("nocloud")))
    );
}

#[test]
fn another_path_than_that_of_a_seed_shows_the_right_one() {
    let sandbox = sandbox();
    sandbox.write("drive/openstack/latest/user_data", CONFIG);
    sandbox.write("drive/openstack/latest/meta_data.json", "{}");
    sandbox.write("seed/meta-data", "instance-id: i-1\n");
    sandbox.succeed(["create", "-q", "old.iso", "hello"]);
    sandbox.write(
        "k.pub",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPKr4SYjQM8sUXZ7Ru3aDGlU7yBGEn3h9SZnUE0Bv5Y9 a\n",
    );
    let whole = sandbox.path("drive").canonicalize().unwrap();
    let drive = |from: &str, above: &str| {
        format!(
            "reading seed directory {from:?}: it has the files of a config drive; give the directory that openstack is in: \
             --from {above:?}"
        )
    };
    std::os::unix::fs::symlink("drive/openstack/latest", sandbox.path("link")).unwrap();
    for from in ["drive/openstack", "drive/openstack/latest", "drive/openstack/latest/"] {
        assert_eq!(sandbox.run(["create", "--from", from, "x.iso"]), failed(1, &drive(from, "drive")));
    }
    for from in ["link", "drive/openstack/."] {
        let ran = sandbox.run(["create", "--from", from, "x.iso"]);
        let above = if from == "link" { whole.to_str().unwrap() } else { "drive" };
        assert_eq!(ran, failed(1, &drive(from, above)));
    }
    for (arguments, line) in [
        (
            &["--from", "user-data", "-H", "web"] as &[_],
            "--from takes a directory, and \"user-data\" is a file; to store it: metadata create --layout nocloud --user-data \
             user-data --hostname web x.iso",
        ),
        (
            &["--from", "meta-data"],
            "--from takes a directory, and \"meta-data\" is a file; to store it: metadata create --layout nocloud --meta-data \
             meta-data x.iso",
        ),
        (
            &["--from", "old.iso"],
            "--from takes the directory of a seed, and \"old.iso\" is an image; to change a file of it: metadata set old.iso \
             NAME=PATH",
        ),
        (
            &["--from", "seed", "-H", "web"],
            "hostname is for generated meta-data, but the meta-data is \"seed/meta-data\"; write \"local-hostname\" there, or \
             leave that file out",
        ),
        (
            &["--from", "drive", "--ssh-key", "k.pub"],
            "ssh-key is for generated meta-data, but the meta-data is \"drive/openstack/latest/meta_data.json\"; write \
             \"public_keys\" there, or leave that file out",
        ),
    ] {
        let ran = sandbox.run([&["create"], arguments, &["x.iso"]].concat());
        assert_eq!(ran, failed(2, line), "{arguments:?}");
    }
    let line = "{\"image\": \"x.iso\", \"from\": \"user-data\"}\n";
    let why = "standard input: line 1: from takes a directory, and \"user-data\" is a file; write \"user_data\": \"user-data\"; \
               0 images built in \".\"";
    assert_eq!(sandbox.run_with_input(["batch", "--into", "."], line), failed(1, why));
    assert!(!sandbox.path("x.iso").exists());
}

#[test]
fn an_image_that_is_left_out_is_shown() {
    let sandbox = sandbox();
    let line = "building image \"b.sh\": the existing file is not an image; was this meant: metadata create --layout nocloud \
                --user-data a.yaml --user-data b.sh IMAGE (--force replaces \"b.sh\")";
    assert_eq!(sandbox.run(["create", "--user-data", "a.yaml", "b.sh"]), failed(1, line));
    sandbox.write("seed/user-data", CONFIG);
    sandbox.write("tree/a", "b");
    for (directory, command) in [("seed", "--from seed"), ("tree", "--data-dir tree")] {
        let line = format!(
            "building image {directory:?}: is a directory; was this meant: metadata create {command} x.iso"
        );
        assert_eq!(sandbox.run(["create", directory, "x.iso"]), failed(1, &line));
    }
}

#[test]
fn all_files_of_a_config_drive_come_from_its_directory() {
    let sandbox = sandbox();
    let files = [
        "ec2/latest/meta-data.json",
        "openstack/2018-08-27/user_data",
        "openstack/content/0000",
        "openstack/latest/meta_data.json",
        "openstack/latest/user_data",
    ];
    for file in files {
        sandbox.write(&format!("seed/{file}"), if file.ends_with("user_data") { CONFIG } else { "{}" });
    }
    sandbox.write("seed/README", "hello");
    std::os::unix::fs::symlink("../../README", sandbox.path("seed/openstack/content/0001")).unwrap();
    let ran = sandbox.run(["create", "-q", "--lenient", "--from", "seed", "seed.iso"]);
    assert_eq!(ran.status, Some(0), "{}", ran.stderr);
    let shown: serde_json::Value =
        serde_json::from_slice(&sandbox.succeed(["show", "--json", "seed.iso"])).unwrap();
    let shown = shown["files"].as_array().unwrap().iter().filter(|file| file["kind"] == "file");
    let mut shown: Vec<_> = shown.map(|file| file["name"].as_str().unwrap()).collect();
    shown.sort_unstable();
    let mut expected = [&files[..], &["openstack/content/0001"]].concat();
    expected.sort_unstable();
    assert_eq!(shown, expected);
    assert_eq!(sandbox.succeed(["extract", "seed.iso", "openstack/content/0001"]), b"hello");
    std::os::unix::fs::symlink("..", sandbox.path("seed/openstack/loop")).unwrap();
    let ran = sandbox.run(["create", "-q", "--from", "seed", "seed.iso"]);
    assert!(ran.stderr.ends_with("seed/openstack/loop\" is not a regular file\n"), "{}", ran.stderr);
}
