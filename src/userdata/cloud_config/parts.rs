//! MIME documents as user data: what cloud-init makes of each part.
//!
//! Sources: cloud-init, `cloudinit/user_data.py` (`_process_msg`, `convert_string`) and
//! `cloudinit/handlers/__init__.py` (`INCLUSION_TYPES_MAP`).

use std::ops::Range;

use super::{
    header,
    multipart::{self, Part},
    part_type::{self, PART_TYPES, PartType},
    transfer_encoding::Encoding,
};
use crate::userdata::{
    binary,
    finding::{Code, Finding, floor_char_boundary, push_bounded},
    schema::Rules,
};

/// The type that cloud-init gives to text without a known first line.
const NOT_MULTIPART: &str = "text/x-not-multipart";

/// The longest name of a part that is shown, in bytes.
const FILE_NAME_BYTES_MAX: usize = 255;

const ARCHIVE: &str = "text/cloud-config-archive";
const CLOUD_CONFIG: &str = "text/cloud-config";
const PART_HANDLER: &str = "text/part-handler";
const PLAIN: &str = "text/plain";
const SCRIPT: &str = "text/x-shellscript";
const TEMPLATE: &str = "text/jinja2";

/// The types of compressed parts, which cloud-init decompresses.
const COMPRESSED: [&str; 8] = [
    "application/gzip",
    "application/gzip-compressed",
    "application/gzipped",
    "application/x-compress",
    "application/x-compressed",
    "application/x-gunzip",
    "application/x-gzip",
    "application/x-gzip-compressed",
];

/// How many bytes at the start cloud-init searches for [`VERSION`].
const VERSION_WITHIN_BYTES: usize = 4096;

/// What makes data a MIME document for cloud-init, in lower case.
const VERSION: &[u8] = b"mime-version:";

/// The most bytes that compressed data is unpacked to.
const UNPACKED_BYTES_MAX: usize = 64 << 20;

/// Compressed data is unpacked to this many times its length, so that the time grows with the length.
const UNPACKED_FACTOR: usize = 32;

/// Bytes that compressed data is unpacked to in addition, whatever its length.
const UNPACKED_FLOOR: usize = 256 << 10;

/// A part that is encoded in its document, so that its findings have no place there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecodedPart {
    /// Its name, as cloud-init calls it.
    pub name: String,
    /// Its text.
    pub text: String,
    /// The findings, in the order of the text.
    pub findings: Vec<Finding>,
}

/// How many bytes compressed data of this length is unpacked to.
#[must_use]
pub fn unpacked_bytes_max(len: usize) -> usize {
    len.saturating_mul(UNPACKED_FACTOR).saturating_add(UNPACKED_FLOOR).min(UNPACKED_BYTES_MAX)
}

/// The finding about compressed data that unpacks to more than `limit` bytes.
#[must_use]
pub fn too_large_to_unpack(span: Range<usize>, limit: usize) -> Finding {
    let message = format!("the data unpacks to more than {limit} bytes, so its content is not checked");
    Finding::new(Code::Unchecked, span, message)
}

/// Checks the parts of the document `text`. Does nothing if it is none.
pub fn check_parts(text: &str, rules: &Rules, findings: &mut Vec<Finding>) -> Vec<DecodedPart> {
    let room = unpacked_bytes_max(text.len());
    let mut checker = Checker { rules, room, number: 0, has_handler: false, decoded: Vec::new() };
    if is_mime(text, findings) {
        for part in multipart::parts(text, findings) {
            checker.check_part(text, &part, findings);
        }
    }
    let Checker { has_handler, mut decoded, .. } = checker;
    // A part-handler may handle any type.
    let is_kept = |finding: &Finding| !has_handler || finding.code != Code::MimeType;
    findings.retain(is_kept);
    for part in &mut decoded {
        part.findings.retain(is_kept);
        part.findings.sort_by_key(|finding| finding.span.start);
    }
    decoded
}

/// Whether cloud-init takes `text` for a MIME document. A document that it does not recognize is a finding.
fn is_mime(text: &str, findings: &mut Vec<Finding>) -> bool {
    if !part_type::is_mime(text.trim_start().as_bytes()) {
        return false;
    }
    let first_line = 0..text.lines().next().map_or(0, str::len);
    if !part_type::is_mime(text.as_bytes()) {
        let message = "cloud-init finds no headers, because the document begins with white space";
        let finding = Finding::new(Code::NoHeader, first_line, message);
        findings.push(finding.with_hint("remove the white space before the first header"));
        return false;
    }
    let searched = &text.as_bytes()[..text.len().min(VERSION_WITHIN_BYTES)];
    if !searched.windows(VERSION.len()).any(|window| window.eq_ignore_ascii_case(VERSION)) {
        let message = "cloud-init ignores a MIME document without \"MIME-Version:\" in its first 4096 bytes";
        let finding = Finding::new(Code::NoHeader, first_line, message);
        findings.push(finding.with_hint("add the line \"MIME-Version: 1.0\" to the headers"));
        return false;
    }
    true
}

/// The type that cloud-init takes from the beginning of a text.
fn type_of_header(text: &str) -> Option<&'static str> {
    // A header that is almost right, such as `#!cloud-config`, does not name an interpreter.
    if header::is_near_header(text.trim_start().lines().next().unwrap_or_default()) {
        return None;
    }
    PartType::of_content(text.trim_start().as_bytes()).map(|kind| kind.mime)
}

/// The text of a part that is not compressed. `None`: it is not text, and there is a finding if that is a mistake.
fn text_of(bytes: &[u8], name: &str, part: &Part, findings: &mut Vec<Finding>) -> Option<String> {
    if !binary::is_binary(bytes)
        && let Ok(text) = str::from_utf8(bytes)
    {
        return Some(text.to_owned());
    }
    // An executable file is a script, too.
    if !part.content_type.starts_with(SCRIPT) || !bytes.starts_with(b"\x7fELF") {
        let message = format!("part {name:?} is not text; cloud-init ignores it");
        push_bounded(findings, Finding::new(Code::Binary, part.type_line.clone(), message));
    }
    None
}

struct Checker<'a> {
    rules: &'a Rules,
    /// How many bytes compressed parts may still unpack to.
    room: usize,
    /// How many parts there were.
    number: usize,
    /// Whether a part is a handler for other parts.
    has_handler: bool,
    decoded: Vec<DecodedPart>,
}

impl Checker<'_> {
    fn check_part(&mut self, document: &str, part: &Part, findings: &mut Vec<Finding>) {
        let name = self.name(part.file_name.as_deref());
        let mut push =
            |code, span, message: String| push_bounded(findings, Finding::new(code, span, message));
        let body = &document[part.body.clone()];
        let encoding = match &part.encoding {
            Ok(encoding) => *encoding,
            Err(other) => {
                let message = format!(
                    "cloud-init does not know the transfer encoding {other:?} and does not decode part {name:?}"
                );
                push(Code::MimeEncoding, part.encoding_line.clone(), message);
                Encoding::Identity
            }
        };
        let bytes = match encoding.decode(body) {
            Ok(bytes) => bytes,
            Err(at) => {
                let at = part.body.start + at;
                let wrong = document[at..part.body.end].chars().next().map_or(0, char::len_utf8);
                push(Code::MimeEncoding, at..at + wrong, format!("part {name:?} is not valid base64"));
                return;
            }
        };
        if encoding == Encoding::Identity
            && let Some((at, c)) = body.char_indices().find(|(_, c)| !c.is_ascii())
        {
            let at = part.body.start + at;
            let message = "cloud-init changes characters other than ASCII in a part that is not encoded";
            let finding = Finding::new(Code::MimeEncoding, at..at + c.len_utf8(), message);
            push_bounded(findings, finding.with_hint("encode the part as base64"));
        }
        let is_compressed = COMPRESSED.contains(&&*part.content_type);
        let text = if is_compressed {
            self.unpacked(&bytes, &name, part.type_line.clone(), findings)
        } else {
            text_of(&bytes, &name, part, findings)
        };
        let Some(text) = text else { return };
        let content_type = if is_compressed { PLAIN } else { &part.content_type };
        if encoding == Encoding::Identity && !is_compressed {
            let mut found = Vec::new();
            self.check_text(&text, content_type, &name, &mut found);
            for finding in found {
                let span = if finding.code == Code::MimeType {
                    part.type_line.clone()
                } else {
                    part.body.start + finding.span.start..part.body.start + finding.span.end
                };
                push_bounded(findings, Finding { span, ..finding });
            }
            return;
        }
        let mut found = Vec::new();
        self.check_text(&text, content_type, &name, &mut found);
        let (about_type, found) = found.into_iter().partition(|finding| finding.code == Code::MimeType);
        for finding in Vec::from_iter::<Vec<Finding>>(about_type) {
            push_bounded(findings, Finding { span: part.type_line.clone(), ..finding });
        }
        self.decoded.push(DecodedPart { name, text, findings: found });
    }

    /// The name of the next part.
    fn name(&mut self, file_name: Option<&str>) -> String {
        self.number += 1;
        // As cloud-init names its files.
        let given =
            file_name.map(|name| name.rsplit('/').next().unwrap_or(name)).filter(|name| !name.is_empty());
        // Every finding repeats it. No file name of Linux is longer.
        let short = |name: &str| name[..floor_char_boundary(name, FILE_NAME_BYTES_MAX)].to_owned();
        given.map_or_else(|| format!("part-{:03}", self.number), short)
    }

    /// The text of a compressed part. `None`: it is not text or too large, and there is a finding.
    fn unpacked(
        &mut self,
        bytes: &[u8],
        name: &str,
        span: Range<usize>,
        findings: &mut Vec<Finding>,
    ) -> Option<String> {
        let text = match binary::unpack(bytes, self.room) {
            Ok(text) => text,
            Err(binary::NotUnpacked::TooLarge) => {
                // The others are not unpacked either, so that the time is bounded.
                push_bounded(findings, too_large_to_unpack(span, self.room));
                self.room = 0;
                return None;
            }
            Err(binary::NotUnpacked::Damaged) => {
                let message = format!("part {name:?} is not gzip data of a text; cloud-init ignores it");
                push_bounded(findings, Finding::new(Code::Binary, span, message));
                return None;
            }
        };
        self.room -= text.len();
        Some(text)
    }

    /// Checks the text of a part whose type is declared as `declared`.
    fn check_text(&mut self, text: &str, declared: &str, name: &str, findings: &mut Vec<Finding>) {
        let is_vague = matches!(declared, PLAIN | "text/x-not-multipart" | SCRIPT);
        let content_type = type_of_header(text).filter(|_| is_vague).unwrap_or(declared);
        match content_type {
            _ if text.trim().is_empty() => {}
            PART_HANDLER => self.has_handler = true,
            CLOUD_CONFIG | ARCHIVE => header::check_part(text, Some(content_type), self.rules, findings),
            // cloud-init takes the type of plain text from the header.
            TEMPLATE | PLAIN | "text/x-not-multipart" => {
                header::check_userdata(text, true, self.rules, findings);
                header::hint_for_windows(name, findings);
            }
            _ if content_type.starts_with(SCRIPT) => {
                header::check_part(text, Some(content_type), self.rules, findings);
                if PartType::of_content(text.as_bytes()).is_none_or(|kind| kind.mime != SCRIPT) {
                    let first_line = 0..text.lines().next().map_or(0, str::len);
                    let message =
                        format!("the script {name:?} does not begin with \"#!\", so the guest cannot run it");
                    push_bounded(
                        findings,
                        Finding::new(Code::NoHeader, first_line, message)
                            .with_hint(part_type::windows_header(name).unwrap_or("begin with \"#!/bin/sh\"")),
                    );
                }
            }
            _ if content_type == NOT_MULTIPART || PART_TYPES.iter().any(|kind| kind.mime == content_type) => {
            }
            _ => {
                let message =
                    format!("cloud-init does not know the type {content_type:?} and ignores part {name:?}");
                let hint = format!("use a type such as {CLOUD_CONFIG} or {SCRIPT}");
                push_bounded(findings, Finding::new(Code::MimeType, 0..0, message).with_hint(hint));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The findings as `PART:CODE@TEXT`, where the part is empty for the document.
    fn found(text: &str) -> Vec<String> {
        let mut findings = Vec::new();
        let decoded = check_parts(text, &Rules::default(), &mut findings);
        let shown = |name: &str, text: &str, findings: &[Finding]| -> Vec<String> {
            let at = |finding: &Finding| text[finding.span.clone()].to_owned();
            findings.iter().map(|finding| format!("{name}:{}@{}", finding.code.name(), at(finding))).collect()
        };
        let mut all = shown("", text, &findings);
        all.extend(decoded.iter().flat_map(|part| shown(&part.name, &part.text, &part.findings)));
        all
    }

    /// A document with these parts: headers, an empty line and a body.
    fn document(parts: &[&str]) -> String {
        let head = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"b\"\n\n";
        format!("{head}--b\n{}\n--b--\n", parts.join("\n--b\n"))
    }

    #[test]
    fn parts_are_checked_as_what_cloud_init_makes_of_them() {
        for part in [
            "Content-Type: text/cloud-config\n\npackages: [a]\n",
            "Content-Type: text/plain\n\n#cloud-config\npackages: [a]\n",
            "\n#!/bin/sh\n",
            "Content-Type: text/x-shellscript; charset=utf-8\nContent-Transfer-Encoding: base64\n\nIyEvYmluL3NoCg==\n",
            "Content-Type: text/jinja2\n\n## template: jinja\n#cloud-config\n{% x %}\n",
            "Content-Type: text/x-include-url\n\nhttp://192.0.2.1/\n",
        ] {
            assert_eq!(found(&document(&[part])), [""; 0], "{part}");
        }
        for (part, expected) in [
            ("Content-Type: text/cloud-config\n\n- a\n", ":no-mapping@-"),
            ("Content-Type: text/plain\n\nhello\n", ":no-header@hello"),
            ("Content-Type: text/x-shellscript\n\necho\n", ":no-header@echo"),
            ("Content-Type: text/upstart-job\n\nx\n", ":mime-type@Content-Type: text/upstart-job"),
            ("Content-Type: text/cloud-config\n\nfinal_message: grün\n", ":mime-encoding@ü"),
            ("Content-Transfer-Encoding: base64\n\nAA*A\n", ":mime-encoding@*"),
            (
                "Content-Transfer-Encoding: uuencode\n\n#!x\n",
                ":mime-encoding@Content-Transfer-Encoding: uuencode",
            ),
            // "a: [\n"
            (
                "Content-Type: text/cloud-config\nContent-Transfer-Encoding: base64\n\nYTogWwo=\n",
                "part-001:yaml-syntax@",
            ),
        ] {
            assert_eq!(found(&document(&[part])), [expected], "{part}");
        }
        let handler = "Content-Type: text/part-handler\n\n#part-handler\n";
        assert_eq!(found(&document(&["Content-Type: text/upstart-job\n\nx\n", handler])), [""; 0]);
    }

    #[test]
    fn documents_that_cloud_init_does_not_recognize_are_found() {
        let whole = document(&["\n#!/bin/sh\n"]);
        assert_eq!(found(&whole.replace("MIME-Version: 1.0\n", "")).len(), 1);
        assert_eq!(found(&format!("\n{whole}")).len(), 1);
        assert_eq!(
            found(&whole.replace("MIME-Version: 1.0", &format!("From x\nX: {}", "x".repeat(5000)))).len(),
            1
        );
        assert_eq!(found("#cloud-config\na: 'MIME-Version: 1.0'\n"), [""; 0]);
    }
}
