//! Bytes as text: hexadecimal digits, UUIDs and base64.

/// `bytes` as lower-case hexadecimal digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0x0f)]).collect()
}

/// A UUID of version 8, whose bits have no standard meaning, from the first bytes of a digest (RFC 9562, 5.8).
#[must_use]
pub fn uuid(digest: &[u8; 32]) -> String {
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    let text = hex(&bytes);
    format!("{}-{}-{}-{}-{}", &text[..8], &text[8..12], &text[12..16], &text[16..20], &text[20..])
}

/// `bytes` as base64 (RFC 4648, 4), in lines of 76 characters as MIME has them (RFC 2045, 6.8), each with a newline.
#[must_use]
pub fn base64_lines(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const LINE_BYTES: usize = 76 / 4 * 3;
    let mut text = String::with_capacity(bytes.len() / 3 * 4 + bytes.len() / LINE_BYTES + 8);
    for line in bytes.chunks(LINE_BYTES) {
        for three in line.chunks(3) {
            let at = |index: usize| three.get(index).copied().map_or(0, u32::from);
            let bits = at(0) << 16 | at(1) << 8 | at(2);
            for digit in 0..4 {
                let value = bits >> (18 - 6 * digit) & 0x3f;
                text.push(if digit > three.len() { '=' } else { char::from(DIGITS[value as usize]) });
            }
        }
        text.push('\n');
    }
    text
}

/// The bytes of base64 (RFC 4648, 4). `None`: the text has other characters, no padding, or bits after the last byte that are
/// not 0 (RFC 4648, 3.5).
#[must_use]
pub fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_suffix("==").or_else(|| text.strip_suffix('=')).unwrap_or(text);
    if !text.len().is_multiple_of(4) {
        return None;
    }
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    for digit in digits.bytes() {
        bits = bits << 6 | base64_digit(digit)?;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count).ok()?);
            bits &= (1 << count) - 1;
        }
    }
    (bits == 0).then_some(bytes)
}

/// The bytes of base64 in lines (RFC 2045, 6.8). The padding may be missing.
///
/// # Errors
/// Fails if there are other characters, or if the text is cut off. The error is the first byte that is wrong.
pub fn decode_base64_lines(text: &str) -> Result<Vec<u8>, usize> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    let mut is_padded = false;
    for (at, byte) in text.bytes().enumerate() {
        if byte == b'=' {
            is_padded = true;
        } else if let Some(value) = base64_digit(byte).filter(|_| !is_padded) {
            bits = bits << 6 | value;
            count += 6;
            if count >= 8 {
                count -= 8;
                bytes.push((bits >> count).to_le_bytes()[0]);
            }
        } else if !byte.is_ascii_whitespace() {
            return Err(at);
        }
    }
    // One digit is not a byte.
    if count == 6 { Err(text.len()) } else { Ok(bytes) }
}

/// Whether Python's `base64.decodebytes` accepts the text. It skips characters that are not in the alphabet.
#[must_use]
pub fn is_base64_of_python(text: &str) -> bool {
    let mut digits = 0_usize;
    let mut padding = 0_usize;
    for byte in text.bytes() {
        if byte == b'=' && digits % 4 >= 2 {
            padding += 1;
            if digits % 4 + padding >= 4 {
                // The end: what follows is ignored.
                return true;
            }
        } else if base64_digit(byte).is_some() {
            digits += 1;
            padding = 0;
        }
    }
    text.is_ascii() && digits.is_multiple_of(4)
}

/// The value of a digit of base64 (RFC 4648, 4).
fn base64_digit(digit: u8) -> Option<u32> {
    let value = match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_read_back() {
        for len in 0..300 {
            let bytes: Vec<_> = (0..len).map(|at| u8::try_from(at * 37 % 256).unwrap()).collect();
            let lines = base64_lines(&bytes);
            assert!(lines.lines().all(|line| line.len() <= 76), "{lines}");
            assert_eq!(decode_base64(&lines.replace('\n', "")).as_ref(), Some(&bytes), "{lines}");
        }
    }

    #[test]
    fn base64_has_one_spelling() {
        for (text, bytes) in [
            ("", ""),
            ("Zg==", "f"),
            ("Zm8=", "fo"),
            ("Zm9v", "foo"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYmE=", "fooba"),
            ("Zm9vYmFy", "foobar"),
        ] {
            assert_eq!(decode_base64(text).as_deref(), Some(bytes.as_bytes()), "{text}");
        }
        assert_eq!(decode_base64("+/+/").unwrap(), [0xfb, 0xff, 0xbf]);
        for text in [
            "Zg", "Zg=", "Zh==", "Zm9=", "Z===", "====", "=", "Zm9v\n", " Zm9v", "Zm9vZg", "Zg==Zg==", "-_-_",
        ] {
            assert_eq!(decode_base64(text), None, "{text:?}");
        }
    }

    #[test]
    fn base64_in_lines_may_have_no_padding() {
        for text in ["aGVsbG8=", "aGVs\r\nbG8=\n", "aGVsbG8", " aGVsbG8=\n\n"] {
            assert_eq!(decode_base64_lines(text).as_deref(), Ok(&b"hello"[..]), "{text:?}");
        }
        for (text, at) in [("aGV*", 3), ("aGVsbG8=aGVs", 8), ("aGVsb", 5), ("aGVs=*", 5)] {
            assert_eq!(decode_base64_lines(text), Err(at), "{text:?}");
        }
    }

    #[test]
    fn base64_of_python_skips_other_characters() {
        for text in ["", "aGVsbG8=", "a-G_V s bG8= and more", "Zg==", "*"] {
            assert!(is_base64_of_python(text), "{text:?}");
        }
        for text in ["Zg", "Zg=", "a", "aGVsbG8", "é"] {
            assert!(!is_base64_of_python(text), "{text:?}");
        }
    }

    #[test]
    fn a_uuid_has_version_8_and_the_variant_of_rfc_9562() {
        assert_eq!(uuid(&[0xff; 32]), "ffffffff-ffff-8fff-bfff-ffffffffffff");
        assert_eq!(uuid(&[0; 32]), "00000000-0000-8000-8000-000000000000");
    }
}
