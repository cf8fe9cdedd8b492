//! What a run has written, by the identity of the file, to notice a file system that takes two names for one: names that differ in
//! case only (APFS, HFS+, SMB, ext4 with `casefold`), or in how an accent is encoded.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    sync::{Mutex, PoisonError},
};

use rustix::fs::Stat;

use crate::os;

/// The names of files and directories, by device and inode.
#[derive(Debug, Default)]
pub(super) struct MetNames {
    names: Mutex<HashMap<(u64, u64), OsString>>,
}

impl MetNames {
    /// Notes the name that something was written under.
    pub(super) fn add(&self, written: &Stat, name: &OsStr) {
        let mut names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.insert(os::identity(written), name.to_owned());
    }

    /// The name that `found` was written under, if it is not `name`.
    pub(super) fn other_name(&self, found: &Stat, name: &OsStr) -> Option<OsString> {
        let names = self.names.lock().unwrap_or_else(PoisonError::into_inner);
        names.get(&os::identity(found)).filter(|other| *other != name).cloned()
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write};

    use crate::{
        error::Result,
        output::confined_dir::{ConfinedDir, WriteOutcome},
    };

    fn write(root: &ConfinedDir, path: &str, content: &str, force: bool) -> Result<WriteOutcome> {
        root.write_file(path.as_bytes(), 0o600, force, |file| Ok(file.write_all(content.as_bytes())?))
    }

    /// A second name for a file looks as it does where `a` leads to `A`.
    #[test]
    fn a_name_that_leads_to_a_file_written_before_is_an_error() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let root = ConfinedDir::open_or_create(directory.path())?;
        let path = |name: &str| directory.path().join(name);
        write(&root, "d/A", "first", true)?;
        fs::hard_link(path("d/A"), path("d/a"))?;
        for force in [false, true] {
            let error = write(&root, "d/a", "second", force).unwrap_err().to_string();
            assert_eq!(error, "the file system takes the name \"a\" for \"A\", which was just written");
            assert!(root.link_file(b"d/A", b"d/a", force).is_err());
            assert_eq!(fs::read_to_string(path("d/A"))?, "first");
        }
        // The same name again, and a name of which the first file is gone.
        write(&root, "d/A", "again", true)?;
        assert_eq!(fs::read_to_string(path("d/A"))?, "again");
        fs::rename(path("d/A"), path("d/b"))?;
        assert_eq!(write(&root, "d/b", "other", true)?, WriteOutcome::Written);
        // What an earlier run left with two names.
        fs::write(path("x"), "old")?;
        fs::hard_link(path("x"), path("X"))?;
        write(&root, "x", "new", true)?;
        write(&root, "X", "newer", true)?;
        assert_eq!(fs::read_to_string(path("x"))?, "new");
        Ok(())
    }

    #[test]
    fn a_directory_is_made_again_under_its_own_name() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let root = ConfinedDir::open_or_create(directory.path())?;
        root.make_directory(b"D")?;
        root.make_directory(b"D")?;
        fs::rename(directory.path().join("D"), directory.path().join("d"))?;
        root.make_directory(b"d")?;
        Ok(())
    }
}
