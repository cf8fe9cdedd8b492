//! The transfer encodings of MIME parts, decoded as Python's `email` does.
//!
//! Sources: RFC 2045, 6; Python 3, `email/message.py` (`get_payload`).

use std::borrow::Cow;

use crate::encoding::decode_base64_lines;

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
            Self::Base64 => decode_base64_lines(body).map(Cow::Owned),
            Self::QuotedPrintable => Ok(quoted_printable(body).into()),
        }
    }
}

/// The bytes of quoted-printable text (RFC 2045, 6.7). What is not an escape stays as it is.
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
    fn quoted_printable_is_decoded_leniently() {
        let decoded =
            |text| String::from_utf8(Encoding::QuotedPrintable.decode(text).unwrap().into()).unwrap();
        assert_eq!(decoded("gr=C3=BCn =\nx \r\ny=3D=3"), "grün x\r\ny==3");
        assert_eq!(decoded("=zz=+1="), "=zz=+1");
    }
}
