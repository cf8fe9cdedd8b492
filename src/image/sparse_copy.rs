//! Copies between files in the fastest way: the kernel copies the bytes, shares blocks where the file system can, and holes stay
//! holes.
//!
//! `std::io::copy` between two files is `copy_file_range`; pipes are read and written. The result is the same either way.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    time::{Duration, Instant},
};

use rustix::fs;

use super::{Extent, Progress};
use crate::os;

/// How many bytes are copied between two reports of progress.
pub(super) const STEP_BYTES: u64 = 16 << 20;

/// How many bytes are copied in one step after a step that the file system shared instead of copying it: each one is a transaction.
const SHARED_STEP_BYTES: u64 = 1 << 30;

/// No machine copies [`STEP_BYTES`] in this time.
const SHARED_TIME_MAX: Duration = Duration::from_micros(500);

/// How many bytes are read from a pipe at a time: it usually holds 64 KiB, and where it holds more this saves system calls.
const BUFFER_BYTES: usize = 256 << 10;

/// Copies the bytes of `file` in `extent` to byte `offset` of `out`, where `out` holds nothing yet, and leaves holes where
/// `file` has them. Returns how many bytes of the extent `file` had.
///
/// The kernel copies. Where the file system shares blocks (XFS, Btrfs, bcachefs), nothing is copied if both offsets are
/// multiples of [`ALIGNMENT_BYTES`](super::ALIGNMENT_BYTES).
pub(super) fn copy_with_holes(
    file: &File,
    extent: Extent,
    out: &File,
    offset: u64,
    progress: &mut dyn Progress,
) -> io::Result<u64> {
    let end = extent.offset + extent.len;
    let mut at = extent.offset;
    while at < end {
        let data = match os::next_data(file, at) {
            Ok(Some(data)) => data.min(end),
            Ok(None) => file.metadata()?.len().clamp(at, end),
            Err(_) => at,
        };
        let hole = match os::next_hole(file, data) {
            Some(hole) if data < end => hole.min(end),
            _ => end,
        };
        progress.advance(data - at);
        let to = offset + (data - extent.offset);
        let copied = copy_range(file, data..hole, out, to, progress)?;
        at = data + copied;
        if at < hole {
            break;
        }
    }
    Ok(at - extent.offset)
}

/// Copies the bytes in `range` of `file` to byte `offset` of `out`, and returns how many `file` had.
fn copy_range(
    mut file: &File,
    range: std::ops::Range<u64>,
    mut out: &File,
    offset: u64,
    progress: &mut dyn Progress,
) -> io::Result<u64> {
    let len = range.end - range.start;
    if len == 0 {
        return Ok(0);
    }
    file.seek(SeekFrom::Start(range.start))?;
    out.seek(SeekFrom::Start(offset))?;
    let mut done = 0;
    let mut step_bytes = STEP_BYTES;
    while done < len {
        let step = step_bytes.min(len - done);
        let begun = Instant::now();
        let copied = io::copy(&mut file.take(step), &mut out)?;
        let is_shared = step >= STEP_BYTES && begun.elapsed() < SHARED_TIME_MAX;
        step_bytes = if is_shared { SHARED_STEP_BYTES } else { STEP_BYTES };
        done += copied;
        progress.advance(copied);
        if copied < step {
            break;
        }
    }
    Ok(done)
}

/// Whether `file` is a regular file that is empty and can be written at any offset, so that a copy into it can leave holes and
/// share blocks.
pub(super) fn takes_holes(mut file: &File) -> bool {
    let is_empty = file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0);
    let appends = fs::fcntl_getfl(file).is_ok_and(|flags| flags.contains(fs::OFlags::APPEND));
    is_empty && !appends && file.stream_position().is_ok_and(|at| at == 0)
}

/// Writes `bytes` to byte `offset` of `out`.
pub(super) fn write_at(out: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    out.write_all_at(bytes, offset)
}

/// Reads `from` to its end, passes its bytes to `each`, and returns how many there were.
pub(super) fn read_pieces(
    mut from: impl Read,
    each: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    progress: &mut dyn Progress,
) -> io::Result<u64> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut total = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(read) => {
                each(&buffer[..read])?;
                total += read as u64;
                progress.advance(read as u64);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Joins extents that follow one another. The extents of 4 GiB that a larger file has end within blocks, and file systems share
/// only whole blocks.
pub(super) fn joined(extents: &[Extent]) -> Vec<Extent> {
    let mut joined: Vec<Extent> = Vec::with_capacity(1);
    for extent in extents {
        match joined.last_mut() {
            Some(last) if last.offset + last.len == extent.offset => last.len += extent.len,
            _ => joined.push(*extent),
        }
    }
    joined
}
