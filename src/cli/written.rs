//! Files that a command wrote into a directory, as text and as JSON.

use std::path::Path;

use serde::Serialize;

/// A file or directory that was written.
#[derive(Debug, Serialize)]
pub(super) struct Written {
    pub(super) name: String,
    /// The bytes in a file; `None`: a directory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<u64>,
    pub(super) mode: String,
    /// Where a file is on its image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) offset: Option<u64>,
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
pub(super) struct WrittenOutput<'a> {
    /// The directory; `None`: nothing was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) into: Option<String>,
    pub(super) files: &'a [Written],
}

/// What was written, on a line.
pub(super) fn in_one_line(directory: &Path, written: &[Written]) -> String {
    let files = written.iter().filter(|written| written.size.is_some()).count();
    let directories = written.len() - files;
    let some =
        |number: usize, one: &str, many: &str| format!("{number} {}", if number == 1 { one } else { many });
    let and = if directories > 0 {
        format!(" and {}", some(directories, "directory", "directories"))
    } else {
        String::new()
    };
    format!("{}: {}{and} written", directory.display(), some(files, "file", "files"))
}
