//! The agent in a guest: asks the providers, takes the metadata of the first that serves, writes it beneath a directory and
//! sets the host name.

pub mod admission;
mod discovery;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use crate::error::{Context, Result, error};
use serde::Serialize;

pub use admission::Trust;
pub use discovery::{Outcome, Probe};

use crate::{
    output::confined_dir::Directory,
    provider::{Level, Metadata, Provider, Say},
    userdata::{
        finding::Severity,
        hostname,
        install_plan::{InstallPlan, Loss},
    },
};

/// Where LinuxKit's containers look.
pub const ROOT: &str = "/run/config";

/// Permission bits of the directory, which containers look into.
const ROOT_MODE: u32 = 0o755;

/// Warnings that everybody is shown at most, so that a console is not kept busy with them. Who looks for a fault sees all.
const WARNINGS_MAX: usize = 20;

/// Files of an earlier run that are reported at most.
const LEFT_MAX: usize = 1000;

/// What an agent does.
#[derive(Clone, Debug)]
pub struct Options {
    /// The directory to write into, which is made if it is not there.
    pub root: PathBuf,
    /// Whether to set the host name whatever the directory is; it is set where that is [`ROOT`].
    pub set_hostname: bool,
    /// How long to wait for the network, in all.
    pub timeout: Duration,
    /// How long to wait for a device that appears late.
    pub wait: Duration,
    /// What metadata must satisfy before it is applied.
    pub trust: Trust,
}

/// What an agent did.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// The origin of the metadata; `None`: there was none.
    pub provider: Option<String>,
    /// The providers that were asked, in the order of their answers.
    pub probes: Vec<Probe>,
    /// The files and directories that were written.
    pub written: Vec<Written>,
    /// What was not.
    pub skipped: Vec<Loss>,
    /// Files that were in the directory and are not in the metadata, at most 1000 of them.
    pub left: Vec<String>,
    /// The host name that was set.
    pub hostname: Option<String>,
    /// Why nothing was done at all, where that is so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A file or directory that was written.
#[derive(Clone, Debug, Serialize)]
pub struct Written {
    /// Its path in the directory.
    pub path: String,
    /// Its permission bits, octal.
    pub mode: String,
    /// Bytes in a file; `None`: a directory.
    pub size: Option<usize>,
}

impl Report {
    /// Whether everything that was found was applied, or nothing was found and no provider is broken.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        let broken = self.probes.iter().any(|probe| probe.outcome == Outcome::Broken);
        self.error.is_none() && self.skipped.is_empty() && (self.provider.is_some() || !broken)
    }
}

/// Asks `providers`, in this order, and applies what the first one has that serves.
///
/// Nothing is applied where the directory cannot be made or opened, or where something is asked of the metadata and there is
/// none that satisfies it: the report's error says why. What is lost otherwise is in the report as well.
pub fn run(providers: &[Arc<dyn Provider>], options: &Options, say: &mut Say) -> Report {
    let mut report = Report::default();
    let mut warnings = 0;
    let mut say_limited = |level, text: &str| {
        warnings += usize::from(level == Level::Warning);
        let excess = level == Level::Warning && warnings > WARNINGS_MAX;
        say(if excess { Level::Detail } else { level }, text);
    };
    if let Err(error) = find_and_apply(providers, options, &mut report, &mut say_limited) {
        report.error = Some(format!("{error:#}"));
    }
    if warnings > WARNINGS_MAX {
        let more = warnings - WARNINGS_MAX;
        say(Level::Warning, &format!("{more} more faults, shown with --verbose only"));
    }
    report
}

fn find_and_apply(
    providers: &[Arc<dyn Provider>],
    options: &Options,
    report: &mut Report,
    say: &mut Say,
) -> Result<()> {
    let is_new = !options.root.exists();
    // Whoever binds it into a container wants it even if it is empty.
    let root = Directory::open_or_create_all(&options.root, ROOT_MODE)?;
    let mut found = discovery::find(providers, options, &mut report.probes, say);
    // The error says so otherwise.
    if found.is_none() && report.is_whole() {
        say(Level::Step, &nothing_found(providers, &report.probes));
    }
    let admitted = match &mut found {
        None if options.trust.is_none() => Ok(()),
        None => Err(error!("there is no metadata that could be verified")),
        Some(found) => options.trust.admit(found, say).with_context(|| format!("refusing {}", found.origin)),
    };
    let found = found.filter(|_| admitted.is_ok());
    let plan = found.as_ref().map(|found| apply(found, &root, options, report, say));
    if !is_new {
        // What was skipped may be of an earlier run, too, but it is in the metadata.
        let mut expected: Vec<_> =
            plan.iter().flat_map(InstallPlan::list).map(|listed| listed.path).collect();
        expected.extend(plan.is_some().then(|| "provider".to_owned()));
        report_left(&root, expected, report, say);
    }
    if let Some(plan) = &plan
        && (options.set_hostname || is_default(&options.root))
    {
        apply_hostname(plan, report, say);
    }
    report.provider = found.map(|found| found.origin);
    admitted
}

/// Whether a directory is the default one, however it is written.
fn is_default(root: &Path) -> bool {
    root == Path::new(ROOT) || root.canonicalize().is_ok_and(|root| root == Path::new(ROOT))
}

/// That nothing was found, whom it was looked for at, and who may only have been too slow.
fn nothing_found(providers: &[Arc<dyn Provider>], probes: &[Probe]) -> String {
    let names: Vec<_> = providers.iter().map(|provider| provider.name()).collect();
    let asked = if names.is_empty() { "nobody".to_owned() } else { names.join(", ") };
    let silent = probes.iter().filter(|probe| probe.outcome == Outcome::Unanswered);
    let silent: Vec<_> = silent.map(|probe| probe.provider).collect();
    match silent.len() {
        0 => format!("no metadata found (asked {asked})"),
        _ => format!("no metadata found (asked {asked}; no answer from {})", silent.join(", ")),
    }
}

/// Writes what was found.
fn apply<'a>(
    found: &'a Metadata,
    root: &Directory,
    options: &Options,
    report: &mut Report,
    say: &mut Say,
) -> InstallPlan<'a> {
    let plan = InstallPlan::new(found.userdata.as_deref(), found.entries.clone());
    for (severity, line) in plan.lines("user data") {
        say(if severity == Severity::Error { Level::Warning } else { Level::Detail }, &line);
    }
    report.skipped.extend(found.losses.iter().cloned().chain(plan.losses()));
    plan.write(root, Some(&found.origin), &mut |listed, written| match written {
        Ok(()) => {
            let mode = format!("{:04o}", listed.mode);
            say(Level::Detail, &format!("wrote {mode} {:?}", listed.path));
            report.written.push(Written { path: listed.path, mode, size: listed.len });
        }
        Err(error) => {
            say(Level::Warning, &format!("skipping {:?}: {error:#}", listed.path));
            report.skipped.push(Loss::new(&listed.path, format!("{error:#}")));
        }
    });
    let files = report.written.iter().filter(|written| written.size.is_some()).count();
    let plural = if files == 1 { "" } else { "s" };
    say(Level::Step, &format!("{:?}: {files} file{plural} written", options.root));
    plan
}

/// Sets the host name, if there is one.
fn apply_hostname(plan: &InstallPlan, report: &mut Report, say: &mut Say) {
    let Some(name) = plan.hostname() else { return };
    match set_hostname(name) {
        Ok(()) => {
            say(Level::Step, &format!("the host name is {name:?}"));
            report.hostname = Some(name.to_owned());
        }
        Err(error) => {
            say(Level::Warning, &format!("{error:#}"));
            report.skipped.push(Loss::new("hostname", format!("{error:#}")));
        }
    }
}

/// Reports files that are there and not among those that are `expected`.
fn report_left(root: &Directory, mut expected: Vec<String>, report: &mut Report, say: &mut Say) {
    expected.sort_unstable();
    report.left = root.files(LEFT_MAX + expected.len());
    report.left.retain(|path| expected.binary_search(path).is_err());
    report.left.truncate(LEFT_MAX);
    if !report.left.is_empty() {
        let names: Vec<_> = report.left.iter().map(|path| format!("{path:?}")).collect();
        say(Level::Step, &format!("left as they were before: {}", names.join(", ")));
    }
}

fn set_hostname(name: &str) -> Result<()> {
    let context = || format!("setting the host name {name:?}");
    hostname::check(name).map_err(|why| error!("the name {why}")).with_context(context)?;
    // It takes CAP_SYS_ADMIN even to set what is set already.
    if rustix::system::uname().nodename().to_bytes() == name.as_bytes() {
        return Ok(());
    }
    rustix::system::sethostname(name.as_bytes()).with_context(context)
}
