//! Where the bytes of a file on an image come from.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use super::{
    payload::{Payload, Stamp},
    stored::Stored,
};

/// A larger file is not held in memory but copied to its own place on the image.
const SMALL_BYTES: u64 = 1 << 20;

/// All small files of an image together; those past it are treated as large.
const ALL_SMALL_BYTES: u64 = 2 << 20;

/// Where the bytes of a file come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A file, a FIFO or a device on the host. A regular file that changes while it is read is an error.
    File {
        /// Its path.
        path: PathBuf,
        /// What it is for, as errors call it: `data file`.
        role: &'static str,
    },
    /// Standard input, to its end.
    StandardInput,
    /// A file on an image that is there.
    Stored(Stored),
}

impl Source {
    /// A file on the host, for the purpose that errors call `role`.
    pub fn file(path: impl Into<PathBuf>, role: &'static str) -> Self {
        Self::File { path: path.into(), role }
    }

    /// The path of a source that is a file.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File { path, .. } => Some(path),
            Self::Bytes(_) | Self::StandardInput | Self::Stored(_) => None,
        }
    }

    /// Looks at the source, and reads it if it is small by `room`.
    pub(super) fn open(self, room: &mut Room) -> Result<Content> {
        match self {
            Self::Bytes(bytes) if room.takes(bytes.len() as u64) => Ok(Content::Bytes(bytes)),
            Self::Bytes(bytes) => Ok(Content::Large(Payload::Stream {
                label: "data".to_owned(),
                start: bytes,
                rest: Box::new(io::empty()),
            })),
            Self::StandardInput => {
                open_stream(Box::new(io::stdin().lock()), "standard input".to_owned(), room)
            }
            Self::File { path, role } => {
                let label = format!("{role} {path:?}");
                open_file(path, role, room).with_context(|| format!("reading {label}"))
            }
            Self::Stored(stored) if room.takes(stored.len()) => Ok(Content::Bytes(stored.bytes()?)),
            Self::Stored(stored) => Ok(Content::Large(Payload::Stored(stored))),
        }
    }
}

/// What a source turned out to hold.
#[derive(Debug)]
pub(super) enum Content {
    Bytes(Vec<u8>),
    Large(Payload),
}

/// How much more the small files of an image may take.
///
/// Whether a file is small depends on its length and on the files before it, never on where it comes from.
#[derive(Debug)]
pub(super) struct Room {
    left: u64,
}

impl Room {
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

fn open_file(path: PathBuf, role: &'static str, room: &mut Room) -> Result<Content> {
    let mut file = File::open(&path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        bail!("it is a directory");
    }
    // Files of /proc say that they are empty; like pipes they are read to see.
    if !metadata.is_file() || metadata.len() == 0 {
        let label = format!("{role} {path:?}");
        return open_stream(Box::new(file), label, room);
    }
    let stamp = Stamp::of(&metadata);
    if !room.takes(stamp.len) {
        return Ok(Content::Large(Payload::File { path, role, stamp }));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(stamp.len)?);
    (&mut file).take(stamp.len).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != stamp.len {
        bail!("it changed while it was read");
    }
    stamp.check(&file)?;
    Ok(Content::Bytes(bytes))
}

fn open_stream(mut stream: Box<dyn Read>, label: String, room: &mut Room) -> Result<Content> {
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
