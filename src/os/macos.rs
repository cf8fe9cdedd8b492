//! macOS: syncing past the cache of a drive, and renaming to a free name.

use std::{ffi::OsStr, fs::File, io, os::fd::AsFd};

use rustix::{
    fs::{RenameFlags, Stat, fcntl_fullfsync, fsync, renameat_with},
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
    // As `MetadataExt::dev` widens it.
    (i64::from(found.st_dev).cast_unsigned(), found.st_ino)
}

/// Renames a file in its directory, if nothing has the new name (`renameatx_np(2)`).
///
/// # Errors
/// `EXIST`: something has that name, or the file system cannot tell. Otherwise the system refuses.
pub(crate) fn rename_to_free(directory: impl AsFd, from: &OsStr, to: &OsStr) -> Result<(), Errno> {
    match renameat_with(&directory, from, &directory, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => Err(Errno::EXIST),
        renamed => renamed,
    }
}

/// Writes the data of a file to its disk.
///
/// # Errors
/// Fails if something could not be written.
pub(crate) fn sync_data(file: &File) -> io::Result<()> {
    sync_directory(file)
}

/// Writes the names in a directory to its disk, or the data of a file. fsync(2) leaves it in the drive's own cache, where
/// `F_FULLFSYNC` (fcntl(2)) does not; SMB and some other file systems have only fsync.
///
/// # Errors
/// Fails if something could not be written.
pub(crate) fn sync_directory(file: impl AsFd) -> io::Result<()> {
    match fcntl_fullfsync(&file) {
        Err(Errno::NOTSUP | Errno::OPNOTSUPP | Errno::NOTTY | Errno::INVAL) => Ok(fsync(file)?),
        synced => Ok(synced?),
    }
}

/// Empties the cache of the drive that a file system is on.
///
/// # Errors
/// Fails if something could not be written.
pub(crate) fn sync_file_system(handle: impl AsFd) -> io::Result<()> {
    sync_directory(handle)
}
