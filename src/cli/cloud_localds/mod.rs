//! `metadata cloud-localds`, and the program under the name cloud-localds: a seed for cloud-init (NoCloud) from files.
//!
//! Callers do not know that it is another program. What it makes has the files, names, modes and label of what cloud-localds 0.33
//! makes; `docs/from-other-tools.md` lists what differs. The image is built in a temporary file, so that the old output is there until
//! everything that can fail but the last copy has succeeded.

mod arguments;
mod convert;
mod findings;
mod help;
mod iso;
mod meta_data;
mod output;
mod seed;
mod settings;
mod tar;
mod vfat;

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    io::{self, Write},
    process::ExitCode,
};

use anyhow::{Context, Result, anyhow, bail};
use metadata_image::{output::atomic_file::unnamed_temporary, recipe::DEFAULT_SECONDS};

use super::{create::source_date_epoch, escape::printable, signals::clean_up_on_signals, streams::print};
use settings::{Filesystem, Place, Settings, Wanted};

/// The label by which cloud-init finds the seed.
const VOLUME_ID: &str = "cidata";

/// Exit status after every failure.
const EXIT_FAILED: u8 = 1;

/// Why there is no image.
#[derive(Debug)]
enum Wrong {
    /// The command line is wrong; the usage is printed too.
    Usage(String),
    Failed(anyhow::Error),
}

impl Wrong {
    fn failed(message: impl Into<String>) -> Self {
        Self::Failed(anyhow!(message.into()))
    }
}

impl From<anyhow::Error> for Wrong {
    fn from(error: anyhow::Error) -> Self {
        Self::Failed(error)
    }
}

/// Runs as cloud-localds.
pub(super) fn run(arguments: Vec<OsString>) -> ExitCode {
    match try_run(arguments) {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Wrong::Usage(message)) => {
            // There is nowhere left to report a failure.
            drop(writeln!(io::stderr(), "{}", help::USAGE));
            complain(&message);
        }
        Err(Wrong::Failed(error)) => complain(&format!("{error:#}")),
    }
    EXIT_FAILED.into()
}

/// Prints a message to standard error.
fn complain(message: &str) {
    let line = format!("cloud-localds: {}\n", printable(message));
    // There is nowhere left to report a failure.
    drop(io::stderr().write_all(line.as_bytes()));
}

/// Build a seed for cloud-init from the command line of cloud-localds
///
/// Accepts the arguments of cloud-localds 0.33, and makes an image or archive with
/// the same files. Under the name cloud-localds, this program reads its command
/// line in the same way: 'metadata install-names' installs it.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Options and files, as cloud-localds has them
    #[arg(required = true, allow_hyphen_values = true, trailing_var_arg = true)]
    arguments: Vec<OsString>,
}

const EXAMPLES: &str = "\
Examples:
  metadata cloud-localds seed.img user-data meta-data
  metadata cloud-localds --hostname web -N network-config seed.img user-data";

impl Args {
    /// The command line is read before this one is: [`super::programs`].
    pub(crate) fn run(self) -> Result<()> {
        try_run(self.arguments).map_err(|wrong| match wrong {
            Wrong::Usage(message) => anyhow!(message),
            Wrong::Failed(error) => error,
        })
    }
}

fn try_run(arguments: Vec<OsString>) -> Result<(), Wrong> {
    let options_first = env::var_os("POSIXLY_CORRECT").is_some();
    let parsed = arguments::parse(arguments, options_first).map_err(Wrong::Usage)?;
    let settings = match Settings::of(parsed)? {
        Wanted::Image(settings) => *settings,
        Wanted::Help => return Ok(print(help::USAGE)?),
    };
    let name = match &settings.output {
        Place::Standard => "-".to_owned(),
        Place::Path(path) => path.display().to_string(),
    };
    build(&settings, &name)?;
    if settings.verbose {
        let line = format!(
            "wrote {name} with filesystem={} and diskformat={}",
            settings.filesystem_name,
            settings.disk_format.display()
        );
        // The image is written, whoever hears of it.
        drop(io::stderr().write_all(format!("{}\n", printable(&line)).as_bytes()));
    }
    Ok(())
}

/// Builds the image in a temporary file, and copies it to the output, which messages call `shown`.
fn build(settings: &Settings, shown: &str) -> Result<()> {
    let (old, name) = match &settings.output {
        Place::Standard => (None, None),
        Place::Path(path) => (fs::metadata(path).ok(), path.file_name()),
    };
    if let (Some(old), Place::Path(path)) = (&old, &settings.output)
        && old.is_dir()
    {
        bail!("writing image {path:?}: is a directory");
    }
    clean_up_on_signals()?;
    let seconds = source_date_epoch()?.unwrap_or(DEFAULT_SECONDS);
    let files = seed::gather(settings, old.as_ref())?;
    let image = unnamed_temporary().context("creating a temporary file for the image")?;
    match settings.filesystem {
        Filesystem::Iso9660 => iso::write(files, seconds, &image)?,
        Filesystem::Tar(directory) => tar::write(&files, directory, seconds, &image)?,
        Filesystem::Vfat => vfat::write(files, seconds, &image)?,
    }
    findings::print_if_wanted(&image, settings.filesystem, shown);
    let image = match settings.conversion() {
        Some(format) => convert::convert(image, format, name.unwrap_or(OsStr::new("seed")))?,
        None => image,
    };
    output::write(image, &settings.output)
}
