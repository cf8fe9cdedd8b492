//! Words that are probably mistakes, and the command that is shown instead.

use std::fs;

use super::{CONFIG, made, sandbox};
use crate::support::{done, failed};

#[test]
fn the_name_of_a_file_is_not_taken_for_data_in_silence() {
    let sandbox = sandbox();
    let text = |data: &str, command: &str| {
        let (what, content) = match command.split(' ').next() {
            Some("--from") => ("that directory", "the seed in it"),
            Some("--data-dir") => ("that directory", "its files as JSON for LinuxKit"),
            _ => ("the content of that file", "the content"),
        };
        format!(
            "the data is the text \"{data}\", not {what}; to store {content}: metadata create {command} seed.iso \
             (--data means a string)"
        )
    };
    let linuxkit = |data: &str, command: &str| {
        let said = format!("metadata: warning: {}\n{}", text(data, command), made("linuxkit"));
        assert_eq!(sandbox.run(["create", "seed.iso", data]), done(&said));
        fs::remove_file(sandbox.path("seed.iso")).unwrap();
    };
    sandbox.write("config.json", "{}");
    sandbox.write("tree/etc/motd", "hello");
    sandbox.write("seed/user-data", CONFIG);
    linuxkit("user-data", "--layout nocloud --user-data user-data");
    linuxkit("config.json", "--user-data config.json");
    linuxkit("@config.json", "--user-data config.json");
    linuxkit("tree", "--data-dir tree");
    linuxkit("seed", "--from seed");
    for layout in ["nocloud", "configdrive"] {
        let expected = text("user-data", &format!("--layout {layout} --user-data user-data"));
        assert_eq!(sandbox.run(["create", "-l", layout, "seed.iso", "user-data"]), failed(2, &expected));
        assert!(!sandbox.path("seed.iso").exists());
    }
    for name in ["vfat", "fat"] {
        let expected = text("user-data", "--layout nocloud --user-data user-data --filesystem vfat");
        let ran = sandbox.run(["create", "--filesystem", name, "-l", "nocloud", "seed.iso", "user-data"]);
        assert_eq!(ran, failed(2, &expected));
        let ran = sandbox.run(["create", "--filesystem", name, "seed.iso", "user-data"]);
        let said =
            format!("metadata: warning: {expected}\nmetadata: seed.iso: 8192 bytes, layout linuxkit\n");
        assert_eq!(ran, done(&said));
        fs::remove_file(sandbox.path("seed.iso")).unwrap();
    }
    let string = sandbox.run(["create", "seed.iso", "--data", "user-data"]);
    assert_eq!(string, done(&made("linuxkit")), "a string is meant");
}

#[test]
fn operands_in_another_order_or_number_show_the_command() {
    let sandbox = sandbox();
    let operands =
        ["create", "-l", "nocloud", "seed.iso", "user-data", "meta-data", "network-config", "b.sh"];
    sandbox.write("network-config", "version: 2\n");
    assert_eq!(
        sandbox.run(operands),
        failed(
            2,
            "unexpected argument \"meta-data\": give files with options: metadata create --layout nocloud --user-data user-data \
             --meta-data meta-data --network-config network-config --user-data b.sh seed.iso"
        )
    );
    assert_eq!(
        sandbox.run(["create", "a.yaml", "seed.iso"]),
        failed(
            1,
            "building image \"a.yaml\": the existing file is not an image; was this meant: metadata create --layout nocloud \
             --user-data a.yaml seed.iso (--force replaces \"a.yaml\")"
        )
    );
    assert_eq!(
        sandbox.run(["create", "seed.iso", "hello", "world"]),
        failed(
            2,
            "unexpected argument \"world\": create needs IMAGE and DATA; put data with spaces in quotes (--help shows the usage)"
        )
    );
    assert_eq!(sandbox.run(["create", "-o", "seed.iso", "hello"]), done(&made("linuxkit")));
    assert_eq!(sandbox.succeed(["extract", "seed.iso", "config"]), b"hello");
}

#[test]
fn the_command_that_is_shown_has_all_options_that_were_given() {
    let sandbox = sandbox();
    sandbox.write("my net", "version: 2\n");
    sandbox.write(
        "k.pub",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPKr4SYjQM8sUXZ7Ru3aDGlU7yBGEn3h9SZnUE0Bv5Y9 a\n",
    );
    let given = ["-N", "my net", "-H", "web", "--ssh-key", "k.pub", "--file=a/b=b.sh", "--mode=640", "-q"];
    let kept = "--network-config 'my net' --hostname web --ssh-key k.pub --file a/b=b.sh --mode 0640 --quiet";
    let text = |command: &str| {
        format!(
            "the data is the text \"user-data\", not the content of that file; to store the content: {command} \
             (--data means a string)"
        )
    };
    let command = format!("metadata create --layout nocloud --user-data user-data {kept} seed.iso");
    let words = ["create", "seed.iso", "user-data"];
    let with = |words: &[&str], more: &[&str]| sandbox.run([words, &given, more].concat());
    assert_eq!(with(&words, &["-l", "nocloud"]), failed(2, &text(&command)));
    assert_eq!(with(&words, &[]), failed(2, &text(&command)), "the layout follows from the options");
    sandbox.tool("sh", ["-c", &format!("PATH=\"{}:$PATH\"; {command}", program_directory())]);
    sandbox.succeed(["check", "-q", "seed.iso"]);
    fs::remove_file(sandbox.path("seed.iso")).unwrap();

    let line = format!(
        "unexpected argument \"meta-data\": give files with options: metadata create --layout nocloud --user-data user-data \
         --meta-data meta-data {kept} seed.iso"
    );
    assert_eq!(with(&["create", "seed.iso", "user-data", "meta-data"], &[]), failed(2, &line));
    let line = format!(
        "building image \"a.yaml\": the existing file is not an image; was this meant: metadata create --layout nocloud \
         --user-data a.yaml {kept} seed.iso (--force replaces \"a.yaml\")"
    );
    assert_eq!(with(&["create", "a.yaml", "seed.iso"], &["-l", "nocloud"]), failed(1, &line));
}

/// The directory of the program.
fn program_directory() -> String {
    let program = std::path::Path::new(assert_cmd::cargo::cargo_bin!("metadata"));
    program.parent().unwrap().to_str().unwrap().to_owned()
}

#[test]
fn several_files_after_one_option_show_the_command() {
    let sandbox = sandbox();
    let line = "--user-data takes one file; repeat it for each: metadata create --layout nocloud --user-data a.yaml \
                --user-data b.sh --hostname web seed.iso";
    let words = ["create", "-H", "web", "--user-data", "a.yaml", "b.sh", "seed.iso"];
    assert_eq!(sandbox.run(words), failed(2, line));
    let words = ["create", "-l", "nocloud", "--user-data", "a.yaml,b.sh", "seed.iso"];
    let line = "--user-data takes one file; repeat it for each: --user-data a.yaml --user-data b.sh";
    assert_eq!(sandbox.run(words), failed(2, line));
    let line = "--from takes all files of a seed from a directory, with the user data, so --user-data cannot be given as well; \
                to replace it: copy the directory, or give each file with its option (--user-data, --meta-data, \
                --network-config, --vendor-data)";
    let words = ["create", "--from", ".", "--user-data", "a.yaml", "seed.iso"];
    assert_eq!(sandbox.run(words), failed(2, line));
    let words = ["create", "--data", "x", "--data-dir", ".", "seed.iso"];
    assert_eq!(
        sandbox.run(words),
        failed(2, "--data and --data-dir both give the data; leave out one of them")
    );
}

#[test]
fn words_of_other_programs_are_explained() {
    let sandbox = sandbox();
    for (arguments, line) in [
        (
            &["create", "-V", "x"] as &[_],
            "unknown option -V; --volume-id ID sets the volume identifier, and --vendor-data PATH is cloud-localds' -V \
             (--help shows the usage)",
        ),
        (
            &["create", "-f", "x"],
            "unknown option -f; --filesystem vfat makes a FAT image, --force replaces a file that is not an image, and \
             --file NAME=PATH adds a file (--help shows the usage)",
        ),
        (
            &["create", "-hostname", "web"],
            "unknown option -hostname; write --hostname, with two dashes (--help shows the usage)",
        ),
        (
            &["create", "-layout", "nocloud"],
            "unknown option -layout; write --layout, with two dashes (--help shows the usage)",
        ),
        (
            &["create", "--hostnmae", "web"],
            "unknown option --hostnmae; did you mean --hostname? (--help shows the usage)",
        ),
        (&["create", "seed.iso", "-x"], "unknown option -x (--help shows the usage)"),
        (&["version"], "unknown command \"version\"; --version prints the version"),
        (&["shw"], "unknown command \"shw\"; did you mean show?"),
        (&["frobnicate"], "unknown command \"frobnicate\" (--help lists the commands)"),
        (&["create"], "IMAGE is missing: the image to write, before the data (--help shows the usage)"),
    ] {
        assert_eq!(sandbox.run(arguments), failed(2, line), "{arguments:?}");
    }
}
