//! A second name for a file that was written.

use std::{ffi::OsStr, io};

use rustix::fs::{AtFlags, fstat, linkat};

use super::{ConfinedDir, WriteOutcome};
use crate::{
    error::{Context, Result},
    os,
    output::{atomic_file::open_regular, leftover, temporary::uninterrupted},
};

impl ConfinedDir {
    /// Gives the file `from`, which this run wrote, a second name `to`, and makes the directories above that.
    ///
    /// An existing file or link is kept, unless `force` is given; a directory is never replaced.
    ///
    /// # Errors
    /// Fails if a component of a path is not a normal name, something above `to` is not a directory, `from` is not a regular
    /// file, or the file system refuses. It may have no hard links, or no more for one file: then the error is of the kind
    /// [`Io`](crate::error::ErrorKind::Io), and nothing has changed.
    pub fn link_file(&self, from: &[u8], to: &[u8], force: bool) -> Result<WriteOutcome> {
        let (from_directory, from) = self.make_parent(from)?;
        let (directory, to) = self.make_parent(to)?;
        if directory.is_kept(&to, force)? {
            return Ok(WriteOutcome::Kept);
        }
        let file = open_regular(&from_directory.handle, &from)?
            .context("the first file of this content no longer exists")?;
        let link = |name: &OsStr| -> io::Result<()> {
            Ok(linkat(&from_directory.handle, &from, &directory.handle, name, AtFlags::empty())?)
        };
        match link(&to) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !force => {
                return Ok(WriteOutcome::Kept);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            linked => return Ok(linked.map(|()| WriteOutcome::Written)?),
        }
        // Renaming one of two names of a file to the other does nothing, and leaves both (rename(2)).
        let found = fstat(&file).map_err(io::Error::from)?;
        if !directory.find(&to).is_some_and(|named| os::is_same_file(&named, &found)) {
            uninterrupted(|| leftover::replace(&file, &directory.handle, &to, link))?;
        }
        Ok(WriteOutcome::Written)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::Write,
        os::unix::fs::{MetadataExt as _, symlink},
    };

    use super::*;

    fn write(root: &ConfinedDir, path: &str) -> Result<WriteOutcome> {
        root.write_file(path.as_bytes(), 0o640, false, |file| Ok(file.write_all(b"new")?))
    }

    #[test]
    fn a_file_gets_a_further_name_where_it_may_be_written() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let path = |name: &str| directory.path().join(name);
        let root = ConfinedDir::open_or_create(directory.path())?;
        let link = |to: &str, force| root.link_file(b"a/file", to.as_bytes(), force);
        let inode = |name: &str| fs::symlink_metadata(path(name)).map(|found| found.ino());
        write(&root, "a/file")?;
        assert_eq!(link("b/c/new", false)?, WriteOutcome::Written);
        fs::write(path("old"), "old")?;
        symlink("old", path("link"))?;
        for name in ["old", "link", "b"] {
            assert_eq!(link(name, false)?, WriteOutcome::Kept);
        }
        assert_eq!(fs::read(path("old"))?, b"old");
        assert!(link("b", true).is_err(), "a directory");
        // The second time it has the name already.
        for name in ["link", "old", "old", "a/file"] {
            assert_eq!(link(name, true)?, WriteOutcome::Written);
        }
        for name in ["b/c/new", "old", "link"] {
            assert_eq!(inode(name)?, inode("a/file")?, "{name}");
        }
        for path in ["../x", "/x", ""] {
            assert!(link(path, true).is_err(), "{path:?}");
        }
        assert!(root.link_file(b"absent", b"x", false).is_err());
        symlink("old", path("elsewhere"))?;
        assert!(root.link_file(b"elsewhere", b"x", false).is_err());
        let [names, below] = ["", "a"].map(|name| fs::read_dir(path(name)).unwrap().count());
        assert_eq!((names, below), (5, 1), "no temporary is left");
        Ok(())
    }
}
