//! Writes files beneath a directory and nowhere else, whatever their names and whatever links are found there.
//!
//! Every name is looked up in an open directory, and no symbolic link is followed.

mod hard_link;
mod met_names;

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::{fd::OwnedFd, unix::fs::MetadataExt as _},
    path::Path,
    sync::Arc,
};

use crate::{
    error::{Context, Result, bail, error},
    os,
};
use rustix::{
    fs::{AtFlags, FileType, Stat, fchmod, fstat, mkdirat, statat},
    io::Errno,
};

use super::{
    handle::{open_directory, open_readable, open_to_change},
    listing::{self, kind_of},
    names::{component, components},
    resolve::{self, Missing, WHILE_FILLED},
    unfinished::{Then, Unfinished},
};
use met_names::MetNames;

/// Permission bits of a file while it is being written.
const WHILE_WRITTEN: u32 = 0o600;

/// A directory to write beneath.
#[derive(Debug)]
pub struct ConfinedDir {
    handle: Arc<OwnedFd>,
    met: Arc<MetNames>,
    /// It was made just now, so that no earlier run has left anything in it.
    is_new: bool,
}

/// Whether a file was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOutcome {
    /// It was.
    Written,
    /// It was not: the name is taken, and `force` was not given.
    Kept,
}

impl ConfinedDir {
    /// Opens the directory `path`. If it does not exist, it is made with permission bits 0700; the one above it must exist.
    ///
    /// # Errors
    /// Fails if it is not a directory, or cannot be made or opened; if a symbolic link on the way is in `/proc`, or belongs to
    /// another user and is in a sticky directory that everybody may write to; or if another user exchanges it while it is
    /// made.
    pub fn open_or_create(path: &Path) -> Result<Self> {
        Self::resolve(path, Missing::Last)
    }

    /// As [`ConfinedDir::open_or_create`], and makes the directories above it as well. Those that are made get exactly the
    /// permission bits `mode`.
    ///
    /// # Errors
    /// Fails as [`ConfinedDir::open_or_create`] does.
    pub fn open_or_create_all(path: &Path, mode: u32) -> Result<Self> {
        Self::resolve(path, Missing::All(mode))
    }

    fn resolve(path: &Path, missing: Missing) -> Result<Self> {
        let handle =
            resolve::directory(path, missing).with_context(|| format!("opening directory {path:?}"))?;
        Ok(Self { handle: Arc::new(handle), met: Arc::default(), is_new: false })
    }

    pub(super) fn handle(&self) -> &Arc<OwnedFd> {
        &self.handle
    }

    /// The paths of files and links beneath the directory, at most `max` of them. Left out is what cannot be read, what is more
    /// than 128 levels deep, and what is in directories after the first 16,384.
    #[must_use]
    pub fn files(&self, max: usize) -> Vec<String> {
        listing::files(&*self.handle, max)
    }

    /// Opens the directory `path` beneath this one, and makes it and those above it if they do not exist. The empty path is
    /// this directory.
    ///
    /// # Errors
    /// Fails as [`ConfinedDir::make_directories`] does.
    pub(super) fn subdirectory(&self, path: &[u8]) -> Result<Self> {
        self.descend(&if path.is_empty() { Vec::new() } else { components(path)? })
    }

    /// The device that its file system is on, and a handle for syncfs(2).
    pub(super) fn device(&self) -> io::Result<(u64, File)> {
        let handle = File::from(open_readable(&self.handle)?);
        Ok((handle.metadata()?.dev(), handle))
    }

    /// Makes the directory `path`, with permission bits 0700, and those above it. An existing one stays as it is.
    ///
    /// # Errors
    /// Fails if a component of `path` is not a normal name, or exists and is not a directory.
    pub fn make_directories(&self, path: &[u8]) -> Result<()> {
        self.descend(&components(path)?).map(drop)
    }

    /// Makes or opens the directory `name`. Its owner has all rights until it is sealed.
    ///
    /// # Errors
    /// Fails if `name` is not a normal name, or exists and is not a directory.
    pub fn make_directory(&self, name: &[u8]) -> Result<Self> {
        let name = component(name)?;
        let below = self.open(&name).map_err(|error| match error {
            Errno::NOTDIR if self.find(&name).is_some_and(|found| kind_of(&found) == FileType::Symlink) => {
                error!("a symbolic link has this name")
            }
            Errno::NOTDIR => error!("a file has this name"),
            error => io::Error::from(error).into(),
        })?;
        let found = fstat(&below.handle).map_err(io::Error::from)?;
        self.check_met(&name, &found)?;
        self.met.add(&found, &name);
        if os::mode_bits(&found) & WHILE_FILLED != WHILE_FILLED {
            // Sealed by an earlier run. If it belongs to somebody else, writing to it fails.
            let _ = below.set_mode(WHILE_FILLED);
        }
        Ok(below)
    }

    /// Gives the directory the permission bits `mode`. Nothing more is to be written into it afterwards.
    ///
    /// # Errors
    /// Fails if the system refuses.
    pub fn seal(self, mode: u32) -> Result<()> {
        Ok(self.set_mode(mode).map_err(io::Error::from)?)
    }

    fn set_mode(&self, mode: u32) -> Result<(), Errno> {
        fchmod(open_to_change(&self.handle)?, os::mode(mode))
    }

    /// Writes the file `path` with permission bits `mode`, and makes the directories above it.
    ///
    /// The file gets its name when `content` has written all of it. An existing file or link is kept, unless `force` is given;
    /// a directory is never replaced.
    ///
    /// # Errors
    /// Fails if a component of `path` is not a normal name, something above it is not a directory, `content` fails, or the file
    /// system takes the name for another one that was written before, as one does that ignores case.
    pub fn write_file(
        &self,
        path: &[u8],
        mode: u32,
        force: bool,
        content: impl FnOnce(&mut File) -> Result<()>,
    ) -> Result<WriteOutcome> {
        let (directory, name) = self.make_parent(path)?;
        if directory.is_kept(&name, force)? {
            return Ok(WriteOutcome::Kept);
        }
        let unfinished = Unfinished::create(&directory.handle, &name, WHILE_WRITTEN)?;
        let own = fstat(&unfinished.file).map_err(io::Error::from)?;
        let written = write(unfinished, mode, force, directory.is_new, content)?;
        if written == WriteOutcome::Written {
            directory.met.add(&own, &name);
        }
        Ok(written)
    }

    /// Opens the directory of the file `path`, which is made if it does not exist, and returns the file's name there.
    fn make_parent(&self, path: &[u8]) -> Result<(Self, OsString)> {
        let mut directories = components(path)?;
        let name = directories.pop().context("the path is empty")?;
        Ok((self.descend(&directories)?, name))
    }

    /// Whether what has the name `name` stays there.
    fn is_kept(&self, name: &OsStr, force: bool) -> Result<bool> {
        let found = self.find(name);
        if let Some(found) = &found {
            self.check_met(name, found)?;
        }
        if force && found.is_some_and(|found| kind_of(&found) == FileType::Directory) {
            bail!("a directory has this name");
        }
        Ok(found.is_some() && !force)
    }

    /// Fails if what has the name `name` was written under another name in this directory: the file system takes one for the other.
    fn check_met(&self, name: &OsStr, found: &Stat) -> Result<()> {
        match self.met.other_name(found, name) {
            Some(other) if self.find(&other).is_some_and(|other| os::is_same_file(&other, found)) => {
                bail!("the file system takes the name {name:?} for {other:?}, which was just written")
            }
            _ => Ok(()),
        }
    }

    /// What has that name, if something has.
    fn find(&self, name: &OsStr) -> Option<Stat> {
        statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW).ok()
    }

    fn descend(&self, names: &[OsString]) -> Result<Self> {
        let mut directory =
            Self { handle: Arc::clone(&self.handle), met: Arc::clone(&self.met), is_new: self.is_new };
        for name in names {
            let below = directory.open(name).map_err(|error| match directory.find(name) {
                Some(found) if kind_of(&found) == FileType::Symlink => error!("is a symbolic link"),
                _ => io::Error::from(error).into(),
            });
            directory = below.with_context(|| format!("opening directory {name:?}"))?;
        }
        Ok(directory)
    }

    /// Opens the directory `name`, and makes it if it does not exist.
    fn open(&self, name: &OsStr) -> Result<Self, Errno> {
        let made = mkdirat(&self.handle, name, os::mode(WHILE_FILLED));
        if let Err(error) = made
            && error != Errno::EXIST
        {
            return Err(error);
        }
        let handle = Arc::new(open_directory(&self.handle, name)?);
        Ok(Self { handle, met: Arc::clone(&self.met), is_new: made.is_ok() })
    }
}

/// Fills a file and gives it its name. With `force` it replaces what has the name, which may just have appeared. `is_clean`: an
/// earlier run has left nothing in the directory.
fn write(
    mut unfinished: Unfinished,
    mode: u32,
    force: bool,
    is_clean: bool,
    content: impl FnOnce(&mut File) -> Result<()>,
) -> Result<WriteOutcome> {
    content(&mut unfinished.file)?;
    unfinished.set_mode(mode)?;
    if !unfinished.take_free_name(is_clean)? {
        if !force {
            return Ok(WriteOutcome::Kept);
        }
        unfinished.replace(Then::GoOn)?;
    }
    Ok(WriteOutcome::Written)
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::Write,
        os::unix::fs::{PermissionsExt as _, symlink},
    };

    use super::*;

    fn write(root: &ConfinedDir, path: &str, force: bool) -> Result<WriteOutcome> {
        root.write_file(path.as_bytes(), 0o640, force, |file| Ok(file.write_all(b"new")?))
    }

    #[test]
    fn a_file_gets_its_content_its_mode_and_its_directories() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let root = ConfinedDir::open_or_create(&directory.path().join("root"))?;
        assert_eq!(write(&root, "a/b/file", false)?, WriteOutcome::Written);
        let path = directory.path().join("root/a/b/file");
        assert_eq!(fs::read(&path)?, b"new");
        assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_dir(directory.path().join("root/a/b"))?.count(), 1);
        assert_eq!(fs::metadata(directory.path().join("root/a"))?.permissions().mode() & 0o7777, 0o700);
        Ok(())
    }

    #[test]
    fn what_is_there_is_kept_unless_forced() -> Result<()> {
        let directory = tempfile::tempdir()?;
        fs::write(directory.path().join("file"), "old")?;
        fs::create_dir(directory.path().join("directory"))?;
        let root = ConfinedDir::open_or_create(directory.path())?;
        assert_eq!(write(&root, "file", false)?, WriteOutcome::Kept);
        assert_eq!(fs::read(directory.path().join("file"))?, b"old");
        assert_eq!(write(&root, "file", true)?, WriteOutcome::Written);
        assert_eq!(fs::read(directory.path().join("file"))?, b"new");
        assert_eq!(write(&root, "directory", false)?, WriteOutcome::Kept);
        assert!(write(&root, "directory", true).is_err());
        Ok(())
    }

    #[test]
    fn what_appears_meanwhile_is_kept_unless_forced() -> Result<()> {
        for (force, expected) in [(false, WriteOutcome::Kept), (true, WriteOutcome::Written)] {
            let directory = tempfile::tempdir()?;
            let root = ConfinedDir::open_or_create(directory.path())?;
            let path = directory.path().join("file");
            let content = |file: &mut File| {
                fs::write(&path, "precious")?;
                Ok(file.write_all(b"new")?)
            };
            assert_eq!(root.write_file(b"file", 0o600, force, content)?, expected);
            assert_eq!(fs::read_to_string(&path)?, if force { "new" } else { "precious" });
            assert_eq!(fs::read_dir(directory.path())?.count(), 1);
        }
        Ok(())
    }

    #[test]
    fn names_that_leave_the_directory_are_errors() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let root = ConfinedDir::open_or_create(&directory.path().join("root"))?;
        let long = "x".repeat(256);
        for path in ["..", "../x", "a/../../x", "/x", "", ".", "a//b", "a/", "a\0b", &*long] {
            assert!(write(&root, path, true).is_err(), "{path:?}");
        }
        assert_eq!(fs::read_dir(directory.path())?.count(), 1);
        assert_eq!(fs::read_dir(directory.path().join("root"))?.count(), 0, "nothing is left behind");
        Ok(())
    }

    #[test]
    fn links_that_are_found_are_not_followed() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let outside = directory.path().join("outside");
        fs::create_dir(&outside)?;
        fs::write(outside.join("file"), "old")?;
        let inside = directory.path().join("root");
        let root = ConfinedDir::open_or_create(&inside)?;
        symlink(&outside, inside.join("directory"))?;
        symlink(outside.join("file"), inside.join("file"))?;
        symlink(outside.join("absent"), inside.join("dangling"))?;

        assert!(write(&root, "directory/file", true).is_err());
        assert_eq!(write(&root, "file", false)?, WriteOutcome::Kept);
        assert_eq!(write(&root, "dangling", false)?, WriteOutcome::Kept);
        assert_eq!(write(&root, "file", true)?, WriteOutcome::Written, "the link itself is replaced");

        assert_eq!(fs::read(outside.join("file"))?, b"old");
        assert_eq!(fs::read_dir(&outside)?.count(), 1);
        Ok(())
    }

    #[test]
    fn a_directory_is_sealed_and_filled_again() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let root = ConfinedDir::open_or_create(directory.path())?;
        for _ in 0..2 {
            let sealed = root.make_directory(b"a")?;
            write(&sealed, "file", true)?;
            sealed.seal(0o500)?;
            assert_eq!(fs::metadata(directory.path().join("a"))?.permissions().mode() & 0o7777, 0o500);
        }
        root.make_directory(b"a")?.seal(0o700)
    }

    #[test]
    fn without_unnamed_files_the_result_is_the_same() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let root = ConfinedDir::open_or_create(directory.path())?;
        let create = || Unfinished::create_named(&root.handle, OsStr::new("file"), WHILE_WRITTEN);
        for content in ["1", "2"] {
            super::write(create()?, 0o640, true, false, |file| Ok(file.write_all(content.as_bytes())?))?;
            assert_eq!(fs::read_to_string(directory.path().join("file"))?, content);
        }
        assert!(super::write(create()?, 0o640, true, false, |_| bail!("no")).is_err());
        assert_eq!(fs::metadata(directory.path().join("file"))?.permissions().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_dir(directory.path())?.count(), 1);
        Ok(())
    }

    #[test]
    fn a_file_that_cannot_be_filled_leaves_nothing() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let root = ConfinedDir::open_or_create(directory.path())?;
        assert!(root.write_file(b"file", 0o600, false, |_| bail!("no")).is_err());
        assert_eq!(fs::read_dir(directory.path())?.count(), 0);
        Ok(())
    }
}
