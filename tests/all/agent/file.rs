//! The provider that is a file: user data, or an image.

use std::fs;

use super::{BROKEN, agent, ran};

use crate::{
    support::{Sandbox, failed, fat_boot_sector},
    userdata::tree_of,
};

#[test]
fn a_file_that_is_not_there_is_no_fault_and_one_that_cannot_be_read_is() {
    let sandbox = Sandbox::new();
    sandbox.write("empty", "");
    let asked = "metadata: no metadata found (asked file)\n";
    let said = agent(&sandbox, "", "", &["file=absent"]);
    assert_eq!(said, ran(0, &format!("metadata: file: the file \"absent\" does not exist\n{asked}")));
    let said = agent(&sandbox, "", "", &["file=empty"]);
    assert_eq!(said, ran(0, &format!("metadata: file: the file \"empty\" is empty\n{asked}")));
    let said = agent(&sandbox, "", "", &["file=out"]);
    let fault = "metadata: file: broken: reading \"out\": not a regular file\n";
    assert_eq!(said, ran(1, &format!("{fault}{BROKEN}")));
}

#[test]
fn user_data_may_come_from_standard_input() {
    let sandbox = Sandbox::new();
    let said = sandbox.run_with_input(["agent", "--root", "out", "-v", "-v", "file=-"], "x");
    assert_eq!(said.status, Some(0), "{said:?}");
    assert!(said.stderr.contains(" FILE -: 1 byte of user data\n"), "{said:?}");
    assert_eq!(sandbox.read("out/userdata"), b"x");
}

#[test]
fn an_image_in_a_file_is_read_as_one() {
    let sandbox = Sandbox::new();
    sandbox.succeed([
        "create",
        "-q",
        "--lenient",
        "seed.iso",
        "hello",
        "--layout",
        "nocloud",
        "--hostname",
        "web",
    ]);
    let said = agent(&sandbox, "", "", &["file=seed.iso"]);
    assert_eq!(
        said,
        ran(0, "metadata: FILE seed.iso: 5 bytes of user data\nmetadata: \"out\": 3 files written\n")
    );
    let expected = "0644 hostname \"web\"\n0644 provider \"FILE seed.iso\"\n0600 userdata \"hello\"\n";
    assert_eq!(tree_of(&sandbox.path("out")), expected);
    fs::remove_dir_all(sandbox.path("out")).unwrap();

    sandbox.succeed(["create", "-q", "empty.iso", ""]);
    let nothing = "\
metadata: file: the image \"empty.iso\" has no data in user-data, config or meta-data
metadata: no metadata found (asked file)
";
    assert_eq!(agent(&sandbox, "", "", &["file=empty.iso"]), ran(0, nothing));

    sandbox.write("fat.img", fat_boot_sector());
    let fat =
        "reading image \"fat.img\": the boot sector is not valid: the volume ends before its files begin";
    let broken = format!("metadata: file: broken: {fat}\n{BROKEN}");
    assert_eq!(agent(&sandbox, "", "", &["file=fat.img"]), ran(1, &broken));
    for arguments in [&["apply", "--dry-run", "fat.img"][..], &["check", "fat.img"]] {
        assert_eq!(sandbox.run(arguments), failed(1, fat));
    }
    let options =
        ["--lenient", "--filesystem=vfat", "--layout=nocloud", "--hostname=web", "seed.img", "hello"];
    sandbox.succeed(["create", "--quiet"].into_iter().chain(options));
    let said = "metadata: FILE seed.img: 5 bytes of user data\nmetadata: \"out\": 3 files written\n";
    assert_eq!(agent(&sandbox, "", "", &["file=seed.img"]), ran(0, said));
    assert_eq!(tree_of(&sandbox.path("out")), expected.replace(".iso", ".img"));
    fs::remove_dir_all(sandbox.path("out")).unwrap();
    let image = sandbox.read("seed.iso");
    for arguments in [&["apply", "--dry-run", "-"][..], &["check", "-"]] {
        let line = "reading standard input: the input is an image; save it to a file and give its path";
        assert_eq!(sandbox.run_with_input(arguments, image.clone()), failed(1, line));
    }
    let ran = sandbox.run_with_input(["agent", "--root", "out2", "file=-"], image);
    assert!(
        ran.stderr.contains("standard input is an image; save it to a file and give its path"),
        "{ran:?}"
    );
    assert_eq!(ran.status, Some(1));
}
