//! `metadata extract`.

use std::{
    collections::{HashMap, HashSet},
    ffi::{OsStr, OsString},
    fs::File,
    path::PathBuf,
};

use anyhow::{Context, Result, bail};
use clap::ArgGroup;
use metadata_image::{
    error::ErrorKind,
    image::{Image, Kind, Progress, Record, extents::sharing},
    output::{
        atomic_file::standard_output,
        confined_dir::{Directory, WriteOutcome},
    },
};

use super::{progress::Bar, say, signals::clean_up_on_signals};

/// Copy files off an image
///
/// NAME goes to standard output, byte for byte. With --into, NAME or all files
/// go into a directory and never outside of it, whatever the names on the
/// image. What is there already is kept unless --force is given. Files are
/// written with permission bits 0600 (0700 if they may be executed) and
/// directories with 0700, since what is on an image may be secret. Files that
/// share their bytes on the image become hard links, all of them executable if
/// one is.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, group = ArgGroup::new("what").required(true).multiple(true))]
pub(crate) struct Args {
    /// The image, or a block device
    image: PathBuf,

    /// A file, as 'metadata show' names it; with --into also a directory
    #[arg(group = "what")]
    name: Option<OsString>,

    /// The directory to write into; made if it is not there
    #[arg(long, value_name = "DIR", group = "what")]
    into: Option<PathBuf>,

    /// Replace files that are there
    #[arg(long, requires = "into")]
    force: bool,

    /// No progress
    #[arg(short, long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  metadata extract meta.iso config
  metadata extract seed.iso --into seed
  metadata extract --force --into seed seed.iso meta-data";

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let mut image = Image::open(&self.image)?;
        let (_, records) = image.list()?;
        let mut progress = Bar::new(self.quiet);
        let Some(directory) = &self.into else {
            let name = self.name.as_deref().context("clap lets no command line without a name through")?;
            let record = self.find(&records, name)?;
            let what = match record.kind {
                Kind::File => None,
                Kind::Directory => Some("directory"),
                Kind::SymbolicLink => Some("symbolic link"),
                Kind::Other => Some("device, FIFO or socket"),
            };
            if let Some(what) = what {
                bail!("file {name:?} on image {:?} is a {what}", self.image);
            }
            sharing(&[record]).with_context(|| format!("extracting {name:?} from image {:?}", self.image))?;
            progress.expect(record.len);
            let out = standard_output().context("writing to standard output")?;
            return Ok(image.copy_to_file(record, &out, &mut progress)?);
        };
        let wanted: Vec<_> = match &self.name {
            None => records.iter().collect(),
            Some(name) => {
                let found = self.find(&records, name)?;
                let below = [&found.path[..], b"/"].concat();
                records
                    .iter()
                    .filter(|record| record.path == found.path || record.path.starts_with(&below))
                    .collect()
            }
        };
        let context = || format!("extracting from image {:?}", self.image);
        let firsts = sharing(&wanted).with_context(context)?;
        clean_up_on_signals()?;
        let root = Directory::open_or_create(directory)?;
        let is_first = |(index, first): (usize, &usize)| (index == *first).then_some(wanted[index].len);
        progress.expect(firsts.iter().enumerate().filter_map(is_first).sum());
        let mut extraction = Extraction {
            image: &image,
            root,
            force: self.force,
            progress,
            executable: executable(&wanted, &firsts),
            written: HashMap::new(),
            copies_room: image.bytes(),
        };
        let mut failed = 0;
        for (record, first) in wanted.iter().zip(firsts) {
            let written = extraction.write(record, first);
            if let Err(error) = written.with_context(|| format!("extracting {:?}", record.display_path())) {
                say(&format!("{error:#}"));
                failed += 1;
            }
        }
        drop(extraction);
        match failed {
            0 => Ok(()),
            1 => bail!("1 file was not extracted to {directory:?}"),
            _ => bail!("{failed} files were not extracted to {directory:?}"),
        }
    }

    /// The record that is called `name`, or else, where names have one case only, the one that differs in case.
    fn find<'a>(&self, records: &'a [Record], name: &OsStr) -> Result<&'a Record> {
        let wanted = name.as_encoded_bytes();
        let wanted = wanted.strip_prefix(b"./").unwrap_or(wanted);
        let start = wanted.iter().take_while(|byte| **byte == b'/').count();
        let end = wanted.iter().rposition(|byte| *byte != b'/').map_or(start, |last| last + 1);
        let wanted = &wanted[start..end];
        let exact = records.iter().find(|record| record.path == wanted);
        let similar = || {
            let mut found = records.iter().filter(|record| record.path.eq_ignore_ascii_case(wanted));
            found.next().filter(|_| found.next().is_none())
        };
        exact.or_else(similar).with_context(|| format!("there is no file {name:?} on image {:?}", self.image))
    }
}

/// Which files may be executed, by the first record with their extents: one file has the same permission bits under all its
/// names.
fn executable(records: &[&Record], firsts: &[usize]) -> HashSet<usize> {
    let is_executable = |record: &Record| record.mode.is_some_and(|mode| mode & 0o100 != 0);
    records.iter().zip(firsts).filter(|(record, _)| is_executable(record)).map(|(_, first)| *first).collect()
}

/// What goes into a directory.
struct Extraction<'a> {
    image: &'a Image,
    root: Directory,
    force: bool,
    progress: Bar,
    /// The first records with their extents of files that may be executed under some name.
    executable: HashSet<usize>,
    /// The paths of files that were written, by the first record with their extents.
    written: HashMap<usize, &'a [u8]>,
    /// Bytes that may be written once more, where the file system has no links.
    copies_room: u64,
}

impl<'a> Extraction<'a> {
    /// `first`: the index of the first record with the same extents.
    fn write(&mut self, record: &'a Record, first: usize) -> Result<()> {
        match record.kind {
            Kind::Directory => Ok(self.root.make_directories(&record.path)?),
            Kind::SymbolicLink => bail!("it is a symbolic link, and those are not extracted"),
            Kind::Other => bail!("it is no file or directory"),
            Kind::File => match self.write_file(record, first)? {
                WriteOutcome::Written => Ok(()),
                WriteOutcome::Kept => bail!("it is there already (--force replaces it)"),
            },
        }
    }

    fn write_file(&mut self, record: &'a Record, first: usize) -> Result<WriteOutcome> {
        if let Some(written) = self.written.get(&first) {
            match self.root.link_file(written, &record.path, self.force) {
                // The file system has no links, or no more for this file.
                Err(error) if error.kind() == ErrorKind::Io => {
                    let room = self.copies_room.checked_sub(record.len);
                    self.copies_room =
                        room.with_context(|| format!("linking it to another name: {error}"))?;
                }
                linked => return Ok(linked?),
            }
        }
        let mode = if self.executable.contains(&first) { 0o700 } else { 0o600 };
        let fill = |file: &mut File| self.image.copy_to_file(record, file, &mut self.progress);
        let outcome = self.root.write_file(&record.path, mode, self.force, fill)?;
        if outcome == WriteOutcome::Written {
            self.written.insert(first, &record.path);
        }
        Ok(outcome)
    }
}
