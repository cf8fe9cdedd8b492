//! The config tree: JSON user data that becomes files below `/run/config`.
//!
//! The document is a map from names to entries. An entry has `content`, and is a file, or `entries`, and is a
//! directory; `perm` is its mode as an octal string.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Serialize, Serializer, ser::SerializeMap};

/// Directories below one another at most.
pub const DEPTH_MAX: usize = 128;

/// Files that the agent makes itself.
pub const RESERVED: [&str; 2] = ["provider", "userdata"];

/// Names and what they are, in the order of the names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigTree {
    /// The entries by name.
    pub entries: BTreeMap<String, Entry>,
}

/// A file or directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its mode, where one is given.
    pub perm: Option<Mode>,
    /// What it is.
    pub node: Node,
}

/// What an entry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    /// A file with this content.
    File(String),
    /// A directory.
    Directory(ConfigTree),
}

impl Entry {
    /// The permission bits that the guest gives it: those of `perm` without setuid, setgid and sticky bit, or 0644 for
    /// a file and 0755 for a directory.
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

/// Permission bits up to 07777, as text an octal number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(u16);

impl Mode {
    /// `None`: bits above 07777.
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
    /// It has other characters than octal digits, or is over 07777.
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
