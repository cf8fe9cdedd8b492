//! Reads the lines of the input: their length is bounded, they are numbered, and no image occurs twice.

use std::{
    collections::HashSet,
    fmt,
    hash::{BuildHasher, RandomState},
    io::{self, BufRead, BufReader, Read},
    str::FromStr,
};

use crate::error::{Context, Result, bail, error};

use super::{
    fields::LINE_BYTES_MAX,
    foreign::what_else,
    job::{ImageJob, image_of},
};

/// Size of the buffer for the input, in bytes.
const BUFFER_BYTES: usize = 256 << 10;

/// The lines that one of several processes handles: of every `count` lines, the one at `index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u64,
    count: u64,
}

impl Shard {
    /// All lines.
    pub const ALL: Self = Self { index: 0, count: 1 };

    /// Whether a line, counted from 1, belongs to the shard.
    fn contains(self, number: u64) -> bool {
        (number - 1) % self.count == self.index
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |digits: &str| {
            let only_digits = digits.bytes().all(|byte| byte.is_ascii_digit());
            digits.parse().ok().filter(|_| only_digits)
        };
        let pair = text.split_once('/').and_then(|(index, count)| Some((number(index)?, number(count)?)));
        match pair {
            Some((index, count)) if index < count => Ok(Self { index, count }),
            Some((_, 0)) => Err("N must be at least 1".to_owned()),
            Some((_, count)) => Err(format!("I must be from 0 to N-1, here {}", count - 1)),
            None => Err("not in the form I/N, such as 0/4".to_owned()),
        }
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

/// A line of the shard that is not blank.
#[derive(Debug)]
pub(super) struct Line {
    /// Its number in the input, counted from 1.
    pub(super) number: u64,
    /// The image that it names, if any.
    pub(super) image: Option<String>,
    /// The job, or what is wrong with the line.
    pub(super) task: Result<ImageJob>,
    /// Its length in bytes.
    pub(super) len: usize,
}

/// Reads the lines of one shard.
pub(super) struct LineReader<R> {
    from: BufReader<R>,
    shard: Shard,
    seconds: Option<u64>,
    number: u64,
    text: Vec<u8>,
    /// Whether the rest of a line that is too long is still to be skipped.
    in_long_line: bool,
    /// Hashes of the paths of all images so far, including those of other shards: eight bytes each, however long.
    images: HashSet<u64>,
    /// Hashes of the directories that they are in.
    directories: HashSet<u64>,
    /// The key of the hashes. It differs in each process, so that nobody can construct a collision.
    hasher: RandomState,
}

impl<R: Read> LineReader<R> {
    /// `seconds`: the date of all images.
    pub(super) fn new(from: R, shard: Shard, seconds: Option<u64>) -> Self {
        Self {
            from: BufReader::with_capacity(BUFFER_BYTES, from),
            shard,
            seconds,
            number: 0,
            text: Vec::new(),
            in_long_line: false,
            images: HashSet::new(),
            directories: HashSet::new(),
            hasher: RandomState::new(),
        }
    }

    /// The next line of the shard; `None` at the end.
    ///
    /// # Errors
    /// Fails if the input cannot be read.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        while self.read()? {
            if self.number == 1
                && let Some(what) = what_else(&self.text)
            {
                return Err(io::Error::new(io::ErrorKind::InvalidData, what));
            }
            if self.text.len() > LINE_BYTES_MAX {
                self.in_long_line = !self.text.ends_with(b"\n");
                if self.shard.contains(self.number) {
                    let fault = error!(
                        "the line is longer than {LINE_BYTES_MAX} bytes; use data_file for large data"
                    );
                    return Ok(Some(self.line(None, Err(fault))));
                }
            } else if self.shard.contains(self.number) && !self.text.trim_ascii().is_empty() {
                let task = ImageJob::parse(&self.text, self.seconds);
                let image = match &task {
                    Ok(task) => Some(task.image.clone()),
                    Err(_) => image_of(&self.text),
                };
                let task = match image.as_deref().and_then(|image| self.conflict(image)) {
                    None => task,
                    Some(why) => task.and_then(|task| bail!("image {:?} {why}", task.image)),
                };
                return Ok(Some(self.line(image, task)));
            } else if let Some(image) = image_of(&self.text) {
                self.conflict(&image);
            }
        }
        Ok(None)
    }

    /// Whether the next line can be read without waiting.
    pub(super) fn is_ready(&self) -> bool {
        self.from.buffer().contains(&b'\n')
    }

    /// Reads a line, or enough of it to know that it is too long.
    fn read(&mut self) -> io::Result<bool> {
        if std::mem::take(&mut self.in_long_line) {
            self.from.skip_until(b'\n')?;
        }
        self.text.clear();
        // Do not keep the memory of one very long line.
        self.text.shrink_to(BUFFER_BYTES);
        let limit = LINE_BYTES_MAX as u64 + 1;
        let read = (&mut self.from).take(limit).read_until(b'\n', &mut self.text)?;
        self.number += 1;
        Ok(read > 0)
    }

    /// Records the path of an image, or says why it conflicts with an earlier line.
    fn conflict(&mut self, image: &str) -> Option<&'static str> {
        let hash = |path: &str| self.hasher.hash_one(path);
        let above = || image.match_indices('/').map(|(end, _)| hash(&image[..end]));
        if above().any(|directory| self.images.contains(&directory)) {
            return Some("is below the image of an earlier line");
        }
        if self.directories.contains(&hash(image)) {
            return Some("is a directory in an earlier line");
        }
        let directories: Vec<_> = above().collect();
        self.directories.extend(directories);
        let new = self.images.insert(hash(image));
        (!new).then_some("is also the image of an earlier line")
    }

    fn line(&self, image: Option<String>, task: Result<ImageJob>) -> Line {
        Line { number: self.number, image, task, len: self.text.len() }
    }
}

/// The totals of an input that has been checked.
#[derive(Debug, Default)]
pub(super) struct LineCount {
    /// Lines of the shard that are not blank.
    pub(super) lines: u64,
    /// How many of them have errors.
    pub(super) faulty: u64,
}

/// Reads all lines, and calls `each` for those with errors.
pub(super) fn check<R: Read>(
    mut lines: LineReader<R>,
    mut each: impl FnMut(u64, Option<String>, crate::error::Error) -> Result<()>,
) -> Result<LineCount> {
    let mut checked = LineCount::default();
    while let Some(Line { number, image, task, .. }) = lines.next().context("reading the input")? {
        checked.lines += 1;
        if let Err(fault) = task {
            checked.faulty += 1;
            each(number, image, fault)?;
        }
    }
    Ok(checked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shard_is_a_number_below_another() {
        assert_eq!("0/1".parse(), Ok(Shard::ALL));
        assert_eq!("3/4".parse(), Ok(Shard { index: 3, count: 4 }));
        for (text, fault) in [
            ("4/4", "I must be from 0 to N-1, here 3"),
            ("0/0", "N must be at least 1"),
            ("1", "not in the form I/N, such as 0/4"),
            ("+1/4", "not in the form I/N, such as 0/4"),
            ("1/", "not in the form I/N, such as 0/4"),
            ("/", "not in the form I/N, such as 0/4"),
            ("-1/4", "not in the form I/N, such as 0/4"),
            ("18446744073709551616/1", "not in the form I/N, such as 0/4"),
        ] {
            assert_eq!(text.parse::<Shard>(), Err(fault.to_owned()), "{text}");
        }
    }

    #[test]
    fn every_line_is_of_one_shard() -> Result<()> {
        let text = "\n".repeat(3) + &"{}\n".repeat(10) + "{}";
        for count in 1..=5 {
            let mut numbers = Vec::new();
            for index in 0..count {
                let mut lines = LineReader::new(text.as_bytes(), Shard { index, count }, None);
                while let Some(line) = lines.next()? {
                    numbers.push(line.number);
                }
            }
            numbers.sort_unstable();
            assert_eq!(numbers, (4..=14).collect::<Vec<_>>());
        }
        Ok(())
    }

    #[test]
    fn an_image_is_not_a_directory_of_another() -> Result<()> {
        let line = |image: &str| format!("{{\"image\":\"{image}\",\"data\":\"\"}}\n");
        let text: String = ["a/b", "a", "c", "c/d/e", "a/c", "c", "ab"].map(line).concat();
        let mut lines = LineReader::new(text.as_bytes(), Shard::ALL, None);
        let mut faults = Vec::new();
        while let Some(line) = lines.next()? {
            faults.extend(line.task.err().map(|error| error.to_string()));
        }
        let expected = [
            "image \"a\" is a directory in an earlier line",
            "image \"c/d/e\" is below the image of an earlier line",
            "image \"c\" is also the image of an earlier line",
        ];
        assert_eq!(faults, expected);
        Ok(())
    }

    #[test]
    fn a_line_that_does_not_end_fails_at_once() -> Result<()> {
        let mut lines = LineReader::new(io::repeat(b'x'), Shard::ALL, None);
        assert!(lines.next()?.is_some_and(|line| line.task.is_err()));
        Ok(())
    }

    #[test]
    fn a_line_that_is_too_long_is_skipped() -> Result<()> {
        let line = |len: usize| {
            let rest = r#"{"image":"a","data":""}"#.len();
            format!(
                "{{\"image\":\"{len}\",\"data\":\"{}\"}}\n",
                "x".repeat(len - rest - len.to_string().len())
            )
        };
        // With the end of the line.
        let text = [line(LINE_BYTES_MAX), line(LINE_BYTES_MAX + 1), line(100)].concat();
        let mut lines = LineReader::new(text.as_bytes(), Shard::ALL, None);
        let mut results = Vec::new();
        while let Some(line) = lines.next()? {
            results.push((line.number, line.task.map(|task| task.image).map_err(|error| error.to_string())));
        }
        let fault = "the line is longer than 1048576 bytes; use data_file for large data".to_owned();
        let [first, last] = [LINE_BYTES_MAX.to_string(), "100".to_owned()];
        assert_eq!(results, [(1, Ok(first)), (2, Err(fault)), (3, Ok(last))]);
        Ok(())
    }
}
