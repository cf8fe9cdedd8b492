//! `metadata confirm`.

use std::path::PathBuf;

use anyhow::Result;
use metadata_image::manifest::{Manifest, Statement};

use super::{Usage, escape::pretty_json, print, progress::Bar, rebuild::Rebuild, words::word};

/// Add another string about this boot to an image
///
/// The string is added after those of 'create --run-metadata' and of earlier
/// runs, for a policy in the guest. The image is rebuilt in one step with the
/// same files, volume identifier and date. A signature is removed, because it no
/// longer matches. An image that does not match its manifest is rejected.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, override_usage = "metadata confirm [OPTIONS] IMAGE --run-metadata STRING")]
pub(crate) struct Args {
    /// The image to add the string to
    image: PathBuf,

    /// The string to add (repeatable)
    #[arg(long, value_name = "STRING", allow_hyphen_values = true)]
    run_metadata: Vec<String>,

    /// Print no message on success, and no progress
    #[arg(short, long)]
    quiet: bool,

    /// Describe the new image as JSON
    #[arg(long)]
    json: bool,

    /// The option of 'metadata verify', for an error that names it
    #[arg(long, hide = true, value_name = "PATH")]
    allowed_signers: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  metadata confirm meta.iso --run-metadata 'approved by the release team'";

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        if let Some(signers) = &self.allowed_signers {
            let (image, signers) = (word(&self.image), word(signers));
            let message = format!(
                "confirm checks no signature; another command does: metadata verify {image} --allowed-signers {signers}"
            );
            return Err(Usage(message).into());
        }
        if self.run_metadata.is_empty() {
            let message = "the string is missing: --run-metadata STRING adds it to the image";
            return Err(Usage(message.to_owned()).into());
        }
        let mut progress = Bar::new(self.quiet);
        let rebuild = Rebuild::open(&self.image, "confirming", &mut progress)?;
        let mut statement = rebuild.manifest.as_ref().map_or_else(Statement::default, Manifest::statement);
        statement.user_provided_metadata.extend(self.run_metadata);
        let manifest = rebuild.describe(statement);
        let written = rebuild.write(&manifest, None, self.quiet || self.json, &mut progress)?;
        if self.json { print(&pretty_json(&written)?) } else { Ok(()) }
    }
}
