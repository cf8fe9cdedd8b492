//! Words of a command line in the wrong place, and names that are not on an image.

use std::{ffi::OsStr, path::Path};

use anyhow::Result;
use metadata_image::{
    image::{
        Image, Kind, Record,
        probe::{self, file_system},
    },
    suggestion::{did_you_mean, nearest},
};

use super::{Usage, escape::shell_quoted, is_dash};

/// How many names an error lists.
const LISTED_MAX: usize = 5;

/// Opens an image that is only read.
pub(super) fn open_image(path: &Path) -> Result<Image> {
    check_is_no_dash(path)?;
    Ok(Image::open(path)?)
}

/// Fails if an image should come from standard input, where its parts cannot be read in any order.
pub(super) fn check_is_no_dash(path: &Path) -> Result<(), Usage> {
    if is_dash(path.as_os_str()) && !path.exists() {
        let why = "an image cannot be read from standard input; save it to a file, and give its path";
        return Err(Usage(why.to_owned()));
    }
    Ok(())
}

/// Whether the file at a path is an image.
pub(super) fn is_image(path: &Path) -> bool {
    let kind = probe::open(path).and_then(|mut file| file_system(&mut file));
    kind.is_ok_and(|kind| kind.is_some())
}

/// A word as a shell reads it.
pub(super) fn word(word: impl AsRef<OsStr>) -> String {
    let text = word.as_ref().to_string_lossy();
    shell_quoted(&text).unwrap_or_else(|_| text.into_owned())
}

/// A command line as a shell reads it. It begins with `command`, which is not quoted.
pub(super) fn command_line<W: AsRef<OsStr>>(command: &str, words: impl IntoIterator<Item = W>) -> String {
    words.into_iter().fold(command.to_owned(), |line, next| line + " " + &word(next))
}

/// What an image has instead of the file `name`, as the end of an error.
pub(super) fn instead_of(name: &str, records: &[Record]) -> String {
    let names: Vec<_> =
        records.iter().filter(|record| record.kind == Kind::File).map(Record::display_path).collect();
    if let Some(near) = nearest(name, names.iter().map(String::as_str)) {
        return format!("; {}", did_you_mean(near));
    }
    if names.is_empty() {
        return "; it has no files".to_owned();
    }
    let listed: Vec<_> = names.iter().take(LISTED_MAX).map(|name| format!("{name:?}")).collect();
    let others = names.len() - listed.len();
    let others = if others == 0 { String::new() } else { format!(" and {others} more") };
    format!("; it has {}{others}", listed.join(", "))
}
