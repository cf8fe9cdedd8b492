//! Who may sign: whoever this program accepts, `ssh-keygen` accepts. `sshsig.rs` has the same for signatures.

mod random_lines;

use std::{
    fs::File,
    path::Path,
    process::{Command, Stdio},
};

use metadata_image::{
    manifest::timestamp::Timestamp,
    trust::{allowed_signers::AllowedSigners, public_key::PublicKey, signature::NAMESPACE, verify::Terms},
};
use ssh_key::SshSig;

pub(crate) use random_lines::mutate;

use random_lines::file;

use crate::{
    fuzz_targets::trust::{ECDSA_SIGNATURE, MANIFEST, RSA_SIGNATURE, SIGNATURE},
    signature::token_signature,
    support::{Sandbox, cases},
};

/// The seed of all that is random here.
pub(crate) const SEED: u64 = 20_261_125;

/// When a signer is asked for: 2026-06-01T12:00:00Z.
const AT: &str = "20260601120000Z";

/// Who is asked for.
pub(crate) const IDENTITY: &str = "a@b";

/// Xorshift, George Marsaglia.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(number: u64) -> Self {
        let mut random = Self(SEED ^ (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        random.below(2);
        random
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from((self.0 >> 33) % end as u64).unwrap()
    }

    /// Whether something happens that happens once in so many times.
    pub(crate) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(crate) fn of<'a, T: ?Sized>(&mut self, all: &[&'a T]) -> &'a T {
        all[self.below(all.len())]
    }
}

/// The same signed text with keys of four kinds.
pub(crate) struct Signed {
    pub(crate) signature: String,
    pub(crate) key: PublicKey,
    /// Type and base64.
    pub(crate) public: String,
}

pub(crate) fn signed() -> Vec<Signed> {
    let texts = [SIGNATURE, RSA_SIGNATURE, ECDSA_SIGNATURE, &token_signature(MANIFEST).0].map(str::to_owned);
    let signed = texts.into_iter().map(|signature| {
        let key = SshSig::from_pem(&signature).unwrap().public_key().clone();
        let public = ssh_key::PublicKey::from(key).to_openssh().unwrap();
        Signed { signature, key: PublicKey::parse(&public).unwrap(), public }
    });
    signed.collect()
}

/// Files for `ssh-keygen`: the manifest, and the signatures by number.
pub(crate) fn sandbox(signed: &[Signed]) -> Sandbox {
    let sandbox = Sandbox::on_tmpfs();
    sandbox.write("manifest", MANIFEST);
    for (number, signed) in signed.iter().enumerate() {
        sandbox.write(&format!("{number}.sig"), &signed.signature);
    }
    sandbox
}

/// Whether `ssh-keygen` accepts a signature.
pub(crate) fn keygen(sandbox: &Sandbox, identity: &str, signature: &Path) -> bool {
    let status = Command::new("ssh-keygen")
        .current_dir(sandbox.path(""))
        .args(["-Y", "verify", "-f", "allowed", "-I", identity, "-n", NAMESPACE, "-s"])
        .arg(signature)
        .arg(format!("-Overify-time={AT}"))
        .stdin(File::open(sandbox.path("manifest")).unwrap())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.unwrap().success()
}

/// How often who accepted something.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) both: usize,
    pub(crate) only_keygen: usize,
    pub(crate) none: usize,
}

impl Count {
    #[track_caller]
    pub(crate) fn add(&mut self, ours: bool, theirs: bool, what: &dyn Fn() -> String) {
        match (ours, theirs) {
            (true, true) => self.both += 1,
            (false, true) => self.only_keygen += 1,
            (false, false) => self.none += 1,
            (true, false) => panic!("ssh-keygen refuses what is accepted here: {}", what()),
        }
    }
}

/// Keys that are not those that sign: too short, compressed, of another type than the text says.
const OTHER_KEYS: &[&str] = &[
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f",
    "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAAAhA+01T/Tc5MWmrkV5ez0kBn2ckXatx4smn0n5BTkCD3oV",
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAQQDHCzBVep/E6Q4zWH2ix+wRNluApcrvFDleg6jN8hc8YYar0PUaP2SJrtP4HUJnjLHW+yBFao+02f4jSG2St9wL",
    "ssh-foo AAAAB3NzaC1mb28AAAAA",
];

fn at() -> Timestamp {
    Timestamp::parse(AT).unwrap()
}

/// A file in which all of them may sign, and the terms that it makes.
pub(crate) fn all_allowed(signed: &[Signed]) -> (String, Terms) {
    let lines = signed.iter().map(|signed| format!("{IDENTITY} {}\n", signed.public));
    let lines = lines.collect::<Vec<_>>().concat();
    let allowed = AllowedSigners::parse("allowed", &lines);
    let terms = Terms { allowed, revoked: None, identity: None, audience: None, at: at() };
    (lines, terms)
}

#[test]
#[ignore = "needs ssh-keygen"]
fn of_files_of_signers_none_is_read_laxer_than_by_ssh_keygen() {
    println!("seed {SEED}");
    let all = signed();
    let sandbox = sandbox(&all);
    let mut count = Count::default();
    let total = cases(1500, 5000);
    for number in 0..total {
        let random = &mut Random::new(number as u64);
        let kind = random.below(all.len());
        let bytes = file(random, &all[kind], &all);
        let allowed = AllowedSigners::parse("allowed", &bytes);
        let find = |identity| allowed.find(&all[kind].key, identity, NAMESPACE, at()).ok();
        // Who is named without being asked for is somebody to ssh-keygen too.
        let named = find(None).filter(|_| random.once_in(2));
        let identity = named.as_deref().unwrap_or(IDENTITY);
        let ours = find(Some(identity)).is_some();
        sandbox.write("allowed", &bytes);
        let theirs = keygen(&sandbox, identity, Path::new(&format!("{kind}.sig")));
        count.add(ours, theirs, &|| format!("file {number}: {:?}", String::from_utf8_lossy(&bytes)));
    }
    println!("{count:?}");
    assert!(count.both > total / 5 && count.none > total / 5 && count.only_keygen < total / 10, "{count:?}");
}

#[test]
#[ignore = "needs ssh-keygen"]
fn ordinary_files_of_signers_are_read_like_by_ssh_keygen() {
    let all = signed();
    let sandbox = sandbox(&all);
    for (kind, Signed { key, public, .. }) in all.iter().enumerate() {
        for (text, accepted) in [
            (format!("a@b {public}\n"), true),
            (format!("a@b {public} me@host\n"), true),
            (format!("a@b {public} me@host\r\n"), true),
            (format!("a@b {public}"), true),
            (format!("# who may sign\n\n\ta@b\t{public}\n"), true),
            (format!("c@d {}\na@b,e@f {public}\n", OTHER_KEYS[0]), true),
            (format!("*@b namespaces=\"metadata-image\" {public}\n"), true),
            (format!("\"a@b\" namespaces=\"file,metadata-*\",valid-after=\"20260101Z\" {public}\n"), true),
            (format!("a@b valid-after=\"202601010000Z\",valid-before=\"20270101000000Z\" {public}\n"), true),
            (format!("a@b valid-before=\"20260601120000Z\" {public}\n"), true),
            (format!("a@b valid-after=\"20260101\" {public}\n"), true),
            (format!("*,!c@* {public}\n"), true),
            (format!("c@d {public}\n"), false),
            (format!("a@b {}\n", OTHER_KEYS[0]), false),
            (format!("a@b namespaces=\"file\" {public}\n"), false),
            (format!("a@b valid-after=\"20260601120001Z\" {public}\n"), false),
            (format!("a@b valid-before=\"20260601115959Z\" {public}\n"), false),
            (format!("*,!a@* {public}\n"), false),
        ] {
            let ours =
                AllowedSigners::parse("allowed", &text).find(key, Some(IDENTITY), NAMESPACE, at()).is_ok();
            sandbox.write("allowed", &text);
            let theirs = keygen(&sandbox, IDENTITY, Path::new(&format!("{kind}.sig")));
            assert_eq!((ours, theirs), (accepted, accepted), "{text}");
        }
    }
}

/// Local times are what `mktime` makes of them without daylight saving, in every zone.
#[test]
#[ignore = "needs ssh-keygen"]
fn local_times_of_signers_are_read_like_by_ssh_keygen() {
    println!("seed {SEED}");
    let all = signed();
    let sandbox = sandbox(&all);
    let mut cases = Vec::new();
    for (number, zone) in [
        "UTC",
        "CET-1CEST,M3.5.0,M10.5.0/3",
        "EST5EDT,M3.2.0,M11.1.0",
        "<+0545>-5:45",
        "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0",
        "IST-1GMT0,M10.5.0,M3.5.0/1",
    ]
    .into_iter()
    .enumerate()
    {
        let random = &mut Random::new(number as u64);
        for _ in 0..100 {
            let (month, day) = ([3, 10, 6, 11][random.below(4)], 1 + random.below(31));
            let (hour, minute) = (random.below(24), random.below(60));
            let text = format!("2026{month:02}{day:02}{hour:02}{minute:02}");
            // An hour off is found out.
            let off = [-7200, -3600, -1, 0, 1, 3600, 7200][random.below(7)];
            let Ok(near) = Timestamp::parse(&format!("{text}Z")) else { continue };
            let shift = [0, -3600, 5 * 3600, -20_700, -37_800, -3600][number];
            let at = near.seconds().checked_add_signed(shift + off).unwrap();
            cases.push((zone, text, Timestamp::from_seconds(at).unwrap()));
        }
    }
    sandbox.write("meta.iso", {
        sandbox.succeed(["create", "--quiet", "image", "hello"]);
        sandbox.read("image")
    });
    sandbox.tool("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", "key"]);
    sandbox.succeed(["sign", "--quiet", "meta.iso", "--key", "key"]);
    for name in ["manifest.json", "manifest.json.sig"] {
        let bytes = sandbox.succeed(["extract", "meta.iso", name]);
        sandbox.write(name, bytes);
    }
    let public = String::from_utf8(sandbox.read("key.pub")).unwrap();
    let mut count = Count::default();
    let total = cases.len();
    for (zone, text, at) in cases {
        for option in ["valid-after", "valid-before"] {
            sandbox.write("allowed", format!("a@b {option}=\"{text}\" {public}"));
            let at = at.to_string();
            let terms = ["verify", "-q", "meta.iso", "--allowed-signers", "allowed", "--at", &at];
            let ours = sandbox.command(terms).env("TZ", zone).output().unwrap().status.success();
            let digits: String = at.chars().filter(char::is_ascii_digit).collect();
            let theirs = Command::new("ssh-keygen")
                .current_dir(sandbox.path(""))
                .env("TZ", zone)
                .args([
                    "-Y",
                    "verify",
                    "-f",
                    "allowed",
                    "-I",
                    "a@b",
                    "-n",
                    NAMESPACE,
                    "-s",
                    "manifest.json.sig",
                ])
                .arg(format!("-Overify-time={digits}Z"))
                .stdin(File::open(sandbox.path("manifest.json")).unwrap())
                .output()
                .unwrap();
            let what = || format!("{option} {text} at {at} in {zone}");
            count.add(ours, theirs.status.success(), &what);
        }
    }
    println!("{total} times: {count:?}");
    assert!(count.both > total / 2 && count.none > total / 4 && count.only_keygen < total / 20, "{count:?}");
}
