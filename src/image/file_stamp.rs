//! Detects that a file changed while it was being read.

use std::{
    fs::{File, Metadata},
    os::unix::fs::MetadataExt,
};

use crate::error::{Result, ensure};

/// What an error says of a file that changed.
pub(super) const CHANGED: &str = "the file changed while it was being read";

/// Identity, length and time of modification of a file: the same before and after a copy, unless somebody wrote to the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileStamp {
    device: u64,
    inode: u64,
    pub(super) len: u64,
    modified: (i64, i64),
}

impl FileStamp {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            len: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
        }
    }

    /// Fails if `file` is a different file, or has become shorter.
    pub(super) fn check_still_there(self, file: &File) -> Result<()> {
        let now = Self::of(&file.metadata()?);
        let is_there = (now.device, now.inode) == (self.device, self.inode) && now.len >= self.len;
        ensure!(Changed: is_there, CHANGED);
        Ok(())
    }

    /// Fails if `file` has changed.
    pub(super) fn check(self, file: &File) -> Result<()> {
        ensure!(Changed: Self::of(&file.metadata()?) == self, CHANGED);
        Ok(())
    }
}
