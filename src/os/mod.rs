//! What differs between systems: one file a system, all with the same functions, so that no other room asks which system it runs on.
//!
//! Linux has everything. macOS and FreeBSD build, read, check and sign images; they have no agent and evaluate no policies.

#[cfg(not(target_os = "linux"))]
mod bsd;
#[cfg(target_os = "freebsd")]
mod freebsd;
mod link;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "macos")]
mod macos;

#[cfg(not(any(target_os = "freebsd", target_os = "linux", target_os = "macos")))]
compile_error!("this library supports Linux, macOS and FreeBSD");

use std::{fs::File, io};

#[cfg(target_os = "freebsd")]
use freebsd as system;
#[cfg(target_os = "linux")]
use linux as system;
#[cfg(target_os = "macos")]
use macos as system;
use rustix::{
    fs::{SeekFrom, Stat, seek},
    io::Errno,
    process::geteuid,
};

#[cfg(feature = "yaml")]
pub(crate) use system::LOOK_UP;
pub(crate) use system::{
    SYNCS_FILE_SYSTEMS, bits, create_unnamed, give_owner_all, identity, is_link_refused, mode, mode_bits,
    name_unnamed, open_directory, open_if, read_link, rename_to_free, sync_data, sync_directory,
    sync_file_system,
};
#[cfg(feature = "policy")]
pub(crate) use system::{
    become_reaper, end_with_parent, kill_own_descendants, limit_evaluation, with_hard_limits,
};
#[cfg(feature = "agent")]
pub(crate) use system::{check_has_agent, set_host_name};
#[cfg(any(feature = "agent", feature = "policy"))]
pub(crate) use system::{check_has_policies, kill_descendants};

/// The user that this process acts for.
pub(crate) fn effective_user() -> u32 {
    geteuid().as_raw()
}

/// Whether two are the same file.
pub(crate) fn is_same_file(one: &Stat, other: &Stat) -> bool {
    identity(one) == identity(other)
}

/// Where the next bytes of `file` that are not a hole begin, from byte `at` on: `at` itself if the file system has no holes.
/// `None`: only a hole is left. The position in the file is moved (lseek(2)).
///
/// # Errors
/// Fails if the file cannot be read.
pub(crate) fn next_data(file: &File, at: u64) -> io::Result<Option<u64>> {
    match seek(file, SeekFrom::Data(at)) {
        Ok(data) => Ok(Some(data)),
        Err(Errno::NXIO) => Ok(None),
        // FreeBSD and macOS say ENOTTY where a file system does not know the call.
        Err(Errno::INVAL | Errno::NOTTY) => Ok(Some(at)),
        Err(error) => Err(error.into()),
    }
}

/// Where the next hole of `file` begins, from byte `at` on. `None`: the system does not say. The position in the file is moved.
pub(crate) fn next_hole(file: &File, at: u64) -> Option<u64> {
    seek(file, SeekFrom::Hole(at)).ok()
}
