//! `metadata confirm`.

use std::path::PathBuf;

use anyhow::Result;
use metadata_image::manifest::{Manifest, Statement};

use super::{progress::Bar, rebuild::Rebuild};

/// Attach another string about this boot to an image
///
/// The string is added after those of 'create --run-metadata' and of earlier
/// runs, for a policy in the guest. The image is rebuilt in one step with the
/// same files, name and date. A signature is removed, because it no longer
/// matches. An image that does not match its manifest is rejected.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The image
    image: PathBuf,

    /// The string (repeatable)
    #[arg(long, value_name = "STRING", required = true, allow_hyphen_values = true)]
    run_metadata: Vec<String>,

    /// Print no message on success, and no progress
    #[arg(short, long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  metadata confirm meta.iso --run-metadata 'approved by the release team'";

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let mut progress = Bar::new(self.quiet);
        let rebuild = Rebuild::open(&self.image, "confirming", &mut progress)?;
        let mut statement = rebuild.manifest.as_ref().map_or_else(Statement::default, Manifest::statement);
        statement.user_provided_metadata.extend(self.run_metadata);
        let manifest = rebuild.describe(statement);
        rebuild.write(&manifest, None, self.quiet, &mut progress)
    }
}
