//! Writes a file that appears whole or not at all: it has its final mode from the start, and gets its name at the end.
//!
//! The old file stays whole until it is replaced. The new file has no name until it is complete. If it replaces another one, it
//! then has a temporary name for a moment; on a file system that has no files without a name, it has one from the start. A
//! program can remove it when it receives a signal ([`remove_temporaries_and`](super::temporary::remove_temporaries_and)).
//! What SIGKILL leaves is removed by the next run over the same target, except on a file system without locks.

use std::{
    ffi::OsStr,
    fs::{self, File, Metadata},
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::MetadataExt,
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    error::{Context, Result},
    os,
};
use rustix::{
    fs::{AtFlags, Gid, Mode, OFlags, Stat, Uid, fchown, fstat, openat, statat},
    io::Errno,
};

use super::{
    file_lock,
    handle::open_readable,
    resolve::{self, ResolvedFile},
    unfinished::{Then, Unfinished},
};

/// The checked path of a file to write: not a directory or a device, in a directory that exists.
#[derive(Debug)]
pub struct Target {
    resolved: ResolvedFile,
}

impl Target {
    /// Follows symbolic links from `path` to where the file is, or would be. The file is written to that directory even if
    /// the path leads elsewhere later.
    ///
    /// # Errors
    /// Fails if the path leads to anything but a regular file, its directory does not exist, or a symbolic link on the way is
    /// in `/proc`, or belongs to another user and is in a sticky directory that everybody may write to.
    pub fn resolve(path: &Path) -> Result<Self> {
        Ok(Self { resolved: resolve::file(path)? })
    }

    /// Whether `path` leads to the file that is there now.
    #[must_use]
    pub fn is_same_file(&self, path: &Path) -> bool {
        let found = |found: Metadata, old: &Stat| (found.dev(), found.ino()) == os::identity(old);
        match (&self.resolved.found, fs::metadata(path)) {
            (Some(old), Ok(metadata)) => found(metadata, old),
            _ => false,
        }
    }

    /// The permission bits of the file that is there now.
    #[must_use]
    pub fn mode(&self) -> Option<u32> {
        self.resolved.found.as_ref().map(|old| os::mode_bits(old) & 0o777)
    }

    /// Opens the file that is there now for reading, without waiting for a FIFO. `None`: there is none.
    ///
    /// # Errors
    /// Fails if it is no longer a regular file, or the system refuses.
    pub fn open_old(&self) -> io::Result<Option<File>> {
        open_regular(&self.resolved.directory, &self.resolved.name)
    }

    /// Opens the file that is there for reading, and locks it until it is closed. `None`: it is no longer the file that was
    /// there when the path was resolved, since the process that had locked it may have replaced it.
    ///
    /// A file system without locks is not an error.
    ///
    /// # Errors
    /// Fails if there is no file, it is no longer a regular file, another process keeps it locked for 20 seconds, or the
    /// system refuses.
    pub fn open_locked(&self) -> Result<Option<File>> {
        let Some(file) = self.open_old()? else { return Err(io::Error::from(Errno::NOENT).into()) };
        file_lock::lock(&file)?;
        Ok(self.is_still(&file)?.then_some(file))
    }

    /// Whether `file` is the one that was there when the path was resolved, and still is.
    fn is_still(&self, file: &File) -> io::Result<bool> {
        let opened = fstat(file)?;
        let named = statat(&self.resolved.directory, &self.resolved.name, AtFlags::SYMLINK_NOFOLLOW)?;
        let same = |other: &Stat| os::is_same_file(other, &opened);
        Ok(same(&named) && self.resolved.found.as_ref().is_some_and(same))
    }

    /// Creates the file that will get the path, with exactly the permission bits `mode`.
    ///
    /// # Errors
    /// Fails if it cannot be created.
    pub fn create(self, mode: u32) -> Result<Replacement> {
        self.create_by(mode, Unfinished::create)
    }

    fn create_by(
        self,
        mode: u32,
        create: impl Fn(&Arc<OwnedFd>, &OsStr, u32) -> io::Result<Unfinished>,
    ) -> Result<Replacement> {
        let ResolvedFile { directory, name, path, found } = self.resolved;
        let context = || format!("creating a file in {:?}", directory_of(&path));
        let unfinished = create(&Arc::new(directory), &name, mode).with_context(context)?;
        unfinished.correct_mode(mode)?;
        let old_owner = found.map(|old| (old.st_uid, old.st_gid));
        Ok(Replacement { path, old_owner, unfinished })
    }
}

/// Opens a regular file in a directory, if it is there. A symbolic link is an error.
pub(super) fn open_regular(directory: impl AsFd, name: &OsStr) -> io::Result<Option<File>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = match openat(directory, name, flags, Mode::empty()) {
        Ok(file) => File::from(file),
        Err(Errno::NOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if file.metadata()?.is_file() { Ok(Some(file)) } else { Err(io::Error::other("not a regular file")) }
}

/// A file that is being written and will get its target's path.
#[derive(Debug)]
pub struct Replacement {
    path: PathBuf,
    /// The user and the group of the file that was there when this one was created.
    old_owner: Option<(u32, u32)>,
    unfinished: Unfinished,
}

impl Replacement {
    /// The file to write to.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.unfinished.file
    }

    /// Gives the file the user and the group of the file that it replaces, or only the group, as far as the system allows it. Gives
    /// the user and the group that it should have and has not.
    ///
    /// # Errors
    /// Fails if the system refuses for another reason than who asks for it.
    pub fn keep_owner(&self) -> io::Result<Option<(u32, u32)>> {
        let Some(owner @ (user, group)) = self.old_owner else { return Ok(None) };
        let own = fstat(self.file())?;
        if (own.st_uid, own.st_gid) == owner {
            return Ok(None);
        }
        let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
        match fchown(self.file(), Some(user), Some(group)) {
            Ok(()) => Ok(None),
            Err(Errno::PERM) => match fchown(self.file(), None, Some(group)) {
                Ok(()) | Err(Errno::PERM) => Ok(Some(owner)),
                Err(error) => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Gives the file its name.
    ///
    /// If it replaces a file, its data is synced to disk first. A new file is synced, with its name, only if `sync` asks for
    /// it.
    ///
    /// `may_replace` is called with the file that has the name at that time, if there is one: it may have appeared meanwhile.
    ///
    /// # Errors
    /// Fails if the file cannot be synced or named, or `may_replace` fails. The target is then unchanged.
    pub fn commit(mut self, sync: bool, may_replace: impl FnOnce(Option<File>) -> Result<()>) -> Result<()> {
        let is_synced = sync || self.old_owner.is_some();
        if is_synced {
            os::sync_data(self.file()).context("writing to disk")?;
        }
        self.name(is_synced, may_replace)
            .with_context(|| format!("renaming the new file to {:?}", self.path))?;
        if sync {
            let directory = open_readable(self.unfinished.directory()).map_err(io::Error::from);
            directory.and_then(os::sync_directory).context("writing to disk")?;
        }
        Ok(())
    }

    fn name(&mut self, is_synced: bool, may_replace: impl FnOnce(Option<File>) -> Result<()>) -> Result<()> {
        if self.unfinished.take_free_name(false)? {
            return Ok(());
        }
        // The file that has the name may just have appeared.
        if !is_synced {
            os::sync_data(self.file())?;
        }
        may_replace(open_regular(self.unfinished.directory(), self.unfinished.name())?)?;
        Ok(self.unfinished.replace(Then::Finish)?)
    }
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if directory != Path::new("") => directory,
        _ => Path::new("."),
    }
}

/// Whether two handles refer to the same file.
///
/// # Errors
/// Fails if fstat(2) fails for one of them.
pub fn is_same_file(one: &File, other: &File) -> io::Result<bool> {
    Ok(os::is_same_file(&fstat(one)?, &fstat(other)?))
}

/// Creates a file without a name, which the system removes when it is closed.
///
/// # Errors
/// Fails if the directory for temporary files cannot hold it.
pub fn unnamed_temporary() -> io::Result<File> {
    tempfile::tempfile()
}

/// Standard output without the standard library's buffer, which searches every byte for the end of a line.
///
/// # Errors
/// Fails if standard output is closed.
pub fn standard_output() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::output::temporary::count_in;

    #[test]
    fn with_a_named_temporary_the_same_comes_out() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("file");
        let create = |target: Target| target.create_by(0o640, Unfinished::create_named);
        for content in ["1", "2"] {
            let replacement = create(Target::resolve(&path)?)?;
            replacement.file().write_all(content.as_bytes())?;
            assert_eq!(count_in(directory.path()), 1);
            replacement.commit(false, |_| Ok(()))?;
            assert_eq!(fs::read_to_string(&path)?, content);
            assert_eq!(fs::metadata(&path)?.mode() & 0o7777, 0o640);
        }
        drop(create(Target::resolve(&path)?)?);
        assert_eq!(fs::read_dir(directory.path())?.count(), 1);
        assert_eq!(count_in(directory.path()), 0);
        Ok(())
    }

    #[test]
    fn a_file_that_appears_meanwhile_is_replaced() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("file");
        let replacement = Target::resolve(&path)?.create(0o600)?;
        replacement.file().write_all(b"ours")?;
        fs::write(&path, "theirs")?;
        replacement.commit(false, |_| Ok(()))?;
        assert_eq!(fs::read_to_string(&path)?, "ours");
        assert_eq!(fs::read_dir(directory.path())?.count(), 1);
        Ok(())
    }

    #[test]
    fn a_directory_that_is_moved_meanwhile_keeps_its_file() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let [before, after] = ["before", "after"].map(|name| directory.path().join(name));
        fs::create_dir(&before)?;
        for named in [false, true] {
            let target = Target::resolve(&before.join("file"))?;
            let create = if named { Unfinished::create_named } else { Unfinished::create };
            let replacement = target.create_by(0o600, create)?;
            fs::rename(&before, &after)?;
            fs::create_dir(&before)?;
            replacement.commit(true, |_| Ok(()))?;
            assert_eq!([&before, &after].map(|path| fs::read_dir(path).unwrap().count()), [0, 1]);
            fs::remove_dir_all(&after)?;
        }
        Ok(())
    }

    #[test]
    fn the_old_file_is_opened_and_nothing_in_its_place() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("file");
        let target = Target::resolve(&path)?;
        assert!(target.open_old()?.is_none());
        fs::write(&path, "old")?;
        assert_eq!(io::read_to_string(target.open_old()?.context("it is there")?)?, "old");
        fs::rename(&path, directory.path().join("moved"))?;
        std::os::unix::fs::symlink("moved", &path)?;
        assert!(target.open_old().is_err(), "a link");
        fs::remove_file(&path)?;
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::RUSR, 0)?;
        assert!(target.open_old().is_err(), "a FIFO, which nobody writes to");
        Ok(())
    }
}
