//! What goes into a guest's directory: the raw user data, the files of its config tree, and what the provider adds.

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
use crate::output::confined_dir::Directory;

/// Permission bits of the raw user data: it repeats every secret of the tree.
const USERDATA_MODE: u32 = 0o600;

const NO_PLACE: &str = "the provider's is left out, since user data has something else of that name";

/// Permission bits of `provider`.
const PROVIDER_MODE: u32 = 0o644;

/// Something that a guest should have and will not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// The path of the file or directory, or empty: it cannot be told, or is all that the user data has.
    pub path: String,
    /// Why.
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
    /// What the provider adds and user data has no place for.
    no_place: Vec<String>,
    findings: Vec<Finding>,
    text: Cow<'a, str>,
}

impl<'a> InstallPlan<'a> {
    /// The plan for `userdata`, if there is any, and for the entries that a provider adds where user data has none of
    /// their names.
    #[must_use]
    pub fn new(userdata: Option<&'a [u8]>, entries: ConfigTree) -> Self {
        let parsed = userdata.filter(|data| parse::looks_like_tree(data)).map(parse::parse);
        let Parsed { tree, findings, text } =
            parsed.unwrap_or_else(|| Parsed { tree: None, findings: Vec::new(), text: "".into() });
        let mut tree = tree.unwrap_or_default();
        let no_place = tree.fill_from(entries);
        Self { userdata, tree, no_place, findings, text }
    }

    /// What is lost: by findings about the user data, and since that has a file in place of a directory or the other way
    /// round. A host name that cannot be set is no loss: it is written.
    #[must_use]
    pub fn losses(&self) -> Vec<Loss> {
        let is_loss =
            |finding: &&Finding| finding.code.severity() == Severity::Error && finding.code != Code::HostName;
        let found = self.findings.iter().filter(is_loss);
        let found = found.map(|finding| Loss::new(&finding.path, &finding.message));
        let no_place = self.no_place.iter().map(|path| Loss::new(path, NO_PLACE));
        found.chain(no_place).collect()
    }

    /// What is to say about the user data, each in one line with its place in `name`.
    pub fn lines(&self, name: &str) -> impl Iterator<Item = (Severity, String)> {
        let lines = Lines::of(&self.text);
        let line = move |finding: &Finding| (finding.code.severity(), finding.in_one_line(name, &lines));
        let no_place = |path: &String| (Severity::Error, format!("{path:?}: {NO_PLACE}"));
        self.findings.iter().map(line).chain(self.no_place.iter().map(no_place))
    }

    /// The host name, without a newline at its end.
    #[must_use]
    pub fn hostname(&self) -> Option<&str> {
        match &self.tree.entries.get("hostname")?.node {
            Node::File(content) => Some(content.strip_suffix('\n').unwrap_or(content)),
            Node::Directory(_) => None,
        }
    }

    /// Everything that is written but `provider`, directories before what is in them.
    #[must_use]
    pub fn list(&self) -> Vec<TreeItem> {
        let mut listed: Vec<_> =
            self.userdata.map(|data| file("userdata", USERDATA_MODE, data)).into_iter().collect();
        listed.extend(unpack::list(&self.tree));
        listed
    }

    /// Writes everything, and `origin` to `provider` where it is given. `each` is told of every file and directory, and
    /// whether it was written; one that was not does not keep the others from it.
    pub fn write(
        &self,
        directory: &Directory,
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
