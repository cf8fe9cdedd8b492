//! Files whose lines are names or patterns: `-path-list` and `-exclude-list`.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, BufRead, BufReader, Read},
    os::unix::ffi::OsStringExt,
    path::Path,
};

use super::{
    Trouble,
    dialect::Failure,
    identity::{Identity, identity},
};

/// The most bytes of a list, and of a line. It can come from a device or a pipe without an end.
const LIST_BYTES_MAX: u64 = 256 << 20;
const LINE_BYTES_MAX: u64 = 64 << 10;

/// The most lines of a list.
const LINES_MAX: usize = 1 << 22;

/// The lines of a file that are not empty, and what it is if it is a regular file. `-` is standard input. `what`: its purpose, for
/// errors.
pub(super) fn read(what: &str, path: &OsStr) -> Result<(Vec<OsString>, Option<Identity>), Trouble> {
    let read = || {
        if path == "-" {
            return Ok((lines(io::stdin(), LIST_BYTES_MAX)?, None));
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        let read_from = metadata.is_file().then(|| identity(&metadata));
        Ok((lines(file, LIST_BYTES_MAX)?, read_from))
    };
    read().map_err(|error: io::Error| {
        Trouble::of_file(Failure::Source, &format!("reading {what}"), Path::new(path), &error)
    })
}

/// The lines of a list of at most `most` bytes.
fn lines(from: impl Read, most: u64) -> io::Result<Vec<OsString>> {
    let too_many = |what: &str| io::Error::other(format!("it has more than {what}"));
    let mut reader = BufReader::new(from.take(most + 1));
    let (mut lines, mut read) = (Vec::new(), 0);
    loop {
        let mut line = Vec::new();
        let len = reader.by_ref().take(LINE_BYTES_MAX + 1).read_until(b'\n', &mut line)? as u64;
        read += len;
        if read > most {
            return Err(too_many(&format!("{most} bytes")));
        }
        if line.last() == Some(&b'\n') {
            line.pop();
        } else if len > LINE_BYTES_MAX {
            return Err(too_many(&format!("{LINE_BYTES_MAX} bytes in a line")));
        }
        if !line.is_empty() {
            lines.push(OsString::from_vec(line));
        }
        if lines.len() > LINES_MAX {
            return Err(too_many(&format!("{LINES_MAX} lines")));
        }
        if len == 0 {
            return Ok(lines);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_without_an_end_or_a_line_without_one_is_an_error() {
        let error = |from: &mut dyn Read| lines(from, 1 << 17).unwrap_err().to_string();
        assert_eq!(error(&mut io::repeat(0)), "it has more than 65536 bytes in a line");
        assert_eq!(error(&mut io::repeat(b'\n')), "it has more than 131072 bytes");
        assert_eq!(lines(&b"a\n\nb"[..], 5).unwrap(), ["a", "b"]);
    }
}
