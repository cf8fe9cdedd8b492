//! Many recipes on all cores: a line of JSON for each image.
//!
//! One thread reads and checks the lines, others build the images, and the caller's gets the results in the order of the
//! lines. What is in memory does not depend on how many lines there are, but for eight bytes of each image's name and directory: the
//! reader waits when it is some thousand lines ahead of the oldest that is not done.

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

use crate::error::{Context, Result, ensure};

use crate::{
    datasource::layout::Layout,
    image::{digests::Digests, iso9660::writer::Placed},
};

pub use input::{LINE_BYTES_MAX, Shard};

use input::LineReader;
use pipeline::build_all;

/// How to go about it.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
pub struct BatchOptions {
    /// The directory for the images.
    pub into: PathBuf,
    /// The file that the lines come from, which no image may replace; `None`: it has no path.
    pub lines: Option<PathBuf>,
    /// Images that are built at the same time.
    pub jobs: NonZero<usize>,
    /// The lines to take.
    pub shard: Shard,
    /// Whether the lines behind one with a fault are done as well.
    pub keep_going: bool,
    /// Whether files that are no images are replaced.
    pub force: bool,
    /// Whether warnings are errors, also where a line does not say so.
    pub strict: bool,
    /// Whether the images are read back for their digests.
    pub digests: bool,
    /// Whether new images too are on the disk in the end.
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
    /// It cannot be opened, or is a directory. The error names the path.
    pub fn open(path: &Path) -> Result<Self> {
        let open = || {
            let file = File::open(path)?;
            let kind = file.metadata()?.file_type();
            ensure!(!kind.is_dir(), "it is a directory");
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

/// What became of a line.
#[derive(Debug)]
pub struct LineOutcome {
    /// Its number in the input, from 1.
    pub line: u64,
    /// The path of the image beneath the directory, if the line has one.
    pub image: Option<String>,
    /// The image, or what is wrong.
    pub built: Result<Built>,
}

/// An image that was built.
#[derive(Debug)]
pub struct Built {
    /// Bytes in it.
    pub bytes: u64,
    /// Its layout.
    pub layout: Layout,
    /// Its volume identifier.
    pub volume_identifier: String,
    /// Whether there was one of its name.
    pub replaced: bool,
    /// What is likely a mistake, a sentence each, the first few.
    pub warnings: Vec<String>,
    /// Its files and all digests, where they were asked for.
    pub digests: Option<(Vec<Placed>, Digests)>,
}

/// What the caller is told while it goes on.
#[derive(Debug)]
pub enum Event {
    /// Images are built from now on, of so many lines where that is known.
    Begin(Option<u64>),
    /// A line is done. They come in the order of the input.
    Outcome(LineOutcome),
    /// Nothing more to tell for the moment.
    Pause,
}

/// How many lines there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Images that were built.
    pub built: u64,
    /// LineReader with a fault.
    pub faulty: u64,
}

/// Builds an image for every line of `input`.
///
/// Unless [`BatchOptions::keep_going`] says otherwise a fault is the end: in a file it is found before the first image is
/// built, if it can be told from the line alone; otherwise all lines in front of it are done, and no new ones are begun.
///
/// # Errors
/// The directory cannot be opened, the input cannot be read, or `each` fails. A fault of a line is none.
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
