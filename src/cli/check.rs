//! `metadata check`.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::{
    ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use metadata_image::{
    batch::are_lines,
    check::{CheckedText, PLATFORMS, Platform, Subject, check_image_by, check_whole},
    datasource::layout::Layout,
    image::Image,
    userdata::cloud_config::header::hint_for_windows,
    userdata::schema::{Rules, SCHEMA_BYTES_MAX, Schema, Version},
};

use super::{
    input::ImageOrData,
    is_dash,
    machine_formats::{Outcome, github_lines, sarif},
    print,
    render::{Count, json_lines, paragraphs},
    say,
    seed_files::{SeedFiles, files_of},
    words::word,
};

/// Find mistakes in user data, meta-data or an image before the boot
///
/// User data is JSON for LinuxKit, or anything that cloud-init accepts, such as
/// MIME documents and gzip data, whose parts are checked too. On an image, every
/// file that an agent reads is checked. One run shows all findings with line and
/// column. A file that is named like one on an image, such as meta-data or
/// network-config, is checked as what its name says.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// User data, meta-data, images, or directories with the files of a seed;
    /// '-' is standard input
    #[arg(required = true, value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// What kind of file it is, if its name does not say so
    #[arg(long = "as", value_enum, value_name = "WHAT")]
    kind: Option<TextKind>,

    /// Check the size against a platform's limit
    #[arg(
        long, value_name = "PLATFORM",
        value_parser = PossibleValuesParser::new(PLATFORMS.map(|target| target.name)).try_map(|name| name.parse::<Platform>())
    )]
    target: Option<Platform>,

    /// Fail on warnings as well
    #[arg(long)]
    strict: bool,

    /// Check cloud-config against this JSON Schema, such as the
    /// schema-cloud-config-v1.json of an installed cloud-init
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,

    /// The version of cloud-init that reads the data: reports what that version
    /// does not know yet, and no later deprecations
    #[arg(long, value_name = "VERSION")]
    cloud_init: Option<Version>,

    /// How findings are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Print each finding as a JSON object on its own line, as --format json
    /// does
    #[arg(long, conflicts_with = "format")]
    json: bool,

    /// Print no message on success
    #[arg(short, long)]
    quiet: bool,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Text that shows the line of each finding
    Text,
    /// One JSON object for each finding, on its own line
    Json,
    /// SARIF 2.1.0, one document
    Sarif,
    /// Annotations of GitHub Actions
    Github,
}

const EXAMPLES: &str = "\
Examples:
  metadata check config.json
  metadata check --target aws user-data.yaml
  metadata check --strict seed.iso
  metadata check seed/ *.iso
  metadata check --format github --cloud-init 22.4 user-data
  metadata pack config | metadata check --json -";

/// The kind of a text.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum TextKind {
    /// JSON for LinuxKit, or any text
    UserData,
    /// User data for LinuxKit: JSON, text or any bytes
    #[value(name = "linuxkit")]
    LinuxKit,
    /// User data for cloud-init
    CloudInit,
    /// User data on a config drive, for cloud-init or cloudbase-init
    #[value(name = "configdrive", aliases = Layout::ConfigDrive.aliases())]
    ConfigDrive,
    /// Meta-data of cloud-init
    MetaData,
    /// A network configuration of cloud-init
    #[value(aliases = ["network", "netplan", "network_config", "networkconfig"])]
    NetworkConfig,
}

/// Prints texts, each with a newline, many in one write.
fn print_all(texts: impl Iterator<Item = String>) -> Result<()> {
    const AT_ONCE_BYTES: usize = 64 << 10;
    let mut pending = String::new();
    for text in texts {
        pending += &text;
        pending.push('\n');
        if pending.len() > AT_ONCE_BYTES {
            print(&pending)?;
            pending.clear();
        }
    }
    print(&pending)
}

/// What was found in all files.
#[derive(Default)]
struct Tally {
    count: Count,
    /// How many files were checked.
    files: usize,
    /// How many paths could not be read.
    unread: usize,
    /// What there is to say of the last file.
    last: String,
}

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let mut files = Vec::new();
        let mut tally = Tally::default();
        let mut outcomes = Vec::new();
        for path in &self.paths {
            match files_of(path) {
                Ok(SeedFiles { files: found, near }) => {
                    files.extend(found);
                    if !near.is_empty() {
                        outcomes.push(Outcome { name: path.display().to_string(), checked: near });
                    }
                }
                Err(error) if self.paths.len() == 1 => return Err(error),
                Err(error) => tally.say_unread(&error),
            }
        }
        for outcome in &outcomes {
            self.show(outcome)?;
            tally.count += Count::of(&outcome.checked);
        }
        let is_single = self.paths.len() == 1 && files.len() == 1 && outcomes.is_empty();
        let rules = self.rules()?;
        for file in &files {
            match self.check_and_show(file, &rules) {
                Ok((outcome, count, message)) => {
                    outcomes.push(outcome);
                    tally.files += 1;
                    tally.count += count;
                    tally.last = message;
                    // That of a single file is the result of all.
                    if is_single {
                        continue;
                    }
                    if self.is_failure(count) { say(&tally.last) } else { self.say(&tally.last) }
                }
                Err(error) if is_single => return Err(error),
                Err(error) => tally.say_unread(&error),
            }
        }
        if self.format() == Format::Sarif {
            print_all(std::iter::once(sarif(&outcomes)))?;
        }
        let message = if is_single { tally.last.clone() } else { tally.to_string() };
        ensure!(tally.unread == 0 && !self.is_failure(tally.count), message);
        self.say(&message);
        Ok(())
    }

    fn is_failure(&self, count: Count) -> bool {
        count.errors > 0 || self.strict && count.warnings > 0
    }

    /// Says that something was checked without a failure.
    fn say(&self, message: &str) {
        if self.format() == Format::Text && !self.quiet {
            say(message);
        }
    }

    /// Checks a file, shows the findings, and returns how many there are and what to say of it.
    fn check_and_show(&self, file: &Path, rules: &Rules) -> Result<(Outcome, Count, String)> {
        let (checked, what) = self.check(file, rules)?;
        let outcome = Outcome { name: file.display().to_string(), checked };
        self.show(&outcome)?;
        let count = Count::of(&outcome.checked);
        let message = if self.is_failure(count) {
            format!("checking {file:?}: {count}")
        } else {
            format!("{}: checked as {what}: {count}", outcome.name)
        };
        Ok((outcome, count, message))
    }

    /// Prints findings, unless they are part of a document.
    fn show(&self, Outcome { name, checked }: &Outcome) -> Result<()> {
        for checked in checked {
            match self.format() {
                Format::Text => print_all(paragraphs(name, checked, &io::stdout()))?,
                Format::Json => print_all(json_lines(name, checked))?,
                Format::Github => print_all(github_lines(name, checked))?,
                Format::Sarif => {}
            }
        }
        Ok(())
    }

    fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format }
    }

    fn rules(&self) -> Result<Rules> {
        let read = |path: &PathBuf| -> Result<_> {
            let reading = || format!("reading the schema {path:?}");
            let mut text = Vec::new();
            let limit = SCHEMA_BYTES_MAX as u64 + 1;
            File::open(path)
                .and_then(|file| file.take(limit).read_to_end(&mut text))
                .with_context(reading)?;
            let schema = Schema::parse(&text).map_err(|why| anyhow!("{why}")).with_context(reading)?;
            Ok(Arc::new(schema))
        };
        Ok(Rules { schema: self.schema.as_ref().map(read).transpose()?, cloud_init: self.cloud_init })
    }

    /// The findings, and the kind that the file was checked as.
    fn check(&self, path: &Path, rules: &Rules) -> Result<(Vec<CheckedText>, String)> {
        let data = match ImageOrData::read(path, self.kind.is_some())? {
            ImageOrData::Image(file) => {
                let mut image = Image::in_file(file, path)?;
                return Ok((check_image_by(&mut image, self.target, rules)?, "image".to_owned()));
            }
            ImageOrData::Data(data) => data,
        };
        if self.kind.is_none() && are_lines(&data) {
            let lines = if is_dash(path.as_os_str()) { "FILE".to_owned() } else { word(path) };
            bail!(
                "reading {path:?}: these are lines for a batch, which checks all of them before it builds an image: \
                 metadata batch {lines} --into DIR"
            );
        }
        let subject = self.subject(path, &data);
        let empty = if data.is_empty() { ", which is empty" } else { "" };
        let mut checked = check_whole(&data, subject, self.target, rules);
        hint_for_windows(&path.to_string_lossy(), &mut checked[0].findings);
        Ok((checked, format!("{subject}{empty}")))
    }

    fn subject(&self, path: &Path, data: &[u8]) -> Subject {
        match self.kind {
            None => Subject::of_file(&path.to_string_lossy(), data),
            Some(TextKind::UserData) => Subject::UserData(None),
            Some(TextKind::LinuxKit) => Subject::UserData(Some(Layout::LinuxKit)),
            Some(TextKind::CloudInit) => Subject::UserData(Some(Layout::NoCloud)),
            Some(TextKind::ConfigDrive) => Subject::UserData(Some(Layout::ConfigDrive)),
            Some(TextKind::MetaData) => Subject::MetaData(Layout::NoCloud),
            Some(TextKind::NetworkConfig) => Subject::NetworkConfig,
        }
    }
}

impl Tally {
    fn say_unread(&mut self, error: &anyhow::Error) {
        say(&format!("{error:#}"));
        self.unread += 1;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let some = |number: usize| if number == 1 { "1 file".to_owned() } else { format!("{number} files") };
        write!(f, "{} checked: {}", some(self.files), self.count)?;
        match self.unread {
            0 => Ok(()),
            unread => write!(f, "; {} not checked", some(unread)),
        }
    }
}
