//! Linux: files without a name, holes, syncing a file system, limits of a process, the host name.

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

#[cfg(feature = "policy")]
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, SeekFrom, linkat, openat, seek, syncfs},
    io::Errno,
    process::geteuid,
};

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

/// The user that this process acts for.
pub(crate) fn effective_user() -> u32 {
    geteuid().as_raw()
}

/// The path of an open file in /proc (proc(5)).
fn path_of(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
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

/// Where the next bytes of `file` that are not a hole begin, from byte `at` on: `at` itself if the file system has no holes.
/// `None`: only a hole is left. The position in the file is moved (lseek(2)).
///
/// # Errors
/// Fails if the file cannot be read.
pub(crate) fn next_data(file: &File, at: u64) -> io::Result<Option<u64>> {
    match seek(file, SeekFrom::Data(at)) {
        Ok(data) => Ok(Some(data)),
        Err(Errno::NXIO) => Ok(None),
        Err(Errno::INVAL) => Ok(Some(at)),
        Err(error) => Err(error.into()),
    }
}

/// Where the next hole of `file` begins, from byte `at` on. `None`: the system does not say. The position in the file is moved.
pub(crate) fn next_hole(file: &File, at: u64) -> Option<u64> {
    seek(file, SeekFrom::Hole(at)).ok()
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
