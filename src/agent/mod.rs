//! The agent in a guest: asks the providers, writes the metadata of the first that has some into a directory, and sets the host
//! name.

pub mod admission;
mod discovery;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::Serialize;

pub use admission::Trust;
pub use discovery::{Probe, ProbeOutcome};

use crate::os;
use crate::{
    error::{Context, Result, error},
    output::confined_dir::ConfinedDir,
    provider::{Log, LogLevel, Metadata, Provider},
    userdata::{
        finding::Severity,
        hostname,
        install_plan::{InstallPlan, Loss},
    },
};

/// The directory in which LinuxKit's containers expect the metadata.
pub const ROOT: &str = "/run/config";

/// Permission bits of the directory, which containers read.
const ROOT_MODE: u32 = 0o755;

/// The most warnings that are shown without `--verbose`, since a serial console is slow.
const WARNINGS_MAX: usize = 20;

/// The most files of an earlier run that are reported.
const LEFT_MAX: usize = 1000;

/// What the agent shall do.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// The directory to write into. It is created if it does not exist.
    pub root: PathBuf,
    /// Whether to set the host name even if the directory is not [`ROOT`].
    pub set_hostname: bool,
    /// How long to wait for all network providers together.
    pub timeout: Duration,
    /// How long to wait for a device that appears late.
    pub wait: Duration,
    /// What metadata must satisfy before it is applied.
    pub trust: Trust,
}

/// What the agent did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The origin of the metadata; `None`: there was none.
    pub provider: Option<String>,
    /// The providers that were asked, in the order of their answers.
    pub probes: Vec<Probe>,
    /// The files and directories that were written.
    pub written: Vec<WrittenFile>,
    /// What was not written.
    pub skipped: Vec<Loss>,
    /// Files in the directory that are not in the metadata; at most 1000.
    pub left: Vec<String>,
    /// The host name that was set.
    pub hostname: Option<String>,
    /// Why no metadata was applied, if that is an error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A file or directory that was written.
#[derive(Clone, Debug, Serialize)]
pub struct WrittenFile {
    /// The path, relative to the directory.
    pub name: String,
    /// The same, as it was called first.
    pub path: String,
    /// The permission bits, octal.
    pub mode: String,
    /// The bytes in a file; `None`: a directory.
    pub size: Option<usize>,
}

impl Report {
    /// Whether everything that was found was applied, or nothing was found and no provider is broken.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let broken = self.probes.iter().any(|probe| probe.outcome == ProbeOutcome::Broken);
        self.error.is_none() && self.skipped.is_empty() && (self.provider.is_some() || !broken)
    }
}

/// Asks `providers`, in this order, and applies the metadata of the first one that has some.
///
/// Nothing is applied if the directory cannot be created or opened, or if a signature or a policy is required and the metadata does
/// not satisfy it. Then the report's error says why. The report also lists what was skipped.
pub fn run(providers: &[Arc<dyn Provider>], options: &AgentOptions, log: &mut Log) -> Report {
    let mut report = Report::default();
    let mut warnings = 0;
    let mut log_limited = |level, text: &str| {
        warnings += usize::from(level == LogLevel::Warning);
        let excess = level == LogLevel::Warning && warnings > WARNINGS_MAX;
        log(if excess { LogLevel::Detail } else { level }, text);
    };
    if let Err(error) = find_and_apply(providers, options, &mut report, &mut log_limited) {
        report.error = Some(format!("{error:#}"));
    }
    if warnings > WARNINGS_MAX {
        let more = warnings - WARNINGS_MAX;
        log(LogLevel::Warning, &format!("{more} more warnings; --verbose shows them"));
    }
    report
}

fn find_and_apply(
    providers: &[Arc<dyn Provider>],
    options: &AgentOptions,
    report: &mut Report,
    log: &mut Log,
) -> Result<()> {
    os::check_has_agent()?;
    let is_new = !options.root.exists();
    // Containers that bind it need it even if it is empty.
    let root = ConfinedDir::open_or_create_all(&options.root, ROOT_MODE)?;
    let mut found = discovery::find(providers, options, &mut report.probes, log);
    // Otherwise the error says so.
    if found.is_none() && report.is_whole() {
        log(LogLevel::Step, &nothing_found(providers, &report.probes));
    }
    let admitted = match &mut found {
        None if options.trust.is_none() => Ok(()),
        None => Err(error!("no metadata was found to verify")),
        Some(found) => options.trust.admit(found, log).with_context(|| format!("refusing {}", found.origin)),
    };
    let found = found.filter(|_| admitted.is_ok());
    let plan = found.as_ref().map(|found| apply(found, &root, options, report, log));
    if !is_new {
        // A file that was skipped now may be from an earlier run, but it is in the metadata.
        let mut expected: Vec<_> =
            plan.iter().flat_map(InstallPlan::list).map(|listed| listed.path).collect();
        expected.extend(plan.is_some().then(|| "provider".to_owned()));
        report_left(&root, expected, report, log);
    }
    if let Some(plan) = &plan
        && (options.set_hostname || is_default(&options.root))
    {
        apply_hostname(plan, report, log);
    }
    report.provider = found.map(|found| found.origin);
    admitted
}

/// Whether a directory is the default one, however its path is written.
fn is_default(root: &Path) -> bool {
    root == Path::new(ROOT) || root.canonicalize().is_ok_and(|root| root == Path::new(ROOT))
}

/// The message that nothing was found: which providers were asked, and which did not answer.
fn nothing_found(providers: &[Arc<dyn Provider>], probes: &[Probe]) -> String {
    let names: Vec<_> = providers.iter().map(|provider| provider.name()).collect();
    let asked = if names.is_empty() { "no provider".to_owned() } else { names.join(", ") };
    let silent = probes.iter().filter(|probe| probe.outcome == ProbeOutcome::Unanswered);
    let silent: Vec<_> = silent.map(|probe| probe.provider).collect();
    match silent.len() {
        0 => format!("no metadata found (asked {asked})"),
        _ => format!("no metadata found (asked {asked}; no answer from {})", silent.join(", ")),
    }
}

/// Writes the metadata.
fn apply<'a>(
    found: &'a Metadata,
    root: &ConfinedDir,
    options: &AgentOptions,
    report: &mut Report,
    log: &mut Log,
) -> InstallPlan<'a> {
    let plan = InstallPlan::new(found.userdata.as_deref(), found.entries.clone());
    for (severity, line) in plan.lines("user data") {
        log(if severity == Severity::Error { LogLevel::Warning } else { LogLevel::Detail }, &line);
    }
    report.skipped.extend(found.losses.iter().cloned().chain(plan.losses()));
    plan.write(root, Some(&found.origin), &mut |listed, written| match written {
        Ok(()) => {
            let mode = format!("{:04o}", listed.mode);
            log(LogLevel::Detail, &format!("wrote {mode} {:?}", listed.path));
            let name = listed.path.clone();
            report.written.push(WrittenFile { name, path: listed.path, mode, size: listed.len });
        }
        Err(error) => {
            log(LogLevel::Warning, &format!("skipping {:?}: {error:#}", listed.path));
            report.skipped.push(Loss::new(&listed.path, format!("{error:#}")));
        }
    });
    let files = report.written.iter().filter(|written| written.size.is_some()).count();
    let plural = if files == 1 { "" } else { "s" };
    log(LogLevel::Step, &format!("{:?}: {files} file{plural} written", options.root));
    plan
}

/// Sets the host name, if there is one.
fn apply_hostname(plan: &InstallPlan, report: &mut Report, log: &mut Log) {
    let Some(name) = plan.hostname() else { return };
    match set_hostname(name) {
        Ok(()) => {
            log(LogLevel::Step, &format!("the host name is {name:?}"));
            report.hostname = Some(name.to_owned());
        }
        Err(error) => {
            log(LogLevel::Warning, &format!("{error:#}"));
            report.skipped.push(Loss::new("hostname", format!("{error:#}")));
        }
    }
}

/// Reports the files in the directory that are not in `expected`.
fn report_left(root: &ConfinedDir, mut expected: Vec<String>, report: &mut Report, log: &mut Log) {
    expected.sort_unstable();
    report.left = root.files(LEFT_MAX + expected.len());
    report.left.retain(|path| expected.binary_search(path).is_err());
    report.left.truncate(LEFT_MAX);
    if !report.left.is_empty() {
        let names: Vec<_> = report.left.iter().map(|path| format!("{path:?}")).collect();
        log(LogLevel::Step, &format!("left unchanged: {}", names.join(", ")));
    }
}

fn set_hostname(name: &str) -> Result<()> {
    let context = || format!("setting the host name {name:?}");
    hostname::check(name).map_err(|why| error!("the name {why}")).with_context(context)?;
    os::set_host_name(name).with_context(context)
}
