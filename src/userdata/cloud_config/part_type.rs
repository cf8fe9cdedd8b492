//! The kinds of user data that cloud-init and cloudbase-init know: each by its first line, and by its content type as a part of
//! a MIME document.
//!
//! Sources: cloud-init's documentation of user-data formats, and of `cloud-init devel make-mime`; cloudbase-init's documentation
//! of user data.

/// A kind of user data that can be a part of a MIME document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartType {
    /// Its content type, such as `text/cloud-config`.
    pub mime: &'static str,
    /// How its first line begins, in lower case. Empty: it has no mark, so that its type must be given.
    marks: &'static [&'static str],
}

/// All kinds. A mark that begins with another one comes before it.
pub const PART_TYPES: [PartType; 13] = [
    PartType { mime: "text/cloud-config-archive", marks: &["#cloud-config-archive"] },
    PartType { mime: "text/cloud-config-jsonp", marks: &["#cloud-config-jsonp"] },
    PartType { mime: "text/cloud-config", marks: &["#cloud-config"] },
    PartType { mime: "text/x-include-once-url", marks: &["#include-once"] },
    PartType { mime: "text/x-include-url", marks: &["#include"] },
    PartType { mime: "text/cloud-boothook", marks: &["#cloud-boothook"] },
    PartType { mime: "text/part-handler", marks: &["#part-handler"] },
    PartType { mime: "text/jinja2", marks: &["## template: jinja"] },
    // The last four are cloudbase-init's, which runs a part by the ending of its name.
    PartType { mime: "text/x-shellscript", marks: &["#!", "#ps1_sysnative", "#ps1_x86", "#ps1", "rem cmd"] },
    PartType { mime: "text/x-shellscript-per-boot", marks: &[] },
    PartType { mime: "text/x-shellscript-per-instance", marks: &[] },
    PartType { mime: "text/x-shellscript-per-once", marks: &[] },
    GZIP,
];

/// A part that is compressed. cloud-init unpacks it and then looks at its first line.
const GZIP: PartType = PartType { mime: "application/gzip", marks: &[] };

/// The first bytes of gzip (RFC 1952, 2.3.1).
const GZIP_MAGIC: &[u8] = b"\x1f\x8b";

/// The first lines of a MIME document.
const MIME: [&str; 3] = ["content-type:", "mime-version:", "from "];

impl PartType {
    /// The kind of this content type, with or without `text/`, in upper or lower case.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        let is = |mime: &str| {
            mime.eq_ignore_ascii_case(name)
                || mime.strip_prefix("text/").is_some_and(|short| short.eq_ignore_ascii_case(name))
        };
        PART_TYPES.into_iter().find(|known| is(known.mime))
    }

    /// The kind of data by its first line. `None`: no agent recognizes it.
    #[must_use]
    pub fn of_content(data: &[u8]) -> Option<Self> {
        if data.starts_with(GZIP_MAGIC) {
            return Some(GZIP);
        }
        PART_TYPES.into_iter().find(|known| known.marks.iter().any(|mark| begins(data, mark)))
    }
}

/// Whether data is a script that cloudbase-init runs with an interpreter of Windows.
#[must_use]
pub fn is_script_for_windows(data: &[u8]) -> bool {
    let is_script = PartType::of_content(data).is_some_and(|kind| kind.mime == "text/x-shellscript");
    is_script && !data.starts_with(b"#!")
}

/// What to do about a script without a first line that an agent knows, if the ending of its file says that it is for Windows.
#[must_use]
pub fn windows_header(file: &str) -> Option<&'static str> {
    let (_, ending) = file.rsplit_once('.')?;
    let is = |known: &str| ending.eq_ignore_ascii_case(known);
    if is("ps1") {
        Some("begin the file with the line \"#ps1_sysnative\", by which cloudbase-init knows PowerShell")
    } else if is("bat") || is("cmd") {
        Some(
            "begin the file with the line \"rem cmd\", by which cloudbase-init knows the command interpreter",
        )
    } else {
        None
    }
}

/// Whether data has a format that only cloudbase-init knows and that has no first line of its own: the tags `<powershell>` or
/// `<script>`, or a certificate in PEM.
///
/// Source: cloudbase-init, `plugins/common/userdata.py` and `userdatautils.py`.
#[cfg(feature = "check")]
#[must_use]
pub fn is_only_for_cloudbase_init(text: &str) -> bool {
    const TAGS: [&str; 2] = ["<powershell>", "<script>"];
    let begins = text.trim_start();
    begins.starts_with("-----BEGIN CERTIFICATE-----")
        || begins.starts_with('<') && TAGS.iter().any(|tag| begins.contains(tag))
}

/// Whether data starts as a MIME document does.
#[must_use]
pub fn is_mime(data: &[u8]) -> bool {
    MIME.iter().any(|mark| begins(data, mark))
}

/// Whether data begins with a mark, in upper or lower case.
fn begins(data: &[u8], mark: &str) -> bool {
    data.get(..mark.len()).is_some_and(|beginning| beginning.eq_ignore_ascii_case(mark.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_says_what_it_is() {
        let mime = |text: &str| PartType::of_content(text.as_bytes()).map(|known| known.mime);
        for (text, expected) in [
            ("#cloud-config\n", Some("text/cloud-config")),
            ("#Cloud-Config-Archive\n", Some("text/cloud-config-archive")),
            ("#cloud-config-jsonp\n", Some("text/cloud-config-jsonp")),
            ("#include-once\n", Some("text/x-include-once-url")),
            ("#include\n", Some("text/x-include-url")),
            ("#!/bin/sh\n", Some("text/x-shellscript")),
            ("#ps1_sysnative\n", Some("text/x-shellscript")),
            ("rem cmd\r\n", Some("text/x-shellscript")),
            ("## template: jinja\n#cloud-config\n", Some("text/jinja2")),
            ("packages: []\n", None),
            ("{}", None),
            ("", None),
        ] {
            assert_eq!(mime(text), expected, "{text:?}");
        }
        assert_eq!(PartType::of_content(b"\x1f\x8b\x08"), Some(GZIP));
    }

    #[test]
    fn a_name_may_leave_out_the_first_half() {
        let mime = |name| PartType::of_name(name).map(|known| known.mime);
        assert_eq!(mime("cloud-config"), Some("text/cloud-config"));
        assert_eq!(mime("text/X-ShellScript"), Some("text/x-shellscript"));
        assert_eq!(mime("application/gzip"), Some("application/gzip"));
        assert_eq!(mime("gzip"), None);
        assert_eq!(mime("x-python"), None);
    }
}
