//! `metadata agent`.

use std::{
    borrow::Cow,
    env,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use metadata_image::{
    agent::{self, AgentOptions, ROOT},
    provider::{
        Choice, LogLevel, Provider,
        aws::{self, Aws},
        cdrom::{Cdrom, FileSystems, ReadScope},
        file::UserDataFile,
        gcp::{self, Gcp},
    },
};

use super::{
    Usage, escape::pretty_json, log, print, say, signals::clean_up_on_signals, trust_args::TrustArgs,
};

/// The address of EC2's metadata service, as in Amazon's SDKs.
const AWS_ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";

/// `IPv6` selects the IPv6 address of EC2's metadata service, as in Amazon's SDKs.
const AWS_MODE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE";

/// The address of Google's metadata server, as in Google's libraries.
const GCP_HOST: &str = "GCE_METADATA_HOST";

/// Find the metadata in a guest and write /run/config
///
/// Asks the providers: local ones first, then those on the network at the same
/// time. Writes the metadata of the first one that has any into the directory,
/// as 'metadata apply' does, with a file 'provider' that names it, and sets the
/// host name. If a provider is broken, says so and asks the next one. Finding
/// nothing is not a failure. With --allowed-signers, applies only a signed image.
#[cfg_attr(feature = "policy", doc = "With --policy, applies only what the policy allows.")]
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The providers to ask: cdrom (or hyperkit), file=PATH, aws, gcp; local ones
    /// first, otherwise in the order given [default: cdrom aws gcp]
    #[arg(value_name = "PROVIDER")]
    providers: Vec<Choice>,

    /// The directory to write to; created if it does not exist
    #[arg(long, value_name = "DIR", default_value = ROOT)]
    root: PathBuf,

    /// How long to wait for the network in total
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds, allow_negative_numbers = true)]
    timeout: Duration,

    /// How long to wait for a device that appears late
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds, allow_negative_numbers = true)]
    wait: Duration,

    /// Set the host name even if the directory is not /run/config
    #[arg(long)]
    set_hostname: bool,

    #[command(flatten)]
    trust: TrustArgs,

    /// Show every step with the seconds since the start
    #[arg(short, long, overrides_with = "verbose")]
    verbose: bool,

    /// Print warnings and errors only
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,

    /// Describe what was found, written and skipped on standard output
    #[arg(long)]
    json: bool,
}

#[cfg(feature = "policy")]
const EXAMPLES: &str = "\
Examples:
  metadata agent
  metadata agent -v cdrom aws
  metadata agent --root config --json file=/etc/userdata
  metadata agent --allowed-signers /etc/metadata/allowed_signers \\
      --policy /etc/metadata/policy.rego cdrom

METADATA_RUN_INITIALIZATION_POLICY can name the policy instead of the option.";

#[cfg(not(feature = "policy"))]
const EXAMPLES: &str = "\
Examples:
  metadata agent
  metadata agent -v cdrom aws
  metadata agent --root config --json file=/etc/userdata
  metadata agent --allowed-signers /etc/metadata/allowed_signers cdrom

This program evaluates no policies.";

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let start = Instant::now();
        let (verbose, quiet) = (self.verbose, self.quiet);
        let trust = self.trust.trust(&self.providers)?;
        let scope = if trust.is_none() { ReadScope::Data } else { ReadScope::All };
        let file_systems =
            if self.trust.requires_signature() { FileSystems::Iso9660 } else { FileSystems::All };
        let mut notify = |level, text: &str| match level {
            LogLevel::Raw => log(text),
            _ if verbose => {
                let since = start.elapsed();
                say(&format!("{}.{:03} {}", since.as_secs(), since.subsec_millis(), shorten(text)));
            }
            LogLevel::Detail => {}
            LogLevel::Step if quiet => {}
            LogLevel::Step | LogLevel::Warning => say(&shorten(text)),
        };
        let mut providers = Vec::new();
        let choices = match self.providers {
            choices if !choices.is_empty() => choices,
            _ if self.trust.requires_signature() => vec![Choice::Cdrom],
            _ => Choice::DEFAULT.to_vec(),
        };
        for (index, choice) in choices.iter().enumerate() {
            if choices[..index].contains(choice) {
                continue;
            }
            match provider(choice, scope, file_systems).map_err(|error| Usage(format!("{error:#}")))? {
                Some(provider) => providers.push(provider),
                None => notify(
                    LogLevel::Warning,
                    &format!("skipping {choice}: only LinuxKit's agent has this provider"),
                ),
            }
        }
        let options = AgentOptions {
            root: self.root,
            set_hostname: self.set_hostname,
            timeout: self.timeout,
            wait: self.wait,
            trust,
        };
        clean_up_on_signals()?;
        let report = agent::run(&providers, &options, &mut notify);
        if self.json {
            print(&pretty_json(&report).context("describing what was done")?)?;
        }
        if let Some(error) = report.error {
            bail!(error);
        }
        if report.is_whole() {
            return Ok(());
        }
        match (&report.provider, report.skipped.len()) {
            (None, _) => bail!("no metadata was applied, because a provider is broken"),
            (Some(origin), 1) => bail!("applying {origin}: 1 item was skipped"),
            (Some(origin), skipped) => bail!("applying {origin}: {skipped} items were skipped"),
        }
    }
}

/// The provider of this name; `None`: only LinuxKit's agent has it.
fn provider(
    choice: &Choice,
    scope: ReadScope,
    file_systems: FileSystems,
) -> Result<Option<Arc<dyn Provider>>> {
    Ok(Some(match choice {
        Choice::Cdrom => {
            let cdrom = Cdrom::new("/dev".into(), "/sys/class/block".into());
            Arc::new(cdrom.scope(scope).file_systems(file_systems))
        }
        Choice::File(path) => Arc::new(UserDataFile::new(path.clone()).scope(scope)),
        Choice::Aws => Arc::new(match variable(AWS_ENDPOINT) {
            Some(endpoint) => Aws::new(&endpoint).with_context(|| format!("{AWS_ENDPOINT}={endpoint:?}"))?,
            None => Aws::new(aws_endpoint()?)?,
        }),
        Choice::Gcp => Arc::new(match variable(GCP_HOST) {
            Some(host) => Gcp::new(&host).with_context(|| format!("{GCP_HOST}={host:?}"))?,
            None => Gcp::new(gcp::HOST)?,
        }),
        Choice::LinuxKitOnly(_) => return Ok(None),
    }))
}

fn aws_endpoint() -> Result<&'static str> {
    match variable(AWS_MODE) {
        None => Ok(aws::ENDPOINT),
        Some(mode) if mode.eq_ignore_ascii_case("ipv4") => Ok(aws::ENDPOINT),
        Some(mode) if mode.eq_ignore_ascii_case("ipv6") => Ok(aws::ENDPOINT_IPV6),
        Some(mode) => bail!("{AWS_MODE}={mode:?}: must be IPv4 or IPv6"),
    }
}

/// A variable of the environment; `None` if it is empty.
fn variable(name: &str) -> Option<String> {
    let value = env::var_os(name)?.to_string_lossy().into_owned();
    (!value.is_empty()).then_some(value)
}

/// Parses a number of seconds, which may have a fraction.
fn seconds(text: &str) -> Result<Duration, &'static str> {
    match text.parse() {
        Ok(seconds) if (0.0..=SECONDS_MAX).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("not a number of seconds from 0 to 86400"),
    }
}

/// The longest time to wait: a day.
const SECONDS_MAX: f64 = 24.0 * 60.0 * 60.0;

/// The longest line, in characters: it may contain a name of any length, and a serial console is slow.
const LINE_CHARS_MAX: usize = 1000;

/// Shortens a text for a console.
fn shorten(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(LINE_CHARS_MAX) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()).into(),
        None => text.into(),
    }
}
