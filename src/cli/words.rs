//! Words of a command line in the wrong place, and names that are not on an image.

use std::path::Path;

use metadata_image::{
    image::{
        Kind, Record,
        probe::{self, file_system},
    },
    similar::nearest,
};

use super::escape::shell_quoted;

/// How many names an error lists.
const LISTED_MAX: usize = 5;

/// Whether the file at a path is an image.
pub(super) fn is_image(path: &Path) -> bool {
    let kind = probe::open(path).and_then(|mut file| file_system(&mut file));
    kind.is_ok_and(|kind| kind.is_some())
}

/// A word as a shell reads it.
pub(super) fn word(path: &Path) -> String {
    let text = path.to_string_lossy();
    shell_quoted(&text).unwrap_or_else(|_| text.into_owned())
}

/// What an image has instead of the file `name`, as the end of an error.
pub(super) fn instead_of(name: &str, records: &[Record]) -> String {
    let names: Vec<_> =
        records.iter().filter(|record| record.kind == Kind::File).map(Record::display_path).collect();
    if let Some(near) = nearest(name, names.iter().map(String::as_str)) {
        return format!("; did you mean {near:?}?");
    }
    if names.is_empty() {
        return "; it has no files".to_owned();
    }
    let listed: Vec<_> = names.iter().take(LISTED_MAX).map(|name| format!("{name:?}")).collect();
    let others = names.len() - listed.len();
    let others = if others == 0 { String::new() } else { format!(" and {others} more") };
    format!("; it has {}{others}", listed.join(", "))
}
