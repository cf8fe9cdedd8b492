//! Writes the finished image: into the file that is there, to a device or a pipe, or to standard output.

use std::{
    fs::File,
    io::{self, Read, Seek},
    os::unix::fs::FileExt,
    path::Path,
};

use anyhow::{Context, Result};
use metadata_image::output::{
    atomic_file::standard_output,
    in_place::{InPlace, open_special},
};

use super::settings::Place;

/// Bytes that are written last: all by which a reader can tell what an image is.
const BEGINNING_BYTES: usize = 64 << 10;

/// Copies `image` to the output.
///
/// # Errors
/// Fails if the output cannot be written. What is there then is not an image.
pub(super) fn write(mut image: File, output: &Place) -> Result<()> {
    image.rewind().context("reading the temporary image")?;
    let path = match output {
        Place::Standard => {
            let mut out = standard_output().context("writing to standard output")?;
            return io::copy(&mut image, &mut out).map(drop).context("writing to standard output");
        }
        Place::Path(path) => path,
    };
    let writing = || format!("writing image {path:?}");
    if let Some(mut device) = open_special(path).with_context(writing)? {
        return io::copy(&mut image, &mut device).map(drop).with_context(writing);
    }
    write_in_place(&image, path).with_context(writing)
}

fn write_in_place(image: &File, path: &Path) -> Result<()> {
    let file = InPlace::open(path)?;
    let copied = file.truncate().and_then(|()| copy(image, file.file()));
    if copied.is_err() {
        file.abandon();
    }
    Ok(copied?)
}

/// Copies a file to an empty one, the beginning at last. Zeros stay holes.
fn copy(mut image: &File, out: &File) -> io::Result<()> {
    let mut beginning = Vec::new();
    image.take(BEGINNING_BYTES as u64).read_to_end(&mut beginning)?;
    let mut at = beginning.len() as u64;
    let mut piece = vec![0; BEGINNING_BYTES];
    loop {
        let read = match image.read(&mut piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        if read == 0 {
            break;
        }
        if piece[..read].iter().any(|byte| *byte != 0) {
            out.write_all_at(&piece[..read], at)?;
        }
        at += read as u64;
    }
    out.set_len(at)?;
    out.write_all_at(&beginning, 0)
}

#[cfg(test)]
mod tests {
    use metadata_image::output::atomic_file::unnamed_temporary;

    use super::*;

    #[test]
    fn all_bytes_are_copied_and_zeros_are_holes() {
        for len in [0, 1, BEGINNING_BYTES - 1, BEGINNING_BYTES, BEGINNING_BYTES + 1, 5 * BEGINNING_BYTES] {
            let mut bytes = vec![0; len];
            if let Some(last) = bytes.last_mut() {
                *last = 1;
            }
            let (image, out) = (unnamed_temporary().unwrap(), unnamed_temporary().unwrap());
            image.write_all_at(&bytes, 0).unwrap();
            copy(&image, &out).unwrap();
            let mut copied = Vec::new();
            (&out).read_to_end(&mut copied).unwrap();
            assert!(copied == bytes, "{len}");
        }
    }
}
