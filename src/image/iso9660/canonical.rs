//! Whether an image is, byte for byte, the one that this program builds of what is on it.
//!
//! Then no reader finds anything else there: no second descriptor, no name that readers take differently, nothing in a gap
//! or behind the end.

use std::{fs::File, os::unix::fs::FileExt};

use crate::error::{Context, Result, ensure};

use super::writer::{Draft, Written};
use crate::image::{Image, SYSTEM_AREA_BYTES};

/// Bytes that are compared at once.
const STEP_BYTES: usize = 64 << 10;

const NOT_SAME: &str = "it is not the image that is built of what is on it";

impl Image {
    /// Compares the image with the one that `draft` would be, whose sources are the files of this image and whose summary does
    /// not depend on digests.
    ///
    /// The head says where every file is. Where it is the same, the large files are at their places, and need not be read.
    ///
    /// # Errors
    /// It is another one, or cannot be read. The error names the path.
    pub fn check_is(&self, draft: Draft) -> Result<()> {
        let check = || {
            let (head, Written { bytes, files, .. }) = draft.outline()?;
            ensure!(bytes == self.bytes(), "{NOT_SAME}: it has {} bytes instead of {bytes}", self.bytes());
            let start = SYSTEM_AREA_BYTES as u64;
            check_zeros(self.file(), 0, start)?;
            for (at, piece) in (start..).step_by(STEP_BYTES).zip(head.chunks(STEP_BYTES)) {
                check_bytes(self.file(), at, piece)?;
            }
            let behind = start + head.len() as u64;
            let mut at = behind;
            for extent in files.iter().map(|file| file.extent).filter(|extent| extent.offset >= behind) {
                check_zeros(self.file(), at, extent.offset)?;
                at = extent.offset + extent.len;
            }
            check_zeros(self.file(), at, bytes)
        };
        check().with_context(|| format!("reading image {:?}", self.path()))
    }
}

fn check_zeros(file: &File, from: u64, to: u64) -> Result<()> {
    let mut at = from;
    while at < to {
        let step = usize::try_from(to - at).unwrap_or(STEP_BYTES).min(STEP_BYTES);
        check_bytes(file, at, &vec![0; step])?;
        at += step as u64;
    }
    Ok(())
}

fn check_bytes(file: &File, at: u64, expected: &[u8]) -> Result<()> {
    let mut found = vec![0; expected.len()];
    file.read_exact_at(&mut found, at)?;
    ensure!(found == expected, "{NOT_SAME}: bytes from {at} on differ");
    Ok(())
}
