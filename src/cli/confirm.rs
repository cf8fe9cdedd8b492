//! `metadata confirm`.

use std::path::PathBuf;

use anyhow::Result;
use metadata_image::manifest::{Manifest, Statement};

use super::{progress::Bar, rebuild::Rebuild};

/// Attach one more string about this boot to an image
///
/// The string goes behind those that 'create --run-metadata' and others before
/// attached, for a policy in the guest to see. The image is built again with
/// the same files, name and date, in one step, and a signature that no longer
/// fits is removed. An image that is not what its manifest says is refused.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The image
    image: PathBuf,

    /// The string (repeatable)
    #[arg(long, value_name = "STRING", required = true, allow_hyphen_values = true)]
    run_metadata: Vec<String>,

    /// No line on success, no progress
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
