//! Writes into the file that is there, for callers that hold it open or have given it a mode: `mkisofs -o`.
//!
//! The path is resolved as that of every file that is written (`resolve`). A file that another user has put in a
//! directory like `/tmp` is refused, as Linux refuses to open it for `O_CREAT` where `fs.protected_regular` is set (proc(5)).

use std::{fs::File, io, os::fd::AsFd, path::Path};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, unlinkat},
    io::Errno,
    process::geteuid,
};

use super::resolve::{self, ResolvedFile, STICKY_AND_WRITABLE, check_regular};
use crate::error::{Result, ensure};

/// Permission bits of a new file, less those of the umask.
const MODE: u32 = 0o666;

/// A file that is open to be written from its start.
#[derive(Debug)]
pub struct InPlace {
    file: File,
    resolved: ResolvedFile,
    is_new: bool,
}

impl InPlace {
    /// Opens the file at `path`, or makes one. What it holds is still there.
    ///
    /// # Errors
    /// Fails if the path leads to anything but a regular file that the caller may write to, if its directory does not exist, or if
    /// another user may have put the file or a link there as a trap.
    pub fn open(path: &Path) -> Result<Self> {
        let resolved = resolve::file(path)?;
        let Some(found) = &resolved.found else {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let file = openat(&resolved.directory, &resolved.name, flags, Mode::from_raw_mode(MODE));
            let file = File::from(file.map_err(io::Error::from)?);
            return Ok(Self { file, resolved, is_new: true });
        };
        let directory = fstat(&resolved.directory).map_err(io::Error::from)?;
        ensure!(
            may_write(&directory, found, geteuid().as_raw()),
            "the file belongs to another user, in a directory that everybody may write to (remove it, or give \
             another path)"
        );
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let open = |access| openat(resolved.directory.as_fd(), &resolved.name, flags | access, Mode::empty());
        // Who may only write to it cannot check it afterwards, and that is all.
        let file = match open(OFlags::RDWR) {
            Err(Errno::ACCESS) => open(OFlags::WRONLY),
            opened => opened,
        };
        let file = File::from(file.map_err(io::Error::from)?);
        let opened = fstat(&file).map_err(io::Error::from)?;
        check_regular(&opened)?;
        let is_same = (opened.st_dev, opened.st_ino) == (found.st_dev, found.st_ino);
        ensure!(is_same, "another file was put there meanwhile");
        Ok(Self { file, resolved, is_new: false })
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Removes what the file holds.
    ///
    /// # Errors
    /// Fails if the system refuses.
    pub fn truncate(&self) -> io::Result<()> {
        self.file.set_len(0)
    }

    /// Leaves no half of a file: an old one is empty afterwards, a new one is removed.
    pub fn abandon(self) {
        // There is nothing left to try, and the caller reports why the file was not written.
        drop(self.truncate());
        if self.is_new {
            let _ = unlinkat(&self.resolved.directory, &self.resolved.name, AtFlags::empty());
        }
    }
}

/// Whether a file that was found may be written to: `may_create_in_sticky` in Linux, `fs/namei.c`.
fn may_write(directory: &Stat, found: &Stat, caller: u32) -> bool {
    FileType::from_raw_mode(found.st_mode) != FileType::RegularFile
        || directory.st_mode & STICKY_AND_WRITABLE != STICKY_AND_WRITABLE
        || found.st_uid == caller
        || found.st_uid == directory.st_uid
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        io::Write,
        os::unix::fs::{MetadataExt, PermissionsExt, chown},
    };

    use super::*;

    #[test]
    fn the_file_and_its_mode_stay_and_a_failure_empties_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let before = fs::metadata(&path).unwrap();
        let opened = InPlace::open(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        opened.truncate().unwrap();
        opened.file().write_all(b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        opened.abandon();
        let after = fs::metadata(&path).unwrap();
        assert_eq!((after.ino(), after.mode(), after.len()), (before.ino(), before.mode(), 0));
    }

    #[test]
    fn a_new_file_that_is_abandoned_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("image");
        InPlace::open(&path).unwrap().abandon();
        assert!(!path.exists());
    }

    #[test]
    fn another_users_file_in_a_directory_for_everybody_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        let path = directory.path().join("image");
        fs::write(&path, "theirs").unwrap();
        // Only root can make another user's file.
        if chown(&path, Some(65534), None).is_err() {
            return;
        }
        let error = InPlace::open(&path).unwrap_err().to_string();
        assert!(error.starts_with("the file belongs to another user"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
    }
}
