//! `metadata check`.

use std::{
    io,
    path::{Path, PathBuf},
};

use anyhow::{Result, anyhow};
use clap::{
    ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use metadata_image::{
    check::{CheckedText, PLATFORMS, Platform, Subject, check, check_image},
    datasource::layout::Layout,
    image::Image,
};

use super::{
    input::ImageOrData,
    print,
    render::{Count, json_lines, paragraphs},
};

/// Find the mistakes in user data, meta-data or an image before the boot
///
/// User data is JSON for LinuxKit, or anything that cloud-init takes; of an
/// image every file is checked that an agent reads. All findings are shown in
/// one run with their line and column. Files with the names that they have on
/// an image, like meta-data and network-config, are checked as such.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// User data, meta-data or an image; '-' is standard input
    path: PathBuf,

    /// TextKind it is, where its name does not tell
    #[arg(long = "as", value_enum, value_name = "WHAT")]
    kind: Option<TextKind>,

    /// Check that a platform takes so much
    #[arg(
        long, value_name = "PLATFORM",
        value_parser = PossibleValuesParser::new(PLATFORMS.map(|target| target.name)).try_map(|name| name.parse::<Platform>())
    )]
    target: Option<Platform>,

    /// Fail on warnings as well
    #[arg(long)]
    strict: bool,

    /// Print a JSON object for every finding, a line each
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  metadata check config.json
  metadata check --target aws user-data.yaml
  metadata check --strict seed.iso
  metadata pack config | metadata check --json -";

/// TextKind a text is for.
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

/// Prints texts, each with a newline, some of them at once.
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
        for checked in &checked {
            if self.json {
                print_all(json_lines(&name, checked))?;
            } else {
                print_all(paragraphs(&name, checked, &io::stdout()))?;
            }
        }
        let count = Count::of(&checked);
        if count.errors > 0 || self.strict && count.warnings > 0 {
            return Err(anyhow!("checking {:?}: {count}", self.path));
        }
        if !self.json {
            super::say(&format!("{name}: checked as {what}: {count}"));
        }
        Ok(())
    }

    /// TextKind was found, and what it was taken for.
    fn check(&self) -> Result<(Vec<CheckedText>, String)> {
        let data = match ImageOrData::read(&self.path, self.kind.is_some())? {
            ImageOrData::Image(file) => {
                let mut image = Image::in_file(file, &self.path)?;
                return Ok((check_image(&mut image, self.target)?, "image".to_owned()));
            }
            ImageOrData::Data(data) => data,
        };
        let subject = self.subject(&self.path);
        Ok((vec![check(&data, subject, self.target)], subject.to_string()))
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
