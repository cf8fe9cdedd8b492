//! User data in a file that another program wrote, or on standard input. A file with an image is read as an image.

use std::{
    fs,
    io::{self, Cursor, Read},
    path::PathBuf,
    time::Instant,
};

use super::{
    Log, LogLevel, Metadata, Provider,
    cdrom::{self, ReadScope},
};
use crate::{
    error::{Context, Result, ensure},
    image::{Image, probe},
};

/// The provider's name on the command line.
const NAME: &str = "file";

/// The most bytes of user data.
const DATA_BYTES_MAX: u64 = 64 << 20;

/// User data, or an image, in a file.
#[derive(Clone, Debug)]
pub struct UserDataFile {
    path: PathBuf,
    scope: ReadScope,
}

impl UserDataFile {
    /// The provider of the regular file `path`; `-` is standard input.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, scope: ReadScope::Data }
    }

    /// Sets how much of an image is read.
    #[must_use]
    pub fn scope(self, scope: ReadScope) -> Self {
        Self { scope, ..self }
    }
}

impl Provider for UserDataFile {
    fn name(&self) -> &'static str {
        NAME
    }

    fn is_local(&self) -> bool {
        true
    }

    fn fetch(&self, _: Instant, log: &mut Log) -> Result<Option<Metadata>> {
        let context = || format!("reading {:?}", self.path);
        let data = if self.path.as_os_str() == "-" {
            let data = read(io::stdin()).with_context(context)?;
            let is_image = probe::file_system(&mut Cursor::new(&data)).with_context(context)?.is_some();
            ensure!(
                !is_image,
                "reading {:?}: standard input is an image; save it to a file and give its path",
                self.path
            );
            data
        } else {
            let mut file = match probe::open_regular(&self.path) {
                Err(error) if is_absent(&error) => {
                    log(LogLevel::Step, &format!("the file {:?} does not exist", self.path));
                    return Ok(None);
                }
                file => file.with_context(context)?,
            };
            if probe::file_system(&mut file).with_context(context)?.is_some() {
                return self.read_image(file, log);
            }
            read(file).with_context(context)?
        };
        if data.is_empty() {
            log(LogLevel::Step, &format!("the file {:?} is empty", self.path));
            return Ok(None);
        }
        Ok(Some(Metadata { userdata: Some(data), ..self.metadata() }))
    }
}

/// The bytes of a file. It is read to its end, since files in /proc and /sys report a wrong size.
fn read(file: impl Read) -> Result<Vec<u8>> {
    let mut data = Vec::new();
    file.take(DATA_BYTES_MAX + 1).read_to_end(&mut data)?;
    ensure!(data.len() as u64 <= DATA_BYTES_MAX, "the file is larger than 64 MiB");
    Ok(data)
}

impl UserDataFile {
    fn metadata(&self) -> Metadata {
        Metadata { provider: NAME, origin: format!("FILE {}", self.path.display()), ..Metadata::default() }
    }

    fn read_image(&self, file: fs::File, log: &mut Log) -> Result<Option<Metadata>> {
        let Metadata { provider, origin, .. } = self.metadata();
        let found = cdrom::read_image(&mut Image::in_file(file, &self.path)?, self.scope, log)?;
        if found.is_empty() {
            log(
                LogLevel::Step,
                &format!("the image {:?} has no data in user-data, config or meta-data", self.path),
            );
            return Ok(None);
        }
        Ok(Some(Metadata { provider, origin, ..found }))
    }
}

/// Whether the path does not exist.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
