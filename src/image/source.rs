//! Sources: where the bytes of a file on an image come from.

use std::{
    fmt,
    fs::{File, Metadata},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::error::{Context, Result, ensure};

use super::{
    Extent, Progress,
    file_stamp::{CHANGED, FileStamp},
    sparse_copy::{copy_with_holes, joined, read_pieces},
};

/// Where the bytes of a file come from.
#[derive(Clone, Debug)]
pub enum Source {
    /// These bytes.
    Bytes(Vec<u8>),
    /// A file, a FIFO or a device on the host. A regular file that changes while it is read is an error.
    File {
        /// Its path.
        path: PathBuf,
        /// Its purpose, for errors: `data file`.
        role: &'static str,
    },
    /// A regular file on the host that somebody may write to meanwhile. As many bytes are read as it had when it was measured. If
    /// it became shorter or was replaced by then, that is an error.
    Growing(MeasuredFile),
    /// Standard input, to its end.
    StandardInput,
    /// A file on an existing image.
    Stored(StoredFile),
}

/// A regular file on the host whose length is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MeasuredFile {
    pub(super) path: PathBuf,
    pub(super) role: &'static str,
    pub(super) stamp: FileStamp,
}

impl MeasuredFile {
    /// The file at `path`, which had this metadata. `role`: its purpose, for errors: `file`.
    #[must_use]
    pub fn new(path: PathBuf, role: &'static str, metadata: &Metadata) -> Self {
        Self { path, role, stamp: FileStamp::of(metadata) }
    }

    /// Its bytes, as many as it had.
    pub(super) fn bytes(&self) -> Result<Vec<u8>> {
        let file = File::open(&self.path)?;
        self.stamp.check_still_there(&file)?;
        let mut bytes = Vec::with_capacity(usize::try_from(self.stamp.len)?);
        (&file).take(self.stamp.len).read_to_end(&mut bytes)?;
        ensure!(Changed: bytes.len() as u64 == self.stamp.len, CHANGED);
        Ok(bytes)
    }
}

impl Source {
    /// A file on the host. `role`: its purpose, for errors.
    pub fn file(path: impl Into<PathBuf>, role: &'static str) -> Self {
        Self::File { path: path.into(), role }
    }

    /// All its bytes, of which there may be `limit` at most.
    ///
    /// # Errors
    /// Fails if it cannot be read, changes meanwhile, or is longer.
    pub fn read(&self, limit: u64) -> Result<Vec<u8>> {
        let bounded = |from: &mut dyn Read| -> Result<Vec<u8>> {
            let mut bytes = Vec::new();
            from.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
            ensure!(TooLarge: bytes.len() as u64 <= limit, "the data is larger than {limit} bytes");
            Ok(bytes)
        };
        match self {
            Self::Bytes(bytes) => bounded(&mut bytes.as_slice()),
            Self::StandardInput => bounded(&mut io::stdin().lock()).context("reading standard input"),
            Self::Stored(stored) => {
                ensure!(TooLarge: stored.len() <= limit, "{stored:?} is larger than {limit} bytes");
                stored.bytes()
            }
            Self::File { path, role } => (|| {
                let mut file = File::open(path)?;
                let metadata = file.metadata()?;
                ensure!(!metadata.is_dir(), "is a directory");
                let bytes = bounded(&mut file)?;
                if metadata.is_file() {
                    FileStamp::of(&metadata).check(&file)?;
                }
                Ok(bytes)
            })()
            .with_context(|| format!("reading {role} {path:?}")),
            Self::Growing(measured) => {
                let MeasuredFile { path, role, stamp } = measured;
                ensure!(TooLarge: stamp.len <= limit, "{role} {path:?} is larger than {limit} bytes");
                measured.bytes().with_context(|| format!("reading {role} {path:?}"))
            }
        }
    }

    /// The path of a source that is a file.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File { path, .. } | Self::Growing(MeasuredFile { path, .. }) => Some(path),
            Self::Bytes(_) | Self::StandardInput | Self::Stored(_) => None,
        }
    }
}

/// A file on an existing image. If the image changes while it is read, that is an error.
#[derive(Clone)]
pub struct StoredFile {
    image: Arc<File>,
    stamp: FileStamp,
    extents: Vec<Extent>,
    /// Its name in errors.
    label: String,
}

impl fmt::Debug for StoredFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

impl StoredFile {
    /// The file in these extents of `image`.
    pub(super) fn new(image: Arc<File>, extents: Vec<Extent>, label: String) -> io::Result<Self> {
        let stamp = FileStamp::of(&image.metadata()?);
        Ok(Self { image, stamp, extents, label })
    }

    /// Its length in bytes.
    pub(super) fn len(&self) -> u64 {
        self.extents.iter().map(|extent| extent.len).sum()
    }

    /// All its bytes.
    pub(super) fn bytes(&self) -> Result<Vec<u8>> {
        self.beginning(u64::MAX)
    }

    /// Its first bytes, at most `limit` of them.
    pub(super) fn beginning(&self, mut limit: u64) -> Result<Vec<u8>> {
        self.read_unchanged(|mut image| {
            let mut bytes = Vec::new();
            for extent in &self.extents {
                let wanted = extent.len.min(limit);
                image.seek(SeekFrom::Start(extent.offset))?;
                let read = image.take(wanted).read_to_end(&mut bytes)?;
                ensure!(Truncated: read as u64 == wanted, "the image ends before the file does");
                limit -= wanted;
            }
            Ok(bytes)
        })
    }

    /// Fills `bytes` with its bytes from `offset` on.
    pub(super) fn read_at(&self, mut offset: u64, mut bytes: &mut [u8]) -> io::Result<()> {
        for extent in &self.extents {
            if offset >= extent.len {
                offset -= extent.len;
                continue;
            }
            let here = usize::try_from(extent.len - offset).unwrap_or(usize::MAX).min(bytes.len());
            let (now, later) = bytes.split_at_mut(here);
            self.image.read_exact_at(now, extent.offset + offset)?;
            (bytes, offset) = (later, 0);
        }
        if bytes.is_empty() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    /// Copies it to byte `offset` of `out`, where `out` holds nothing yet, and returns its length.
    pub(super) fn copy_to(&self, out: &File, offset: u64, progress: &mut dyn Progress) -> Result<u64> {
        self.read_unchanged(|image| {
            let mut done = 0;
            for extent in joined(&self.extents) {
                let copied = copy_with_holes(image, extent, out, offset + done, progress)?;
                ensure!(Truncated: copied == extent.len, "the image ends before the file does");
                done += extent.len;
            }
            Ok(done)
        })
    }

    /// Passes its bytes to `each`, piece by piece.
    pub(super) fn read(
        &self,
        each: &mut dyn FnMut(&[u8]) -> io::Result<()>,
        progress: &mut dyn Progress,
    ) -> Result<()> {
        self.read_unchanged(|mut image| {
            for extent in &self.extents {
                image.seek(SeekFrom::Start(extent.offset))?;
                let read = read_pieces(&mut image.take(extent.len), each, progress)?;
                ensure!(Truncated: read == extent.len, "the image ends before the file does");
            }
            Ok(())
        })
    }

    /// Calls `read` with the image, and fails if the image changed meanwhile.
    fn read_unchanged<T>(&self, read: impl FnOnce(&File) -> Result<T>) -> Result<T> {
        let read = || -> Result<T> {
            let done = read(&self.image)?;
            self.stamp.check(&self.image)?;
            Ok(done)
        };
        read().with_context(|| format!("reading {}", self.label))
    }
}
