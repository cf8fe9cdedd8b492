//! An image that is about to be written, with either file system.

use std::{fs::File, io::Write};

use super::{Progress, fat, iso9660, staging::StagedFiles, written::WrittenImage};
use crate::error::Result;

/// An image whose files have been opened and that has been laid out. Errors that can be found before writing have been found.
#[derive(Debug)]
pub enum Draft {
    /// ISO 9660.
    Iso9660(iso9660::writer::Draft),
    /// FAT.
    Fat(fat::writer::Draft),
}

impl From<iso9660::writer::Draft> for Draft {
    fn from(draft: iso9660::writer::Draft) -> Self {
        Self::Iso9660(draft)
    }
}

impl From<fat::writer::Draft> for Draft {
    fn from(draft: fat::writer::Draft) -> Self {
        Self::Fat(draft)
    }
}

impl Draft {
    /// Names that readers of some trees of the image will see differently, a sentence each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        match self {
            Self::Iso9660(draft) => draft.warnings(),
            Self::Fat(_) => &[],
        }
    }

    fn files(&self) -> &StagedFiles {
        match self {
            Self::Iso9660(draft) => &draft.files,
            Self::Fat(draft) => &draft.files,
        }
    }

    fn files_mut(&mut self) -> &mut StagedFiles {
        match self {
            Self::Iso9660(draft) => &mut draft.files,
            Self::Fat(draft) => &mut draft.files,
        }
    }

    /// Whether the image will have a file `name`, and it will be empty.
    #[must_use]
    pub fn is_empty(&self, name: &str) -> bool {
        self.files().is_empty(name)
    }

    /// The content of the file `name`, if there is one, it has at most `limit` bytes, and its first bytes are `wanted`.
    ///
    /// # Errors
    /// Fails if its source cannot be read.
    pub fn content(
        &mut self,
        name: &str,
        limit: u64,
        wanted: impl FnOnce(&[u8]) -> bool,
    ) -> Result<Option<Vec<u8>>> {
        self.files_mut().content(name, limit, wanted)
    }

    /// Writes the image to `out`, an empty file.
    ///
    /// # Errors
    /// Fails if a source cannot be read or changed meanwhile, or `out` cannot be written.
    pub fn write_to_file(self, out: &File, progress: &mut dyn Progress) -> Result<WrittenImage> {
        match self {
            Self::Iso9660(draft) => draft.write_to_file(out, progress),
            Self::Fat(draft) => draft.write_to_file(out, progress),
        }
    }

    /// As [`Draft::write_to_file`], for a file that others may open meanwhile: what makes it an image is written when everything
    /// else is there.
    ///
    /// # Errors
    /// Fails as [`Draft::write_to_file`] does. What is in `out` is then not an image.
    pub fn write_in_place(self, out: &File, progress: &mut dyn Progress) -> Result<WrittenImage> {
        match self {
            Self::Iso9660(draft) => draft.write_in_place(out, progress),
            Self::Fat(draft) => draft.write_in_place(out, progress),
        }
    }

    /// Writes the image to `out`: as [`Draft::write_to_file`] does if that is an empty file, otherwise as
    /// [`Draft::write_forward`] does. The file is at the end of the image afterwards.
    ///
    /// # Errors
    /// Fails as [`Draft::write_to_file`] does.
    pub fn write_to_output(self, out: &File, progress: &mut dyn Progress) -> Result<WrittenImage> {
        match self {
            Self::Iso9660(draft) => draft.write_to_output(out, progress),
            Self::Fat(draft) => draft.write_to_output(out, progress),
        }
    }

    /// Writes the image to `out` from its first byte to its last, as a pipe needs it.
    ///
    /// # Errors
    /// Fails as [`Draft::write_to_file`] does.
    pub fn write_forward(self, out: &mut dyn Write, progress: &mut dyn Progress) -> Result<WrittenImage> {
        match self {
            Self::Iso9660(draft) => draft.write_forward(out, progress),
            Self::Fat(draft) => draft.write_forward(out, progress),
        }
    }
}
