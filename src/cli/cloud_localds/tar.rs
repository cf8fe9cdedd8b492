//! The seed as a tar archive, as GNU tar makes it with `--owner=root --group=root`.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
};

use anyhow::{Context, Result};
use metadata_image::output::scratch::umask;
use tar::{EntryType, Header};

use super::seed::SeedFile;

/// Bytes in a block: a header is one, and a file fills whole blocks (POSIX.1-2017, pax).
const BLOCK_BYTES: u64 = 512;

/// An archive is a multiple of this many bytes, 20 blocks, and ends with two blocks of zeros or more.
const RECORD_BYTES: u64 = 20 * BLOCK_BYTES;

/// Writes the archive to `out`, an empty file. `directory`: where the files are, with a slash at its end, or empty; `seconds`: their
/// date, since 1970.
///
/// # Errors
/// Fails if a file cannot be read, or the archive cannot be written.
pub(super) fn write(files: &[SeedFile], directory: &str, seconds: u64, mut out: &File) -> Result<()> {
    let mut at = 0;
    if !directory.is_empty() {
        let header = header(directory, EntryType::Directory, 0o777 & !umask(), seconds, 0)?;
        out.write_all_at(header.as_bytes(), at).context("writing the archive")?;
        at += BLOCK_BYTES;
    }
    for file in files {
        // The length of a pipe is known when it has been read.
        out.seek(SeekFrom::Start(at + BLOCK_BYTES)).context("writing the archive")?;
        let mut from = file.open()?;
        let len =
            io::copy(&mut from, &mut out).with_context(|| format!("copying {} to the archive", file.name))?;
        let path = format!("{directory}{}", file.name);
        let header = header(&path, EntryType::Regular, file.mode, seconds, len)?;
        out.write_all_at(header.as_bytes(), at).context("writing the archive")?;
        at += BLOCK_BYTES + len.next_multiple_of(BLOCK_BYTES);
    }
    let end = (at + 2 * BLOCK_BYTES).next_multiple_of(RECORD_BYTES);
    out.set_len(end).and_then(|()| out.flush()).context("writing the archive")
}

/// The header of a file or directory, which belongs to root.
fn header(path: &str, kind: EntryType, mode: u32, seconds: u64, len: u64) -> Result<Header> {
    let mut header = Header::new_gnu();
    header.set_path(path)?;
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_username("root")?;
    header.set_groupname("root")?;
    header.set_mtime(seconds);
    header.set_size(len);
    header.set_cksum();
    Ok(header)
}
