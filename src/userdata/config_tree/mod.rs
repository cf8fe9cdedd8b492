//! The config tree: JSON user data that becomes files below `/run/config`.
//!
//! The document is an object of entries by name. An entry with `content` is a file, one with `entries` is a directory. `perm`
//! is its mode as an octal string.

mod entry_checks;
mod fields;
mod json;
pub mod parse;

pub(in crate::userdata) use json::check_syntax;

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Serialize, Serializer, ser::SerializeMap};

/// The most levels of directories.
pub const DEPTH_MAX: usize = 128;

/// Top-level names that belong to the agent.
pub const RESERVED: [&str; 2] = ["provider", "userdata"];

/// Entries in the order of their names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigTree {
    /// The entries by name.
    pub entries: BTreeMap<String, Entry>,
}

/// A file or directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its mode, if one is given.
    pub perm: Option<Mode>,
    /// Its content, or its entries.
    pub node: Node,
}

/// Whether an entry is a file or a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A file with this content.
    File(String),
    /// A directory.
    Directory(ConfigTree),
}

impl ConfigTree {
    /// Adds the entries that only `other` has. If both have a directory of the same name, its entries are added.
    ///
    /// Returns the paths in `other` that are left out because one tree has a file where the other has a directory.
    pub fn fill_from(&mut self, other: Self) -> Vec<String> {
        let mut left_out = Vec::new();
        for (name, theirs) in other.entries {
            let Some(ours) = self.entries.get_mut(&name) else {
                self.entries.insert(name, theirs);
                continue;
            };
            match (&mut ours.node, theirs.node) {
                (Node::Directory(tree), Node::Directory(other)) => {
                    ours.perm = ours.perm.or(theirs.perm);
                    let below = tree.fill_from(other);
                    left_out.extend(below.into_iter().map(|path| format!("{name}/{path}")));
                }
                (Node::File(_), Node::File(_)) => {}
                _ => left_out.push(name),
            }
        }
        left_out
    }
}

impl Entry {
    /// A file.
    #[must_use]
    pub fn file(content: String, perm: Option<Mode>) -> Self {
        Self { perm, node: Node::File(content) }
    }

    /// A directory.
    #[must_use]
    pub fn directory(tree: ConfigTree, perm: Option<Mode>) -> Self {
        Self { perm, node: Node::Directory(tree) }
    }

    /// The permission bits in the guest: those of `perm` without the setuid, setgid and sticky bit. Without `perm`, a file
    /// has 0644 and a directory 0755.
    #[must_use]
    pub fn permissions(&self) -> u32 {
        match (&self.perm, &self.node) {
            (Some(mode), _) => u32::from(mode.0 & 0o777),
            (None, Node::File(_)) => FILE_MODE,
            (None, Node::Directory(_)) => DIRECTORY_MODE,
        }
    }
}

/// Permission bits of a file without `perm`.
pub const FILE_MODE: u32 = 0o644;

/// Permission bits of a directory without `perm`.
pub const DIRECTORY_MODE: u32 = 0o755;

/// Permission bits up to 07777, written as an octal number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(u16);

impl Mode {
    /// `None`: a bit above 07777 is set.
    #[must_use]
    pub fn new(bits: u32) -> Option<Self> {
        u16::try_from(bits).ok().filter(|bits| *bits <= 0o7777).map(Self)
    }

    /// Its bits.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.0.into()
    }
}

impl FromStr for Mode {
    type Err = ();

    /// # Errors
    /// Fails if the text is not an octal number up to 07777.
    fn from_str(text: &str) -> Result<Self, ()> {
        let octal = !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'7'));
        let bits = if octal { u32::from_str_radix(text, 8).ok() } else { None };
        bits.and_then(Self::new).ok_or(())
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl Serialize for ConfigTree {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.entries.serialize(serializer)
    }
}

impl Serialize for Entry {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        if let Some(perm) = &self.perm {
            map.serialize_entry("perm", &perm.to_string())?;
        }
        match &self.node {
            Node::File(content) => map.serialize_entry("content", content)?,
            Node::Directory(tree) => map.serialize_entry("entries", tree)?,
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_filled_with_the_entries_that_it_lacks() {
        let file = |content: &str| Entry::file(content.to_owned(), None);
        let tree = |entries: Vec<(&str, Entry)>| ConfigTree {
            entries: entries.into_iter().map(|(name, entry)| (name.to_owned(), entry)).collect(),
        };
        let ssh = Entry::directory(tree(vec![("keys", file("ours")), ("config", file("ours"))]), None);
        let mut ours = tree(vec![("ssh", ssh), ("file", file("ours"))]);
        let ssh = Entry::directory(
            tree(vec![("keys", file("theirs")), ("more", file("theirs"))]),
            Mode::new(0o700),
        );
        let directory = Entry::directory(ConfigTree::default(), None);
        let left_out =
            ours.fill_from(tree(vec![("ssh", ssh), ("file", directory), ("hostname", file("theirs"))]));
        assert_eq!(left_out, ["file"]);
        assert_eq!(
            serde_json::to_string(&ours).unwrap(),
            r#"{"file":{"content":"ours"},"hostname":{"content":"theirs"},"ssh":{"perm":"0700","entries":{"config":{"content":"ours"},"keys":{"content":"ours"},"more":{"content":"theirs"}}}}"#
        );
    }
}
