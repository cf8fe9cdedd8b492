//! Images of other programs.

use std::{fs, os::unix::fs::symlink};

use super::{NEW, OLD, extracted, show, with_foreign_image, with_image};
use crate::support::{Sandbox, done, failed, linuxkit_image, noise};

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
            "the image has a boot record, which would be lost",
        ),
        (
            &["genisoimage", "-quiet", "-R", "-o", "seed.iso", "links"],
            "\"user-data\" is a symbolic link, which would be lost (--remove leaves it out)",
        ),
        (
            &["genisoimage", "-quiet", "-R", "-o", "seed.iso", "device"],
            "\"fifo\" is a device, a FIFO or a socket, which would be lost (--remove leaves it out)",
        ),
        (
            &["genisoimage", "-quiet", "-R", "-cache-inodes", "-o", "seed.iso", "hard"],
            "\"a\" and \"b\" are two names of one file, a hard link, which would be lost (--remove leaves one out)",
        ),
        (
            &["genisoimage", "-quiet", "-R", "-udf", "-o", "seed.iso", "seed"],
            "reading image \"seed.iso\": the image has a second file system, UDF, which would be lost",
        ),
        (
            &[
                "sh",
                "-c",
                "genisoimage -quiet -R -o seed.iso seed && printf x | dd of=seed.iso conv=notrunc status=none",
            ],
            "reading image \"seed.iso\": the image has a boot loader, a partition table or another file system in its first \
             32 KiB, which would be lost",
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
            "reading image \"seed.iso\": the image has several sessions, and only the files of the one that is read would be \
             kept",
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

#[test]
#[ignore = "needs genisoimage"]
fn what_other_programs_say_about_an_image_stays() {
    let given = [
        ("System", "-sysid", "SYS"),
        ("Volume set", "-volset", "SET"),
        ("Publisher", "-publisher", "Ops <ops@example.com>"),
        ("Data preparer", "-preparer", "me"),
        ("Application", "-appid", "Build 7"),
        ("Copyright File", "-copyright", "TOOL.;1"),
        ("Abstract File", "-abstract", "ABSTRACT"),
        ("Bibliographic File", "-biblio", "BIBLIO"),
    ];
    let mut command = vec!["genisoimage", "-quiet", "-V", "cidata", "-J", "-R"];
    command.extend(given.iter().flat_map(|(_, option, value)| [*option, *value]));
    let sandbox = with_foreign_image(&command);
    let said = || {
        let text = String::from_utf8(sandbox.tool("isoinfo", ["-d", "-i", "seed.iso"])).unwrap();
        let lines = text
            .lines()
            .filter(|line| given.iter().any(|(name, ..)| line.starts_with(&format!("{name} id"))));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let before = said();
    assert_eq!(before.len(), given.len(), "{before:?}");
    assert!(before.iter().any(|line| line.ends_with(": Ops <ops@example.com>")), "{before:?}");
    sandbox.succeed(["set", "-q", "seed.iso", "user-data=new"]);
    assert_eq!(said(), before);
}

#[test]
#[ignore = "needs genisoimage"]
fn an_identifier_that_is_not_text_is_named() {
    let sandbox = with_foreign_image(&["genisoimage", "-quiet", "-V", "cidata", "-J", "-R", "-p", "\u{e4}"]);
    let mut image = sandbox.read("seed.iso");
    // The preparer in the primary descriptor (ECMA-119, 8.4.21), in Latin-1.
    image[0x8000 + 446..0x8000 + 448].copy_from_slice(b"\xe4 ");
    sandbox.write("seed.iso", image);
    let ran = sandbox.run(["set", "seed.iso", "--instance-id", "i-2"]);
    let bytes = fs::metadata(sandbox.path("seed.iso")).unwrap().len();
    assert_eq!(
        ran,
        done(&format!(
            "metadata: warning: seed.iso: the preparer identifier is not text and was left out\n\
             metadata: seed.iso: {bytes} bytes, layout nocloud\n"
        ))
    );
}

#[test]
#[ignore = "needs genisoimage"]
fn a_second_tree_of_names_is_named_and_the_image_is_unchanged() {
    let sandbox = with_foreign_image(&["genisoimage", "-quiet", "-V", "cidata", "-R", "-iso-level", "4"]);
    let before = sandbox.read("seed.iso");
    let line = "changing image \"seed.iso\": the image has an Enhanced Volume Descriptor (level 4, ISO 9660:1999), which would \
                be lost";
    assert_eq!(sandbox.run(["set", "seed.iso", "user-data=new"]), failed(1, line));
    assert!(sandbox.read("seed.iso") == before);
}

#[test]
#[ignore = "needs genisoimage"]
fn a_name_that_was_cut_is_not_joined_by_the_whole_one() {
    for (level, cut) in [("1", "user_dat"), ("3", "user_data")] {
        let sandbox = with_foreign_image(&["genisoimage", "-quiet", "-V", "cidata", "-iso-level", level]);
        let before = sandbox.read("seed.iso");
        let replace = format!("user-data=PATH --remove {cut}");
        let line = format!(
            "changing image \"seed.iso\": the image has {cut:?}, which is \"user-data\" cut to the names of plain ISO 9660; \
             agents do not find it under that name; to replace it: {replace}"
        );
        assert_eq!(sandbox.run(["set", "seed.iso", "user-data=new"]), failed(1, &line));
        assert!(sandbox.read("seed.iso") == before);
        sandbox.succeed(["set", "-q", "seed.iso", "user-data=new", "--remove", cut]);
        assert_eq!(extracted(&sandbox, "user-data"), NEW);
    }
}
