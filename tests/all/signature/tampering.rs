//! Changed files, manifests and signatures.

use std::{fs::OpenOptions, os::unix::fs::FileExt};

use metadata_image::{
    image::Image,
    manifest::{inventory::Contents, timestamp::Timestamp},
    provider::cdrom,
    trust::{
        allowed_signers::AllowedSigners,
        verify::{Terms, verify},
    },
};
use ssh_key::{HashAlg, LineEnding};

use super::{CREATE, SECTOR, key, places, public, refused, signed, taken_off, ucs2, verify_image, write_key};

use crate::support::{Ran, Sandbox, done, noise};

/// Makes an image with a manifest and a signature that need not fit, of these options.
fn forge(sandbox: &Sandbox, options: &[&str], manifest: impl AsRef<[u8]>, signature: impl AsRef<[u8]>) {
    sandbox.write("manifest", manifest);
    sandbox.write("signature", signature);
    let own = ["--file", "manifest.json=manifest", "--file", "manifest.json.sig=signature"];
    sandbox.succeed([&["create", "--lenient"], options, &own].concat());
}

#[test]
fn a_changed_file_is_refused() {
    let sandbox = signed();
    let image = sandbox.read("meta.iso");
    let large = noise(1_200_000);
    for (name, content) in [
        ("user-data", &b"#cloud-config\n"[..]),
        ("meta-data", b"instance-id: \"i-1\"\n"),
        ("keys/ca.pem", b"a certificate"),
        ("large", &large),
    ] {
        let at = image.windows(64.min(content.len())).position(|bytes| content.starts_with(bytes)).unwrap();
        for at in [at, at + content.len() / 2, at + content.len() - 1] {
            let mut image = image.clone();
            image[at] ^= 1;
            sandbox.write("meta.iso", image);
            let Ran { status, stderr, .. } = verify_image(&sandbox, &[]);
            let why = format!(
                "metadata: verifying image \"meta.iso\": comparing the image with its manifest.json: file {name:?} has \
                 other content, with the SHA-256 digest "
            );
            assert!(status == Some(1) && stderr.starts_with(&why), "{stderr}");
        }
    }
}

#[test]
fn an_image_with_other_files_than_the_signed_ones_is_refused() {
    let sandbox = signed();
    let (manifest, signature) = taken_off(&sandbox);
    let comparing = |why: &str| refused(&format!("comparing the image with its manifest.json: {why}"));
    forge(&sandbox, CREATE, &manifest, &signature);
    assert_eq!(verify_image(&sandbox, &[]), done(""), "forged as it was");

    forge(&sandbox, &[CREATE, &["--file", "vendor=ca.pem"]].concat(), &manifest, &signature);
    assert_eq!(verify_image(&sandbox, &[]), comparing("file \"vendor\" is not in the manifest"));
    forge(&sandbox, &[CREATE, &["--vendor-data", "ca.pem"]].concat(), &manifest, &signature);
    assert_eq!(verify_image(&sandbox, &[]), comparing("file \"vendor-data\" is not in the manifest"));
    let less: Vec<_> = CREATE.iter().copied().filter(|option| *option != "large=large").collect();
    let less: Vec<_> = less
        .iter()
        .enumerate()
        .filter(|(at, option)| {
            **option != "--file" || less.get(at + 1).is_some_and(|next| next.contains('='))
        })
        .map(|(_, option)| *option)
        .collect();
    forge(&sandbox, &less, &manifest, &signature);
    assert_eq!(verify_image(&sandbox, &[]), comparing("file \"large\" is missing"));
    let renamed: Vec<_> =
        CREATE.iter().map(|&option| if option == "large=large" { "larger=large" } else { option }).collect();
    forge(&sandbox, &renamed, &manifest, &signature);
    assert_eq!(verify_image(&sandbox, &[]), comparing("file \"large\" is missing"));
    let cut: Vec<_> =
        CREATE.iter().map(|&option| if option == "large=large" { "large=data" } else { option }).collect();
    forge(&sandbox, &cut, &manifest, &signature);
    assert_eq!(verify_image(&sandbox, &[]), comparing("file \"large\" has 14 bytes instead of 1200000"));
    forge(&sandbox, &[CREATE, &["--volume-id", "cidata"]].concat(), &manifest, &signature);
    assert_eq!(
        verify_image(&sandbox, &[]),
        comparing("the volume identifier is \"cidata\" instead of \"CIDATA\"")
    );
    sandbox.write("manifest", &manifest);
    let own = ["--file", "manifest.json=manifest", "--file", "manifest.json.sig=signature"];
    let dated =
        sandbox.command([&["create"], CREATE, &own].concat()).env("SOURCE_DATE_EPOCH", "86400").output();
    assert!(dated.unwrap().status.success());
    assert_eq!(
        verify_image(&sandbox, &[]),
        comparing("the date of the volume is 1970-01-02T00:00:00Z instead of 1980-01-01T00:00:00Z")
    );
}

#[test]
fn a_changed_manifest_or_signature_is_refused() {
    let sandbox = signed();
    let (manifest, signature) = taken_off(&sandbox);
    let another = refused("checking manifest.json.sig: the signature does not match manifest.json");
    for (from, to) in [
        ("[\"deploy\"]", "[\"deploy\",\"approved\"]"),
        ("[\"deploy\"]", "[]"),
        ("\"run_id\":\"", "\"run_id\":\"0"),
        ("\"version\":1", "\"version\":2"),
        ("{\"created_at\"", "{\"audience\":\"web\",\"created_at\""),
    ] {
        assert!(manifest.contains(from));
        forge(&sandbox, CREATE, manifest.replace(from, to), &signature);
        assert_eq!(verify_image(&sandbox, &[]), another, "{from} -> {to}");
    }
    forge(&sandbox, CREATE, format!("{manifest}\n"), &signature);
    assert_eq!(verify_image(&sandbox, &[]), another);

    let sign = |seed, namespace, text: &str| {
        let signature = key(seed).sign(namespace, HashAlg::Sha256, text.as_bytes()).unwrap();
        signature.to_pem(LineEnding::LF).unwrap()
    };
    forge(&sandbox, CREATE, &manifest, sign(1, "metadata-image", &manifest));
    assert_eq!(verify_image(&sandbox, &[]), done(""), "SHA-256 in place of SHA-512");
    forge(&sandbox, CREATE, &manifest, sign(1, "file", &manifest));
    assert_eq!(
        verify_image(&sandbox, &[]),
        refused("checking manifest.json.sig: the namespace is \"file\" instead of \"metadata-image\"")
    );
    forge(&sandbox, CREATE, &manifest, sign(2, "metadata-image", &manifest));
    let other = key(2).fingerprint(HashAlg::Sha256);
    assert_eq!(
        verify_image(&sandbox, &[]),
        refused(&format!(
            "checking manifest.json.sig: signed with ED25519 {other}: the signing key is not listed in \"allowed\""
        ))
    );
    for nothing in [&b""[..], b"signed", &signature[1..], &signature[..signature.len() - 40]] {
        forge(&sandbox, CREATE, &manifest, nothing);
        assert_eq!(
            verify_image(&sandbox, &[]),
            refused("checking manifest.json.sig: not a supported signature of ssh-keygen")
        );
    }
    // Where blkid looks for another file system, and what it takes for one.
    let superblock = [&b"ReIsEr2F\n".repeat(6000)[..], &signature].concat();
    let windows = String::from_utf8(signature.clone()).unwrap().replace('\n', "\r\n").into_bytes();
    for odd in [superblock, windows, [b"\n", &signature[..]].concat()] {
        forge(&sandbox, CREATE, &manifest, odd);
        assert_eq!(
            verify_image(&sandbox, &[]),
            refused("checking manifest.json.sig: ssh-keygen writes this signature differently")
        );
    }
    // Signed by one who may, but not a manifest.
    let text = manifest.replace("\"version\":1", "\"version\": 1");
    forge(&sandbox, CREATE, &text, sign(1, "metadata-image", &text));
    assert_eq!(verify_image(&sandbox, &[]), refused("reading manifest.json: the manifest is not canonical"));
}

#[test]
fn a_manifest_that_is_there_twice_is_refused() {
    let sandbox = Sandbox::new();
    write_key(&sandbox, "key", 1);
    sandbox.write("allowed", format!("a@b {}\n", public(1)));
    sandbox.write("other", "{}");
    sandbox.succeed(["create", "--quiet", "meta.iso", "hello", "--file", "manifest.jsox=other"]);
    sandbox.succeed(["sign", "--quiet", "meta.iso", "--key", "key"]);
    let mut image = sandbox.read("meta.iso");
    for (from, to) in [
        (b"manifest.jsox".to_vec(), b"manifest.json".to_vec()),
        (ucs2("manifest.jsox"), ucs2("manifest.json")),
    ] {
        for at in places(&image[..28 * SECTOR], &from) {
            image[at..at + to.len()].copy_from_slice(&to);
        }
    }
    sandbox.write("meta.iso", image);
    assert_eq!(
        verify_image(&sandbox, &[]),
        refused("reading image \"meta.iso\": Linux sees two files \"manifest.json\"")
    );
}

#[test]
fn every_changed_byte_is_refused() {
    let seed = 20_261_120_u64;
    println!("seed {seed}");
    let sandbox = Sandbox::new();
    write_key(&sandbox, "key", 1);
    sandbox.write("f", "1");
    sandbox.write("meta-data", "local-hostname: web\npublic-keys: [ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1LbhbqWSmmEFLOaGmtqPBJmcOQWWFCSwV1I0i3PlGV]\n");
    sandbox.succeed([
        "create",
        "--quiet",
        "meta.iso",
        "hello",
        "--file",
        "a/f=f",
        "--file",
        "meta-data=meta-data",
    ]);
    sandbox.succeed(["sign", "--quiet", "meta.iso", "--key", "key"]);
    let image = sandbox.read("meta.iso");
    let path = sandbox.path("meta.iso");
    let terms = Terms {
        allowed: AllowedSigners::parse("signers", &format!("a@b {}", public(1))),
        revoked: None,
        identity: None,
        audience: None,
        at: Timestamp::parse("2026-01-01T00:00:00Z").unwrap(),
    };
    let verifies = || {
        let mut image = Image::open(&path)?;
        let contents = Contents::read(&mut image, |_, _| Vec::new(), 0, &mut ())?;
        verify(&contents, &terms)
    };
    let applied = || cdrom::fetch_from(&path, &mut |_, _| ()).ok();
    let expected = applied();
    assert!(verifies().is_ok() && expected.as_ref().unwrap().entries.entries.contains_key("hostname"));
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    let mut state = seed;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    // Some of the bytes, others with every seed.
    let looked_at: Vec<_> =
        (0..image.len()).filter(|&at| image[at] != 0 && random() % 4 == 0 || at % 509 == 0).collect();
    let mut changed = 0;
    for at in looked_at {
        let byte = image[at] ^ 1 << (random() & 7);
        file.write_all_at(&[byte], at as u64).unwrap();
        changed += usize::from(applied() != expected);
        assert!(verifies().is_err(), "byte {at} of value {byte}");
        file.write_all_at(&image[at..=at], at as u64).unwrap();
    }
    assert!(applied() == expected && verifies().is_ok(), "all bytes are back");
    assert!(changed > 50, "{changed} changes mattered");
}
