//! Replaces a file: written where nobody sees it, with its final mode from the start, and named at the end.
//!
//! Whatever happens on the way, the old file is whole. The new file has no name until it is complete. A file that replaces
//! another one then has a temporary name for a moment, and on a file system that knows no files without a name from the
//! start. Signals remove it once [`clean_up_on_signals`](super::temporary::clean_up_on_signals) has been called, all but
//! SIGKILL; what that leaves is removed by the next run over the same target, but on a file system without locks.

use std::{
    ffi::OsStr,
    fs::{self, File, Metadata, Permissions},
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::error::{Context, Result};
use rustix::{
    fs::{AtFlags, Mode, OFlags, Stat, fstat, fsync, openat, statat},
    io::Errno,
};

use super::{
    handle::open_readable,
    resolve::{self, Place},
    unfinished::{Then, Unfinished},
};

/// A path that a file shall get, checked: not a directory or device, in a directory that exists.
#[derive(Debug)]
pub struct Target {
    place: Place,
}

impl Target {
    /// Follows symbolic links from `path` to where the file is, or would be. From then on that directory is meant, whatever
    /// becomes of the path.
    ///
    /// # Errors
    /// It is something else than a regular file, its directory does not exist, or a symbolic link on the way is in `/proc`,
    /// or is another user's in a sticky directory that everybody may write to.
    pub fn resolve(path: &Path) -> Result<Self> {
        Ok(Self { place: resolve::file(path)? })
    }

    /// Whether `path` leads to the file that is there now.
    #[must_use]
    pub fn is_same_file(&self, path: &Path) -> bool {
        let found = |found: Metadata, old: &Stat| (found.dev(), found.ino()) == (old.st_dev, old.st_ino);
        match (&self.place.found, fs::metadata(path)) {
            (Some(old), Ok(metadata)) => found(metadata, old),
            _ => false,
        }
    }

    /// The permission bits of the file that is there now.
    #[must_use]
    pub fn mode(&self) -> Option<u32> {
        self.place.found.as_ref().map(|old| old.st_mode & 0o777)
    }

    /// Opens the file that is there now for reading. It waits for nothing, whatever is there; `None`: nothing is.
    ///
    /// # Errors
    /// It is no regular file any more, or the system refuses.
    pub fn open_old(&self) -> io::Result<Option<File>> {
        open_regular(&self.place.directory, &self.place.name)
    }

    /// Whether `file` is the one that was there when the path was resolved, and still is.
    pub(super) fn is(&self, file: &File) -> io::Result<bool> {
        let opened = fstat(file)?;
        let named = statat(&self.place.directory, &self.place.name, AtFlags::SYMLINK_NOFOLLOW)?;
        let same = |other: &Stat| (other.st_dev, other.st_ino) == (opened.st_dev, opened.st_ino);
        Ok(same(&named) && self.place.found.as_ref().is_some_and(same))
    }

    /// Creates the file that will take the path, with the permission bits `mode` whatever the umask.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(self, mode: u32) -> Result<Replacement> {
        self.create_by(mode, Unfinished::create)
    }

    fn create_by(
        self,
        mode: u32,
        create: impl Fn(&Arc<OwnedFd>, &OsStr, u32) -> io::Result<Unfinished>,
    ) -> Result<Replacement> {
        let Place { directory, name, path, found } = self.place;
        let context = || format!("creating a file in {:?}", directory_of(&path));
        let unfinished = create(&Arc::new(directory), &name, mode).with_context(context)?;
        // The umask may have taken bits away.
        if unfinished.file.metadata()?.mode() & 0o7777 != mode {
            unfinished.file.set_permissions(Permissions::from_mode(mode))?;
        }
        Ok(Replacement { path, replaces: found.is_some(), unfinished })
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
    if file.metadata()?.is_file() {
        Ok(Some(file))
    } else {
        Err(io::Error::other("it is not a regular file"))
    }
}

/// A file that is being written and will take its target's path.
#[derive(Debug)]
pub struct Replacement {
    path: PathBuf,
    /// Whether there was a file when this one was begun.
    replaces: bool,
    unfinished: Unfinished,
}

impl Replacement {
    /// The file to write to.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.unfinished.file
    }

    /// Gives the file its name.
    ///
    /// Where that replaces a file, the new one's data is on the disk before the old one goes. Where there is none,
    /// nothing waits for a disk, unless `sync` asks that file and name be on it.
    ///
    /// `may_replace` is asked of the file that has the name then, if one has it: it may have appeared meanwhile.
    ///
    /// # Errors
    /// The file cannot be written back or named, or it may not replace another; the target is as it was.
    pub fn commit(mut self, sync: bool, may_replace: impl FnOnce(Option<File>) -> Result<()>) -> Result<()> {
        let is_synced = sync || self.replaces;
        if is_synced {
            self.file().sync_data().context("writing to disk")?;
        }
        self.name(is_synced, may_replace).with_context(|| format!("naming it {:?}", self.path))?;
        if sync {
            let synced = open_readable(self.unfinished.directory()).and_then(fsync);
            synced.map_err(io::Error::from).context("writing to disk")?;
        }
        Ok(())
    }

    fn name(&mut self, is_synced: bool, may_replace: impl FnOnce(Option<File>) -> Result<()>) -> Result<()> {
        match self.unfinished.take_name() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            named => return Ok(named.inspect(|()| self.unfinished.remove_leftover())?),
        }
        // There is one, perhaps since a moment only.
        if !is_synced {
            self.file().sync_data()?;
        }
        may_replace(open_regular(self.unfinished.directory(), self.unfinished.name())?)?;
        Ok(self.unfinished.take_place(Then::Finish)?)
    }
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if directory != Path::new("") => directory,
        _ => Path::new("."),
    }
}

/// A file without a name, which is gone with its last handle.
///
/// # Errors
/// The directory for temporary files takes no more.
pub fn nameless() -> io::Result<File> {
    tempfile::tempfile()
}

/// Standard output without the standard library's buffer, which looks at every byte for the end of a line.
///
/// # Errors
/// It is closed.
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
