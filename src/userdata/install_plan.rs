//! What is written into a guest's directory: the raw user data, the files of its config tree, and entries of the provider.

use std::borrow::Cow;

use crate::error::Result;
use serde::Serialize;

use super::{
    config_tree::{
        ConfigTree, Node,
        parse::{self, Parsed},
    },
    finding::{Code, Finding, Lines, Severity},
    unpack::{self, TreeItem},
};
use crate::output::confined_dir::ConfinedDir;

/// Permission bits of the raw user data, which repeats every secret of the tree.
const USERDATA_MODE: u32 = 0o600;

const CONFLICT: &str =
    "the provider's value is left out, because the user data uses this name for something else";

/// Permission bits of `provider`.
const PROVIDER_MODE: u32 = 0o644;

/// Something that the guest should get and does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The path of the file or directory. Empty if it is not known, or if all of the user data is lost.
    pub path: String,
    /// The reason.
    pub reason: String,
}

impl Loss {
    /// The loss of `path`.
    pub fn new(path: &str, reason: impl Into<String>) -> Self {
        Self { path: path.to_owned(), reason: reason.into() }
    }
}

/// What is to be written.
#[derive(Debug)]
pub struct InstallPlan<'a> {
    userdata: Option<&'a [u8]>,
    tree: ConfigTree,
    /// Paths of the provider that conflict with the user data.
    conflicts: Vec<String>,
    findings: Vec<Finding>,
    text: Cow<'a, str>,
}

impl<'a> InstallPlan<'a> {
    /// The plan for `userdata`, if there is any, and for those of the provider's entries whose names the user data does not
    /// use.
    #[must_use]
    pub fn new(userdata: Option<&'a [u8]>, entries: ConfigTree) -> Self {
        let parsed = userdata.filter(|data| parse::looks_like_tree(data)).map(parse::parse);
        let Parsed { tree, findings, text } =
            parsed.unwrap_or_else(|| Parsed { tree: None, findings: Vec::new(), text: "".into() });
        let mut tree = tree.unwrap_or_default();
        let conflicts = tree.fill_from(entries);
        Self { userdata, tree, conflicts, findings, text }
    }

    /// What is lost: by errors in the user data, and by conflicts with the provider's entries. A host name that cannot be set
    /// is not a loss, because it is written.
    #[must_use]
    pub fn losses(&self) -> Vec<Loss> {
        let is_loss =
            |finding: &&Finding| finding.code.severity() == Severity::Error && finding.code != Code::HostName;
        let found = self.findings.iter().filter(is_loss);
        let found = found.map(|finding| Loss::new(&finding.path, &finding.message));
        let conflicts = self.conflicts.iter().map(|path| Loss::new(path, CONFLICT));
        found.chain(conflicts).collect()
    }

    /// The findings about the user data, each on one line with its position in `name`.
    pub fn lines(&self, name: &str) -> impl Iterator<Item = (Severity, String)> {
        let lines = Lines::of(&self.text);
        let line = move |finding: &Finding| (finding.code.severity(), finding.in_one_line(name, &lines));
        let conflict = |path: &String| (Severity::Error, format!("{path:?}: {CONFLICT}"));
        self.findings.iter().map(line).chain(self.conflicts.iter().map(conflict))
    }

    /// The host name, without a newline at its end.
    #[must_use]
    pub fn hostname(&self) -> Option<&str> {
        match &self.tree.entries.get("hostname")?.node {
            Node::File(content) => Some(content.strip_suffix('\n').unwrap_or(content)),
            Node::Directory(_) => None,
        }
    }

    /// Everything that is written except `provider`, directories before their entries.
    #[must_use]
    pub fn list(&self) -> Vec<TreeItem> {
        let mut listed: Vec<_> =
            self.userdata.map(|data| file("userdata", USERDATA_MODE, data)).into_iter().collect();
        listed.extend(unpack::list(&self.tree));
        listed
    }

    /// Writes everything, and `origin` to `provider` if it is given. `each` is called for every file and directory with the
    /// result of writing it. A failure does not stop the others.
    pub fn write(
        &self,
        directory: &ConfinedDir,
        origin: Option<&str>,
        each: &mut dyn FnMut(TreeItem, Result<()>),
    ) {
        let mut write = |name, mode, content: &[u8]| {
            each(file(name, mode, content), unpack::write(directory, name, mode, content));
        };
        if let Some(origin) = origin {
            write("provider", PROVIDER_MODE, origin.as_bytes());
        }
        if let Some(data) = self.userdata {
            write("userdata", USERDATA_MODE, data);
        }
        unpack::unpack(&self.tree, directory, each);
    }
}

fn file(name: &str, mode: u32, content: &[u8]) -> TreeItem {
    TreeItem { path: name.to_owned(), mode, len: Some(content.len()) }
}
