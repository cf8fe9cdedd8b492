//! The command line: a file for every subcommand, its arguments and its `run`.

mod admission;
mod agent;
mod apply;
mod attach;
mod batch;
mod check;
mod confirm;
mod create;
mod escape;
mod extract;
mod input;
mod overwrite;
mod pack;
#[cfg(feature = "policy")]
mod policy;
mod progress;
mod rebuild;
mod render;
mod show;
mod sign;
mod signals;
mod signers;
mod verify;

use std::{
    env,
    ffi::{OsStr, OsString},
    fmt,
    fs::File,
    io::{self, IsTerminal, Read, Write},
    mem,
    path::Path,
};

use anyhow::{Context, Result, ensure};
use clap::{Args as _, FromArgMatches, Parser, Subcommand};

use escape::{printable, printable_json};

/// Builds, reads and attaches the ISO 9660 images that give a virtual machine
/// its metadata: for LinuxKit, for cloud-init (NoCloud) and as an OpenStack
/// config drive.
#[derive(Debug, Parser)]
#[command(name = "metadata", version, max_term_width = 80, after_help = EXAMPLES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  metadata create meta.iso 'hello'
  metadata create --layout nocloud --data-file user.yaml --hostname web seed.iso
  metadata show seed.iso
  metadata extract seed.iso user-data
  qemu-system-x86_64 -m 512 $(metadata attach qemu meta.iso) disk.img

'metadata COMMAND --help' tells more of each command.";

/// What each does is said where its arguments are.
#[derive(Debug, Subcommand)]
enum Command {
    Create(Box<create::Args>),
    Batch(batch::Args),
    Pack(pack::Args),
    Check(check::Args),
    Apply(apply::Args),
    Show(show::Args),
    Extract(extract::Args),
    Attach(attach::Args),
    Agent(agent::Args),
    Confirm(confirm::Args),
    Sign(sign::Args),
    Verify(verify::Args),
    #[cfg(feature = "policy")]
    Policy(policy::Args),
    #[cfg(feature = "policy")]
    PolicyWorker(policy::WorkerArgs),
    #[cfg(feature = "policy")]
    PolicyEvaluator(policy::EvaluatorArgs),
}

/// What adds the arguments of a subcommand to it.
type Augment = fn(clap::Command) -> clap::Command;

/// Every subcommand by its name.
const COMMANDS: &[(&str, Augment)] = &[
    ("create", create::Args::augment_args),
    ("batch", batch::Args::augment_args),
    ("pack", pack::Args::augment_args),
    ("check", check::Args::augment_args),
    ("apply", apply::Args::augment_args),
    ("show", show::Args::augment_args),
    ("extract", extract::Args::augment_args),
    ("attach", attach::Args::augment_args),
    ("agent", agent::Args::augment_args),
    ("confirm", confirm::Args::augment_args),
    ("sign", sign::Args::augment_args),
    ("verify", verify::Args::augment_args),
    #[cfg(feature = "policy")]
    ("policy", policy::Args::augment_args),
    #[cfg(feature = "policy")]
    ("policy-worker", policy::WorkerArgs::augment_args),
    #[cfg(feature = "policy")]
    ("policy-evaluator", policy::EvaluatorArgs::augment_args),
];

impl Cli {
    /// Understands a command line, the program's name included.
    ///
    /// # Errors
    /// What clap says, which may be the help or the version.
    pub(crate) fn parse_from(arguments: impl Iterator<Item = OsString>) -> Result<Self, clap::Error> {
        let arguments: Vec<_> = with_two_dashes(arguments).collect();
        // The arguments of all other subcommands need not be there, which saves a small `create` 1/25 of its time.
        let wanted = arguments.get(1).and_then(|first| COMMANDS.iter().find(|(name, _)| first == name));
        match wanted {
            Some((name, augment)) => {
                let mut command = only(name, *augment);
                let matches = command.try_get_matches_from_mut(arguments);
                // It is wanted no more, and to take it apart is 1/18 of the instructions of a small `create`.
                mem::forget(command);
                Self::from_arg_matches_mut(&mut matches?)
            }
            None => Self::try_parse_from(arguments),
        }
    }

    /// Does what the command line says.
    pub(crate) fn run(self) -> Result<()> {
        match self.command {
            Command::Create(args) => args.run(),
            Command::Batch(args) => args.run(),
            Command::Pack(args) => args.run(),
            Command::Check(args) => args.run(),
            Command::Apply(args) => args.run(),
            Command::Show(args) => args.run(),
            Command::Extract(args) => args.run(),
            Command::Attach(args) => args.run(),
            Command::Agent(args) => args.run(),
            Command::Confirm(args) => args.run(),
            Command::Sign(args) => args.run(),
            Command::Verify(args) => args.run(),
            #[cfg(feature = "policy")]
            Command::Policy(args) => args.run(),
            #[cfg(feature = "policy")]
            Command::PolicyWorker(args) => args.run(),
            #[cfg(feature = "policy")]
            Command::PolicyEvaluator(args) => args.run(),
        }
    }
}

/// The command line with one subcommand.
fn only(name: &'static str, augment: Augment) -> clap::Command {
    clap::Command::new("metadata")
        .version(env!("CARGO_PKG_VERSION"))
        .max_term_width(80)
        .subcommand_required(true)
        .subcommand(augment(clap::Command::new(name)))
}

/// A command line that clap takes and we do not.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Options that `linuxkit run` spells with one dash.
const ONE_DASH: [&str; 2] = ["data", "data-file"];

/// The arguments with `-data` and `-data-file` as clap knows them, alone or with a `=` and a value.
///
/// What follows such an option is its value, and is left alone, as is everything after `--`.
fn with_two_dashes(arguments: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    let mut options = true;
    let mut value = false;
    arguments.map(move |argument| {
        if !options || mem::take(&mut value) {
            return argument;
        }
        options = argument != "--";
        let bytes = argument.as_encoded_bytes();
        for option in ONE_DASH {
            let after = |dashes: &str| bytes.strip_prefix(dashes.as_bytes())?.strip_prefix(option.as_bytes());
            value = after("-").or(after("--")) == Some(b"");
            if after("-").is_some_and(|rest| rest.is_empty() || rest.starts_with(b"=")) {
                let mut spelled = OsString::from("-");
                spelled.push(&argument);
                return spelled;
            }
            if value {
                break;
            }
        }
        argument
    })
}

/// A clap error as the one line that our other errors are.
pub(crate) fn in_one_line(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let one_line = |paragraph: &str| paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    let said: Vec<_> = text
        .split("\n\n")
        .map(one_line)
        .filter(|paragraph| {
            !paragraph.starts_with("Usage:") && !paragraph.starts_with("For more information")
        })
        .map(|paragraph| paragraph.trim_start_matches("error: ").trim_start_matches("tip: ").to_owned())
        .collect();
    format!("{} (--help shows the usage)", said.join("; "))
}

/// Whether a path stands for standard input or output.
fn is_dash(path: &OsStr) -> bool {
    path == "-"
}

/// The bytes of a file that may have at most `limit`; errors call it `what`.
fn read_bounded(path: &Path, what: &str, limit: u64) -> Result<Vec<u8>> {
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
        ensure!(bytes.len() as u64 <= limit, "it has more than {limit} bytes");
        Ok(bytes)
    };
    read().with_context(|| format!("reading {what} {path:?}"))
}

/// Prints one line to standard error, at once, so that lines of several processes do not mix.
pub(crate) fn say(line: &str) {
    let line = format!("metadata: {}\n", printable(line));
    // Nobody is left to tell if that fails.
    drop(io::stderr().write_all(line.as_bytes()));
}

/// Prints a line of JSON for a log to standard error.
fn log(line: &str) {
    drop(io::stderr().write_all(format!("{}\n", printable_json(line)).as_bytes()));
}

/// Prints text for people or machines to standard output. That a reader like `head` has heard enough is no failure.
fn print(text: &str) -> Result<()> {
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("writing to standard output"),
    }
}

/// Whether colours are wanted on `out`: it is a terminal, and neither `NO_COLOR` nor `TERM` says otherwise.
fn colours_are_wanted(out: &impl IsTerminal) -> bool {
    let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = env::var_os("TERM").is_some_and(|value| value == "dumb");
    out.is_terminal() && !refused && !dumb
}

/// An error of the program, for a function of the library that called it.
fn for_library(error: anyhow::Error) -> metadata_image::error::Error {
    metadata_image::error::Error::from_caller(AsRef::<dyn std::error::Error>::as_ref(&error))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn clap_finds_no_fault_with_the_command_line() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_command_is_the_same_without_the_others() {
        let mut all = Cli::command();
        all.build();
        let names: Vec<_> = all.get_subcommands().map(clap::Command::get_name).collect();
        let known: Vec<_> = COMMANDS.iter().map(|(name, _)| *name).chain(["help"]).collect();
        assert_eq!(names, known);
        for &(name, augment) in COMMANDS {
            let mut one = only(name, augment);
            one.build();
            for (text, other) in [["--help"], ["-h"], ["--no-such-option"]].map(|arguments| {
                let line = || ["metadata", name].into_iter().chain(arguments);
                let said = |command: &clap::Command| {
                    let error = command.clone().try_get_matches_from(line()).expect_err("it asks for help");
                    error.render().to_string()
                };
                (said(&one), said(&all))
            }) {
                assert_eq!(text, other);
            }
        }
    }

    #[test]
    fn every_command_has_help_of_80_columns_with_examples() {
        let mut command = Cli::command();
        command.build();
        let names: Vec<_> = command
            .get_subcommands()
            .filter(|command| !command.is_hide_set())
            .map(|command| command.get_name().to_owned())
            .collect();
        let mut helps = vec![command.render_long_help().to_string()];
        for name in names.iter().filter(|name| *name != "help") {
            let subcommand = command.find_subcommand_mut(name).expect("it was listed");
            for argument in subcommand.get_arguments() {
                assert!(argument.get_help().is_some(), "{name}: {argument} has no help");
            }
            let long = subcommand.render_long_help().to_string();
            let about = long.split("\n\nUsage:").next().unwrap_or_default();
            assert!(about.contains("\n\n"), "{name}: the description is missing: {about}");
            helps.extend([subcommand.render_help().to_string(), long]);
        }
        for help in helps {
            assert!(help.contains("\nExamples:\n"), "{help}");
            for line in help.lines() {
                assert!(line.chars().count() <= 80, "{line}");
            }
        }
    }

    #[test]
    fn options_with_one_dash_get_a_second_one() {
        let spell = |arguments: &[&str]| -> Vec<String> {
            with_two_dashes(arguments.iter().map(OsString::from))
                .map(|argument| argument.into_string().unwrap())
                .collect()
        };
        assert_eq!(spell(&["-data", "x", "-data-file", "y"]), ["--data", "x", "--data-file", "y"]);
        assert_eq!(spell(&["-data=x", "-data-file=-"]), ["--data=x", "--data-file=-"]);
        assert_eq!(spell(&["-data", "-data"]), ["--data", "-data"]);
        assert_eq!(spell(&["--data-file", "-data", "-data=x"]), ["--data-file", "-data", "--data=x"]);
        assert_eq!(spell(&["--", "-data"]), ["--", "-data"]);
        assert_eq!(spell(&["-database", "-data-files", "-d"]), ["-database", "-data-files", "-d"]);
    }
}
