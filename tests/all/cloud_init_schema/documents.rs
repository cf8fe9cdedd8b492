//! The documents in testdata/userdata/schema, whose README.md says how they are written.

use std::{collections::BTreeSet, fs, path::PathBuf};

use metadata_image::userdata::finding::Code;

use super::opinion::Found;

/// How a comment begins that says what older versions of cloud-init accept.
const FORMERLY: &str = "deprecated before 25.1: ";

/// How a comment begins that says what later versions of cloud-init have replaced.
const LATER: &str = "deprecated since 25.3: ";

/// The first line of a cloud-config.
pub(super) const CLOUD_CONFIG: &str = "#cloud-config";

/// The first line of a network configuration, by which these tests know it. It is nothing but a comment elsewhere.
pub(super) const NETWORK_CONFIG: &str = "#network-config";

/// How a comment begins that says what netplan refuses and cloud-init's schema accepts.
const NETPLAN: &str = "invalid for netplan ";

/// What a document says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing is wrong.
    Valid,
    /// Nothing is wrong, but the cloud-init beside which the tests run rejects it.
    BeyondCloudInit,
    /// Something still works and has been replaced.
    Deprecated,
    /// Nothing is wrong, but a later cloud-init than that beside which the tests run has replaced something.
    DeprecatedLater,
    /// Something is wrong.
    Invalid,
    /// Something is wrong, but cloud-init's schema does not look at it.
    Unseen,
}

pub(super) struct Document {
    /// The file's name and the number in it, from 1.
    pub(super) name: String,
    pub(super) text: String,
    pub(super) verdict: Verdict,
    /// Kind and path of what is to be found.
    expected: BTreeSet<(String, String)>,
}

pub(super) fn documents() -> impl Iterator<Item = Document> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/userdata/schema");
    let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    paths.into_iter().flat_map(|path| {
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        let header = if file.starts_with("network_") { NETWORK_CONFIG } else { CLOUD_CONFIG };
        let text = fs::read_to_string(&path).unwrap();
        let texts: Vec<_> = text.split("\n---\n").map(str::to_owned).collect();
        texts.into_iter().enumerate().map(move |(at, text)| {
            let name = format!("{file}, document {}", at + 1);
            let verdict = verdict(&text).unwrap_or_else(|| panic!("{name} does not say what it is"));
            let expected =
                text.lines().map_while(|line| line.strip_prefix("# ")).filter_map(expectation).collect();
            Document { name, text: format!("{header}\n{text}\n"), verdict, expected }
        })
    })
}

/// Files of testdata/userdata about which nothing is found: name, first line, text.
pub(super) fn right_files() -> impl Iterator<Item = (String, &'static str, String)> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/userdata");
    let mut paths: Vec<_> = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().filter_map(|path| {
        let findings = path.with_extension("yaml.findings");
        let text = fs::read_to_string(&path).ok()?;
        let is_cloud_config = text.lines().next() == Some(CLOUD_CONFIG);
        (!findings.exists() && is_cloud_config).then(|| (path.display().to_string(), CLOUD_CONFIG, text))
    })
}

fn verdict(text: &str) -> Option<Verdict> {
    match text.lines().next()?.strip_prefix("# ")? {
        "valid" => Some(Verdict::Valid),
        line if line.starts_with("valid ") || line.starts_with(FORMERLY) => Some(Verdict::BeyondCloudInit),
        line if line.starts_with(LATER) => Some(Verdict::DeprecatedLater),
        line if line.starts_with("deprecated ") => Some(Verdict::Deprecated),
        line if line.starts_with(NETPLAN) => Some(Verdict::Unseen),
        line if line.starts_with("invalid ") && line.contains(": ") => Some(Verdict::Invalid),
        _ => None,
    }
}

/// Kind and path that a comment announces.
fn expectation(comment: &str) -> Option<(String, String)> {
    if let Some(path) = [FORMERLY, LATER].iter().find_map(|words| comment.strip_prefix(words)) {
        return Some(("deprecated".to_owned(), path.to_owned()));
    }
    let comment = comment.replace(NETPLAN, "invalid ");
    let (verdict, rest) = comment.split_once(' ')?;
    let (kind, path) = match verdict {
        "deprecated" => ("deprecated", rest),
        "invalid" => rest.rsplit_once(": ").map(|(path, kind)| (kind, path))?,
        _ => return None,
    };
    // A mapping lacks a key, so the finding is about the mapping.
    let path = match kind {
        "missing" => path.rsplit_once('.').map_or("", |(parent, _)| parent),
        _ => path,
    };
    Some((kind.to_owned(), path.to_owned()))
}

/// The kind of a document's comment that a finding belongs to.
fn kind(code: Code) -> &'static str {
    match code {
        Code::Deprecated => "deprecated",
        Code::MissingKey => "missing",
        Code::UnknownKey | Code::UnexpectedKey => "unknown",
        Code::ValueType | Code::Unquoted => "type",
        Code::BadValue => "value",
        _ => code.name(),
    }
}

impl Document {
    /// Its first line.
    pub(super) fn header(&self) -> &str {
        self.text.lines().next().unwrap()
    }

    /// What should have been found and was not, and what was found besides.
    pub(super) fn differences(&self, findings: &[Found]) -> Vec<String> {
        let found: BTreeSet<_> =
            findings.iter().map(|found| (kind(found.code).to_owned(), found.path.clone())).collect();
        if found == self.expected && found.len() == findings.len() {
            return Vec::new();
        }
        let findings: Vec<_> = findings.iter().map(Found::to_string).collect();
        vec![format!("{}: {:?} expected, found:\n    {}", self.name, self.expected, findings.join("\n    "))]
    }
}
