//! A large file: named until the writer needs it, then copied to its place by whatever copies fastest.
//!
//! Files are copied by the kernel, which shares their blocks where it can (`std::io::copy` between two files is
//! `copy_file_range`), and their holes stay holes; pipes are read and written. Where the bytes go does not depend on
//! which it was. The way back, out of an image, is the same.

use std::{
    fmt,
    fs::{File, Metadata},
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::{FileExt, MetadataExt},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use rustix::{fs, io::Errno};

use super::{Extent, stored::Stored};

/// Bytes that are copied between two reports of progress.
pub(super) const STEP_BYTES: u64 = 16 << 20;

/// The same behind a step that the file system shared instead of copying it: each one is a transaction.
const SHARED_STEP_BYTES: u64 = 1 << 30;

/// Time in which no machine copies [`STEP_BYTES`].
const SHARED_TIME_MAX: Duration = Duration::from_micros(500);

/// Bytes that a pipe is read by: its usual capacity is 64 KiB, and more saves system calls for those that hold more.
const BUFFER_BYTES: usize = 256 << 10;

/// Told of the work as it goes on. `()` ignores it.
pub trait Progress {
    /// `bytes` more are to be copied or read. Not called for a pipe, whose length nobody knows.
    fn expect(&mut self, bytes: u64);
    /// `bytes` more are done.
    fn advance(&mut self, bytes: u64);
}

impl Progress for () {
    fn expect(&mut self, _: u64) {}
    fn advance(&mut self, _: u64) {}
}

/// What a file is and when it last changed: equal before and after a copy, unless somebody wrote to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    pub(super) len: u64,
    modified: (i64, i64),
}

impl Stamp {
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

/// The bytes of a large file, before they are on the image.
pub(super) enum Payload {
    /// A regular file, opened when it is copied.
    File { path: PathBuf, role: &'static str, stamp: Stamp },
    /// Something that can be read once: its beginning and the rest.
    Stream { label: String, start: Vec<u8>, rest: Box<dyn Read> },
    /// A stream that had to be kept, in a file without a name.
    Spooled { file: File, len: u64 },
    /// A file on an image that is there.
    Stored(Stored),
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, .. } => write!(f, "file {path:?}"),
            Self::Stream { label, .. } => f.write_str(label),
            Self::Spooled { len, .. } => write!(f, "{len} bytes kept"),
            Self::Stored(stored) => stored.fmt(f),
        }
    }
}

impl Payload {
    /// Bytes in it, where that is known before it is read.
    pub(super) fn len(&self) -> Option<u64> {
        match self {
            Self::File { stamp, .. } => Some(stamp.len),
            Self::Stream { .. } => None,
            Self::Spooled { len, .. } => Some(*len),
            Self::Stored(stored) => Some(stored.len()),
        }
    }

    /// Whether it has so many bytes or more. Of a stream it reads no more to find out.
    pub(super) fn reaches(&mut self, bytes: u64) -> Result<bool> {
        match (self.len(), self) {
            (Some(len), _) => Ok(len >= bytes),
            (None, Self::Stream { label, start, rest }) => {
                let more = bytes.saturating_sub(start.len() as u64);
                rest.take(more).read_to_end(start).with_context(|| format!("reading {label}"))?;
                Ok(start.len() as u64 >= bytes)
            }
            (None, _) => Ok(false),
        }
    }

    /// Its first bytes, `limit` of them at most.
    pub(super) fn beginning(&self, limit: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        match self {
            Self::File { path, .. } => File::open(path)?.take(limit).read_to_end(&mut bytes)?,
            Self::Stream { start, .. } => start.as_slice().take(limit).read_to_end(&mut bytes)?,
            Self::Spooled { file, .. } => file.take(limit).read_to_end(&mut bytes)?,
            Self::Stored(stored) => return stored.beginning(limit),
        };
        Ok(bytes)
    }

    /// Its bytes, if they are at most `limit`; of a stream it takes no more to find out.
    pub(super) fn peek(&mut self, limit: u64) -> Result<Option<Vec<u8>>> {
        if self.len().is_some_and(|len| len > limit) {
            return Ok(None);
        }
        if let Self::Stream { label, start, rest } = self {
            let more = (limit + 1).saturating_sub(start.len() as u64);
            // Growing by itself it would double.
            start.reserve_exact(usize::try_from(more)?);
            rest.take(more).read_to_end(start).with_context(|| format!("reading {label}"))?;
            return Ok((start.len() as u64 <= limit).then(|| start.clone()));
        }
        let mut bytes = Vec::new();
        self.read(&mut |piece| bytes.write_all(piece), &mut ())?;
        Ok(Some(bytes))
    }

    /// Copies it to byte `offset` of `out`, where `out` holds nothing yet, and says how many bytes it took. Nothing is left
    /// of a stream.
    pub(super) fn place(&mut self, out: &File, offset: u64, progress: &mut dyn Progress) -> Result<u64> {
        match self {
            Self::File { path, role, stamp } => {
                let mut copy = || -> Result<u64> {
                    let file = File::open(&*path)?;
                    stamp.check(&file)?;
                    place_file(&file, stamp.len, out, offset, progress)?;
                    stamp.check(&file)?;
                    Ok(stamp.len)
                };
                copy().with_context(|| format!("copying {role} {path:?} to the image"))
            }
            Self::Stream { label, start, rest } => {
                let mut out = out;
                out.seek(SeekFrom::Start(offset)).context("writing the image")?;
                pump(start.as_slice().chain(rest), &mut out, label, progress)
            }
            Self::Spooled { file, len } => {
                place_file(file, *len, out, offset, progress)?;
                Ok(*len)
            }
            Self::Stored(stored) => stored.place(out, offset, progress),
        }
    }

    /// The same bytes in a form that can be read more than once and whose length is known.
    pub(super) fn keep(self, progress: &mut dyn Progress) -> Result<Self> {
        let Self::Stream { label, start, rest } = self else { return Ok(self) };
        let mut file = crate::output::replace::nameless().context("creating a temporary file for a pipe")?;
        let len = pump(start.as_slice().chain(rest), &mut file, &label, progress)?;
        Ok(Self::Spooled { file, len })
    }

    /// Fills `bytes` with those from `offset` on of a file or of what was kept.
    pub(super) fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        match self {
            Self::File { path, .. } => File::open(path)?.read_exact_at(bytes, offset),
            Self::Spooled { file, .. } => file.read_exact_at(bytes, offset),
            Self::Stored(stored) => stored.read_at(offset, bytes),
            Self::Stream { .. } => unreachable!("a stream is kept before it is read twice"),
        }
    }

    /// Hands the bytes of a file or of what was kept to `each`, piece by piece.
    pub(super) fn read(
        &self,
        each: &mut dyn FnMut(&[u8]) -> io::Result<()>,
        progress: &mut dyn Progress,
    ) -> Result<()> {
        match self {
            Self::File { path, role, stamp } => {
                let mut copy = || -> Result<()> {
                    let mut file = File::open(path)?;
                    stamp.check(&file)?;
                    let read = read_pieces(&mut (&mut file).take(stamp.len), each, progress)?;
                    ensure!(read == stamp.len, "it changed while it was read");
                    stamp.check(&file)
                };
                copy().with_context(|| format!("copying {role} {path:?} to the image"))
            }
            Self::Spooled { file, len } => {
                let mut file = file;
                file.seek(SeekFrom::Start(0))?;
                read_pieces(&mut file.take(*len), each, progress)?;
                Ok(())
            }
            Self::Stored(stored) => stored.read(each, progress),
            Self::Stream { .. } => unreachable!("a stream is kept before it is read twice"),
        }
    }
}

/// Copies `len` bytes of `file` to `offset` of `out`, leaving holes where `file` has them.
fn place_file(file: &File, len: u64, out: &File, offset: u64, progress: &mut dyn Progress) -> Result<()> {
    let copied = copy_with_holes(file, Extent { offset: 0, len }, out, offset, progress)?;
    ensure!(copied == len, "it changed while it was read");
    Ok(())
}

/// Copies the bytes of `file` in `extent` to byte `offset` of `out`, where `out` holds nothing yet, and leaves holes where
/// `file` has them. How many bytes of the extent were there.
///
/// The kernel copies. Where the file system shares blocks (XFS, Btrfs, bcachefs) it has nothing to copy, as long as both
/// offsets are multiples of [`ALIGNMENT_BYTES`](super::ALIGNMENT_BYTES).
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
        // A file system that knows no holes says EINVAL, one that has only a hole left ENXIO.
        let data = match fs::seek(file, fs::SeekFrom::Data(at)) {
            Ok(data) => data.min(end),
            Err(Errno::NXIO) => file.metadata()?.len().clamp(at, end),
            Err(_) => at,
        };
        let hole = match fs::seek(file, fs::SeekFrom::Hole(data)) {
            Ok(hole) if data < end => hole.min(end),
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

/// Copies the bytes in `range` of `file` to byte `offset` of `out`, and says how many there were.
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

/// Whether `file` is a regular one that holds nothing and takes bytes at any place, so that a copy into it can leave holes
/// and share blocks.
pub(super) fn takes_holes(mut file: &File) -> bool {
    let is_empty = file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() == 0);
    let appends = fs::fcntl_getfl(file).is_ok_and(|flags| flags.contains(fs::OFlags::APPEND));
    is_empty && !appends && file.stream_position().is_ok_and(|at| at == 0)
}

/// Writes `bytes` to byte `offset` of `out`.
pub(super) fn write_at(out: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    out.write_all_at(bytes, offset)
}

/// Reads `from` to its end and writes it to `to`.
fn pump(mut from: impl Read, to: &mut impl Write, label: &str, progress: &mut dyn Progress) -> Result<u64> {
    let mut buffer = vec![0; BUFFER_BYTES];
    let mut total = 0;
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error).with_context(|| format!("reading {label}")),
        };
        to.write_all(&buffer[..read]).with_context(|| format!("copying {label}"))?;
        total += read as u64;
        progress.advance(read as u64);
    }
}

/// Hands what `from` gives to `each`, and says how many bytes that were.
pub(super) fn read_pieces(
    from: &mut impl Read,
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
