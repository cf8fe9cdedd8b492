//! How the files of a group get to disk where the system has no syncfs(2): one by one.

use std::{collections::BTreeSet, fs::File, io};

use rustix::fs::fsync;

use super::confined_dir::ConfinedDir;
use crate::{error::Result, os};

/// What is synced, and how.
#[derive(Clone, Copy, Debug)]
pub(super) struct Durability {
    /// Whether new files are synced too.
    new_files: bool,
    /// Whether each file must be synced, since the system cannot sync a whole file system.
    pub(super) one_by_one: bool,
}

impl Durability {
    /// As this system can do it.
    pub(super) fn of_system(new_files: bool) -> Self {
        Self { new_files, one_by_one: !os::SYNCS_FILE_SYSTEMS }
    }

    /// Whether a new file is synced before it gets its name.
    pub(super) fn syncs_new(self) -> bool {
        self.new_files && self.one_by_one
    }

    /// Has the system write the data of a file to its drive, if nothing else does. The cache of the drive may keep it until
    /// [`os::sync_file_system`].
    ///
    /// # Errors
    /// Fails if it could not be written.
    pub(super) fn send_to_drive(self, file: &File) -> io::Result<()> {
        if self.one_by_one { Ok(fsync(file)?) } else { Ok(()) }
    }
}

/// Syncs the names in the directories `used` beneath `root`, and in those above them.
///
/// # Errors
/// Fails if one of them is gone or could not be written.
pub(super) fn sync_directories(root: &ConfinedDir, used: &BTreeSet<Vec<u8>>) -> Result<()> {
    for path in with_those_above(used) {
        let (_, handle) = root.subdirectory(path)?.device()?;
        os::sync_directory(handle)?;
    }
    Ok(())
}

/// The directories, and those above them. The empty path is the root.
fn with_those_above(used: &BTreeSet<Vec<u8>>) -> BTreeSet<&[u8]> {
    let above = |path: &'_ [u8]| path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    let mut all = BTreeSet::new();
    for path in used {
        let mut path = path.as_slice();
        while all.insert(path) && !path.is_empty() {
            path = &path[..above(path)];
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_synced_in_every_directory_up_to_the_root() {
        let used = ["a/b/c", "a/b", "d"].map(|path| path.as_bytes().to_vec()).into();
        let all: Vec<_> =
            with_those_above(&used).into_iter().map(|path| str::from_utf8(path).unwrap()).collect();
        assert_eq!(all, ["", "a", "a/b", "a/b/c", "d"]);
    }
}
