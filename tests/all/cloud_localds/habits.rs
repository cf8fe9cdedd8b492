//! What callers rely on besides the image: where it goes, what is said, how it fails.

use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    process::Command,
};

use super::{fail, run, with_inputs};
use crate::support::{Sandbox, copy_program, done, noise};

#[test]
fn files_have_their_names_and_the_modes_of_copies() {
    let sandbox = with_inputs();
    let options = ["-N", "network.yaml", "-V", "vendor.yaml"];
    assert_eq!(run(&sandbox, &[&["seed", "user-data", "meta-data"], &options[..]].concat(), ""), done(""));
    let shown = String::from_utf8(sandbox.succeed(["show", "seed"])).unwrap();
    assert!(shown.contains("volume    cidata\nlayout    nocloud\n"), "{shown}");
    for file in ["0640    14      23  user-data", "0644    17      22  meta-data"] {
        assert!(shown.contains(&file[..5]) && shown.contains(&file[24..]), "{shown}");
    }
    assert_eq!(sandbox.succeed(["extract", "seed", "network-config"]), b"version: 2\n");
    assert_eq!(sandbox.succeed(["extract", "seed", "vendor-data"]), b"#cloud-config\n{}\n");
}

#[test]
fn a_fat_volume_has_its_label_in_both_places() {
    let sandbox = with_inputs();
    assert_eq!(run(&sandbox, &["-f", "vfat", "-v", "seed", "user-data"], "").status, Some(0));
    let volume = sandbox.read("seed");
    assert_eq!((&volume[43..54], &volume[54..62]), (&b"cidata     "[..], &b"FAT12   "[..]));
    // A directory entry with the attribute of a label.
    let mut entries = volume.chunks(32).filter(|entry| entry.starts_with(b"cidata     ") && entry[11] == 8);
    assert!(entries.next().is_some() && entries.next().is_none());
    assert!(volume.chunks(512).any(|sector| sector.starts_with(b"#cloud-config\n\0")));
    assert_eq!(sandbox.succeed(["extract", "seed", "user-data"]), b"#cloud-config\n");
}

#[test]
fn meta_data_is_made_from_options() {
    let sandbox = with_inputs();
    let ran =
        run(&sandbox, &["seed", "-", "-Hweb", "--interfaces", "interfaces", "--ds=local"], "#!/bin/sh\n");
    assert_eq!(ran, done(""));
    assert_eq!(
        String::from_utf8(sandbox.succeed(["extract", "seed", "meta-data"])).unwrap(),
        "{\n\"instance-id\": \"iid-local01\",\n\"local-hostname\": \"web\",\n\
         \"interfaces\": \"auto lo\\niface lo inet loopback\\n\",\n\"dsmode\": \"local\"\n}\n"
    );
    assert_eq!(sandbox.succeed(["extract", "seed", "user-data"]), b"#!/bin/sh\n");
}

#[test]
fn the_image_is_written_into_the_file_that_is_there() {
    let sandbox = with_inputs();
    for (format, bytes) in [("raw", 372_736), ("tar", 10_240)] {
        let path = sandbox.write("seed", vec![b'x'; 1 << 20]);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o604)).unwrap();
        let before = fs::metadata(&path).unwrap();
        let mut held = File::open(&path).unwrap();
        assert_eq!(run(&sandbox, &["-d", format, "seed", "user-data"], ""), done(""));
        let after = fs::metadata(&path).unwrap();
        assert_eq!((after.ino(), after.mode()), (before.ino(), before.mode()));
        let mut read = Vec::new();
        held.read_to_end(&mut read).unwrap();
        assert!(read.len() == bytes && read == sandbox.read("seed"), "{format}");
    }
    symlink("seed", sandbox.path("link")).unwrap();
    assert_eq!(run(&sandbox, &["link", "user-data"], ""), done(""));
    assert!(fs::symlink_metadata(sandbox.path("link")).unwrap().is_symlink());
    assert_eq!(sandbox.read("seed").len(), 372_736);
}

#[test]
fn the_image_goes_to_standard_output_the_same() {
    let sandbox = with_inputs();
    for format in ["raw", "tar", "tar-seed-net"] {
        let arguments = ["cloud-localds", "-v", "-d", format, "-", "user-data"];
        let output = sandbox.command(arguments).output().unwrap();
        let filesystem = if format == "raw" { "iso9660" } else { format };
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(said, format!("wrote - with filesystem={filesystem} and diskformat={format}\n"));
        for path in ["seed", "/dev/stdout"] {
            let ran = sandbox.command(["cloud-localds", "-d", format, path, "user-data"]).output().unwrap();
            let written = if path == "seed" { sandbox.read("seed") } else { ran.stdout };
            assert!(written == output.stdout, "{format} {path}");
        }
    }
}

#[test]
fn the_same_files_make_the_same_output_with_the_date_that_is_wanted() {
    let sandbox = with_inputs();
    for form in ["iso", "vfat", "tar", "tar-seed-local"] {
        let make = |seconds: &str| {
            let mut command = sandbox.command(["cloud-localds", "-f", form, "seed", "user-data"]);
            assert!(command.env("SOURCE_DATE_EPOCH", seconds).output().unwrap().status.success());
            sandbox.read("seed")
        };
        let first = make("1700000000");
        // FAT counts in two seconds.
        assert!(make("1700000000") == first && make("1700000002") != first, "{form}");
    }
    let mut command = sandbox.command(["cloud-localds", "seed", "user-data"]);
    let output = command.env("SOURCE_DATE_EPOCH", "today").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn user_data_may_be_a_pipe_and_large() {
    let sandbox = with_inputs();
    let large = noise(5 << 20);
    sandbox.write("large", &large);
    for form in ["iso", "vfat", "tar"] {
        let script = format!("\"$0\" cloud-localds -f {form} seed <(cat large)");
        let program = assert_cmd::cargo::cargo_bin("metadata");
        let mut bash = Command::new("bash");
        let status = bash.current_dir(sandbox.path(".")).args(["-c", &script]).arg(program).status().unwrap();
        assert!(status.success());
        let held = sandbox.read("seed");
        let mut pieces = held.windows(large.len()).step_by(512);
        assert!(pieces.any(|piece| piece == large), "{form}");
    }
}

#[test]
fn the_output_may_be_a_pipe_with_a_name_or_a_device() {
    let sandbox = with_inputs();
    sandbox.tool("mkfifo", ["pipe"]);
    let read = File::create(sandbox.path("read")).unwrap();
    let mut reader = Command::new("cat").arg(sandbox.path("pipe")).stdout(read).spawn().unwrap();
    assert_eq!(run(&sandbox, &["pipe", "user-data"], ""), done(""));
    assert!(reader.wait().unwrap().success());
    assert_eq!(run(&sandbox, &["seed", "user-data"], ""), done(""));
    assert!(sandbox.read("read") == sandbox.read("seed"));
    assert_eq!(run(&sandbox, &["/dev/null", "user-data"], ""), done(""));
}

#[test]
fn findings_are_printed_if_they_are_wanted() {
    let sandbox = with_inputs();
    sandbox.write("user-data", "# cloud-config\npackages: [nginx]\n");
    assert_eq!(run(&sandbox, &["seed", "user-data"], ""), done(""));
    let errors = |arguments: &[&str]| {
        let mut command = sandbox.command([&["cloud-localds"], arguments].concat());
        let output = command.env("METADATA_CHECK", "1").output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stderr).unwrap()
    };
    for (output, form) in [("seed", "iso"), ("-", "iso"), ("seed", "vfat")] {
        let found = errors(&[output, "user-data", "-f", form]);
        assert!(found.contains("error[no-header]") && found.contains(&format!("--> {output}")), "{found}");
    }
    let said = "cloud-localds: METADATA_CHECK is set, but tar archives are not checked\n";
    assert_eq!(errors(&["-dtar", "seed", "user-data"]), said);
}

#[test]
fn a_wrong_command_line_prints_the_usage_and_why() {
    let sandbox = with_inputs();
    let usage = run(&sandbox, &["-h"], "");
    assert_eq!((usage.status, usage.stderr.as_str()), (Some(0), ""));
    assert!(usage.stdout.starts_with("Usage: cloud-localds [OPTIONS] OUTPUT USER-DATA [META-DATA]\n"));
    assert!(usage.stdout.lines().all(|line| line.len() <= 80));
    for (arguments, why) in [
        (&["--version"][..], "unknown option '--version'"),
        (&["seed", "user-data", "-x"], "unknown option '-x'"),
        (&["seed", "user-data", "-H"], "option '-H' needs a value"),
        (&["seed"], "an output and a file with user data are required"),
        (
            &["seed", "user-data", "meta-data", "x\n"],
            "unexpected operand \"x\\n\": there are at most three, OUTPUT USER-DATA META-DATA",
        ),
    ] {
        let ran = run(&sandbox, arguments, "");
        assert_eq!((ran.status, ran.stdout.as_str()), (Some(1), ""));
        assert_eq!(ran.stderr, format!("{}\ncloud-localds: {why}\n", usage.stdout));
    }
    assert!(!sandbox.path("seed").exists());
    let mut command = sandbox.command(["cloud-localds", "seed", "user-data", "-h"]);
    assert_eq!(command.env("POSIXLY_CORRECT", "").output().unwrap().status.code(), Some(1));
}

#[test]
fn a_failure_leaves_the_old_output() {
    let sandbox = with_inputs();
    fs::create_dir(sandbox.path("directory")).unwrap();
    for old in [true, false] {
        if old {
            sandbox.write("seed", "old");
        } else {
            fs::remove_file(sandbox.path("seed")).unwrap();
        }
        for (arguments, line) in [
            (&["seed", "absent"][..], "reading user data \"absent\": No such file or directory (os error 2)"),
            (&["seed", "directory"], "reading user data \"directory\": is a directory"),
            (&["seed", ""], "reading user data \"\": No such file or directory (os error 2)"),
            (
                &["seed", "user-data", "absent"],
                "reading meta-data \"absent\": No such file or directory (os error 2)",
            ),
            (
                &["-Nabsent", "seed", "user-data"],
                "reading network configuration \"absent\": No such file or directory (os error 2)",
            ),
            (
                &["-Vabsent", "seed", "user-data"],
                "reading vendor data \"absent\": No such file or directory (os error 2)",
            ),
            (
                &["-iabsent", "seed", "user-data"],
                "reading network interfaces \"absent\": No such file or directory (os error 2)",
            ),
            (
                &["-Hweb", "seed", "user-data", "meta-data"],
                "--hostname, --interfaces and --dsmode cannot be used with a meta-data file (write them to it)",
            ),
            (
                &["-dtarball", "seed", "user-data"],
                "unknown disk format \"tarball\" (tar formats are tar, tar-seed-local and tar-seed-net)",
            ),
            (
                &["-dtar", "-fiso", "seed", "user-data"],
                "--disk-format tar cannot be used with --filesystem iso",
            ),
            (
                &["-fext4", "seed", "user-data"],
                "unknown file system \"ext4\" (use iso9660, vfat, tar, tar-seed-local or tar-seed-net)",
            ),
            (&["directory", "user-data"], "writing image \"directory\": is a directory"),
            (&["no/seed", "user-data"], "writing image \"no/seed\": directory \"no\" does not exist"),
        ] {
            fail(&sandbox, arguments, line);
        }
        if old {
            assert_eq!(sandbox.read("seed"), b"old");
            let names = ["seed", "seed"];
            fail(&sandbox, &names, "reading user data \"seed\": it is the output (give another path)");
            let names = ["-i", "seed", "seed", "user-data"];
            let line = "reading network interfaces \"seed\": it is the output (give another path)";
            fail(&sandbox, &names, line);
            assert_eq!(sandbox.read("seed"), b"old");
        } else {
            assert!(!sandbox.path("seed").exists());
        }
    }
}

#[test]
fn a_file_that_grows_past_the_limit_of_the_process_is_an_error() {
    let sandbox = with_inputs();
    sandbox.write("seed", "old");
    sandbox.succeed(["install-names", "."]);
    let script = "ulimit -f 100; ./cloud-localds seed user-data";
    let output = Command::new("bash").current_dir(sandbox.path(".")).args(["-c", script]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(errors, "cloud-localds: writing the image: File too large (os error 27)\n");
    // The temporary file was too large.
    assert_eq!(sandbox.read("seed"), b"old");
}

#[test]
fn without_qemu_img_other_disk_formats_are_an_error_that_names_it() {
    let sandbox = with_inputs();
    sandbox.write("seed", "old");
    let mut command = sandbox.command(["cloud-localds", "-d", "qcow2", "seed", "user-data"]);
    let output = command.env("PATH", "/nowhere").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "cloud-localds: making disk format qcow2: qemu-img is not installed (without --disk-format the image is raw)\n"
    );
    assert_eq!(sandbox.read("seed"), b"old");
}

/// A qemu-img that does what a line of shell says, and what it left in the directory for temporary files.
fn with_qemu_img(line: &str) -> (Sandbox, std::process::Output) {
    let sandbox = with_inputs();
    let program = sandbox.write("bin/qemu-img", format!("#!/bin/sh\n{line}\n"));
    fs::set_permissions(program, fs::Permissions::from_mode(0o755)).unwrap();
    fs::create_dir(sandbox.path("tmp")).unwrap();
    let path = format!("{}:{}", sandbox.path("bin").display(), std::env::var("PATH").unwrap());
    let mut command = sandbox.command(["cloud-localds", "-d", "vmdk", "seed.vmdk", "user-data"]);
    let output = command.env("PATH", path).env("TMPDIR", sandbox.path("tmp")).output().unwrap();
    (sandbox, output)
}

#[test]
fn qemu_img_gets_the_image_and_the_name_of_the_output() {
    let (sandbox, output) = with_qemu_img(
        "[ \"$1 $2 $3 $4 $5\" = 'convert -f raw -O vmdk' ] && cat \"$6\" > \"$7\" && basename \"$7\" >> \"$7\"",
    );
    assert!(output.status.success(), "{output:?}");
    let written = sandbox.read("seed.vmdk");
    assert_eq!((&written[32769..32774], &written[372_736..]), (&b"CD001"[..], &b"seed.vmdk\n"[..]));
    assert_eq!(fs::read_dir(sandbox.path("tmp")).unwrap().count(), 0);
}

#[test]
fn a_qemu_img_that_fails_leaves_nothing() {
    let (sandbox, output) = with_qemu_img("echo half > \"$7\"; echo 'qemu-img: no such\nformat' >&2; exit 3");
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        String::from_utf8(output.stderr).unwrap(),
        "cloud-localds: making disk format vmdk: qemu-img failed: no such\\nformat\n"
    );
    assert!(!sandbox.path("seed.vmdk").exists());
    assert_eq!(fs::read_dir(sandbox.path("tmp")).unwrap().count(), 0);
    // A signal removes what is there meanwhile.
    let (sandbox, output) = with_qemu_img("echo half > \"$7\"; kill -TERM $PPID; sleep 1; exit 1");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&output.status), Some(15));
    assert_eq!(fs::read_dir(sandbox.path("tmp")).unwrap().count(), 0);
}

#[test]
#[ignore = "needs root"]
fn links_as_root_another_users_file_in_tmp_is_refused() {
    let sandbox = with_inputs();
    let directory = sandbox.path("public");
    fs::create_dir(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o1777)).unwrap();
    sandbox.write("public/file", "theirs");
    chown(directory.join("file"), Some(65534), None).unwrap();
    sandbox.write("victim", "victim");
    symlink(sandbox.path("victim"), directory.join("link")).unwrap();
    std::os::unix::fs::lchown(directory.join("link"), Some(65534), None).unwrap();
    for name in ["public/file", "public/link"] {
        let ran = run(&sandbox, &[name, "user-data"], "");
        assert_eq!(ran.status, Some(1));
        assert!(ran.stderr.contains("another user"), "{}", ran.stderr);
    }
    assert_eq!((sandbox.read("public/file"), sandbox.read("victim")), (b"theirs".into(), b"victim".into()));
}

#[test]
#[ignore = "needs root"]
fn links_as_root_a_file_that_the_caller_may_not_read_is_an_error() {
    let sandbox = with_inputs();
    sandbox.write("seed", "old");
    fs::set_permissions(sandbox.path("."), fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(sandbox.path("seed"), fs::Permissions::from_mode(0o666)).unwrap();
    copy_program(sandbox.path("metadata"));
    for form in ["iso", "tar"] {
        let mut command = Command::new("setpriv");
        command.args([
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "./metadata",
            "cloud-localds",
            "-f",
            form,
        ]);
        let output =
            command.args(["seed", "meta-data", "user-data"]).current_dir(sandbox.path(".")).output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.contains("reading meta-data \"user-data\": Permission denied"), "{errors}");
        assert_eq!(sandbox.read("seed"), b"old");
    }
}

#[test]
#[ignore = "needs root"]
fn a_full_disk_leaves_nothing_that_looks_like_an_image() {
    let sandbox = with_inputs();
    sandbox.write("large", noise(4 << 20));
    fs::create_dir(sandbox.path("small")).unwrap();
    sandbox.tool("mount", ["-t", "tmpfs", "-o", "size=2m", "tmpfs", "small"]);
    sandbox.write("small/old", "old");
    let outputs = ["small/old", "small/new"].map(|image| run(&sandbox, &[image, "large"], ""));
    let (old, is_new) = (sandbox.read("small/old"), sandbox.path("small/new").exists());
    sandbox.tool("umount", ["small"]);
    for output in outputs {
        assert_eq!(output.status, Some(1));
        assert!(output.stderr.contains("No space left on device"), "{}", output.stderr);
    }
    assert!(old.is_empty() && !is_new);
}
