//! The transfer encodings of MIME parts, decoded as Python's `email` does.
//!
//! Sources: RFC 2045, 6; Python 3, `email/message.py` (`get_payload`).

use std::borrow::Cow;

/// How the body of a part is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// 7bit, 8bit and binary: the body is the content.
    Identity,
    Base64,
    QuotedPrintable,
}

impl Encoding {
    /// The encoding of this name; an unknown one in lower case.
    pub(super) fn of(name: &str) -> Result<Self, String> {
        match &*name.trim().to_ascii_lowercase() {
            "" | "7bit" | "8bit" | "binary" => Ok(Self::Identity),
            "base64" => Ok(Self::Base64),
            "quoted-printable" => Ok(Self::QuotedPrintable),
            other => Err(other.to_owned()),
        }
    }

    /// The content of a body.
    ///
    /// # Errors
    /// Fails if base64 has other characters or is cut off. The error is the first byte that is wrong.
    pub(super) fn decode(self, body: &str) -> Result<Cow<'_, [u8]>, usize> {
        match self {
            Self::Identity => Ok(body.as_bytes().into()),
            Self::Base64 => base64(body).map(Cow::Owned),
            Self::QuotedPrintable => Ok(quoted_printable(body).into()),
        }
    }
}

/// The bytes of base64 in lines (RFC 2045, 6.8). The padding may be missing.
fn base64(body: &str) -> Result<Vec<u8>, usize> {
    let mut bytes = Vec::with_capacity(body.len() / 4 * 3);
    let (mut bits, mut count) = (0_u32, 0);
    let mut is_padded = false;
    for (at, byte) in body.bytes().enumerate() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            b'=' => {
                is_padded = true;
                continue;
            }
            _ if byte.is_ascii_whitespace() => continue,
            _ => return Err(at),
        };
        if is_padded {
            return Err(at);
        }
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count).to_le_bytes()[0]);
        }
    }
    // One digit is not a byte.
    if count == 6 { Err(body.len()) } else { Ok(bytes) }
}

/// The bytes of quoted-printable text (RFC 2045, 6.7). What is no escape stays as it is.
fn quoted_printable(body: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len());
    for line in body.split_inclusive('\n') {
        let text = line.trim_end_matches(['\r', '\n']);
        let line_end = &line[text.len()..];
        // White space at the end of a line was added on the way.
        let text = text.trim_end_matches([' ', '\t']);
        let (text, line_end) = text.strip_suffix('=').map_or((text, line_end), |text| (text, ""));
        let mut rest = text.as_bytes();
        while let Some((&byte, behind)) = rest.split_first() {
            let escaped = (byte == b'=').then(|| behind.get(..2).and_then(hex)).flatten();
            bytes.push(escaped.unwrap_or(byte));
            rest = if escaped.is_some() { &behind[2..] } else { behind };
        }
        bytes.extend(line_end.as_bytes());
    }
    bytes
}

fn hex(digits: &[u8]) -> Option<u8> {
    let text =
        str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u8::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_may_have_lines_and_no_padding() {
        let decoded =
            |text| Encoding::Base64.decode(text).map(|bytes| String::from_utf8(bytes.into()).unwrap());
        for text in ["aGVsbG8=", "aGVs\r\nbG8=\n", "aGVsbG8", " aGVsbG8=\n\n"] {
            assert_eq!(decoded(text).as_deref(), Ok("hello"), "{text:?}");
        }
        assert_eq!(decoded("aGV*"), Err(3));
        assert_eq!(decoded("aGVsbG8=aGVs"), Err(8));
        assert_eq!(decoded("aGVsb"), Err(5));
    }

    #[test]
    fn quoted_printable_is_decoded_leniently() {
        let decoded =
            |text| String::from_utf8(Encoding::QuotedPrintable.decode(text).unwrap().into()).unwrap();
        assert_eq!(decoded("gr=C3=BCn =\nx \r\ny=3D=3"), "grün x\r\ny==3");
        assert_eq!(decoded("=zz=+1="), "=zz=+1");
    }
}
