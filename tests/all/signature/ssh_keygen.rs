//! Signatures and keys of `ssh-keygen`, and of tokens.

use sha2::{Digest, Sha256};
use ssh_key::{
    Algorithm, HashAlg, LineEnding, PrivateKey, PublicKey, Signature, SshSig, private::Ed25519Keypair,
    public::KeyData,
};

use super::{public, sign, taken_off, verify_image, write_key};

use crate::support::{Ran, Sandbox, done, failed};

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
    assert!(stderr.contains("key \"key.pub\": this is a public key; give the private key"), "{stderr}");
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
