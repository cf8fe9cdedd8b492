//! Compares an image, byte for byte, with the one that this program builds from its files.
//!
//! If they are equal, no reader finds anything else on the image: no second descriptor, no name that readers understand in
//! different ways, nothing in a gap or after the end.

use std::{fs::File, os::unix::fs::FileExt};

use crate::error::{Context, Result, ensure};

use super::writer::{Draft, WrittenImage};
use crate::image::{Image, SYSTEM_AREA_BYTES};

/// How many bytes are compared at a time.
const STEP_BYTES: usize = 64 << 10;

const NOT_SAME: &str = "the image differs from the one that is built from its files";

impl Image {
    /// Compares the image with the one that `draft` would write. The sources of `draft` are the files of this image, and none of
    /// its derived files depends on digests.
    ///
    /// The head says where every file is. If the head is the same, the large files are at their places, and are not read.
    ///
    /// # Errors
    /// Fails if a byte differs, or the image cannot be read. The error names the path.
    pub fn check_canonical(&self, draft: Draft) -> Result<()> {
        let check = || {
            self.check_signable()?;
            let (head, WrittenImage { bytes, files, .. }) = draft.outline()?;
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
