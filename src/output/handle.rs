//! Opens directories by handle, so that nobody can exchange one for another between two steps.

use std::os::fd::{AsFd, OwnedFd};

use rustix::{
    fs::{Mode, OFlags, openat},
    io::Errno,
};

use crate::os;
pub(super) use crate::os::open_directory;

/// Opens a directory again, to list it or to sync it to disk.
pub(super) fn open_readable(directory: impl AsFd) -> Result<OwnedFd, Errno> {
    openat(directory, ".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

/// As [`open_readable`], to change its permission bits. If they forbid that, the owner first gets all of them.
pub(super) fn open_to_change(directory: impl AsFd) -> Result<OwnedFd, Errno> {
    match open_readable(&directory) {
        Err(Errno::ACCESS) => {
            // Root never gets here.
            os::give_owner_all(&directory)?;
            open_readable(directory)
        }
        opened => opened,
    }
}
