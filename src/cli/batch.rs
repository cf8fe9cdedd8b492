//! `metadata batch`.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    num::NonZero,
    path::{Path, PathBuf},
    thread::available_parallelism,
};

use anyhow::{Context, Result, bail};
use clap::builder::{StringValueParser, TypedValueParser};
use metadata_image::{
    batch::{self, BatchOptions, Built, Event, Input, LineOutcome, Shard, Summary},
    datasource::layout::Layout,
    encoding::hex,
    image::Progress,
    output::{atomic_file::standard_output, temporary::clean_up_on_signals},
};
use serde::Serialize;

use super::{
    create::{FileOutput, source_date_epoch},
    escape::json,
    is_dash,
    progress::Bar,
    say, to_library_error,
};

/// Build an image for every line of a file of JSON Lines
///
/// Each line is an object with the path of an image beneath DIR and the options
/// of 'metadata create', and makes the image that 'metadata create' builds of
/// them. Images are built on all cores. Each replaces an old one as a whole or
/// not at all; what was interrupted is done when it is run again.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The lines; standard input where it is not given or '-'
    file: Option<PathBuf>,

    /// The directory for the images; made if it is not there
    #[arg(long, value_name = "DIR")]
    into: PathBuf,

    /// Images to build at the same time [default: one for each core]
    #[arg(long, value_name = "N")]
    jobs: Option<NonZero<u16>>,

    /// Do all lines, also behind one with a fault
    #[arg(long)]
    keep_going: bool,

    /// Of each N lines only number I, from 0 to N-1, for one of N machines
    #[arg(
        long, value_name = "I/N", default_value = "0/1", hide_default_value = true,
        value_parser = StringValueParser::new().try_map(|text| text.parse::<Shard>())
    )]
    shard: Shard,

    /// Replace files that are not images
    #[arg(long)]
    force: bool,

    /// Take warnings for errors
    #[arg(long)]
    strict: bool,

    /// Wait until all images are on the disk, also those that replace none
    #[arg(long)]
    sync: bool,

    /// Print what became of each line as JSON, in the order of the lines
    #[arg(long)]
    json: bool,

    /// With --json: the SHA-256 digests of images and files, for which each
    /// image is read back
    #[arg(long, requires = "json")]
    digests: bool,

    /// No line on success, no progress
    #[arg(short, long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  metadata batch fleet.jsonl --into images
  jq -c '.hosts[] | {image: (.name + \".iso\"), data: .config}' fleet.json |
      metadata batch --into images
  metadata batch --shard 0/4 fleet.jsonl --into images

A line has 'image', one of 'data', 'data_file' and 'data_dir', and what else it
needs of 'follow', 'layout', 'files', 'meta_data', 'network_config',
'vendor_data', 'hostname', 'ssh_keys', 'instance_id', 'volume_id', 'mode',
'run_metadata', 'run_id' and 'strict'. Paths are relative to the working directory:
  {\"image\": \"web-1/seed.iso\", \"layout\": \"nocloud\", \"hostname\": \"web-1\",
   \"data_file\": \"web.yaml\", \"files\": {\"keys/ca.pem\": \"ca.pem\"}}";

/// Faults that are shown when none of the images is built because of them.
const FAULTS_SHOWN_MAX: u64 = 20;

/// Warnings that are shown; `--json` has those of each line.
const WARNINGS_SHOWN_MAX: u64 = 20;

/// What `--json` prints of a line.
#[derive(Serialize)]
#[serde(untagged)]
enum LineOutput<'a> {
    Built {
        line: u64,
        image: &'a str,
        size: u64,
        volume_identifier: &'a str,
        layout: Layout,
        replaced: bool,
        warnings: &'a [String],
        #[serde(flatten, skip_serializing_if = "Option::is_none")]
        digests: Option<DigestOutput>,
    },
    Fault {
        line: u64,
        image: Option<&'a str>,
        error: String,
    },
}

#[derive(Serialize)]
struct DigestOutput {
    sha256: String,
    files: Vec<FileOutput>,
}

impl<'a> LineOutput<'a> {
    fn of(outcome: &'a LineOutcome) -> Self {
        let LineOutcome { line, image, built } = outcome;
        let image = image.as_deref();
        match built {
            Err(error) => Self::Fault { line: *line, image, error: format!("{error:#}") },
            Ok(Built { bytes, layout, volume_identifier, replaced, warnings, digests }) => {
                let digests = digests.as_ref().map(|(files, digests)| DigestOutput {
                    sha256: hex(&digests.image),
                    files: files
                        .iter()
                        .zip(&digests.files)
                        .map(|(file, digest)| FileOutput::new(file, digest))
                        .collect(),
                });
                Self::Built {
                    line: *line,
                    image: image.unwrap_or_default(),
                    size: *bytes,
                    volume_identifier,
                    layout: *layout,
                    replaced: *replaced,
                    warnings,
                    digests,
                }
            }
        }
    }
}

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let options = BatchOptions {
            into: self.into.clone(),
            lines: self.file.clone().filter(|path| !is_dash(path.as_os_str())),
            jobs: self
                .jobs
                .map_or_else(|| available_parallelism().unwrap_or(NonZero::<usize>::MIN), NonZero::from),
            shard: self.shard,
            keep_going: self.keep_going,
            force: self.force,
            strict: self.strict,
            digests: self.digests,
            sync: self.sync,
            seconds: source_date_epoch()?,
        };
        let path = self.file.as_deref().unwrap_or(Path::new("-"));
        let input =
            if is_dash(path.as_os_str()) { Input::Stream(Box::new(io::stdin())) } else { Input::open(path)? };
        clean_up_on_signals().context("preparing for signals")?;
        let mut reporter = Reporter::new(&self)?;
        let summary =
            batch::run(input, &options, &mut |event| reporter.handle(event).map_err(to_library_error))?;
        reporter.finish(summary)
    }
}

/// Tells of what is done: lines for people on standard error, for machines on standard output.
struct Reporter<'a> {
    args: &'a Args,
    bar: Bar,
    /// Standard output; `None`: nothing goes there, or nobody reads it any more.
    json: Option<BufWriter<File>>,
    /// Faults and warnings so far.
    faults: u64,
    warnings: u64,
    /// Whether the lines have been checked, so that images are built.
    building: bool,
}

impl<'a> Reporter<'a> {
    fn new(args: &'a Args) -> Result<Self> {
        let json = args.json.then(standard_output).transpose().context("writing to standard output")?;
        Ok(Self {
            args,
            bar: Bar::of_images(args.quiet),
            json: json.map(BufWriter::new),
            faults: 0,
            warnings: 0,
            building: false,
        })
    }

    fn handle(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Begin(lines) => {
                self.building = true;
                self.bar.expect(lines.unwrap_or(0));
                Ok(())
            }
            Event::Pause => self.write(BufWriter::flush),
            Event::Outcome(outcome) => {
                self.say(&outcome);
                self.bar.advance(1);
                let line = json(&LineOutput::of(&outcome))? + "\n";
                self.write(|json| json.write_all(line.as_bytes()))
            }
        }
    }

    fn say(&mut self, LineOutcome { line, built, .. }: &LineOutcome) {
        match built {
            Err(error) => {
                self.faults += 1;
                // Where the first fault is the end, others are found by accident.
                let most = match (self.args.keep_going, self.building) {
                    (true, _) => u64::MAX,
                    (false, true) => 1,
                    (false, false) => FAULTS_SHOWN_MAX,
                };
                if self.faults <= most {
                    self.bar.suspend(|| say(&format!("line {line}: {error:#}")));
                }
            }
            Ok(built) => {
                for warning in &built.warnings {
                    self.warnings += 1;
                    if self.warnings <= WARNINGS_SHOWN_MAX {
                        self.bar.suspend(|| say(&format!("line {line}: warning: {warning}")));
                    }
                }
            }
        }
    }

    /// Writes to standard output. That a reader like `head` has heard enough is no failure.
    fn write(&mut self, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<()> {
        let Some(json) = &mut self.json else { return Ok(()) };
        match write(json) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                // What it holds has nobody to go to.
                drop(self.json.take().map(BufWriter::into_parts));
                Ok(())
            }
            written => written.context("writing to standard output"),
        }
    }

    fn finish(mut self, Summary { built, faulty }: Summary) -> Result<()> {
        self.write(BufWriter::flush)?;
        let Self { args, bar, warnings, faults, building, .. } = self;
        drop(bar);
        if warnings > WARNINGS_SHOWN_MAX {
            say(&format!("{} more warnings; --json has all", warnings - WARNINGS_SHOWN_MAX));
        }
        let into = &args.into;
        let built = count(built, "image");
        if faulty == 0 {
            if !args.quiet {
                say(&format!("{}: {built}", into.display()));
            }
            return Ok(());
        }
        let lines = match &args.file {
            Some(path) if !is_dash(path.as_os_str()) => format!("{path:?}"),
            _ => "standard input".to_owned(),
        };
        if args.keep_going || !building {
            if faults > FAULTS_SHOWN_MAX && !building {
                say(&format!("{} more lines have faults; --json has all", faults - FAULTS_SHOWN_MAX));
            }
            bail!("{lines}: {} with a fault; {built} built in {into:?}", count(faulty, "line"));
        }
        bail!("{lines}: ended by the first fault; {built} built in {into:?}")
    }
}

fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
