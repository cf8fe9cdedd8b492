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

use super::{
    Usage,
    escape::{pretty_json, printable},
    input::ImageOrData,
    print, say,
    signals::clean_up_on_signals,
    written::{Written, WrittenOutput, in_one_line},
};

/// Write the files that a guest would have in /run/config
///
/// Reads an image or user data. Writes the raw user data, the files of its config
/// tree, and the host name and keys of an image's meta-data into a directory.
/// Files get their modes whatever the umask is. Nothing is written outside the
/// directory, whatever the names are and whatever links it contains. An entry
/// that cannot be written is reported and skipped, and the exit status is 1.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, override_usage = USAGE)]
pub(crate) struct Args {
    /// An image, a block device or user data; '-' is standard input
    source: PathBuf,

    /// The directory to write to; created if it does not exist
    #[arg(long, value_name = "DIR")]
    into: Option<PathBuf>,

    /// The directory, as it was given before there was --into
    #[arg(hide = true, conflicts_with = "into")]
    directory: Option<PathBuf>,

    /// Only list the mode, size and path of each file
    #[arg(long)]
    dry_run: bool,

    /// Describe what is written as JSON
    #[arg(long)]
    json: bool,

    /// Print no message on success
    #[arg(short, long)]
    quiet: bool,
}

const USAGE: &str = "\
metadata apply [OPTIONS] SOURCE --into DIR
       metadata apply [OPTIONS] SOURCE --dry-run";

const EXAMPLES: &str = "\
Examples:
  metadata apply meta.iso --into run-config
  metadata apply --dry-run config.json
  metadata pack config | metadata apply --dry-run -";

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let into = self.into.as_ref().or(self.directory.as_ref());
        if into.is_none() && !self.dry_run {
            let message =
                "the directory is missing: --into DIR writes to it, and --dry-run only lists the files";
            return Err(Usage(message.to_owned()).into());
        }
        let into = into.filter(|_| !self.dry_run);
        let name = self.source.display().to_string();
        let Metadata { userdata, entries, losses, .. } = self.read()?;
        let plan = InstallPlan::new(userdata.as_deref(), entries);
        for (_, line) in plan.lines(&name).filter(|(severity, _)| *severity == Severity::Error) {
            say(&line);
        }
        let mut skipped = plan.losses().len() + losses.len();
        let mut files = Vec::new();
        match into {
            Some(directory) => {
                clean_up_on_signals()?;
                let directory = ConfinedDir::open_or_create(directory)?;
                plan.write(&directory, None, &mut |item, written| match written {
                    Ok(()) => files.push(describe(item)),
                    Err(error) => {
                        say(&format!("skipping {:?}: {error:#}", item.path));
                        skipped += 1;
                    }
                });
            }
            None => files.extend(plan.list().into_iter().map(describe)),
        }
        match into {
            _ if self.json => {
                let into = into.map(|directory| directory.display().to_string());
                print(&pretty_json(&WrittenOutput { into, files: &files })?)?;
            }
            None => print(&list(&files))?,
            Some(directory) if !self.quiet => say(&in_one_line(directory, &files)),
            Some(_) => {}
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

fn describe(TreeItem { path, mode, len }: TreeItem) -> Written {
    Written { name: path, size: len.map(|len| len as u64), mode: format!("{mode:04o}"), offset: None }
}

/// Lists mode, size and path of everything that would be written.
fn list(files: &[Written]) -> String {
    let mut text = String::new();
    for Written { name, size, mode, .. } in files {
        let (size, slash) = size.map_or(("-".to_owned(), "/"), |size| (size.to_string(), ""));
        writeln!(text, "{mode} {size:>8} {}{slash}", printable(name))
            .expect("writing to a string does not fail");
    }
    text
}
