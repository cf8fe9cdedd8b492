//! Who may sign: the `allowed_signers` file of `ssh-keygen -Y verify`.
//!
//! Source: ssh-keygen(1), "ALLOWED SIGNERS". Each line has principals (patterns with `*`, `?` and `!`), perhaps options, and
//! a public key. The options `namespaces`, `valid-after` and `valid-before` are implemented. A line with any other option does
//! not match, be it `cert-authority` or an option of the future. A malformed line does not match either. No line matches that
//! `ssh-keygen` rejects: where it reads white space, quotes, times or keys in an odd way, this file does the same or treats the
//! line as malformed.

use super::{patterns::matches_list, public_key::PublicKey};
use crate::{
    error::{Context, Result, bail, ensure},
    manifest::timestamp::Timestamp,
    userdata::authorized_keys::{BLANK, split_options},
};

/// The most reasons that an error lists.
const REASONS_MAX: usize = 5;

/// The lines of an `allowed_signers` file.
#[derive(Clone, Debug)]
pub struct AllowedSigners {
    /// The file's name, for errors.
    name: String,
    /// Line numbers, and the lines or why they are malformed.
    lines: Vec<(usize, Result<SignerLine, String>)>,
}

/// A line: whose key this is, and what it may sign.
#[derive(Clone, Debug)]
struct SignerLine {
    principals: String,
    key: PublicKey,
    namespaces: Option<String>,
    valid_after: Option<Timestamp>,
    valid_before: Option<Timestamp>,
}

impl AllowedSigners {
    /// Parses the content of a file. Errors call it `name`. A malformed line matches nothing.
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

    /// The principal of the first line that lets `key` sign for `namespace` at the time `at`. With an `identity`, the
    /// principals of the line must match it, and it is returned. Without one, the principals must be a single name.
    ///
    /// # Errors
    /// Fails if there is no such line. The error says why the lines with this key do not match.
    pub fn find(
        &self,
        key: &PublicKey,
        identity: Option<&str>,
        namespace: &str,
        at: Timestamp,
    ) -> Result<String> {
        if let Some(identity) = identity {
            ensure!(is_name(identity), "the identity {identity:?} is not a single name");
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
        ensure!(!reasons.is_empty(), "the signing key is not listed in {name:?}");
        reasons.truncate(REASONS_MAX);
        bail!("{name:?} does not allow the signing key ({})", reasons.join("; "))
    }
}

impl SignerLine {
    fn check(&self, identity: Option<&str>, namespace: &str, at: Timestamp) -> Result<(), String> {
        match identity {
            Some(identity) if !matches_list(identity, &self.principals) => {
                return Err(format!("allows only {:?}", self.principals));
            }
            // A policy would read a list or a pattern as a name.
            None if !is_name(&self.principals) => {
                return Err(format!(
                    "{:?} is not a single name, so an identity must be given",
                    self.principals
                ));
            }
            _ => {}
        }
        if let Some(namespaces) = &self.namespaces
            && !matches_list(namespace, namespaces)
        {
            return Err(format!("allows only namespaces {namespaces:?}"));
        }
        if let Some(after) = self.valid_after.filter(|after| at < *after) {
            return Err(format!("not valid before {after}"));
        }
        if let Some(before) = self.valid_before.filter(|before| at > *before) {
            return Err(format!("not valid after {before}"));
        }
        Ok(())
    }
}

/// Whether a text is one principal, and not a list or a pattern.
fn is_name(principals: &str) -> bool {
    !principals.is_empty()
        && !principals.contains([',', '*', '?', '!'])
        && !principals.contains(char::is_control)
}

fn parse_line(line: &str) -> Result<SignerLine> {
    ensure!(!line.starts_with('\u{feff}'), "begins with a byte order mark");
    // For OpenSSH, the line would end there.
    ensure!(!line.contains('\0'), "has a NUL byte");
    let (principals, rest) = if let Some(quoted) = line.strip_prefix('"') {
        quoted.split_once('"').context("has no closing quote")?
    } else {
        line.split_once(BLANK).context("has no key")?
    };
    ensure!(!principals.is_empty(), "has no principal");
    ensure!(!principals.contains('"'), "the principals {principals:?} contain a quote");
    let is_odd = |character: char| {
        let is_white = character.is_control() || character.is_whitespace();
        is_white && character != ' ' || character == char::REPLACEMENT_CHARACTER
    };
    ensure!(
        !principals.contains(is_odd),
        "the principals {principals:?} contain odd white space or control characters, or are not UTF-8"
    );
    let rest = rest.trim_start_matches(BLANK);
    let (options, key) = if let Ok(key) = PublicKey::parse(rest) {
        (Vec::new(), key)
    } else {
        // A line of a `.pub` file.
        ensure!(PublicKey::parse(line).is_err(), "has a key, but no principal before it");
        let (options, rest) = split_options(rest)?;
        (options, PublicKey::parse(rest).ok().context("has no valid public key")?)
    };
    let mut line = SignerLine {
        principals: principals.to_owned(),
        key,
        namespaces: None,
        valid_after: None,
        valid_before: None,
    };
    for option in options {
        line.set_option(option)?;
    }
    if let (Some(after), Some(before)) = (line.valid_after, line.valid_before) {
        ensure!(after < before, "valid-before {before} is not later than valid-after {after}");
    }
    Ok(line)
}

impl SignerLine {
    fn set_option(&mut self, option: &str) -> Result<()> {
        let (name, value) = option.split_once('=').unwrap_or((option, ""));
        let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
        let value = || {
            let plain = value.filter(|value| !value.is_empty() && !value.contains(['"', '\\']));
            plain.with_context(|| format!("the option {option:?} has no simple value in quotes"))
        };
        let once = |given: bool| -> Result<()> {
            ensure!(!given, "the option {name} is given twice");
            Ok(())
        };
        let time = |text| {
            let time = Timestamp::parse_signer_time(text).ok();
            time.with_context(|| format!("the option {option:?} does not have a valid time"))
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
            _ => bail!("the option {name:?} is not supported"),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAlpAatg9W9L2h4v0mNHyAmFQp5lNv4Pa9y2mfXqFqSY";
    const OTHER: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f";

    fn find(lines: &str, identity: Option<&str>) -> Result<String, String> {
        let key = PublicKey::parse(KEY).unwrap();
        let at = Timestamp::parse("2026-06-01T12:00:00Z").unwrap();
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
        assert!(
            find(&format!("*@b,!c@* {KEY}"), None).is_err_and(|why| why.contains("is not a single name"))
        );
    }

    #[test]
    fn a_line_that_does_not_allow_the_key_says_why() {
        let unlisted = "the signing key is not listed in \"signers\"";
        let refused = "\"signers\" does not allow the signing key";
        for (line, why) in [
            (String::new(), unlisted.to_owned()),
            (format!("a@b {OTHER}"), unlisted.to_owned()),
            (
                format!("a@b cert-authority {KEY}"),
                format!("{refused} (line 1: the option \"cert-authority\" is not supported)"),
            ),
            (
                format!("a@b verify-required,namespaces=\"*\" {KEY}"),
                format!("{refused} (line 1: the option \"verify-required\" is not supported)"),
            ),
            (
                format!("a@b valid-after=\"20261399\" {KEY}"),
                format!(
                    "{refused} (line 1: the option \"valid-after=\\\"20261399\\\"\" does not have a valid time)"
                ),
            ),
            (format!("\u{feff}a@b {KEY}"), format!("{refused} (line 1: begins with a byte order mark)")),
            (
                format!("a@b namespaces=\"file,git\" {KEY}"),
                format!("{refused} (line 1: allows only namespaces \"file,git\")"),
            ),
            (
                format!("a@b namespaces=\"*,!metadata-image\" {KEY}"),
                format!("{refused} (line 1: allows only namespaces \"*,!metadata-image\")"),
            ),
            (
                format!("a@b namespaces=\"\" {KEY}"),
                format!(
                    "{refused} (line 1: the option \"namespaces=\\\"\\\"\" has no simple value in quotes)"
                ),
            ),
            (
                format!("a@b namespaces=metadata-image {KEY}"),
                format!(
                    "{refused} (line 1: the option \"namespaces=metadata-image\" has no simple value in quotes)"
                ),
            ),
            (
                format!("a@b namespaces=\"x\",namespaces=\"metadata-image\" {KEY}"),
                format!("{refused} (line 1: the option namespaces is given twice)"),
            ),
            (
                format!("a@b valid-after=\"20260602Z\" {KEY}"),
                format!("{refused} (line 1: not valid before 2026-06-02T00:00:00Z)"),
            ),
            (
                format!("a@b valid-before=\"20260601115959Z\" {KEY}"),
                format!("{refused} (line 1: not valid after 2026-06-01T11:59:59Z)"),
            ),
            (
                format!("a@b valid-before=\"soon\" {KEY}"),
                format!(
                    "{refused} (line 1: the option \"valid-before=\\\"soon\\\"\" does not have a valid time)"
                ),
            ),
            (
                format!("a@b valid-before=\"20270101Z\",valid-after=\"20270101Z\" {KEY}"),
                format!(
                    "{refused} (line 1: valid-before 2027-01-01T00:00:00Z is not later than valid-after 2027-01-01T00:00:00Z)"
                ),
            ),
            (format!("\"a@b {KEY}"), format!("{refused} (line 1: has no closing quote)")),
            (KEY.to_owned(), format!("{refused} (line 1: has a key, but no principal before it)")),
            ("a@b ssh-ed25519 AAAA".to_owned(), format!("{refused} (line 1: has no valid public key)")),
        ] {
            assert_eq!(find(&line, None), Err(why), "{line}");
        }
        let others = format!("{refused} (line 1: allows only \"*@b,!a@*\")");
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
        let key = PublicKey::parse(KEY).unwrap();
        let at = Timestamp::parse("2026-06-01T12:00:00Z").unwrap();
        let find =
            |bytes: &[u8]| AllowedSigners::parse("f", bytes).find(&key, Some("a@b"), "metadata-image", at);
        assert!(find(&bytes).is_ok(), "a comment may be anything");
        assert!(find(&bytes[..bytes.iter().position(|byte| *byte == b'\n').unwrap()]).is_err());
    }
}
