//! Makes files and directories of a config tree.

use std::io::Write;

use anyhow::{Context, Result};

use super::config_tree::{ConfigTree, Entry, Node};
use crate::output::tree::Directory;

/// Writes `tree` beneath `directory`: its files and directories with their modes, whatever the umask.
///
/// What is there already is replaced, but a directory never by a file. An entry that cannot be written is handed to
/// `skipped` with its path, and the others are written all the same.
pub fn unpack(tree: &ConfigTree, directory: &Directory, skipped: &mut dyn FnMut(&str, anyhow::Error)) {
    unpack_below(tree, directory, "", skipped);
}

fn unpack_below(
    tree: &ConfigTree,
    directory: &Directory,
    above: &str,
    skipped: &mut dyn FnMut(&str, anyhow::Error),
) {
    for (name, entry) in &tree.entries {
        let path = join(above, name);
        if let Err(error) = unpack_entry(name, entry, directory, &path, skipped) {
            skipped(&path, error);
        }
    }
}

fn unpack_entry(
    name: &str,
    entry: &Entry,
    directory: &Directory,
    path: &str,
    skipped: &mut dyn FnMut(&str, anyhow::Error),
) -> Result<()> {
    match &entry.node {
        Node::File(content) => {
            write(directory, name, entry.permissions(), content.as_bytes())?;
        }
        Node::Directory(tree) => {
            let below = directory.make_directory(name.as_bytes())?;
            unpack_below(tree, &below, path, skipped);
            below.seal(entry.permissions()).context("setting its mode")?;
        }
    }
    Ok(())
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
pub struct Listed {
    /// Its path from the top.
    pub path: String,
    /// The permission bits that it gets.
    pub mode: u32,
    /// Bytes of a file's content; `None`: a directory.
    pub len: Option<usize>,
}

/// What [`unpack`] writes, directories before what is in them.
#[must_use]
pub fn list(tree: &ConfigTree) -> Vec<Listed> {
    let mut listed = Vec::new();
    list_below(tree, "", &mut listed);
    listed
}

fn list_below(tree: &ConfigTree, above: &str, listed: &mut Vec<Listed>) {
    for (name, entry) in &tree.entries {
        let path = join(above, name);
        let mode = entry.permissions();
        match &entry.node {
            Node::File(content) => listed.push(Listed { path, mode, len: Some(content.len()) }),
            Node::Directory(tree) => {
                listed.push(Listed { path: path.clone(), mode, len: None });
                list_below(tree, &path, listed);
            }
        }
    }
}

fn join(above: &str, name: &str) -> String {
    if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") }
}
