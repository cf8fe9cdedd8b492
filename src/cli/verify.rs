//! `metadata verify`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use metadata_image::{
    manifest::{inventory::Contents, timestamp::Timestamp},
    trust::verify::verify,
};
use serde::Serialize;

use super::{
    Usage,
    escape::pretty_json,
    print,
    progress::Bar,
    say,
    trust_args::SignerArgs,
    words::{open_image, word},
};

/// Check that an allowed signer has signed an image
///
/// Succeeds if the files, the volume identifier and the date match the manifest,
/// there is no other file, the trees of the volume agree, and an allowed signer
/// has signed the manifest in the namespace metadata-image, for this time and
/// audience. The agent in a guest checks the same.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, override_usage = "metadata verify [OPTIONS] IMAGE --allowed-signers PATH")]
pub(crate) struct Args {
    /// The image, or a block device
    image: PathBuf,

    #[command(flatten)]
    trusted: SignerArgs,

    /// Check the image for this time [default: now]
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
    at: Option<Timestamp>,

    /// Describe the signer and the manifest as JSON
    #[arg(long)]
    json: bool,

    /// Print no message on success, and no progress
    #[arg(short, long)]
    quiet: bool,

    /// The option of 'metadata confirm', for an error that names it
    #[arg(long, hide = true, value_name = "STRING", allow_hyphen_values = true)]
    run_metadata: Option<String>,
}

const EXAMPLES: &str = "\
Examples:
  metadata verify meta.iso --allowed-signers allowed_signers
  metadata verify meta.iso --allowed-signers allowed_signers \\
      --identity release@example.com --audience web --revoked lost-keys";

/// What `--json` prints.
#[derive(Serialize)]
struct VerifyOutput<'a> {
    path: String,
    identity: &'a str,
    key_fingerprint: &'a str,
    run_id: &'a str,
    user_provided_metadata: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    not_before: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_after: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audience: Option<&'a str>,
}

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        if self.run_metadata.is_some() {
            let image = word(&self.image);
            let message = format!(
                "verify adds no strings; another command does: metadata confirm {image} --run-metadata STRING"
            );
            return Err(Usage(message).into());
        }
        let Some(terms) = self.trusted.terms(self.at)? else {
            let message = "the allowed signers are missing: --allowed-signers PATH names the file that says who may sign";
            return Err(Usage(message.to_owned()).into());
        };
        let mut image = open_image(&self.image)?;
        let mut progress = Bar::new(self.quiet);
        let signable = image.check_signable();
        let contents =
            signable.and_then(|()| Contents::read(&mut image, |_, _| Vec::new(), 0, &mut progress));
        drop(progress);
        let verified = contents.and_then(|contents| verify(&contents, &terms));
        let (manifest, signer) = verified.with_context(|| format!("verifying image {:?}", self.image))?;
        if self.json {
            let verified = VerifyOutput {
                path: self.image.display().to_string(),
                identity: &signer.identity,
                key_fingerprint: &signer.fingerprint,
                run_id: &manifest.run_id,
                user_provided_metadata: &manifest.user_provided_metadata,
                not_before: manifest.not_before,
                not_after: manifest.not_after,
                audience: manifest.audience.as_deref(),
            };
            print(&pretty_json(&verified)?)?;
        }
        if !self.quiet && !self.json {
            say(&format!("{}: signed by {} with {}", self.image.display(), signer.identity, signer.key));
        }
        Ok(())
    }
}
