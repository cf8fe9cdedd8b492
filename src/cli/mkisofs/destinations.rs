//! The files that are written to, which must not be files that are read.

use std::{
    fs::File,
    io::{self, Read},
    ops::Range,
    path::Path,
};

use super::{
    Trouble,
    dialect::Failure,
    identity::{Identity, identity_of_output},
    settings::Settings,
};

/// The regular files that are written to. Their contents must not be lost.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Written {
    /// That of the image. An old image there is left out.
    pub(super) image: Option<Identity>,
    /// That of messages.
    pub(super) log: Option<Identity>,
}

impl Written {
    /// The files that are written to.
    ///
    /// # Errors
    /// Fails if one of them is a list that was read, or if they are one file.
    pub(super) fn of(settings: &Settings) -> Result<Self, Trouble> {
        let written = Self {
            image: identity_of_output(settings.output.as_deref()),
            log: settings.log_file.as_deref().and_then(|path| identity_of_output(Some(path))),
        };
        if written.image.is_some_and(|image| settings.lists.contains(&image)) {
            return Err(Trouble::new(
                Failure::Source,
                "the image is written to a list that is read (give another path)".to_owned(),
            ));
        }
        if written.log.is_some_and(|log| written.image == Some(log) || settings.lists.contains(&log)) {
            return Err(Trouble::new(
                Failure::LogFile,
                "-log-file names the image or a list that is read (give another path)".to_owned(),
            ));
        }
        Ok(written)
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
    const IDENTIFIER: Range<usize> = 32_769..32_774;
    let read = || {
        let mut bytes = Vec::new();
        File::open(path)?.take(IDENTIFIER.end as u64).read_to_end(&mut bytes)?;
        Ok::<_, io::Error>(bytes)
    };
    read().is_ok_and(|bytes| bytes.get(IDENTIFIER) == Some(b"CD001") || bytes.iter().all(|byte| *byte == 0))
}
