//! What `-help` and `-version` print. Callers read the first line of the version, from standard output.

use std::io::{self, Write};

use super::{
    Trouble,
    dialect::{Dialect, Failure},
    options::{self, Meaning},
};

/// Prints the options to standard error, as the originals do.
pub(super) fn print_help(program: &str, dialect: Dialect) {
    let program = if program == "xorriso" { "xorriso -as mkisofs" } else { program };
    let mut text = format!(
        "Usage: {program} [options] file...\nThis is metadata {} in the place of {program}.\nOptions:\n",
        env!("CARGO_PKG_VERSION")
    );
    for known in options::of(dialect).filter(|known| known.meaning != Meaning::Unsupported) {
        text.extend(["  -", known.name, if known.has_value { " VALUE\n" } else { "\n" }]);
    }
    // A closed standard error is no failure.
    drop(io::stderr().write_all(text.as_bytes()));
}

/// Prints the version to standard output.
pub(super) fn print_version(program: &str, dialect: Dialect) -> Result<(), Trouble> {
    let own = format!("metadata {} in the place of {program}", env!("CARGO_PKG_VERSION"));
    let text = match (dialect, program) {
        (Dialect::Xorrisofs, _) => format!("mkisofs 2.01-Emulation\n{own}\n"),
        (_, "mkisofs") => {
            format!("mkisofs 2.01 is not what this is; the line is for programs that look for it.\n{own}\n")
        }
        _ => format!("{program} 1.1.11 (Linux)\n{own}\n"),
    };
    let written = io::stdout().write_all(text.as_bytes());
    written.map_err(|error| Trouble::new(Failure::Output, format!("writing to standard output: {error}")))
}
