//! FAT images: what `create --filesystem vfat` makes, and what is read of those that mkfs.vfat and mcopy make.

use std::{collections::BTreeMap, fmt::Write as _, fs};

use metadata_image::image::{Image, Kind, Record};

use crate::{
    mutants::random,
    support::{Sandbox, done, failed, noise},
};

/// The files of an image, with their bytes, and its directories.
fn tree(sandbox: &Sandbox, image: &str) -> BTreeMap<String, Option<Vec<u8>>> {
    let mut image = Image::open(sandbox.path(image)).unwrap();
    let (_, records) = image.list().unwrap();
    let content = |record: &Record| (record.kind == Kind::File).then(|| image.read(record, 1 << 30).unwrap());
    records.iter().map(|record| (record.display_path(), content(record))).collect()
}

fn create(sandbox: &Sandbox, arguments: &[&str]) {
    sandbox.succeed(["create", "--quiet", "--filesystem", "vfat"].iter().chain(arguments));
}

const NOCLOUD: [&str; 6] = ["--layout", "nocloud", "--hostname", "web", "seed.img", "#cloud-config\n{}\n"];

#[test]
fn every_layout_has_its_label_and_its_files() {
    let sandbox = Sandbox::new();
    for (layout, label, size, files) in [
        ("linuxkit", "CIDATA", 8192, &["config"][..]),
        ("nocloud", "CIDATA", 8192, &["meta-data", "user-data"]),
        (
            "configdrive",
            "config-2",
            8192,
            &[
                "openstack",
                "openstack/latest",
                "openstack/latest/meta_data.json",
                "openstack/latest/user_data",
            ],
        ),
    ] {
        create(&sandbox, &["--layout", layout, "seed.img", "#cloud-config\n{}\n"]);
        let bytes = sandbox.read("seed.img");
        assert_eq!(bytes.len(), size);
        assert_eq!(tree(&sandbox, "seed.img").keys().collect::<Vec<_>>(), files);
        // LABEL_FATBOOT and LABEL of blkid.
        let stored = format!("{label:<11}");
        assert_eq!(&bytes[0x2b..0x36], stored.as_bytes());
        assert_eq!(&bytes[3 * 512..3 * 512 + 12], [stored.as_bytes(), b"\x08"].concat());
        let (volume, _) = Image::open(sandbox.path("seed.img")).unwrap().list().unwrap();
        assert_eq!((&*volume.identifier, volume.created.as_deref()), (label, Some("1980-01-01T00:00:00Z")));
    }
}

#[test]
fn the_same_input_makes_the_same_image_wherever_it_goes() {
    let sandbox = Sandbox::new();
    sandbox.write("large", noise(1_500_000));
    sandbox.write("f", "1");
    let files = ["--file", "a/b/large=large", "--file", "Grün ß.txt=f", "--file", "EMPTY=/dev/null"];
    let make = |image: &str| {
        let all =
            ["create", "--quiet", "--filesystem=vfat", "--layout=nocloud", image, "#cloud-config\n{}\n"];
        sandbox.succeed(all.iter().chain(&files))
    };
    make("a.img");
    let image = sandbox.read("a.img");
    assert!(make("-") == image, "standard output");
    make("b.img");
    assert!(sandbox.read("b.img") == image);
    // A pipe, whose length nobody knows.
    let arguments =
        ["create", "--quiet", "--filesystem=vfat", "--layout=nocloud", "c.img", "#cloud-config\n{}\n"];
    let from_pipe = ["--file", "Grün ß.txt=f", "--file", "EMPTY=/dev/null", "--file", "a/b/large=-"];
    let ran = sandbox.run_with_input(arguments.iter().chain(&from_pipe), noise(1_500_000));
    assert_eq!(ran, done(""));
    assert!(sandbox.read("c.img") == image, "from a pipe");
    assert_eq!(image.len() % 4096, 0);
    assert!(image.len() < 1_500_000 + 32_768, "{}", image.len());
    let found = tree(&sandbox, "a.img");
    assert_eq!(found["a/b/large"], Some(noise(1_500_000)));
    assert_eq!(found["Grün ß.txt"], Some(b"1".to_vec()));
    assert_eq!(found["EMPTY"], Some(Vec::new()));
    // Large files are at places that file systems can share.
    let json = sandbox.succeed(["show", "--json", "a.img"]);
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    let files = json["files"].as_array().unwrap();
    let large = files.iter().find(|file| file["name"] == "a/b/large").unwrap();
    assert_eq!(large["offset"].as_u64().unwrap() % 4096, 0);
    let mut other = image.clone();
    other[0x27] ^= 1;
    sandbox.write("d.img", other);
    let serial = |name: &str| sandbox.read(name)[0x27..0x2b].to_vec();
    create(&sandbox, &NOCLOUD);
    assert_ne!(serial("seed.img"), serial("a.img"), "other content has another serial number");
}

#[test]
fn what_fat_cannot_store_is_a_usage_error() {
    let sandbox = Sandbox::new();
    sandbox.write("f", "1");
    let character = "has a character that FAT cannot store: a control character or one of \"*:<>?\\|";
    for (arguments, line) in [
        (
            &["--volume-id=123456789012"][..],
            "volume identifier \"123456789012\" has 12 bytes; FAT stores at most 11".to_owned(),
        ),
        (&["--file=a?=f"], format!("file name \"a?\" {character}")),
        (&["--file=d:/a=f"], format!("file name \"d:/a\" {character}")),
        (&["--file=a.=f"], "file name \"a.\" ends in a dot or a blank, which FAT does not store".to_owned()),
        (
            &["--file=a=f", "--file=A=f"],
            "file names \"A\" and \"a\" differ only in case, which FAT ignores".to_owned(),
        ),
        (
            &["--file=d/a=f", "--file=D/b=f"],
            "file names \"D\" and \"d\" differ only in case, which FAT ignores".to_owned(),
        ),
    ] {
        let all = ["create", "--filesystem=vfat", "a.img", "hello"];
        let ran = sandbox.run(all.iter().chain(arguments));
        assert_eq!(ran.status, Some(2), "{ran:?}");
        assert_eq!(ran.stderr, format!("metadata: {line}\n"));
    }
    let mut command = sandbox.command(["create", "--filesystem=vfat", "a.img", "hello"]);
    let output = command.env("SOURCE_DATE_EPOCH", "4354819200").output().unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("after the year 2107"), "{output:?}");
    assert_eq!(sandbox.names(), ["f"]);
}

#[test]
fn fat_images_are_not_signed() {
    let sandbox = Sandbox::new();
    create(&sandbox, &NOCLOUD);
    sandbox.write(
        "allowed",
        "a@b ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPKr4SYjQM8sUXZ7Ru3aDGlU7yBGEn3h9SZnUE0Bv5Y9\n",
    );
    let why = "only ISO 9660 images can be confirmed or signed, and this is a FAT image; create --run-metadata stores a string \
               when it builds a FAT image";
    for (arguments, doing, why) in [
        (&["sign", "seed.img", "--key", "key"][..], "signing", why),
        (&["sign", "seed.img", "--manifest-only"], "signing", why),
        (&["confirm", "seed.img", "--run-metadata", "x"], "confirming", why),
        (
            &["verify", "seed.img", "--allowed-signers", "allowed"],
            "verifying",
            "only ISO 9660 images can be signed, and this is a FAT image",
        ),
    ] {
        let line = format!("{doing} image \"seed.img\": {why}");
        assert_eq!(sandbox.run(arguments), failed(1, &line), "{arguments:?}");
    }
    sandbox.succeed(["create", "-q", "--filesystem", "vfat", "x.img", "hello", "--run-metadata", "x"]);
    sandbox.succeed(["extract", "x.img", "manifest.json"]);
}

#[test]
fn a_fat_image_is_shown_extracted_applied_changed_and_compared() {
    let sandbox = Sandbox::new();
    sandbox.write("f", "1");
    create(&sandbox, &[&NOCLOUD[..], &["--file", "d/e/Grün=f"]].concat());
    let shown = String::from_utf8(sandbox.succeed(["show", "seed.img"])).unwrap();
    let expected = "\
image     seed.img
size      8192 bytes
volume    CIDATA
layout    nocloud
created   1980-01-01T00:00:00Z
modified  1980-01-01T00:00:00Z
format    FAT12

mode  size  sector  name
-        -       -  d/
-        -       -  d/e/
-        1       6  d/e/Grün
-       74       7  meta-data
-       17       8  user-data

agent           reads      cd-rom  virtio disk
metadata        user-data  yes     yes
LinuxKit        nothing    no      no: it reads ISO 9660 only
cloud-init      user-data  no      yes: Linux does not mount FAT with sectors of 512 bytes from a CD-ROM
cloudbase-init  nothing    no      no: NoCloud is not among its default metadata_services
";
    assert_eq!(shown, expected);
    assert_eq!(sandbox.succeed(["extract", "seed.img", "d/e/Grün"]), b"1");
    sandbox.succeed(["extract", "--quiet", "seed.img", "--into", "out"]);
    assert_eq!(fs::read(sandbox.path("out/d/e/Grün")).unwrap(), b"1");
    sandbox.succeed(["check", "seed.img"]);
    let listed = sandbox.succeed(["apply", "--dry-run", "seed.img"]);
    assert!(String::from_utf8(listed).unwrap().contains("hostname"));

    fs::copy(sandbox.path("seed.img"), sandbox.path("new.img")).unwrap();
    sandbox.succeed(["set", "--quiet", "new.img", "--remove", "d/e/Grün", "other=f", "--hostname", "db"]);
    let found = tree(&sandbox, "new.img");
    assert_eq!(found.keys().collect::<Vec<_>>(), ["meta-data", "other", "user-data"]);
    assert!(sandbox.read("new.img").starts_with(b"\xeb\x3c\x90METADATA"), "it is a FAT image still");
    let differences = sandbox.run(["diff", "seed.img", "new.img"]);
    assert_eq!(differences.status, Some(1));
    for line in ["removed   d/e/Grün (1 bytes)", "changed   meta-data", "added     other (1 bytes)"] {
        assert!(differences.stdout.contains(line), "{differences:?}");
    }
    let image = sandbox.read("new.img");
    let ran = sandbox.run(["set", "new.img", "Meta-Data=f"]);
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(sandbox.read("new.img") == image, "the image is as it was");
}

#[test]
fn a_file_that_looks_like_another_file_system_is_warned_of() {
    let sandbox = Sandbox::new();
    sandbox.write("iso", b"CD001\x01\0\0".repeat(10_000));
    // The first file begins at a sector; its magic bytes must be at byte 32769.
    sandbox.write("shifted", [b"\0".to_vec(), sandbox.read("iso")].concat());
    let ran =
        sandbox.run(["create", "--quiet", "--filesystem=vfat", "a.img", "hello", "--file", "a=shifted"]);
    let warning = "metadata: warning: file \"a\": byte 32769 of the image has the magic bytes of ISO 9660; \
                   other programs may mistake the image for it\n";
    assert_eq!(ran, done(warning));
}

#[test]
fn a_batch_makes_fat_images() {
    let sandbox = Sandbox::new();
    let line = r##"{"image": "a.img", "data": "#cloud-config\n{}\n", "layout": "nocloud", "hostname": "web", "filesystem": "vfat"}"##;
    sandbox.write("lines", line);
    sandbox.succeed(["batch", "--quiet", "lines", "--into", "out"]);
    create(&sandbox, &NOCLOUD);
    assert!(sandbox.read("out/a.img") == sandbox.read("seed.img"));
}

/// A random tree on the host: paths and contents.
fn random_tree(state: &mut u64) -> BTreeMap<String, Vec<u8>> {
    const NAMES: [&str; 10] = [
        "user-data",
        "CONFIG",
        "a.b.c",
        ".hidden",
        "Grün ß.txt",
        "日本語",
        "x",
        "meta_data.json",
        "a b",
        "UPPER.TXT",
    ];
    let mut files = BTreeMap::new();
    for number in 0..random(state) % 40 {
        let mut path = String::new();
        for level in 0..random(state) % 4 {
            write!(path, "dir{}-{level} and more/", random(state) % 3).unwrap();
        }
        let name = NAMES[usize::try_from(random(state) % 10).unwrap()];
        write!(path, "{number}{name}{}", "n".repeat(usize::try_from(random(state) % 60).unwrap())).unwrap();
        let len = usize::try_from(random(state) % 5 * (random(state) % 4000)).unwrap();
        files.insert(path, noise(len));
    }
    files
}

#[test]
#[ignore = "needs mkfs.vfat, fsck.vfat and mtools"]
fn random_trees_that_mcopy_writes_are_read_as_they_are() {
    let mut state = 20_261_128_u64;
    println!("seed {state}");
    for round in 0..30 {
        let sandbox = Sandbox::on_tmpfs();
        let files = random_tree(&mut state);
        for (path, bytes) in &files {
            sandbox.write(&format!("tree/{path}"), bytes);
        }
        fs::create_dir_all(sandbox.path("tree/empty")).unwrap();
        let (kind, kib) = [("12", "2048"), ("16", "16384"), ("32", "40000")][round % 3];
        let label = ["cidata", "CIDATA", "config-2"][round % 3];
        sandbox.tool("mkfs.vfat", ["-F", kind, "-n", label, "-C", "made.img", kib]);
        let tops = fs::read_dir(sandbox.path("tree")).unwrap();
        for top in tops.map(|entry| entry.unwrap().path()) {
            // The names are UTF-8, whatever the machine is set to.
            sandbox.tool(
                "env",
                ["LC_ALL=C.UTF-8", "mcopy", "-s", "-i", "made.img", top.to_str().unwrap(), "::"],
            );
        }
        let found = tree(&sandbox, "made.img");
        let found_files: BTreeMap<_, _> =
            found.iter().filter_map(|(path, bytes)| Some((path.clone(), bytes.clone()?))).collect();
        assert!(found_files == files, "round {round}: {:?}\n{:?}", found_files.keys(), files.keys());
        assert_eq!(found["empty"], None);
        let (volume, _) = Image::open(sandbox.path("made.img")).unwrap().list().unwrap();
        assert_eq!((volume.identifier.as_str(), volume.read.name()), (label, &*format!("FAT{kind}")));
        // As often as not the file is deleted again.
        if let Some(path) = files.keys().find(|path| !path.contains('/')) {
            sandbox.tool("env", ["LC_ALL=C.UTF-8", "mdel", "-i", "made.img", &format!("::{path}")]);
            assert!(!tree(&sandbox, "made.img").contains_key(path));
        }
    }
}

#[test]
#[ignore = "needs mkfs.vfat, fsck.vfat and mtools"]
fn others_read_what_is_written() {
    let mut state = 20_261_129_u64;
    println!("seed {state}");
    for round in 0..20 {
        let sandbox = Sandbox::on_tmpfs();
        let mut files = random_tree(&mut state);
        if round % 4 == 0 {
            files.insert("large".to_owned(), noise(1_200_000 * (round + 1)));
        }
        for (number, bytes) in files.values().enumerate() {
            sandbox.write(&number.to_string(), bytes);
        }
        let options = files.keys().enumerate().map(|(number, path)| format!("--file={path}={number}"));
        let label = ["config-2", "cidata"][round % 2];
        let first = ["create", "--quiet", "--filesystem=vfat", "made.img", "hello", "--volume-id", label];
        sandbox.succeed(first.map(str::to_owned).into_iter().chain(options));
        sandbox.tool("fsck.vfat", ["-n", "made.img"]);
        let blkid = String::from_utf8(sandbox.tool("blkid", ["-p", "-o", "export", "made.img"])).unwrap();
        for line in ["LABEL=", "LABEL_FATBOOT="]
            .map(|name| format!("{name}{label}"))
            .into_iter()
            .chain(["TYPE=vfat".to_owned()])
        {
            assert!(blkid.lines().any(|found| found == line), "{line}: {blkid}");
        }
        fs::create_dir(sandbox.path("out")).unwrap();
        sandbox.tool("env", ["LC_ALL=C.UTF-8", "mcopy", "-s", "-n", "-i", "made.img", "::", "out"]);
        files.insert("config".to_owned(), b"hello".to_vec());
        for (path, bytes) in &files {
            assert!(fs::read(sandbox.path("out").join(path)).unwrap() == *bytes, "round {round}: {path}");
        }
        let ours = tree(&sandbox, "made.img");
        let ours: BTreeMap<_, _> =
            ours.into_iter().filter_map(|(path, bytes)| Some((path, bytes?))).collect();
        assert!(ours == files, "round {round}");
    }
}

#[test]
#[ignore = "needs mkfs.vfat, fsck.vfat and mtools"]
fn each_kind_that_is_written_is_sound() {
    let sandbox = Sandbox::new();
    // Holes, so that this takes no room.
    for (kind, len) in [("12 bit", 30_u64 << 20), ("16 bit", 1 << 30), ("32 bit", 2300 << 20)] {
        fs::File::create(sandbox.path("hole")).unwrap().set_len(len).unwrap();
        create(&sandbox, &["made.img", "hello", "--file", "hole=hole"]);
        let said = String::from_utf8(sandbox.tool("fsck.vfat", ["-n", "-v", "made.img"])).unwrap();
        assert!(said.contains(kind), "{kind}: {said}");
        assert_eq!(sandbox.tool("mtype", ["-i", "made.img", "::config"]), b"hello");
        assert_eq!(sandbox.succeed(["extract", "made.img", "config"]), b"hello");
        let json = sandbox.succeed(["show", "--json", "made.img"]);
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["files"][1]["size"], len);
    }
}
