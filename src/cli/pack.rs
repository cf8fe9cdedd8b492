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

/// Make JSON user data of a directory
///
/// Every file becomes an entry with its content and mode, every directory one
/// with its mode; the modes 0644 and 0755 are left out, since they are what an
/// entry without one gets. 'metadata create --data-dir' puts the same on an
/// image.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The directory
    directory: PathBuf,

    /// Store what symbolic links point to
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

/// The user data of a directory. Everything in it that has no place there is named, then it fails.
pub(super) fn pack_directory(directory: &Path, follow: bool) -> Result<Vec<u8>> {
    match pack(directory, follow)? {
        Ok(tree) => to_json(&tree).with_context(|| format!("packing {directory:?}")),
        Err(faults) => {
            for fault in &faults {
                say(&format!("packing {:?}: {}", fault.path, fault.why));
            }
            let files = if faults.len() == 1 {
                "1 file has".to_owned()
            } else {
                format!("{} files have", faults.len())
            };
            Err(anyhow!("packing {directory:?}: {files} no place in a config tree"))
        }
    }
}
