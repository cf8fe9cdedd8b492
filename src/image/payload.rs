//! Opens sources: a small one is read at once, a large one is kept open or by name until the writer copies it to its place.

use std::{
    fmt,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    path::PathBuf,
};

use crate::error::{Context, Result, bail, ensure};

use super::{
    Extent, Progress,
    file_stamp::{CHANGED, FileStamp},
    source::{MeasuredFile, Source, StoredFile},
    sparse_copy::{copy_with_holes, read_pieces},
};

/// A file of more bytes is not held in memory, but copied to its own place on the image.
const SMALL_BYTES: u64 = 1 << 20;

/// All small files of an image have at most this many bytes together; further ones are treated as large.
const ALL_SMALL_BYTES: u64 = 2 << 20;

/// What a source holds.
#[derive(Debug)]
pub(super) enum Content {
    Bytes(Vec<u8>),
    Large(Payload),
}

impl Content {
    /// Opens a source, and reads it if `room` counts it as small.
    pub(super) fn open(source: Source, room: &mut SmallFileRoom) -> Result<Self> {
        match source {
            Source::Bytes(bytes) if room.takes(bytes.len() as u64) => Ok(Self::Bytes(bytes)),
            Source::Bytes(bytes) => Ok(Self::Large(Payload::Stream {
                label: "data".to_owned(),
                start: bytes,
                rest: Box::new(io::empty()),
            })),
            Source::StandardInput => {
                open_stream(Box::new(io::stdin().lock()), "standard input".to_owned(), room)
            }
            Source::File { path, role } => {
                let label = format!("{role} {path:?}");
                open_file(path, role, room).with_context(|| format!("reading {label}"))
            }
            Source::Growing(measured) if room.takes(measured.stamp.len) => {
                let MeasuredFile { path, role, .. } = &measured;
                let bytes = measured.bytes().with_context(|| format!("reading {role} {path:?}"))?;
                Ok(Self::Bytes(bytes))
            }
            Source::Growing(MeasuredFile { path, role, stamp }) => {
                Ok(Self::Large(Payload::File { path, role, stamp, may_grow: true }))
            }
            Source::Stored(stored) if room.takes(stored.len()) => Ok(Self::Bytes(stored.bytes()?)),
            Source::Stored(stored) => Ok(Self::Large(Payload::Stored(stored))),
        }
    }
}

/// The bytes of a large file, before they are on the image.
pub(super) enum Payload {
    /// A regular file, opened when it is copied.
    /// `may_grow`: it is not an error if somebody writes to it meanwhile.
    File { path: PathBuf, role: &'static str, stamp: FileStamp, may_grow: bool },
    /// Something that can be read once: its beginning and the rest.
    Stream { label: String, start: Vec<u8>, rest: Box<dyn Read> },
    /// A stream that was copied to a file without a name, since it is needed more than once.
    Spooled { file: File, len: u64 },
    /// A file on an existing image.
    Stored(StoredFile),
}

impl fmt::Debug for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, .. } => write!(f, "file {path:?}"),
            Self::Stream { label, .. } => f.write_str(label),
            Self::Spooled { len, .. } => write!(f, "temporary copy of {len} bytes"),
            Self::Stored(stored) => stored.fmt(f),
        }
    }
}

impl Payload {
    /// Its length in bytes, if that is known before it is read.
    pub(super) fn len(&self) -> Option<u64> {
        match self {
            Self::File { stamp, .. } => Some(stamp.len),
            Self::Stream { .. } => None,
            Self::Spooled { len, .. } => Some(*len),
            Self::Stored(stored) => Some(stored.len()),
        }
    }

    /// Whether it has at least `bytes` bytes. No more of a stream is read to find out.
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

    /// Its first bytes, at most `limit` of them.
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

    /// Its bytes, if there are at most `limit`. One more byte of a stream is read to find out.
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

    /// Copies it to byte `offset` of `out`, where `out` holds nothing yet, and returns its length. Nothing is left of a stream.
    pub(super) fn copy_to(&mut self, out: &File, offset: u64, progress: &mut dyn Progress) -> Result<u64> {
        match self {
            Self::File { path, role, stamp, may_grow } => {
                let mut copy = || -> Result<u64> {
                    let file = File::open(&*path)?;
                    check(*stamp, &file, *may_grow)?;
                    copy_file(&file, stamp.len, out, offset, progress)?;
                    check(*stamp, &file, *may_grow)?;
                    Ok(stamp.len)
                };
                copy().with_context(|| format!("copying {role} {path:?} to the image"))
            }
            Self::Stream { label, start, rest } => {
                let mut out = out;
                out.seek(SeekFrom::Start(offset)).context("writing the image")?;
                read_pieces(start.as_slice().chain(rest), &mut |piece| out.write_all(piece), progress)
                    .with_context(|| format!("copying {label} to the image"))
            }
            Self::Spooled { file, len } => {
                copy_file(file, *len, out, offset, progress)?;
                Ok(*len)
            }
            Self::Stored(stored) => stored.copy_to(out, offset, progress),
        }
    }

    /// The same bytes in a form that can be read more than once, and whose length is known.
    pub(super) fn keep(self, progress: &mut dyn Progress) -> Result<Self> {
        let Self::Stream { label, start, rest } = self else { return Ok(self) };
        let mut file = crate::output::atomic_file::unnamed_temporary()
            .context("creating a temporary file for a pipe")?;
        let len = read_pieces(start.as_slice().chain(rest), &mut |piece| file.write_all(piece), progress)
            .with_context(|| format!("copying {label} to a temporary file"))?;
        Ok(Self::Spooled { file, len })
    }

    /// Fills `bytes` with its bytes from `offset` on. Not for a stream.
    pub(super) fn read_at(&self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        match self {
            Self::File { path, .. } => File::open(path)?.read_exact_at(bytes, offset),
            Self::Spooled { file, .. } => file.read_exact_at(bytes, offset),
            Self::Stored(stored) => stored.read_at(offset, bytes),
            Self::Stream { .. } => unreachable!("a stream is kept before it is read twice"),
        }
    }

    /// Passes its bytes to `each`, piece by piece. Not for a stream.
    pub(super) fn read(
        &self,
        each: &mut dyn FnMut(&[u8]) -> io::Result<()>,
        progress: &mut dyn Progress,
    ) -> Result<()> {
        match self {
            Self::File { path, role, stamp, may_grow } => {
                let mut copy = || -> Result<()> {
                    let mut file = File::open(path)?;
                    check(*stamp, &file, *may_grow)?;
                    let read = read_pieces(&mut (&mut file).take(stamp.len), each, progress)?;
                    ensure!(Changed: read == stamp.len, CHANGED);
                    check(*stamp, &file, *may_grow)
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
fn copy_file(file: &File, len: u64, out: &File, offset: u64, progress: &mut dyn Progress) -> Result<()> {
    let copied = copy_with_holes(file, Extent { offset: 0, len }, out, offset, progress)?;
    ensure!(Changed: copied == len, CHANGED);
    Ok(())
}

/// How many bytes further small files of an image may have.
///
/// Whether a file is small depends on its length and on the files before it, never on where it comes from.
#[derive(Debug)]
pub(super) struct SmallFileRoom {
    left: u64,
}

impl SmallFileRoom {
    pub(super) fn new() -> Self {
        Self { left: ALL_SMALL_BYTES }
    }

    fn limit(&self) -> u64 {
        SMALL_BYTES.min(self.left)
    }

    fn takes(&mut self, len: u64) -> bool {
        let small = len <= self.limit();
        if small {
            self.left -= len;
        }
        small
    }
}

/// Fails if a file has changed in a way that it must not.
fn check(stamp: FileStamp, file: &File, may_grow: bool) -> Result<()> {
    if may_grow { stamp.check_still_there(file) } else { stamp.check(file) }
}

fn open_file(path: PathBuf, role: &'static str, room: &mut SmallFileRoom) -> Result<Content> {
    let mut file = File::open(&path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        bail!("is a directory");
    }
    // Files in /proc have a length of 0; like pipes, they must be read to find out.
    if !metadata.is_file() || metadata.len() == 0 {
        let label = format!("{role} {path:?}");
        return open_stream(Box::new(file), label, room);
    }
    let stamp = FileStamp::of(&metadata);
    if !room.takes(stamp.len) {
        return Ok(Content::Large(Payload::File { path, role, stamp, may_grow: false }));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(stamp.len)?);
    (&mut file).take(stamp.len).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != stamp.len {
        bail!(Changed: CHANGED);
    }
    stamp.check(&file)?;
    Ok(Content::Bytes(bytes))
}

fn open_stream(mut stream: Box<dyn Read>, label: String, room: &mut SmallFileRoom) -> Result<Content> {
    let mut start = Vec::new();
    stream
        .by_ref()
        .take(room.limit() + 1)
        .read_to_end(&mut start)
        .with_context(|| format!("reading {label}"))?;
    if room.takes(start.len() as u64) {
        return Ok(Content::Bytes(start));
    }
    Ok(Content::Large(Payload::Stream { label, start, rest: stream }))
}
