//! Whether an image is, byte for byte, the one that this program builds of what is on it.
//!
//! Then no reader finds anything else there: no second descriptor, no name that readers take differently, nothing in a gap
//! or behind the end.

use std::{
    fs::File,
    io::{self, Write},
    os::unix::fs::FileExt,
};

use anyhow::{Context, Result, bail, ensure};

use super::{Image, write::Draft};

impl Image {
    /// Compares the image with the one that `draft` would be.
    ///
    /// # Errors
    /// It is another one, or cannot be read. The error names the path.
    pub fn check_is(&self, draft: Draft) -> Result<()> {
        let check = || {
            let mut comparison = Comparison { image: self.file(), at: 0, differs: false, buffer: Vec::new() };
            let written = draft.write_forward(&mut comparison, &mut ());
            if comparison.differs {
                bail!(
                    "it is not the image that is built of what is on it: bytes from {} on differ",
                    comparison.at
                );
            }
            let bytes = written?.bytes;
            ensure!(
                bytes == self.bytes(),
                "it is not the image that is built of what is on it: it has {} bytes instead of {bytes}",
                self.bytes()
            );
            Ok(())
        };
        check().with_context(|| format!("reading image {:?}", self.path()))
    }
}

/// Takes bytes and compares them with those of an image, from its first one on.
struct Comparison<'a> {
    image: &'a File,
    /// Bytes that are the same.
    at: u64,
    differs: bool,
    buffer: Vec<u8>,
}

impl Write for Comparison<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.buffer.resize(bytes.len(), 0);
        // The position of the file belongs to the sources of the draft.
        let read = self.image.read_exact_at(&mut self.buffer, self.at);
        if read.is_err() || self.buffer != bytes {
            self.differs = true;
            return Err(io::Error::other("it differs"));
        }
        self.at += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
