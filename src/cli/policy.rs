//! `metadata policy`, and the hidden commands that evaluate a policy.

use std::{
    io::{stdin, stdout},
    path::PathBuf,
};

use anyhow::{Context, Result, bail};
use metadata_image::{
    agent::{
        Trust,
        admission::{self, DENIED},
    },
    manifest::timestamp::Timestamp,
    policy::{engine, supervisor},
    provider::{
        LogLevel,
        cdrom::{self, ReadScope},
    },
    trust::verify::verify,
};
use serde::Serialize;

use super::{
    escape::pretty_json,
    log, print, say,
    trust_args::{SignerArgs, load_policy},
};

/// Evaluate an initialization policy for an image, as the agent in a guest does
///
/// A policy is a file in Rego with the rules allow, deny or sample in any
/// package. The image is denied if deny is not empty, if allow is defined and
/// not true, if the policy has none of the three rules, or if anything goes
/// wrong. With sample, the decision is logged to standard error as a line of
/// JSON.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The image, or a block device
    image: PathBuf,

    /// A file of the policy, in Rego (repeatable)
    #[arg(long = "policy", value_name = "PATH", required_unless_present = "print_input")]
    policies: Vec<PathBuf>,

    /// Only print the input of the policy, for 'opa eval --input'
    #[arg(long, conflicts_with_all = ["policies", "allow_exec"])]
    print_input: bool,

    /// Give the policy a function exec that runs programs
    #[arg(long)]
    allow_exec: bool,

    #[command(flatten)]
    trusted: SignerArgs,

    /// Check the signature for this time [default: now]
    #[arg(long, value_name = "TIME", value_parser = Timestamp::parse, requires = "allowed_signers")]
    at: Option<Timestamp>,

    /// Print the decision and its reasons as JSON
    #[arg(long, conflicts_with = "print_input")]
    json: bool,

    /// Print no message if the image is allowed
    #[arg(short, long)]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  metadata policy meta.iso --policy approvals.rego
  metadata policy meta.iso --policy signed.rego \\
      --allowed-signers allowed_signers
  metadata policy meta.iso --print-input | opa eval -I -d signed.rego data";

/// What `--json` prints.
#[derive(Serialize)]
struct PolicyOutput {
    path: String,
    allowed: bool,
    /// Why the policy denies the boot.
    denials: Vec<String>,
    /// What went wrong, or the error that the command ends with.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// The hidden command that evaluates.
const EVALUATOR: &str = "policy-evaluator";

/// Supervises the evaluation of a policy from standard input
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(crate) struct WorkerArgs {}

impl WorkerArgs {
    #[expect(clippy::unused_self, reason = "as every command")]
    pub(crate) fn run(self) -> Result<()> {
        Ok(supervisor::supervise(EVALUATOR, stdin(), &mut stdout().lock())?)
    }
}

/// Evaluates a policy from standard input
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(crate) struct EvaluatorArgs {}

impl EvaluatorArgs {
    #[expect(clippy::unused_self, reason = "as every command")]
    pub(crate) fn run(self) -> Result<()> {
        engine::serve(&mut stdin().lock(), &mut stdout().lock())
    }
}

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let terms = self.trusted.terms(self.at)?;
        let quiet = self.quiet || self.json;
        let mut denials = Vec::new();
        let mut notify = |level, text: &str| match level {
            LogLevel::Raw => log(text),
            LogLevel::Detail => {}
            LogLevel::Step if quiet => {}
            LogLevel::Step | LogLevel::Warning => {
                denials.extend(text.strip_prefix(DENIED).map(str::to_owned));
                say(text);
            }
        };
        let mut found = cdrom::read_from(&self.image, ReadScope::All, &mut notify)?;
        let Some(contents) = &found.contents else {
            bail!("reading image {:?}: the image has no data for a guest", self.image);
        };
        let context = || format!("refusing {:?}", self.image);
        if self.print_input {
            let signer = terms.map(|terms| verify(contents, &terms)).transpose().with_context(context)?;
            found.parse_meta_data(&mut notify);
            let input =
                admission::input(&found, signer.as_ref().map(|(_, signer)| signer)).with_context(context)?;
            return print(&pretty_json(&input)?);
        }
        let policy = Some(load_policy(&self.policies, self.allow_exec)?);
        let admitted = Trust { terms, policy }.admit(&mut found, &mut notify).with_context(context);
        if self.json {
            let path = self.image.display().to_string();
            let error = admitted.as_ref().err().map(|error| format!("{error:#}"));
            print(&pretty_json(&PolicyOutput { path, allowed: error.is_none(), denials, error })?)?;
        }
        admitted?;
        if !quiet {
            say(&format!("{}: allowed", self.image.display()));
        }
        Ok(())
    }
}
