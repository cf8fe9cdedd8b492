//! Which links are followed without root.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use super::{metadata, shell};

use crate::support::{Sandbox, copy_program, failed};

const PROC: &str = "the path leads through a link in /proc (give the path that it leads to)";

#[test]
fn links_in_proc_are_not_followed() {
    let sandbox = Sandbox::new();
    sandbox.write("target", "precious");
    sandbox.write("f", "{}");
    sandbox.succeed(["create", "meta.iso", "x"]);
    fs::create_dir(sandbox.path("empty")).unwrap();
    copy_program(sandbox.path("program"));
    symlink("/proc/self/fd/3", sandbox.path("link")).unwrap();
    let all = sandbox.names();
    let id = std::process::id();
    let of_process = format!("exec \"$0\" create /proc/{id}/cwd/x x");
    for (script, line) in [
        (
            "exec \"$0\" create /dev/stdout x > target",
            "building image \"/dev/stdout\": the path leads through /proc (use '-' for standard output)"
                .to_owned(),
        ),
        (
            "exec \"$0\" create /proc/self/fd/1 x > target",
            "building image \"/proc/self/fd/1\": the path leads through /proc (use '-' for standard output)"
                .to_owned(),
        ),
        (
            "exec \"$0\" create /proc/self/fd/3 x 3<> target",
            format!("building image \"/proc/self/fd/3\": {PROC}"),
        ),
        ("exec \"$0\" create /dev/fd/3 x 3<> target", format!("building image \"/dev/fd/3\": {PROC}")),
        ("exec \"$0\" create link x 3<> target", format!("building image \"link\": {PROC}")),
        ("exec ./program create /proc/self/exe x", format!("building image \"/proc/self/exe\": {PROC}")),
        ("exec \"$0\" create /proc/self/cwd/x x", format!("building image \"/proc/self/cwd/x\": {PROC}")),
        (&of_process, format!("building image \"/proc/{id}/cwd/x\": {PROC}")),
        (
            "exec \"$0\" confirm /dev/fd/3 --run-metadata x 3<> meta.iso",
            format!("confirming image \"/dev/fd/3\": {PROC}"),
        ),
        (
            "exec \"$0\" extract meta.iso --into /proc/self/cwd/y",
            format!("opening directory \"/proc/self/cwd/y\": {PROC}"),
        ),
        (
            "exec \"$0\" extract meta.iso --into /dev/fd/3 3< empty",
            format!("opening directory \"/dev/fd/3\": {PROC}"),
        ),
        ("exec \"$0\" apply f /proc/self/cwd/y", format!("opening directory \"/proc/self/cwd/y\": {PROC}")),
        (
            "exec \"$0\" batch /dev/null --into /proc/self/cwd/y",
            format!("opening directory \"/proc/self/cwd/y\": {PROC}"),
        ),
        (
            "exec \"$0\" agent --root /proc/self/cwd/y/z file=f",
            format!("opening directory \"/proc/self/cwd/y/z\": {PROC}"),
        ),
    ] {
        // What standard output is redirected to is emptied by the shell.
        sandbox.write("target", "precious");
        let ran = shell(&sandbox, script);
        assert_eq!(ran, failed(1, &line), "{script}");
        let expected: &[u8] =
            if script.ends_with("> target") && !script.contains("<>") { b"" } else { b"precious" };
        assert_eq!(sandbox.read("target"), expected, "{script}");
        assert_eq!(sandbox.names(), all, "{script}");
    }
    assert!(sandbox.read("program") == fs::read(metadata().get_program()).unwrap());
}

#[test]
fn own_links_in_a_directory_for_all_are_followed() {
    let sandbox = Sandbox::new();
    let sticky = sandbox.path("sticky");
    fs::create_dir_all(sticky.join("images")).unwrap();
    fs::set_permissions(&sticky, fs::Permissions::from_mode(0o1777)).unwrap();
    symlink("../meta.iso", sticky.join("link")).unwrap();
    symlink("images", sticky.join("directory")).unwrap();
    for image in ["sticky/link", "sticky/directory/meta.iso"] {
        sandbox.succeed(["create", image, "x"]);
    }
    sandbox.succeed(["extract", "meta.iso", "--into", "sticky/directory/out"]);
    for path in ["meta.iso", "sticky/images/meta.iso", "sticky/images/out/config"] {
        assert!(fs::symlink_metadata(sandbox.path(path)).unwrap().is_file(), "{path}");
    }
    assert!(fs::symlink_metadata(sticky.join("link")).unwrap().is_symlink());
}
