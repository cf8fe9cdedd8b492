//! The file that an image is in: its bits, its owner, and that it is whole at any time.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    process::{Command, Stdio},
};

use super::{NEW, OLD, create, extracted, with_image};
use crate::{
    interruption::heeding_signals,
    support::{Ran, Sandbox, copy_program, done, noise},
};

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

#[test]
#[ignore = "needs root to give a file to another user"]
fn the_image_file_keeps_its_owner() {
    let sandbox = with_image("nocloud", &["--mode", "0640"]);
    sandbox.tool("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", "key"]);
    chown(sandbox.path("seed.iso"), Some(12), Some(34)).unwrap();
    for change in [
        &["set", "seed.iso", "user-data=new"] as &[_],
        &["confirm", "seed.iso", "--run-metadata", "x"],
        &["sign", "seed.iso", "--key", "key"],
    ] {
        sandbox.succeed(change);
        let metadata = fs::metadata(sandbox.path("seed.iso")).unwrap();
        assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o7777), (12, 34, 0o640), "{change:?}");
    }
}

#[test]
#[ignore = "needs root to be another user"]
fn an_owner_that_cannot_stay_is_named() {
    let sandbox = with_image("nocloud", &["--mode", "0666"]);
    fs::set_permissions(sandbox.path(""), fs::Permissions::from_mode(0o777)).unwrap();
    // The program may be where only root reads.
    copy_program(sandbox.path("metadata"));
    let ran = Command::new("setpriv")
        .args(["--reuid=12", "--regid=34", "--clear-groups"])
        .arg(sandbox.path("metadata"))
        .args(["set", "seed.iso", "user-data=new"])
        .current_dir(sandbox.path(""))
        .env_remove("SOURCE_DATE_EPOCH")
        .output()
        .unwrap();
    assert_eq!(
        Ran::from(ran),
        done(
            "metadata: warning: seed.iso: the image belonged to user 0 and group 0, and now belongs to you\n\
             metadata: seed.iso: 372736 bytes, layout nocloud\n"
        )
    );
    assert_eq!(fs::metadata(sandbox.path("seed.iso")).unwrap().uid(), 12);
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
