//! `metadata apply`.

use std::{fmt::Write as _, path::PathBuf};

use anyhow::{Result, anyhow, ensure};
use metadata_image::{
    image::Image,
    output::confined_dir::ConfinedDir,
    provider::{
        LogLevel, Metadata,
        cdrom::{self, ReadScope},
    },
    userdata::{finding::Severity, install_plan::InstallPlan, unpack::TreeItem},
};

use super::{escape::printable, input::ImageOrData, print, say, signals::clean_up_on_signals};

/// Write the files that a guest would have in /run/config
///
/// Reads an image or user data. Writes the raw user data, the files of its config
/// tree, and the host name and keys of an image's meta-data into a directory,
/// with their modes whatever the umask. Nothing is written outside the
/// directory, whatever the names and whatever links it contains. An entry that
/// cannot be written is reported and skipped, and the exit status is 1.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// An image, a block device or user data; '-' is standard input
    source: PathBuf,

    /// The directory to write to; created if it does not exist
    #[arg(required_unless_present = "dry_run")]
    directory: Option<PathBuf>,

    /// Only list mode, size and path of what would be written
    #[arg(long)]
    dry_run: bool,
}

const EXAMPLES: &str = "\
Examples:
  metadata apply meta.iso run-config
  metadata apply --dry-run config.json
  metadata pack config | metadata apply --dry-run -";

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let name = self.source.display().to_string();
        let Metadata { userdata, entries, losses, .. } = self.read()?;
        let plan = InstallPlan::new(userdata.as_deref(), entries);
        for (_, line) in plan.lines(&name).filter(|(severity, _)| *severity == Severity::Error) {
            say(&line);
        }
        let mut skipped = plan.losses().len() + losses.len();
        match &self.directory {
            Some(directory) if !self.dry_run => {
                clean_up_on_signals()?;
                let directory = ConfinedDir::open_or_create(directory)?;
                plan.write(&directory, None, &mut |TreeItem { path, .. }, written| {
                    if let Err(error) = written {
                        say(&format!("skipping {path:?}: {error:#}"));
                        skipped += 1;
                    }
                });
            }
            _ => print(&list(&plan))?,
        }
        match skipped {
            0 => Ok(()),
            1 => Err(anyhow!("applying {:?}: 1 item was skipped", self.source)),
            _ => Err(anyhow!("applying {:?}: {skipped} items were skipped", self.source)),
        }
    }

    /// The user data, and the entries of its image.
    fn read(&self) -> Result<Metadata> {
        let file = match ImageOrData::read(&self.source, false)? {
            ImageOrData::Image(file) => file,
            ImageOrData::Data(data) => return Ok(Metadata { userdata: Some(data), ..Metadata::default() }),
        };
        let notify = &mut |level, text: &str| {
            if level != LogLevel::Detail {
                say(text);
            }
        };
        let found = cdrom::read_image(&mut Image::in_file(file, &self.source)?, ReadScope::Data, notify)?;
        ensure!(!found.is_empty(), "image {:?} has no user data", self.source);
        Ok(found)
    }
}

/// Lists mode, size and path of everything that would be written.
fn list(plan: &InstallPlan) -> String {
    let mut text = String::new();
    for TreeItem { path, mode, len } in plan.list() {
        let (size, slash) = len.map_or(("-".to_owned(), "/"), |len| (len.to_string(), ""));
        writeln!(text, "{mode:04o} {size:>8} {}{slash}", printable(&path))
            .expect("writing to a string does not fail");
    }
    text
}
