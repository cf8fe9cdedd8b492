//! Options about who may sign an image, for every command that asks.

use std::path::PathBuf;

use anyhow::{Context, Result};
use metadata_image::{
    manifest::timestamp::Timestamp,
    trust::{
        allowed_signers::{AllowedSigners, Revoked},
        verify::Terms,
    },
};

use super::read_bounded;

/// Bytes of a file with keys at most.
const KEYS_BYTES_MAX: u64 = 1 << 20;

#[derive(Debug, clap::Args)]
pub(super) struct Trusted {
    /// Who may sign: the file of that name of ssh-keygen(1)
    #[arg(long, value_name = "PATH")]
    allowed_signers: Option<PathBuf>,

    /// Who must have signed; otherwise any of them
    #[arg(long, value_name = "NAME", requires = "allowed_signers")]
    identity: Option<String>,

    /// The audience that the image must be for; one that is for an audience is
    /// for no other
    #[arg(long, value_name = "NAME", requires = "allowed_signers")]
    audience: Option<String>,

    /// Public keys that may not sign, one a line
    #[arg(long, value_name = "PATH", requires = "allowed_signers")]
    revoked: Option<PathBuf>,
}

impl Trusted {
    /// Whether a signature is asked for.
    pub(super) fn is_given(&self) -> bool {
        self.allowed_signers.is_some()
    }

    /// Reads the files. `at`: when the image is accepted; `None`: now. There are no terms where no signature is asked for.
    pub(super) fn terms(&self, at: Option<Timestamp>) -> Result<Option<Terms>> {
        let Some(path) = &self.allowed_signers else { return Ok(None) };
        let bytes = read_bounded(path, "allowed signers", KEYS_BYTES_MAX)?;
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
