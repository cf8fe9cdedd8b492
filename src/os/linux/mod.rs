//! Linux: files without a name, handles on names, syncing a file system, limits and descendants of a process, the host name.

#[cfg(any(feature = "agent", feature = "policy"))]
mod descendants;

use std::{
    ffi::OsStr,
    fs::{self, File},
    io,
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::{Path, PathBuf},
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
};

#[cfg(feature = "policy")]
use rustix::process::{
    Resource, Rlimit, Signal, getpid, getrlimit, set_child_subreaper, set_parent_process_death_signal,
    setrlimit,
};
use rustix::{
    fs::{
        AtFlags, CWD, FileType, Mode, OFlags, PROC_SUPER_MAGIC, RenameFlags, Stat, chmodat, fstat, fstatfs,
        fsync, linkat, open, openat, readlinkat, renameat_with, syncfs,
    },
    io::Errno,
    path::Arg,
};

use super::link::Link;

#[cfg(any(feature = "agent", feature = "policy"))]
pub(crate) use descendants::kill_below as kill_descendants;
#[cfg(feature = "policy")]
pub(crate) use descendants::kill_own as kill_own_descendants;

/// Whether [`sync_file_system`] writes the data of all files, and not only that of the handle.
pub(crate) const SYNCS_FILE_SYSTEMS: bool = true;

/// How a directory is opened in which names are looked up: no permission to read it is needed.
pub(crate) const LOOK_UP: OFlags = OFlags::PATH;

/// Permission bits as the system takes them.
pub(crate) fn mode(bits: u32) -> Mode {
    Mode::from_raw_mode(bits)
}

/// Permission bits as the system gives them.
pub(crate) fn bits(mode: Mode) -> u32 {
    mode.as_raw_mode()
}

/// The permission bits, and the kind of the file above them, as in `st_mode`.
pub(crate) fn mode_bits(found: &Stat) -> u32 {
    found.st_mode
}

/// What identifies a file: its device and its inode.
pub(crate) fn identity(found: &Stat) -> (u64, u64) {
    (found.st_dev, found.st_ino)
}

/// Opens the directory `name` in another one, to look up names in it. Links are not followed, and no permission to read it is
/// needed.
///
/// # Errors
/// `NOTDIR`: it is a symbolic link, or another file. Otherwise the system refuses.
pub(crate) fn open_directory(above: impl AsFd, name: impl Arg) -> Result<OwnedFd, Errno> {
    let flags = LOOK_UP | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(above, name, flags, Mode::empty())
}

/// Gives the owner of an open directory all permissions to it.
///
/// # Errors
/// Fails if the system refuses.
pub(crate) fn give_owner_all(directory: impl AsFd) -> Result<(), Errno> {
    // Only /proc has a path to what cannot be opened to read.
    let path = path_of(&directory);
    let mode = Mode::from_raw_mode(fstat(&directory)?.st_mode) | Mode::RWXU;
    chmodat(CWD, path, mode, AtFlags::empty())
}

/// Whether a file was not opened because it is a symbolic link (open(2), `O_NOFOLLOW`).
pub(crate) fn is_link_refused(error: &io::Error) -> bool {
    error.raw_os_error() == Some(Errno::LOOP.raw_os_error())
}

/// Reads the symbolic link `name` in an open directory. `None`: it is not a link.
///
/// # Errors
/// Fails if nothing has the name, or the system refuses.
pub(crate) fn read_link(directory: impl AsFd, name: &OsStr) -> Result<Option<Link>, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let link = openat(directory, name, flags, Mode::empty())?;
    let found = fstat(&link)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::Symlink {
        return Ok(None);
    }
    let is_in_proc = fstatfs(&link)?.f_type == PROC_SUPER_MAGIC;
    Ok(Some(Link { owner: found.st_uid, is_in_proc, target: readlinkat(&link, "", Vec::new())? }))
}

/// Opens a file to read if its status fits, without waiting. `None`: it does not, and was not opened.
///
/// The status is that of a handle, and that handle is opened, since the path may lead to a FIFO a moment later.
///
/// # Errors
/// Fails if there is no file, or the system refuses.
pub(crate) fn open_if(path: &Path, fits: impl Fn(&Stat) -> bool) -> io::Result<Option<File>> {
    let named = open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?;
    if !fits(&fstat(&named)?) {
        return Ok(None);
    }
    // A drive must not be opened with NONBLOCK: it would not check whether there is a disc.
    match File::open(path_of(&named)) {
        // There is no /proc.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        opened => return opened.map(Some),
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let file = open(path, flags, Mode::empty())?;
    Ok(fits(&fstat(&file)?).then(|| file.into()))
}

/// Renames a file in its directory, if nothing has the new name.
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
    file.sync_data()
}

/// Writes the names in a directory to its disk.
///
/// # Errors
/// Fails if something could not be written.
pub(crate) fn sync_directory(directory: impl AsFd) -> io::Result<()> {
    Ok(fsync(directory)?)
}

/// Creates a file without a name in the open directory, with these permission bits less those of the umask.
///
/// `None`: the file system has no such files, or there is no `/proc`, which may be needed to name it later.
pub(crate) fn create_unnamed(directory: impl AsFd, mode: u32) -> Option<File> {
    /// Whether /proc existed at the first call.
    static HAS_PROC: OnceLock<bool> = OnceLock::new();

    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = File::from(openat(directory, ".", flags, Mode::from_raw_mode(mode)).ok()?);
    HAS_PROC.get_or_init(|| fs::symlink_metadata(path_of(&file)).is_ok()).then_some(file)
}

/// The path of an open file in /proc (proc(5)).
fn path_of(file: impl AsFd) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_fd().as_raw_fd()).into()
}

/// Gives `file` a name in the open directory, if nothing has that name.
///
/// # Errors
/// `AlreadyExists`: something has that name. Otherwise the system refuses.
pub(crate) fn name_unnamed(file: &File, directory: impl AsFd, name: &OsStr) -> io::Result<()> {
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

/// Writes all of a file system to its disk, names included: every error since `handle` was opened is reported to it (syncfs(2)).
///
/// # Errors
/// Fails if something could not be written.
pub(crate) fn sync_file_system(handle: impl AsFd) -> io::Result<()> {
    Ok(syncfs(handle)?)
}

/// Sets the host name, unless it is set already: even setting the same name needs `CAP_SYS_ADMIN`.
///
/// # Errors
/// Fails if the system refuses.
#[cfg(feature = "agent")]
pub(crate) fn set_host_name(name: &str) -> io::Result<()> {
    if rustix::system::uname().nodename().to_bytes() == name.as_bytes() {
        return Ok(());
    }
    Ok(rustix::system::sethostname(name.as_bytes())?)
}

/// Lowers the limits of this process: bytes of address space and seconds of processor time. It leaves no core file.
///
/// # Errors
/// Fails if the system refuses.
#[cfg(feature = "policy")]
pub(crate) fn limit_evaluation(memory_bytes: u64, processor_seconds: u64) -> io::Result<()> {
    for (resource, limit) in
        [(Resource::As, memory_bytes), (Resource::Cpu, processor_seconds), (Resource::Core, 0)]
    {
        let hard = getrlimit(resource).maximum;
        let current = Some(hard.map_or(limit, |hard| hard.min(limit)));
        setrlimit(resource, Rlimit { current, maximum: hard })?;
    }
    Ok(())
}

/// Calls `spawn` without the limits of [`limit_evaluation`], as far as the process may raise them, and sets them again.
///
/// # Errors
/// Fails if the system refuses.
#[cfg(feature = "policy")]
pub(crate) fn with_hard_limits<T>(spawn: impl FnOnce() -> T) -> io::Result<T> {
    let lowered = [Resource::As, Resource::Cpu].map(|resource| (resource, getrlimit(resource)));
    for (resource, Rlimit { maximum, .. }) in lowered {
        setrlimit(resource, Rlimit { current: maximum, maximum })?;
    }
    let spawned = spawn();
    for (resource, limit) in lowered {
        setrlimit(resource, limit)?;
    }
    Ok(spawned)
}

/// Makes this process the parent of all its descendants whose own parents end.
///
/// # Errors
/// Fails if the system refuses.
#[cfg(feature = "policy")]
pub(crate) fn become_reaper() -> io::Result<()> {
    Ok(set_child_subreaper(Some(getpid()))?)
}

/// Has this process killed when its parent ends.
///
/// # Errors
/// Fails if the system refuses.
#[cfg(feature = "policy")]
pub(crate) fn end_with_parent() -> io::Result<()> {
    Ok(set_parent_process_death_signal(Some(Signal::KILL))?)
}

/// Checks that the system has what the agent needs.
///
/// # Errors
/// Fails on a system other than Linux.
#[cfg(feature = "agent")]
#[expect(clippy::unnecessary_wraps, reason = "other systems refuse")]
pub(crate) fn check_has_agent() -> io::Result<()> {
    Ok(())
}

/// Checks that the limits of an evaluation can be kept.
///
/// # Errors
/// Fails on a system other than Linux.
#[cfg(any(feature = "agent", feature = "policy"))]
#[expect(clippy::unnecessary_wraps, reason = "other systems refuse")]
pub(crate) fn check_has_policies() -> io::Result<()> {
    Ok(())
}
