//! Public keys as OpenSSH writes them: in `id_ed25519.pub`, `authorized_keys` and `allowed_signers`.
//!
//! A key has one spelling here. What OpenSSH refuses is refused: RSA keys that are too short or too long, compressed points.
//! So are certificates, which `authorized_keys` and `allowed_signers` do not name, and kinds of keys that are not known.
//!
//! Source: sshd(8), `AUTHORIZED_KEYS FILE FORMAT`; RFC 4253, 6.6; RFC 5656, 3.1.

use std::ops::RangeInclusive;

use crate::error::{Context, Result, bail, ensure};
use ssh_key::{
    PublicKey,
    public::{KeyData, RsaPublicKey},
};

/// What separates the words of a line. OpenSSH knows no other white space there.
const BLANK: [char; 2] = [' ', '\t'];

/// Bits in the modulus of an RSA key that OpenSSH accepts (`SSH_RSA_MINIMUM_MODULUS_SIZE`, `SSHBUF_MAX_BIGNUM`).
const RSA_BITS: RangeInclusive<usize> = 1024..=16_384;

/// The first byte of a point that is not compressed (SEC 1, 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// Whether a line may have options such as `restrict` or `command="…"` in front of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Options {
    /// It may.
    Allowed,
    /// A line with options is an error.
    Refused,
}

/// Checks that `line` is a line with a public key for `authorized_keys`: perhaps options, the key's type, its base64,
/// perhaps a comment, and no control character.
///
/// # Errors
/// The line is something else.
pub fn check_line(line: &str, options: Options) -> Result<()> {
    let is_line_end = |character| matches!(character, '\u{2028}' | '\u{2029}');
    let control = line.chars().any(|character| character.is_control() || is_line_end(character));
    ensure!(!control, "control characters in it");
    let Err(error) = parse(line) else { return Ok(()) };
    let Ok((given, rest)) = split_options(line) else { return Err(error) };
    if parse(rest).is_err() {
        return Err(error);
    }
    ensure!(options == Options::Allowed, "options in front of the key");
    for option in given {
        ensure!(is_option(option), "{option:?} in front of the key, which is not an option");
    }
    Ok(())
}

/// Whether a text is a word, perhaps with a value in quotes.
fn is_option(text: &str) -> bool {
    let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
    let is_quoted = |value: &str| value.len() > 1 && value.starts_with('"') && value.ends_with('"');
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && value.is_none_or(is_quoted)
}

/// Parses a type, base64, and what may stand behind them: a comment, which is not looked at.
pub(super) fn parse(text: &str) -> Result<KeyData> {
    let key = read(text)?;
    check(&key)?;
    Ok(key)
}

/// The same, for keys of every kind and size.
pub(super) fn read(text: &str) -> Result<KeyData> {
    let (kind, rest) = text.split_once(BLANK).context("not a public key")?;
    let base64 = rest.trim_start_matches(BLANK).split(BLANK).next().unwrap_or_default();
    let spelling = format!("{kind} {base64}");
    let key = PublicKey::from_openssh(&spelling).ok().context("not a public key")?;
    ensure!(key.to_openssh().is_ok_and(|text| text == spelling), "not a public key as OpenSSH writes it");
    Ok(key.key_data().clone())
}

/// Checks that `key` is one that OpenSSH accepts.
pub(super) fn check(key: &KeyData) -> Result<()> {
    let point = match key {
        KeyData::Ed25519(_) | KeyData::SkEd25519(_) | KeyData::Dsa(_) => return Ok(()),
        KeyData::Ecdsa(point) => point.as_sec1_bytes(),
        KeyData::SkEcdsaSha2NistP256(key) => key.ec_point().as_bytes(),
        KeyData::Rsa(key) => {
            let bits = rsa_bits(key);
            let (min, max) = (RSA_BITS.start(), RSA_BITS.end());
            ensure!(RSA_BITS.contains(&bits), "an RSA key of {bits} bits; OpenSSH accepts {min} to {max}");
            return Ok(());
        }
        KeyData::Certificate(_) => bail!("a certificate, which is not supported"),
        _ => bail!("a key of a kind that is not known"),
    };
    ensure!(point.first() == Some(&UNCOMPRESSED), "a compressed key, which OpenSSH does not accept");
    Ok(())
}

/// Bits in the modulus of a key.
pub(super) fn rsa_bits(key: &RsaPublicKey) -> usize {
    let modulus = key.n().as_positive_bytes().unwrap_or_default();
    let unused = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    modulus.len() * 8 - unused
}

/// The options at the start of `text`, which are separated by commas and end at the first blank, both not in quotes; and
/// what is behind them.
///
/// # Errors
/// Nothing is behind them.
pub(super) fn split_options(text: &str) -> Result<(Vec<&str>, &str)> {
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
    bail!("it has no key")
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAlpAatg9W9L2h4v0mNHyAmFQp5lNv4Pa9y2mfXqFqSY";
    const TOKEN: &str = "sk-ssh-ed25519@openssh.com \
        AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29tAAAAIAlpAatg9W9L2h4v0mNHyAmFQp5lNv4Pa9y2mfXqFqSYAAAABHNzaDo=";

    #[test]
    fn lines_of_authorized_keys_are_taken() {
        for line in [
            KEY.to_owned(),
            format!("{KEY} me@host"),
            format!("{KEY}  a comment, with \"quotes\" and ä"),
            format!("{TOKEN} token"),
            format!("{KEY} google-ssh {{\"userName\":\"bob\",\"expireOn\":\"2030-01-01T00:00:00+0000\"}}"),
        ] {
            assert!(check_line(&line, Options::Refused).is_ok(), "{line}");
            for options in ["restrict", "no-pty,from=\"10.0.0.1, 10.0.0.2\"", "command=\"echo \\\"a b\\\"\""]
            {
                let line = format!("{options} {line}");
                assert!(check_line(&line, Options::Allowed).is_ok(), "{line}");
                let why = check_line(&line, Options::Refused).unwrap_err().to_string();
                assert_eq!(why, "options in front of the key", "{line}");
            }
        }
    }

    #[test]
    fn what_is_not_a_line_of_authorized_keys_is_refused() {
        let (kind, base64) = KEY.split_once(' ').unwrap();
        let control = "control characters in it";
        let no_key = "not a public key";
        for (line, why) in [
            (String::new(), no_key),
            ("hello".to_owned(), no_key),
            (kind.to_owned(), no_key),
            (format!("{kind} AAAA"), no_key),
            (format!("ssh-rsa {base64}"), no_key),
            (format!("{kind} {}", &base64[..60]), no_key),
            (format!("{kind} {base64}AAAA"), no_key),
            (format!("{kind}\u{a0}{base64}"), no_key),
            (format!("alice:{kind} {base64}"), no_key),
            (format!("{KEY} a\nssh-ed25519 x"), control),
            (format!("{KEY} a\r"), control),
            (format!("{kind}\t{base64}"), control),
            (format!("{KEY} \u{1b}[2J"), control),
            (format!("{KEY} \u{7f}"), control),
            (format!("{KEY} \u{85}"), control),
            (format!("{KEY} \u{2028}"), control),
            (format!("{KEY} \0"), control),
            (format!("command=x {KEY}"), "\"command=x\" in front of the key, which is not an option"),
            (format!("a b,c {KEY}"), no_key),
            (format!("from=\"a {KEY}"), no_key),
            (format!(",restrict {KEY}"), "\"\" in front of the key, which is not an option"),
        ] {
            assert_eq!(check_line(&line, Options::Allowed).unwrap_err().to_string(), why, "{line:?}");
            assert!(check_line(&line, Options::Refused).is_err(), "{line:?}");
        }
    }
}
