//! Digests of a written image.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
};

use crate::error::{Result, ensure};
use sha2::{Digest, Sha256};

use super::{
    DIGEST_BYTES, Extent, Image, Progress, Record,
    sparse_copy::read_pieces,
    written::{PlacedFile, WrittenImage},
};

/// The SHA-256 of `bytes`.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; DIGEST_BYTES] {
    Sha256::digest(bytes).into()
}

/// SHA-256 digests of an image and its files.
#[derive(Clone, Debug)]
pub struct Digests {
    /// Of the whole image.
    pub image: [u8; DIGEST_BYTES],
    /// Of each file, in the order of [`WrittenImage::files`].
    pub files: Vec<[u8; DIGEST_BYTES]>,
}

impl Image {
    /// The SHA-256 digest of the bytes of `record`.
    ///
    /// # Errors
    /// Fails as [`Image::copy`] does.
    pub fn digest(&self, record: &Record, progress: &mut dyn Progress) -> Result<[u8; DIGEST_BYTES]> {
        let mut hash = HashWriter(Sha256::new());
        self.copy(record, &mut hash, progress)?;
        Ok(hash.0.finalize().into())
    }
}

/// The SHA-256 digest of all that `reader` reads.
///
/// # Errors
/// Fails if `reader` fails.
pub fn digest_of(mut reader: impl Read) -> Result<[u8; DIGEST_BYTES]> {
    let mut hash = HashWriter(Sha256::new());
    io::copy(&mut reader, &mut hash)?;
    Ok(hash.0.finalize().into())
}

/// Digests what is written to it.
struct HashWriter(Sha256);

impl Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Computes the digests of the image in `file`, which is laid out as `written` says.
///
/// # Errors
/// Fails if the image cannot be read, or is shorter than `written` says.
pub fn digests(mut file: &File, written: &WrittenImage, progress: &mut dyn Progress) -> Result<Digests> {
    progress.expect(written.bytes);
    file.seek(SeekFrom::Start(0))?;
    let mut image = Sha256::new();
    let mut feed = |len: u64, also: &mut Sha256| -> Result<()> {
        let mut each = |piece: &[u8]| {
            image.update(piece);
            also.update(piece);
            Ok(())
        };
        let read = read_pieces(&mut file.take(len), &mut each, progress)?;
        ensure!(read == len, "the image became shorter while it was being read");
        Ok(())
    };
    let mut at = 0;
    let mut files = Vec::with_capacity(written.files.len());
    for PlacedFile { extent: Extent { offset, len }, .. } in &written.files {
        let mut hash = Sha256::new();
        if *len > 0 {
            feed(offset - at, &mut Sha256::new())?;
            feed(*len, &mut hash)?;
            at = offset + len;
        }
        files.push(hash.finalize().into());
    }
    feed(written.bytes - at, &mut Sha256::new())?;
    Ok(Digests { image: image.finalize().into(), files })
}
