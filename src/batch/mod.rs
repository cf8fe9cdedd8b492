//! Builds many images on all cores, one for each line of JSON.
//!
//! One thread reads and checks the lines, others build the images, and the caller's thread gets the results in the order of the
//! lines. The reader waits when it is some thousand lines ahead of the oldest unfinished one. So the number of lines does not
//! matter for memory, except for eight bytes per image name and per directory.

mod fields;
mod foreign;
mod input;
mod job;
mod pipeline;
mod worker;

use std::{
    fmt,
    fs::File,
    io::{Read, Seek, SeekFrom},
    num::NonZero,
    path::{Path, PathBuf},
};

use crate::{
    check::{Notice, Tolerance},
    datasource::layout::Layout,
    error::{Context, Result, ensure},
    image::{digests::Digests, iso9660::writer::PlacedFile},
};

pub use fields::{LINE_BYTES_MAX, are_lines};
pub use input::Shard;

use input::LineReader;
use pipeline::build_all;

/// Options of [`run`].
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct BatchOptions {
    /// The directory for the images.
    pub into: PathBuf,
    /// The file that the lines come from, which no image may replace. `None`: it has no path.
    pub lines: Option<PathBuf>,
    /// How many images are built at the same time.
    pub jobs: NonZero<usize>,
    /// The lines to process.
    pub shard: Shard,
    /// Whether the lines after one that failed are processed.
    pub keep_going: bool,
    /// Whether files that are not images are replaced.
    pub force: bool,
    /// What is tolerated, unless a line says otherwise.
    pub tolerance: Tolerance,
    /// Whether the images are read back to compute digests.
    pub digests: bool,
    /// Whether new images are synced to disk as well.
    pub sync: bool,
    /// The date of all images, as [`Recipe::seconds`](crate::recipe::Recipe::seconds).
    pub seconds: Option<u64>,
}

/// Where the lines come from.
pub enum Input {
    /// A regular file, whose lines are all checked before the first image is built.
    File(File),
    /// Something that can be read once.
    Stream(Box<dyn Read + Send>),
}

impl Input {
    /// The lines of the file `path`, or of a FIFO or device of that name.
    ///
    /// # Errors
    /// Fails if the file cannot be opened or is a directory. The error names the path.
    pub fn open(path: &Path) -> Result<Self> {
        let open = || {
            let file = File::open(path)?;
            let kind = file.metadata()?.file_type();
            ensure!(!kind.is_dir(), "is a directory");
            Ok(if kind.is_file() { Self::File(file) } else { Self::Stream(Box::new(file)) })
        };
        open().with_context(|| format!("reading {path:?}"))
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File(_) => "file",
            Self::Stream(_) => "stream",
        })
    }
}

/// The result of a line.
#[derive(Debug)]
pub struct LineOutcome {
    /// The number of the line in the input, counted from 1.
    pub line: u64,
    /// The path of the image below the directory, if the line has one.
    pub image: Option<String>,
    /// The image, or the error.
    pub built: Result<Built>,
}

/// How many findings there are about the data of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Errors that do not keep the image from being built.
    pub errors: usize,
    /// Warnings.
    pub warnings: usize,
    /// How many of both are not listed.
    pub unlisted: usize,
}

/// An image that was built.
#[derive(Debug)]
pub struct Built {
    /// Its length in bytes.
    pub bytes: u64,
    /// Its layout.
    pub layout: Layout,
    /// Its volume identifier.
    pub volume_identifier: String,
    /// Whether it replaced a file.
    pub replaced: bool,
    /// The warnings, and of the findings about each text the first [`FINDINGS_LISTED_MAX`](crate::check::FINDINGS_LISTED_MAX).
    pub warnings: Vec<Notice>,
    /// How many findings there are about the data.
    pub found: Found,
    /// Its files and all digests, with [`BatchOptions::digests`].
    pub digests: Option<(Vec<PlacedFile>, Digests)>,
}

/// What is reported while the batch runs.
#[derive(Debug)]
pub enum Event {
    /// Images are built from now on. The number of lines, if it is known.
    Begin(Option<u64>),
    /// A line is done. The lines come in the order of the input.
    Outcome(LineOutcome),
    /// There is nothing more to report for the moment.
    Pause,
}

/// The totals of a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Images that were built.
    pub built: u64,
    /// Lines that failed.
    pub faulty: u64,
}

/// Builds an image for every line of `input`.
///
/// Without [`BatchOptions::keep_going`], the first line that fails ends the batch: all lines before it are finished, and no
/// new ones are started. The lines of a file are checked before the first image is built.
///
/// # Errors
/// Fails if the directory cannot be opened, the input cannot be read, or `each` fails. A line that fails is not an error.
pub fn run(
    input: Input,
    options: &BatchOptions,
    each: &mut dyn FnMut(Event) -> Result<()>,
) -> Result<Summary> {
    let BatchOptions { shard, seconds, .. } = *options;
    match input {
        Input::Stream(from) => {
            each(Event::Begin(None))?;
            build_all(LineReader::new(from, shard, seconds), options, each)
        }
        Input::File(file) => {
            let checked = input::check(LineReader::new(&file, shard, seconds), |line, image, fault| {
                let outcome = LineOutcome { line, image, built: Err(fault) };
                if options.keep_going { Ok(()) } else { each(Event::Outcome(outcome)) }
            })?;
            if !options.keep_going && checked.faulty > 0 {
                return Ok(Summary { built: 0, faulty: checked.faulty });
            }
            each(Event::Begin(Some(checked.lines)))?;
            (&file).seek(SeekFrom::Start(0)).context("reading the input")?;
            build_all(LineReader::new(&file, shard, seconds), options, each)
        }
    }
}
