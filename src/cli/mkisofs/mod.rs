//! `metadata mkisofs`, and the program under the names mkisofs, genisoimage, xorrisofs and `xorriso -as mkisofs`.
//!
//! Callers do not know that it is another program. It leaves with the same status, and says no more than the original but for
//! warnings about what it cannot do, unless `-quiet` is given. What it leaves out of the originals is an error where the image
//! would be another one.

mod charset;
mod destinations;
mod dialect;
mod exclude;
mod found;
mod graft;
mod help;
mod identity;
mod list;
mod options;
mod output;
mod parse;
mod settings;
mod sources;
mod trouble;
mod volume;
mod warnings;

use std::{
    env,
    ffi::OsString,
    fs::File,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use metadata_image::{
    check::check_image,
    image::{Image, SECTOR_BYTES, iso9660::writer::Draft},
};

use super::{create::source_date_epoch, escape::printable, render::paragraphs, streams::print};
use destinations::Destinations;
use dialect::{Dialect, Failure};
use settings::{Settings, Wanted};
use trouble::Trouble;

/// Messages of the program, on standard error or in the file of `-log-file`.
struct Log {
    program: &'static str,
    file: Option<File>,
    /// What was said before the file was emptied: it is not known yet whether it is one that is read.
    held: Option<Vec<String>>,
}

impl Log {
    fn new(program: &'static str) -> Self {
        Self { program, file: None, held: None }
    }

    fn say(&mut self, line: &str) {
        let line = format!("{}: {}\n", self.program, printable(line));
        match &mut self.held {
            Some(held) => held.push(line),
            None => self.write(&line),
        }
    }

    /// Messages go to this file, which is emptied by [`Log::release`].
    fn hold_for(&mut self, file: File) {
        (self.file, self.held) = (Some(file), Some(Vec::new()));
    }

    /// Empties the file, and writes what was held.
    fn release(&mut self) {
        let Some(held) = self.held.take() else { return };
        if let Some(file) = &self.file {
            // Devices and pipes cannot be emptied.
            drop(file.set_len(0));
        }
        for line in &held {
            self.write(line);
        }
    }

    fn write(&mut self, line: &str) {
        // There is nowhere left to report a failure.
        drop(match &mut self.file {
            Some(file) => file.write_all(line.as_bytes()),
            None => io::stderr().write_all(line.as_bytes()),
        });
    }
}

/// Runs as mkisofs.
pub(super) fn run_mkisofs(arguments: Vec<OsString>) -> ExitCode {
    run("mkisofs", Dialect::Genisoimage, arguments)
}

/// Runs as genisoimage.
pub(super) fn run_genisoimage(arguments: Vec<OsString>) -> ExitCode {
    run("genisoimage", Dialect::Genisoimage, arguments)
}

/// Runs as xorrisofs.
pub(super) fn run_xorrisofs(arguments: Vec<OsString>) -> ExitCode {
    run("xorrisofs", Dialect::Xorrisofs, arguments)
}

/// Runs as xorriso, of which there is only `-as mkisofs`.
pub(super) fn run_xorriso(mut arguments: Vec<OsString>) -> ExitCode {
    const PERSONALITIES: [&str; 4] = ["mkisofs", "genisoimage", "genisofs", "xorrisofs"];
    let is_mkisofs = arguments.first().is_some_and(|first| first == "-as" || first == "--as")
        && arguments.get(1).is_some_and(|name| PERSONALITIES.iter().any(|known| name == known));
    if !is_mkisofs {
        let mut log = Log::new("xorriso");
        log.say("this is metadata, which can only run 'xorriso -as mkisofs [OPTIONS] FILE...'");
        return Dialect::Xorrisofs.status(Failure::Option).into();
    }
    run("xorriso", Dialect::Xorrisofs, arguments.split_off(2))
}

fn run(program: &'static str, dialect: Dialect, arguments: Vec<OsString>) -> ExitCode {
    let mut log = Log::new(program);
    match try_run(dialect, arguments, &mut log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(trouble) => {
            if trouble.failure == Failure::LogFile {
                log.file = None;
            }
            log.release();
            log.say(&trouble.message);
            dialect.status(trouble.failure).into()
        }
    }
}

/// Build an image from the command line of mkisofs or genisoimage
///
/// Accepts the arguments of genisoimage 1.1.11, and makes an image with the same
/// names. Under the name mkisofs, genisoimage or xorrisofs, this program reads
/// its command line in the same way: 'metadata install-names' installs them.
/// With --check, or the environment variable `METADATA_CHECK=1`, prints what
/// 'metadata check' finds.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Options and files, as mkisofs has them
    #[arg(required = true, allow_hyphen_values = true, trailing_var_arg = true)]
    arguments: Vec<OsString>,
}

const EXAMPLES: &str = "\
Examples:
  metadata mkisofs -o seed.iso -V cidata -J -r user-data meta-data
  metadata mkisofs --check -o seed.iso -V cidata -J -r seed";

impl Args {
    /// The command line is read before this one is: [`super::programs`].
    pub(crate) fn run(self) -> anyhow::Result<()> {
        let mut log = Log::new("mkisofs");
        let done = try_run(Dialect::Genisoimage, self.arguments, &mut log);
        done.map_err(|trouble| anyhow::anyhow!(trouble.message))
    }
}

fn try_run(dialect: Dialect, arguments: Vec<OsString>, log: &mut Log) -> Result<(), Trouble> {
    let settings = match Settings::of(dialect, parse::parse(dialect, arguments)?)? {
        Wanted::Image(settings) => *settings,
        Wanted::Help => {
            help::print_help(log.program, dialect);
            return Ok(());
        }
        Wanted::Version => return help::print_version(log.program, dialect),
    };
    if let Some(path) = &settings.log_file {
        let opened = output::open_log(path);
        let trouble = |error| Trouble::new(Failure::Output, format!("creating {path:?}: {error:#}"));
        log.hold_for(opened.map_err(trouble)?);
    }
    let epoch = source_date_epoch().map_err(|error| Trouble::new(Failure::Value, error.to_string()))?;
    let destinations = Destinations::of(&settings)?;
    let tree = sources::find(&settings, destinations, &mut |line| log.say(line))?;
    log.release();
    warnings::warn(&settings, &tree, &mut |line| log.say(line));
    let volume = volume::volume_of(&settings, tree, epoch);
    // From here on all files are open or measured.
    let draft = Draft::new(volume).map_err(|error| Trouble::new(Failure::Source, format!("{error:#}")))?;
    if settings.print_size {
        return print_size(draft);
    }
    output::write(draft, settings.output.as_deref())?;
    if settings.check || env::var_os("METADATA_CHECK").is_some_and(|value| value == "1") {
        print_findings(settings.output.as_deref(), log);
    }
    Ok(())
}

/// Prints how many sectors the image would have.
fn print_size(draft: Draft) -> Result<(), Trouble> {
    let bytes = draft.size().map_err(|error| Trouble::new(Failure::Source, format!("{error:#}")))?;
    print(&format!("{}\n", bytes / SECTOR_BYTES))
        .map_err(|error| Trouble::new(Failure::Output, error.to_string()))
}

/// Prints what `metadata check` finds in the image to standard error.
fn print_findings(output: Option<&Path>, log: &mut Log) {
    let Some(path) = output else {
        return log.say("the image is not checked: it went to standard output (use -o)");
    };
    let checked = Image::open(path).map_err(Into::into).and_then(|mut image| check_image(&mut image, None));
    match checked {
        Ok(checked) => {
            let name = path.display().to_string();
            let errors = io::stderr();
            for paragraph in checked.iter().flat_map(|text| paragraphs(&name, text, &errors)) {
                // There is nowhere left to report a failure.
                drop(writeln!(&errors, "{paragraph}"));
            }
        }
        Err(error) => log.say(&format!("checking {path:?}: {error:#}")),
    }
}
