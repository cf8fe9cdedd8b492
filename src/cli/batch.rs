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
    batch::{self, BatchOptions, Built, Event, Found, Input, LineOutcome, Shard, Summary},
    datasource::layout::Layout,
    encoding::hex,
    image::Progress,
    output::{atomic_file::standard_output, group_commit::OPEN_FILES},
};
use serde::Serialize;

use super::{
    create::{source_date_epoch, tolerance},
    described::FileOutput,
    escape::json,
    is_dash,
    progress::Bar,
    render::{Count, JsonNotice},
    say,
    signals::{clean_up_on_signals, raise_open_files},
    to_library_error,
};

/// Build an image for every line of a file of JSON Lines
///
/// Each line is a JSON object with the path of an image below DIR and options of
/// 'metadata create', and gives the same image as that command. Images are built
/// on all cores. Each image replaces an old one completely or not at all. After
/// an interruption, run the same command again.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The file with the lines; '-' is standard input [default: -]
    file: Option<PathBuf>,

    /// The directory for the images; created if it does not exist
    #[arg(long, value_name = "DIR")]
    into: PathBuf,

    /// How many images to build at the same time [default: number of cores]
    #[arg(long, value_name = "N", value_parser = jobs)]
    jobs: Option<NonZero<u16>>,

    /// Process all lines, even after one that fails
    #[arg(long)]
    keep_going: bool,

    /// Process only line I of every N lines, for I from 0 to N-1
    #[arg(
        long, value_name = "I/N", default_value = "0/1", hide_default_value = true,
        value_parser = StringValueParser::new().try_map(|text| text.parse::<Shard>())
    )]
    shard: Shard,

    /// Replace files that are not images
    #[arg(long)]
    force: bool,

    /// Treat warnings as errors
    #[arg(long)]
    strict: bool,

    /// Build images even if cloud-init will ignore their data
    #[arg(long, conflicts_with = "strict")]
    lenient: bool,

    /// Sync all images to disk, including new ones
    #[arg(long)]
    sync: bool,

    /// Print the result of each line as JSON, in the order of the lines
    #[arg(long)]
    json: bool,

    /// With --json: read each image back and print the SHA-256 digests of
    /// images and files
    #[arg(long, requires = "json")]
    digests: bool,

    /// Print no message on success, and no progress
    #[arg(short, long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  metadata batch fleet.jsonl --into images
  jq -c '.hosts[] | {image: (.name + \".iso\"), data: .config}' fleet.json |
      metadata batch --into images
  metadata batch --shard 0/4 fleet.jsonl --into images

A line has 'image', at most one of 'data', 'user_data', 'data_file', 'from' and
'data_dir', and any of 'follow', 'layout', 'filesystem', 'files', 'meta_data',
'network_config', 'vendor_data', 'hostname', 'ssh_keys', 'instance_id',
'volume_id', 'admin_pass_file', 'mode', 'run_metadata', 'run_id', 'strict' and
'lenient'.
Paths are relative to the working directory:
  {\"image\": \"web-1/seed.iso\", \"layout\": \"nocloud\", \"hostname\": \"web-1\",
   \"user_data\": \"web.yaml\", \"files\": {\"keys/ca.pem\": \"ca.pem\"}}";

/// The most errors that are shown if they are found before the first image is built.
const ERRORS_SHOWN_MAX: u64 = 20;

/// The most warnings and findings that are shown; `--json` lists as many as `create` does for each image.
const WARNINGS_SHOWN_MAX: u64 = 20;

/// What `--json` prints for a line.
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
        warnings: Vec<JsonNotice<'a>>,
        #[serde(flatten, skip_serializing_if = "Option::is_none")]
        digests: Option<DigestOutput>,
    },
    Failed {
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
            Err(error) => Self::Failed { line: *line, image, error: format!("{error:#}") },
            Ok(Built { bytes, layout, volume_identifier, replaced, warnings, digests, .. }) => {
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
                    warnings: warnings.iter().map(JsonNotice::of).collect(),
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
            tolerance: tolerance(self.strict, self.lenient),
            digests: self.digests,
            sync: self.sync,
            seconds: source_date_epoch()?,
        };
        let path = self.file.as_deref().unwrap_or(Path::new("-"));
        let input =
            if is_dash(path.as_os_str()) { Input::Stream(Box::new(io::stdin())) } else { Input::open(path)? };
        clean_up_on_signals()?;
        raise_open_files(OPEN_FILES);
        let mut reporter = Reporter::new(&self)?;
        let ran = batch::run(input, &options, &mut |event| reporter.handle(event).map_err(to_library_error));
        match ran {
            Ok(summary) => reporter.finish(summary),
            Err(error) => {
                reporter.say_first_error();
                Err(error.into())
            }
        }
    }
}

/// Reports results: messages on standard error, JSON on standard output.
struct Reporter<'a> {
    args: &'a Args,
    bar: Bar,
    /// Standard output; `None`: no JSON was requested, or the reader has stopped.
    json: Option<BufWriter<File>>,
    /// How many lines failed so far.
    errors: u64,
    /// How many warnings and findings about images there were so far.
    noticed: u64,
    /// How many findings there were that no result lists.
    unlisted: usize,
    /// How many findings there were about the data.
    found: Count,
    /// The first error, which is part of the last line if it is the only one.
    first_error: Option<String>,
    /// Whether images are being built; otherwise the lines are still being checked.
    building: bool,
}

impl<'a> Reporter<'a> {
    fn new(args: &'a Args) -> Result<Self> {
        let json = args.json.then(standard_output).transpose().context("writing to standard output")?;
        Ok(Self {
            args,
            bar: Bar::of_images(args.quiet),
            json: json.map(BufWriter::new),
            errors: 0,
            noticed: 0,
            unlisted: 0,
            found: Count::default(),
            first_error: None,
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
                self.errors += 1;
                // Without --keep-going, later errors depend on timing.
                let most = match (self.args.keep_going, self.building) {
                    (true, _) => u64::MAX,
                    (false, true) => 1,
                    (false, false) => ERRORS_SHOWN_MAX,
                };
                if self.errors > most {
                    return;
                }
                let text = format!("line {line}: {error:#}");
                if self.errors == 1 && !self.args.keep_going {
                    self.first_error = Some(text);
                } else {
                    self.say_first_error();
                    self.bar.suspend(|| say(&text));
                }
            }
            Ok(built) => {
                let Found { errors, warnings, unlisted } = built.found;
                self.found += Count { errors, warnings };
                self.unlisted += unlisted;
                for notice in &built.warnings {
                    self.noticed += 1;
                    if self.noticed <= WARNINGS_SHOWN_MAX {
                        self.bar.suspend(|| say(&format!("line {line}: {}: {notice}", notice.severity)));
                    }
                }
            }
        }
    }

    fn say_first_error(&mut self) {
        if let Some(text) = self.first_error.take() {
            self.bar.suspend(|| say(&text));
        }
    }

    /// Writes to standard output. A reader that stops early, such as `head`, is not an error.
    fn write(&mut self, write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> Result<()> {
        let Some(json) = &mut self.json else { return Ok(()) };
        match write(json) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                // Discard what is buffered.
                drop(self.json.take().map(BufWriter::into_parts));
                Ok(())
            }
            written => written.context("writing to standard output"),
        }
    }

    fn finish(mut self, Summary { built, faulty }: Summary) -> Result<()> {
        self.write(BufWriter::flush)?;
        let Self { args, bar, noticed, unlisted, found, errors, building, first_error, .. } = self;
        drop(bar);
        let more = noticed.saturating_sub(WARNINGS_SHOWN_MAX) + unlisted as u64;
        if more > 0 {
            let by = if unlisted > 0 { "metadata check shows" } else { "--json lists" };
            say(&format!("{more} more findings; {by} all of them"));
        }
        let into = &args.into;
        let built = count(built, "image");
        if faulty == 0 {
            if !args.quiet {
                let found = match found {
                    Count { errors: 0, .. } => String::new(),
                    found => format!("; {found} in the data (--strict rejects it)"),
                };
                say(&format!("{}: {built}{found}", into.display()));
            }
            return Ok(());
        }
        let lines = match &args.file {
            Some(path) if !is_dash(path.as_os_str()) => format!("{path:?}"),
            _ => "standard input".to_owned(),
        };
        if let Some(error) = first_error {
            bail!("{lines}: {error}; {built} built in {into:?}");
        }
        if args.keep_going || !building {
            if errors > ERRORS_SHOWN_MAX && !building {
                say(&format!(
                    "{} more lines have errors; --json lists all of them",
                    errors - ERRORS_SHOWN_MAX
                ));
            }
            bail!("{lines}: {} failed; {built} built in {into:?}", count(faulty, "line"));
        }
        bail!("{lines}: stopped at the first error; {built} built in {into:?}")
    }
}

/// Parses a number of images.
fn jobs(text: &str) -> Result<NonZero<u16>, &'static str> {
    text.parse().map_err(|_| "not a number from 1 to 65535")
}

fn count(number: u64, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}
