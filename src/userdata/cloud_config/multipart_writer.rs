//! Writes several parts of user data as one MIME document (RFC 2046, 5.1).
//!
//! Every part is base64: cloud-init damages parts of 8 bits that are not ASCII. There is no date and no random boundary, so
//! that equal parts make equal bytes.

use std::collections::HashSet;

use super::part_type::PartType;
use crate::encoding::base64_lines;

/// A part of user data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Its file name. cloud-init stores a script under it, and cloudbase-init runs the file by its ending.
    pub name: String,
    /// Its kind.
    pub kind: PartType,
    /// Its bytes.
    pub content: Vec<u8>,
}

/// The document. `boundary`: separates the parts, and is best a digest of them. No line of base64 begins like a boundary.
#[must_use]
pub fn multipart(parts: &[Part], boundary: &str) -> Vec<u8> {
    let mut out =
        format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"\nMIME-Version: 1.0\n").into_bytes();
    let mut names = HashSet::new();
    for (index, part) in parts.iter().enumerate() {
        let mut name = file_name(&part.name).unwrap_or_else(|| format!("part-{:03}", index + 1));
        if !names.insert(name.clone()) {
            name = format!("{:03}-{name}", index + 1);
            names.insert(name.clone());
        }
        let mime = part.kind.mime;
        let charset = if mime.starts_with("text/") { "; charset=\"utf-8\"" } else { "" };
        out.extend_from_slice(
            format!(
                "\n--{boundary}\nContent-Type: {mime}{charset}\nMIME-Version: 1.0\n\
                 Content-Transfer-Encoding: base64\nContent-Disposition: attachment; filename=\"{name}\"\n\n"
            )
            .as_bytes(),
        );
        out.extend_from_slice(base64_lines(&part.content).as_bytes());
    }
    out.extend_from_slice(format!("\n--{boundary}--\n").as_bytes());
    out
}

/// The name of a part as it stands in the document. `None`: it needs an encoding that agents read differently.
fn file_name(name: &str) -> Option<String> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\' | b'/' | b';');
    (!name.is_empty() && name.len() <= 64 && !name.starts_with('.') && name.bytes().all(plain))
        .then(|| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str, content: &str) -> Part {
        Part {
            name: name.to_owned(),
            kind: PartType::of_content(content.as_bytes()).expect("a known kind"),
            content: content.into(),
        }
    }

    #[test]
    fn two_parts_make_a_document() {
        let parts = [part("a.yaml", "#cloud-config\npackages: [grün]\n"), part("b.sh", "#!/bin/sh\n")];
        let expected = "\
Content-Type: multipart/mixed; boundary=\"B\"
MIME-Version: 1.0

--B
Content-Type: text/cloud-config; charset=\"utf-8\"
MIME-Version: 1.0
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename=\"a.yaml\"

I2Nsb3VkLWNvbmZpZwpwYWNrYWdlczogW2dyw7xuXQo=

--B
Content-Type: text/x-shellscript; charset=\"utf-8\"
MIME-Version: 1.0
Content-Transfer-Encoding: base64
Content-Disposition: attachment; filename=\"b.sh\"

IyEvYmluL3NoCg==

--B--
";
        assert_eq!(String::from_utf8(multipart(&parts, "B")).unwrap(), expected);
    }

    #[test]
    fn every_part_has_a_name_of_its_own() {
        let same = [part("run.sh", "#!a"), part("run.sh", "#!b"), part("é\".sh", "#!c"), part("", "#!d")];
        let text = String::from_utf8(multipart(&same, "B")).unwrap();
        let names: Vec<_> = text.lines().filter_map(|line| line.split_once("filename=")).collect();
        let names: Vec<_> = names.into_iter().map(|(_, name)| name).collect();
        assert_eq!(names, ["\"run.sh\"", "\"002-run.sh\"", "\"part-003\"", "\"part-004\""]);
    }
}
