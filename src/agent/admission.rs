//! Whether metadata may be applied: signed by who may sign it, and not denied by a policy.

use std::sync::Arc;

use crate::error::{Context, Result, bail};
use serde_json::{Value, json};

use crate::{
    manifest::{Manifest, Statement, run_id_of, timestamp::Moment},
    policy::decision::{Decision, Policy, Worker},
    provider::{Level, Metadata, Say},
    trust::verify::{Signer, Terms, verify},
    userdata::{config_tree::Node, install_plan::InstallPlan},
};

/// What metadata must satisfy before it is applied.
#[derive(Clone, Debug, Default)]
pub struct Trust {
    /// By whom and for what it must be signed.
    pub terms: Option<Terms>,
    /// What must not deny it, and who evaluates that.
    pub policy: Option<Arc<(Policy, Worker)>>,
}

impl Trust {
    /// Whether nothing is asked of it.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.terms.is_none() && self.policy.is_none()
    }

    /// Whether `found` may be applied. A policy that asks for it has its decision logged. Nothing in the files of an image is
    /// parsed before its signature has been checked, where one is asked for.
    ///
    /// # Errors
    /// It may not. What a policy has against it is said before.
    pub fn admit(&self, found: &mut Metadata, say: &mut Say) -> Result<()> {
        let signed = match (&self.terms, &found.contents) {
            (None, _) => None,
            (Some(_), None) => bail!("it does not come from an image, and only an image can be signed"),
            (Some(terms), Some(contents)) => Some(verify(contents, terms)?.1),
        };
        if let Some(signer) = &signed {
            say(Level::Step, &format!("{}: signed by {} with {}", found.origin, signer.identity, signer.key));
        }
        found.parse_meta_data(say);
        let Some(policy) = &self.policy else { return Ok(()) };
        let (policy, worker) = &**policy;
        let input = input(found, signed.as_ref())?;
        let decision = policy.decide(&input, worker);
        if decision.sample {
            let run_id = input["run"]["id"].as_str().unwrap_or_default();
            say(Level::Log, &policy.sample_line(&decision, &input, run_id, &Moment::precise_now()));
        }
        check(&decision, say)
    }
}

/// Whether the boot is allowed. Denials are said, a line each.
///
/// # Errors
/// It is not.
fn check(decision: &Decision, say: &mut Say) -> Result<()> {
    for denial in &decision.denials {
        say(Level::Warning, &format!("denied: {denial}"));
    }
    match &decision.error {
        Some(error) => bail!("the policy failed, which denies: {error}"),
        None if !decision.denials.is_empty() => bail!("the policy denies it"),
        None => Ok(()),
    }
}

/// What a policy sees of metadata.
///
/// # Errors
/// It has a manifest that is malformed, or does not describe its image.
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

/// The name of the boot. Where there is no manifest it is the one that the content has.
fn run_id(found: &Metadata, manifest: Option<&Manifest>) -> String {
    let described = || {
        let contents = found.contents.as_ref()?;
        let volume = contents.describe_volume(None).ok()?;
        Some(Manifest::new(&volume, contents.files.clone(), Statement::default()).run_id)
    };
    let of_data = || run_id_of(found.userdata.as_deref().unwrap_or_default());
    manifest.map(|manifest| manifest.run_id.clone()).or_else(described).unwrap_or_else(of_data)
}

/// The image's date in nanoseconds since 1970.
fn created_at(found: &Metadata) -> Result<Option<u64>> {
    let created = found.contents.as_ref().and_then(|contents| contents.volume.created.as_deref());
    let Some(created) = created else { return Ok(None) };
    let moment = Moment::parse(created).context("reading the image's date")?;
    Ok(moment.seconds().checked_mul(1_000_000_000))
}

fn instance_id(found: &Metadata) -> Option<&str> {
    let of_entries = || match &found.entries.entries.get("instance_id")?.node {
        Node::File(text) => Some(text.trim()),
        Node::Directory(_) => None,
    };
    found.instance_id.as_deref().or_else(of_entries)
}
