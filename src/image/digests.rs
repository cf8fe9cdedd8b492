//! Digests of an image that has been written.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
};

use crate::error::{Result, ensure};
use sha2::{Digest, Sha256};

use super::{
    DIGEST_BYTES, Extent, Progress,
    iso9660::writer::{Placed, Written},
    sparse_copy::read_pieces,
};

/// SHA-256 digests of an image and its files.
#[derive(Clone, Debug)]
pub struct Digests {
    /// Of the whole image.
    pub image: [u8; DIGEST_BYTES],
    /// Of each file, in the order of [`Written::files`].
    pub files: Vec<[u8; DIGEST_BYTES]>,
}

/// Digests the image in `file`, which was written as `written` says.
///
/// # Errors
/// It cannot be read.
pub fn digests(mut file: &File, written: &Written, progress: &mut dyn Progress) -> Result<Digests> {
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
        ensure!(read == len, "the image became shorter");
        Ok(())
    };
    let mut at = 0;
    let mut files = Vec::with_capacity(written.files.len());
    for Placed { extent: Extent { offset, len }, .. } in &written.files {
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
