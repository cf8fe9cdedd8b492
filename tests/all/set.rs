//! `metadata set`: files of an image are changed, and all else is kept or the image is rejected.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{
    interruption::heeding_signals,
    support::{Ran, Sandbox, done, failed, linuxkit_image, noise},
};

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
#[ignore = "needs genisoimage and xorriso"]
fn images_of_other_programs_keep_all_else() {
    for command in [
        &["genisoimage", "-quiet", "-V", "cidata", "-J", "-R"] as &[_],
        &["genisoimage", "-quiet", "-V", "cidata", "-R"],
        &["xorriso", "-as", "mkisofs", "-quiet", "-V", "cidata", "-J", "-R"],
    ] {
        let sandbox = with_foreign_image(command);
        let before = show(&sandbox, "seed.iso");
        let listed = |sandbox: &Sandbox| {
            let text = sandbox.tool("bsdtar", ["-tvf", "seed.iso", "--numeric-owner"]);
            let text = String::from_utf8(text).unwrap();
            // Without the sizes, and without the root directory, which readers list or not.
            let lines = text.lines().filter(|line| !line.ends_with(" ."));
            let mut lines: Vec<_> = lines
                .map(|line| line.split_whitespace().collect::<Vec<_>>())
                .map(|w| (w[0].to_owned(), w[2..4].join(":"), w[5..].join(" ").replace("./", "")))
                .collect();
            lines.sort();
            lines
        };
        let listed_before = listed(&sandbox);
        assert!(
            listed_before.iter().any(|line| line.0 == "-rwsr-xr-x" && line.1 == "12:34"),
            "{listed_before:?}"
        );
        let ran = sandbox.run(["set", "seed.iso", "user-data=new"]);
        let id = "the instance ID \"i-1\" stays, so cloud-init does not repeat what it does once per instance \
                  (--instance-id gives another)";
        let bytes = fs::metadata(sandbox.path("seed.iso")).unwrap().len();
        assert_eq!(
            ran,
            done(&format!(
                "metadata: warning: seed.iso: {id}\nmetadata: seed.iso: {bytes} bytes, layout nocloud\n"
            )),
            "{command:?}"
        );
        let after = show(&sandbox, "seed.iso");
        for field in ["volume_identifier", "created", "modified", "layout"] {
            assert_eq!(after[field], before[field], "{command:?}");
        }
        assert_eq!(extracted(&sandbox, "user-data"), NEW);
        assert_eq!(extracted(&sandbox, "meta-data"), "# mine\ninstance-id: i-1 # given\n");
        // The new file has the date of the volume.
        let except = |lines: Vec<(String, String, String)>| {
            lines.into_iter().filter(|line| !line.2.ends_with("user-data")).collect::<Vec<_>>()
        };
        assert_eq!(except(listed(&sandbox)), except(listed_before), "{command:?}");

        sandbox.succeed(["set", "seed.iso", "--hostname", "web"]);
        let changed = "# mine\ninstance-id: i-1 # given\nlocal-hostname: \"web\"\n";
        assert_eq!(extracted(&sandbox, "meta-data"), changed);
    }
}

#[test]
fn the_malformed_images_of_linuxkit_are_changed() {
    let sandbox = with_image("linuxkit", &[]);
    sandbox.write("seed.iso", linuxkit_image(b"hello"));
    sandbox.write("config", "hello again");
    assert_eq!(
        sandbox.run(["set", "seed.iso", "config=config"]),
        done("metadata: seed.iso: 372736 bytes, layout linuxkit\n")
    );
    assert_eq!(extracted(&sandbox, "config"), "hello again");
    assert_eq!(show(&sandbox, "seed.iso")["volume_identifier"], "config");
}

#[test]
#[ignore = "needs genisoimage and xorriso"]
fn what_a_new_image_would_not_have_is_named_and_the_image_is_unchanged() {
    let sandbox = Sandbox::new();
    sandbox.write("new", NEW);
    sandbox.write("seed/user-data", OLD);
    sandbox.write("seed/boot", noise(2048));
    sandbox.write("other/x", "x");
    sandbox.write("links/config", "x");
    symlink("config", sandbox.path("links/user-data")).unwrap();
    sandbox.write("hard/a", "x");
    fs::hard_link(sandbox.path("hard/a"), sandbox.path("hard/b")).unwrap();
    sandbox.write("device/config", "x");
    sandbox.tool("mkfifo", ["device/fifo"]);
    let made: [(&[&str], &str); 8] = [
        (
            &[
                "genisoimage",
                "-quiet",
                "-R",
                "-b",
                "boot",
                "-no-emul-boot",
                "-c",
                "catalog",
                "-o",
                "seed.iso",
                "seed",
            ],
            "the image has a boot record, which a new image would not have",
        ),
        (
            &["genisoimage", "-quiet", "-R", "-o", "seed.iso", "links"],
            "\"user-data\" is a symbolic link, which a new image would not have (--remove leaves it out)",
        ),
        (
            &["genisoimage", "-quiet", "-R", "-o", "seed.iso", "device"],
            "\"fifo\" is a device, a FIFO or a socket, which a new image would not have (--remove leaves it out)",
        ),
        (
            &["genisoimage", "-quiet", "-R", "-cache-inodes", "-o", "seed.iso", "hard"],
            "\"a\" and \"b\" are one file with two names, a hard link, which a new image would not have (--remove leaves one out)",
        ),
        (
            &["genisoimage", "-quiet", "-R", "-udf", "-o", "seed.iso", "seed"],
            "reading image \"seed.iso\": the image has a second file system, UDF, which a new image would not have",
        ),
        (
            &[
                "sh",
                "-c",
                "genisoimage -quiet -R -o seed.iso seed && printf x | dd of=seed.iso conv=notrunc status=none",
            ],
            "reading image \"seed.iso\": the image has a boot loader, a partition table or another file system in its first \
             32 KiB, which a new image would not have",
        ),
        (
            &["sh", "-c", "genisoimage -quiet -R -o seed.iso seed && echo more >> seed.iso"],
            "reading image \"seed.iso\": the image has data after the end of its volume, from byte",
        ),
        (
            &[
                "sh",
                "-c",
                "rm seed.iso; xorriso -outdev seed.iso -map seed / 2>&1 && xorriso -dev seed.iso -map other/x /x 2>&1",
            ],
            "reading image \"seed.iso\": the image has several sessions, and a new image would have only the files of the one \
             that is read",
        ),
    ];
    for (command, why) in made {
        sandbox.tool(command[0], &command[1..]);
        let before = sandbox.read("seed.iso");
        let ran = sandbox.run(["set", "seed.iso", "new=new"]);
        assert!(
            ran.stderr.starts_with(&format!("metadata: changing image \"seed.iso\": {why}")),
            "{}",
            ran.stderr
        );
        assert_eq!((ran.status, ran.stderr.lines().count()), (Some(1), 1));
        assert!(sandbox.read("seed.iso") == before, "{why}");
    }
    for (directory, gone) in [("links", "user-data"), ("device", "fifo"), ("hard", "b")] {
        sandbox.tool("genisoimage", ["-quiet", "-R", "-cache-inodes", "-o", "seed.iso", directory]);
        sandbox.succeed(["set", "seed.iso", "new=new", "--remove", gone]);
        assert_eq!(extracted(&sandbox, "new"), NEW);
    }
    // A file that was a link is a file now.
    sandbox.tool("genisoimage", ["-quiet", "-R", "-o", "seed.iso", "links"]);
    sandbox.succeed(["set", "seed.iso", "user-data=new"]);
    assert_eq!(extracted(&sandbox, "user-data"), NEW);
}

#[test]
fn an_image_that_native_xorriso_writes_once_has_one_session() {
    // It writes its descriptors twice, at sectors 16 and 48.
    let sandbox = with_image("nocloud", &[]);
    let mut image = sandbox.read("seed.iso");
    let (first, at) = (32_768..32_768 + 3 * 2048, image.len() - 8 * 2048);
    image.copy_within(first, at);
    sandbox.write("seed.iso", &image);
    sandbox.succeed(["set", "seed.iso", "user-data=new"]);
    image[at + 158] ^= 1;
    sandbox.write("seed.iso", &image);
    let ran = sandbox.run(["set", "seed.iso", "user-data=new"]);
    assert!(ran.stderr.contains("the image has several sessions"), "{}", ran.stderr);
}

/// The strings and the run id of an image, if it has a manifest.
fn stated(sandbox: &Sandbox) -> Option<(Value, Value)> {
    let manifest = show(sandbox, "seed.iso").get("manifest").cloned()?;
    assert_eq!(manifest["signed"], false);
    Some((manifest["user_provided_metadata"].clone(), manifest["run_id"].clone()))
}

#[test]
fn what_was_stated_about_the_old_content_goes_and_that_is_said() {
    let sandbox = with_image("nocloud", &["--hostname", "web", "--run-metadata", "a", "--run-metadata", "b"]);
    sandbox.tool("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", "key"]);
    sandbox.succeed(["sign", "seed.iso", "--key", "key", "--not-after", "2099-01-01", "--audience", "x"]);
    let ran = sandbox.run(["set", "--quiet", "seed.iso", "user-data=new"]);
    let lost = "the manifest was about the old content and was removed, with 2 strings, the time limits, the audience, \
                the run ID, the signature";
    assert_eq!(ran, done(&format!("metadata: warning: seed.iso: {lost}\n")));
    assert_eq!(stated(&sandbox), None);
    create(&sandbox, "new.iso", "nocloud", "new", &["--hostname", "web"]);
    assert!(sandbox.read("seed.iso") == sandbox.read("new.iso"), "the generated instance id follows");
}

#[test]
fn a_run_id_that_was_given_stays() {
    let sandbox = with_image("nocloud", &["--run-metadata", "a", "--run-id", "r-1"]);
    let ran = sandbox.run(["set", "-q", "seed.iso", "user-data=new"]);
    let lost =
        "the manifest keeps only the run ID \"r-1\"; removed, because it was about the old content: 1 string";
    assert_eq!(ran, done(&format!("metadata: warning: seed.iso: {lost}\n")));
    assert_eq!(stated(&sandbox), Some((Value::Array(Vec::new()), "r-1".into())));
    assert_eq!(sandbox.run(["set", "-q", "seed.iso", "user-data=old"]), done(""));
    assert_eq!(sandbox.run(["confirm", "-q", "seed.iso", "--run-metadata", "again"]), done(""));
    let ran = sandbox.run(["set", "-q", "seed.iso", "--remove", "manifest.json"]);
    assert!(ran.stderr.ends_with("was removed, with 1 string, the run ID\n"), "{}", ran.stderr);
    assert_eq!(stated(&sandbox), None);
}

#[test]
fn a_manifest_that_is_wrong_already_is_not_made_right() {
    let sandbox = with_image("nocloud", &["--run-metadata", "a"]);
    let mut image = sandbox.read("seed.iso");
    let at = image.windows(5).position(|bytes| bytes == b"nginx").unwrap();
    image[at] = b'N';
    sandbox.write("seed.iso", &image);
    let ran = sandbox.run(["set", "seed.iso", "x=new"]);
    let why = "the manifest is wrong already (--remove manifest.json drops it): comparing the image with its manifest.json: file \"user-data\" has other content";
    assert!(ran.stderr.contains(why), "{}", ran.stderr);
    assert!(sandbox.read("seed.iso") == image);
    assert_eq!(sandbox.run(["set", "seed.iso", "x=new", "--remove", "manifest.json"]).status, Some(0));
}

#[test]
fn a_file_that_is_only_called_manifest_json_stays() {
    let sandbox = with_image("nocloud", &["--file", "manifest.json=old"]);
    assert_eq!(sandbox.run(["set", "-q", "seed.iso", "user-data=new"]), done(""));
    assert_eq!(extracted(&sandbox, "manifest.json"), OLD);
}

#[test]
fn names_that_cannot_be_meant_are_errors_and_the_image_is_unchanged() {
    let failing = |layout: &str, arguments: &[&str], status: i32, why: &str| {
        let sandbox = with_image(layout, &["--file", "d/f=old"]);
        let before = sandbox.read("seed.iso");
        let ran = sandbox.run([&["set", "seed.iso"], arguments].concat());
        assert_eq!(ran, failed(status, why), "{arguments:?}");
        assert!(sandbox.read("seed.iso") == before, "{arguments:?}");
        assert_eq!(sandbox.names(), ["new", "old", "seed.iso"]);
    };
    let changing = |why: &str| format!("changing image \"seed.iso\": {why}");
    for (layout, name, right) in [
        ("configdrive", "user-data", "openstack/latest/user_data"),
        ("nocloud", "user_data", "user-data"),
        ("linuxkit", "user-data", "config"),
    ] {
        let why =
            format!("an image of the layout {layout} has no use for a file \"{name}\"; write {right}=PATH");
        failing(layout, &[&format!("{name}=new")], 1, &changing(&why));
    }
    failing("nocloud", &["d=new"], 1, &changing("\"d\" is a directory on the image; name the files in it"));
    failing(
        "nocloud",
        &["--remove", "d"],
        1,
        &changing("\"d\" is a directory on the image; name the files in it"),
    );
    failing(
        "nocloud",
        &["--remove", "D/f"],
        1,
        &changing("the image has no file \"D/f\" (there is \"d/f\")"),
    );
    failing("nocloud", &["--remove", "x"], 1, &changing("the image has no file \"x\""));
    failing("nocloud", &["d/f/g=new"], 1, &changing("file name \"d/f\" is also a directory of another file"));
    failing(
        "linuxkit",
        &["--remove", "config", "--remove", "d/f"],
        1,
        &changing("no file would be left on the image"),
    );
    failing(
        "linuxkit",
        &["--hostname", "x"],
        1,
        &changing(
            "--hostname and --instance-id need the layout nocloud or configdrive; the image has the layout linuxkit",
        ),
    );
    failing(
        "nocloud",
        &["meta-data=new", "--hostname", "x"],
        1,
        &changing(
            "--hostname and --instance-id change the meta-data on the image, which is itself replaced or removed",
        ),
    );
    failing("nocloud", &["x=seed.iso"], 1, &changing("the image is the same file as \"seed.iso\""));
    failing("nocloud", &["../x=new"], 2, "file name \"../x\" has a component '.' or '..'");
    failing("nocloud", &["/x=new"], 2, "file name \"/x\" is not relative");
    failing("nocloud", &["x=new", "x=old"], 2, "file name \"x\" is given twice");
    failing(
        "nocloud",
        &["user-data=new", "--remove", "user-data"],
        2,
        "file name \"user-data\" is given twice",
    );
    failing("nocloud", &["x=-", "y=-"], 2, "standard input can be read only once");
    failing(
        "nocloud",
        &["--hostname", "a_b"],
        2,
        "host name \"a_b\" has characters other than letters, digits, '-' and '.'",
    );
    failing(
        "nocloud",
        &["manifest.json=new"],
        2,
        "file name \"manifest.json\" is used for the manifest or its signature, which confirm and sign write",
    );
    failing(
        "nocloud",
        &["x=none"],
        1,
        &changing("reading file \"none\": No such file or directory (os error 2)"),
    );
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
    assert!(found["warnings"][0].as_str().unwrap().starts_with("the instance ID \"i-1\" stays"));
}

#[test]
fn the_image_file_keeps_its_permission_bits_and_its_links() {
    let sandbox = with_image("nocloud", &["--mode", "0640"]);
    symlink("seed.iso", sandbox.path("link")).unwrap();
    sandbox.succeed(["set", "link", "user-data=new"]);
    assert_eq!(extracted(&sandbox, "user-data"), NEW);
    assert_eq!(fs::metadata(sandbox.path("seed.iso")).unwrap().permissions().mode() & 0o7777, 0o640);
    assert!(fs::symlink_metadata(sandbox.path("link")).unwrap().is_symlink());
    let ran = sandbox.run(["set", "/dev/null", "user-data=new"]);
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.contains("changing image \"/dev/null\""), "{}", ran.stderr);
    assert_eq!(sandbox.run(["set", "old", "user-data=new"]).status, Some(1));
    assert_eq!(sandbox.read("old"), OLD.as_bytes());
}

/// Starts `metadata set` with a pipe as the new user data, and comes back when it writes to its temporary.
fn start(sandbox: &Sandbox) -> std::process::Child {
    let mut child = heeding_signals(&Command::new(assert_cmd::cargo::cargo_bin!("metadata")))
        .current_dir(sandbox.path(""))
        .args(["set", "--lenient", "seed.iso", "user-data=-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(child.stdin.as_mut().unwrap(), &noise(3_000_000)).unwrap();
    child
}

#[test]
fn when_it_is_ended_in_the_middle_the_old_image_is_whole() {
    for signal in ["-KILL", "-TERM"] {
        let sandbox = with_image("nocloud", &[]);
        let before = sandbox.read("seed.iso");
        let mut child = start(&sandbox);
        sandbox.tool("kill", [signal, &child.id().to_string()]);
        assert!(!child.wait().unwrap().success());
        assert!(sandbox.read("seed.iso") == before, "{signal}");
        assert_eq!(sandbox.names(), ["new", "old", "seed.iso"], "{signal}");
        sandbox.succeed(["set", "seed.iso", "user-data=new"]);
    }
}

#[test]
fn a_file_that_took_the_path_meanwhile_stays() {
    let sandbox = with_image("nocloud", &[]);
    let mut child = start(&sandbox);
    fs::rename(sandbox.path("new"), sandbox.path("seed.iso")).unwrap();
    drop(child.stdin.take());
    let ran = Ran::from(child.wait_with_output().unwrap());
    assert_eq!(ran.status, Some(1));
    assert!(ran.stderr.ends_with("another file has replaced the image meanwhile\n"), "{}", ran.stderr);
    assert_eq!(sandbox.read("seed.iso"), NEW.as_bytes());
    assert_eq!(sandbox.names(), ["old", "seed.iso"]);
}

#[test]
fn changes_at_the_same_time_are_all_made() {
    let sandbox = with_image("nocloud", &[]);
    let children: Vec<_> = (0..8)
        .map(|number| {
            Command::new(assert_cmd::cargo::cargo_bin!("metadata"))
                .current_dir(sandbox.path(""))
                .args(["set", "-q", "seed.iso", &format!("f{number}=new")])
                .spawn()
                .unwrap()
        })
        .collect();
    assert!(children.into_iter().all(|mut child| child.wait().unwrap().success()));
    let files: Vec<_> = (0..8).map(|number| format!("f{number}=new")).collect();
    let options: Vec<_> = files.iter().flat_map(|file| ["--file", file]).collect();
    create(&sandbox, "new.iso", "nocloud", "old", &options);
    assert!(sandbox.read("seed.iso") == sandbox.read("new.iso"));
}
