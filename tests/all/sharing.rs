//! Holes stay holes, and on a file system that shares blocks a large file is not copied.

use std::{
    fs::{self, File},
    io::{Seek, SeekFrom, Write},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
};

use crate::support::{Sandbox, done, noise};

/// Bytes that an image may add to what a file system has in use, when it shares the blocks of its large files.
const ADDED_BYTES_MAX: u64 = 2 << 20;

const MIB: u64 = 1 << 20;

/// A file of so many bytes with a MiB of data at each of the places, and holes otherwise.
fn sparse(path: &Path, len: u64, places: &[u64]) {
    let mut file = File::create(path).unwrap();
    for place in places {
        file.seek(SeekFrom::Start(*place)).unwrap();
        file.write_all(&noise(1 << 20)).unwrap();
    }
    file.set_len(len).unwrap();
}

fn bytes_on_disk(path: impl AsRef<Path>) -> u64 {
    fs::metadata(path).unwrap().blocks() * 512
}

#[test]
fn holes_stay_holes_on_the_image_and_off_it() {
    let sandbox = Sandbox::new();
    sparse(&sandbox.path("start"), 40 * MIB + 1, &[0]);
    sparse(&sandbox.path("end"), 40 * MIB + 5, &[39 * MIB + 5]);
    sparse(&sandbox.path("middle"), 40 * MIB, &[5 * MIB, 20 * MIB + 4096]);
    sparse(&sandbox.path("none"), 40 * MIB, &[]);
    let names = ["start", "end", "middle", "none"];
    let files = names.map(|name| format!("{name}={name}"));
    let arguments = ["create", "meta.iso", "x"].into_iter();
    sandbox.succeed(arguments.chain(files.iter().flat_map(|file| ["--file", file])));
    assert!(bytes_on_disk(sandbox.path("meta.iso")) < 5 * MIB);
    sandbox.succeed(["extract", "meta.iso", "--into", "out"]);
    let metadata = assert_cmd::cargo::cargo_bin!("metadata").display().to_string();
    for name in names {
        let out = format!("out/{name}");
        sandbox.tool("cmp", [name, &*out]);
        assert!(bytes_on_disk(sandbox.path(&out)) <= 2 * MIB + 8192, "{name}");
        // What comes behind in the same open file is not overwritten, and one that is not empty is not touched.
        let script = format!(
            "(\"{metadata}\" extract meta.iso {name}; echo behind) > stdout; (cat {name}; echo behind) | cmp - stdout \
             && [ $(stat -c %b stdout) -le 5000 ] \
             && \"{metadata}\" extract meta.iso {name} >> stdout && (cat {name}; echo behind; cat {name}) | cmp - stdout \
             && (echo before; \"{metadata}\" extract meta.iso {name}) > stdout && (echo before; cat {name}) | cmp - stdout"
        );
        sandbox.tool("sh", ["-c", &*script]);
    }
    let script = format!(
        "(\"{metadata}\" create - --data-file start; echo behind) > stdout \
         && [ $(stat -c %b stdout) -le 5000 ] \
         && \"{metadata}\" create start.iso --data-file start && (cat start.iso; echo behind) | cmp - stdout \
         && \"{metadata}\" create - --data-file start >> stdout && (cat start.iso; echo behind; cat start.iso) | cmp - stdout"
    );
    sandbox.tool("sh", ["-c", &*script]);
}

/// A file system in a file, mounted for as long as the value lives.
struct Mounted(PathBuf);

impl Mounted {
    fn new(sandbox: &Sandbox, kind: &str) -> Self {
        let path = sandbox.path(kind);
        fs::create_dir(&path).unwrap();
        let file = File::create(sandbox.path("disk")).unwrap();
        file.set_len(2 << 30).unwrap();
        sandbox.tool(&format!("mkfs.{kind}"), ["-q", "disk"]);
        sandbox.tool("mount", ["-o", "loop", "disk", kind]);
        Self(path)
    }

    /// Bytes in use, when all has been written.
    fn used(&self) -> u64 {
        let run = |program: &str, arguments: &[&str]| {
            let output = Command::new(program).args(arguments).arg(&self.0).output().unwrap();
            assert!(output.status.success(), "{program}");
            String::from_utf8(output.stdout).unwrap()
        };
        run("sync", &["-f"]);
        run("df", &["--block-size=1", "--output=used"]).lines().last().unwrap().trim().parse().unwrap()
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("--lazy").arg(&self.0).status());
    }
}

fn large_files_are_shared(kind: &str) {
    let sandbox = Sandbox::new();
    let mounted = Mounted::new(&sandbox, kind);
    let path = |name: &str| format!("{kind}/{name}");
    let [data, odd, huge] = ["data", "odd", "huge"].map(path);
    // One that has just been written and is not on the disk, one that ends within a block, and one of two extents.
    sandbox.write(&data, noise(100 << 20));
    sandbox.write(&odd, noise((50 << 20) + 12345));
    sparse(&sandbox.path(&huge), 5 << 30, &[0, (4 << 30) - MIB, (5 << 30) - MIB]);
    let [odd_file, huge_file] = [format!("odd={odd}"), format!("huge={huge}")];
    let image = path("meta.iso");
    let before = mounted.used();
    sandbox.succeed(["create", &image, "--data-file", &data, "--file", &odd_file, "--file", &huge_file]);
    let with_image = mounted.used();
    assert!(with_image < before + ADDED_BYTES_MAX, "{kind}: the image adds {}", with_image - before);
    sandbox.succeed(["extract", &image, "--into", &path("out")]);
    let with_files = mounted.used();
    assert!(
        with_files < with_image + ADDED_BYTES_MAX,
        "{kind}: extracted they add {}",
        with_files - with_image
    );
    for (name, original) in [("config", &data), ("odd", &odd), ("huge", &huge)] {
        sandbox.tool("cmp", [original, &path(&format!("out/{name}"))]);
    }
    let line = format!("{{\"image\": \"b.iso\", \"data_file\": \"{data}\"}}");
    let warning =
        format!("line 1: warning: {data}: binary data; LinuxKit's agent stores it unchanged [raw-bytes]");
    let ran = sandbox.run_with_input(["batch", "--into", kind, "--quiet"], line);
    assert_eq!(ran, done(&format!("metadata: {warning}\n")));
    let with_batch = mounted.used();
    assert!(with_batch < with_files + ADDED_BYTES_MAX, "{kind}: a batch adds {}", with_batch - with_files);
}

#[test]
#[ignore = "needs root to mount XFS, and xfsprogs"]
fn large_files_are_shared_on_xfs() {
    large_files_are_shared("xfs");
}

#[test]
#[ignore = "needs root to mount Btrfs, and btrfs-progs"]
fn large_files_are_shared_on_btrfs() {
    large_files_are_shared("btrfs");
}
