//! Whether a file changed while it was read.

use std::{
    fs::{File, Metadata},
    os::unix::fs::MetadataExt,
};

use crate::error::{Result, ensure};

/// What a file is and when it last changed: equal before and after a copy, unless somebody wrote to it.
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

    /// Fails when `file` is not what it was.
    pub(super) fn check(self, file: &File) -> Result<()> {
        ensure!(Self::of(&file.metadata()?) == self, "it changed while it was read");
        Ok(())
    }
}
