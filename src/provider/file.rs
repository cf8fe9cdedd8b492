//! User data in a file, which another program has put there, or on standard input. An image in a file is read as one.

use std::{
    fs,
    io::{self, Cursor, Read},
    path::PathBuf,
    time::Instant,
};

use crate::error::{Context, Result, bail, ensure};

use super::{
    Level, Metadata, Provider, Say,
    cdrom::{self, Reading},
};
use crate::image::{
    Image,
    probe::{self, FileSystem},
};

/// The provider's name on the command line.
const NAME: &str = "file";

/// Bytes of user data at most.
const DATA_BYTES_MAX: u64 = 64 << 20;

/// The bytes of a file.
#[derive(Clone, Debug)]
pub struct File {
    path: PathBuf,
    reading: Reading,
}

impl File {
    /// The provider of the bytes in the regular file `path`; `-` is standard input.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self { path, reading: Reading::Data }
    }

    /// The same, reading so much of an image.
    #[must_use]
    pub fn reading(self, reading: Reading) -> Self {
        Self { reading, ..self }
    }
}

impl Provider for File {
    fn name(&self) -> &'static str {
        NAME
    }

    fn is_local(&self) -> bool {
        true
    }

    fn fetch(&self, _: Instant, say: &mut Say) -> Result<Option<Metadata>> {
        let context = || format!("reading {:?}", self.path);
        let data = if self.path.as_os_str() == "-" {
            let data = read(io::stdin()).with_context(context)?;
            let is_image = probe::file_system(&mut Cursor::new(&data)).with_context(context)?.is_some();
            ensure!(
                !is_image,
                "reading {:?}: it is an image; give the path of a file that holds it",
                self.path
            );
            data
        } else {
            let mut file = match probe::open_regular(&self.path) {
                Err(error) if is_absent(&error) => {
                    say(Level::Step, &format!("there is no file {:?}", self.path));
                    return Ok(None);
                }
                file => file.with_context(context)?,
            };
            match probe::file_system(&mut file).with_context(context)? {
                Some(FileSystem::Iso9660) => return self.read_image(file, say),
                Some(FileSystem::Fat) => {
                    bail!("reading {:?}: it is a FAT image, and only ISO 9660 images can be read", self.path)
                }
                None => read(file).with_context(context)?,
            }
        };
        if data.is_empty() {
            say(Level::Step, &format!("the file {:?} is empty", self.path));
            return Ok(None);
        }
        Ok(Some(Metadata { userdata: Some(data), ..self.metadata() }))
    }
}

/// The bytes of a file. What is in /proc or /sys has another size than it says.
fn read(file: impl Read) -> Result<Vec<u8>> {
    let mut data = Vec::new();
    file.take(DATA_BYTES_MAX + 1).read_to_end(&mut data)?;
    ensure!(data.len() as u64 <= DATA_BYTES_MAX, "it is larger than 64 MiB");
    Ok(data)
}

impl File {
    fn metadata(&self) -> Metadata {
        Metadata { provider: NAME, origin: format!("FILE {}", self.path.display()), ..Metadata::default() }
    }

    fn read_image(&self, file: fs::File, say: &mut Say) -> Result<Option<Metadata>> {
        let Metadata { provider, origin, .. } = self.metadata();
        let found = cdrom::read_image(&mut Image::in_file(file, &self.path)?, self.reading, say)?;
        if found.is_empty() {
            say(
                Level::Step,
                &format!("the image {:?} has nothing in user-data, config or meta-data", self.path),
            );
            return Ok(None);
        }
        Ok(Some(Metadata { provider, origin, ..found }))
    }
}

/// Whether there is no such path.
fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}
