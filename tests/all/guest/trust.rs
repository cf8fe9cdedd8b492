//! What an agent in a guest believes.

use serde_json::{Value, json};
use ssh_key::{HashAlg, LineEnding, PrivateKey, private::Ed25519Keypair};

use super::machine::{Guest, directory, file};
use crate::support::failed;

fn key() -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[1; 32]))
}

/// Steps that put what the guest trusts where a root file system has it.
fn trusted(policy: &str) -> String {
    let signers = format!("release@example.com {}", key().public_key().to_openssh().unwrap());
    format!(
        "mkdir /etc; cat >/etc/allowed <<'END'\n{signers}\nEND\ncat >/etc/policy.rego <<'END'\n{policy}END\n"
    )
}

const AGENT: &str = "metadata agent --allowed-signers /etc/allowed --audience web cdrom\n";

/// A guest with a signed image in `meta.iso`.
fn guest(strings: &[&str]) -> Guest {
    let guest = Guest::new();
    guest.sandbox.write("key", key().to_openssh(LineEnding::LF).unwrap().as_bytes());
    let strings = strings.iter().flat_map(|string| ["--run-metadata", string]);
    guest.sandbox.succeed(["create", "--quiet", "meta.iso", "hello"].into_iter().chain(strings));
    guest.sandbox.succeed(["sign", "--quiet", "meta.iso", "--key", "key", "--audience", "web"]);
    guest
}

#[test]
#[ignore = "needs a guest"]
fn a_signed_image_is_applied_in_a_guest_with_nothing_but_dev_and_sys() {
    let mut guest = guest(&[]);
    guest.cdrom("meta.iso");
    let steps = format!("modules\n drives 1\n mkdir /run\n{}run agent {AGENT}", trusted(""));
    let run = guest.boot_bare(&steps).run("agent");
    let print = key().fingerprint(HashAlg::Sha256);
    let said = format!(
        "metadata: CDROM /dev/sr0: 5 bytes of user data\n\
         metadata: CDROM /dev/sr0: signed by release@example.com with ED25519 {print}\n\
         metadata: \"/run/config\": 2 files written\n"
    );
    let made = [
        directory("/run/config", 0o755),
        file("/run/config/provider", 0o644, "CDROM /dev/sr0"),
        file("/run/config/userdata", 0o600, "hello"),
    ];
    assert_eq!(run, super::Run::new(&said, &made));
}

#[test]
#[ignore = "needs a guest"]
fn an_image_with_one_byte_changed_is_refused_and_nothing_is_written() {
    let mut guest = guest(&[]);
    let mut image = guest.sandbox.read("meta.iso");
    let at = image.windows(5).position(|bytes| bytes == b"hello").unwrap();
    image[at] = b'j';
    guest.sandbox.write("changed.iso", image);
    guest.cdrom("changed.iso");
    guest.virtio_disk("meta.iso");
    let report = guest.boot(&format!("{}run agent {AGENT}", trusted("")));
    let run = report.run("agent");
    let digest = "187c9bceeb919e1b3e6d20fa50ecabf7d9d50b5343e8f9a3d912abb13929102e";
    let refused = failed(
        1,
        &format!(
            "refusing CDROM /dev/sr0: comparing the image with its manifest.json: file \"config\" has other content, with the SHA-256 digest {digest}"
        ),
    );
    let stderr = format!("metadata: CDROM /dev/sr0: 5 bytes of user data\n{}", refused.stderr);
    assert_eq!(run.ran, crate::support::Ran { stderr, ..refused });
    let made = directory("/run/config", 0o755).into_iter().map(|line| format!("+ {line}"));
    assert_eq!(run.changes, made.collect::<Vec<_>>());
}

/// The walk of the reference, whose worker is the agent.
#[test]
#[ignore = "needs a guest"]
fn a_policy_in_the_environment_is_sampled_with_what_was_attached() {
    let mut guest = guest(&["deploy-metadata", "confirm-metadata"]);
    guest.cdrom("meta.iso");
    let body = "package spacelift\nsample { true }\n";
    let steps = trusted(body);
    let export = "export METADATA_RUN_INITIALIZATION_POLICY=/etc/policy.rego\n";
    let deny =
        "cat >/etc/deny.rego <<'END'\npackage p\nallow if count(input.run.user_provided_metadata) > 2\nEND\n";
    let report = guest.boot(&format!(
        "{steps}{deny}run deny metadata agent --policy /etc/deny.rego cdrom\n{export}run sample {AGENT}"
    ));
    let denied = report.run("deny");
    let said = "metadata: CDROM /dev/sr0: 5 bytes of user data\nmetadata: denied: allow is not true\n";
    assert_eq!(
        denied.ran.stderr,
        format!("{said}metadata: refusing CDROM /dev/sr0: the policy denies the boot\n")
    );
    assert_eq!((denied.ran.status, denied.changes), (Some(1), vec!["+ 755 - /run/config/".to_owned()]));
    let sampled = report.run("sample");
    assert_eq!(sampled.ran.status, Some(0), "{:?}", sampled.ran);
    let line = sampled.ran.stderr.lines().find(|line| line.starts_with('{')).unwrap();
    let line: Value = serde_json::from_str(line).unwrap();
    let run = &line["sample"]["input"]["run"];
    assert_eq!(run["user_provided_metadata"], json!(["deploy-metadata", "confirm-metadata"]));
    assert_eq!(line["msg"], format!("Sample 0/INITIALIZATION/{}/allow", run["id"].as_str().unwrap()));
    assert_eq!(line["sample"]["body"], body);
    assert_eq!(line["sample"]["results"], json!({ "deny": [], "sample": true }));
    assert!(sampled.changes.iter().any(|line| line.ends_with(" /run/config/userdata")), "{sampled:?}");
}
