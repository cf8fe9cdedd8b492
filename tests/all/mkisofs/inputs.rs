//! What is read is never lost, and has an end: files that are also written to, lists, links, graft points.

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt, chown, symlink},
        process::CommandExt,
    },
    process::{Command, Output, Stdio},
};

use super::{Programs, habits::with_seed, primary_names, write};
use crate::support::copy_program;

/// Runs a script in the directory of the sandbox.
fn shell(programs: &Programs, script: &str) -> Output {
    Command::new("bash").current_dir(programs.path(".")).args(["-c", script]).output().unwrap()
}

#[test]
fn a_file_in_a_directory_that_is_also_the_output_is_not_lost() {
    let programs = with_seed();
    let same = "\"seed/user-data\": the image is written to the same file";
    programs.fail("mkisofs", ["-R", "-o", "seed/user-data", "seed"], 2, same);
    fs::hard_link(programs.path("seed/user-data"), programs.path("seed/x.iso")).unwrap();
    programs.fail("mkisofs", ["-R", "-o", "seed/x.iso", "seed"], 2, "the image is written to the same file");
    programs.fail("xorrisofs", ["-o", "seed/x.iso", "seed"], 5, "the image is written to the same file");
    assert_eq!(programs.sandbox.read("seed/user-data"), b"#cloud-config\n");
    // What a killed run leaves begins with zeros, and is no loss.
    fs::remove_file(programs.path("seed/x.iso")).unwrap();
    fs::write(programs.path("seed/x.iso"), vec![0; 100_000]).unwrap();
    programs.succeed("mkisofs", ["-R", "-o", "seed/x.iso", "seed"]);
    assert_eq!(primary_names(&programs.sandbox.read("seed/x.iso")).len(), 2);
}

#[test]
fn a_list_is_not_lost() {
    let programs = with_seed();
    fs::write(programs.path("list"), "seed\n").unwrap();
    let read = "the image is written to a list that is read";
    programs.fail("mkisofs", ["-R", "-path-list", "list", "-o", "list"], 2, read);
    programs.fail("mkisofs", ["-R", "-exclude-list", "list", "-o", "list", "seed"], 2, read);
    let log = "-log-file names the image or a list that is read";
    programs.fail("mkisofs", ["-R", "-path-list", "list", "-log-file", "list", "-o", "image"], 2, log);
    programs.fail("mkisofs", ["-R", "-log-file", "image", "-o", "image", "seed"], 2, log);
    assert_eq!(programs.sandbox.read("list"), b"seed\n");
}

#[test]
fn a_file_that_is_also_that_of_messages_is_not_lost() {
    let programs = with_seed();
    // The link before it is left out with a message.
    symlink("nowhere", programs.path("seed/a")).unwrap();
    for operand in ["seed", "seed/user-data"] {
        let arguments = ["-log-file", "seed/user-data", "-o", "image", operand];
        let output = programs.run("ours", "genisoimage", arguments);
        assert_eq!(output.status.code(), Some(2));
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.contains("\"seed/user-data\": -log-file names the same file"), "{errors}");
    }
    assert_eq!(programs.sandbox.read("seed/user-data"), b"#cloud-config\n");
    fs::write(programs.path("log"), "old\n").unwrap();
    programs.succeed("genisoimage", ["-log-file", "log", "-o", "image", "seed"]);
    let said = "genisoimage: Symlink \"seed/a\" ignored - continuing.\n";
    assert_eq!(String::from_utf8(programs.sandbox.read("log")).unwrap(), said);
}

#[test]
fn a_list_that_has_no_end_is_an_error() {
    let programs = with_seed();
    let long = "\"/dev/zero\": it has more than 65536 bytes in a line";
    programs.fail("mkisofs", ["-path-list", "/dev/zero", "-o", "image"], 2, long);
    programs.fail("mkisofs", ["-exclude-list", "/dev/zero", "-o", "image", "seed"], 2, long);
}

#[test]
fn graft_points_that_need_very_many_directories_are_an_error() {
    let programs = with_seed();
    fs::write(programs.path("list"), format!("{}x=seed/user-data\n", "d/".repeat(2_048))).unwrap();
    let arguments = ["-R", "-graft-points", "-path-list", "list", "-o", "image"];
    programs.fail("genisoimage", arguments, 255, "its path on the image has more than 4095 bytes");
    let line = |number: u32| format!("{number}/{}x=seed/user-data\n", "d/".repeat(1_000));
    fs::write(programs.path("list"), (0..20).map(line).collect::<String>()).unwrap();
    programs.fail("genisoimage", arguments, 255, "the graft points need more than");
    fs::write(programs.path("list"), format!("{}x=seed/user-data\n", "d/".repeat(5))).unwrap();
    programs.succeed("genisoimage", arguments);
    assert_eq!(primary_names(&programs.sandbox.read("image")).len(), 6);
}

#[test]
fn links_that_lead_to_very_many_files_are_an_error() {
    let programs = with_seed();
    // Two links to the directory below, 20 times.
    for number in 0..20 {
        let directory = programs.path(&format!("seed/{number}"));
        fs::create_dir(&directory).unwrap();
        for name in ["a", "b"] {
            symlink(format!("../{}", (number + 1) % 20), directory.join(name)).unwrap();
        }
    }
    let output = programs.run("ours", "genisoimage", ["-f", "-R", "-o", "image", "seed"]);
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8(output.stderr).unwrap();
    let last = errors.lines().last().unwrap();
    assert!(last.contains("links lead to more than 262144 files"), "{last}");
}

#[test]
fn the_image_goes_to_a_pipe_that_a_shell_names() {
    let programs = with_seed();
    let script = "ours/mkisofs -R -o image seed && ours/mkisofs -R -o >(cat > piped) seed && sleep 0.5 && cmp image piped";
    let output = shell(&programs, script);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn names_of_backups_are_left_out() {
    let programs = Programs::new();
    let names =
        ["a~", "#a#", "a#b", "x~y", ".bak", "a.bak", "a.bak.c", "A.BAK", "bak", "d~/f", "d/f~", "d/g"];
    for name in names {
        write(&programs.path("seed").join(name), "");
    }
    for option in ["-no-bak", "-nobak"] {
        programs.succeed("genisoimage", ["-R", option, "-o", "image", "seed"]);
        let names = primary_names(&programs.sandbox.read("image"));
        let names: Vec<_> = names.iter().map(|(name, _)| String::from_utf8_lossy(name)).collect();
        assert_eq!(names, ["A.BAK", "a.bak.c", "bak", "d", "d/g"]);
    }
    // What the command line names is stored.
    programs.succeed("genisoimage", ["-R", "-no-bak", "-o", "image", "seed/a~"]);
    assert_eq!(primary_names(&programs.sandbox.read("image"))[0].0, b"a~");
}

#[test]
fn there_is_one_volume_in_a_set() {
    let programs = with_seed();
    programs.succeed("genisoimage", ["-R", "-volset-size", "1", "-volset-seqno", "1", "-o", "image", "seed"]);
    programs.fail("genisoimage", ["-volset-size", "2", "-o", "image", "seed"], 255, "-volset-size");
}

#[test]
fn an_error_of_the_command_line_says_what_to_type() {
    let programs = with_seed();
    programs.fail("mkisofs", [""; 0], 1, "usage: [options] -o IMAGE FILE..., and -help lists the options");
    programs.fail("mkisofs", ["-nonsense", "seed"], 1, "(-help lists the options)");
    programs.fail("mkisofs", ["seed", "-o", "image"], 2, "(options come before the first file)");
    let arguments = ["-graft-points", "user-data/x=seed/user-data", "seed"];
    programs.fail(
        "mkisofs",
        arguments,
        1,
        "and a directory of a graft point have the same name \"user-data\"",
    );
    let output = programs.run("ours", "mkisofs", ["-help"]);
    let help = String::from_utf8(output.stderr).unwrap();
    assert!(help.contains("  -V ID, -volid ID\n      volume identifier"), "{help}");
    assert!(help.contains("  -hide-rr-moved\n") && !help.contains("-udf"), "{help}");
}

#[test]
fn a_program_that_cannot_be_linked_is_copied_and_no_part_of_a_copy_is_left() {
    let programs = Programs::new();
    // Copied, since it is on another file system, unless temporary files are in memory too.
    let other = tempfile::tempdir_in("/dev/shm").unwrap();
    let directory = other.path().to_str().unwrap();
    let script = |limit: &str| {
        format!("{limit} ours/cloud-localds -h > /dev/null && {limit} \"$0\" install-names {directory}")
    };
    let run = |limit: &str| {
        Command::new("bash")
            .current_dir(programs.path("."))
            .args(["-c", &script(limit), env!("CARGO_BIN_EXE_metadata")])
            .stdout(Stdio::null())
            .status()
            .unwrap()
    };
    assert!(!run("ulimit -f 100;").success());
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 0);
    assert!(run("").success());
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 4);
    assert!(!run("").success(), "nothing is replaced");
}

#[test]
#[ignore = "needs root"]
fn a_program_of_root_is_copied_for_another_user() {
    const NOBODY: u32 = 65534;
    let public = tempfile::tempdir().unwrap();
    fs::set_permissions(public.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (program, bin) = (public.path().join("metadata"), public.path().join("bin"));
    copy_program(&program);
    fs::create_dir(&bin).unwrap();
    chown(&bin, Some(NOBODY), None).unwrap();
    // Linux makes no link to it where fs.protected_hardlinks is set.
    let mut command = Command::new(&program);
    let output = command.args(["install-names", "-q"]).arg(&bin).uid(NOBODY).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::read_dir(&bin).unwrap().count(), 4);
}
