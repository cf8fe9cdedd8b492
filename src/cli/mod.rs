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
mod cloud_localds;
#[cfg(feature = "cli")]
mod completions;
#[cfg(feature = "cli")]
mod confirm;
#[cfg(feature = "cli")]
mod create;
#[cfg(feature = "cli")]
mod described;
#[cfg(feature = "cli")]
mod diff;
#[cfg(feature = "cli")]
mod diff_side;
#[cfg(feature = "cli")]
mod diff_text;
mod errors;
mod escape;
#[cfg(feature = "cli")]
mod extract;
mod habits;
#[cfg(feature = "cli")]
mod input;
#[cfg(feature = "cli")]
mod install_names;
#[cfg(feature = "cli")]
mod machine_formats;
#[cfg(all(test, feature = "cli"))]
mod man;
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
mod seed_files;
#[cfg(feature = "cli")]
mod set;
#[cfg(feature = "cli")]
mod show;
#[cfg(feature = "cli")]
mod sign;
mod signals;
mod streams;
mod trust_args;
mod usage;
#[cfg(feature = "cli")]
mod verify;
#[cfg(feature = "cli")]
mod words;
#[cfg(feature = "cli")]
mod written;

use std::{ffi::OsString, process::ExitCode};

use anyhow::Result;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use errors::to_library_error;
use streams::{colours_are_wanted, is_dash, log, print, read_bounded};
use usage::{check_dashes, check_first, in_one_line, with_two_dashes};

pub(crate) use errors::{Trouble, Usage};
pub(crate) use streams::say;

/// Builds, checks, reads, signs and attaches the ISO 9660 or FAT images that
/// give a virtual machine its metadata: for cloud-init (NoCloud), for LinuxKit
/// and as an OpenStack config drive.
#[derive(Debug, Parser)]
#[command(name = "metadata", version, max_term_width = 80, after_help = EXAMPLES)]
#[cfg_attr(
    not(feature = "cli"),
    command(about = "Finds the metadata of a virtual machine in it, and writes /run/config")
)]
#[cfg_attr(not(feature = "cli"), command(long_about = None))]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[cfg(feature = "cli")]
const EXAMPLES: &str = "\
Examples:
  metadata create meta.iso 'hello'
  metadata create --layout nocloud --user-data user.yaml --hostname web seed.iso
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
    Set(Box<set::Args>),
    #[cfg(feature = "cli")]
    Diff(diff::Args),
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
    CloudLocalds(cloud_localds::Args),
    #[cfg(feature = "cli")]
    InstallNames(install_names::Args),
    #[cfg(feature = "policy")]
    Policy(policy::Args),
    #[cfg(feature = "cli")]
    Completions(completions::Args),
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
        check_first(arguments.get(1))?;
        let name = arguments.get(1).filter(|name| command.find_subcommand(name).is_some());
        if name.is_none() && arguments.get(1).is_none_or(|argument| argument != "--version") {
            // The list of commands shows the descriptions of all.
            command.build();
        }
        let one_dash = |argument: &OsString| {
            let bytes = argument.as_encoded_bytes();
            bytes.len() > 2 && bytes[0] == b'-' && bytes[1] != b'-'
        };
        if let Some(name) = name
            && arguments.iter().any(one_dash)
        {
            command.build();
            command.find_subcommand(name).map_or(Ok(()), |known| check_dashes(known, &arguments[2..]))?;
        }
        Self::from_arg_matches_mut(&mut command.try_get_matches_from_mut(arguments)?)
    }

    /// An error of [`Self::parse_from`] on one line.
    pub(crate) fn explain(error: &clap::Error, arguments: impl Iterator<Item = OsString>) -> String {
        let mut command = Self::command();
        command.build();
        let mut words = arguments.skip(1);
        let name = words.next().filter(|word| word != "help");
        let name =
            name.and_then(|name| command.find_subcommand(&name)).map(|known| known.get_name().to_owned());
        in_one_line(error, &command, name.as_deref())
    }

    /// Runs the command, and gives the exit status if it did not fail.
    pub(crate) fn run(self) -> Result<ExitCode> {
        let done = match self.command {
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
            Command::Set(args) => args.run(),
            #[cfg(feature = "cli")]
            Command::Diff(args) => return args.run(),
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
            Command::CloudLocalds(args) => args.run(),
            #[cfg(feature = "cli")]
            Command::InstallNames(args) => args.run(),
            #[cfg(feature = "policy")]
            Command::Policy(args) => args.run(),
            #[cfg(feature = "cli")]
            Command::Completions(args) => args.run(),
            #[cfg(feature = "policy")]
            Command::PolicyWorker(args) => args.run(),
            #[cfg(feature = "policy")]
            Command::PolicyEvaluator(args) => args.run(),
        };
        done.map(|()| ExitCode::SUCCESS)
    }
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
}
