//! `metadata`: builds, reads and attaches the images that give a virtual machine its metadata.

// A guest's program has fewer commands. What only the others use is left out by the linker.
#![cfg_attr(not(feature = "cli"), allow(dead_code, unused_imports))]

mod cli;

use std::{env, process::ExitCode};

use clap::error::ErrorKind;

use cli::{Cli, Trouble, Usage};
use metadata_image::{error, recipe::Contradiction};

/// Exit status if something failed or could not be verified.
const EXIT_FAILED: u8 = 1;

/// Exit status if the command line is wrong, or two images cannot be compared.
const EXIT_USAGE: u8 = 2;

fn main() -> ExitCode {
    #[cfg(feature = "cli")]
    if let Some(status) = cli::programs::run_as_another(env::args_os()) {
        return status;
    }
    let cli = match Cli::parse_from(env::args_os()) {
        Ok(cli) => cli,
        Err(error) if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            drop(error.print());
            return EXIT_USAGE.into();
        }
        Err(error) if error.use_stderr() => {
            cli::say(&Cli::explain(&error, env::args_os()));
            return EXIT_USAGE.into();
        }
        // Help or the version. A closed standard output is not a failure.
        Err(error) => {
            drop(error.print());
            return ExitCode::SUCCESS;
        }
    };
    match cli.run() {
        Ok(status) => status,
        Err(error) => {
            cli::say(&format!("{error:#}"));
            let usage = is_usage(&error) || error.is::<Trouble>();
            (if usage { EXIT_USAGE } else { EXIT_FAILED }).into()
        }
    }
}

/// Whether an error is about the command line.
fn is_usage(error: &anyhow::Error) -> bool {
    let library = error.downcast_ref::<error::Error>();
    error.is::<Usage>()
        || error.is::<Contradiction>()
        || library.is_some_and(|error| error.kind() == error::ErrorKind::Usage)
}
