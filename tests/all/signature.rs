//! Signed images: what `sign` makes, what `verify` takes, and every way to tamper that it must not take.

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
use sha2::{Digest, Sha256};
use ssh_key::{
    Algorithm, HashAlg, LineEnding, PrivateKey, PublicKey, Signature, SigningKey, SshSig,
    private::Ed25519Keypair, public::KeyData,
};

use crate::support::{Ran, Sandbox, done, failed, noise};

const SECTOR: usize = 2048;

/// A key that is the same every time.
pub(crate) fn key(seed: u8) -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[seed; 32]))
}

pub(crate) fn public(seed: u8) -> String {
    key(seed).public_key().to_openssh().unwrap()
}

pub(crate) fn write_key(sandbox: &Sandbox, name: &str, seed: u8) {
    sandbox.write(name, key(seed).to_openssh(LineEnding::LF).unwrap().as_bytes());
}

/// A directory with a key, who may use it, and a signed image with several files.
fn signed() -> Sandbox {
    let sandbox = Sandbox::new();
    write_key(&sandbox, "key", 1);
    sandbox.write("allowed", format!("release@example.com {}\n", public(1)));
    sandbox.write("ca.pem", "a certificate");
    sandbox.write("large", noise(1_200_000));
    sandbox.write("data", "#cloud-config\n");
    sandbox.succeed([&["create"], CREATE, &["--run-metadata", "deploy"]].concat());
    sandbox.succeed(["sign", "--quiet", "meta.iso", "--key", "key"]);
    assert_eq!(verify_image(&sandbox, &[]), done(""), "the image is as it was signed");
    sandbox
}

const CREATE: &[&str] = &[
    "meta.iso",
    "--data-file",
    "data",
    "--layout",
    "nocloud",
    "--instance-id",
    "i-1",
    "--file",
    "keys/ca.pem=ca.pem",
    "--file",
    "large=large",
    "--quiet",
];

pub(crate) fn verify_image(sandbox: &Sandbox, more: &[&str]) -> Ran {
    sandbox.run([&["verify", "--quiet", "meta.iso", "--allowed-signers", "allowed"], more].concat())
}

pub(crate) fn refused(why: &str) -> Ran {
    failed(1, &format!("verifying image \"meta.iso\": {why}"))
}

/// The manifest and the signature that are on the image.
fn taken_off(sandbox: &Sandbox) -> (String, Vec<u8>) {
    let extract = |name| sandbox.succeed(["extract", "meta.iso", name]);
    (String::from_utf8(extract("manifest.json")).unwrap(), extract("manifest.json.sig"))
}

/// Makes an image with a manifest and a signature that need not fit, of these options.
fn forge(sandbox: &Sandbox, options: &[&str], manifest: impl AsRef<[u8]>, signature: impl AsRef<[u8]>) {
    sandbox.write("manifest", manifest);
    sandbox.write("signature", signature);
    let own = ["--file", "manifest.json=manifest", "--file", "manifest.json.sig=signature"];
    sandbox.succeed([&["create", "--lenient"], options, &own].concat());
}

#[test]
fn signing_says_what_it_did() {
    let sandbox = Sandbox::new();
    write_key(&sandbox, "key", 1);
    sandbox.succeed(["create", "--quiet", "meta.iso", "hello"]);
    let (id, print) = ("46da07b36016d63f1653fe1f83ecf214", key(1).fingerprint(HashAlg::Sha256));
    assert_eq!(
        sandbox.run([
            "sign",
            "meta.iso",
            "--key",
            "key",
            "--not-after",
            "2027-01-01T00:00:00Z",
            "--audience",
            "web"
        ]),
        done(&format!(
            "metadata: meta.iso: 372736 bytes, layout linuxkit, run {id}, signed by ED25519 {print} \
             until 2027-01-01T00:00:00Z for \"web\"\n"
        ))
    );
    let shown = String::from_utf8(sandbox.succeed(["show", "meta.iso"])).unwrap();
    let said = format!(
        "run       {id}\nuntil     2027-01-01T00:00:00Z\naudience  web\nsigned    yes (not verified)\n"
    );
    assert!(shown.contains(&said), "{shown}");
    let signed = sandbox.read("meta.iso");
    sandbox.succeed(["sign", "--quiet", "meta.iso", "--key", "key"]);
    assert!(
        sandbox.read("meta.iso") == signed,
        "a signature of Ed25519 is the same again, and what was said stays"
    );
    assert_eq!(
        sandbox.run(["confirm", "--quiet", "meta.iso", "--run-metadata", "x"]),
        done("metadata: warning: meta.iso: the signature no longer matches and was removed\n")
    );
}

#[test]
fn verifying_says_who_signed() {
    let sandbox = signed();
    let print = key(1).fingerprint(HashAlg::Sha256);
    let verify = ["verify", "meta.iso", "--allowed-signers", "allowed"];
    assert_eq!(
        sandbox.run(verify),
        done(&format!("metadata: meta.iso: signed by release@example.com with ED25519 {print}\n"))
    );
    let json = sandbox.succeed([&verify[..], &["--json"]].concat());
    let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(json["identity"], "release@example.com");
    assert_eq!(json["key_fingerprint"], print.to_string());
    assert_eq!(json["user_provided_metadata"], serde_json::json!(["deploy"]));
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
fn an_image_without_a_signature_is_refused() {
    let sandbox = signed();
    let (manifest, signature) = taken_off(&sandbox);
    sandbox.write("manifest", manifest);
    sandbox.write("signature", signature);
    sandbox.succeed([&["create"], CREATE].concat());
    assert_eq!(verify_image(&sandbox, &[]), refused("the image is not signed: manifest.json is missing"));
    sandbox.succeed([&["create"], CREATE, &["--file", "manifest.json=manifest"]].concat());
    assert_eq!(verify_image(&sandbox, &[]), refused("the image is not signed: manifest.json.sig is missing"));
    sandbox.succeed([&["create"], CREATE, &["--file", "manifest.json.sig=signature"]].concat());
    assert_eq!(verify_image(&sandbox, &[]), refused("the image is not signed: manifest.json is missing"));
    sandbox.write("meta.iso", crate::support::linuxkit_image(b"hello"));
    assert_eq!(verify_image(&sandbox, &[]), refused("the image is not signed: manifest.json is missing"));
}

#[test]
fn a_signature_counts_for_whom_where_and_when_it_is_meant() {
    let sandbox = signed();
    let (key, print) = (public(1), key(1).fingerprint(HashAlg::Sha256));
    let checking = |why: &str| refused(&format!("checking manifest.json.sig: {why}"));
    let none = |why: &str| {
        checking(&format!("signed with ED25519 {print}: \"allowed\" does not allow the signing key ({why})"))
    };

    assert_eq!(verify_image(&sandbox, &["--identity", "release@example.com"]), done(""));
    assert_eq!(
        verify_image(&sandbox, &["--identity", "boss@example.com"]),
        none("line 1: allows only \"release@example.com\"")
    );
    sandbox.write("revoked", format!("# lost\n{key}\n"));
    assert_eq!(
        verify_image(&sandbox, &["--revoked", "revoked"]),
        checking(&format!("the signing key ED25519 {print} is revoked"))
    );
    sandbox.write("revoked", format!("{}\n", public(2)));
    assert_eq!(verify_image(&sandbox, &["--revoked", "revoked"]), done(""));
    sandbox.write("revoked", "SSHKRL\n\0");
    assert_eq!(
        verify_image(&sandbox, &["--revoked", "revoked"]),
        failed(
            1,
            "reading revoked keys \"revoked\": binary key revocation lists are not supported; give a list of public keys"
        )
    );
    sandbox.write("allowed", format!("a@b valid-before=\"20260101Z\" {key}\n"));
    assert_eq!(verify_image(&sandbox, &["--at", "2026-01-01T00:00:00Z"]), done(""));
    assert_eq!(
        verify_image(&sandbox, &["--at", "2026-01-01T00:00:01Z"]),
        none("line 1: not valid after 2026-01-01T00:00:00Z")
    );
    sandbox.write("allowed", format!("a@b namespaces=\"git\" {key}\n"));
    assert_eq!(verify_image(&sandbox, &[]), none("line 1: allows only namespaces \"git\""));
    sandbox.write("allowed", format!("a@b cert-authority {key}\n"));
    assert_eq!(verify_image(&sandbox, &[]), none("line 1: the option \"cert-authority\" is not supported"));
    let other = "AAAAC3NzaC1lZDI1NTE5AAAAIPKr4SYjQM8sUXZ7Ru3aDGlU7yBGEn3h9SZnUE0Bv5Y9";
    sandbox.write("allowed", format!("a@b ssh-ed25519 {other}\n"));
    assert_eq!(
        verify_image(&sandbox, &[]),
        checking(&format!("signed with ED25519 {print}: the signing key is not listed in \"allowed\""))
    );

    sandbox.write("allowed", format!("a@b {key}\n"));
    let times = ["--not-before", "2026-01-01T00:00:00Z", "--not-after", "2026-12-31T00:00:00Z"];
    sandbox.succeed(
        [&["sign", "--quiet", "meta.iso", "--key", "key", "--audience", "web"], &times[..]].concat(),
    );
    let at = |at| verify_image(&sandbox, &["--audience", "web", "--at", at]);
    assert_eq!(at("2026-01-01T00:00:00Z"), done(""));
    assert_eq!(at("2026-12-31T00:00:00Z"), done(""));
    assert_eq!(
        at("2025-12-31T23:59:59Z"),
        refused("the image is not valid before 2026-01-01T00:00:00Z, and the time is 2025-12-31T23:59:59Z")
    );
    assert_eq!(
        at("2026-12-31T00:00:01Z"),
        refused("the image is not valid after 2026-12-31T00:00:00Z, and the time is 2026-12-31T00:00:01Z")
    );
    let at = ["--at", "2026-06-01T00:00:00Z"];
    assert_eq!(
        verify_image(&sandbox, &[&at[..], &["--audience", "db"]].concat()),
        refused("the image is for the audience \"web\", not for \"db\"")
    );
    assert_eq!(
        verify_image(&sandbox, &at),
        refused("the image is for the audience \"web\", and no audience was given")
    );
    sandbox.succeed(["create", "--quiet", "meta.iso", "hello"]);
    sandbox.succeed(["sign", "--quiet", "meta.iso", "--key", "key"]);
    assert_eq!(
        verify_image(&sandbox, &["--audience", "web"]),
        refused("the image names no audience; \"web\" is required")
    );
}

/// The places of `bytes` in `image`.
fn places(image: &[u8], bytes: &[u8]) -> Vec<usize> {
    image.windows(bytes.len()).enumerate().filter(|(_, window)| *window == bytes).map(|(at, _)| at).collect()
}

fn ucs2(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// Swaps where the directory records at these offsets say that their files are.
fn swap_extents(image: &mut [u8], [one, other]: [usize; 2]) {
    for byte in 2..18 {
        image.swap(one + byte, other + byte);
    }
}

#[test]
fn trees_that_do_not_agree_are_refused() {
    let sandbox = Sandbox::new();
    write_key(&sandbox, "key", 1);
    sandbox.write("allowed", format!("a@b {}\n", public(1)));
    sandbox.write("other", "jello");
    sandbox.succeed(["create", "--quiet", "meta.iso", "hello", "--file", "konfig=other"]);
    sandbox.succeed(["sign", "--quiet", "meta.iso", "--key", "key"]);
    let image = sandbox.read("meta.iso");
    let craft = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut image = image.clone();
        change(&mut image);
        sandbox.write("meta.iso", image);
        verify_image(&sandbox, &[])
    };
    assert_eq!(craft(&|_| ()), done(""));
    let joliet = |name: &str| places(&image, &ucs2(name))[0];
    let primary = |name: &str| places(&image, name.as_bytes())[0];
    // The trees name the same bytes by other names.
    let swapped = craft(&|image| swap_extents(image, [joliet("config") - 33, joliet("konfig") - 33]));
    assert_eq!(
        swapped,
        refused("the Joliet tree differs from the tree that is read: file \"config\" is another file there")
    );
    let swapped = craft(&|image| swap_extents(image, [primary("CONFIG.;1") - 33, primary("KONFIG.;1") - 33]));
    assert!(swapped.stderr.contains("the Joliet tree differs from the tree that is read"), "{swapped:?}");
    // A file that agents prefer, in one tree.
    let name = |from: &str, to: &str| {
        let (at, to) = (joliet(from), ucs2(to));
        craft(&|image| image[at..at + to.len()].copy_from_slice(&to))
    };
    assert!(
        name("konfig", "config")
            .stderr
            .contains("the Joliet tree differs from the tree that is read: Linux sees two files \"config\"")
    );
    let primary_name = craft(&|image| image[primary("KONFIG.;1")] = b'C');
    assert!(
        primary_name.stderr.contains(
            "the ISO 9660 tree differs from the tree that is read: Linux sees two files \"config\""
        ),
        "{primary_name:?}"
    );
    // Without Rock Ridge the names would be those of Joliet, which is whole.
    let root = u32::from_le_bytes(image[16 * SECTOR + 158..][..4].try_into().unwrap()) as usize * SECTOR;
    let at = root + image[root..root + SECTOR].windows(2).position(|pair| pair == b"SP").unwrap();
    let without = craft(&|image| image[at] = b'X');
    let why = "reading Rock Ridge of the root directory: its first entry is not a valid \"SP\"";
    assert_eq!(without, refused(&format!("reading image \"meta.iso\": {why}")));
    // Bytes of no file.
    let extent = craft(&|image| {
        let record = joliet("konfig") - 33;
        let sector = 16_u32;
        image[record + 2..][..4].copy_from_slice(&sector.to_le_bytes());
        image[record + 6..][..4].copy_from_slice(&sector.to_be_bytes());
    });
    assert_eq!(
        extent,
        refused("the Joliet tree differs from the tree that is read: file \"konfig\" is another file there")
    );
}

#[test]
fn files_that_overlap_are_not_read_again_and_again() {
    let sandbox = signed();
    let mut image = sandbox.read("meta.iso");
    let [small, large] = ["CA.PEM;1", "LARGE.;1"].map(|name| places(&image, name.as_bytes())[0] - 33);
    image.copy_within(large + 2..large + 18, small + 2);
    let bytes = image.len();
    sandbox.write("meta.iso", image);
    let sum = 2 * 1_200_000 + 14 + 19 + taken_off(&sandbox).0.len() + taken_off(&sandbox).1.len();
    assert!(sum > bytes);
    assert_eq!(
        verify_image(&sandbox, &[]),
        refused(&format!("the files have {sum} bytes together, more than the image"))
    );
}

#[test]
fn an_image_with_names_that_nobody_could_verify_is_not_signed() {
    let sandbox = Sandbox::new();
    write_key(&sandbox, "key", 1);
    sandbox.write("allowed", format!("a@b {}\n", public(1)));
    let long = "x".repeat(100);
    let sign = |names: &[&str]| {
        let files = names.iter().enumerate().flat_map(|(number, name)| {
            sandbox.write(&number.to_string(), name);
            ["--file".to_owned(), format!("{name}={number}")]
        });
        let create = ["create", "--quiet", "meta.iso", "hello"].map(str::to_owned);
        sandbox.succeed(create.into_iter().chain(files));
        let image = sandbox.read("meta.iso");
        let ran = sandbox.run(["sign", "--quiet", "meta.iso", "--key", "key"]);
        if ran == done("") {
            assert_eq!(verify_image(&sandbox, &[]), done(""), "{names:?}");
        } else {
            assert!(sandbox.read("meta.iso") == image, "the image is as it was");
        }
        ran
    };
    for names in [
        &["A_B", "CONFIG.d", "user_data.d", "a b", "ä", "😀", "日", "日本語", "c?d", "e*f"][..],
        &[&long, "rr_moved/x", "1/2/3/4/5/6/7"],
    ] {
        assert_eq!(sign(names), done(""), "{names:?}");
    }
    let refused = |why: &str| {
        failed(1, &format!("building image \"meta.iso\": checking that the new image can be verified: {why}"))
    };
    assert_eq!(
        sign(&["a:b", "a_b"]),
        refused("file \"a_b\" is the same as \"a:b\" to Linux with the mount option norock")
    );
    assert_eq!(
        sign(&["1/2/3/4/5/6/7/8/9"]),
        refused(
            "file \"1/2/3/4/5/6/7/8/9\" is more than 7 directories deep, which plain ISO 9660 cannot store"
        )
    );
}

/// The places that only other readers look at.
#[test]
fn what_appears_in_place_of_an_image_that_is_being_signed_is_kept() {
    for (appears, is_kept) in [(Some("precious"), true), (None, false)] {
        let sandbox = signed();
        sandbox.tool("mkfifo", ["fifo"]);
        let mut sign = std::process::Command::new(assert_cmd::cargo::cargo_bin!("metadata"));
        sign.current_dir(sandbox.path("")).args(["sign", "meta.iso", "--quiet", "--key", "fifo"]);
        let child = sign.stderr(std::process::Stdio::piped()).spawn().unwrap();
        // When it reads the key, it has read the image.
        let mut fifo = OpenOptions::new().write(true).open(sandbox.path("fifo")).unwrap();
        match appears {
            Some(text) => std::fs::rename(sandbox.write("new", text), sandbox.path("meta.iso")).unwrap(),
            None => std::fs::remove_file(sandbox.path("meta.iso")).unwrap(),
        }
        std::io::Write::write_all(&mut fifo, &sandbox.read("key")).unwrap();
        drop(fifo);
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!(ran.status, Some(i32::from(is_kept)), "{ran:?}");
        if is_kept {
            let why = "renaming the new file to \"meta.iso\": another file has replaced the image meanwhile";
            assert_eq!(ran, failed(1, &format!("building image \"meta.iso\": {why}")));
            assert_eq!(sandbox.read("meta.iso"), b"precious");
        }
        assert!(sandbox.names().iter().all(|name| !name.starts_with(".metadata-")));
    }
}

#[test]
fn what_only_other_readers_find_is_refused() {
    let sandbox = Sandbox::new();
    write_key(&sandbox, "key", 1);
    sandbox.write("allowed", format!("a@b {}\n", public(1)));
    sandbox.succeed(["create", "--quiet", "meta.iso", "hello"]);
    sandbox.succeed(["sign", "--quiet", "meta.iso", "--key", "key"]);
    let image = sandbox.read("meta.iso");
    let differs = |image: &[u8], why: &str| {
        sandbox.write("meta.iso", image);
        let what = "reading image \"meta.iso\": the image differs from the one that is built from its files";
        assert_eq!(verify_image(&sandbox, &[]), refused(&format!("{what}: {why}")));
    };
    // A boot sector, a second set of descriptors, text behind the end.
    let mut with_boot_sector = image.clone();
    with_boot_sector[510..512].copy_from_slice(&[0x55, 0xaa]);
    differs(&with_boot_sector, "bytes from 0 on differ");
    let terminator = (16..32).find(|sector| image[sector * SECTOR] == 255).unwrap() * SECTOR;
    let mut with_descriptor = image.clone();
    with_descriptor.copy_within(17 * SECTOR..18 * SECTOR, terminator);
    with_descriptor.copy_within(terminator - SECTOR..terminator, terminator + SECTOR);
    with_descriptor[terminator + SECTOR..][..7].copy_from_slice(b"\xffCD001\x01");
    sandbox.write("meta.iso", with_descriptor);
    let ran = verify_image(&sandbox, &[]);
    assert_eq!(ran.status, Some(1), "{ran:?}");
    let bytes = image.len();
    let why = format!("it has {} bytes instead of {bytes}", bytes + 1);
    differs(&[&image[..], b"x"].concat(), &why);
    sandbox.write("meta.iso", image);
    assert_eq!(verify_image(&sandbox, &[]), done(""));
}

#[test]
fn gaps_around_a_large_file_are_looked_at() {
    let sandbox = Sandbox::new();
    write_key(&sandbox, "key", 1);
    sandbox.write("allowed", format!("a@b {}\n", public(1)));
    let large = noise(1_200_001);
    sandbox.write("large", &large);
    sandbox.succeed(["create", "--quiet", "meta.iso", "hello", "--file", "large=large"]);
    sandbox.succeed(["sign", "--quiet", "meta.iso", "--key", "key"]);
    let image = sandbox.read("meta.iso");
    assert_eq!(verify_image(&sandbox, &[]), done(""));
    let start = places(&image, &large[..64])[0];
    let end = start + large.len();
    for (at, why) in [
        (start - 1, "the image differs from the one that is built from its files"),
        (start, "comparing the image with its manifest.json"),
        (end - 1, "comparing the image with its manifest.json"),
        (end, "the image differs from the one that is built from its files"),
        (image.len() - 1, "the image differs from the one that is built from its files"),
    ] {
        let mut changed = image.clone();
        changed[at] ^= 1;
        sandbox.write("meta.iso", changed);
        let ran = verify_image(&sandbox, &[]);
        assert!(ran.status == Some(1) && ran.stderr.contains(why), "byte {at}: {ran:?}");
    }
}

#[test]
fn a_list_of_principals_is_no_identity() {
    let sandbox = Sandbox::new();
    write_key(&sandbox, "key", 1);
    sandbox.succeed(["create", "--quiet", "meta.iso", "hello"]);
    sandbox.succeed(["sign", "--quiet", "meta.iso", "--key", "key"]);
    for principals in ["a@b,c@d", "*", "!x", "a@?"] {
        sandbox.write("allowed", format!("{principals} {}\n", public(1)));
        let ran = verify_image(&sandbox, &[]);
        assert!(ran.status == Some(1) && ran.stderr.contains("is not a single name, so"), "{ran:?}");
    }
    sandbox.write("allowed", format!("a@b,c@d {}\n", public(1)));
    assert_eq!(verify_image(&sandbox, &["--identity", "c@d"]), done(""));
    for identity in ["", "a@b,c@d", "*"] {
        let ran = verify_image(&sandbox, &["--identity", identity]);
        assert!(ran.status == Some(1) && ran.stderr.contains("is not a single name"), "{ran:?}");
    }
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

#[test]
#[ignore = "needs ssh-keygen"]
fn signatures_go_both_ways_between_us_and_ssh_keygen() {
    for kind in [
        &["ed25519"][..],
        &["ecdsa", "-b", "256"],
        &["ecdsa", "-b", "384"],
        &["ecdsa", "-b", "521"],
        &["rsa", "-b", "2048"],
        &["rsa", "-b", "4096"],
    ] {
        let sandbox = Sandbox::new();
        sandbox.tool("ssh-keygen", [&["-q", "-N", "", "-f", "key", "-t"], kind].concat());
        let public = String::from_utf8(sandbox.read("key.pub")).unwrap();
        sandbox.write("allowed", format!("a@b namespaces=\"metadata-image\" {public}"));
        sandbox.succeed(["create", "--quiet", "meta.iso", "hello", "--run-metadata", "deploy"]);
        sandbox.succeed(["sign", "--quiet", "meta.iso", "--key", "key"]);
        let (manifest, signature) = taken_off(&sandbox);
        sandbox.write("manifest.json", manifest);
        sandbox.write("ours.sig", signature);
        let keygen = |signature: &str| {
            let verify = "ssh-keygen -Y verify -f allowed -I a@b -n metadata-image -s";
            sandbox.tool("sh", ["-c", &format!("{verify} {signature} < manifest.json")])
        };
        keygen("ours.sig");
        sandbox
            .tool("ssh-keygen", ["-q", "-Y", "sign", "-n", "metadata-image", "-f", "key", "manifest.json"]);
        keygen("manifest.json.sig");
        // There is no chance in these.
        let is_same = sandbox.read("ours.sig") == sandbox.read("manifest.json.sig");
        assert!(is_same || kind[0] == "ecdsa", "{kind:?}");
        let loud = sandbox.run(["sign", "meta.iso", "--key", "key"]).stderr;
        let warning = "metadata: warning: meta.iso: someone who can measure how long signing takes could learn the RSA key \
                       (RUSTSEC-2023-0071); 'metadata sign --help' shows how to sign with ssh-keygen\n";
        assert_eq!(loud.starts_with(warning), kind[0] == "rsa", "{loud}");
        sandbox.succeed(["create", "--quiet", "meta.iso", "hello", "--run-metadata", "deploy"]);
        sandbox.succeed(["sign", "--quiet", "meta.iso", "--signature", "manifest.json.sig"]);
        assert_eq!(verify_image(&sandbox, &["--identity", "a@b"]), done(""), "{kind:?}");
        sandbox
            .tool("sh", ["-c", "rm manifest.json.sig; ssh-keygen -q -Y sign -n file -f key manifest.json"]);
        assert_eq!(
            sandbox.run(["sign", "meta.iso", "--signature", "manifest.json.sig"]),
            failed(
                1,
                "signing image \"meta.iso\": checking signature \"manifest.json.sig\": the namespace is \"file\" instead of \"metadata-image\""
            )
        );
    }
}

fn sign<K: SigningKey>(key: &K, message: &[u8]) -> Signature {
    key.try_sign(message).unwrap()
}

/// A signature by a key on a FIDO token, which signs digests of its own (PROTOCOL.u2f), of `text`; and the public key.
pub(crate) fn token_signature(text: &str) -> (String, String) {
    let pair = Ed25519Keypair::from_seed(&[3; 32]);
    let public = ssh_key::public::SkEd25519::new(pair.public, "ssh:");
    let signed = SshSig::signed_data("metadata-image", HashAlg::Sha512, text.as_bytes()).unwrap();
    // Somebody touched it, and it has signed six times before.
    let state = [1, 0, 0, 0, 7];
    let message = [&Sha256::digest(b"ssh:")[..], &state, &Sha256::digest(signed)].concat();
    let signature = sign(&PrivateKey::from(pair), &message);
    let signature = Signature::new(Algorithm::SkEd25519, [signature.as_bytes(), &state].concat()).unwrap();
    let signature = SshSig::new(public.clone().into(), "metadata-image", HashAlg::Sha512, signature).unwrap();
    let public = PublicKey::new(KeyData::SkEd25519(public), "");
    (signature.to_pem(LineEnding::LF).unwrap(), public.to_openssh().unwrap())
}

#[test]
fn a_signature_by_a_key_on_a_token_is_taken() {
    let sandbox = Sandbox::new();
    sandbox.succeed(["create", "--quiet", "meta.iso", "hello"]);
    sandbox.succeed(["sign", "--quiet", "meta.iso", "--manifest-only"]);
    let manifest = sandbox.succeed(["extract", "meta.iso", "manifest.json"]);
    let (signature, public) = token_signature(str::from_utf8(&manifest).unwrap());
    sandbox.write("signature", signature);
    sandbox.write("allowed", format!("a@b {public}\n"));
    sandbox.succeed(["sign", "--quiet", "meta.iso", "--signature", "signature"]);
    assert_eq!(verify_image(&sandbox, &[]), done(""));
    let (signature, _) = token_signature("something else");
    sandbox.write("signature", signature);
    assert_eq!(
        sandbox.run(["sign", "meta.iso", "--signature", "signature"]),
        failed(
            1,
            "signing image \"meta.iso\": checking signature \"signature\": the signature does not match manifest.json"
        )
    );
}

#[test]
#[ignore = "needs ssh-keygen"]
fn a_signature_by_a_key_on_a_token_is_one_to_ssh_keygen_too() {
    let sandbox = Sandbox::new();
    let (signature, public) = token_signature("text");
    sandbox.write("signature", signature);
    sandbox.write("allowed", format!("a@b {public}\n"));
    let verify = "printf text | ssh-keygen -Y verify -f allowed -I a@b -n metadata-image -s signature";
    sandbox.tool("sh", ["-c", verify]);
}

#[test]
#[ignore = "needs ssh-keygen and ssh-agent"]
fn keys_that_cannot_sign_here_sign_with_ssh_keygen() {
    let sandbox = Sandbox::new();
    sandbox.tool("ssh-keygen", ["-q", "-N", "secret", "-f", "key", "-t", "ed25519"]);
    let public = String::from_utf8(sandbox.read("key.pub")).unwrap();
    sandbox.write("allowed", format!("a@b {public}"));
    sandbox.succeed(["create", "--quiet", "meta.iso", "hello"]);
    let way = "ssh-keygen can sign instead: metadata sign meta.iso --manifest-only && metadata extract meta.iso \
               manifest.json > manifest.json && ssh-keygen -Y sign -n metadata-image -f key manifest.json && \
               metadata sign meta.iso --signature manifest.json.sig";
    let signing = |why: &str| failed(1, &format!("signing image \"meta.iso\": {why}"));
    assert_eq!(
        sandbox.run(["sign", "meta.iso", "--key", "key"]),
        signing(&format!("key \"key\": the key is encrypted; {way}"))
    );
    let Ran { stderr, .. } = sandbox.run(["sign", "meta.iso", "--key", "key.pub"]);
    assert!(stderr.contains("key \"key.pub\": a public key; ssh-keygen can"), "{stderr}");
    sandbox.write("signature", "x");
    assert_eq!(
        sandbox.run(["sign", "meta.iso", "--signature", "signature"]),
        signing("the image has no manifest.json that could have been signed (--manifest-only adds one)")
    );
    // What the error says, with an agent in place of the passphrase.
    let binary = assert_cmd::cargo::cargo_bin!("metadata").to_str().unwrap();
    let way = way.split_once(": ").unwrap().1.replace("metadata sign", &format!("{binary} sign -q"));
    let way = way.replace("metadata extract", &format!("{binary} extract")).replace("-f key ", "-f key.pub ");
    let script = format!(
        "printf '#!/bin/sh\necho secret\n' > ask; chmod +x ask; eval $(ssh-agent) > /dev/null; trap 'kill $SSH_AGENT_PID' EXIT
         SSH_ASKPASS=./ask SSH_ASKPASS_REQUIRE=force ssh-add -q key && {way}"
    );
    sandbox.tool("bash", ["-c", &script]);
    assert_eq!(verify_image(&sandbox, &[]), done(""));
}

#[test]
#[ignore = "needs ssh-keygen"]
fn who_may_sign_is_decided_as_ssh_keygen_does() {
    let sandbox = Sandbox::new();
    write_key(&sandbox, "key", 1);
    sandbox.succeed(["create", "--quiet", "meta.iso", "hello"]);
    sandbox.succeed(["sign", "--quiet", "meta.iso", "--key", "key"]);
    let (manifest, signature) = taken_off(&sandbox);
    sandbox.write("manifest", manifest);
    sandbox.write("signature", signature);
    let (key, other) = (public(1), public(2));
    let lines = [
        format!("a@b {key}"),
        format!("a@b {other}"),
        format!("A@b {key}"),
        format!("*@b {key}"),
        format!("?@b,x {key} comment"),
        format!("*,!a@* {key}"),
        format!("!a@b,* {key}"),
        format!("\"a@b\" {key}"),
        format!("\"x,a@b\" {key}"),
        format!("\ta@b\t{key}"),
        format!("a@b namespaces=\"metadata-image\" {key}"),
        format!("a@b namespaces=\"file,metadata*\" {key}"),
        format!("a@b namespaces=\"*,!metadata-image\" {key}"),
        format!("a@b namespaces=\"file\" {key}"),
        format!("a@b NAMESPACES=\"metadata-image\" {key}"),
        format!("a@b namespaces=metadata-image {key}"),
        format!("a@b namespaces=\"file\",namespaces=\"metadata-image\" {key}"),
        format!("a@b valid-after=\"20260601\" {key}"),
        format!("a@b valid-after=\"20260601Z\" {key}"),
        format!("a@b valid-after=\"202606011200Z\" {key}"),
        format!("a@b valid-after=\"20260601120001Z\" {key}"),
        format!("a@b valid-before=\"20260601120000Z\" {key}"),
        format!("a@b valid-before=\"20260601115959Z\" {key}"),
        format!("a@b valid-before=\"20260601120000\" {key}"),
        format!("a@b valid-before=\"202606011700\" {key}"),
        format!("a@b valid-before=\"202606011800\" {key}"),
        format!("a@b valid-after=\"20250101Z\",valid-before=\"20270101Z\" {key}"),
        format!("a@b valid-after=\"20270101Z\",valid-before=\"20250101Z\" {key}"),
        format!("a@b valid-before=\"never\" {key}"),
        format!("a@b unknown {key}"),
        format!("a@b unknown=\"x y\" {key}"),
        format!("a@b cert-authority {key}"),
        format!("a@b namespaces=\"metadata-image {key}"),
        format!("# a@b {key}"),
        format!("x {key}\na@b {key}"),
        format!("a@b,c@d {key}"),
        key.clone(),
        "a@b".to_owned(),
        String::new(),
    ];
    // 12:00 UTC is 17:45 in Nepal.
    let zone = "<+0545>-5:45";
    let mut matched = 0;
    for line in lines {
        sandbox.write("allowed", format!("{line}\n"));
        let theirs = std::process::Command::new("ssh-keygen")
            .current_dir(sandbox.path(""))
            .env("TZ", zone)
            .args(["-Y", "verify", "-f", "allowed", "-I", "a@b", "-n", "metadata-image", "-s", "signature"])
            .arg("-Overify-time=20260601120000Z")
            .stdin(std::fs::File::open(sandbox.path("manifest")).unwrap())
            .output()
            .unwrap();
        let ours = sandbox
            .command([
                "verify",
                "meta.iso",
                "--allowed-signers",
                "allowed",
                "--identity",
                "a@b",
                "--at",
                "2026-06-01T12:00:00Z",
            ])
            .env("TZ", zone)
            .output()
            .unwrap();
        assert_eq!(
            ours.status.success(),
            theirs.status.success(),
            "{line}: {} {}",
            String::from_utf8_lossy(&ours.stderr),
            String::from_utf8_lossy(&theirs.stderr)
        );
        matched += usize::from(ours.status.success());
    }
    assert_eq!(matched, 17, "lines that match");
}
