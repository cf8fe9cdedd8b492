//! The files that are written to, which must not be files that are read.

use std::{
    fs::File,
    io::{self, Read, Seek},
    path::Path,
};

use metadata_image::image::{
    SECTOR_BYTES,
    probe::{self, FileSystem},
};

use super::{
    Trouble,
    dialect::Failure,
    identity::{Identity, identity_of_output},
    settings::Settings,
};

/// Bytes of the system area and the first descriptor, which are zeros until an image is complete.
const BEGINNING_BYTES: u64 = 17 * SECTOR_BYTES;

/// The regular files that are written to. Their contents must not be lost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Destinations {
    /// That of the image. An old image there is left out.
    pub(super) image: Option<Identity>,
    /// That of messages.
    pub(super) log: Option<Identity>,
}

impl Destinations {
    /// The files that are written to.
    ///
    /// # Errors
    /// Fails if one of them is a list that was read, or if they are one file.
    pub(super) fn of(settings: &Settings) -> Result<Self, Trouble> {
        let destinations = Self {
            image: identity_of_output(settings.output.as_deref()),
            log: settings.log_file.as_deref().and_then(|path| identity_of_output(Some(path))),
        };
        if destinations.image.is_some_and(|image| settings.lists.contains(&image)) {
            return Err(Trouble::new(
                Failure::Source,
                "the image is written to a list that is read (give another path)".to_owned(),
            ));
        }
        if destinations
            .log
            .is_some_and(|log| destinations.image == Some(log) || settings.lists.contains(&log))
        {
            return Err(Trouble::new(
                Failure::LogFile,
                "-log-file names the image or a list that is read (give another path)".to_owned(),
            ));
        }
        Ok(destinations)
    }

    /// The error about a file that would be lost.
    pub(super) fn is_input(path: &Path) -> Trouble {
        let why = format!("reading {path:?}: the image is written to the same file (give another path)");
        Trouble::new(Failure::Source, why)
    }
}

/// Whether a file is empty, an image, or what is left of one: its beginning is written last. Anything else is a file that the image
/// would replace by mistake.
pub(super) fn is_old_image(path: &Path) -> bool {
    let check = || {
        let mut file = File::open(path)?;
        if probe::file_system(&mut file)? == Some(FileSystem::Iso9660) {
            return Ok(true);
        }
        let mut beginning = Vec::new();
        file.rewind()?;
        file.take(BEGINNING_BYTES).read_to_end(&mut beginning)?;
        Ok::<_, io::Error>(beginning.iter().all(|byte| *byte == 0))
    };
    check().unwrap_or(false)
}
