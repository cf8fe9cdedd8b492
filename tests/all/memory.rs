//! How much memory the program takes at most.

use std::{ffi::OsStr, fs::File, io::Write, process::Command};

use crate::support::{Sandbox, noise};

/// Kilobytes that the program may have in memory, whatever it reads and writes.
const RESIDENT_KB_MAX: u32 = 16 << 10;

/// Runs a shell command, with `m` as the program under GNU time. Whether it succeeded, and the kilobytes that it had in
/// memory at most.
fn resident(sandbox: &Sandbox, command: &str) -> (bool, u32) {
    let script = format!("m() {{ env time -q -f %M -o resident \"$M\" \"$@\"; }}; {command}");
    let status = Command::new("bash")
        .env("M", assert_cmd::cargo::cargo_bin!("metadata"))
        .current_dir(sandbox.path(""))
        .args([OsStr::new("-c"), script.as_ref()])
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
    for _ in 0..256 {
        file.write_all(&piece).unwrap();
    }
    for command in [
        "m create meta.iso --data-file large",
        "cat large | m create meta.iso --data-file -",
        "m create - --data-file large > out.iso",
        "cat large | m create - --data-file - > out.iso",
        "m create meta.iso --data-file large --layout nocloud --json > /dev/null",
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
fn memory_does_not_grow_with_what_an_image_claims() {
    let sandbox = Sandbox::new();
    sandbox.succeed(["create", "meta.iso", "hello"]);
    let mut image = sandbox.read("meta.iso");
    for at in [16 * 2048 + 156 + 10, 17 * 2048 + 156 + 10] {
        image[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        image[at + 4..at + 8].copy_from_slice(&u32::MAX.to_be_bytes());
    }
    image.resize(64 << 20, 0);
    sandbox.write("meta.iso", &image);
    // A directory of as many records as it holds.
    for sector in image[32 * 2048..].chunks_mut(2048) {
        for (number, record) in sector.chunks_exact_mut(42).enumerate() {
            record[..34].copy_from_slice(&[&[42][..], &[0; 31], &[8, b'A']].concat());
            record[28..32].copy_from_slice(&[1, 0, 0, 1]);
            record[33..41].copy_from_slice(format!("F{number:07}").as_bytes());
        }
    }
    sandbox.write("records.iso", &image);
    for command in ["m show meta.iso", "m show records.iso", "m extract records.iso config"] {
        let (_, resident) = resident(&sandbox, command);
        assert!(resident <= RESIDENT_KB_MAX, "{command}: {resident} kB");
    }
}
