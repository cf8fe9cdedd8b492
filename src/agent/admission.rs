//! Whether metadata may be applied: signed by an allowed signer, and allowed by a policy.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::{
    error::{Context, Result, bail},
    manifest::{Manifest, Statement, run_id_of, timestamp::Timestamp},
    policy::{
        decision::{Decision, Policy},
        process::Worker,
    },
    provider::{Log, LogLevel, Metadata},
    trust::verify::{Signer, Terms, verify},
    userdata::{config_tree::Node, install_plan::InstallPlan},
};

/// What metadata must satisfy before it is applied.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// What its signature must satisfy.
    pub terms: Option<Terms>,
    /// The policy that must allow it, and what evaluates the policy.
    pub policy: Option<Arc<(Policy, Worker)>>,
}

impl Trust {
    /// Whether any metadata may be applied.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.terms.is_none() && self.policy.is_none()
    }

    /// Checks that `found` may be applied. If a signature is required, it is checked before anything in the files of an image is
    /// parsed. The decision of a policy is logged if the policy asks for it.
    ///
    /// # Errors
    /// Fails if the metadata may not be applied. The reasons of a policy are logged before.
    pub fn admit(&self, found: &mut Metadata, log: &mut Log) -> Result<()> {
        let signed = match (&self.terms, &found.contents) {
            (None, _) => None,
            (Some(_), None) => {
                bail!("the metadata does not come from an image, and only images can be signed")
            }
            (Some(terms), Some(contents)) => Some(verify(contents, terms)?.1),
        };
        if let Some(signer) = &signed {
            log(
                LogLevel::Step,
                &format!("{}: signed by {} with {}", found.origin, signer.identity, signer.key),
            );
        }
        found.parse_meta_data(log);
        let Some(policy) = &self.policy else { return Ok(()) };
        let (policy, worker) = &**policy;
        let input = input(found, signed.as_ref())?;
        let decision = worker.decide(policy, &input);
        if decision.sample {
            let run_id = input["run"]["id"].as_str().unwrap_or_default();
            log(LogLevel::Raw, &policy.sample_line(&decision, &input, run_id, &Timestamp::precise_now()));
        }
        check(&decision, log)
    }
}

/// How a line of the log begins that has a reason for a denial.
pub const DENIED: &str = "denied: ";

/// Logs the reasons for a denial, one line each.
///
/// # Errors
/// Fails if the boot is denied.
fn check(decision: &Decision, log: &mut Log) -> Result<()> {
    for denial in &decision.denials {
        log(LogLevel::Warning, &format!("{DENIED}{denial}"));
    }
    match &decision.error {
        Some(error) => bail!("the policy failed, which denies the boot: {error}"),
        None if !decision.denials.is_empty() => bail!("the policy denies the boot"),
        None => Ok(()),
    }
}

/// The input of a policy.
///
/// # Errors
/// Fails if the image has a manifest that is malformed or does not match the image.
pub fn input(found: &Metadata, signer: Option<&Signer>) -> Result<Value> {
    let manifest = match &found.contents {
        None => None,
        Some(contents) => contents.manifest()?,
    };
    let plan = InstallPlan::new(found.userdata.as_deref(), found.entries.clone());
    let strings = manifest.as_ref().map_or(&[][..], |manifest| &manifest.user_provided_metadata);
    Ok(json!({
        "run": {
            "id": run_id(found, manifest.as_ref()),
            "created_at": created_at(found)?,
            "state": "PREPARING",
            "triggered_by": found.provider,
            "user_provided_metadata": strings,
        },
        "image": found.contents.as_ref().map(|contents| json!({
            "volume_identifier": contents.volume.identifier,
            "files": contents.files,
        })),
        "signature": signer.map(|signer| json!({
            "identity": signer.identity,
            "key_fingerprint": signer.fingerprint,
        })),
        "static_run_environment": {
            "host_name": plan.hostname(),
            "instance_id": instance_id(found),
        },
        "worker_version": env!("CARGO_PKG_VERSION"),
    }))
}

/// The run ID in the manifest, or else the id that is made from the content.
fn run_id(found: &Metadata, manifest: Option<&Manifest>) -> String {
    let of_image = || {
        let contents = found.contents.as_ref()?;
        let volume = contents.describe_volume(None).ok()?;
        Some(Manifest::new(&volume, contents.files.clone(), Statement::default()).run_id)
    };
    let of_data = || run_id_of(found.userdata.as_deref().unwrap_or_default());
    manifest.map(|manifest| manifest.run_id.clone()).or_else(of_image).unwrap_or_else(of_data)
}

/// The image's date in nanoseconds since 1970; `None`: there is no image, or it has no date.
fn created_at(found: &Metadata) -> Result<Option<u64>> {
    let created = found.contents.as_ref().and_then(|contents| contents.volume.created.as_deref());
    let Some(created) = created else { return Ok(None) };
    let created = Timestamp::parse(created).context("reading the date of the image")?;
    Ok(created.seconds().checked_mul(1_000_000_000))
}

fn instance_id(found: &Metadata) -> Option<&str> {
    let of_entries = || match &found.entries.entries.get("instance_id")?.node {
        Node::File(text) => Some(text.trim()),
        Node::Directory(_) => None,
    };
    found.instance_id.as_deref().or_else(of_entries)
}
