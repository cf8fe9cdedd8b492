//! FreeBSD: linking to a free name.

use std::{ffi::OsStr, fs::File, io, os::fd::AsFd};

use rustix::{
    fs::{AtFlags, Stat, fsync, linkat, unlinkat},
    io::Errno,
};

#[cfg(feature = "yaml")]
pub(crate) use super::bsd::LOOK_UP;
pub(crate) use super::bsd::{
    SYNCS_FILE_SYSTEMS, bits, create_unnamed, give_owner_all, is_link_refused, mode, mode_bits, name_unnamed,
    open_directory, open_if, read_link,
};
#[cfg(feature = "policy")]
pub(crate) use super::bsd::{
    become_reaper, end_with_parent, kill_own_descendants, limit_evaluation, with_hard_limits,
};
#[cfg(feature = "agent")]
pub(crate) use super::bsd::{check_has_agent, set_host_name};
#[cfg(any(feature = "agent", feature = "policy"))]
pub(crate) use super::bsd::{check_has_policies, kill_descendants};

/// What identifies a file: its device and its inode.
pub(crate) fn identity(found: &Stat) -> (u64, u64) {
    (found.st_dev, found.st_ino)
}

/// Renames a file in its directory, if nothing has the new name. For a moment the file has both names.
///
/// # Errors
/// `EXIST`: something has that name, or the file system has no hard links. Otherwise the system refuses.
pub(crate) fn rename_to_free(directory: impl AsFd, from: &OsStr, to: &OsStr) -> Result<(), Errno> {
    match linkat(&directory, from, &directory, to, AtFlags::empty()) {
        Err(Errno::NOTSUP) => Err(Errno::EXIST),
        Err(error) => Err(error),
        Ok(()) => unlinkat(directory, from, AtFlags::empty()),
    }
}

/// Writes the data of a file to its disk.
///
/// # Errors
/// Fails if something could not be written.
pub(crate) fn sync_data(file: &File) -> io::Result<()> {
    sync_directory(file)
}

/// Writes the names in a directory to its disk, or the data of a file.
///
/// # Errors
/// Fails if something could not be written.
pub(crate) fn sync_directory(file: impl AsFd) -> io::Result<()> {
    Ok(fsync(file)?)
}

/// Syncs the directory that the handle is of.
///
/// # Errors
/// Fails if something could not be written.
pub(crate) fn sync_file_system(handle: impl AsFd) -> io::Result<()> {
    sync_directory(handle)
}
