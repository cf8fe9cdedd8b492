//! What other readers take an image and its names for: a signed image is one thing to all of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{File, OpenOptions},
    os::unix::fs::FileExt,
    process::Command,
};

use metadata_image::image::superblocks::{Mark, marks};
use ssh_key::{HashAlg, LineEnding};

use crate::{
    signature::{key, public, refused, verify_image, write_key},
    support::{Ran, Sandbox, done, failed, noise},
};

/// A directory with a key and who may use it.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    write_key(&sandbox, "key", 1);
    sandbox.write("allowed", format!("a@b {}\n", public(1)));
    sandbox
}

/// Makes an image with files of these names, each of which holds its name, and these options; what `create` said.
fn create(sandbox: &Sandbox, names: &[&str], options: &[&str]) -> Ran {
    let files = names.iter().enumerate().flat_map(|(number, name)| {
        sandbox.write(&number.to_string(), name);
        ["--file".to_owned(), format!("{name}={number}")]
    });
    let files: Vec<_> = files.collect();
    let files = files.iter().map(String::as_str);
    sandbox.run(
        ["create", "--quiet", "meta.iso", "hello"].into_iter().chain(files).chain(options.iter().copied()),
    )
}

/// Adds a manifest and a good signature of it to the image that `create` makes with the same arguments, which `sign` would not
/// do.
fn sign_by_force(sandbox: &Sandbox, names: &[&str], options: &[&str]) {
    create(sandbox, names, options);
    sandbox.succeed(["sign", "--quiet", "meta.iso", "--manifest-only"]);
    let manifest = sandbox.succeed(["extract", "meta.iso", "manifest.json"]);
    let signature = key(1).sign("metadata-image", HashAlg::Sha512, &manifest).unwrap();
    sandbox.write("manifest", manifest);
    sandbox.write("signature", signature.to_pem(LineEnding::LF).unwrap());
    let own = ["--file", "manifest.json=manifest", "--file", "manifest.json.sig=signature"];
    create(sandbox, names, &[&own, options].concat());
}

const NOROCK: &str = "Linux with the mount option norock";
const PLAIN: &str = "a reader of plain ISO 9660 names";
const LENIENT: &str = "a reader that ignores case, final dots and versions";

#[test]
fn names_that_a_reader_cannot_tell_apart_are_neither_signed_nor_verified() {
    for (names, path, other, reader) in [
        (&["USER-DATA"][..], "USER-DATA", "user-data", NOROCK),
        (&["user-data..."], "user-data...", "user-data", NOROCK),
        (&["META-DATA"], "META-DATA", "meta-data", NOROCK),
        (&["Config"], "Config", "config", NOROCK),
        (&["config."], "config.", "config", NOROCK),
        (&["config "], "config ", "config", "Windows"),
        (&["config;1"], "config;1", "config", LENIENT),
        (&["Manifest.json"], "Manifest.json", "manifest.json", NOROCK),
        (&["user_data"], "user_data", "user-data", PLAIN),
        (&["OpenStack/latest/user_data"], "OpenStack/latest/user_data", "openstack/latest/user_data", NOROCK),
        // What cloud-init prefers to `latest`, and what it reads of older config drives.
        (
            &["OpenStack/2018-08-27/user_data"],
            "OpenStack/2018-08-27/user_data",
            "openstack/2018-08-27/user_data",
            NOROCK,
        ),
        (&["META.JS"], "META.JS", "meta.js", NOROCK),
        (&["EC2/latest/meta-data.json"], "EC2/latest/meta-data.json", "ec2/latest/meta-data.json", NOROCK),
        (&["A/x", "a/y"], "a", "A", NOROCK),
        (&["a:b", "a_b"], "a_b", "a:b", NOROCK),
    ] {
        let sandbox = sandbox();
        let kind = if names.contains(&path) { "file" } else { "directory" };
        let sentence = format!("{kind} {path:?} is the same as {other:?} to {reader}");
        let created = create(&sandbox, names, &[]);
        assert_eq!(created.status, Some(0));
        assert!(
            created.stderr.lines().any(|line| line == format!("metadata: warning: {sentence}")),
            "{created:?}"
        );
        assert_eq!(create(&sandbox, names, &["--strict"]), failed(1, &sentence));
        let image = sandbox.read("meta.iso");
        assert_eq!(
            sandbox.run(["sign", "meta.iso", "--key", "key"]),
            failed(
                1,
                &format!(
                    "building image \"meta.iso\": checking that the new image can be verified: {sentence}"
                )
            )
        );
        assert!(sandbox.read("meta.iso") == image, "the image is as it was");
        sign_by_force(&sandbox, names, &[]);
        assert_eq!(verify_image(&sandbox, &[]), refused(&sentence));
    }
}

#[test]
fn a_volume_that_windows_takes_for_one_of_an_agent_is_neither_signed_nor_verified() {
    let sandbox = sandbox();
    for (identifier, known) in [("CIDATA          x", "CIDATA"), ("Config-2         x", "config-2")] {
        let sentence = format!(
            "volume identifier {identifier:?} is the same as {known:?} to Windows, since Joliet stores 16 characters"
        );
        for names in [&[][..], &["a"]] {
            let options = ["--volume-id", identifier];
            let created = create(&sandbox, names, &options);
            let warning = format!("metadata: warning: {sentence}");
            assert!(created.stderr.lines().any(|line| line == warning), "{created:?}");
            assert_eq!(
                sandbox.run(["sign", "meta.iso", "--key", "key"]),
                failed(
                    1,
                    &format!(
                        "building image \"meta.iso\": checking that the new image can be verified: {sentence}"
                    )
                )
            );
            sign_by_force(&sandbox, names, &options);
            assert_eq!(verify_image(&sandbox, &[]), refused(&sentence));
        }
    }
    create(&sandbox, &[], &["--volume-id", "a name of more than 16 characters"[..32].trim()]);
    assert_eq!(sandbox.run(["sign", "--quiet", "meta.iso", "--key", "key"]), done(""));
    assert_eq!(verify_image(&sandbox, &[]), done(""));
}

#[test]
fn names_that_linux_shortens_or_cannot_open_are_not_built() {
    let sandbox = sandbox();
    let longest = "n".repeat(253);
    assert_eq!(create(&sandbox, &[&longest], &[]).status, Some(0));
    let long = "n".repeat(254);
    let refused = |name: &str, why: &str| {
        let file = format!("{name}=key.pub");
        let ran = sandbox.run(["create", "--force", "meta.iso", "hello", "--file", &file]);
        assert_eq!(ran, failed(2, &format!("file name {name:?} has a component {why}")));
    };
    refused(&long, "longer than 253 bytes, which Linux shortens");
    refused(&format!("{long}/x"), "longer than 253 bytes, which Linux shortens");
    refused("\u{1}", "of one byte that Linux cannot open");
}

#[test]
fn names_that_only_the_plain_tree_changes_are_signed_with_a_warning() {
    let sandbox = sandbox();
    let sentence = format!("file \"a-\" is the same as \"a+\" to {PLAIN}");
    assert_eq!(create(&sandbox, &["a+", "a-"], &[]), done(&format!("metadata: warning: {sentence}\n")));
    let signed = sandbox.run(["sign", "meta.iso", "--key", "key"]);
    let warning = format!("metadata: warning: meta.iso: {sentence}\n");
    assert!(signed.status == Some(0) && signed.stderr.starts_with(&warning), "{signed:?}");
    assert_eq!(verify_image(&sandbox, &[]), done(""));
}

#[test]
fn names_that_every_tree_keeps_apart_are_signed_without_a_word() {
    let sandbox = sandbox();
    for names in [&["日", "日本語"][..], &["keys/config", "keys/Config.d", "keys/a.pem"], &["meta-data"]]
    {
        assert_eq!(create(&sandbox, names, &[]), done(""));
        assert_eq!(sandbox.run(["sign", "--quiet", "meta.iso", "--key", "key"]), done(""));
        assert_eq!(verify_image(&sandbox, &[]), done(""), "{names:?}");
    }
}

#[test]
#[ignore = "needs bsdtar and 7z"]
fn a_signed_image_has_the_same_names_for_every_reader() {
    let sandbox = sandbox();
    let names = ["日", "日本語", "keys/config", "keys/ca.pem", "models/base.bin"];
    assert_eq!(create(&sandbox, &names, &[]), done(""));
    sandbox.succeed(["sign", "--quiet", "meta.iso", "--key", "key"]);
    let list = |program: &str, arguments: &[&str]| {
        let text = sandbox.tool("env", [&["LC_ALL=C.UTF-8", program], arguments].concat());
        let text = String::from_utf8(text).unwrap();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let tar = list("bsdtar", &["-tf", "meta.iso"]);
    let tar: Vec<_> = tar.iter().map(|name| name.trim_start_matches("./").to_owned()).collect();
    let seven: Vec<_> = list("7z", &["l", "-slt", "-ba", "meta.iso"])
        .iter()
        .filter_map(|line| line.strip_prefix("Path = ").map(str::to_owned))
        .collect();
    for name in names.iter().chain(&["config", "manifest.json", "manifest.json.sig"]) {
        for (reader, listed) in [("bsdtar", &tar), ("7z", &seven)] {
            assert_eq!(
                listed.iter().filter(|other| other == name).count(),
                1,
                "{reader}: {name:?} in {listed:?}"
            );
        }
    }
    // What they make of names that are refused: 7z finds another file by the name without case.
    create(&sandbox, &["CONFIG"], &[]);
    let found = sandbox.tool("7z", ["x", "-so", "-ssc-", "meta.iso", "config"]);
    assert_eq!(found, b"CONFIGhello");
}

/// Makes an image with a file `a` of these bytes. How long it is, and where the file is: on the signed image as well.
fn with_payload(sandbox: &Sandbox, payload: &[u8], more: &[&str]) -> (u64, u64) {
    sandbox.write("payload", payload);
    let arguments =
        [&["create", "--quiet", "--json", "meta.iso", "hello", "--file", "a=payload"], more].concat();
    let made: serde_json::Value = serde_json::from_slice(&sandbox.succeed(arguments)).unwrap();
    let file = made["files"].as_array().unwrap().iter().find(|file| file["name"] == "a").unwrap();
    (made["size"].as_u64().unwrap(), file["offset"].as_u64().unwrap())
}

/// Bytes of payloads that reach as many places as possible: in the head, and behind it as far as 4 MiB.
const PAYLOADS_BYTES: [u64; 2] = [1 << 20, 6 << 20];

/// The marks that bytes from `start` on can have, of an image of `bytes` bytes. Of marks that are the same in many places
/// that follow one another only the first and the last.
fn reachable(bytes: u64, start: u64, len: u64) -> Vec<Mark> {
    let end = |mark: &Mark| mark.offset + (mark.bytes.len() as u64).max(mark.and.0 + mark.and.1.len() as u64);
    let mut alike: BTreeMap<_, Vec<Mark>> = BTreeMap::new();
    for mark in marks(bytes).filter(|mark| mark.offset >= start && end(mark) <= start + len) {
        alike.entry((mark.name, mark.bytes, mark.and)).or_default().push(mark);
    }
    let ends = alike.into_values().flat_map(|marks| {
        let count = marks.len();
        marks.into_iter().enumerate().filter(move |(at, _)| count <= 13 || *at == 0 || at + 1 == count)
    });
    ends.map(|(_, mark)| mark).collect()
}

/// Where which bytes of a mark are.
fn parts(mark: &Mark) -> [(u64, &'static [u8]); 2] {
    [(mark.offset, mark.bytes), (mark.offset + mark.and.0, mark.and.1)]
}

#[test]
fn an_image_that_looks_like_something_else_is_neither_signed_nor_verified() {
    let sandbox = sandbox();
    let mut names = BTreeSet::new();
    for len in [700 << 10, 3 << 20] {
        let plain = vec![b'x'; usize::try_from(len).unwrap()];
        let (unsigned, start) = with_payload(&sandbox, &plain, &[]);
        sandbox.succeed(["sign", "--quiet", "meta.iso", "--key", "key"]);
        let signed = sandbox.read("meta.iso");
        assert!(signed[usize::try_from(start).unwrap()..].starts_with(&plain), "it is at the same place");
        for mark in reachable(signed.len() as u64, start, len) {
            if !names.insert(mark.name) {
                continue;
            }
            let mut payload = plain.clone();
            for (at, part) in parts(&mark) {
                payload[usize::try_from(at - start).unwrap()..][..part.len()].copy_from_slice(part);
            }
            sandbox.write("payload", &payload);
            let made = create(&sandbox, &[], &["--file", "a=payload"]);
            let sentence = format!("file \"a\": {mark}");
            // A place that is counted from the end is another one on the signed image, where that is longer.
            if marks(unsigned).any(|other| other == mark) {
                assert_eq!(made, done(&format!("metadata: warning: {sentence}\n")));
                let strict = create(&sandbox, &[], &["--file", "a=payload", "--strict"]);
                assert_eq!(strict, failed(1, &sentence));
                // In the same words where the image goes to a pipe.
                let piped = ["create", "--quiet", "-", "hello", "--file", "a=payload"];
                let piped = sandbox.command(piped).output().unwrap();
                assert_eq!(String::from_utf8(piped.stderr).unwrap(), made.stderr);
                assert!(piped.stdout == sandbox.read("meta.iso"));
                // And to a file that cannot be read back.
                let written = Command::new(assert_cmd::cargo::cargo_bin!("metadata"))
                    .args(["create", "--quiet", "-", "hello", "--file", "a=payload"])
                    .current_dir(sandbox.path(""))
                    .stdout(File::create(sandbox.path("written")).unwrap())
                    .output();
                assert_eq!(String::from_utf8(written.unwrap().stderr).unwrap(), made.stderr);
                // Of a pipe nothing is left to look at but the image.
                let arguments = ["create", "--quiet", "again.iso", "hello", "--file", "a=/dev/stdin"];
                assert_eq!(sandbox.run_with_input(arguments, payload.as_slice()), made);
            }
            assert_eq!(
                sandbox.run(["sign", "--quiet", "meta.iso", "--key", "key"]),
                failed(
                    1,
                    &format!(
                        "building image \"meta.iso\": checking that the new image can be verified: {sentence}"
                    )
                )
            );
            sign_by_force(&sandbox, &[], &["--file", "a=payload"]);
            assert_eq!(verify_image(&sandbox, &[]), refused(&sentence));
        }
    }
    println!("{names:?}");
    assert!(names.len() >= 12, "{names:?}");
}

#[test]
fn names_can_make_an_image_look_like_something_else_too() {
    let sandbox = sandbox();
    let sentence = "byte 65588 of the image has the magic bytes of ReiserFS; other programs may mistake the image for it";
    // Rock Ridge has long names in sectors of their own. With so many of this length one of these sectors is at 64 KiB,
    // where the mark is 52 bytes further on: behind 5 bytes of an entry, the number and the dashes.
    let name = "----".to_owned() + &"ReIsErFs".repeat(25);
    let names: Vec<_> = (0..110).map(|number| format!("{number:03}{name}")).collect();
    let names: Vec<_> = names.iter().map(String::as_str).collect();
    let created = create(&sandbox, &names, &[]);
    assert!(created.stderr.ends_with(&format!("metadata: warning: {sentence}\n")), "{}", created.stderr);
    assert_eq!(
        sandbox.run(["sign", "--quiet", "meta.iso", "--key", "key"]),
        failed(
            1,
            &format!("building image \"meta.iso\": checking that the new image can be verified: {sentence}")
        )
    );
}

/// What blkid takes a file for: its type, or how it failed.
fn blkid(sandbox: &Sandbox, name: &str) -> String {
    let output =
        Command::new("blkid").args(["-o", "export", "-p", name]).current_dir(sandbox.path("")).output();
    let output = output.expect("running blkid");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)).map(str::to_owned);
    match (value("TYPE=").or_else(|| value("PTTYPE=")), output.status.code()) {
        (Some(kind), _) => kind,
        (None, Some(8)) => "ambivalent".to_owned(),
        (None, status) => format!("nothing, status {status:?}"),
    }
}

#[test]
#[ignore = "needs blkid"]
fn blkid_takes_an_image_with_such_a_mark_for_something_else() {
    let sandbox = sandbox();
    // Some file systems are not looked for on small devices, and blkid is content with the first where it is tiny.
    File::create(sandbox.path("hole")).unwrap().set_len(70 << 20).unwrap();
    let mut taken: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    let mut count = 0;
    for len in PAYLOADS_BYTES {
        let plain = vec![b'x'; usize::try_from(len).unwrap()];
        for more in [&[][..], &["--file", "b=hole"]] {
            let (bytes, start) = with_payload(&sandbox, &plain, more);
            assert_eq!(blkid(&sandbox, "meta.iso"), "iso9660");
            let image = OpenOptions::new().write(true).open(sandbox.path("meta.iso")).unwrap();
            for mark in reachable(bytes, start, len) {
                // ZFS wants four of its blocks.
                let times = if mark.name == "ZFS" { 4 } else { 1 };
                for number in 0..times {
                    for (at, part) in parts(&mark) {
                        image.write_all_at(part, at + number * 1024).unwrap();
                    }
                }
                count += 1;
                taken.entry(mark.name).or_default().insert(blkid(&sandbox, "meta.iso"));
                image.write_all_at(&vec![b'x'; 4096], mark.offset.clamp(start, start + len - 4096)).unwrap();
            }
            assert_eq!(blkid(&sandbox, "meta.iso"), "iso9660", "the marks are gone");
        }
    }
    println!("{count} images: {taken:#?}");
    // The others want more than a mark.
    for name in [
        "Btrfs",
        "ReiserFS",
        "Reiser4",
        "UFS",
        "LUKS",
        "swap space",
        "a VMFS volume",
        "VMFS",
        "ZFS",
        "a Promise RAID",
    ] {
        assert!(taken[name].iter().any(|kind| kind != "iso9660"), "{name}: {:?}", taken[name]);
    }
}

#[test]
#[ignore = "needs blkid"]
fn images_of_random_files_are_iso_9660_to_blkid_and_to_us() {
    let sandbox = sandbox();
    let bytes = noise(8 << 20);
    let mut at = 0;
    for number in 0..300 {
        // Most are small, some reach behind the head.
        let len = 1 + usize::from(u16::from_le_bytes([bytes[at], bytes[at + 1]])) * (1 + number % 25);
        let from = (number * 27_449) % (bytes.len() - len);
        at += 2;
        sandbox.write("payload", &bytes[from..from + len]);
        assert_eq!(create(&sandbox, &[], &["--file", "a=payload", "--strict"]), done(""), "{number}");
        assert_eq!(blkid(&sandbox, "meta.iso"), "iso9660", "{number}");
        if number % 10 == 0 {
            sandbox.succeed(["sign", "--quiet", "meta.iso", "--key", "key"]);
            assert_eq!(verify_image(&sandbox, &[]), done(""), "{number}");
            assert_eq!(blkid(&sandbox, "meta.iso"), "iso9660", "{number}");
        }
    }
}
