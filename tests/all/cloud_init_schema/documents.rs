//! The documents in testdata/userdata/schema, whose README.md says how they are written.

use std::{fs, path::PathBuf};

/// What a document says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing is wrong.
    Valid,
    /// Nothing is wrong, but the cloud-init beside which the tests run rejects it.
    BeyondCloudInit,
    /// Something still works and has been replaced.
    Deprecated,
    /// Something is wrong.
    Invalid,
}

pub(super) struct Document {
    /// The file's name and the number in it, from 1.
    pub(super) name: String,
    pub(super) text: String,
    pub(super) verdict: Verdict,
}

pub(super) fn documents() -> impl Iterator<Item = Document> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("testdata/userdata/schema");
    let mut paths: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    paths.sort();
    paths.into_iter().flat_map(|path| {
        let file = path.file_name().unwrap().to_str().unwrap().to_owned();
        let text = fs::read_to_string(&path).unwrap();
        let texts: Vec<_> = text.split("\n---\n").map(str::to_owned).collect();
        texts.into_iter().enumerate().map(move |(at, text)| {
            let name = format!("{file}, document {}", at + 1);
            let verdict = verdict(&text).unwrap_or_else(|| panic!("{name} does not say what it is"));
            Document { name, text: format!("#cloud-config\n{text}"), verdict }
        })
    })
}

fn verdict(text: &str) -> Option<Verdict> {
    match text.lines().next()?.strip_prefix("# ")? {
        "valid" => Some(Verdict::Valid),
        line if line.starts_with("valid ") => Some(Verdict::BeyondCloudInit),
        line if line.starts_with("deprecated ") => Some(Verdict::Deprecated),
        line if line.starts_with("invalid ") && line.contains(": ") => Some(Verdict::Invalid),
        _ => None,
    }
}
