//! Data that is not text. LinuxKit's agent stores it unchanged; cloud-init ignores it, unless it is compressed text.

use std::io::{self, ErrorKind, Read};

use flate2::read::MultiGzDecoder;

use super::{
    cloud_config::header::has_header,
    finding::{Code, Finding},
};

/// How much of compressed data is decompressed to see whether it is text, in bytes.
const DECOMPRESSED_BYTES: u64 = 64 << 10;

/// The format that cloud-init decompresses.
const GZIP: &str = "gzip";

/// The first bytes of formats that people give as user data by mistake.
const FORMATS: [(&[u8], &str); 8] = [
    (b"\x1f\x8b", GZIP),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\0", "xz"),
    (b"BZh", "bzip2"),
    (b"PK\x03\x04", "zip"),
    (b"QFI\xfb", "qcow2"),
    (b"\x7fELF", "ELF"),
    (b"KDMV", "VMDK"),
];

/// Who reads the user data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consumer {
    /// LinuxKit's agent, which accepts any bytes.
    LinuxKit,
    /// cloud-init.
    CloudInit,
    /// One of the two.
    Unknown,
}

/// What the data is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Text, perhaps in a wrong encoding.
    Text,
    /// Text that is compressed in a way that its reader supports.
    CompressedText,
    /// Anything else, with a finding about it.
    Binary(Finding),
}

/// Whether data is not text: it is not UTF-8, or contains a NUL character. The last character may be cut off.
#[must_use]
pub fn is_binary(data: &[u8]) -> bool {
    find_nul(data).is_some() || str::from_utf8(data).is_err_and(|error| error.error_len().is_some())
}

/// Where data has its first NUL character, which text cannot contain.
pub(crate) fn find_nul(data: &[u8]) -> Option<usize> {
    data.iter().position(|&byte| byte == 0)
}

/// The finding about text in UTF-16, which begins with a byte order mark, or with a character that begins user data.
pub(crate) fn find_utf16(data: &[u8]) -> Option<Finding> {
    let is_utf16 = matches!(
        data,
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] | [b'{' | b'[' | b'#', 0, ..] | [0, b'{' | b'[' | b'#', ..]
    );
    let message = "the text is encoded in UTF-16, but guests read UTF-8";
    let finding = Finding::new(Code::Utf16, 0..0, message);
    is_utf16.then(|| finding.with_hint("convert it: iconv -f UTF-16 -t UTF-8"))
}

/// Classifies data. It may be cut off.
#[must_use]
pub fn classify(data: &[u8], reader: Consumer) -> Verdict {
    if !is_binary(data) {
        return Verdict::Text;
    }
    let raw = || {
        let message = format!("{}; LinuxKit's agent stores it unchanged", describe(data));
        Verdict::Binary(Finding::new(Code::RawBytes, 0..0, message))
    };
    let format = format_of(data);
    if reader == Consumer::LinuxKit {
        return raw();
    }
    if let Some(finding) = find_utf16(data) {
        return Verdict::Binary(finding);
    }
    let what = match format {
        Some(GZIP) => match decompress(data) {
            Ok(text) if text.is_empty() => "empty gzip data".to_owned(),
            Ok(text) if is_binary(&text) => format!("gzip data that contains {}", describe(&text)),
            Ok(_) => return Verdict::CompressedText,
            Err(_) => "damaged gzip data".to_owned(),
        },
        // The check of the text reports the position.
        None if find_nul(data).is_none() && (reader == Consumer::CloudInit || has_header(data)) => {
            return Verdict::Text;
        }
        None if find_nul(data).is_none() => return raw(),
        _ => describe(data),
    };
    let finding = Finding::new(Code::Binary, 0..0, format!("{what}; cloud-init ignores it"));
    Verdict::Binary(match reader {
        Consumer::Unknown => finding.with_hint("LinuxKit accepts binary data (--as linuxkit)"),
        Consumer::LinuxKit | Consumer::CloudInit => finding,
    })
}

/// Whether data begins like gzip data.
#[cfg(feature = "check")]
pub(crate) fn is_gzip(data: &[u8]) -> bool {
    format_of(data) == Some(GZIP)
}

/// Why compressed data was not unpacked.
#[cfg(feature = "check")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotUnpacked {
    /// It has more bytes than wanted.
    TooLarge,
    /// It is not gzip data, is damaged, or does not contain text.
    Damaged,
}

/// The text in gzip data of at most `limit` bytes.
#[cfg(feature = "check")]
pub(crate) fn unpack(data: &[u8], limit: usize) -> Result<String, NotUnpacked> {
    let mut text = Vec::new();
    let most = (limit as u64).saturating_add(1);
    MultiGzDecoder::new(data).take(most).read_to_end(&mut text).map_err(|_| NotUnpacked::Damaged)?;
    if text.len() > limit {
        return Err(NotUnpacked::TooLarge);
    }
    let text = String::from_utf8(text).map_err(|_| NotUnpacked::Damaged)?;
    if find_nul(text.as_bytes()).is_some() { Err(NotUnpacked::Damaged) } else { Ok(text) }
}

/// Decompresses the beginning of gzip data, which may be cut off.
fn decompress(data: &[u8]) -> io::Result<Vec<u8>> {
    let mut text = Vec::new();
    match MultiGzDecoder::new(data).take(DECOMPRESSED_BYTES).read_to_end(&mut text) {
        Err(error) if error.kind() != ErrorKind::UnexpectedEof => Err(error),
        _ => Ok(text),
    }
}

/// Describes binary data, in words that can begin a sentence.
fn describe(data: &[u8]) -> String {
    match format_of(data) {
        Some(format) => format!("binary data ({format})"),
        None if data.iter().all(|&byte| byte == 0) => "only zeros".to_owned(),
        None => "binary data".to_owned(),
    }
}

fn format_of(data: &[u8]) -> Option<&'static str> {
    FORMATS.iter().find(|(start, _)| data.starts_with(start)).map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    use super::*;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn said(data: &[u8], reader: Consumer) -> String {
        match classify(data, reader) {
            Verdict::Binary(finding) => format!("{}: {}", finding.code.name(), finding.message),
            other => format!("{other:?}"),
        }
    }

    #[test]
    fn text_is_told_from_bytes() {
        for text in ["", "a\tb\r\nö\u{1b}[0m"] {
            assert!(!is_binary(text.as_bytes()), "{text:?}");
        }
        assert!(!is_binary(&"ö".as_bytes()[..1]), "a character may be cut off");
        for bytes in [&b"a\0b"[..], b"\xff", b"gr\xfcn", &[0; 9]] {
            assert!(is_binary(bytes), "{bytes:?}");
        }
    }

    #[test]
    fn data_is_classified_for_each_reader() {
        use Consumer::{CloudInit, LinuxKit, Unknown};
        let elf = b"\x7fELF\x02\0";
        let latin = b"gr\xfcn";
        assert_eq!(said(elf, LinuxKit), "raw-bytes: binary data (ELF); LinuxKit's agent stores it unchanged");
        assert_eq!(said(elf, CloudInit), "binary: binary data (ELF); cloud-init ignores it");
        assert_eq!(said(elf, Unknown), said(elf, CloudInit));
        assert_eq!(said(latin, LinuxKit), "raw-bytes: binary data; LinuxKit's agent stores it unchanged");
        assert_eq!(said(latin, Unknown), said(latin, LinuxKit));
        // The check of the text reports the position.
        assert_eq!(said(latin, CloudInit), "Text");
        assert_eq!(said(&[0; 9], CloudInit), "binary: only zeros; cloud-init ignores it");
        assert_eq!(said(b"hello", CloudInit), "Text");
        let utf16 = "utf-16: the text is encoded in UTF-16, but guests read UTF-8";
        assert_eq!([b"\xff\xfea\0", b"\xfe\xff\0a"].map(|data| said(data, CloudInit)), [utf16; 2]);
        assert_eq!(said(b"#cloud-config\na: gr\xfcn", Unknown), "Text");
    }

    #[test]
    fn compressed_text_passes_and_nothing_else_that_is_compressed() {
        let compressed = gzip("#cloud-config\n".repeat(100_000).as_bytes());
        let said = |data: &[u8]| said(data, Consumer::CloudInit);
        assert_eq!(said(&compressed), "CompressedText");
        assert_eq!(said(&compressed[..100]), "CompressedText", "it may be cut off");
        let held = |data| said(&gzip(data)).replace("binary: gzip data that contains ", "");
        assert_eq!(held(&[0; 9000]), "only zeros; cloud-init ignores it");
        assert_eq!(held(b"QFI\xfb\0"), "binary data (qcow2); cloud-init ignores it");
        assert_eq!(said(&gzip(b"")), "binary: empty gzip data; cloud-init ignores it");
        let mut damaged = compressed;
        damaged[12] ^= 0xff;
        assert_eq!(said(&damaged), "binary: damaged gzip data; cloud-init ignores it");
    }
}
