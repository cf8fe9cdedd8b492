//! `metadata extract`.

use std::{
    collections::{HashMap, HashSet},
    ffi::{OsStr, OsString},
    fs::File,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::ArgGroup;
use metadata_image::{
    error::ErrorKind,
    image::{Image, Kind, Progress, Record, extents::sharing},
    output::{
        atomic_file::standard_output,
        confined_dir::{ConfinedDir, WriteOutcome},
    },
};

use super::{
    Usage,
    escape::pretty_json,
    print,
    progress::Bar,
    say,
    signals::clean_up_on_signals,
    words::{command_line, instead_of, is_image, open_image},
    written::{Written, WrittenOutput, in_one_line},
};

/// Copy files from an image
///
/// Prints the file NAME to standard output. With --into, writes NAME or all
/// files into a directory, and never outside of it, whatever the names on the
/// image are. Existing files are kept unless --force is given. Files get the
/// permission bits 0600, or 0700 if they are executable, and directories 0700,
/// because an image may contain secrets. Files that share their bytes on the
/// image become hard links, and all of them are executable if one is.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, alias = "cat", override_usage = USAGE, group = ArgGroup::new("what").required(true).multiple(true))]
pub(crate) struct Args {
    /// The image, or a block device
    image: PathBuf,

    /// A file, as named by 'metadata show'; with --into also a directory
    #[arg(group = "what")]
    name: Option<OsString>,

    /// The directory to write to; created if it does not exist
    #[arg(long, value_name = "DIR", group = "what")]
    into: Option<PathBuf>,

    /// Replace existing files
    #[arg(long, requires = "into")]
    force: bool,

    /// Describe what was written as JSON
    #[arg(long, requires = "into")]
    json: bool,

    /// Print no message on success, and no progress
    #[arg(short, long)]
    quiet: bool,
}

const USAGE: &str = "\
metadata extract [OPTIONS] IMAGE NAME
       metadata extract [OPTIONS] IMAGE --into DIR [NAME]";

const EXAMPLES: &str = "\
Examples:
  metadata extract meta.iso config
  metadata extract seed.iso --into seed
  metadata extract --force --into seed seed.iso meta-data";

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let mut image = match open_image(&self.image) {
            Err(_) if self.is_swapped() => {
                let mut words = vec![self.name.as_deref().unwrap_or_default(), self.image.as_os_str()];
                if let Some(directory) = &self.into {
                    words.extend([OsStr::new("--into"), directory.as_os_str()]);
                }
                let options = [(self.force, "--force"), (self.json, "--json"), (self.quiet, "--quiet")];
                words.extend(options.iter().filter(|(given, _)| *given).map(|(_, name)| OsStr::new(name)));
                let command = command_line("metadata extract", words);
                return Err(Usage(format!("the image comes first: {command}")).into());
            }
            opened => opened?,
        };
        let (_, records) = image.list()?;
        clean_up_on_signals()?;
        let mut progress = Bar::new(self.quiet);
        let Some(directory) = &self.into else {
            let name = self.name.as_deref().context("the command line has no NAME")?;
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
        let root = ConfinedDir::open_or_create(directory)?;
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
        let mut written = Vec::new();
        for (record, first) in wanted.iter().zip(firsts) {
            let context = || format!("extracting {:?}", record.display_path());
            match extraction.write(record, first).with_context(context) {
                Ok(()) => written.push(extraction.describe(record, first)),
                Err(error) => {
                    say(&format!("{error:#}"));
                    failed += 1;
                }
            }
        }
        drop(extraction);
        if self.json {
            let into = Some(directory.display().to_string());
            print(&pretty_json(&WrittenOutput { into, files: &written })?)?;
        } else if !self.quiet {
            say(&in_one_line(directory, &written));
        }
        match failed {
            0 => Ok(()),
            1 => bail!("1 file was not extracted to {directory:?}"),
            _ => bail!("{failed} files were not extracted to {directory:?}"),
        }
    }

    /// Whether the image and the name are in each other's place.
    fn is_swapped(&self) -> bool {
        self.name.as_deref().is_some_and(|name| is_image(Path::new(name)))
    }

    /// The record called `name`, or the only one whose name differs just in case.
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
        exact.or_else(similar).with_context(|| {
            let instead = instead_of(&String::from_utf8_lossy(wanted), records);
            format!("image {:?} has no file {name:?}{instead}", self.image)
        })
    }
}

/// The first records of the files that are executable under any of their names: hard links share their permission bits.
fn executable(records: &[&Record], firsts: &[usize]) -> HashSet<usize> {
    let is_executable = |record: &Record| record.mode.is_some_and(|mode| mode & 0o100 != 0);
    records.iter().zip(firsts).filter(|(record, _)| is_executable(record)).map(|(_, first)| *first).collect()
}

/// The state of an extraction into a directory.
struct Extraction<'a> {
    image: &'a Image,
    root: ConfinedDir,
    force: bool,
    progress: Bar,
    /// The first records of executable files.
    executable: HashSet<usize>,
    /// The paths of the files that were written, by their first record.
    written: HashMap<usize, &'a [u8]>,
    /// How many bytes may be written again if the file system has no hard links.
    copies_room: u64,
}

impl<'a> Extraction<'a> {
    /// Writes a record. `first`: the index of the first record with the same extents.
    fn write(&mut self, record: &'a Record, first: usize) -> Result<()> {
        match record.kind {
            Kind::Directory => Ok(self.root.make_directories(&record.path)?),
            Kind::SymbolicLink => bail!("symbolic links are not extracted"),
            Kind::Other => bail!("not a regular file or directory"),
            Kind::File => match self.write_file(record, first)? {
                WriteOutcome::Written => Ok(()),
                WriteOutcome::Kept => bail!("the file exists already (--force replaces it)"),
            },
        }
    }

    /// What was written for a record.
    fn describe(&self, record: &Record, first: usize) -> Written {
        let is_file = record.kind == Kind::File;
        let mode = if is_file { self.mode(first) } else { 0o700 };
        let offset = record.extents.first().map(|extent| extent.offset).filter(|_| is_file);
        let size = is_file.then_some(record.len);
        Written { name: record.display_path(), size, mode: format!("{mode:04o}"), offset }
    }

    /// The permission bits of a file.
    fn mode(&self, first: usize) -> u32 {
        if self.executable.contains(&first) { 0o700 } else { 0o600 }
    }

    fn write_file(&mut self, record: &'a Record, first: usize) -> Result<WriteOutcome> {
        if let Some(written) = self.written.get(&first) {
            match self.root.link_file(written, &record.path, self.force) {
                // The file system has no hard links, or allows no more for this file.
                Err(error) if error.kind() == ErrorKind::Io => {
                    let room = self.copies_room.checked_sub(record.len);
                    self.copies_room =
                        room.with_context(|| format!("linking the file to another name: {error}"))?;
                }
                linked => return Ok(linked?),
            }
        }
        let mode = self.mode(first);
        let fill = |file: &mut File| self.image.copy_to_file(record, file, &mut self.progress);
        let outcome = self.root.write_file(&record.path, mode, self.force, fill)?;
        if outcome == WriteOutcome::Written {
            self.written.insert(first, &record.path);
        }
        Ok(outcome)
    }
}
