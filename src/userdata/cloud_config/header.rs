//! User data for cloud-init: its first line, and the YAML of cloud-config.
//!
//! Source: cloud-init's documentation of user-data formats.

use super::part_type::{PartType, is_mime};
#[cfg(feature = "check")]
use super::{
    archive, config,
    part_type::{is_only_for_cloudbase_init, windows_header},
    template,
};
#[cfg(feature = "check")]
use crate::userdata::{
    finding::{Code, Finding},
    line_ends::check_line_ends,
    schema::Rules,
};

/// The header of YAML.
#[cfg(feature = "check")]
const CLOUD_CONFIG: &str = "#cloud-config";

/// The header of a list of parts.
#[cfg(feature = "check")]
const ARCHIVE: &str = "#cloud-config-archive";

/// Common first keys of cloud-config, by which YAML without its header is recognized.
#[cfg(feature = "check")]
const KEYS: [&str; 13] = [
    "apt",
    "bootcmd",
    "chpasswd",
    "fqdn",
    "growpart",
    "hostname",
    "ntp",
    "package_update",
    "packages",
    "runcmd",
    "ssh_authorized_keys",
    "users",
    "write_files",
];

/// The header of a template, which another header follows.
#[cfg(feature = "check")]
const TEMPLATE: &str = "## template: jinja";

/// Whether user data starts with a header that cloud-init or cloudbase-init recognizes.
#[must_use]
pub fn has_header(data: &[u8]) -> bool {
    is_mime(data) || PartType::of_content(data).is_some()
}

/// Whether a line is meant as the header of cloud-config, but is not: with other punctuation, blanks or case it would be.
#[cfg(feature = "check")]
pub(super) fn is_near_header(line: &str) -> bool {
    let is_punctuation = |c: &char| c.is_whitespace() || matches!(c, '-' | '_' | '!' | ':');
    let squeezed = line.chars().filter(|c| !is_punctuation(c)).map(|c| c.to_ascii_lowercase());
    squeezed.eq("#cloudconfig".chars()) && !is_header_of_config(line)
}

/// Whether a text or line begins with the header of cloud-config.
#[cfg(feature = "check")]
fn is_header_of_config(text: &str) -> bool {
    PartType::of_content(text.as_bytes()).is_some_and(|kind| kind.mime == "text/cloud-config")
}

/// Whether the header of cloud-config comes after lines of YAML that say nothing: comments, or the start of a document.
#[cfg(feature = "check")]
fn has_late_header(text: &str) -> bool {
    for line in text.lines().map(str::trim) {
        if is_header_of_config(line) || is_near_header(line) {
            return true;
        }
        if !matches!(line, "" | "#" | "---") && !line.starts_with("# ") {
            return false;
        }
    }
    false
}

/// Checks user data that is not a config tree. `for_cloud_init`: cloud-init reads it; otherwise any text is accepted, unless
/// it is evidently meant for cloud-init.
#[cfg(feature = "check")]
pub fn check_userdata(text: &str, for_cloud_init: bool, rules: &Rules, findings: &mut Vec<Finding>) {
    if has_header(text.trim_start().as_bytes()) {
        check_line_ends(text, findings);
    }
    let mut is_template = false;
    let mut at = 0;
    if let Some((first, _)) = text.split_once('\n')
        && first.trim().to_ascii_lowercase().starts_with(TEMPLATE)
    {
        is_template = true;
        at = first.len() + 1;
    }
    let begins = text[at..].trim_start();
    at = text.len() - begins.len();
    let first = begins.lines().next().unwrap_or_default();
    let lower = first.to_ascii_lowercase();
    let is_near = is_near_header(first);
    if has_header(begins.as_bytes()) && !is_near {
        let word = begins.split_ascii_whitespace().next().unwrap_or_default();
        if is_header_of_config(begins) && is_template {
            template::check(text, rules, findings);
        } else if is_header_of_config(begins) {
            config::check(text, rules, findings);
        } else if word.eq_ignore_ascii_case(ARCHIVE) && !is_template {
            check_archive(text, rules, findings);
        }
        return;
    }
    let nearly_template = first.starts_with("##") && lower.contains("jinja");
    let nearly = is_near || first.starts_with('#') && lower.replace(['_', ' '], "-").contains("cloud-");
    let meant = nearly || first.split_once(':').is_some_and(|(key, _)| KEYS.contains(&key));
    let is_late = !meant && !nearly_template && has_late_header(begins);
    if meant || nearly_template || is_late || (for_cloud_init || is_template) && !begins.is_empty() {
        let message = "cloud-init does not recognize this line and ignores the data";
        let finding = Finding::new(Code::NoHeader, at..at + first.len(), message);
        findings.push(finding.with_hint(if nearly_template {
            format!("for a template, write {TEMPLATE:?}")
        } else if nearly {
            format!("write {CLOUD_CONFIG:?}")
        } else if meant {
            format!("add the line {CLOUD_CONFIG:?} above it")
        } else if is_late {
            format!("{CLOUD_CONFIG:?} must be the first line")
        } else if is_only_for_cloudbase_init(begins) {
            "this is for cloudbase-init, which needs --layout configdrive".to_owned()
        } else if begins.starts_with('{') {
            format!("write {CLOUD_CONFIG:?} above the JSON; LinuxKit's JSON needs --layout linuxkit")
        } else {
            format!("start with {CLOUD_CONFIG:?} for YAML, or with \"#!\" for a script")
        }));
    }
}

/// Gives the findings about a missing header the first line of a script for Windows as their hint, if the name of the file says
/// that it is one.
#[cfg(feature = "check")]
pub fn hint_for_windows(file: &str, findings: &mut [Finding]) {
    let Some(hint) = windows_header(file) else { return };
    for finding in findings.iter_mut().filter(|finding| finding.code == Code::NoHeader) {
        finding.hint = Some(hint.to_owned());
    }
}

/// Checks an archive. Archives within it are not looked into, so that nothing nests.
#[cfg(feature = "check")]
fn check_archive(text: &str, rules: &Rules, findings: &mut Vec<Finding>) {
    let check_inner = |text: &str, content_type: Option<&str>, findings: &mut Vec<Finding>| {
        let is = |name: &str| name.eq_ignore_ascii_case("text/cloud-config-archive");
        let word = text.split_ascii_whitespace().next().unwrap_or_default();
        if !content_type.is_some_and(is) && !word.eq_ignore_ascii_case(ARCHIVE) {
            check_part(text, content_type, rules, findings);
        }
    };
    archive::check(text, &check_inner, findings);
}

/// Checks a part of a message or of an archive. `content_type`: what it is said to be, such as `text/cloud-config`, without
/// parameters; text without a type is what its first line says.
#[cfg(feature = "check")]
pub fn check_part(text: &str, content_type: Option<&str>, rules: &Rules, findings: &mut Vec<Finding>) {
    match content_type.map(str::to_ascii_lowercase).as_deref() {
        Some("text/cloud-config") => config::check(text, rules, findings),
        Some("text/cloud-config-archive") => check_archive(text, rules, findings),
        Some(
            "text/x-shellscript"
            | "text/x-shellscript-per-boot"
            | "text/x-shellscript-per-instance"
            | "text/x-shellscript-per-once",
        ) => check_line_ends(text, findings),
        None | Some("text/plain" | "text/x-not-multipart" | "text/jinja2") => {
            check_userdata(text, false, rules, findings);
        }
        Some(_) => {}
    }
}

#[cfg(all(test, feature = "check"))]
mod tests {
    use super::*;

    fn codes(text: &str, for_cloud_init: bool) -> Vec<&'static str> {
        let mut findings = Vec::new();
        check_userdata(text, for_cloud_init, &Rules::default(), &mut findings);
        findings.iter().map(|finding| finding.code.name()).collect()
    }

    #[test]
    fn what_cloud_init_accepts_passes() {
        for text in [
            "#cloud-config\npackages: [a]\n",
            "#cloud-config\n# nothing\n",
            "#Cloud-Config\n{}\n",
            "#!/bin/sh\n: {\n",
            "#ps1_sysnative\r\nGet-Date\r\n",
            "rem cmd\r\ndir\r\n",
            "\n#cloud-config\npackages: [a]\n",
            "#include\nx\n",
            "## template: jinja\n#cloud-config\n{% x %}\n",
            "Content-Type: multipart/mixed\n",
            "#cloud-config-archive\n- type: x\n",
            "#cloud-config-jsonp\n[{\"op\": \"add\"}]\n",
            "#cloud-config\nwrite_files: [&x {path: /a}, &y {path: /b}, {<<: *x, <<: *y}]\n",
            "#cloud-config\nruncmd: ['{{ x }}', \"a {{ b }}\"]\n",
            "",
        ] {
            assert_eq!(codes(text, true), [""; 0], "{text:?}");
        }
    }

    #[test]
    fn what_cloud_init_ignores_is_found() {
        assert_eq!(codes("# cloud-config\npackages: []\n", false), ["no-header"]);
        for line in ["#cloud_config", "#cloudconfig", "# cloudconfig", "#!cloud-config", "#! Cloud_Config:"] {
            assert_eq!(codes(&format!("{line}\npackages: [a]\n"), false), ["no-header"], "{line}");
        }
        assert_eq!(codes("---\n#cloud-config\n", false), ["no-header"]);
        assert_eq!(codes("\n# a\n\n# cloudconfig\n", false), ["no-header"]);
        assert_eq!(codes("# a\nb\n#cloud-config\n", false), [""; 0]);
        assert_eq!(codes("#cloud-config: a\n- a\n", false), ["no-mapping"]);
        assert_eq!(codes("packages:\n- a\n", false), ["no-header"]);
        assert_eq!(codes("hello", true), ["no-header"]);
        assert_eq!(codes("hello", false), [""; 0]);
        assert_eq!(codes("#cloud-config\n- a\n", true), ["no-mapping"]);
        assert_eq!(codes("#cloud-config\na: 1\n---\nb: 2\n", true), ["no-mapping"]);
        assert_eq!(codes("#cloud-config\r\nhostname: a\r\n", true), ["crlf"]);
        assert_eq!(codes("#!/bin/sh\r\n", true), ["script-crlf"]);
        assert_eq!(codes("#cloud-config\na: [1\n", true), ["yaml-syntax"]);
        assert_eq!(codes("#cloud-config\nfqdn: a\nfqdn: b\n", true), ["duplicate-key"]);
        assert_eq!(codes("#cloud-config\nruncmd:\n- {{ v1.x }}\n", true)[0], "template");
        assert_eq!(codes("## template: jinja\n#cloud-confg\na: {{ x }}\n", false), ["no-header"]);
        assert_eq!(codes("## template:jinja\n#cloud-config\n", false), ["no-header"]);
    }
}
