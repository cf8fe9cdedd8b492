//! Writes a config tree as files and directories.

use std::io::Write;

use crate::error::{Context, Result};

use super::config_tree::{ConfigTree, Entry, Node};
use crate::output::confined_dir::ConfinedDir;

/// Writes the files and directories of `tree` into `directory`, with their modes whatever the umask.
///
/// Existing files are replaced, but a directory is never replaced by a file. `each` is called for every entry with the result
/// of writing it, for a directory after its entries. A failure does not stop the others.
pub fn unpack(tree: &ConfigTree, directory: &ConfinedDir, each: &mut dyn FnMut(TreeItem, Result<()>)) {
    unpack_below(tree, directory, "", each);
}

fn unpack_below(
    tree: &ConfigTree,
    directory: &ConfinedDir,
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
    directory: &ConfinedDir,
    name: &str,
    listed: &TreeItem,
    each: &mut dyn FnMut(TreeItem, Result<()>),
) -> Result<()> {
    let below = directory.make_directory(name.as_bytes())?;
    unpack_below(tree, &below, &listed.path, each);
    below.seal(listed.mode).context("setting the mode")
}

/// Writes a file. It replaces an existing one of its name.
///
/// # Errors
/// Fails if a directory has the name, or the file cannot be written.
pub fn write(directory: &ConfinedDir, name: &str, mode: u32, content: &[u8]) -> Result<()> {
    directory.write_file(name.as_bytes(), mode, true, |file| Ok(file.write_all(content)?))?;
    Ok(())
}

/// A file or directory of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeItem {
    /// Its path below the directory of the tree.
    pub path: String,
    /// Its permission bits.
    pub mode: u32,
    /// The length of a file in bytes; `None`: a directory.
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

/// What [`unpack`] writes, directories before their entries.
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
