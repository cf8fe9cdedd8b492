//! `metadata verify`.

use std::path::PathBuf;

use anyhow::{Context, Result};
use metadata_image::{
    image::Image,
    manifest::{inventory::Contents, timestamp::Timestamp},
    trust::verify::verify,
};
use serde::Serialize;

use super::{escape::pretty_json, print, progress::Bar, say, trust_args::SignerArgs};

/// Check that an allowed signer has signed an image
///
/// Succeeds if the files, the volume identifier, the date and the attached
/// strings match the manifest, there is no other file, the trees of the volume
/// agree, and an allowed signer has signed the manifest for the namespace
/// metadata-image. The agent in a guest checks the same.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, mut_arg("allowed_signers", |argument| argument.required(true)))]
pub(crate) struct Args {
    /// The image, or a block device
    image: PathBuf,

    #[command(flatten)]
    trusted: SignerArgs,

    /// The time for which the image is checked [default: now]
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse)]
    at: Option<Timestamp>,

    /// Describe the signer and the manifest as JSON
    #[arg(long)]
    json: bool,

    /// Print no message on success, and no progress
    #[arg(short, long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  metadata verify meta.iso --allowed-signers allowed_signers
  metadata verify meta.iso --allowed-signers allowed_signers \\
      --identity release@example.com --audience web --revoked lost-keys";

/// What `--json` prints.
#[derive(Serialize)]
struct VerifyOutput<'a> {
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
        let terms = self.trusted.terms(self.at)?.context("--allowed-signers is missing")?;
        let mut image = Image::open(&self.image)?;
        let mut progress = Bar::new(self.quiet);
        let contents = Contents::read(&mut image, |_, _| Vec::new(), 0, &mut progress);
        drop(progress);
        let verified = contents.and_then(|contents| verify(&contents, &terms));
        let (manifest, signer) = verified.with_context(|| format!("verifying image {:?}", self.image))?;
        if self.json {
            let verified = VerifyOutput {
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
