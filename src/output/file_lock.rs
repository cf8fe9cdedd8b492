//! Exclusive locks on files (flock(2)).

use std::{
    fs::{File, TryLockError},
    io, thread,
    time::{Duration, Instant},
};

use rustix::io::Errno;

use crate::error::{Result, bail};

/// How long to wait for another process. Any process that may read a file may lock it, and keep it locked for ever.
const WAIT: Duration = Duration::from_secs(20);

/// How long until the lock is tried again.
const POLL: Duration = Duration::from_millis(5);

/// Whether a file was locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lock {
    /// It is locked until it is closed.
    Held,
    /// Another process has locked it.
    Busy,
    /// The file system has no locks.
    Unsupported,
}

/// Locks `file`, without waiting.
///
/// # Errors
/// Fails if the system reports an error other than that the file system has no locks.
pub(super) fn try_lock(file: &File) -> io::Result<Lock> {
    loop {
        return match file.try_lock() {
            Ok(()) => Ok(Lock::Held),
            Err(TryLockError::WouldBlock) => Ok(Lock::Busy),
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(TryLockError::Error(error)) if is_unsupported(&error) => Ok(Lock::Unsupported),
            Err(TryLockError::Error(error)) => Err(error),
        };
    }
}

fn is_unsupported(error: &io::Error) -> bool {
    // NFS locks only files that are open for writing: EBADF.
    let errors = [Errno::NOTSUP, Errno::NOLCK, Errno::NOSYS, Errno::INVAL, Errno::BADF];
    errors.iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}

/// Locks `file` until it is closed, where the file system has locks.
///
/// # Errors
/// Fails if another process keeps it locked for 20 seconds, or the system reports an error.
pub(super) fn lock(file: &File) -> Result<()> {
    let end = Instant::now() + WAIT;
    while try_lock(file)? == Lock::Busy {
        if Instant::now() >= end {
            bail!("another process has kept the file locked (flock) for more than 20 seconds");
        }
        thread::sleep(POLL);
    }
    Ok(())
}
