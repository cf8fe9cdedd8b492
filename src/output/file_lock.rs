//! Files that one process at a time may replace.

use std::{
    fs::File,
    io, thread,
    time::{Duration, Instant},
};

use crate::error::{Result, bail};
use rustix::{
    fs::{FlockOperation, flock, fstat},
    io::{Errno, retry_on_intr},
};

use super::{atomic_file::Target, leftover};

/// How long another process is waited for. Whoever may read a file may lock it, for ever too.
const WAIT: Duration = Duration::from_secs(20);

/// How long until the lock is tried again.
const POLL: Duration = Duration::from_millis(5);

/// Opens the file at `target` for reading and locks it until it is closed. `None`: another file is there by then, since the
/// process that had it locked may have replaced it.
///
/// # Errors
/// There is none, it is no regular file any more, another process keeps it locked for 20 seconds, or the system refuses. That a
/// file system has no locks is no error.
pub fn lock(target: &Target) -> Result<Option<File>> {
    let Some(file) = target.open_old()? else { return Err(io::Error::from(Errno::NOENT).into()) };
    let end = Instant::now() + WAIT;
    loop {
        match retry_on_intr(|| flock(&file, FlockOperation::NonBlockingLockExclusive)) {
            // NFS locks only what is open for writing.
            Ok(()) | Err(Errno::NOTSUP | Errno::NOLCK | Errno::NOSYS | Errno::BADF) => break,
            Err(Errno::WOULDBLOCK) if Instant::now() < end => thread::sleep(POLL),
            Err(Errno::WOULDBLOCK) => {
                bail!("another process has it locked (flock), for more than 20 seconds")
            }
            Err(error) => return Err(io::Error::from(error).into()),
        }
    }
    Ok(target.is(&file)?.then_some(file))
}

/// Whether two handles are of one file.
///
/// # Errors
/// The system does not say.
pub fn is_same(one: &File, other: &File) -> io::Result<bool> {
    Ok(leftover::is_same(&fstat(one)?, &fstat(other)?))
}
