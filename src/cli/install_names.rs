//! `metadata install-names`.

use std::{
    env,
    fs::{self, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process,
};

use anyhow::{Context, Result, ensure};
use rustix::io::Errno;

use super::{escape::pretty_json, programs::PROGRAMS, signals::clean_up_on_signals, streams::print};

/// Install this program under the names of the programs that it can replace
///
/// Makes hard links to this program, named mkisofs, genisoimage, xorrisofs and
/// cloud-localds. Programs that call them then run this one. Nothing is replaced
/// without --force. Where a link cannot be made, such as on another file system, the
/// program is copied.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The directory for the names
    ///
    /// In PATH it should come before that of the originals.
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
        ensure!(self.directory.is_dir(), "installing into {:?}: there is no such directory", self.directory);
        // From here on a file that grows past the limit of the process is an error.
        clean_up_on_signals()?;
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

/// Gives the program `from` another name. The old file stays until the new one is there, and no part of a copy gets the name.
fn install(from: &Path, path: &Path, force: bool) -> io::Result<()> {
    if !force {
        match fs::hard_link(from, path) {
            Err(error) if is_for_want_of_links(&error) => {}
            linked => return linked,
        }
    }
    let new = path.with_extension(format!("new-{}", process::id()));
    let made = match fs::hard_link(from, &new) {
        Err(error) if is_for_want_of_links(&error) => copy(from, &new),
        linked => linked,
    };
    made?;
    let installed = if force { fs::rename(&new, path) } else { name_new(&new, path) };
    // rename(2) leaves both names if they are links to the same file; otherwise there is nothing to remove.
    drop(fs::remove_file(&new));
    installed
}

/// Whether a link cannot be made where a copy can: on another file system, on one that has no links, or to another user's program
/// (`fs.protected_hardlinks` in proc(5)).
fn is_for_want_of_links(error: &io::Error) -> bool {
    use io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
    // macOS has two numbers for what is not supported, and std knows one of them.
    matches!(error.kind(), CrossesDevices | PermissionDenied | TooManyLinks | Unsupported)
        || Errno::from_io_error(error) == Some(Errno::NOTSUP)
}

/// Copies a program to a file that is not there yet. No part of a copy is left.
fn copy(from: &Path, new: &Path) -> io::Result<()> {
    let mut program = File::open(from)?;
    let mut out = OpenOptions::new().write(true).create_new(true).open(new)?;
    let copied = io::copy(&mut program, &mut out)
        .and_then(|_| out.set_permissions(Permissions::from_mode(program.metadata()?.mode() & 0o777)));
    if copied.is_err() {
        drop(fs::remove_file(new));
    }
    copied
}

/// Gives a copy its name, if that is still free.
fn name_new(new: &Path, path: &Path) -> io::Result<()> {
    match fs::hard_link(new, path) {
        // rename(2) would replace what appears at this moment. A file system without links has nothing better.
        Err(error) if is_for_want_of_links(&error) && fs::symlink_metadata(path).is_err() => {
            fs::rename(new, path)
        }
        linked => linked,
    }
}
