//! Options about signatures and policies, for every command that checks them.

use std::{env, path::PathBuf, sync::Arc};

use anyhow::{Context, Result, bail};
use metadata_image::{
    agent::Trust,
    manifest::timestamp::Timestamp,
    policy::{decision::Policy, process::Worker},
    provider::Choice,
    trust::{allowed_signers::AllowedSigners, revoked_keys::Revoked, verify::Terms},
};

#[cfg(feature = "policy")]
use metadata_image::policy::process::THIS_PROGRAM;

use super::{Usage, read_bounded};

/// The environment variable that names a policy, as --policy does.
const POLICY: &str = "METADATA_RUN_INITIALIZATION_POLICY";

/// The largest file of keys, in bytes.
const KEYS_BYTES_MAX: u64 = 1 << 20;

/// The largest policy, in bytes: the limit of the engine.
#[cfg(feature = "policy")]
const POLICY_BYTES_MAX: u64 = 1 << 20;

/// The hidden command that supervises the evaluation of a policy.
#[cfg(feature = "policy")]
const WORKER: &str = "policy-worker";

#[derive(Debug, clap::Args)]
pub(super) struct SignerArgs {
    /// A file of allowed signers, which says who may sign (see ssh-keygen(1))
    #[arg(long, value_name = "PATH")]
    allowed_signers: Option<PathBuf>,

    /// Who must have signed [default: any allowed signer]
    #[arg(long, value_name = "NAME", requires = "allowed_signers")]
    identity: Option<String>,

    /// The audience that the image must name; without this option, images that
    /// name an audience are rejected
    #[arg(long, value_name = "NAME", requires = "allowed_signers")]
    audience: Option<String>,

    /// A file of public keys that may not sign, one per line
    #[arg(long, value_name = "PATH", requires = "allowed_signers")]
    revoked: Option<PathBuf>,
}

impl SignerArgs {
    /// Whether a signature is required.
    pub(super) fn is_given(&self) -> bool {
        self.allowed_signers.is_some()
    }

    /// Reads the files. `at`: when the image is accepted; `None`: now. Returns `None` if no signature is required.
    pub(super) fn terms(&self, at: Option<Timestamp>) -> Result<Option<Terms>> {
        let Some(path) = &self.allowed_signers else { return Ok(None) };
        let bytes = read_bounded(path, "allowed signers", KEYS_BYTES_MAX)?;
        if let Some(what) = what_else(&bytes) {
            bail!("reading allowed signers {path:?}: {what}");
        }
        let revoked = |path: &PathBuf| {
            let bytes = read_bounded(path, "revoked keys", KEYS_BYTES_MAX)?;
            Revoked::parse(&bytes).with_context(|| format!("reading revoked keys {path:?}"))
        };
        Ok(Some(Terms {
            allowed: AllowedSigners::parse(&path.to_string_lossy(), &bytes),
            revoked: self.revoked.as_ref().map(revoked).transpose()?,
            identity: self.identity.clone(),
            audience: self.audience.clone(),
            at: at.map_or_else(Timestamp::now, Ok)?,
        }))
    }
}

/// How the names of types of public keys begin.
const KEY_TYPES: [&str; 4] = ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"];

/// Whether a text begins with a public key as ssh-keygen writes it.
pub(super) fn is_public_key(text: &[u8]) -> bool {
    let text = String::from_utf8_lossy(text);
    let mut words = text.split_ascii_whitespace();
    let is_type = words.next().is_some_and(|word| KEY_TYPES.iter().any(|start| word.starts_with(start)));
    is_type && words.next().is_some_and(|word| word.starts_with("AAAA"))
}

/// What a file is that is evidently not an allowed signers file, and what to write instead.
fn what_else(bytes: &[u8]) -> Option<String> {
    const NAME: &str = "release@example.com";
    let text = String::from_utf8_lossy(bytes);
    let is_line = |line: &&str| !line.is_empty() && !line.starts_with('#');
    let Some(line) = text.lines().map(str::trim).find(is_line) else {
        return Some(format!("the file names no signer; write a line such as: {NAME} ssh-ed25519 AAAA..."));
    };
    if line.starts_with("-----BEGIN") && line.contains("PRIVATE KEY") {
        return Some(format!(
            "this is a private key; write a line with its public key instead: {NAME} ssh-ed25519 AAAA..."
        ));
    }
    is_public_key(line.as_bytes())
        .then(|| format!("this is a public key without a name; write the name in front of it: {NAME} {line}"))
}

#[derive(Debug, clap::Args)]
pub(super) struct TrustArgs {
    #[command(flatten)]
    signers: SignerArgs,

    /// A policy in Rego that must not deny the metadata
    #[arg(long, alias = "initialization-policy", value_name = "PATH", hide = cfg!(not(feature = "policy")))]
    policy: Option<PathBuf>,

    /// Give the policy a function exec that runs programs
    #[arg(long, hide = cfg!(not(feature = "policy")))]
    allow_exec: bool,
}

impl TrustArgs {
    /// Whether only signed metadata is applied.
    pub(super) fn requires_signature(&self) -> bool {
        self.signers.is_given()
    }

    /// What metadata of these providers must satisfy.
    pub(super) fn trust(&self, providers: &[Choice]) -> Result<Trust> {
        let unsigned = providers.iter().find(|choice| **choice != Choice::Cdrom);
        if let (true, Some(choice)) = (self.signers.is_given(), unsigned) {
            let why = match choice {
                Choice::File(_) => {
                    ": the agent accepts signed images on devices only (cdrom); \
                     'metadata verify' checks an image in a file"
                }
                _ => ", whose metadata is never signed",
            };
            let message = format!("--allowed-signers cannot be used with {choice}{why}");
            return Err(Usage(message).into());
        }
        Ok(Trust { terms: self.signers.terms(None)?, policy: self.policy()? })
    }

    fn policy(&self) -> Result<Option<Arc<(Policy, Worker)>>> {
        let named = env::var_os(POLICY).map(PathBuf::from);
        if let (Some(option), Some(variable)) = (&self.policy, &named) {
            let message =
                format!("--policy is {option:?} and {POLICY} is {variable:?}: set only one of them");
            return Err(Usage(message).into());
        }
        let path = self.policy.clone().or(named);
        if path.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
            bail!("the path of the policy in --policy or {POLICY} is empty");
        }
        let Some(path) = path else {
            if self.allow_exec {
                return Err(Usage("--allow-exec needs a policy (--policy)".to_owned()).into());
            }
            return Ok(None);
        };
        load_policy(&[path], self.allow_exec).map(Some)
    }
}

/// Reads a policy that this program evaluates.
#[cfg(feature = "policy")]
pub(super) fn load_policy(paths: &[PathBuf], allow_exec: bool) -> Result<Arc<(Policy, Worker)>> {
    let read = |path: &PathBuf| {
        let bytes = read_bounded(path, "policy", POLICY_BYTES_MAX)?;
        let text =
            String::from_utf8(bytes).ok().with_context(|| format!("reading policy {path:?}: not UTF-8"))?;
        Ok((path.to_string_lossy().into_owned(), text))
    };
    let files = paths.iter().map(read).collect::<Result<_>>()?;
    let worker = Worker { program: THIS_PROGRAM.into(), argument: WORKER };
    Ok(Arc::new((Policy { files, allow_exec }, worker)))
}

#[cfg(not(feature = "policy"))]
fn load_policy(paths: &[PathBuf], _: bool) -> Result<Arc<(Policy, Worker)>> {
    let path = paths.first().cloned().unwrap_or_default();
    bail!(
        "reading policy {path:?}: this program evaluates no policies; one that does is built with the feature policy \
         (scripts/build-static guest-policy)"
    )
}
