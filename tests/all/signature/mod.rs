//! Signed images: what `sign` makes, what `verify` takes, and every way to tamper that it must not take.

mod other_readers;
mod sign;
mod ssh_keygen;
mod tampering;
mod verify;

pub(crate) use ssh_keygen::token_signature;

use ssh_key::{LineEnding, PrivateKey, Signature, SigningKey, private::Ed25519Keypair};

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

/// The places of `bytes` in `image`.
fn places(image: &[u8], bytes: &[u8]) -> Vec<usize> {
    image.windows(bytes.len()).enumerate().filter(|(_, window)| *window == bytes).map(|(at, _)| at).collect()
}

fn ucs2(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

fn sign<K: SigningKey>(key: &K, message: &[u8]) -> Signature {
    key.try_sign(message).unwrap()
}
