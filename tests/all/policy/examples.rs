//! The policies in `testdata/policies`, which docs/trust.md describes.

use super::{allowed, decide, denied, image};

use crate::support::{Ran, Sandbox, failed};

fn example(sandbox: &Sandbox, name: &str, trusted: bool) -> Ran {
    let path = format!("{}/testdata/policies/{name}.rego", env!("CARGO_MANIFEST_DIR"));
    let signers = if trusted { &["--allowed-signers", "allowed"][..] } else { &[] };
    let mut ran = sandbox.run([&["policy", "meta.iso", "--policy", &path], signers].concat());
    ran.stderr = ran.stderr.split_inclusive('\n').filter(|line| !line.starts_with('{')).collect();
    ran
}

fn write_key(sandbox: &Sandbox, identity: &str) {
    let key = ssh_key::PrivateKey::from(ssh_key::private::Ed25519Keypair::from_seed(&[1; 32]));
    sandbox.write("key", key.to_openssh(ssh_key::LineEnding::LF).unwrap().as_bytes());
    sandbox.write("allowed", format!("{identity} {}\n", key.public_key().to_openssh().unwrap()));
}

/// What the examples say, but for the line about who signed.
fn after_signer(ran: Ran) -> Ran {
    let stderr = ran.stderr.split_inclusive('\n').filter(|line| !line.contains(": signed by "));
    Ran { stderr: stderr.collect(), ..ran }
}

#[test]
fn the_example_for_signed_runs_allows_the_release_team_only() {
    let sandbox = image(&["deploy"]);
    write_key(&sandbox, "release@example.com");
    assert_eq!(example(&sandbox, "signed", false), denied(&["allow is not true"]), "no signature");
    assert_eq!(
        example(&sandbox, "signed", true),
        failed(1, "refusing \"meta.iso\": the image is not signed: manifest.json.sig is missing")
    );
    sandbox.succeed(["sign", "--quiet", "meta.iso", "--key", "key"]);
    assert_eq!(
        example(&sandbox, "signed", false),
        denied(&["allow is not true"]),
        "nobody checked the signature"
    );
    assert_eq!(after_signer(example(&sandbox, "signed", true)), allowed());
    write_key(&sandbox, "intern@example.com");
    assert_eq!(after_signer(example(&sandbox, "signed", true)), denied(&["allow is not true"]));
}

#[test]
fn the_example_for_approvals_asks_for_two_teams_and_a_signature() {
    let sandbox = image(&["deploy", "approved by release"]);
    write_key(&sandbox, "release@example.com");
    let sign = || sandbox.succeed(["sign", "--quiet", "meta.iso", "--key", "key"]);
    let confirm = |string| sandbox.succeed(["confirm", "--quiet", "meta.iso", "--run-metadata", string]);
    let decided = || after_signer(example(&sandbox, "approvals", true));
    sign();
    assert_eq!(decided(), denied(&["allow is not true"]), "one");
    confirm("approved by release");
    sign();
    assert_eq!(decided(), denied(&["allow is not true"]), "the same one twice");
    confirm("approved by interns");
    sign();
    assert_eq!(decided(), denied(&["allow is not true"]), "one that may not");
    confirm("approved by security");
    assert_eq!(example(&sandbox, "approvals", false), denied(&["allow is not true"]), "nobody signed it");
    sign();
    assert_eq!(decided(), allowed());
}

#[test]
fn a_policy_that_only_denies_allows_what_has_no_metadata() {
    let deny = "package p\ndeny contains \"bad token\" if {
        token := input.run.user_provided_metadata[0]
        not endswith(token, input.static_run_environment.host_name)
    }";
    assert_eq!(decide(&image(&["token web"]), deny, &[]), allowed());
    assert_eq!(decide(&image(&["token db"]), deny, &[]), denied(&["bad token"]));
    assert_eq!(decide(&image(&[]), deny, &[]), allowed(), "it fails open");
    let allow = "package p\ndefault allow := false\nallow if {
        endswith(input.run.user_provided_metadata[0], input.static_run_environment.host_name)
    }";
    assert_eq!(decide(&image(&["token web"]), allow, &[]), allowed());
    assert_eq!(decide(&image(&["token db"]), allow, &[]), denied(&["allow is not true"]));
    assert_eq!(decide(&image(&[]), allow, &[]), denied(&["allow is not true"]));
}
