//! The names of records as Linux shows them.
//!
//! A name that Linux cannot show, or by which it cannot open a file, is an error.
//!
//! Source: Linux, `fs/isofs/{dir,joliet,namei}.c`.

use crate::error::{Result, bail, ensure};

/// The most bytes of a Joliet name, of two each for a character. bsdtar cuts longer ones.
const JOLIET_BYTES_MAX: usize = 206;

/// The longest name in bytes.
const NAME_BYTES_MAX: usize = 255;

/// A name of ISO 9660 itself: in lower case, without `;1`, and without the dot before it. Any other `;` becomes a dot (mount
/// option `map=normal`).
pub(super) fn plain(name: &[u8]) -> Result<Vec<u8>> {
    let base = name.strip_suffix(b".;1").or_else(|| name.strip_suffix(b";1")).unwrap_or(name);
    let convert = |byte: &u8| if *byte == b';' { b'.' } else { byte.to_ascii_lowercase() };
    checked(base.iter().map(convert).collect())
}

/// A Joliet name: UCS-2 with the most significant byte first, without `;1` and final dots.
pub(super) fn joliet(name: &[u8]) -> Result<Vec<u8>> {
    let units: Vec<_> = name.chunks_exact(2).map(|unit| u16::from_be_bytes([unit[0], unit[1]])).collect();
    let text = String::from_utf16(&units).ok().filter(|_| name.len().is_multiple_of(2));
    let Some(mut text) = text else { bail!("a Joliet name is not valid UTF-16") };
    ensure!(name.len() <= JOLIET_BYTES_MAX, "a Joliet name is longer than 103 characters");
    ensure!(text.len() <= NAME_BYTES_MAX, "a Joliet name is longer than {NAME_BYTES_MAX} bytes");
    if text.len() > 2 && text.ends_with(";1") {
        text.truncate(text.len() - 2);
    }
    let kept = without_final_dots(&text).len();
    text.truncate(kept);
    checked(text.into_bytes())
}

/// A Joliet name without the dots at its end. If it has only dots, one stays.
pub(super) fn without_final_dots(name: &str) -> &str {
    let kept = name.trim_end_matches('.');
    if kept.is_empty() { name.get(..1).unwrap_or_default() } else { kept }
}

/// A Rock Ridge name.
pub(super) fn rock_ridge(name: Vec<u8>) -> Result<Vec<u8>> {
    checked(name)
}

/// `name`, if it is a valid name.
fn checked(name: Vec<u8>) -> Result<Vec<u8>> {
    let is_normal =
        !matches!(&name[..], b"" | b"." | b"..") && !name.iter().any(|byte| matches!(byte, 0 | b'/'));
    // Linux does not find a name of one byte that is negative as a C character, or less than 2.
    let is_found = name.len() != 1 || (2..0x80).contains(&name[0]);
    ensure!(is_normal && is_found, "{:?} is not a valid name", String::from_utf8_lossy(&name));
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_linux_shows() {
        for (name, shown) in [
            ("CONFIG.;1", "config"),
            ("CONFIG;1", "config"),
            ("CONFIG.;2", "config..2"),
            ("CONFIG.", "config."),
            ("A.TXT;1", "a.txt"),
            ("A.TXT;12", "a.txt.12"),
        ] {
            assert_eq!(plain(name.as_bytes()).unwrap(), shown.as_bytes(), "{name}");
        }
        let wide = |name: &str| name.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>();
        for (name, shown) in [
            ("Config", "Config"),
            ("config.;1", "config"),
            ("config...", "config"),
            ("config;2", "config;2"),
            ("日本語.;1", "日本語"),
            ("😀", "😀"),
        ] {
            assert_eq!(joliet(&wide(name)).unwrap(), shown.as_bytes(), "{name}");
        }
    }

    #[test]
    fn what_linux_cannot_show_or_open_is_not_a_valid_name() {
        for name in ["", ".", "..", ".;1", ";1", "a/b", "a\0", "\x01"] {
            assert!(plain(name.as_bytes()).is_err(), "{name:?}");
            let wide: Vec<_> = name.encode_utf16().flat_map(u16::to_be_bytes).collect();
            assert!(name == ";1" || joliet(&wide).is_err(), "{name:?}");
        }
        assert!(rock_ridge(vec![0xe4]).is_err());
        for name in [&b"\0a\0"[..], b"\xd8\0\0a", &b"\x30\x42".repeat(86), &b"\0a".repeat(104)] {
            assert!(joliet(name).is_err(), "{name:?}");
        }
    }
}
