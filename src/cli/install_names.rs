//! `metadata install-names`.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};

use super::{escape::pretty_json, programs::PROGRAMS, streams::print};

/// Install this program under the names of the programs that it can replace
///
/// Makes hard links to this program, named mkisofs, genisoimage, xorrisofs and
/// cloud-localds. Programs that call them then run this one. Nothing is replaced
/// without --force. If DIR is on another file system, the program is copied.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The directory, which should be in PATH before that of the originals
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// Replace files that have these names
    #[arg(long)]
    force: bool,

    /// Also install xorriso, of which only 'xorriso -as mkisofs' works
    #[arg(long)]
    xorriso: bool,

    /// Print the paths as a JSON list
    #[arg(long)]
    json: bool,

    /// Do not print the paths
    #[arg(short, long, conflicts_with = "json")]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  metadata install-names /usr/local/bin
  metadata install-names --force --xorriso /opt/metadata/bin";

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let program = env::current_exe().context("finding this program")?;
        let names = PROGRAMS.iter().filter(|program| program.is_installed || self.xorriso);
        let paths: Vec<_> = names.map(|program| self.directory.join(program.name)).collect();
        for path in &paths {
            ensure!(
                self.force || fs::symlink_metadata(path).is_err(),
                "installing {path:?}: something has this name (--force replaces it)"
            );
        }
        let mut from = program;
        for path in &paths {
            install(&from, path, self.force).with_context(|| format!("installing {path:?}"))?;
            if !self.quiet && !self.json {
                print(&format!("{}\n", path.display()))?;
            }
            // Further names are links to the first, even if that is a copy.
            from.clone_from(path);
        }
        if !self.json {
            return Ok(());
        }
        let shown: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        print(&pretty_json(&shown)?)
    }
}

/// Gives the program `from` another name.
fn install(from: &Path, path: &Path, force: bool) -> io::Result<()> {
    if !force {
        return link_or_copy(from, path);
    }
    // The old file stays until the new one is there.
    let new = path.with_extension(format!("new-{}", std::process::id()));
    link_or_copy(from, &new)?;
    let renamed = fs::rename(&new, path);
    // Nothing happens if both names are links to the same file (rename(2)).
    drop(fs::remove_file(&new));
    renamed
}

fn link_or_copy(from: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(from, path) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => fs::copy(from, path).map(drop),
        linked => linked,
    }
}
