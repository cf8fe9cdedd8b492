//! Who may sign: the file that `ssh-keygen -Y verify` calls `allowed_signers`, and keys that have been revoked.
//!
//! Source: ssh-keygen(1), "ALLOWED SIGNERS". Each line has principals (patterns with `*`, `?` and `!`), perhaps options, and
//! a public key. Of the options `namespaces`, `valid-after` and `valid-before` are implemented. A line with another one does
//! not match, be it `cert-authority` or one that does not exist yet, and neither does one that is malformed. No line matches
//! that `ssh-keygen` refuses: where its reading of white space, quotes, times and keys is odd, a line either is read like that
//! here or is malformed.

use crate::error::{Context, Result, bail, ensure};
use ssh_key::public::KeyData;

use super::{
    patterns::matches_list,
    public_key::{self, split_options},
};
use crate::manifest::timestamp::Moment;

/// White space at the start of a line and between its parts. OpenSSH takes line ends and carriage returns for white space
/// only in some places.
const BLANK: [char; 2] = [' ', '\t'];

/// The first bytes of a key revocation list in the binary format of OpenSSH (PROTOCOL.krl).
const KRL_MAGIC: &[u8] = b"SSHKRL\n\0";

/// Reasons that an error names at most.
const REASONS_MAX: usize = 5;

/// The lines of an `allowed_signers` file.
#[derive(Clone, Debug)]
pub struct AllowedSigners {
    /// What errors call the file.
    name: String,
    lines: Vec<(usize, Result<Line, String>)>,
}

/// Whose keys these are, and for what.
#[derive(Clone, Debug)]
struct Line {
    principals: String,
    key: KeyData,
    namespaces: Option<String>,
    valid_after: Option<Moment>,
    valid_before: Option<Moment>,
}

impl AllowedSigners {
    /// Parses the content of a file that errors call `name`. A line that is malformed matches nothing.
    #[must_use]
    pub fn parse(name: &str, content: &(impl AsRef<[u8]> + ?Sized)) -> Self {
        let lines = content.as_ref().split(|byte| *byte == b'\n').enumerate();
        let lines = lines.filter_map(|(index, line)| {
            let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
            let line = line.trim_start_matches(BLANK);
            let is_comment = line.is_empty() || line.starts_with('#');
            (!is_comment).then(|| (index + 1, parse_line(line).map_err(|why| format!("{why:#}"))))
        });
        Self { name: name.to_owned(), lines: lines.collect() }
    }

    /// The principal of the first line that lets `key` sign for `namespace` at the time `at`. With an `identity`, that is
    /// what its principals must match, and what is returned; without, they must be one name.
    ///
    /// # Errors
    /// There is no such line. The error says why those for the key do not match.
    pub fn find(&self, key: &KeyData, identity: Option<&str>, namespace: &str, at: Moment) -> Result<String> {
        if let Some(identity) = identity {
            ensure!(is_name(identity), "the identity {identity:?} is not one name");
        }
        let mut reasons = Vec::new();
        for (number, line) in &self.lines {
            let refused = match line {
                Err(why) => Err(why.clone()),
                Ok(line) if line.key != *key => continue,
                Ok(line) => line.check(identity, namespace, at),
            };
            match (refused, line) {
                (Ok(()), Ok(line)) => return Ok(identity.unwrap_or(&line.principals).to_owned()),
                (Err(why), _) => reasons.push(format!("line {number}: {why}")),
                (Ok(()), Err(_)) => {}
            }
        }
        let name = &self.name;
        ensure!(!reasons.is_empty(), "its key is none of an allowed signer in {name:?}");
        reasons.truncate(REASONS_MAX);
        bail!("its key is none of an allowed signer in {name:?} ({})", reasons.join("; "))
    }
}

impl Line {
    fn check(&self, identity: Option<&str>, namespace: &str, at: Moment) -> Result<(), String> {
        match identity {
            Some(identity) if !matches_list(identity, &self.principals) => {
                return Err(format!("it is for {:?}", self.principals));
            }
            // A policy would take a list or a pattern for a name.
            None if !is_name(&self.principals) => {
                return Err(format!(
                    "{:?} is not one name, so that an identity must be given",
                    self.principals
                ));
            }
            _ => {}
        }
        if let Some(namespaces) = &self.namespaces
            && !matches_list(namespace, namespaces)
        {
            return Err(format!("it is for namespaces {namespaces:?}"));
        }
        if let Some(after) = self.valid_after.filter(|after| at < *after) {
            return Err(format!("it is valid after {after}"));
        }
        if let Some(before) = self.valid_before.filter(|before| at > *before) {
            return Err(format!("it was valid before {before}"));
        }
        Ok(())
    }
}

/// Whether a text is one principal, and no list or pattern of them.
fn is_name(principals: &str) -> bool {
    !principals.is_empty()
        && !principals.contains([',', '*', '?', '!'])
        && !principals.contains(char::is_control)
}

fn parse_line(line: &str) -> Result<Line> {
    ensure!(!line.starts_with('\u{feff}'), "it begins with a byte order mark");
    // To OpenSSH the line would end there.
    ensure!(!line.contains('\0'), "there is a NUL byte in it");
    let (principals, rest) = if let Some(quoted) = line.strip_prefix('"') {
        quoted.split_once('"').context("its quotes do not end")?
    } else {
        line.split_once(BLANK).context("it has no key")?
    };
    ensure!(!principals.is_empty(), "it has no principal");
    ensure!(!principals.contains('"'), "there is a quote in {principals:?}");
    let is_odd = |character: char| {
        let is_white = character.is_control() || character.is_whitespace();
        is_white && character != ' ' || character == char::REPLACEMENT_CHARACTER
    };
    ensure!(
        !principals.contains(is_odd),
        "{principals:?} has odd white space or control characters, or is not UTF-8"
    );
    let rest = rest.trim_start_matches(BLANK);
    let (options, key) = if let Ok(key) = public_key::parse(rest) {
        (Vec::new(), key)
    } else {
        let (options, rest) = split_options(rest)?;
        (options, public_key::parse(rest).ok().context("it has no key that is known")?)
    };
    let mut line = Line {
        principals: principals.to_owned(),
        key,
        namespaces: None,
        valid_after: None,
        valid_before: None,
    };
    for option in options {
        line.take(option)?;
    }
    if let (Some(after), Some(before)) = (line.valid_after, line.valid_before) {
        ensure!(after < before, "it is valid before {before}, and only after {after}");
    }
    Ok(line)
}

impl Line {
    fn take(&mut self, option: &str) -> Result<()> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let value = || {
            let plain = value.filter(|value| !value.is_empty() && !value.contains(['"', '\\']));
            plain.with_context(|| format!("its option {option:?} has no plain value in quotes"))
        };
        let once = |given: bool| -> Result<()> {
            ensure!(!given, "its option {name} is given twice");
            Ok(())
        };
        let time = |text| {
            let time = Moment::parse_signer_time(text).ok();
            time.with_context(|| format!("its option {option:?} gives no time"))
        };
        match name.to_ascii_lowercase().as_str() {
            "namespaces" => {
                once(self.namespaces.is_some())?;
                self.namespaces = Some(value()?.to_owned());
            }
            "valid-after" => {
                once(self.valid_after.is_some())?;
                self.valid_after = Some(time(value()?)?);
            }
            "valid-before" => {
                once(self.valid_before.is_some())?;
                self.valid_before = Some(time(value()?)?);
            }
            _ => bail!("its option {name:?} is not implemented"),
        }
        Ok(())
    }
}

/// Keys that must not be believed, whoever allows them.
#[derive(Clone, Debug)]
pub struct Revoked {
    keys: Vec<KeyData>,
}

impl Revoked {
    /// Parses a list of public keys, one a line.
    ///
    /// # Errors
    /// It is a binary key revocation list, or a line of it is no key: what is not understood revokes nothing, so that it
    /// must not pass.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        ensure!(
            !bytes.starts_with(KRL_MAGIC),
            "it is a binary key revocation list, which is not supported; give a list of public keys"
        );
        let text = str::from_utf8(bytes).context("it is no list of public keys")?;
        let lines = text.lines().enumerate().map(|(index, line)| (index + 1, line.trim()));
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let keys = lines.map(|(number, line)| {
            let key = public_key::read(line).ok().filter(|key| {
                // A key that is too short to sign does no harm here. One in another spelling would not be recognized.
                matches!(key, KeyData::Rsa(_)) || public_key::check(key).is_ok()
            });
            key.with_context(|| format!("line {number} is no public key that is known"))
        });
        Ok(Self { keys: keys.collect::<Result<_>>()? })
    }

    /// Whether `key` is one of them.
    #[must_use]
    pub fn contains(&self, key: &KeyData) -> bool {
        self.keys.contains(key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAlpAatg9W9L2h4v0mNHyAmFQp5lNv4Pa9y2mfXqFqSY";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

    const SHORT: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAQQDHCzBVep/E6Q4zWH2ix+wRNluApcrvFDleg6jN8hc8YYar0PUaP2SJrtP4HUJnjLHW+yBFao+02f4jSG2St9wL";
    const COMPRESSED: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAAAhA+01T/Tc5MWmrkV5ez0kBn2ckXatx4smn0n5BTkCD3oV";

    fn find(lines: &str, identity: Option<&str>) -> Result<String, String> {
        let key = public_key::parse(KEY).unwrap();
        let at = Moment::parse("2026-06-01T12:00:00Z").unwrap();
        let found = AllowedSigners::parse("signers", lines).find(&key, identity, "metadata-image", at);
        found.map_err(|error| error.to_string())
    }

    #[test]
    fn a_line_matches_that_allows_the_key() {
        for line in [
            format!("a@b {KEY}"),
            format!("  a@b\t{KEY} a comment with blanks "),
            format!("# c\n\na@b {KEY}\r\n"),
            format!("\"a@b\" {KEY}"),
            format!("a@b namespaces=\"metadata-image\" {KEY}"),
            format!("a@b namespaces=\"file,metadata-*\",valid-after=\"20260101Z\" {KEY} x"),
            format!("a@b VALID-before=\"20260601120000Z\" {KEY}"),
            format!("a@b {OTHER}\nx what=\"ever\" {OTHER}\na@b {KEY}"),
            format!("a@b cert-authority {KEY}\na@b {KEY}"),
        ] {
            assert_eq!(find(&line, None), Ok("a@b".to_owned()), "{line}");
            assert_eq!(find(&line, Some("a@b")), Ok("a@b".to_owned()), "{line}");
        }
        assert_eq!(find(&format!("*@b,!c@* {KEY}"), Some("a@b")), Ok("a@b".to_owned()));
        assert!(find(&format!("*@b,!c@* {KEY}"), None).is_err_and(|why| why.contains("is not one name")));
    }

    #[test]
    fn a_line_with_something_that_is_not_implemented_does_not_match() {
        let none = "its key is none of an allowed signer in \"signers\"";
        for (line, why) in [
            (String::new(), none.to_owned()),
            (format!("a@b {OTHER}"), none.to_owned()),
            (
                format!("a@b cert-authority {KEY}"),
                format!("{none} (line 1: its option \"cert-authority\" is not implemented)"),
            ),
            (
                format!("a@b verify-required,namespaces=\"*\" {KEY}"),
                format!("{none} (line 1: its option \"verify-required\" is not implemented)"),
            ),
            (
                format!("a@b valid-after=\"20261399\" {KEY}"),
                format!("{none} (line 1: its option \"valid-after=\\\"20261399\\\"\" gives no time)"),
            ),
            (format!("\u{feff}a@b {KEY}"), format!("{none} (line 1: it begins with a byte order mark)")),
            (
                format!("a@b namespaces=\"file,git\" {KEY}"),
                format!("{none} (line 1: it is for namespaces \"file,git\")"),
            ),
            (
                format!("a@b namespaces=\"*,!metadata-image\" {KEY}"),
                format!("{none} (line 1: it is for namespaces \"*,!metadata-image\")"),
            ),
            (
                format!("a@b namespaces=\"\" {KEY}"),
                format!("{none} (line 1: its option \"namespaces=\\\"\\\"\" has no plain value in quotes)"),
            ),
            (
                format!("a@b namespaces=metadata-image {KEY}"),
                format!(
                    "{none} (line 1: its option \"namespaces=metadata-image\" has no plain value in quotes)"
                ),
            ),
            (
                format!("a@b namespaces=\"x\",namespaces=\"metadata-image\" {KEY}"),
                format!("{none} (line 1: its option namespaces is given twice)"),
            ),
            (
                format!("a@b valid-after=\"20260602Z\" {KEY}"),
                format!("{none} (line 1: it is valid after 2026-06-02T00:00:00Z)"),
            ),
            (
                format!("a@b valid-before=\"20260601115959Z\" {KEY}"),
                format!("{none} (line 1: it was valid before 2026-06-01T11:59:59Z)"),
            ),
            (
                format!("a@b valid-before=\"soon\" {KEY}"),
                format!("{none} (line 1: its option \"valid-before=\\\"soon\\\"\" gives no time)"),
            ),
            (
                format!("a@b valid-before=\"20270101Z\",valid-after=\"20270101Z\" {KEY}"),
                format!(
                    "{none} (line 1: it is valid before 2027-01-01T00:00:00Z, and only after 2027-01-01T00:00:00Z)"
                ),
            ),
            (KEY.to_owned(), format!("{none} (line 1: it has no key)")),
            (format!("\"a@b {KEY}"), format!("{none} (line 1: its quotes do not end)")),
            ("a@b ssh-ed25519 AAAA".to_owned(), format!("{none} (line 1: it has no key that is known)")),
        ] {
            assert_eq!(find(&line, None), Err(why), "{line}");
        }
        let others = format!("{none} (line 1: it is for \"*@b,!a@*\")");
        assert_eq!(find(&format!("*@b,!a@* {KEY}"), Some("a@b")), Err(others));
    }

    #[test]
    fn a_line_that_ssh_keygen_refuses_does_not_match() {
        let (kind, base64) = KEY.split_once(' ').unwrap();
        for line in [
            format!("\u{a0}a@b {KEY}"),
            format!("\u{c}a@b {KEY}"),
            format!("\u{b}a@b {KEY}"),
            format!("\ra@b {KEY}"),
            format!("a@b \u{a0}{KEY}"),
            format!("a@b\u{c}{KEY}"),
            format!("a@b {kind}\u{c}{base64}"),
            format!("a\"@\"b {KEY}"),
            format!("a@b\" {KEY}"),
            format!("a@b,\0 {KEY}"),
            format!("a@b,{} {KEY}", "x".repeat(1023)),
            format!("a@b valid-after=\"19700101Z\" {KEY}"),
            format!("a@b valid-before=\"19700101Z\" {KEY}"),
            format!("a@b valid-after=\"\" {KEY}"),
            format!("a@b valid-after=\"100000101Z\" {KEY}"),
            format!("a@b valid-after=\"20260230Z\" {KEY}"),
        ] {
            assert!(find(&line, None).is_err(), "{line:?}");
            assert!(find(&line, Some("a@b")).is_err(), "{line:?}");
        }
        let bytes = [b"a@b,\xff ", KEY.as_bytes(), b"\na@b ", KEY.as_bytes(), b" J\xfcrgen\n"].concat();
        let key = public_key::parse(KEY).unwrap();
        let at = Moment::parse("2026-06-01T12:00:00Z").unwrap();
        let find =
            |bytes: &[u8]| AllowedSigners::parse("f", bytes).find(&key, Some("a@b"), "metadata-image", at);
        assert!(find(&bytes).is_ok(), "a comment may be anything");
        assert!(find(&bytes[..bytes.iter().position(|byte| *byte == b'\n').unwrap()]).is_err());
    }

    #[test]
    fn a_list_of_revoked_keys_is_understood_or_refused() {
        let parse = |text: &str| Revoked::parse(text.as_bytes()).map_err(|error| error.to_string());
        let keys = parse(&format!("# lost\n\n{OTHER} laptop\n")).unwrap();
        assert!(
            keys.contains(&public_key::parse(OTHER).unwrap())
                && !keys.contains(&public_key::parse(KEY).unwrap())
        );
        assert_eq!(parse("SHA256:x").unwrap_err(), "line 1 is no public key that is known");
        assert!(parse("SSHKRL\n\0x").unwrap_err().contains("not supported"));
        // 512 bits, which never sign; and a spelling that no signature has, of a key that may.
        assert!(parse(&format!("{SHORT}\n{OTHER}\n")).unwrap().contains(&public_key::parse(OTHER).unwrap()));
        assert_eq!(parse(COMPRESSED).unwrap_err(), "line 1 is no public key that is known");
    }
}
