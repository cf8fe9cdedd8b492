//! Options about what metadata must satisfy before the agent applies it.

use std::{env, path::PathBuf, sync::Arc};

use anyhow::{Result, bail};
use metadata_image::{
    agent::Trust,
    policy::{decision::Policy, process::Worker},
    provider::Choice,
};

use super::{Usage, signers::Trusted};

/// Names a policy, as the reference does with a name of its own.
const POLICY: &str = "METADATA_RUN_INITIALIZATION_POLICY";

#[derive(Debug, clap::Args)]
pub(super) struct TrustArgs {
    #[command(flatten)]
    trusted: Trusted,

    /// A policy in Rego that must not deny the metadata; the environment may
    /// name it instead
    #[arg(long, value_name = "PATH")]
    initialization_policy: Option<PathBuf>,

    /// Give the policy a function exec that runs programs
    #[arg(long)]
    allow_exec: bool,
}

impl TrustArgs {
    /// Whether only signed metadata is applied.
    pub(super) fn asks_for_a_signature(&self) -> bool {
        self.trusted.is_given()
    }

    /// What the metadata of these providers must satisfy.
    pub(super) fn trust(&self, providers: &[Choice]) -> Result<Trust> {
        let unsigned = providers.iter().find(|choice| **choice != Choice::Cdrom);
        if let (true, Some(choice)) = (self.trusted.is_given(), unsigned) {
            let message =
                format!("metadata of {choice} is never signed, and --allowed-signers asks for that");
            return Err(Usage(message).into());
        }
        Ok(Trust { terms: self.trusted.terms(None)?, policy: self.policy()? })
    }

    fn policy(&self) -> Result<Option<Arc<(Policy, Worker)>>> {
        let named = env::var_os(POLICY).map(PathBuf::from);
        if let (Some(option), Some(variable)) = (&self.initialization_policy, &named) {
            let message =
                format!("--initialization-policy is {option:?}, and {POLICY} is {variable:?}: give one");
            return Err(Usage(message).into());
        }
        let path = self.initialization_policy.clone().or(named);
        if path.as_ref().is_some_and(|path| path.as_os_str().is_empty()) {
            bail!("the path of the policy, {POLICY} or --initialization-policy, is empty");
        }
        let Some(path) = path else {
            if self.allow_exec {
                return Err(Usage("--allow-exec is for a policy, and there is none".to_owned()).into());
            }
            return Ok(None);
        };
        load(&[path], self.allow_exec).map(Some)
    }
}

#[cfg(feature = "policy")]
use super::policy::load;

#[cfg(not(feature = "policy"))]
fn load(paths: &[PathBuf], _: bool) -> Result<Arc<(Policy, Worker)>> {
    anyhow::bail!("reading policy {paths:?}: this program was built without policies")
}
