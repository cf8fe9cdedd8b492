//! Makes a config tree of a directory on the host.

use std::{
    fs,
    os::unix::fs::{FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use walkdir::WalkDir;

use super::config_tree::{ConfigTree, DEPTH_MAX, DIRECTORY_MODE, Entry, FILE_MODE, Mode, Node};

/// A file that has no place in a config tree, and why.
#[derive(Debug)]
pub struct Fault {
    /// Its path on the host.
    pub path: PathBuf,
    /// Why, in words that follow the path.
    pub why: String,
}

/// The tree of what is below `directory`, whatever the order on disk, or everything that cannot be in one.
///
/// Files have their content, files and directories their permission bits, which are left out where they are the ones
/// that an entry without `perm` gets. `follow`: a symbolic link stands for what it points to.
///
/// # Errors
/// `directory` is none or cannot be read.
pub fn pack(directory: &Path, follow: bool) -> Result<Result<ConfigTree, Vec<Fault>>> {
    fs::read_dir(directory).with_context(|| format!("reading directory {directory:?}"))?;
    let mut faults = Vec::new();
    // The directories down to the present one.
    let mut open = vec![(String::new(), None, ConfigTree::default())];
    let walk = WalkDir::new(directory).min_depth(1).follow_links(follow).sort_by_file_name();
    for found in walk {
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                let path = error.path().unwrap_or(directory).to_path_buf();
                let why = match error.io_error() {
                    Some(error) => error.to_string(),
                    None => "a symbolic link that leads back to a directory above it".to_owned(),
                };
                faults.push(Fault { path, why });
                continue;
            }
        };
        close(&mut open, found.depth());
        let path = found.path();
        let mut fault = |why: &str| faults.push(Fault { path: path.to_path_buf(), why: why.to_owned() });
        let Some(name) = found.file_name().to_str().map(str::to_owned) else {
            fault("its name is not UTF-8");
            continue;
        };
        let kind = found.file_type();
        if found.depth() > DEPTH_MAX + usize::from(!kind.is_dir()) {
            fault("there are more than 128 levels of directories");
            continue;
        }
        let mode = |default| match found.metadata() {
            Ok(metadata) => {
                let bits = metadata.permissions().mode() & 0o7777;
                Ok(Mode::new(bits).filter(|_| bits != default))
            }
            Err(error) => Err(error.to_string()),
        };
        let entry = if kind.is_dir() {
            match mode(DIRECTORY_MODE) {
                Ok(perm) => open.push((name, perm, ConfigTree::default())),
                Err(why) => fault(&why),
            }
            continue;
        } else if kind.is_file() {
            let content = fs::read(path).map_err(|error| error.to_string());
            let content = content.and_then(|bytes| {
                String::from_utf8(bytes).map_err(|error| {
                    let at = error.utf8_error().valid_up_to();
                    format!("byte {at} of its content is not UTF-8, and a config tree is text")
                })
            });
            content.and_then(|content| Ok(Entry { perm: mode(FILE_MODE)?, node: Node::File(content) }))
        } else if kind.is_symlink() {
            Err("a symbolic link (--follow stores what it points to)".to_owned())
        } else if kind.is_socket() {
            Err("a socket".to_owned())
        } else if kind.is_fifo() {
            Err("a FIFO".to_owned())
        } else {
            Err("a device".to_owned())
        };
        match (entry, open.last_mut()) {
            (Ok(entry), Some((_, _, tree))) => drop(tree.entries.insert(name, entry)),
            (Ok(_), None) => {}
            (Err(why), _) => fault(&why),
        }
    }
    close(&mut open, 1);
    let (_, _, tree) = open.pop().context("the directory itself stays open")?;
    Ok(if faults.is_empty() { Ok(tree) } else { Err(faults) })
}

/// The user data with this tree: JSON in one line.
///
/// # Errors
/// Never, for a tree that [`pack`] made.
pub fn to_json(tree: &ConfigTree) -> Result<Vec<u8>> {
    let mut json = serde_json::to_vec(tree)?;
    json.push(b'\n');
    Ok(json)
}

/// Puts the directories that are deeper than `depth` into those above them.
fn close(open: &mut Vec<(String, Option<Mode>, ConfigTree)>, depth: usize) {
    while open.len() > depth {
        let Some((name, perm, tree)) = open.pop() else { return };
        if let Some((_, _, above)) = open.last_mut() {
            above.entries.insert(name, Entry { perm, node: Node::Directory(tree) });
        }
    }
}
