//! `metadata sign`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use clap::ArgGroup;
use metadata_image::{
    manifest::{Manifest, Statement, timestamp::Timestamp},
    trust::signature::{NAMESPACE, Signature},
};

use super::{progress::Bar, read_bounded, rebuild::Rebuild, say};

/// Sign all that is on an image
///
/// The signature is one of 'ssh-keygen -Y sign' over the manifest, which lists
/// every file with its digest. The image is built again with the same files,
/// name and date, in one step; limits that it has and that are not given anew
/// stay. A key in ssh-agent or on hardware, or one with
/// a passphrase, signs with ssh-keygen itself; the second example shows how.
/// So should an RSA key: who can measure how long signing takes here may
/// learn it (RUSTSEC-2023-0071).
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, override_usage = USAGE, group = ArgGroup::new("with").required(true))]
pub(crate) struct Args {
    /// The image
    image: PathBuf,

    /// A private key in OpenSSH's format without a passphrase: Ed25519, ECDSA
    /// or RSA
    #[arg(long, value_name = "PATH", group = "with")]
    key: Option<PathBuf>,

    /// A signature that was made of the image's manifest.json
    #[arg(long, value_name = "PATH", group = "with")]
    signature: Option<PathBuf>,

    /// Write the manifest only, for another program to sign
    #[arg(long, group = "with")]
    manifest_only: bool,

    /// The first moment in which the image may be accepted, such as
    /// 2026-12-31T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse, conflicts_with = "signature")]
    not_before: Option<Timestamp>,

    /// The last one; a date alone is its first second
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse, conflicts_with = "signature")]
    not_after: Option<Timestamp>,

    /// Who shall accept the image; nobody else will
    #[arg(long, value_name = "NAME", conflicts_with = "signature")]
    audience: Option<String>,

    /// No line on success, no progress
    #[arg(short, long)]
    quiet: bool,
}

const USAGE: &str = "\
metadata sign [OPTIONS] IMAGE --key PATH
       metadata sign [OPTIONS] IMAGE --signature PATH
       metadata sign [OPTIONS] IMAGE --manifest-only";

const EXAMPLES: &str = "\
Examples:
  metadata sign meta.iso --key ~/.ssh/id_ed25519 --not-after 2026-12-31
  metadata sign meta.iso --manifest-only &&
      metadata extract meta.iso manifest.json > manifest.json &&
      ssh-keygen -Y sign -n metadata-image -f key.pub manifest.json &&
      metadata sign meta.iso --signature manifest.json.sig";

/// Bytes of a key or a signature at most.
const KEY_BYTES_MAX: u64 = 64 << 10;

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let mut progress = Bar::new(self.quiet);
        let rebuild = Rebuild::open(&self.image, "signing", &mut progress)?;
        let context = || format!("signing image {:?}", self.image);
        let mut statement = rebuild.manifest.as_ref().map_or_else(Statement::default, Manifest::statement);
        statement.not_before = self.not_before.or(statement.not_before);
        statement.not_after = self.not_after.or(statement.not_after);
        statement.audience = self.audience.clone().or(statement.audience);
        statement.check().with_context(context)?;
        let manifest = rebuild.describe(statement);
        let signature = match (&self.key, &self.signature) {
            (Some(path), _) => Some(self.sign(path, &manifest).with_context(context)?),
            (_, Some(path)) => {
                ensure!(
                    rebuild.manifest.is_some(),
                    "signing image {:?}: it has no manifest.json that could have been signed (--manifest-only makes one)",
                    self.image
                );
                Some(read_signature(path, &manifest).with_context(context)?)
            }
            _ => None,
        };
        if self.key.is_some() && !self.quiet && signature.as_ref().is_some_and(Signature::is_by_rsa_key) {
            say(&format!(
                "warning: {}: who can measure how long this program signs may learn the RSA key (RUSTSEC-2023-0071); \
                 'metadata sign --help' shows how ssh-keygen signs",
                self.image.display()
            ));
        }
        rebuild.write(&manifest, signature, self.quiet, &mut progress)
    }

    fn sign(&self, path: &Path, manifest: &Manifest) -> Result<Signature> {
        let key = read_bounded(path, "key", KEY_BYTES_MAX)?;
        Signature::new(&key, &manifest.to_bytes()).map_err(|error| {
            let image = &self.image;
            let limits = self.limits();
            anyhow!(
                "key {path:?}: {error:#}; ssh-keygen can sign instead: metadata sign {image:?} --manifest-only{limits} && \
                 metadata extract {image:?} manifest.json > manifest.json && \
                 ssh-keygen -Y sign -n {NAMESPACE} -f {path:?} manifest.json && \
                 metadata sign {image:?} --signature manifest.json.sig"
            )
        })
    }

    /// The options that limit who may accept the image and when, to be given once more.
    fn limits(&self) -> String {
        let since = self.not_before.map(|time| format!(" --not-before {time}"));
        let until = self.not_after.map(|time| format!(" --not-after {time}"));
        let audience = self.audience.as_ref().map(|name| format!(" --audience {name:?}"));
        [since, until, audience].into_iter().flatten().collect()
    }
}

fn read_signature(path: &Path, manifest: &Manifest) -> Result<Signature> {
    let read = || {
        let signature = Signature::parse(&read_bounded(path, "signature", KEY_BYTES_MAX)?)?;
        signature.check(&manifest.to_bytes())?;
        Ok::<_, anyhow::Error>(signature)
    };
    read().with_context(|| format!("checking signature {path:?}"))
}
