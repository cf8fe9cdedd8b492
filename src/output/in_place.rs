//! Writes into the file that is there, for callers that hold it open or have given it a mode: `mkisofs -o`.
//!
//! The path is resolved as that of every file that is written (`resolve`). A file that another user has put in a
//! directory like `/tmp` is refused, as Linux refuses to open it for `O_CREAT` where `fs.protected_regular` is set (proc(5)).

use std::{
    cell::OnceCell,
    ffi::OsString,
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    sync::Arc,
};

use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, unlinkat},
    io::Errno,
    process::geteuid,
};

use super::{
    resolve::{self, ResolvedFile, STICKY_AND_WRITABLE, check_regular},
    temporary::ListedInPlace,
};
use crate::{
    error::{Result, ensure},
    os,
};

/// Permission bits of a new file, less those of the umask.
const MODE: u32 = 0o666;

/// A file that is open to be written from its start.
#[derive(Debug)]
pub struct InPlace {
    file: Arc<File>,
    directory: Arc<OwnedFd>,
    name: OsString,
    is_new: bool,
    /// Set once the file is not complete: a signal that ends the program empties it, or removes it if it is new.
    listed: OnceCell<ListedInPlace>,
}

impl InPlace {
    /// Opens the file at `path`, or makes one. What it holds is still there.
    ///
    /// # Errors
    /// Fails if the path leads to anything but a regular file that the caller may write to, if its directory does not exist, or if
    /// another user may have put the file or a link there as a trap.
    pub fn open(path: &Path) -> Result<Self> {
        let ResolvedFile { directory, name, found, .. } = resolve::file(path)?;
        let directory = Arc::new(directory);
        let Some(found) = found else {
            let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let file = openat(&directory, &name, flags, os::mode(MODE));
            let file = Arc::new(File::from(file.map_err(io::Error::from)?));
            let opened = Self { file, directory, name, is_new: true, listed: OnceCell::new() };
            opened.list()?;
            return Ok(opened);
        };
        check_owner(&directory, &found)?;
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let open = |access| openat(directory.as_fd(), &name, flags | access, Mode::empty());
        // Who may only write to it cannot check it afterwards, and that is all.
        let file = match open(OFlags::RDWR) {
            Err(Errno::ACCESS) => open(OFlags::WRONLY),
            opened => opened,
        };
        let file = File::from(file.map_err(io::Error::from)?);
        let opened = fstat(&file).map_err(io::Error::from)?;
        check_regular(&opened)?;
        ensure!(os::is_same_file(&opened, &found), "another file was put there meanwhile");
        let file = Arc::new(file);
        Ok(Self { file, directory, name, is_new: false, listed: OnceCell::new() })
    }

    /// From now on a signal that ends the program leaves no part of a file.
    fn list(&self) -> io::Result<()> {
        if self.listed.get().is_none() {
            let new = self.is_new.then_some((&self.directory, self.name.as_os_str()));
            // It was not set.
            let _ = self.listed.set(ListedInPlace::new(&self.file, new)?);
        }
        Ok(())
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Removes what the file holds. From now on a signal for which the program cleans up does so too.
    ///
    /// # Errors
    /// Fails if the system refuses.
    pub fn truncate(&self) -> io::Result<()> {
        self.list()?;
        // ext4 flushes a file that was truncated to nothing as soon as it is closed, even one that was empty before
        // (`ext4_truncate`, EXT4_STATE_DA_ALLOC_CLOSE), and its writer waits for half a second a gigabyte.
        if self.file.metadata()?.len() > 0 {
            self.file.set_len(0)?;
        }
        Ok(())
    }

    /// Leaves no half of a file: an old one is empty afterwards, a new one is removed.
    pub fn abandon(self) {
        // There is nothing left to try, and the caller reports why the file was not written.
        drop(self.truncate());
        if self.is_new {
            let _ = unlinkat(&self.directory, &self.name, AtFlags::empty());
        }
    }
}

/// Opens the device or the FIFO at `path` to be written from its first byte to its last. `None`: something else is there, or
/// nothing, or [`InPlace::open`] says why the path is not followed.
///
/// # Errors
/// Fails if it cannot be opened, or if another user may have put it there as a trap.
pub fn open_special(path: &Path) -> Result<Option<File>> {
    let is_special = |status: &Stat| {
        use FileType::{BlockDevice, CharacterDevice, Fifo};
        matches!(FileType::from_raw_mode(status.st_mode), BlockDevice | CharacterDevice | Fifo)
    };
    if is_own_descriptor(path) {
        let file = File::options().write(true).open(path)?;
        let is_special = is_special(&fstat(&file).map_err(io::Error::from)?);
        return Ok(is_special.then_some(file));
    }
    let Ok(ResolvedFile { directory, name, found: Some(found), .. }) = resolve::any_file(path) else {
        return Ok(None);
    };
    if !is_special(&found) {
        return Ok(None);
    }
    check_owner(&directory, &found)?;
    let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = File::from(openat(&directory, &name, flags, Mode::empty()).map_err(io::Error::from)?);
    let opened = fstat(&file).map_err(io::Error::from)?;
    ensure!(os::is_same_file(&opened, &found), "another file was put there meanwhile");
    Ok(Some(file))
}

/// Whether a path is that of an open file of this process: a shell gives `>(PROGRAM)` as such a path of a pipe. Whoever gives it has
/// opened the file.
fn is_own_descriptor(path: &Path) -> bool {
    let number = ["/dev/fd", "/proc/self/fd"].iter().find_map(|start| path.strip_prefix(start).ok());
    let number = number.and_then(Path::to_str);
    number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Fails if `found` is another user's, in a directory that everybody may write to.
fn check_owner(directory: &OwnedFd, found: &Stat) -> Result<()> {
    let status = fstat(directory).map_err(io::Error::from)?;
    ensure!(
        may_write(&status, found, geteuid().as_raw()),
        "the file belongs to another user, in a directory that everybody may write to (remove it, or give \
         another path)"
    );
    Ok(())
}

/// Whether a file that was found may be written to: `may_create_in_sticky` in Linux, `fs/namei.c`.
fn may_write(directory: &Stat, found: &Stat, caller: u32) -> bool {
    os::mode_bits(directory) & STICKY_AND_WRITABLE != STICKY_AND_WRITABLE
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
    fn a_device_is_opened_and_another_users_fifo_or_link_is_not() {
        assert!(open_special(Path::new("/dev/null")).unwrap().is_some());
        let directory = tempfile::tempdir().unwrap();
        let [fifo, link] = ["fifo", "link"].map(|name| directory.path().join(name));
        assert!(open_special(&fifo).unwrap().is_none(), "nothing is there");
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::from(0o666), 0).unwrap();
        std::os::unix::fs::symlink("/dev/null", &link).unwrap();
        assert!(open_special(&link).unwrap().is_some(), "its own link is followed");
        // Only root can make another user's file.
        if chown(&fifo, Some(65534), None).is_err() {
            return;
        }
        std::os::unix::fs::lchown(&link, Some(65534), None).unwrap();
        let error = open_special(&fifo).unwrap_err().to_string();
        assert!(error.starts_with("the file belongs to another user"), "{error}");
        assert!(open_special(&link).unwrap().is_none());
        assert!(InPlace::open(&link).is_err(), "which says why");
    }

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
