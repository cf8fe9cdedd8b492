//! An agent that applies only what it could verify, on the host, with devices that are files.

use std::{
    fs,
    path::PathBuf,
    process::Command,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use metadata_image::{
    agent::{AgentOptions, Trust, run},
    manifest::timestamp::Timestamp,
    policy::{decision::Policy, process::Worker},
    provider::{
        Log, LogLevel, Metadata, Provider,
        cdrom::{self, Cdrom, ReadScope},
    },
    trust::{allowed_signers::AllowedSigners, revoked_keys::Revoked, verify::Terms},
};
use serde_json::Value;
use ssh_key::{LineEnding, PrivateKey, private::Ed25519Keypair};

use crate::{
    support::{Ran, Sandbox, failed},
    userdata::tree_of,
};

/// A guest with devices, and what it trusts.
struct Guest {
    sandbox: Sandbox,
    trust: Trust,
}

fn key() -> PrivateKey {
    PrivateKey::from(Ed25519Keypair::from_seed(&[1; 32]))
}

fn public() -> String {
    key().public_key().to_openssh().unwrap()
}

fn terms() -> Terms {
    Terms {
        allowed: AllowedSigners::parse("signers", &format!("release@example.com {}", public())),
        revoked: None,
        identity: None,
        audience: None,
        at: Timestamp::parse("2026-06-01T00:00:00Z").unwrap(),
    }
}

fn policy(text: &str) -> Trust {
    let policy = Policy { files: vec![("p.rego".to_owned(), text.to_owned())], allow_exec: false };
    let program: PathBuf = assert_cmd::cargo::cargo_bin!("metadata").into();
    let worker = Worker { program, argument: "policy-worker" };
    Trust { terms: None, policy: Some(Arc::new((policy, worker))) }
}

impl Guest {
    fn new(trust: Trust) -> Self {
        let sandbox = Sandbox::new();
        sandbox.write("dev/null", "");
        fs::create_dir(sandbox.path("sys")).unwrap();
        sandbox.write("key", key().to_openssh(LineEnding::LF).unwrap().as_bytes());
        Self { sandbox, trust }
    }

    fn signing() -> Self {
        Self::new(Trust { terms: Some(terms()), policy: None })
    }

    /// An image on a device.
    fn device(&self, name: &str, create: &[&str], sign: Option<&[&str]>) {
        self.sandbox.succeed([&["create", "--lenient", "--quiet", "meta.iso"], create].concat());
        if let Some(options) = sign {
            self.sandbox.succeed([&["sign", "--quiet", "meta.iso", "--key", "key"], options].concat());
        }
        let image = self.sandbox.read("meta.iso");
        self.sandbox.write(&format!("sys/{name}/size"), format!("{}\n", image.len() / 512));
        self.sandbox.write(&format!("dev/{name}"), image);
    }

    fn change(&self, name: &str, from: &[u8], to: &[u8]) {
        let mut image = self.sandbox.read(&format!("dev/{name}"));
        let at = image.windows(from.len()).position(|bytes| bytes == from).unwrap();
        image[at..at + to.len()].copy_from_slice(to);
        self.sandbox.write(&format!("dev/{name}"), image);
    }

    /// Runs the agent with other providers besides. What it was refused for, what it said but details, and what was written.
    fn run(&self, others: &[Arc<dyn Provider>]) -> (Result<(), String>, Vec<String>, String) {
        let mut said = Vec::new();
        let cdrom = Cdrom::new(self.sandbox.path("dev"), self.sandbox.path("sys")).scope(ReadScope::All);
        let providers = [&[Arc::new(cdrom) as Arc<dyn Provider>], others].concat();
        let root = self.sandbox.path("out");
        let options = AgentOptions {
            root: root.clone(),
            set_hostname: false,
            timeout: Duration::from_secs(60),
            wait: Duration::ZERO,
            trust: self.trust.clone(),
        };
        let ran = run(&providers, &options, &mut |level, text| {
            if level != LogLevel::Detail {
                said.push(text.to_owned());
            }
        });
        (ran.error.map_or(Ok(()), Err), said, tree_of(&root))
    }

    #[track_caller]
    fn refuses(&self, why: &str) {
        let (ran, said, tree) = self.run(&[]);
        assert_eq!((ran, tree.as_str()), (Err(why.to_owned()), ""), "{said:?}");
    }
}

/// A provider that has something, and counts how often it is asked.
struct Other(Mutex<usize>);

impl Provider for Other {
    fn name(&self) -> &'static str {
        "other"
    }

    fn is_local(&self) -> bool {
        false
    }

    fn fetch(&self, _: Instant, _: &mut Log) -> metadata_image::error::Result<Option<Metadata>> {
        *self.0.lock().unwrap() += 1;
        let userdata = Some(b"theirs".to_vec());
        Ok(Some(Metadata { provider: "other", origin: "OTHER".to_owned(), userdata, ..Metadata::default() }))
    }
}

#[test]
fn a_signed_image_is_applied() {
    let guest = Guest::signing();
    guest.device("sda", &["hello"], Some(&[]));
    let (ran, said, tree) = guest.run(&[]);
    assert_eq!(ran, Ok(()));
    let print = key().fingerprint(ssh_key::HashAlg::Sha256);
    assert_eq!(
        said[..2],
        [
            "CDROM /dev/sda: 5 bytes of user data".to_owned(),
            format!("CDROM /dev/sda: signed by release@example.com with ED25519 {print}"),
        ]
    );
    assert_eq!(tree, "0644 provider \"CDROM /dev/sda\"\n0600 userdata \"hello\"\n");
}

#[test]
fn nobody_else_is_asked_after_an_image_was_refused() {
    let guest = Guest::signing();
    guest.device("sda", &["hello"], None);
    guest.device("sdb", &["signed"], Some(&[]));
    let other = Arc::new(Other(Mutex::new(0)));
    let (ran, _, tree) = guest.run(&[Arc::clone(&other) as Arc<dyn Provider>]);
    let why = "refusing CDROM /dev/sda: the image is not signed: manifest.json is missing";
    assert_eq!((ran, tree.as_str(), *other.0.lock().unwrap()), (Err(why.to_owned()), "", 0));
}

#[test]
fn metadata_that_cannot_be_signed_is_refused() {
    let guest = Guest::signing();
    let (ran, _, tree) = guest.run(&[Arc::new(Other(Mutex::new(0)))]);
    let why = "refusing OTHER: the metadata does not come from an image, and only images can be signed";
    assert_eq!((ran, tree.as_str()), (Err(why.to_owned()), ""));
    guest.refuses("no metadata was found to verify");
    guest.sandbox.write("dev/sr0", crate::support::linuxkit_image(b"hello"));
    guest.sandbox.write("sys/sr0/size", "1000\n");
    guest.refuses("refusing CDROM /dev/sr0: the image is not signed: manifest.json is missing");
}

#[test]
fn what_verify_refuses_the_agent_refuses() {
    let layout = ["#cloud-config\n", "--layout", "nocloud", "--hostname", "web", "--run-metadata", "deploy"];
    let signed = |terms: Terms, sign: &[&str]| {
        let guest = Guest::new(Trust { terms: Some(terms), policy: None });
        guest.device("sr0", &layout, Some(sign));
        guest
    };
    let refusing = |why: &str| format!("refusing CDROM /dev/sr0: {why}");
    let guest = signed(terms(), &[]);
    assert_eq!(guest.run(&[]).0, Ok(()));

    for (from, to, why) in [
        (
            &b"#cloud-config\n"[..],
            &b"#cloud-Config\n"[..],
            "comparing the image with its manifest.json: file \"user-data\" has other content, ",
        ),
        (
            b"local-hostname: \"web\"",
            b"local-hostname: \"dbs\"",
            "comparing the image with its manifest.json: file \"meta-data\" has other content, ",
        ),
        (
            b"\"deploy\"",
            b"\"Deploy\"",
            "checking manifest.json.sig: the signature does not match manifest.json",
        ),
        (
            b"BEGIN SSH SIG",
            b"BEGIN SSH sig",
            "checking manifest.json.sig: not a supported signature of ssh-keygen",
        ),
        (
            b"\0m\0e\0t\0a\0-\0d\0a\0t\0a",
            b"\0M",
            "the Joliet tree differs from the tree that is read: file \"meta-data\" is missing there",
        ),
        (
            b"meta-data",
            b"meta-date",
            "the Joliet tree differs from the tree that is read: file \"meta-data\" is another file there",
        ),
    ] {
        let guest = signed(terms(), &[]);
        guest.change("sr0", from, to);
        let (ran, _, tree) = guest.run(&[]);
        let error = ran.unwrap_err();
        assert!(tree.is_empty() && error.contains(why), "{from:?}: {error}");
    }

    signed(Terms { audience: Some("db".to_owned()), ..terms() }, &["--audience", "web"])
        .refuses(&refusing("the image is for the audience \"web\", not for \"db\""));
    signed(terms(), &["--not-after", "2026-05-31T23:59:59Z"]).refuses(&refusing(
        "the image is not valid after 2026-05-31T23:59:59Z, and the time is 2026-06-01T00:00:00Z",
    ));
    let print = key().fingerprint(ssh_key::HashAlg::Sha256);
    let revoked = Revoked::parse(public().as_bytes()).unwrap();
    signed(Terms { revoked: Some(revoked), ..terms() }, &[]).refuses(&refusing(&format!(
        "checking manifest.json.sig: the signing key ED25519 {print} is revoked"
    )));
    signed(Terms { allowed: AllowedSigners::parse("signers", ""), ..terms() }, &[]).refuses(&refusing(
        &format!(
            "checking manifest.json.sig: signed with ED25519 {print}: the signing key is not listed in \"signers\""
        ),
    ));
}

#[test]
fn the_bytes_that_were_verified_are_those_that_are_applied() {
    let guest = Guest::signing();
    guest.device("sda", &["hello"], Some(&[]));
    let path = guest.sandbox.path("dev/sda");
    let mut found = cdrom::read_from(&path, ReadScope::All, &mut |_, _| ()).unwrap();
    // Whoever has the device changes it once it has been read.
    fs::write(&path, "something else").unwrap();
    assert!(guest.trust.admit(&mut found, &mut |_, _| ()).is_ok());
    assert_eq!(found.userdata.as_deref(), Some(&b"hello"[..]));
    let contents = found.contents.unwrap();
    assert!(contents.kept.iter().all(|(_, bytes)| bytes.is_empty()), "there is no second copy");
}

#[test]
fn nothing_in_a_file_is_parsed_before_the_signature_is_checked() {
    let guest = Guest::signing();
    // Whoever parses this has something to say about it.
    guest.sandbox.write("meta", "local-hostname: a b\nlist: [1\n");
    let create = ["hello", "--layout", "nocloud", "--meta-data", "meta"];
    guest.device("sda", &create, None);
    let (ran, said, tree) = guest.run(&[]);
    assert_eq!(
        ran,
        Err("refusing CDROM /dev/sda: the image is not signed: manifest.json is missing".to_owned())
    );
    assert_eq!(
        (said.as_slice(), tree.as_str()),
        (&["CDROM /dev/sda: 5 bytes of user data".to_owned()][..], "")
    );
    guest.device("sda", &create, Some(&[]));
    let (ran, said, tree) = guest.run(&[]);
    assert_eq!(ran, Ok(()));
    assert!(said.iter().any(|line| line.contains("[yaml-syntax]")), "{said:?}");
    assert!(tree.contains("userdata"), "{tree}");
}

#[test]
fn what_a_policy_denies_is_not_applied() {
    let guest = Guest::new(policy(
        "package p\ndeny contains \"not yet\" if count(input.run.user_provided_metadata) < 2",
    ));
    guest.device("sda", &["hello", "--run-metadata", "one"], None);
    let (ran, said, tree) = guest.run(&[]);
    assert_eq!(
        (ran, tree.as_str()),
        (Err("refusing CDROM /dev/sda: the policy denies the boot".to_owned()), "")
    );
    assert_eq!(said[1..], ["denied: not yet"]);
    guest.device("sda", &["hello", "--run-metadata", "one", "--run-metadata", "two"], None);
    assert_eq!(guest.run(&[]).0, Ok(()));
}

#[test]
fn a_policy_sees_who_signed_and_logs_what_it_was_asked_to() {
    let trust = Trust {
        terms: Some(terms()),
        ..policy("package p\nallow if input.signature.identity == \"release@example.com\"\nsample := true")
    };
    let guest = Guest::new(trust);
    guest.device("sda", &["hello", "--run-metadata", "one"], Some(&[]));
    let (ran, said, _) = guest.run(&[]);
    assert_eq!(ran, Ok(()));
    let line: Value = serde_json::from_str(&said[2]).unwrap();
    let print = key().fingerprint(ssh_key::HashAlg::Sha256).to_string();
    assert_eq!(line["sample"]["input"]["signature"]["key_fingerprint"], print);
    assert_eq!(line["sample"]["results"], serde_json::json!({ "allow": true, "deny": [], "sample": true }));
}

#[test]
fn a_policy_decides_about_metadata_of_the_network_as_well() {
    let decide = |text: &str| Guest::new(policy(text)).run(&[Arc::new(Other(Mutex::new(0)))]);
    let (ran, said, tree) = decide(
        "package p\nallow if { input.run.triggered_by == \"other\"; input.image == null; input.run.created_at == null }\nsample := true",
    );
    assert_eq!(ran, Ok(()), "{said:?}");
    assert!(tree.contains("theirs") && said.iter().any(|line| line.starts_with('{')), "{said:?}");
    let (ran, _, tree) = decide("package p\nallow if input.image != null");
    assert_eq!((ran, tree.as_str()), (Err("refusing OTHER: the policy denies the boot".to_owned()), ""));
}

#[test]
fn a_policy_changes_nothing_of_the_process_that_asks() {
    let mut child = Command::new("/bin/true").spawn().unwrap();
    let (ran, said, _) =
        Guest::new(policy("package p\nallow := true")).run(&[Arc::new(Other(Mutex::new(0)))]);
    assert_eq!(ran, Ok(()), "{said:?}");
    assert!(child.wait().unwrap().success());
    assert_eq!(rustix::process::child_subreaper().unwrap(), None);
}

#[test]
fn a_policy_that_cannot_be_evaluated_denies() {
    let mut guest = Guest::new(policy("package p\nallow := true"));
    guest.device("sda", &["hello"], None);
    assert_eq!(guest.run(&[]).0, Ok(()));
    let (policy, worker) = (*guest.trust.policy.take().unwrap()).clone();
    for program in ["/nothing", "/bin/true", "/bin/false", "/bin/cat"] {
        let worker = Worker { program: program.into(), ..worker.clone() };
        guest.trust.policy = Some(Arc::new((policy.clone(), worker)));
        fs::remove_dir_all(guest.sandbox.path("out")).unwrap();
        let (ran, _, tree) = guest.run(&[]);
        let error = ran.unwrap_err();
        assert!(
            error.starts_with("refusing CDROM /dev/sda: the policy failed, which denies the boot: "),
            "{error}"
        );
        assert_eq!(tree, "", "{program}");
    }
}

#[test]
fn what_asks_for_a_signature_and_for_somebody_without_is_a_usage_error() {
    let sandbox = Sandbox::new();
    sandbox.write("allowed", "");
    let agent = |arguments: &[&str]| sandbox.run([&["agent", "--root", "out"], arguments].concat());
    let in_file = ": the agent accepts signed images on devices only (cdrom); 'metadata verify' checks an image in a file";
    let never = ", whose metadata is never signed";
    for (provider, why) in [("aws", never), ("gcp", never), ("file=x", in_file)] {
        assert_eq!(
            agent(&["--allowed-signers", "allowed", "cdrom", provider]),
            failed(2, &format!("--allowed-signers cannot be used with {provider}{why}"))
        );
    }
    assert_eq!(agent(&["--allow-exec"]), failed(2, "--allow-exec needs a policy (--policy)"));
    for option in ["--identity", "--audience", "--revoked"] {
        let Ran { status, stderr, .. } = agent(&[option, "x", "file=x"]);
        assert!(status == Some(2) && stderr.contains("--allowed-signers"), "{stderr}");
    }
    assert_eq!(
        agent(&["--allowed-signers", "none", "cdrom"]),
        failed(1, "reading allowed signers \"none\": No such file or directory (os error 2)")
    );
    assert_eq!(sandbox.names(), ["allowed"], "nothing was written");
}

#[test]
fn the_environment_names_a_policy() {
    let sandbox = Sandbox::new();
    sandbox.write("data", "hello");
    sandbox.write("deny.rego", "package p\ndeny[\"no\"] { true }");
    sandbox.write("allow.rego", "package p\nallow := true");
    let agent = |policy: &str, arguments: &[&str]| {
        let mut command = sandbox.command(["agent", "--root", "out", "file=data"]);
        command.args(arguments).env("METADATA_RUN_INITIALIZATION_POLICY", policy);
        Ran::from(command.output().unwrap())
    };
    let said = agent("deny.rego", &[]);
    assert_eq!(said.status, Some(1));
    assert_eq!(
        said.stderr,
        "metadata: FILE data: 5 bytes of user data\nmetadata: denied: no\nmetadata: refusing FILE data: the policy denies the boot\n"
    );
    assert_eq!(tree_of(&sandbox.path("out")), "");
    assert_eq!(
        agent("none.rego", &[]),
        failed(1, "reading policy \"none.rego\": No such file or directory (os error 2)")
    );
    assert_eq!(
        agent("", &[]),
        failed(1, "the path of the policy in --policy or METADATA_RUN_INITIALIZATION_POLICY is empty")
    );
    let why = "--policy is \"allow.rego\" and METADATA_RUN_INITIALIZATION_POLICY is \"deny.rego\": set only one of them";
    assert_eq!(agent("deny.rego", &["--initialization-policy", "allow.rego"]), failed(2, why));
}
