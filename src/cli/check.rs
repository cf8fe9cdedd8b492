//! `metadata check`.

use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context, Result, anyhow};
use clap::{
    ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use metadata_image::{
    check::{CheckedText, PLATFORMS, Platform, Subject, check_by, check_image},
    datasource::layout::Layout,
    image::Image,
    userdata::schema::{Rules, SCHEMA_BYTES_MAX, Schema, Version},
};

use super::{
    input::ImageOrData,
    machine_formats::{github_lines, sarif},
    print,
    render::{Count, json_lines, paragraphs},
};

/// Find mistakes in user data, meta-data or an image before the boot
///
/// User data is JSON for LinuxKit, or anything that cloud-init accepts. On an
/// image, every file that an agent reads is checked. One run shows all findings
/// with line and column. Files named like those on an image, such as meta-data
/// and network-config, are checked as what they are.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// User data, meta-data or an image; '-' is standard input
    path: PathBuf,

    /// The kind of the file, if its name does not say
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

    /// Judge cloud-config by this JSON Schema, such as the
    /// schema-cloud-config-v1.json of an installed cloud-init
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,

    /// The version of cloud-init that reads the data: nothing is deprecated
    /// before its time, and what is newer is found
    #[arg(long, value_name = "VERSION")]
    cloud_init: Option<Version>,

    /// How findings are printed
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Print every finding as a JSON object on a line: --format json
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// Paragraphs with the line in question
    Text,
    /// A JSON object on a line for each
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
    /// Meta-data of cloud-init
    MetaData,
    /// A network configuration of cloud-init
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

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let (checked, what) = self.check()?;
        let name = self.path.display().to_string();
        let format = if self.json { Format::Json } else { self.format };
        if format == Format::Sarif {
            print_all(std::iter::once(sarif(&name, &checked)))?;
        }
        for checked in &checked {
            match format {
                Format::Text => print_all(paragraphs(&name, checked, &io::stdout()))?,
                Format::Json => print_all(json_lines(&name, checked))?,
                Format::Github => print_all(github_lines(&name, checked))?,
                Format::Sarif => {}
            }
        }
        let count = Count::of(&checked);
        if count.errors > 0 || self.strict && count.warnings > 0 {
            return Err(anyhow!("checking {:?}: {count}", self.path));
        }
        if format == Format::Text {
            super::say(&format!("{name}: checked as {what}: {count}"));
        }
        Ok(())
    }

    /// The findings, and the kind that the file was checked as.
    fn check(&self) -> Result<(Vec<CheckedText>, String)> {
        let rules = self.rules()?;
        let data = match ImageOrData::read(&self.path, self.kind.is_some())? {
            ImageOrData::Image(file) => {
                let mut image = Image::in_file(file, &self.path)?;
                return Ok((check_image(&mut image, self.target, &rules)?, "image".to_owned()));
            }
            ImageOrData::Data(data) => data,
        };
        let subject = self.subject(&self.path);
        Ok((vec![check_by(&data, subject, self.target, &rules)], subject.to_string()))
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

    fn subject(&self, path: &Path) -> Subject {
        match self.kind {
            None => Subject::of_name(&path.to_string_lossy()),
            Some(TextKind::UserData) => Subject::UserData(None),
            Some(TextKind::LinuxKit) => Subject::UserData(Some(Layout::LinuxKit)),
            Some(TextKind::CloudInit) => Subject::UserData(Some(Layout::NoCloud)),
            Some(TextKind::MetaData) => Subject::MetaData(Layout::NoCloud),
            Some(TextKind::NetworkConfig) => Subject::NetworkConfig,
        }
    }
}
