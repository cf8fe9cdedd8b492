//! The command line: a file for every subcommand, its arguments and its `run`.

mod agent;
#[cfg(feature = "cli")]
mod apply;
#[cfg(feature = "cli")]
mod attach;
#[cfg(feature = "cli")]
mod batch;
#[cfg(feature = "cli")]
mod check;
#[cfg(feature = "cli")]
mod confirm;
#[cfg(feature = "cli")]
mod create;
mod escape;
#[cfg(feature = "cli")]
mod extract;
#[cfg(feature = "cli")]
mod input;
#[cfg(feature = "cli")]
mod install_names;
#[cfg(feature = "cli")]
mod mkisofs;
#[cfg(feature = "cli")]
mod overwrite;
#[cfg(feature = "cli")]
mod pack;
#[cfg(feature = "policy")]
mod policy;
#[cfg(feature = "cli")]
pub(crate) mod programs;
#[cfg(feature = "cli")]
mod progress;
#[cfg(feature = "cli")]
mod rebuild;
#[cfg(feature = "cli")]
mod render;
#[cfg(feature = "cli")]
mod show;
#[cfg(feature = "cli")]
mod sign;
mod signals;
mod trust_args;
#[cfg(feature = "cli")]
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
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

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

#[cfg(feature = "cli")]
const EXAMPLES: &str = "\
Examples:
  metadata create meta.iso 'hello'
  metadata create --layout nocloud --data-file user.yaml --hostname web seed.iso
  metadata show seed.iso
  metadata extract seed.iso user-data
  qemu-system-x86_64 -m 512 $(metadata attach qemu meta.iso) disk.img

'metadata COMMAND --help' describes a command.";

#[cfg(not(feature = "cli"))]
const EXAMPLES: &str = "\
Example:
  metadata agent -v cdrom

This is the program for a guest. The program for a host builds images.
'metadata COMMAND --help' describes a command.";

/// The help of each command is in its own file.
///
/// Only the arguments of the command that runs are built: those of all take 8 % of the instructions of a small `create`.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
enum Command {
    #[cfg(feature = "cli")]
    Create(Box<create::Args>),
    #[cfg(feature = "cli")]
    Batch(batch::Args),
    #[cfg(feature = "cli")]
    Pack(pack::Args),
    #[cfg(feature = "cli")]
    Check(check::Args),
    #[cfg(feature = "cli")]
    Apply(apply::Args),
    #[cfg(feature = "cli")]
    Show(show::Args),
    #[cfg(feature = "cli")]
    Extract(extract::Args),
    #[cfg(feature = "cli")]
    Attach(attach::Args),
    Agent(agent::Args),
    #[cfg(feature = "cli")]
    Confirm(confirm::Args),
    #[cfg(feature = "cli")]
    Sign(sign::Args),
    #[cfg(feature = "cli")]
    Verify(verify::Args),
    #[cfg(feature = "cli")]
    Mkisofs(mkisofs::Args),
    #[cfg(feature = "cli")]
    InstallNames(install_names::Args),
    #[cfg(feature = "policy")]
    Policy(policy::Args),
    #[cfg(feature = "policy")]
    PolicyWorker(policy::WorkerArgs),
    #[cfg(feature = "policy")]
    PolicyEvaluator(policy::EvaluatorArgs),
}

impl Cli {
    /// Parses a command line, including the program's name.
    ///
    /// # Errors
    /// Fails if the command line is wrong, or asks for the help or the version.
    pub(crate) fn parse_from(arguments: impl Iterator<Item = OsString>) -> Result<Self, clap::Error> {
        let arguments: Vec<_> = with_two_dashes(arguments).collect();
        let mut command = Self::command();
        let is_command = |name: &OsString| command.get_subcommands().any(|known| name == known.get_name());
        if !arguments.get(1).is_some_and(is_command) {
            // The list of commands shows the descriptions of all.
            command.build();
        }
        Self::from_arg_matches_mut(&mut command.try_get_matches_from_mut(arguments)?)
    }

    /// Runs the command.
    pub(crate) fn run(self) -> Result<()> {
        match self.command {
            #[cfg(feature = "cli")]
            Command::Create(args) => args.run(),
            #[cfg(feature = "cli")]
            Command::Batch(args) => args.run(),
            #[cfg(feature = "cli")]
            Command::Pack(args) => args.run(),
            #[cfg(feature = "cli")]
            Command::Check(args) => args.run(),
            #[cfg(feature = "cli")]
            Command::Apply(args) => args.run(),
            #[cfg(feature = "cli")]
            Command::Show(args) => args.run(),
            #[cfg(feature = "cli")]
            Command::Extract(args) => args.run(),
            #[cfg(feature = "cli")]
            Command::Attach(args) => args.run(),
            Command::Agent(args) => args.run(),
            #[cfg(feature = "cli")]
            Command::Confirm(args) => args.run(),
            #[cfg(feature = "cli")]
            Command::Sign(args) => args.run(),
            #[cfg(feature = "cli")]
            Command::Verify(args) => args.run(),
            #[cfg(feature = "cli")]
            Command::Mkisofs(args) => args.run(),
            #[cfg(feature = "cli")]
            Command::InstallNames(args) => args.run(),
            #[cfg(feature = "policy")]
            Command::Policy(args) => args.run(),
            #[cfg(feature = "policy")]
            Command::PolicyWorker(args) => args.run(),
            #[cfg(feature = "policy")]
            Command::PolicyEvaluator(args) => args.run(),
        }
    }
}

/// A usage error that clap does not detect.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Options that `linuxkit` spells with one dash.
const ONE_DASH: [&str; 2] = ["data", "data-file"];

/// Gives `-data` and `-data-file`, alone or with `=` and a value, the second dash that clap needs.
///
/// The argument after such an option is its value and is not changed, nor is anything after `--`.
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

/// A clap error on one line, like our other errors.
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

/// Whether a path means standard input or output.
fn is_dash(path: &OsStr) -> bool {
    path == "-"
}

/// Reads a file of at most `limit` bytes. Errors call it `what`.
fn read_bounded(path: &Path, what: &str, limit: u64) -> Result<Vec<u8>> {
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(limit + 1).read_to_end(&mut bytes)?;
        ensure!(bytes.len() as u64 <= limit, "the file is larger than {limit} bytes");
        Ok(bytes)
    };
    read().with_context(|| format!("reading {what} {path:?}"))
}

/// Prints a line to standard error in one write, so that lines of several processes do not mix.
pub(crate) fn say(line: &str) {
    let line = format!("metadata: {}\n", printable(line));
    // There is nowhere left to report a failure.
    drop(io::stderr().write_all(line.as_bytes()));
}

/// Prints a line of a JSON log to standard error.
fn log(line: &str) {
    drop(io::stderr().write_all(format!("{}\n", printable_json(line)).as_bytes()));
}

/// Prints text to standard output. A reader that stops early, such as `head`, is not an error.
fn print(text: &str) -> Result<()> {
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("writing to standard output"),
    }
}

/// Whether to print colours on `out`: it is a terminal, `NO_COLOR` is not set, and `TERM` is not `dumb`.
fn colours_are_wanted(out: &impl IsTerminal) -> bool {
    let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = env::var_os("TERM").is_some_and(|value| value == "dumb");
    out.is_terminal() && !refused && !dumb
}

/// Converts an error of the program for a library function that calls it back.
#[expect(clippy::needless_pass_by_value, reason = "it is for map_err")]
fn to_library_error(error: anyhow::Error) -> metadata_image::error::Error {
    metadata_image::error::Error::from_caller(AsRef::<dyn std::error::Error>::as_ref(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clap_accepts_the_definition_of_the_command_line() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_list_of_commands_has_descriptions_and_no_hidden_commands() {
        for arguments in [&["metadata"] as &[_], &["metadata", "--help"], &["metadata", "help"]] {
            let error = Cli::parse_from(arguments.iter().map(OsString::from)).expect_err("help is requested");
            let help = error.render().to_string();
            assert!(help.contains("\n  create         Build an image from a string"), "{help}");
            assert!(!help.contains("policy-worker"), "{help}");
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
