//! User data in a file, which another program has put there, or on standard input.

use std::{
    fs,
    io::{self, Read},
    path::PathBuf,
    time::Instant,
};

use anyhow::{Context, Result, ensure};

use super::{Level, Metadata, Provider, Say};

/// Bytes of user data at most.
const DATA_BYTES_MAX: u64 = 64 << 20;

/// The bytes of a file.
#[derive(Clone, Debug)]
pub struct File {
    path: PathBuf,
}

impl File {
    /// The provider of the bytes in the regular file `path`; `-` is standard input.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path }
    }
}

impl Provider for File {
    fn name(&self) -> &'static str {
        "file"
    }

    fn is_local(&self) -> bool {
        true
    }

    fn fetch(&self, _: Instant, say: &mut Say) -> Result<Option<Metadata>> {
        let context = || format!("reading {:?}", self.path);
        let file: Box<dyn Read> = if self.path.as_os_str() == "-" {
            Box::new(io::stdin())
        } else {
            match self.open() {
                Err(error) if is_absent(&error) => {
                    say(Level::Step, &format!("there is no file {:?}", self.path));
                    return Ok(None);
                }
                file => Box::new(file.with_context(context)?),
            }
        };
        let mut data = Vec::new();
        // What is in /proc or /sys has another size than it says.
        file.take(DATA_BYTES_MAX + 1).read_to_end(&mut data).with_context(context)?;
        ensure!(data.len() as u64 <= DATA_BYTES_MAX, "reading {:?}: it is larger than 64 MiB", self.path);
        if data.is_empty() {
            say(Level::Step, &format!("the file {:?} is empty", self.path));
            return Ok(None);
        }
        let origin = format!("FILE {}", self.path.display());
        Ok(Some(Metadata { origin, userdata: Some(data), ..Metadata::default() }))
    }
}

impl File {
    fn open(&self) -> io::Result<fs::File> {
        // Opening a FIFO would wait for somebody to write to it.
        if self.path.metadata()?.is_file() {
            fs::File::open(&self.path)
        } else {
            Err(io::Error::other("it is no regular file"))
        }
    }
}

/// Whether there is no such path.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
