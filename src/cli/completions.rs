//! `metadata completions`.

use std::io::Write;

use anyhow::{Context, Result};
use clap::{Command, CommandFactory};
use clap_complete::{Shell, generate};
use metadata_image::output::atomic_file::standard_output;

use super::Cli;

/// Print a script that completes commands and options in a shell
///
/// The examples show where each shell reads such scripts. Start a new shell to use
/// them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The shell that runs the script
    #[arg(value_enum)]
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  metadata completions bash > \\
      ~/.local/share/bash-completion/completions/metadata
  metadata completions zsh > ~/.zfunc/_metadata
  metadata completions fish > ~/.config/fish/completions/metadata.fish
  metadata completions powershell >> $PROFILE
  metadata completions elvish >> ~/.config/elvish/rc.elv

zsh reads ~/.zfunc if ~/.zshrc has these two lines:
  fpath+=~/.zfunc
  autoload -Uz compinit && compinit";

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let mut script = Vec::new();
        generate(self.shell, &mut visible(), "metadata", &mut script);
        standard_output()?.write_all(&script).context("writing to standard output")
    }
}

/// The command line without hidden commands and options, which `clap_complete` (4.6) would put in its scripts.
fn visible() -> Command {
    let mut whole = Cli::command();
    // The arguments of commands are made when they are needed.
    whole.build();
    let mut shown = bare(&whole);
    for command in whole.get_subcommands().filter(|command| !command.is_hide_set()) {
        // The builder of `shown` adds the command `help` itself.
        if command.get_name() != "help" {
            shown = shown.subcommand(bare(command));
            for alias in command.get_all_aliases() {
                let alias: &'static str = Box::leak(alias.into());
                shown = shown.subcommand(bare(command).name(alias));
            }
        }
    }
    shown
}

/// A command without its commands and its hidden options.
fn bare(command: &Command) -> Command {
    let own = |id: &str| matches!(id, "help" | "version");
    let arguments = command
        .get_arguments()
        .filter(|argument| !argument.is_hide_set() && !own(argument.get_id().as_str()));
    // Without its feature `string`, clap takes names that live forever only. There are some twenty.
    let name: &'static str = Box::leak(command.get_name().into());
    let bare =
        Command::new(name).about(command.get_about().cloned().unwrap_or_default()).args(arguments.cloned());
    if command.get_version().is_some() { bare.version(env!("CARGO_PKG_VERSION")) } else { bare }
}
