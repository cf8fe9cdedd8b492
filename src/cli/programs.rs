//! Programs in whose place this one runs, by the name that it is called by.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
    process::ExitCode,
};

use super::{cloud_localds, mkisofs};

/// A program in whose place this one runs.
pub(super) struct Program {
    /// Its name, and that of the subcommand.
    pub(super) name: &'static str,
    /// Whether `metadata NAME` runs it.
    is_subcommand: bool,
    /// Whether `install-names` makes it without being asked.
    pub(super) is_installed: bool,
    run: fn(Vec<OsString>) -> ExitCode,
}

/// All of them. xorriso has other uses, so its name is not taken unless somebody asks for it.
pub(super) const PROGRAMS: [Program; 5] = [
    Program { name: "mkisofs", is_subcommand: true, is_installed: true, run: mkisofs::run_mkisofs },
    Program { name: "genisoimage", is_subcommand: false, is_installed: true, run: mkisofs::run_genisoimage },
    Program { name: "xorrisofs", is_subcommand: false, is_installed: true, run: mkisofs::run_xorrisofs },
    Program { name: "cloud-localds", is_subcommand: true, is_installed: true, run: cloud_localds::run },
    Program { name: "xorriso", is_subcommand: false, is_installed: false, run: mkisofs::run_xorriso },
];

/// Runs the program that a command line asks for: by the name of the file, or by a subcommand. `None`: it asks for `metadata`.
pub(crate) fn run_as_another(arguments: impl Iterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments;
    let name = arguments.next()?;
    let name = Path::new(&name).file_name().unwrap_or(OsStr::new(""));
    if let Some(program) = PROGRAMS.iter().find(|program| name == program.name) {
        return Some((program.run)(arguments.collect()));
    }
    let command = arguments.next()?;
    let program = PROGRAMS.iter().find(|program| program.is_subcommand && command == program.name)?;
    Some((program.run)(arguments.collect()))
}
