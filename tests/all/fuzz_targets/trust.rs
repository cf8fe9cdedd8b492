//! Everything that is parsed before it is believed: manifests, signatures, lists of signers and of revoked keys, public keys,
//! times. The input is the text.

use std::sync::OnceLock;

use metadata_image::{
    image::{Tree, Volume},
    manifest::{Manifest, inventory::Contents, timestamp::Timestamp},
    trust::{
        allowed_signers::AllowedSigners,
        revoked_keys::Revoked,
        signature::Signature,
        verify::{Signer, Terms, verify},
    },
    userdata::authorized_keys::{KeyOptions, check_line},
};

/// The manifest of an image without files, which is signed below.
pub(crate) const MANIFEST: &str = concat!(
    r#"{"created_at":"1980-01-01T00:00:00Z","files":[],"layout":"linuxkit","run_id":"r1","#,
    r#""user_provided_metadata":[],"version":1,"volume_identifier":"CIDATA"}"#
);

/// A signature of it by [`KEY`], of which nobody has the private part any more.
pub(crate) const SIGNATURE: &str = "-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgWEid8VPmnZD7TYc0bxcZpyKl/b
I9r+9eiWTlMfHaHKwAAAAObWV0YWRhdGEtaW1hZ2UAAAAAAAAABnNoYTUxMgAAAFMAAAAL
c3NoLWVkMjU1MTkAAABAe8bModGXKM3X3lwv9Gfziltqkix4uklIKUEETrM6bYeU0BHXFP
xQRSdJFVmiRBHJMWWaClSgivUeiSKWNVY8AQ==
-----END SSH SIGNATURE-----
";

const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFhInfFT5p2Q+02HNG8XGacipf2yPa/vXolk5THx2hys";

/// Who is asked for where the input names nobody.
const IDENTITY: &str = "ci@example.com";

pub(crate) fn run(data: &[u8]) {
    check_manifest(data);
    check_signature(data);
    if let Ok(text) = str::from_utf8(data) {
        check_signers(text);
        check_timestamp(text);
        text.split('\n').for_each(check_public_key);
    }
    if let Ok(revoked) = Revoked::parse(data) {
        let terms = Terms { revoked: Some(revoked), ..terms() };
        let verified = verify(&contents(MANIFEST.as_bytes(), SIGNATURE.as_bytes()), &terms);
        let is_listed = data.split(|&byte| byte == b'\n').any(|line| line.trim_ascii() == KEY.as_bytes());
        assert!(verified.is_err() || !is_listed);
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        MANIFEST.to_owned(),
        SIGNATURE.to_owned(),
        RSA_SIGNATURE.to_owned(),
        ECDSA_SIGNATURE.to_owned(),
        format!("# a@b\n*@b,!c@b namespaces=\"metadata-*,file\",valid-after=\"20200101Z\" {KEY} comment\n"),
        format!("{IDENTITY} {KEY}\n\"{IDENTITY}\" cert-authority {KEY}\n"),
        format!("# lost\n{KEY}\n"),
        format!("restrict,command=\"a \\\"b\\\"\" {KEY} me@host\n"),
        "2026-12-31T23:59:59+01:00".to_owned(),
        "20261231235959Z".to_owned(),
    ]
    .map(String::into_bytes)
    .into()
}

fn allowed() -> AllowedSigners {
    AllowedSigners::parse("signers", &format!("{IDENTITY} {KEY}\n"))
}

fn terms() -> Terms {
    let at = Timestamp::from_seconds(1_800_000_000).unwrap();
    Terms { allowed: allowed(), revoked: None, identity: None, audience: None, at }
}

/// What is on an image without files but for these two.
pub(crate) fn contents(manifest: &[u8], signature: &[u8]) -> Contents {
    let volume = Volume {
        identifier: "CIDATA".to_owned(),
        created: Some("1980-01-01T00:00:00Z".to_owned()),
        modified: None,
        trees: vec![Tree::RockRidge],
        read: Tree::RockRidge,
        malformed: false,
        dates_valid: true,
        bytes: 1 << 16,
        sector_bytes: 2048,
        fat_labels: None,
        hidden_by: None,
    };
    Contents {
        volume,
        records: Vec::new(),
        disagreement: None,
        files: Vec::new(),
        manifest: Some(manifest.to_vec()),
        signature: Some(signature.to_vec()),
        kept: Vec::new(),
    }
}

/// A manifest has one spelling, and only the one that was signed is believed.
fn check_manifest(data: &[u8]) {
    if let Ok(manifest) = Manifest::parse(data) {
        assert_eq!(manifest.to_bytes(), data);
        assert_eq!(Manifest::parse(&manifest.to_bytes()).unwrap(), manifest);
    }
    let verified = verify(&contents(data, SIGNATURE.as_bytes()), &terms());
    assert_eq!(verified.is_ok(), data == MANIFEST.as_bytes(), "{verified:?}");
}

/// A signature is kept as it is, and believed only if it is by the key.
fn check_signature(data: &[u8]) {
    static EXPECTED: OnceLock<Signer> = OnceLock::new();
    let Ok(signature) = Signature::parse(data) else { return };
    let described = signature.describe_key();
    assert!(!described.contains(char::is_control), "{described:?}");
    let fits = signature.check(MANIFEST.as_bytes()).is_ok();
    let fingerprint = signature.fingerprint();
    assert_eq!(signature.into_text(), data);
    if let Ok((_, signer)) = verify(&contents(MANIFEST.as_bytes(), data), &terms()) {
        let expected = EXPECTED.get_or_init(|| {
            verify(&contents(MANIFEST.as_bytes(), SIGNATURE.as_bytes()), &terms()).unwrap().1
        });
        assert!(fits && signer == *expected && signer.fingerprint == fingerprint, "{signer:?}");
    }
}

/// The first line may be `# ` and who is asked for.
fn check_signers(text: &str) {
    let allowed = AllowedSigners::parse("signers", text);
    let asked = text.lines().next().and_then(|line| line.strip_prefix("# ")).unwrap_or(IDENTITY);
    let contents = contents(MANIFEST.as_bytes(), SIGNATURE.as_bytes());
    let find = |identity: Option<&str>| {
        let terms = Terms { allowed: allowed.clone(), identity: identity.map(str::to_owned), ..terms() };
        verify(&contents, &terms).map(|(_, signer)| signer.identity)
    };
    if let Ok(identity) = find(Some(asked)) {
        assert_eq!(identity, asked);
    }
    if let Ok(identity) = find(None) {
        assert!(!identity.is_empty() && !identity.contains(['*', '?', '!', ',']), "{identity:?}");
        assert!(!identity.contains(char::is_control), "{identity:?}");
        assert!(text.contains(&identity), "{identity:?}");
        // Who is found without being asked for is found when asked for.
        assert_eq!(find(Some(&identity)).unwrap(), identity);
    }
}

/// A time has one spelling, which means the same.
fn check_timestamp(text: &str) {
    for timestamp in [Timestamp::parse(text), Timestamp::parse_openssh(text)].into_iter().flatten() {
        assert_eq!(Timestamp::parse(&timestamp.to_string()).unwrap(), timestamp);
        assert_eq!(Timestamp::from_seconds(timestamp.seconds()).unwrap(), timestamp);
    }
}

/// A line for `authorized_keys` is one line, with one key, and nothing that a terminal or another reader could take for more.
fn check_public_key(line: &str) {
    if check_line(line, KeyOptions::Allowed).is_ok() {
        assert!(!line.contains(|character: char| character.is_control()), "{line:?}");
        assert!(!line.contains(['\u{2028}', '\u{2029}']), "{line:?}");
        assert!(line.split(' ').any(|word| word.starts_with("AAAA")), "{line:?}");
        assert!(check_line(&format!("{line} comment"), KeyOptions::Allowed).is_ok(), "{line:?}");
        let restricted = format!("restrict,{line}");
        assert!(check_line(&restricted, KeyOptions::Refused).is_err(), "{line:?}");
    }
    if check_line(line, KeyOptions::Refused).is_ok() {
        assert!(check_line(&format!("restrict {line}"), KeyOptions::Allowed).is_ok(), "{line:?}");
    }
}

/// Another, by a key of another kind.
pub(crate) const RSA_SIGNATURE: &str = "-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAAJcAAAAHc3NoLXJzYQAAAAMBAAEAAACBAK9Ndn5kA2yhfvHUXU6sbp
lzy7Y6OoYYBTD6MlEgnHucIhCMR+FUSwGlowMyXoEJo63ozSXKW5MX7KGlWusEe2baJZFW
8k/E8wcMC/M77nozOkbyQ1qchCeSfc672bKlUjrKAr/roexJef6hdfdb0ZEEomnhM3DyGi
zZIS4jUFf5AAAADm1ldGFkYXRhLWltYWdlAAAAAAAAAAZzaGE1MTIAAACUAAAADHJzYS1z
aGEyLTUxMgAAAICRKdVYUAqubHyTrJKQ9A8FfbNTycnu3oJfUBeABupTs3tJzKALXWDu9R
c7ZvgzN0+OzAt4Hv9soyzybRz32Q3XMl8hJf7BpTPzjK4I4DLSRrJ3Bi26HZ0IscIb8U4R
XOiuYtJSi+qWMgfaLclebQdMEWOCliPVlLNAcCYNftEBuQ==
-----END SSH SIGNATURE-----
";

/// Another, by a key of another kind.
pub(crate) const ECDSA_SIGNATURE: &str = "-----BEGIN SSH SIGNATURE-----
U1NIU0lHAAAAAQAAAGgAAAATZWNkc2Etc2hhMi1uaXN0cDI1NgAAAAhuaXN0cDI1NgAAAE
EE7TVP9NzkxaauRXl7PSQGfZyRdq3HiyafSfkFOQIPehU93+8gqwwbo68LJuJfZpMrmNBL
3sHe98qAVdFU+ylRTwAAAA5tZXRhZGF0YS1pbWFnZQAAAAAAAAAGc2hhNTEyAAAAYwAAAB
NlY2RzYS1zaGEyLW5pc3RwMjU2AAAASAAAACAeErNKEEqZYdXBjOFAzGxwCjtZiqXVD48T
jw+h1ojOlgAAACAWLK+21jq/eSX9RcUkdp1XdWo7nfgYRCB9Rvm/IxGuiw==
-----END SSH SIGNATURE-----
";
