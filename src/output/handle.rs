//! Directories by their handles, so that nobody can exchange one for another between two steps.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, chmodat, fstat, openat},
    io::Errno,
    path::Arg,
};

/// Opens the directory `name` in another one to go on from it, and never through a link. It takes no rights to it.
pub(super) fn open_directory(above: impl AsFd, name: impl Arg) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(above, name, flags, Mode::empty())
}

/// Opens a directory again, to read it or to write it to the disk.
pub(super) fn open_readable(directory: impl AsFd) -> Result<OwnedFd, Errno> {
    openat(directory, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// The same to change its permission bits. If they do not let the caller, its owner has all rights from then on.
pub(super) fn open_to_change(directory: impl AsFd) -> Result<OwnedFd, Errno> {
    match open_readable(&directory) {
        Err(Errno::ACCESS) => {
            // What cannot be opened has a path of its own in /proc only. Root never gets here.
            let path = format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd());
            let mode = Mode::from_raw_mode(fstat(&directory)?.st_mode) | Mode::RWXU;
            chmodat(CWD, path, mode, AtFlags::empty())?;
            open_readable(directory)
        }
        opened => opened,
    }
}
