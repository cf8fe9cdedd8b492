//! Files that have no name until they are complete: `O_TMPFILE` and a link (open(2)). Whatever ends the process, nothing
//! of them stays.

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
/// `None`: the file system has no such files, or there is no `/proc` to name it by later.
pub(super) fn create(directory: impl AsFd, mode: u32) -> Option<File> {
    /// Whether /proc was there when it was first looked for.
    static HAS_PROC: OnceLock<bool> = OnceLock::new();

    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = File::from(openat(directory, ".", flags, Mode::from_raw_mode(mode)).ok()?);
    HAS_PROC.get_or_init(|| fs::symlink_metadata(path_of(&file)).is_ok()).then_some(file)
}

/// Where /proc shows an open file (proc(5)).
fn path_of(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

/// Gives `file` a name in the open directory, where nothing has it.
///
/// # Errors
/// Something has that name, or the system refuses.
pub(super) fn name(file: &File, directory: impl AsFd, name: &OsStr) -> io::Result<()> {
    /// Whether the system links an open file only by its path in /proc: before Linux 6.10, without privileges.
    static BY_PATH: AtomicBool = AtomicBool::new(false);

    if !BY_PATH.load(Ordering::Relaxed) {
        match linkat(file, "", &directory, name, AtFlags::EMPTY_PATH) {
            Err(Errno::NOENT | Errno::PERM | Errno::INVAL) => BY_PATH.store(true, Ordering::Relaxed),
            linked => return Ok(linked?),
        }
    }
    Ok(linkat(CWD, path_of(file), directory, name, AtFlags::SYMLINK_FOLLOW)?)
}
