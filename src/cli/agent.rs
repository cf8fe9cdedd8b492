//! `metadata agent`.

use std::{
    env,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use metadata_image::{
    agent::{self, Options},
    provider::{
        Choice, Level, Provider,
        aws::{self, Aws},
        cdrom::Cdrom,
        file::File,
        gcp::{self, Gcp},
    },
};

use super::{print, say};

/// Where LinuxKit's containers look.
const ROOT: &str = "/run/config";

/// Overrides the address of EC2's metadata service, as in Amazon's SDKs.
const AWS_ENDPOINT: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT";

/// Chooses its IPv6 address, as in Amazon's SDKs.
const AWS_MODE: &str = "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE";

/// Overrides the address of Google's metadata server, as in Google's libraries.
const GCP_HOST: &str = "GCE_METADATA_HOST";

/// Find the metadata in a guest and write /run/config
///
/// Asks the providers: local ones first, then those on the network at once.
/// What the first one has that serves is written beneath the directory, as by
/// 'metadata apply', with 'provider', which names it, and the host name is set.
/// A provider that is found but broken is named, and the next one is asked.
/// Nothing found is said, and is no failure.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Who is asked, in this order: cdrom (or hyperkit), aws, gcp, file=PATH;
    /// without any: cdrom aws gcp
    #[arg(value_name = "PROVIDER")]
    providers: Vec<Choice>,

    /// The directory to write into; made if it is not there
    #[arg(long, value_name = "DIR", default_value = ROOT)]
    root: PathBuf,

    /// How long to wait for the network, in all
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds)]
    timeout: Duration,

    /// How long to wait for a device that appears late
    #[arg(long, value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    wait: Duration,

    /// Set the host name whatever the directory is; otherwise it is set when
    /// that is /run/config
    #[arg(long)]
    set_hostname: bool,

    /// Show every step, with the seconds since the start
    #[arg(short, long)]
    verbose: bool,

    /// Describe what was found, written and skipped on standard output
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  metadata agent
  metadata agent -v cdrom aws
  metadata agent --root config --json file=/etc/userdata";

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let start = Instant::now();
        let verbose = self.verbose;
        let mut tell = |level, text: &str| match level {
            _ if verbose => say(&format!("{:.3} {text}", start.elapsed().as_secs_f64())),
            Level::Detail => {}
            Level::Step | Level::Warning => say(text),
        };
        let mut providers = Vec::new();
        let choices = if self.providers.is_empty() { Choice::DEFAULT.to_vec() } else { self.providers };
        for (index, choice) in choices.iter().enumerate() {
            if choices[..index].contains(choice) {
                continue;
            }
            match provider(choice) {
                Some(provider) => providers.push(provider),
                None => tell(Level::Warning, &format!("skipping {choice}, which only LinuxKit's agent has")),
            }
        }
        let set_hostname = self.set_hostname || self.root == Path::new(ROOT);
        let options = Options { root: self.root, set_hostname, timeout: self.timeout, wait: self.wait };
        let report = agent::run(&providers, &options, &mut tell)?;
        if self.json {
            print(&(serde_json::to_string_pretty(&report).context("describing what was done")? + "\n"))?;
        }
        if report.is_whole() {
            return Ok(());
        }
        match (&report.provider, report.skipped.len()) {
            (None, _) => bail!("nothing was applied, and a provider is broken"),
            (Some(origin), 1) => bail!("applying {origin}: 1 thing was skipped"),
            (Some(origin), skipped) => bail!("applying {origin}: {skipped} things were skipped"),
        }
    }
}

fn provider(choice: &Choice) -> Option<Arc<dyn Provider>> {
    // An override that is empty is none.
    let var = |name| env::var(name).ok().filter(|value| !value.is_empty());
    Some(match choice {
        Choice::Cdrom => Arc::new(Cdrom::new("/dev".into(), "/sys/class/block".into())),
        Choice::File(path) => Arc::new(File::new(path.clone())),
        Choice::Aws => {
            let ipv6 = var(AWS_MODE).is_some_and(|mode| mode.eq_ignore_ascii_case("ipv6"));
            let endpoint = if ipv6 { aws::ENDPOINT_IPV6 } else { aws::ENDPOINT };
            Arc::new(Aws::new(var(AWS_ENDPOINT).as_deref().unwrap_or(endpoint)))
        }
        Choice::Gcp => Arc::new(Gcp::new(var(GCP_HOST).as_deref().unwrap_or(gcp::HOST))),
        Choice::LinuxKits(_) => return None,
    })
}

/// A number of seconds, perhaps with a fraction.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "it is no number of seconds")?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    if duration > DURATION_MAX { Err("it is more than a day".to_owned()) } else { Ok(duration) }
}

/// The longest that anybody waits for a boot.
const DURATION_MAX: Duration = Duration::from_secs(24 * 60 * 60);
