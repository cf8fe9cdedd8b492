//! Lines of `authorized_keys`: perhaps options, a public key, perhaps a comment.
//!
//! The check needs no cryptography: it finds lines that are not keys, keys that were cut off, and keys whose length OpenSSH
//! does not accept. Certificates are rejected, since `authorized_keys` does not name them.
//!
//! Source: sshd(8), `AUTHORIZED_KEYS FILE FORMAT`; RFC 4253, 6.6; RFC 5656, 3.1; OpenSSH's PROTOCOL.u2f.

use std::ops::RangeInclusive;

use crate::{
    encoding::decode_base64,
    error::{Context, Result, bail, ensure},
};

/// The characters between the words of a line. OpenSSH knows no other white space there.
pub(crate) const BLANK: [char; 2] = [' ', '\t'];

/// Bytes of a field whose length says nothing.
const ANY: RangeInclusive<usize> = 0..=1024;

/// The name of a curve, such as `nistp256`.
const CURVE: RangeInclusive<usize> = 8..=8;

/// An integer of 1024 bits, with the zero byte in front of it (RFC 4251, 5).
const BITS_1024: RangeInclusive<usize> = 129..=129;

/// Key types, and how many bytes the fields of a key have after its type. The lengths allow RSA keys of 1024 to 16,384 bits
/// (`SSH_RSA_MINIMUM_MODULUS_SIZE`, `SSHBUF_MAX_BIGNUM`), and only points that are not compressed.
const KEY_TYPES: [(&str, &[RangeInclusive<usize>]); 8] = [
    ("ssh-ed25519", &[32..=32]),
    ("sk-ssh-ed25519@openssh.com", &[32..=32, ANY]),
    ("ecdsa-sha2-nistp256", &[CURVE, 65..=65]),
    ("ecdsa-sha2-nistp384", &[CURVE, 97..=97]),
    ("ecdsa-sha2-nistp521", &[CURVE, 133..=133]),
    ("sk-ecdsa-sha2-nistp256@openssh.com", &[CURVE, 65..=65, ANY]),
    ("ssh-rsa", &[1..=9, 129..=2049]),
    ("ssh-dss", &[BITS_1024, 20..=21, 1..=129, 1..=129]),
];

/// Whether a line may have options such as `restrict` or `command="…"` in front of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOptions {
    /// A line may have options.
    Allowed,
    /// A line with options is an error.
    Refused,
}

/// Checks one line of `authorized_keys`.
///
/// # Errors
/// Fails if the line has no public key, has control characters, or has options that are malformed or not allowed.
pub fn check_line(line: &str, options: KeyOptions) -> Result<()> {
    let is_line_end = |character| matches!(character, '\u{2028}' | '\u{2029}');
    let control = line.chars().any(|character| character.is_control() || is_line_end(character));
    ensure!(!control, "the line has control characters");
    let Err(error) = check_key(line) else { return Ok(()) };
    let Ok((given, rest)) = split_options(line) else { return Err(error) };
    if check_key(rest).is_err() {
        return Err(error);
    }
    ensure!(options == KeyOptions::Allowed, "options are not allowed in front of the key");
    for option in given {
        ensure!(is_option(option), "{option:?} in front of the key is not an option");
    }
    Ok(())
}

/// Checks a key's type and base64. A comment may follow.
fn check_key(text: &str) -> Result<()> {
    let (key_type, rest) = text.split_once(BLANK).context("not a public key")?;
    let base64 = rest.trim_start_matches(BLANK).split(BLANK).next().unwrap_or_default();
    let known = KEY_TYPES.iter().find(|(known, _)| *known == key_type);
    let (_, lengths) = known.context("not a public key")?;
    let fields = decode_base64(base64).and_then(|bytes| field_lengths(&bytes, key_type));
    let fields = fields.filter(|fields| fields.len() == lengths.len()).context("not a public key")?;
    let fits = fields.iter().zip(*lengths).all(|(field, allowed)| allowed.contains(field));
    ensure!(fits, "OpenSSH does not accept {key_type} keys of this length");
    Ok(())
}

/// Bytes of each field of a key after its type, which must be `key_type`. `None`: the key is malformed. Each field has its
/// length in front, as 4 bytes (RFC 4251, 5).
fn field_lengths(mut bytes: &[u8], key_type: &str) -> Option<Vec<usize>> {
    let mut lengths = Vec::new();
    let mut is_first = true;
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk()?;
        let (field, rest) = rest.split_at_checked(u32::from_be_bytes(*length).try_into().ok()?)?;
        if is_first && field != key_type.as_bytes() {
            return None;
        }
        if !is_first {
            lengths.push(field.len());
        }
        is_first = false;
        bytes = rest;
    }
    Some(lengths)
}

/// Whether a text is a word, perhaps with a value in quotes.
fn is_option(text: &str) -> bool {
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    let is_quoted = |value: &str| value.len() > 1 && value.starts_with('"') && value.ends_with('"');
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && value.is_none_or(is_quoted)
}

/// The options at the start of `text`, and what follows them. Commas separate options, and a blank ends them, unless they are
/// in quotes.
///
/// # Errors
/// Fails if nothing follows the options.
pub(crate) fn split_options(text: &str) -> Result<(Vec<&str>, &str)> {
    let mut options = Vec::new();
    let mut start = 0;
    let mut quoted = false;
    let mut bytes = text.bytes().enumerate().peekable();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' if bytes.peek().is_some_and(|(_, next)| *next == b'"') => drop(bytes.next()),
            b'"' => quoted = !quoted,
            b',' if !quoted => {
                options.push(&text[start..at]);
                start = at + 1;
            }
            b' ' | b'\t' if !quoted => {
                options.push(&text[start..at]);
                return Ok((options, text[at..].trim_start_matches(BLANK)));
            }
            _ => {}
        }
    }
    bail!("has no key")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAlpAatg9W9L2h4v0mNHyAmFQp5lNv4Pa9y2mfXqFqSY";
    const TOKEN: &str = "sk-ssh-ed25519@openssh.com \
        AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAlpAatg9W9L2h4v0mNHyAmFQp5lNv4Pa9y2mfXqFqSYAAAABHNzaDo=";
    const RSA_OF_512_BITS: &str = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAQQDHCzBVep/E6Q4zWH2ix+wRNluApcrvFDleg6jN8hc8YYar0PUaP2SJrtP4HUJnjLHW+yBFao+02f4jSG2St9wL";
    const COMPRESSED: &str = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAAAhA+01T/Tc5MWmrkV5ez0kBn2ckXatx4smn0n5BTkCD3oV";

    #[test]
    fn lines_of_authorized_keys_are_accepted() {
        for line in [
            KEY.to_owned(),
            format!("{KEY} me@host"),
            format!("{KEY}  a comment, with \"quotes\" and ä"),
            format!("{TOKEN} token"),
            format!("{KEY} google-ssh {{\"userName\":\"bob\",\"expireOn\":\"2030-01-01T00:00:00+0000\"}}"),
        ] {
            assert!(check_line(&line, KeyOptions::Refused).is_ok(), "{line}");
            for options in ["restrict", "no-pty,from=\"10.0.0.1, 10.0.0.2\"", "command=\"echo \\\"a b\\\"\""]
            {
                let line = format!("{options} {line}");
                assert!(check_line(&line, KeyOptions::Allowed).is_ok(), "{line}");
                let why = check_line(&line, KeyOptions::Refused).unwrap_err().to_string();
                assert_eq!(why, "options are not allowed in front of the key", "{line}");
            }
        }
    }

    #[test]
    fn other_lines_are_rejected() {
        let (key_type, base64) = KEY.split_once(' ').unwrap();
        let control = "the line has control characters";
        let no_key = "not a public key";
        for (line, why) in [
            (String::new(), no_key),
            ("hello".to_owned(), no_key),
            (key_type.to_owned(), no_key),
            (format!("{key_type} AAAA"), no_key),
            (format!("ssh-rsa {base64}"), no_key),
            (format!("{key_type} {}", &base64[..60]), no_key),
            (format!("{key_type} {}", base64.to_lowercase()), no_key),
            (format!("{key_type} {base64}AAAA"), no_key),
            (format!("{key_type} {base64}AAAAAA=="), no_key),
            (format!("{key_type}\u{a0}{base64}"), no_key),
            (format!("alice:{key_type} {base64}"), no_key),
            (RSA_OF_512_BITS.to_owned(), "OpenSSH does not accept ssh-rsa keys of this length"),
            (COMPRESSED.to_owned(), "OpenSSH does not accept ecdsa-sha2-nistp256 keys of this length"),
            (format!("{KEY} a\nssh-ed25519 x"), control),
            (format!("{KEY} a\r"), control),
            (format!("{key_type}\t{base64}"), control),
            (format!("{KEY} \u{1b}[2J"), control),
            (format!("{KEY} \u{7f}"), control),
            (format!("{KEY} \u{85}"), control),
            (format!("{KEY} \u{2028}"), control),
            (format!("{KEY} \0"), control),
            (format!("command=x {KEY}"), "\"command=x\" in front of the key is not an option"),
            (format!("a b,c {KEY}"), no_key),
            (format!("from=\"a {KEY}"), no_key),
            (format!(",restrict {KEY}"), "\"\" in front of the key is not an option"),
        ] {
            assert_eq!(check_line(&line, KeyOptions::Allowed).unwrap_err().to_string(), why, "{line:?}");
            assert!(check_line(&line, KeyOptions::Refused).is_err(), "{line:?}");
        }
    }
}
