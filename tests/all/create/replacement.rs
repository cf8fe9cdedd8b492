//! The file that becomes the image: its mode, and what happens to an old one.

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use super::config;
use crate::support::{Ran, Sandbox, failed, fat_boot_sector, linuxkit_image, noise};

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
