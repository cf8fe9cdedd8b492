//! `metadata pack`.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow};
use metadata_image::{
    output::atomic_file::standard_output,
    userdata::pack::{pack, to_json},
};

use super::say;

/// Make JSON user data from a directory
///
/// Every file becomes an entry with its content and mode, and every directory an
/// entry with its mode. The default modes, 0644 for files and 0755 for
/// directories, are left out. 'metadata create --data-dir' stores the same data
/// on an image.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The directory to make the data from
    #[arg(value_name = "DIR")]
    directory: PathBuf,

    /// Follow symbolic links, and store what they point to
    #[arg(long)]
    follow: bool,
}

const EXAMPLES: &str = "\
Examples:
  metadata pack config > config.json
  metadata pack config | metadata check -";

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let json = pack_directory(&self.directory, self.follow)?;
        standard_output()?.write_all(&json).context("writing to standard output")
    }
}

/// The user data made from a directory. Prints every file that cannot be stored, and then fails.
pub(super) fn pack_directory(directory: &Path, follow: bool) -> Result<Vec<u8>> {
    match pack(directory, follow)? {
        Ok(tree) => to_json(&tree).with_context(|| format!("packing {directory:?}")),
        Err(faults) => {
            for fault in &faults {
                say(&format!("packing {:?}: {}", fault.path, fault.why));
            }
            let files =
                if faults.len() == 1 { "1 file".to_owned() } else { format!("{} files", faults.len()) };
            Err(anyhow!("packing {directory:?}: {files} cannot be stored in a config tree"))
        }
    }
}
