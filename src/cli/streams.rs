//! Standard input, output and error, and files that are read whole.

use std::{
    env,
    ffi::OsStr,
    fs::File,
    io::{self, IsTerminal, Read, Write},
    path::Path,
};

use anyhow::{Context, Result, ensure};

use super::escape::{printable, printable_json};

/// Whether a path means standard input or output.
pub(super) fn is_dash(path: &OsStr) -> bool {
    path == "-"
}

/// Reads a file of at most `limit` bytes. Errors call it `what`.
pub(super) fn read_bounded(path: &Path, what: &str, limit: u64) -> Result<Vec<u8>> {
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
pub(super) fn log(line: &str) {
    drop(io::stderr().write_all(format!("{}\n", printable_json(line)).as_bytes()));
}

/// Prints text to standard output. A reader that stops early, such as `head`, is not an error.
pub(super) fn print(text: &str) -> Result<()> {
    match io::stdout().write_all(text.as_bytes()).and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("writing to standard output"),
    }
}

/// Whether to print colours on `out`: it is a terminal, `NO_COLOR` is not set, and `TERM` is not `dumb`.
pub(super) fn colours_are_wanted(out: &impl IsTerminal) -> bool {
    let refused = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let dumb = env::var_os("TERM").is_some_and(|value| value == "dumb");
    out.is_terminal() && !refused && !dumb
}
