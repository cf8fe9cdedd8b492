//! How much memory the program takes at most.

use std::{
    ffi::OsStr,
    fs::File,
    io::Write,
    process::{Command, Stdio},
};

use crate::support::{Sandbox, cases, noise};

/// Kilobytes that the program may have in memory, whatever it reads and writes. Of a debug build 16 MB are there before it
/// has done anything: relocations of all its code, where a release has 4.
const RESIDENT_KB_MAX: u32 = if cfg!(debug_assertions) { 28 << 10 } else { 16 << 10 };

/// Runs a shell command, with `m` as the program under GNU time. Whether it succeeded, and the kilobytes that it had in
/// memory at most.
fn resident(sandbox: &Sandbox, command: &str) -> (bool, u32) {
    let script = format!("m() {{ env time -q -f %M -o resident \"$M\" \"$@\"; }}; {command}");
    let status = Command::new("bash")
        .env("M", assert_cmd::cargo::cargo_bin!("metadata"))
        .current_dir(sandbox.path(""))
        .args([OsStr::new("-c"), script.as_ref()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    let resident = String::from_utf8(sandbox.read("resident")).unwrap();
    (status.success(), resident.trim().parse().unwrap())
}

#[test]
#[ignore = "needs GNU time"]
fn memory_does_not_grow_with_the_data() {
    let sandbox = Sandbox::new();
    let mut file = File::create(sandbox.path("large")).unwrap();
    let piece = noise(1 << 20);
    for _ in 0..cases(64, 256) {
        file.write_all(&piece).unwrap();
    }
    for command in [
        "m create meta.iso --data-file large",
        "cat large | m create meta.iso --data-file -",
        "m create - --data-file large > out.iso",
        "cat large | m create - --data-file - > out.iso",
        "m create meta.iso --lenient --data-file large --layout nocloud --json > /dev/null",
        "m extract meta.iso user-data > /dev/null",
        "m extract meta.iso --into out",
    ] {
        let (succeeded, resident) = resident(&sandbox, command);
        assert!(succeeded, "{command}");
        assert!(resident <= RESIDENT_KB_MAX, "{command}: {resident} kB");
    }
}

#[test]
#[ignore = "needs GNU time"]
fn memory_does_not_grow_with_the_number_of_images() {
    let sandbox = Sandbox::new();
    let line = |number| format!("{{\"image\": \"{}/{number}\", \"data\": \"{number}\"}}\n", number / 1000);
    sandbox.write("lines", (0..cases(12_000, 30_000)).map(line).collect::<Vec<_>>().concat());
    // The second time all are replaced.
    for command in [
        "m batch lines --into out --json > /dev/null",
        "m batch lines --into out",
        "cat lines | m batch --into out --keep-going",
    ] {
        let (succeeded, resident) = resident(&sandbox, command);
        assert!(succeeded, "{command}");
        assert!(resident <= RESIDENT_KB_MAX, "{command}: {resident} kB");
    }
}

#[test]
#[ignore = "needs GNU time"]
fn the_check_of_a_tree_takes_twice_its_bytes_at_most() {
    const FILES: usize = 300;
    let sandbox = Sandbox::new();
    let content = "x".repeat(40);
    let files = (0..200).map(|file| format!("\"f{file}\":{{\"content\":\"{content}\"}}"));
    let directory = format!("{{\"entries\":{{{}}}}}", files.collect::<Vec<_>>().join(","));
    let large = "x".repeat(64 << 10);
    let entries = (0..FILES).flat_map(|number| {
        [
            format!("\"large{number}\":{{\"content\":\"{large}\"}}"),
            format!("\"directory{number}\":{directory}"),
            format!("\"second{number}\":{directory}"),
        ]
    });
    let tree = format!("{{{}}}", entries.collect::<Vec<_>>().join(","));
    sandbox.write("tree.json", &tree);
    let (succeeded, resident) = resident(&sandbox, "m check tree.json");
    assert!(succeeded);
    let max = RESIDENT_KB_MAX + u32::try_from(2 * tree.len() / 1024).unwrap();
    assert!(resident <= max, "{resident} kB for {} bytes", tree.len());
}

#[test]
#[ignore = "needs GNU time"]
fn memory_does_not_grow_with_what_an_image_claims() {
    const SECTOR: usize = 2048;
    const ROOT: u32 = 32;
    const ROOT_BYTES: u32 = 60 << 20;
    let both = |number: u32| [number.to_le_bytes(), number.to_be_bytes()].concat();
    let record = |name: &[u8], extent: u32, bytes: u32, flags: u8| {
        let mut record =
            [&[42, 0][..], &both(extent), &both(bytes), &[80, 1, 1, 0, 0, 0, 0, flags, 0, 0]].concat();
        record.extend([&[1, 0, 0, 1, u8::try_from(name.len()).unwrap()], name].concat());
        record.resize(42, 0);
        record
    };
    let sandbox = Sandbox::new();
    sandbox.succeed(["create", "meta.iso", "hello"]);
    let mut image = sandbox.read("meta.iso");
    image.resize(64 << 20, 0);
    // Both descriptors point to a root directory of more than a million records.
    for descriptor in [16, 17] {
        let root = descriptor * SECTOR + 156;
        image[root + 2..root + 18].copy_from_slice(&[both(ROOT), both(ROOT_BYTES)].concat());
    }
    let records =
        image[ROOT as usize * SECTOR..].chunks_mut(SECTOR).flat_map(|sector| sector.chunks_exact_mut(42));
    for (number, slot) in records.enumerate() {
        slot.copy_from_slice(&match number {
            0 => record(&[0], ROOT, ROOT_BYTES, 2),
            1 => record(&[1], ROOT, ROOT_BYTES, 2),
            _ => record(format!("{number:08}").as_bytes(), 22, 5, 0),
        });
    }
    sandbox.write("records.iso", &image);
    // The same as files of 4 GiB.
    for at in (ROOT as usize * SECTOR..image.len()).step_by(SECTOR) {
        image[at + 2 * 42 + 10..][..8].copy_from_slice(&both(u32::MAX));
    }
    sandbox.write("long.iso", &image);
    // As many files as are listed, with long names.
    let mut command = sandbox.command(["create", "many.iso", "x"]);
    sandbox.write("f", "");
    for number in 0..2000 {
        command.args(["--file", &format!("{number:04}{}=f", "x".repeat(200))]);
    }
    assert!(command.output().unwrap().status.success());
    let (succeeded, resident_kb) = resident(&sandbox, "m show many.iso");
    assert!(succeeded && resident_kb <= RESIDENT_KB_MAX, "{resident_kb} kB");
    for image in ["records.iso", "long.iso"] {
        for command in ["show", "extract --into out"] {
            let (succeeded, resident) = resident(&sandbox, &format!("m {command} {image}"));
            assert!(!succeeded, "{command} {image}");
            assert!(resident <= RESIDENT_KB_MAX, "{command} {image}: {resident} kB");
        }
    }
}
