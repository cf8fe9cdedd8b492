//! What macOS and FreeBSD have in common, and Linux has not.

use std::{
    ffi::OsStr,
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

#[cfg(any(feature = "agent", feature = "policy"))]
use rustix::process::Pid;
use rustix::{
    fs::{
        AtFlags, CWD, FileType, Mode, OFlags, RawMode, Stat, fchmod, fcntl_getfl, fcntl_setfl, fstat, open,
        openat, readlinkat, statat,
    },
    io::Errno,
    path::Arg,
};
#[cfg(any(feature = "agent", feature = "policy"))]
use std::time::Instant;

use super::{is_same_file, link::Link};

/// Whether [`sync_file_system`](super::sync_file_system) writes the data of all files, and not only that of the handle. There is
/// no syncfs(2), and sync(2) does not wait.
pub(crate) const SYNCS_FILE_SYSTEMS: bool = false;

/// How a directory is opened in which names are looked up. macOS has no `O_PATH`, and FreeBSD changes no mode by it.
pub(crate) const LOOK_UP: OFlags = OFlags::RDONLY;

/// Permission bits as the system takes them.
pub(crate) fn mode(bits: u32) -> Mode {
    Mode::from_raw_mode((bits & 0o7777) as RawMode)
}

/// Permission bits as the system gives them.
pub(crate) fn bits(mode: Mode) -> u32 {
    mode.as_raw_mode().into()
}

/// The permission bits, and the kind of the file above them, as in `st_mode`.
pub(crate) fn mode_bits(found: &Stat) -> u32 {
    found.st_mode.into()
}

/// `None`: there are no files without a name.
pub(crate) fn create_unnamed(_directory: impl AsFd, _mode: u32) -> Option<File> {
    None
}

/// # Errors
/// Always fails: there are no files without a name.
pub(crate) fn name_unnamed(_file: &File, _directory: impl AsFd, _name: &OsStr) -> io::Result<()> {
    Err(Errno::NOTSUP.into())
}

/// Opens the directory `name` in another one. Links are not followed. Permission to read it is needed.
///
/// # Errors
/// `NOTDIR`: it is a symbolic link, or another file. Otherwise the system refuses.
pub(crate) fn open_directory(above: impl AsFd, name: impl Arg) -> Result<OwnedFd, Errno> {
    let flags = LOOK_UP | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match openat(above, name, flags, Mode::empty()) {
        // What macOS and FreeBSD say of a symbolic link (open(2)).
        Err(Errno::LOOP | Errno::MLINK) => Err(Errno::NOTDIR),
        opened => opened,
    }
}

/// Gives the owner of an open directory all permissions to it.
///
/// # Errors
/// Fails if the system refuses.
pub(crate) fn give_owner_all(directory: impl AsFd) -> Result<(), Errno> {
    let mode = Mode::from_raw_mode(fstat(&directory)?.st_mode) | Mode::RWXU;
    fchmod(directory, mode)
}

/// Whether a file was not opened because it is a symbolic link (open(2), `O_NOFOLLOW`).
pub(crate) fn is_link_refused(error: &io::Error) -> bool {
    [Errno::LOOP, Errno::MLINK].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Reads the symbolic link `name` in an open directory. `None`: it is not a link.
///
/// # Errors
/// Fails if nothing has the name, the system refuses, or (`AGAIN`) another link takes its place meanwhile.
pub(crate) fn read_link(directory: impl AsFd, name: &OsStr) -> Result<Option<Link>, Errno> {
    let look = || statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW);
    let found = look()?;
    if FileType::from_raw_mode(found.st_mode) != FileType::Symlink {
        return Ok(None);
    }
    let target = readlinkat(&directory, name, Vec::new())?;
    // There is no handle on a link that can be read, so its owner could be that of another one.
    let now = look()?;
    if !is_same_file(&now, &found) || (now.st_uid, now.st_ctime) != (found.st_uid, found.st_ctime) {
        return Err(Errno::AGAIN);
    }
    Ok(Some(Link { owner: found.st_uid, is_in_proc: false, target }))
}

/// Opens a file to read if its status fits, without waiting. `None`: it does not.
///
/// # Errors
/// Fails if there is no file, or the system refuses.
pub(crate) fn open_if(path: &Path, fits: impl Fn(&Stat) -> bool) -> io::Result<Option<File>> {
    if !fits(&statat(CWD, path, AtFlags::empty())?) {
        return Ok(None);
    }
    // The path may lead to a FIFO by now.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = open(path, flags, Mode::empty())?;
    if !fits(&fstat(&file)?) {
        return Ok(None);
    }
    fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
    Ok(Some(file.into()))
}

/// # Errors
/// Always fails.
#[cfg(feature = "agent")]
pub(crate) fn set_host_name(_name: &str) -> io::Result<()> {
    check_has_agent()
}

/// # Errors
/// Always fails: the agent finds drives in `/sys`, and is for guests.
#[cfg(feature = "agent")]
pub(crate) fn check_has_agent() -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "the agent needs Linux"))
}

/// # Errors
/// Always fails: macOS has neither a limit of the address space (`RLIMIT_AS` is refused) nor a reaper of descendants. FreeBSD has
/// both (procctl(2)), but nothing here uses them.
#[cfg(any(feature = "agent", feature = "policy"))]
pub(crate) fn check_has_policies() -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "the evaluation of a policy needs Linux"))
}

/// # Errors
/// Always fails.
#[cfg(feature = "policy")]
pub(crate) fn become_reaper() -> io::Result<()> {
    check_has_policies()
}

/// # Errors
/// Always fails.
#[cfg(feature = "policy")]
pub(crate) fn end_with_parent() -> io::Result<()> {
    check_has_policies()
}

/// # Errors
/// Always fails.
#[cfg(feature = "policy")]
pub(crate) fn limit_evaluation(_memory_bytes: u64, _processor_seconds: u64) -> io::Result<()> {
    check_has_policies()
}

/// # Errors
/// Always fails.
#[cfg(feature = "policy")]
pub(crate) fn with_hard_limits<T>(_spawn: impl FnOnce() -> T) -> io::Result<T> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Nothing is evaluated, so there are no descendants.
#[cfg(feature = "policy")]
pub(crate) fn kill_own_descendants(_until: Instant) -> bool {
    true
}

/// Nothing is evaluated, so there are no descendants.
#[cfg(any(feature = "agent", feature = "policy"))]
pub(crate) fn kill_descendants(_reaper: Pid, _until: Instant) {}
