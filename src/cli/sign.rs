//! `metadata sign`.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, ensure};
use clap::ArgGroup;
use metadata_image::{
    manifest::{Manifest, Statement, timestamp::Timestamp},
    trust::signature::{NAMESPACE, Signature},
};

use super::{
    Usage,
    escape::{pretty_json, shell_quoted},
    print,
    progress::Bar,
    read_bounded,
    rebuild::Rebuild,
    say,
    trust_args::is_public_key,
    words::{is_image, word},
};

/// Sign an image
///
/// The signature has the format of 'ssh-keygen -Y sign' and covers the manifest,
/// which lists every file with its digest. The image is rebuilt in one step with
/// the same files, volume identifier and date. The time limits and the audience
/// of an earlier signature stay unless new ones are given.
/// For a key in ssh-agent, on hardware or with a passphrase, sign with
/// ssh-keygen, as the second example shows. Do the same for an RSA key: someone
/// who can measure how long signing takes here could learn it
/// (RUSTSEC-2023-0071).
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, override_usage = USAGE, group = ArgGroup::new("with"))]
pub(crate) struct Args {
    /// The image to sign
    image: PathBuf,

    /// A private key in OpenSSH's format without a passphrase: Ed25519, ECDSA
    /// or RSA
    #[arg(long, value_name = "PATH", group = "with")]
    key: Option<PathBuf>,

    /// A file with a signature of the image's manifest.json
    #[arg(long, value_name = "PATH", group = "with")]
    signature: Option<PathBuf>,

    /// Only add the manifest, for another program to sign
    #[arg(long, group = "with")]
    manifest_only: bool,

    /// Accept the image only from this time on, such as 2026-12-31T00:00:00Z
    #[arg(long, value_name = "TIME", value_parser = limit, conflicts_with = "signature")]
    not_before: Option<Timestamp>,

    /// Accept the image only up to this time: as above, a date, which means its
    /// first second, or a time from now, such as +12h, +30d or +2w
    #[arg(long, value_name = "TIME", value_parser = limit, conflicts_with = "signature")]
    not_after: Option<Timestamp>,

    /// The only audience that accepts the image
    #[arg(long, value_name = "NAME", conflicts_with = "signature")]
    audience: Option<String>,

    /// Describe the new image as JSON
    #[arg(long)]
    json: bool,

    /// Print no message on success, and no progress
    #[arg(short, long)]
    quiet: bool,

    /// A key without --key, for an error that shows the command
    #[arg(hide = true)]
    key_word: Option<PathBuf>,
}

const USAGE: &str = "\
metadata sign [OPTIONS] IMAGE --key PATH
       metadata sign [OPTIONS] IMAGE --signature PATH
       metadata sign [OPTIONS] IMAGE --manifest-only";

const EXAMPLES: &str = "\
Examples:
  metadata sign meta.iso --key ~/.ssh/id_ed25519 --not-after +30d
  metadata sign meta.iso --manifest-only &&
      metadata extract meta.iso manifest.json > manifest.json &&
      ssh-keygen -Y sign -n metadata-image -f key.pub manifest.json &&
      metadata sign meta.iso --signature manifest.json.sig";

/// What is said of signing with an RSA key.
const RSA: &str = "someone who can measure how long signing takes could learn the RSA key (RUSTSEC-2023-0071); \
                   'metadata sign --help' shows how to sign with ssh-keygen";

/// The largest key or signature, in bytes.
const KEY_BYTES_MAX: u64 = 64 << 10;

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        self.check_words()?;
        let mut progress = Bar::new(self.quiet);
        let rebuild = Rebuild::open(&self.image, "signing", &mut progress)?;
        let context = || format!("signing image {:?}", self.image);
        let mut statement = rebuild.manifest.as_ref().map_or_else(Statement::default, Manifest::statement);
        statement.not_before = self.not_before.or(statement.not_before);
        statement.not_after = self.not_after.or(statement.not_after);
        statement.audience = self.audience.clone().or(statement.audience);
        statement.check().with_context(context)?;
        let mut warnings = Vec::new();
        if let Some(limit) = statement.not_after
            && Timestamp::now().is_ok_and(|now| limit < now)
        {
            warnings.push(format!("the limit --not-after {limit} has passed, so no guest accepts the image"));
        }
        let manifest = rebuild.describe(statement);
        let signature = match (&self.key, &self.signature) {
            (Some(path), _) => Some(self.sign(path, &manifest).with_context(context)?),
            (_, Some(path)) => {
                ensure!(
                    rebuild.manifest.is_some(),
                    "signing image {:?}: the image has no manifest.json that could have been signed (--manifest-only adds one)",
                    self.image
                );
                Some(read_signature(path, &manifest).with_context(context)?)
            }
            _ => None,
        };
        if self.key.is_some() && !self.quiet && signature.as_ref().is_some_and(Signature::is_by_rsa_key) {
            warnings.push(RSA.to_owned());
        }
        for warning in &warnings {
            say(&format!("warning: {}: {warning}", self.image.display()));
        }
        let mut written = rebuild.write(&manifest, signature, self.quiet || self.json, &mut progress)?;
        written.warnings.splice(0..0, warnings);
        if self.json { print(&pretty_json(&written)?) } else { Ok(()) }
    }

    /// Checks that the image and the key are in their places.
    fn check_words(&self) -> Result<()> {
        let Some(key) = self.key.as_deref().or(self.key_word.as_deref()) else {
            if self.signature.is_some() || self.manifest_only {
                return Ok(());
            }
            let message = "the key is missing: --key PATH signs with a private key (--signature and --manifest-only are \
                           for a key that only ssh-keygen can use)";
            return Err(Usage(message.to_owned()).into());
        };
        let is_swapped = is_image(key) && !is_image(&self.image);
        let (image, key) = if is_swapped { (key, &*self.image) } else { (&*self.image, key) };
        if is_swapped || self.key_word.is_some() {
            let command = format!("metadata sign {} --key {}", word(image), word(key));
            return Err(Usage(format!("the image comes first, and the key is an option: {command}")).into());
        }
        Ok(())
    }

    fn sign(&self, path: &Path, manifest: &Manifest) -> Result<Signature> {
        let key = read_bounded(path, "key", KEY_BYTES_MAX)?;
        match Signature::new(&key, &manifest.to_bytes()) {
            Ok(signature) => Ok(signature),
            Err(error) => {
                let instead = self.commands_for_ssh_keygen(path)?;
                if is_public_key(&key) {
                    return Err(anyhow!(
                        "key {path:?}: this is a public key; give the private key, or, if that is in ssh-agent or on \
                         hardware, let ssh-keygen sign: {instead}"
                    ));
                }
                Err(anyhow!("key {path:?}: {error:#}; ssh-keygen can sign instead: {instead}"))
            }
        }
    }

    /// The commands that sign the image with ssh-keygen.
    fn commands_for_ssh_keygen(&self, key: &Path) -> Result<String> {
        let [image, key] = [&*self.image, key].map(|path| shell_quoted(&path.to_string_lossy()));
        let (image, key, limits) = (image?, key?, self.limits()?);
        Ok(format!(
            "metadata sign {image} --manifest-only{limits} && \
             metadata extract {image} manifest.json > manifest.json && \
             ssh-keygen -Y sign -n {NAMESPACE} -f {key} manifest.json && \
             metadata sign {image} --signature manifest.json.sig"
        ))
    }

    /// The given options that limit who may accept the image and when.
    fn limits(&self) -> Result<String> {
        let since = self.not_before.map(|time| format!(" --not-before {time}"));
        let until = self.not_after.map(|time| format!(" --not-after {time}"));
        let audience =
            self.audience.as_deref().map(shell_quoted).transpose()?.map(|name| format!(" --audience {name}"));
        Ok([since, until, audience].into_iter().flatten().collect())
    }
}

/// Parses a limit: a time, or a time from now, such as `+30d`.
fn limit(text: &str) -> Result<Timestamp> {
    let Some(from_now) = text.strip_prefix('+') else {
        return match Timestamp::parse(text) {
            Err(_) if parse_from_now(text).is_some() => Err(anyhow!("write +{text} for a time from now")),
            parsed => Ok(parsed?),
        };
    };
    let seconds = parse_from_now(from_now).context("not a time from now, such as +12h, +30d or +2w")?;
    Ok(Timestamp::from_seconds(seconds)?)
}

/// The time that is so long from now, such as `30d`, in seconds since 1970.
fn parse_from_now(text: &str) -> Option<u64> {
    let last = text.chars().last()?;
    let (unit, seconds) = UNITS.iter().find(|(name, _)| *name == last)?;
    let number: u64 = text.strip_suffix(*unit)?.parse().ok()?;
    number.checked_mul(*seconds)?.checked_add(Timestamp::now().ok()?.seconds())
}

/// The units of a time from now, in seconds.
const UNITS: [(char, u64); 3] = [('h', 3600), ('d', 24 * 3600), ('w', 7 * 24 * 3600)];

fn read_signature(path: &Path, manifest: &Manifest) -> Result<Signature> {
    let read = || {
        let signature = Signature::parse(&read_bounded(path, "signature", KEY_BYTES_MAX)?)?;
        signature.check(&manifest.to_bytes())?;
        Ok::<_, anyhow::Error>(signature)
    };
    read().with_context(|| format!("checking signature {path:?}"))
}
