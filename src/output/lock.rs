//! Files that one process at a time may replace.

use std::{fs::File, io, path::Path};

use rustix::{
    fs::{FlockOperation, flock, fstat, stat},
    io::{Errno, retry_on_intr},
};

/// Waits until no other process has `file` locked, and locks it until it is closed. Whether `path` names it then: who had it
/// may have put another one there.
///
/// # Errors
/// The system refuses. That a file system has no locks is no error.
pub fn lock(file: &File, path: &Path) -> io::Result<bool> {
    match retry_on_intr(|| flock(file, FlockOperation::LockExclusive)) {
        // NFS locks only what is open for writing.
        Ok(()) | Err(Errno::NOTSUP | Errno::NOLCK | Errno::NOSYS | Errno::BADF) => {}
        Err(error) => return Err(error.into()),
    }
    let (locked, named) = (fstat(file)?, stat(path)?);
    Ok((locked.st_dev, locked.st_ino) == (named.st_dev, named.st_ino))
}
