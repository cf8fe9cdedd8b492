//! Images that were signed once must verify, confirm and sign for ever (testdata/frozen/README.md).
//!
//! A guest compares an image with the one that it builds of the same files. So each of these tests holds the bytes of
//! version 1 of the layout, and none of its images may be made again: that would only hide that images in the field no longer
//! verify.

use std::{fs, io::Read, path::Path};

use flate2::read::GzDecoder;
use metadata_image::trust::signature::Signature;

use crate::support::{Sandbox, failed};

/// The images, and the options that verify them.
const IMAGES: [(&str, &[&str]); 6] = [
    ("small", &[]),
    ("nocloud", &["--audience", "web"]),
    ("configdrive", &[]),
    ("large", &[]),
    ("many", &[]),
    ("deep", &[]),
];

const SIGNER: &str = "release@example.com";

fn frozen() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/testdata/frozen"))
}

/// A directory with the images, the key and the file of those who may sign.
fn unpacked() -> Sandbox {
    let sandbox = Sandbox::on_tmpfs();
    for (name, _) in IMAGES {
        let packed = fs::File::open(frozen().join(format!("v1/{name}.iso.gz"))).unwrap();
        let mut image = Vec::new();
        GzDecoder::new(packed).read_to_end(&mut image).unwrap();
        sandbox.write(&format!("{name}.iso"), image);
    }
    for name in ["key", "allowed_signers"] {
        sandbox.write(name, fs::read(frozen().join(name)).unwrap());
    }
    sandbox
}

fn verify(sandbox: &Sandbox, image: &str, options: &[&str]) {
    let arguments =
        ["verify", "-q", image, "--allowed-signers", "allowed_signers", "--at", "2026-06-01T00:00:00Z"];
    sandbox.succeed([&arguments[..], options, &["--identity", SIGNER]].concat());
}

#[test]
fn every_image_of_version_1_verifies() {
    let sandbox = unpacked();
    for (name, options) in IMAGES {
        verify(&sandbox, &format!("{name}.iso"), options);
    }
    assert_eq!(fs::read_dir(frozen().join("v1")).unwrap().count(), IMAGES.len(), "each is verified");
}

#[test]
fn every_image_of_version_1_is_signed_again_with_the_same_bytes() {
    let sandbox = unpacked();
    for (name, _) in IMAGES {
        let image = format!("{name}.iso");
        let before = sandbox.read(&image);
        // A signature of Ed25519 depends on the key and on what is signed alone.
        sandbox.succeed(["sign", "-q", &image, "--key", "key"]);
        assert!(sandbox.read(&image) == before, "{name}");
    }
}

#[test]
fn every_image_of_version_1_takes_another_string() {
    let sandbox = unpacked();
    for (name, options) in IMAGES {
        let image = format!("{name}.iso");
        sandbox.succeed(["confirm", "-q", &image, "--run-metadata", "one more"]);
        sandbox.succeed(["sign", "-q", &image, "--key", "key"]);
        verify(&sandbox, &image, options);
        let manifest = String::from_utf8(sandbox.succeed(["extract", &image, "manifest.json"])).unwrap();
        assert!(manifest.contains("\"one more\"],\"version\":1,"), "{manifest}");
    }
}

#[test]
fn a_newer_version_is_called_newer() {
    let sandbox = unpacked();
    let manifest = sandbox.succeed(["extract", "small.iso", "manifest.json"]);
    let manifest =
        String::from_utf8(manifest).unwrap().replace("\"version\":1,", "\"new\":true,\"version\":2,");
    let signature = Signature::new(&sandbox.read("key"), manifest.as_bytes()).unwrap();
    sandbox.write("manifest", &manifest);
    sandbox.write("signature", signature.into_text());
    let files = ["--file", "manifest.json=manifest", "--file", "manifest.json.sig=signature"];
    sandbox.succeed([&["create", "-q", "newer.iso", "x"], &files[..]].concat());
    let newer = "reading manifest.json: version 2 is newer than 1, the newest that this program supports (use a newer metadata)";
    let verifying = format!("verifying image \"newer.iso\": {newer}");
    let verify = ["verify", "newer.iso", "--allowed-signers", "allowed_signers"];
    assert_eq!(sandbox.run(verify), failed(1, &verifying));
    // Without an allowed signature, the version is not reported.
    let other = "AAAAC3NzaC1lZDI1NTE5AAAAIPKr4SYjQM8sUXZ7Ru3aDGlU7yBGEn3h9SZnUE0Bv5Y9";
    sandbox.write("allowed_signers", format!("a@b ssh-ed25519 {other}\n"));
    let ran = sandbox.run(verify);
    assert!(
        ran.stderr.contains("the signing key is not listed in") && !ran.stderr.contains("version"),
        "{ran:?}"
    );
}
