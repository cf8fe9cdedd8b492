//! What people type out of habit: options and commands of other programs, and arguments that are missing.

use crate::support::{Sandbox, failed};

#[test]
fn options_and_commands_of_others_are_explained() {
    let sandbox = Sandbox::new();
    sandbox.succeed(["create", "-q", "my seed.iso", "hello"]);
    sandbox.write("my lines", "{\"image\": \"b.iso\", \"data\": \"\"}\n");
    for (arguments, line) in [
        (
            &["batch", "--dry-run", "my lines", "--into", "out"] as &[_],
            "unknown option --dry-run; all lines of a file are checked before the first image is built; to look at the images \
             first, give --into another directory (--help shows the usage)",
        ),
        (
            &["create", "-v", "seed.iso", "hello"],
            "unknown option -v; progress is shown on a terminal, and --json describes the image (--help shows the usage)",
        ),
        (
            &["check", "--user-data", "my lines"],
            "unknown option --user-data; files, images and directories are given without an option: metadata check PATH (--help \
             shows the usage)",
        ),
        (
            &["check", "-f", "sarif", "my lines"],
            "unknown option -f; --format FORMAT chooses text, json, sarif or github, and a file is given without an option: \
             metadata check PATH (--help shows the usage)",
        ),
        (
            &["show", "-l", "my seed.iso"],
            "unknown option -l; the mode, size and name of every file are shown without an option (--help shows the usage)",
        ),
        (
            &["install-names"],
            "DIR (the directory for the names) is missing: the command is metadata install-names DIR (--help shows more)",
        ),
        (&["check", "-s", "my lines"], "unknown option -s (--help shows the usage)"),
        (
            &["pack", ".", "-o", "x"],
            "unknown option -o; the JSON goes to standard output: metadata pack DIR > FILE (--help shows the usage)",
        ),
        (
            &["sign", "my seed.iso", "--expires", "30d"],
            "unknown option --expires; --not-after +30d lets guests accept the image for 30 days (--help shows the usage)",
        ),
        (
            &["sign", "my seed.iso", "--key", "k", "--not-after", "30d"],
            "invalid value '30d' for '--not-after <TIME>': write +30d for a time from now (--help shows the usage)",
        ),
        (
            &["metadata", "create", "x.iso", "hello"],
            "unknown command \"metadata\"; the command comes first: metadata create IMAGE DATA",
        ),
        (
            &["run", "qemu"],
            "unknown command \"run\"; attach prints the arguments that attach an image to a virtual machine",
        ),
        (
            &["create", "nocloud", "seed.iso", "my lines"],
            "the layout is an option: metadata create --layout nocloud --user-data 'my lines' seed.iso",
        ),
        (
            &["create", "--dry-run", "seed.iso", "hello"],
            "unknown option --dry-run; metadata check PATH finds mistakes without building an image (--help shows the usage)",
        ),
        (
            &["check"],
            "PATH (user data, meta-data, images, or directories with the files of a seed) is missing: the command is metadata \
             check PATH...; '-' is standard input (--help shows more)",
        ),
        (
            &["create", "seed.iso", "hello", "--run-id", "r1"],
            "--run-metadata STRING (a string about this boot for a policy in the guest) is missing (--help shows more)",
        ),
        (
            &["apply"],
            "SOURCE (an image, a block device or user data) is missing: the command is metadata apply SOURCE --into DIR; '-' is \
             standard input (--help shows more)",
        ),
    ] {
        assert_eq!(sandbox.run(arguments), failed(2, line), "{arguments:?}");
    }
}
