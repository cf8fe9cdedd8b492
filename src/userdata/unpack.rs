//! Makes files and directories of a config tree.

use std::io::Write;

use crate::error::{Context, Result};

use super::config_tree::{ConfigTree, Entry, Node};
use crate::output::confined_dir::Directory;

/// Writes `tree` beneath `directory`: its files and directories with their modes, whatever the umask.
///
/// What is there already is replaced, but a directory never by a file. `each` is told of every entry, of a directory after
/// what is in it, and whether it was written; one that was not does not keep the others from it.
pub fn unpack(tree: &ConfigTree, directory: &Directory, each: &mut dyn FnMut(TreeItem, Result<()>)) {
    unpack_below(tree, directory, "", each);
}

fn unpack_below(
    tree: &ConfigTree,
    directory: &Directory,
    above: &str,
    each: &mut dyn FnMut(TreeItem, Result<()>),
) {
    for (name, entry) in &tree.entries {
        let listed = TreeItem::of(entry, join(above, name));
        let written = match &entry.node {
            Node::File(content) => write(directory, name, listed.mode, content.as_bytes()),
            Node::Directory(tree) => unpack_directory(tree, directory, name, &listed, each),
        };
        each(listed, written);
    }
}

fn unpack_directory(
    tree: &ConfigTree,
    directory: &Directory,
    name: &str,
    listed: &TreeItem,
    each: &mut dyn FnMut(TreeItem, Result<()>),
) -> Result<()> {
    let below = directory.make_directory(name.as_bytes())?;
    unpack_below(tree, &below, &listed.path, each);
    below.seal(listed.mode).context("setting its mode")
}

/// Writes one file, which replaces what has its name.
///
/// # Errors
/// There is a directory of that name, or the system refuses.
pub fn write(directory: &Directory, name: &str, mode: u32, content: &[u8]) -> Result<()> {
    directory.write_file(name.as_bytes(), mode, true, |file| Ok(file.write_all(content)?))?;
    Ok(())
}

/// A file or directory of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeItem {
    /// Its path from the top.
    pub path: String,
    /// The permission bits that it gets.
    pub mode: u32,
    /// Bytes of a file's content; `None`: a directory.
    pub len: Option<usize>,
}

impl TreeItem {
    fn of(entry: &Entry, path: String) -> Self {
        let len = match &entry.node {
            Node::File(content) => Some(content.len()),
            Node::Directory(_) => None,
        };
        Self { path, mode: entry.permissions(), len }
    }
}

/// What [`unpack`] writes, directories before what is in them.
#[must_use]
pub fn list(tree: &ConfigTree) -> Vec<TreeItem> {
    let mut listed = Vec::new();
    list_below(tree, "", &mut listed);
    listed
}

fn list_below(tree: &ConfigTree, above: &str, listed: &mut Vec<TreeItem>) {
    for (name, entry) in &tree.entries {
        let item = TreeItem::of(entry, join(above, name));
        listed.push(item.clone());
        if let Node::Directory(tree) = &entry.node {
            list_below(tree, &item.path, listed);
        }
    }
}

fn join(above: &str, name: &str) -> String {
    if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") }
}
