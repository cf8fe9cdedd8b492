//! Opens directories by handle, so that nobody can exchange one for another between two steps.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, chmodat, fstat, openat},
    io::Errno,
    path::Arg,
};

/// Opens the directory `name` in another one, to look up names in it. Links are not followed, and no permission to read it is
/// needed.
pub(super) fn open_directory(above: impl AsFd, name: impl Arg) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(above, name, flags, Mode::empty())
}

/// Opens a directory again, to list it or to sync it to disk.
pub(super) fn open_readable(directory: impl AsFd) -> Result<OwnedFd, Errno> {
    openat(directory, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// As [`open_readable`], to change its permission bits. If they forbid that, the owner first gets all of them.
pub(super) fn open_to_change(directory: impl AsFd) -> Result<OwnedFd, Errno> {
    match open_readable(&directory) {
        Err(Errno::ACCESS) => {
            // Only /proc has a path to what cannot be opened. Root never gets here.
            let path = format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd());
            let mode = Mode::from_raw_mode(fstat(&directory)?.st_mode) | Mode::RWXU;
            chmodat(CWD, path, mode, AtFlags::empty())?;
            open_readable(directory)
        }
        opened => opened,
    }
}
