//! Encodes bytes as text: hexadecimal digits, UUIDs and base64.

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
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push(u8::try_from(bits >> count).ok()?);
            bits &= (1 << count) - 1;
        }
    }
    (bits == 0).then_some(bytes)
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
    fn a_uuid_has_version_8_and_the_variant_of_rfc_9562() {
        assert_eq!(uuid(&[0xff; 32]), "ffffffff-ffff-8fff-bfff-ffffffffffff");
        assert_eq!(uuid(&[0; 32]), "00000000-0000-8000-8000-000000000000");
    }
}
