//! Files that have no name until they are complete: `O_TMPFILE` and a link (open(2)). If the process ends before, the system
//! removes them.

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::fd::{AsFd, AsRawFd},
    path::PathBuf,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, linkat, openat},
    io::Errno,
};

/// Creates a file without a name in the open directory, with these permission bits less those of the umask.
///
/// `None`: the file system has no such files, or there is no `/proc`, which may be needed to name it later.
pub(super) fn create(directory: impl AsFd, mode: u32) -> Option<File> {
    /// Whether /proc existed at the first call.
    static HAS_PROC: OnceLock<bool> = OnceLock::new();

    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = File::from(openat(directory, ".", flags, Mode::from_raw_mode(mode)).ok()?);
    HAS_PROC.get_or_init(|| fs::symlink_metadata(path_of(&file)).is_ok()).then_some(file)
}

/// The path of an open file in /proc (proc(5)).
fn path_of(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

/// Gives `file` a name in the open directory, if nothing has that name.
///
/// # Errors
/// `AlreadyExists`: something has that name. Otherwise the system refuses.
pub(super) fn name(file: &File, directory: impl AsFd, name: &OsStr) -> io::Result<()> {
    /// Whether the system links an open file by its path in /proc only, as Linux before 6.10 does without privileges.
    static BY_PATH: AtomicBool = AtomicBool::new(false);

    if !BY_PATH.load(Ordering::Relaxed) {
        match linkat(file, "", &directory, name, AtFlags::EMPTY_PATH) {
            Err(Errno::NOENT | Errno::PERM | Errno::INVAL) => BY_PATH.store(true, Ordering::Relaxed),
            linked => return Ok(linked?),
        }
    }
    Ok(linkat(CWD, path_of(file), directory, name, AtFlags::SYMLINK_FOLLOW)?)
}
