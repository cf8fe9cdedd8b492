//! Who signed, for whom and when.

use ssh_key::HashAlg;

use super::{CREATE, key, public, refused, signed, taken_off, verify_image, write_key};

use crate::support::{Sandbox, done, failed};

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
