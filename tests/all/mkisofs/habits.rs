//! What callers rely on besides the image: where it goes, what is said, how it fails.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    os::unix::{
        fs::{MetadataExt, PermissionsExt, chown, symlink},
        net::UnixListener,
    },
    process::{Command, Stdio},
};

use super::{Programs, write};
use crate::support::done;

pub(super) fn with_seed() -> Programs {
    let programs = Programs::new();
    write(&programs.path("seed/user-data"), "#cloud-config\n");
    write(&programs.path("seed/meta-data"), "instance-id: i-1\n");
    programs
}

const CIDATA: [&str; 6] = ["-V", "cidata", "-J", "-r", "-o", "image"];

#[test]
fn the_image_is_written_into_the_file_that_is_there() {
    let programs = with_seed();
    let path = programs.path("image");
    fs::write(&path, vec![b'x'; 1 << 20]).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let before = fs::metadata(&path).unwrap();
    let mut held = File::open(&path).unwrap();
    programs.succeed("genisoimage", [&CIDATA[..], &["seed"]].concat());
    let after = fs::metadata(&path).unwrap();
    assert_eq!((after.ino(), after.mode()), (before.ino(), before.mode()));
    let mut read = Vec::new();
    held.seek(SeekFrom::Start(0)).unwrap();
    held.read_to_end(&mut read).unwrap();
    assert_eq!(&read[32769..32774], b"CD001");
    assert_eq!(read.len(), 372_736);
    programs.sandbox.succeed(["extract", "image", "user-data"]);
}

#[test]
fn a_new_image_has_the_mode_of_the_umask() {
    let programs = with_seed();
    let script = "umask 027; ours/mkisofs -J -r -o image seed";
    let status = Command::new("sh").current_dir(programs.path(".")).args(["-c", script]).status().unwrap();
    assert!(status.success());
    assert_eq!(fs::metadata(programs.path("image")).unwrap().mode() & 0o777, 0o640);
}

#[test]
fn the_image_goes_to_standard_output_without_o_and_to_a_pipe_the_same() {
    let programs = with_seed();
    programs.succeed("genisoimage", [&CIDATA[..], &["seed"]].concat());
    let file = programs.sandbox.read("image");
    let options = ["-V", "cidata", "-J", "-r"];
    assert!(programs.succeed("genisoimage", [&options[..], &["seed"]].concat()) == file);
    assert!(programs.succeed("genisoimage", [&options[..], &["-o", "-", "seed"]].concat()) == file);
    let script = "ours/genisoimage -V cidata -J -r seed > redirected; ours/genisoimage -V cidata -J -r -o /dev/stdout seed | cat > piped";
    let status = Command::new("sh").current_dir(programs.path(".")).args(["-c", script]).status().unwrap();
    assert!(status.success());
    assert!(programs.sandbox.read("redirected") == file);
    assert!(programs.sandbox.read("piped") == file);
}

#[test]
fn the_same_files_make_the_same_image() {
    let programs = with_seed();
    programs.succeed("mkisofs", [&CIDATA[..], &["seed"]].concat());
    let first = programs.sandbox.read("image");
    programs.succeed("mkisofs", [&CIDATA[..], &["seed"]].concat());
    assert!(programs.sandbox.read("image") == first);
}

#[test]
fn the_image_does_not_contain_itself() {
    let programs = with_seed();
    for _ in 0..2 {
        programs.succeed("genisoimage", ["-J", "-r", "-o", "seed/seed.iso", "seed"]);
        let listing = programs.sandbox.succeed(["show", "--json", "seed/seed.iso"]);
        assert!(!String::from_utf8(listing).unwrap().contains("\"seed.iso\""));
    }
    // Also through another name, and on standard output.
    fs::hard_link(programs.path("seed/seed.iso"), programs.path("seed/other")).unwrap();
    programs.succeed("genisoimage", ["-R", "-o", "seed/seed.iso", "seed"]);
    let names = super::primary_names(&programs.sandbox.read("seed/seed.iso"));
    assert_eq!(names.len(), 2);
}

#[test]
fn a_file_that_is_also_the_output_is_not_lost() {
    let programs = with_seed();
    let user_data = fs::read(programs.path("seed/user-data")).unwrap();
    let arguments = ["-J", "-r", "-o", "seed/user-data", "seed/user-data", "seed/meta-data"];
    programs.fail("mkisofs", arguments, 2, "\"seed/user-data\": the image is written to the same file");
    assert_eq!(fs::read(programs.path("seed/user-data")).unwrap(), user_data);
}

#[test]
fn nothing_is_written_if_a_source_is_missing() {
    let programs = with_seed();
    programs.fail("genisoimage", ["-o", "image", "seed", "nothing"], 2, "No such file or directory");
    assert!(!programs.path("image").exists());
    fs::write(programs.path("image"), "old").unwrap();
    programs.fail("xorrisofs", ["-o", "image", "nothing"], 5, "No such file or directory");
    assert_eq!(programs.sandbox.read("image"), b"old");
}

#[test]
fn options_that_would_change_the_image_are_refused_by_name() {
    let programs = with_seed();
    for option in ["-udf", "-z", "-T", "-translation-table", "-apple"] {
        programs.fail("genisoimage", ["-o", "image", option, "seed"], 1, option);
    }
    let valued = [
        "-b",
        "-M",
        "-C",
        "-hide",
        "-hide-list",
        "-hide-joliet",
        "-hide-joliet-list",
        "-hidden",
        "-table-name",
    ];
    for option in valued {
        programs.fail("genisoimage", ["-o", "image", option, "x", "seed"], 1, option);
    }
    for option in ["-hide", "-hide-joliet", "-hide-list", "-hide-joliet-list"] {
        programs.fail("xorrisofs", ["-o", "image", option, "x", "seed"], 5, option);
    }
    programs.fail("xorrisofs", ["-o", "image", "--md5", "seed"], 5, "-md5");
    programs.fail("xorriso", ["-indev", "image"], 5, "xorriso -as mkisofs");
    assert!(!programs.path("image").exists());
}

#[test]
fn the_program_runs_by_its_name_and_by_a_subcommand() {
    let programs = with_seed();
    let version = |name: &str| {
        let text = String::from_utf8(programs.succeed(name, ["-version"])).unwrap();
        text.lines().next().unwrap().to_owned()
    };
    assert_eq!(version("genisoimage"), "genisoimage 1.1.11 (Linux)");
    assert!(version("mkisofs").starts_with("mkisofs 2.01"));
    assert!(version("xorrisofs").starts_with("mkisofs 2.01-Emulation"));
    let own = programs.sandbox.succeed(["mkisofs", "-version"]);
    assert!(own.starts_with(b"mkisofs 2.01"));
    programs.sandbox.succeed(["mkisofs", "-JR", "-V", "cidata", "-o", "image", "seed"]);
    assert!(programs.path("image").exists());
    symlink(programs.path("ours/genisoimage"), programs.path("ours/other")).unwrap();
    let output = programs.run("ours", "other", ["--version"]);
    assert!(output.stdout.starts_with(b"metadata "), "an unknown name is metadata");
}

#[test]
fn names_are_hard_links_and_replace_nothing_unless_forced() {
    let programs = Programs::new();
    let inode = |name: &str| fs::metadata(programs.path(name)).unwrap().ino();
    assert_eq!(inode("ours/mkisofs"), inode("ours/xorriso"));
    let again = programs.sandbox.run(["install-names", "ours"]);
    assert_eq!(again.status, Some(1));
    assert!(again.stderr.contains("--force replaces it"), "{}", again.stderr);
    fs::remove_file(programs.path("ours/mkisofs")).unwrap();
    fs::write(programs.path("ours/mkisofs"), "theirs").unwrap();
    programs.sandbox.succeed(["install-names", "--force", "ours"]);
    assert_eq!(inode("ours/mkisofs"), inode("ours/genisoimage"));
    assert_eq!(fs::read_dir(programs.path("ours")).unwrap().count(), 5, "nothing temporary is left");
    assert_eq!(programs.sandbox.run(["install-names", "-q", "--force", "ours"]), done(""));
    let json = programs.sandbox.succeed(["install-names", "--json", "--force", "ours"]);
    let json = String::from_utf8(json).unwrap();
    assert_eq!(
        json,
        "[\n  \"ours/mkisofs\",\n  \"ours/genisoimage\",\n  \"ours/xorrisofs\",\n  \"ours/cloud-localds\"\n]\n"
    );
}

#[test]
fn sockets_and_fifos_are_stored_and_without_rock_ridge_empty_or_left_out() {
    let programs = with_seed();
    let _socket = UnixListener::bind(programs.path("seed/socket")).unwrap();
    // Its name continues in another place than its record.
    let long = "f".repeat(240);
    programs.sandbox.tool("mkfifo", ["seed/fifo", &format!("seed/{long}")]);
    programs.succeed("genisoimage", ["-R", "-o", "image", "seed"]);
    let kinds = |image: &str| -> Vec<(String, String)> {
        let listing = programs.sandbox.succeed(["show", "--json", image]);
        let listing: serde_json::Value = serde_json::from_slice(&listing).unwrap();
        let text = |file: &serde_json::Value, member: &str| file[member].as_str().unwrap().to_owned();
        let files = listing["files"].as_array().unwrap().iter();
        files.map(|file| (text(file, "name"), text(file, "kind"))).collect()
    };
    for name in ["socket", "fifo", &long] {
        assert!(kinds("image").contains(&(name.to_owned(), "other".to_owned())), "{:?}", kinds("image"));
    }
    programs.succeed("genisoimage", ["-o", "image", "seed"]);
    assert_eq!(kinds("image").len(), 5);
    let output = programs.run("ours", "xorrisofs", ["--norock", "-o", "image", "seed"]);
    let errors = String::from_utf8(output.stderr).unwrap();
    let ignored = "xorrisofs: File \"seed/fifo\" ignored. Special files need RockRidge extensions.\n";
    assert!(output.status.success() && errors.contains(ignored) && errors.lines().count() == 3, "{errors}");
    assert_eq!(kinds("image").len(), 2);
    programs.succeed("xorrisofs", ["--norock", "-quiet", "-o", "image", "seed"]);
    assert_eq!(kinds("image").len(), 2);
}

#[test]
fn the_size_is_printed_in_place_of_an_image() {
    let programs = with_seed();
    fs::write(programs.path("image"), "old").unwrap();
    write(&programs.path("seed/large"), vec![b'x'; 3 << 20]);
    for name in ["genisoimage", "xorrisofs"] {
        let said = programs.succeed(name, ["-J", "-print-size", "-o", "image", "seed"]);
        assert_eq!(programs.sandbox.read("image"), b"old");
        let image = programs.succeed(name, ["-J", "seed"]);
        assert_eq!(String::from_utf8(said).unwrap(), format!("{}\n", image.len() / 2048));
    }
}

#[test]
fn a_file_that_grows_past_the_limit_of_the_process_is_an_error() {
    let programs = with_seed();
    write(&programs.path("seed/large"), vec![b'x'; 1 << 20]);
    for (name, status) in [("mkisofs", 2), ("genisoimage", 2), ("xorrisofs", 5)] {
        for (command, where_to) in [
            (format!("{name} -quiet -J -R -o new seed"), "\"new\""),
            (format!("{name} -quiet -J -R -o old seed"), "\"old\""),
            (format!("{name} -quiet -J -R seed >out"), "standard output"),
        ] {
            write(&programs.path("old"), vec![b'x'; 50_000]);
            let script = format!("ulimit -f 100; ulimit -c 0; exec ours/{command}");
            let output =
                Command::new("bash").current_dir(programs.path(".")).args(["-c", &script]).output().unwrap();
            let errors = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(status), "{command}: {errors}");
            let line = format!("{name}: writing image {where_to}: ");
            assert!(
                errors.starts_with(&line) && errors.ends_with("File too large (os error 27)\n"),
                "{errors}"
            );
            assert_eq!(errors.lines().count(), 1, "{errors}");
            assert!(!programs.path("new").exists());
            // What the shell has opened holds no descriptors.
            for left in ["old", "out"] {
                let left = fs::read(programs.path(left)).unwrap_or_default();
                assert!(!left.windows(5).any(|bytes| bytes == b"CD001"), "{command}: {} bytes", left.len());
            }
            assert_ne!(programs.sandbox.read("old").len() == 50_000, command.contains("old"));
        }
    }
}

#[test]
#[ignore = "needs genisoimage, xorriso and bsdtar"]
fn bsdtar_shows_the_names_that_it_shows_of_the_originals() {
    let programs = Programs::with_originals();
    write(&programs.path("seed/a/b/user-data"), "x");
    write(&programs.path("seed/meta-data"), "");
    let options = ["-quiet -R", "-quiet -J -R", "-quiet -J -r -iso-level 4", "-quiet -J", "-quiet -r -l"];
    for name in ["genisoimage", "xorrisofs"] {
        for options in options {
            let listing = |whose: &str| {
                let words = options.split(' ').chain(["-o", "image", "seed"]);
                assert!(programs.run(whose, name, words).status.success());
                let names = programs.sandbox.tool("bsdtar", ["-tf", "image"]);
                let mut names: Vec<_> =
                    String::from_utf8(names).unwrap().lines().map(str::to_owned).collect();
                names.sort();
                names
            };
            assert_eq!(listing("ours"), listing("theirs"), "{name} {options}");
        }
    }
}

#[test]
fn links_without_rock_ridge_are_left_out_with_a_warning() {
    let programs = with_seed();
    symlink("user-data", programs.path("seed/link")).unwrap();
    let output = programs.run("ours", "genisoimage", ["-J", "-o", "image", "seed"]);
    assert!(output.status.success());
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(errors, "genisoimage: Symlink \"seed/link\" ignored - continuing.\n");
}

#[test]
fn loops_of_links_end() {
    let programs = with_seed();
    fs::create_dir(programs.path("seed/below")).unwrap();
    for name in ["one", "two"] {
        symlink("..", programs.path("seed/below").join(name)).unwrap();
        symlink(".", programs.path("seed").join(name)).unwrap();
    }
    let output = programs.run("ours", "genisoimage", ["-R", "-f", "-o", "image", "seed"]);
    assert!(output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("Directory loop"));
    assert_eq!(super::primary_names(&programs.sandbox.read("image")).len(), 3);
}

#[test]
fn a_file_that_grows_has_the_bytes_that_it_had() {
    let programs = with_seed();
    // Large, so that it is copied after it was measured.
    let path = programs.path("seed/log");
    fs::write(&path, vec![b'a'; 3 << 20]).unwrap();
    let mut child = Command::new("sh")
        .args(["-c", "while :; do echo b >> \"$0\"; done"])
        .arg(&path)
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let outputs: Vec<_> =
        (0..3).map(|_| programs.run("ours", "genisoimage", ["-R", "-o", "image", "seed"])).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    for output in outputs {
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let stored = programs.sandbox.succeed(["extract", "image", "log"]);
    assert!(fs::read(path).unwrap().starts_with(&stored) && stored.len() >= 3 << 20);
}

#[test]
fn what_cannot_be_done_is_a_warning_unless_quiet_is_given() {
    let programs = with_seed();
    for number in 0..2 {
        write(&programs.path(&format!("seed/{}{number}", "n".repeat(64))), "");
    }
    write(&programs.path(&format!("seed/{}", "\u{e9}".repeat(64))), "");
    let errors = |name, options: &[&str]| {
        let output = programs.run("ours", name, [options, &["-o", "image", "seed"]].concat());
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    for name in ["genisoimage", "xorrisofs"] {
        let long = "Warning: Joliet names have at most 64 characters; longer ones are cut";
        assert_eq!(errors(name, &["-J", "-r"]), format!("{name}: {long}\n"));
        let deep = "Warning: -D has no effect; directories deeper than 8 levels are moved to rr_moved";
        assert_eq!(errors(name, &["-D", "-D", "-r"]), format!("{name}: {deep}\n"));
        assert_eq!(errors(name, &["-quiet", "-J", "-D", "-r"]), "");
    }
}

#[test]
fn names_of_control_characters_are_stored() {
    let programs = Programs::new();
    for name in ["\u{1}", "\n", "\u{1}\u{2}", "\u{7f}", "\u{1b}.\u{1}"] {
        write(&programs.path(&format!("seed/{name}")), "");
        write(&programs.path(&format!("seed/d{name}/{name}")), "");
    }
    for name in ["genisoimage", "xorrisofs"] {
        for options in [&["-J", "-r"][..], &["-J"], &["-r"], &[], &["-l", "-J"], &["-U", "-J"]] {
            programs.succeed(name, [options, &["-quiet", "-o", "image", "seed"]].concat());
        }
    }
}

#[test]
fn findings_are_printed_if_they_are_wanted() {
    let programs = Programs::new();
    write(&programs.path("seed/user-data"), "# cloud-config\npackages: [nginx]\n");
    write(&programs.path("seed/meta-data"), "instance-id: i-1\n");
    programs.succeed("genisoimage", [&CIDATA[..], &["seed"]].concat());
    let output = programs.run("ours", "genisoimage", [&["--check"], &CIDATA[..], &["seed"]].concat());
    assert!(output.status.success());
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("error[no-header]"), "{errors}");
    let mut command = Command::new(programs.path("ours/mkisofs"));
    command.current_dir(programs.path(".")).env("METADATA_CHECK", "1");
    let output = command.args([&CIDATA[..], &["seed"]].concat()).output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("error[no-header]"));
}

#[test]
#[ignore = "needs root"]
fn links_as_root_another_users_file_in_tmp_is_refused() {
    let programs = with_seed();
    let directory = programs.path("public");
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o1777)).unwrap();
    fs::write(directory.join("file"), "theirs").unwrap();
    chown(directory.join("file"), Some(65534), None).unwrap();
    fs::write(programs.path("victim"), "victim").unwrap();
    symlink(programs.path("victim"), directory.join("link")).unwrap();
    std::os::unix::fs::lchown(directory.join("link"), Some(65534), None).unwrap();
    for name in ["file", "link"] {
        let path = format!("public/{name}");
        programs.fail("genisoimage", ["-R", "-o", &path, "seed"], 2, "another user");
        programs.fail("genisoimage", ["-log-file", &path, "-R", "-o", "image", "seed"], 2, "another user");
    }
    let fifo = directory.join("fifo");
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    chown(&fifo, Some(65534), None).unwrap();
    programs.fail("genisoimage", ["-R", "-o", "public/fifo", "seed"], 2, "another user");
    assert_eq!(programs.sandbox.read("public/file"), b"theirs");
    assert_eq!(programs.sandbox.read("victim"), b"victim");
}

#[test]
#[ignore = "needs root"]
fn a_full_disk_leaves_nothing_that_looks_like_an_image() {
    let programs = with_seed();
    fs::write(programs.path("seed/large"), vec![1; 4 << 20]).unwrap();
    fs::create_dir(programs.path("small")).unwrap();
    programs.sandbox.tool("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", "small"]);
    fs::write(programs.path("small/old"), "old").unwrap();
    let outputs = ["small/old", "small/new"]
        .map(|image| (image, programs.run("ours", "genisoimage", ["-R", "-o", image, "seed"])));
    let old = fs::read(programs.path("small/old")).unwrap();
    let is_new = programs.path("small/new").exists();
    programs.sandbox.tool("umount", ["small"]);
    for (image, output) in outputs {
        assert_eq!(output.status.code(), Some(2), "{image}");
    }
    assert!(old.is_empty() && !is_new);
}
