//! The bytes of images, pinned.
//!
//! When a change of the bytes is wanted, say in CHANGELOG what users will see of it, and put the digests that the
//! failing test prints into `DIGESTS`.

use crate::support::{Sandbox, noise};

/// Options, and the SHA-256 digest of the image that they make.
const DIGESTS: [(&[&str], &str); 5] = [
    (&["hello"], "a68edb1cc9e4b342b24ae79818137969093574e232e0d6b9283b5e879e13e6ac"),
    (
        &["#cloud-config\n", "--layout", "nocloud", "--hostname", "web", "--file", "models/small=small"],
        "fea4a15cdba5d7bb88736de5d0fe2f63f5533cbc2ab659efb0aed556581a5bd5",
    ),
    (
        &["#cloud-config\n", "--layout", "configdrive", "--vendor-data", "small"],
        "1c44e1c6673b3ff89285b92d8b06d0d9607912b4ecc9be1458cd44b90d09bc24",
    ),
    (
        &["--data-file", "large", "--file", "models/small=small"],
        "17d025a73359d101b5a3cf81bdf390b0b056a6234e6325c4c577eee02514cc56",
    ),
    (
        &["--data-file", "large", "--file", "models/small=small", "--run-metadata", "deploy"],
        "d3539b81e9c8d22821e773a0b06fc212bd5acdbe5dd86aeded0ca805aa988d6f",
    ),
];

fn digest(sandbox: &Sandbox, path: &str) -> String {
    String::from_utf8(sandbox.tool("sha256sum", [path])).unwrap()[..64].to_owned()
}

#[test]
fn images_have_the_bytes_they_always_had() {
    let sandbox = Sandbox::new();
    sandbox.write("small", noise(5000));
    sandbox.write("large", noise(5_000_000));
    for (options, expected) in DIGESTS {
        sandbox.succeed([&["create", "--lenient", "meta.iso"], options].concat());
        let digest = digest(&sandbox, "meta.iso");
        assert_eq!(digest, expected, "{options:?}: if the change is wanted, see the top of {}", file!());
    }
}

#[test]
fn a_large_file_makes_the_same_image_wherever_it_comes_from() {
    let sandbox = Sandbox::new();
    let data = noise(5_000_000);
    let path = sandbox.write("large", &data);
    sandbox.succeed(["create", "file.iso", "--data-file", "large"]);
    assert_eq!(
        sandbox.run_with_input(["create", "pipe.iso", "--data-file", "-"], data.clone()).status,
        Some(0)
    );
    let fifo =
        sandbox.command(["create", "fifo.iso", "--data-file", "/dev/stdin"]).write_stdin(data).output();
    assert!(fifo.unwrap().status.success());
    // /dev/shm is a tmpfs: files come from, and go to, another file system.
    let other = tempfile::TempDir::new_in("/dev/shm").unwrap();
    let copy = other.path().join("large");
    std::fs::copy(path, &copy).unwrap();
    sandbox.succeed(["create", "other.iso", "--data-file", copy.to_str().unwrap()]);
    let there = other.path().join("there.iso");
    sandbox.succeed(["create", there.to_str().unwrap(), "--data-file", "large"]);
    let expected = sandbox.read("file.iso");
    for image in ["pipe.iso", "fifo.iso", "other.iso", there.to_str().unwrap()] {
        assert!(sandbox.read(image) == expected, "{image}");
    }
}
