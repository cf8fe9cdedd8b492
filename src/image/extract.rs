//! Copies files out of an image in the fastest way.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
};

use crate::error::{Context, ErrorKind, Result, ensure, error};

use super::{
    Extent, Image, Progress, Record,
    sparse_copy::{STEP_BYTES, copy_with_holes, joined, takes_holes},
};

/// Smaller files are not searched for holes.
const WITH_HOLES_BYTES_MIN: u64 = 64 << 10;

impl Image {
    /// Whether the image has all bytes of `record`.
    #[must_use]
    pub fn holds(&self, record: &Record) -> bool {
        let end = |extent: &Extent| extent.offset.checked_add(extent.len);
        record.extents.iter().all(|extent| end(extent).is_some_and(|end| end <= self.bytes()))
    }

    /// Copies the bytes of `record` to `out`.
    ///
    /// # Errors
    /// Fails if the image ends before the file does, or one of the two cannot be read or written.
    pub fn copy(&self, record: &Record, out: &mut impl Write, progress: &mut dyn Progress) -> Result<()> {
        let context = || format!("copying file {:?} from image {:?}", record.display_path(), self.path());
        if !self.holds(record) {
            let failure = error!("the file reaches past the end of the image").of_kind(ErrorKind::Truncated);
            return Err(failure).with_context(context);
        }
        let mut file = self.file();
        for extent in &record.extents {
            file.seek(SeekFrom::Start(extent.offset)).with_context(context)?;
            let mut left = extent.len;
            while left > 0 {
                let step = left.min(STEP_BYTES);
                let copied = io::copy(&mut file.take(step), out).with_context(context)?;
                if copied != step {
                    return Err(error!("the image became shorter while it was being read"))
                        .with_context(context);
                }
                progress.advance(step);
                left -= step;
            }
        }
        Ok(())
    }

    /// Copies the bytes of `record` to `out`. If `out` is empty, it gets holes where the image has them, and shares the blocks
    /// of the image where the file system can.
    ///
    /// # Errors
    /// Fails as [`Image::copy`] does.
    pub fn copy_to_file(&self, record: &Record, mut out: &File, progress: &mut dyn Progress) -> Result<()> {
        if record.len < WITH_HOLES_BYTES_MIN || !self.holds(record) || !takes_holes(out) {
            return self.copy(record, &mut out, progress);
        }
        let mut copy = || {
            let mut at = 0;
            for extent in joined(&record.extents) {
                let copied = copy_with_holes(self.file(), extent, out, at, progress)?;
                ensure!(Truncated: copied == extent.len, "the image became shorter while it was being read");
                at += extent.len;
            }
            // It may end in a hole. What is written to the same open file next comes after it.
            out.set_len(at)?;
            out.seek(SeekFrom::Start(at))?;
            Ok(())
        };
        let copied: Result<()> = copy();
        copied
            .with_context(|| format!("copying file {:?} from image {:?}", record.display_path(), self.path()))
    }

    /// The bytes of `record`, at most `limit` of them.
    ///
    /// # Errors
    /// Fails if there are more, or as [`Image::copy`] does.
    pub fn read(&self, record: &Record, limit: u64) -> Result<Vec<u8>> {
        ensure!(TooLarge:
            record.len <= limit,
            "reading file {:?} of image {:?}: the file has {} bytes, more than {limit}",
            record.display_path(),
            self.path(),
            record.len
        );
        let mut bytes = Vec::new();
        self.copy(record, &mut bytes, &mut ())?;
        Ok(bytes)
    }
}
