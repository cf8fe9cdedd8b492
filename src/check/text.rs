//! Checks of texts: user data, meta-data and network configurations.

use std::{iter, path::PathBuf};

use super::{platform::Platform, subject::Subject};
use crate::{
    datasource::layout::Layout,
    userdata::{
        binary::{self, Consumer, NotUnpacked, Verdict},
        cloud_config::{
            header,
            part_type::{PartType, is_mime, is_only_for_cloudbase_init, is_script_for_windows},
            parts::{self, DecodedPart},
        },
        config_tree::parse,
        finding::{Code, Finding, Severity},
        json_document, meta_data, network_config,
        schema::Rules,
    },
};

/// A text and the findings about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckedText {
    /// The name of the file on the image, and of the part in it. `None`: the text itself was given, or the findings are about
    /// the image.
    pub name: Option<String>,
    /// The file on the host that has the text.
    pub source: Option<PathBuf>,
    /// The text that the findings refer to; empty if the data is not text, or a config tree without findings.
    pub text: String,
    /// The findings: about data for cloud-init errors first, each kind in the order of the text; about a config tree in that
    /// order.
    pub findings: Vec<Finding>,
}

impl CheckedText {
    /// The same of a file with this name.
    #[must_use]
    pub fn below(self, file: &str) -> Self {
        let name = self.name.map_or_else(|| file.to_owned(), |part| format!("{file}/{part}"));
        Self { name: Some(name), ..self }
    }
}

/// Checks a text. The parts of a MIME document that are encoded are left out ([`check_whole`] has them).
#[must_use]
pub fn check(data: &[u8], subject: Subject, target: Option<Platform>) -> CheckedText {
    check_whole(data, subject, target, &Rules::default()).swap_remove(0)
}

/// Checks a text and what it consists of. The first one is the text itself, unpacked if it is compressed; the others are parts
/// that are encoded in it, with their names. `rules`: those for cloud-config.
#[must_use]
pub fn check_whole(
    data: &[u8],
    subject: Subject,
    target: Option<Platform>,
    rules: &Rules,
) -> Vec<CheckedText> {
    match subject {
        Subject::UserData(layout) => check_userdata(data, layout, rules, target),
        Subject::VendorData(Layout::ConfigDrive) => vec![check_text(data, json_document::check_vendor_data)],
        Subject::VendorData(layout) => check_userdata(data, Some(layout), rules, None),
        Subject::MetaData(Layout::ConfigDrive) => vec![check_text(data, |text, findings| {
            if json_document::check_object(text, "meta_data.json", findings) {
                meta_data::check_config_drive(text, findings);
            }
        })],
        Subject::MetaData(_) => vec![check_text(data, meta_data::check_nocloud)],
        Subject::NetworkConfig => vec![check_text(data, network_config::check)],
        Subject::NetworkData => vec![check_text(data, |text, findings| {
            if json_document::check_object(text, "network_data.json", findings) {
                meta_data::check_network_data(text, findings);
            }
        })],
    }
}

fn check_userdata(
    data: &[u8],
    layout: Option<Layout>,
    rules: &Rules,
    target: Option<Platform>,
) -> Vec<CheckedText> {
    let too_large = target.filter(|target| data.len() > target.bytes_max).map(|target| {
        let message = format!("the user data has {} bytes; {}", data.len(), target.limit);
        Finding::new(Code::TooLarge, 0..0, message)
    });
    // cloud-init does not know the JSON of LinuxKit.
    if parse::looks_like_tree(data) && !matches!(layout, Some(Layout::NoCloud | Layout::ConfigDrive)) {
        let (mut findings, text) = parse::check(data);
        findings.extend(too_large);
        // It may be large, and is there for findings only.
        let text = if findings.is_empty() { String::new() } else { text.into_owned() };
        return vec![CheckedText { text, findings, ..CheckedText::default() }];
    }
    let mut checked = check_other_userdata(data, layout, rules);
    checked[0].findings.extend(too_large);
    checked
}

/// Checks user data that is not a config tree.
fn check_other_userdata(data: &[u8], layout: Option<Layout>, rules: &Rules) -> Vec<CheckedText> {
    let reader = match layout {
        None => Consumer::Unknown,
        Some(Layout::LinuxKit) => Consumer::LinuxKit,
        Some(Layout::NoCloud | Layout::ConfigDrive) => Consumer::CloudInit,
    };
    let only = |finding| vec![CheckedText { findings: vec![finding], ..CheckedText::default() }];
    match binary::classify(data, reader) {
        Verdict::Text => check_documents(data, layout, rules),
        Verdict::Binary(finding) => only(finding),
        Verdict::CompressedText => {
            let limit = parts::unpacked_bytes_max(data.len());
            match binary::unpack(data, limit) {
                Ok(text) => check_documents(text.as_bytes(), layout, rules),
                Err(NotUnpacked::TooLarge) => only(parts::too_large_to_unpack(0..0, limit)),
                Err(NotUnpacked::Damaged) => {
                    only(Finding::new(Code::Binary, 0..0, "damaged gzip data; cloud-init ignores it"))
                }
            }
        }
    }
}

/// Whether text is data that only cloud-init knows; scripts are for any agent.
pub(super) fn is_for_cloud_init(text: &str) -> bool {
    let kind = PartType::of_content(text.as_bytes());
    kind.is_some_and(|kind| kind.mime.starts_with("text/cloud-config") || kind.mime == "text/jinja2")
}

/// The agent that text is for, if LinuxKit's agent does not know its format. Scripts that begin with `#!` are for any agent.
fn other_agent(text: &str) -> Option<&'static str> {
    let data = text.as_bytes();
    if is_script_for_windows(data) {
        return Some("cloudbase-init");
    }
    let is_known =
        PartType::of_content(data).is_some_and(|kind| kind.mime != "text/x-shellscript") || is_mime(data);
    (is_known && !begins_with_from(text)).then_some("cloud-init")
}

/// Whether the first word is `from`, with which cloud-init takes a MIME document to begin, and others a letter or a list.
fn begins_with_from(text: &str) -> bool {
    text.get(..5).is_some_and(|word| word.eq_ignore_ascii_case("from "))
}

/// The finding about text in the file `config` that is for another agent than LinuxKit's.
fn check_agent(text: &str, findings: &mut Vec<Finding>) {
    let Some(agent) = other_agent(text) else { return };
    let first = text.lines().next().unwrap_or_default().len();
    let message = format!("the data is for {agent}, which does not look for the file config");
    let layout = if agent == "cloud-init" { Layout::NoCloud } else { Layout::ConfigDrive };
    let hint = format!("for {agent}, build the image with --layout {layout}");
    findings.push(Finding::new(Code::OtherAgent, 0..first, message).with_hint(hint));
}

/// Whether cloudbase-init, which reads config drives as well, does what cloud-init does not.
fn is_for_cloudbase_init(finding: &Finding) -> bool {
    finding.code == Code::UnknownKey && matches!(&*finding.path, "set_hostname" | "set_timezone")
}

/// Checks text that is not a config tree, and the parts that it consists of.
fn check_documents(data: &[u8], layout: Option<Layout>, rules: &Rules) -> Vec<CheckedText> {
    let mut decoded = Vec::new();
    let whole = check_text(data, |text, findings| {
        if layout == Some(Layout::LinuxKit) {
            check_agent(text, findings);
        }
        let for_cloud_init = matches!(layout, Some(Layout::NoCloud | Layout::ConfigDrive));
        if layout == Some(Layout::ConfigDrive) && is_only_for_cloudbase_init(text) {
            return;
        }
        header::check_userdata(text, for_cloud_init, rules, findings);
        if layout != Some(Layout::LinuxKit) || !begins_with_from(text) {
            decoded = parts::check_parts(text, rules, findings);
        }
        if layout == Some(Layout::ConfigDrive) {
            findings.retain(|finding| !is_for_cloudbase_init(finding));
        }
    });
    let part = |DecodedPart { name, text, findings }| CheckedText {
        name: Some(name),
        text,
        findings,
        ..CheckedText::default()
    };
    iter::once(whole).chain(decoded.into_iter().map(part)).collect()
}

fn check_text(data: &[u8], check: impl FnOnce(&str, &mut Vec<Finding>)) -> CheckedText {
    let text = String::from_utf8_lossy(data).into_owned();
    let mut findings = Vec::new();
    if let Some(finding) = binary::find_utf16(data) {
        return CheckedText { findings: vec![finding], ..CheckedText::default() };
    }
    if let Some(at) = binary::find_nul(data) {
        let message = format!("byte {at} is a NUL character, which text cannot contain");
        findings.push(Finding::new(Code::Binary, 0..0, message));
        return CheckedText { findings, ..CheckedText::default() };
    }
    if let Err(error) = str::from_utf8(data) {
        let at = error.valid_up_to();
        let end = at + '\u{fffd}'.len_utf8();
        findings.push(Finding::new(Code::NotUtf8, at..end, format!("byte {at} is not UTF-8")));
    } else if text.starts_with('\u{feff}') {
        let message =
            "the text starts with a byte order mark, which cloud-init takes for part of the first line";
        findings.push(
            Finding::new(Code::ByteOrderMark, 0..3, message)
                .with_hint("save the file as UTF-8 without a byte order mark"),
        );
    } else {
        check(&text, &mut findings);
    }
    findings.sort_by_key(|finding| (finding.code.severity() == Severity::Warning, finding.span.start));
    CheckedText { text, findings, ..CheckedText::default() }
}
