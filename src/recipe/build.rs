//! Builds the image of a recipe in one call.

use std::{io::Write, path::Path};

use super::{MODE, Recipe};
use crate::{
    error::{BuildError, Context, Result},
    image::{probe::check_replaceable, written::WrittenImage},
    output::atomic_file::Target,
};

impl Recipe {
    /// Builds the image and puts it at `path`, where it appears as a whole or not at all, with the permission bits 0600. It
    /// replaces another image, an empty file, or one that contains only zeros.
    ///
    /// # Errors
    /// [`BuildError::InvalidRecipe`] if the recipe contradicts itself, or if the file at `path` is not an image;
    /// [`BuildError::TooLarge`] if the files do not fit on one image; [`BuildError::SourceChanged`] if a source changes while it
    /// is read; [`BuildError::Io`] if a source cannot be read or the image cannot be written; and [`BuildError::InvalidSource`]
    /// if the content of a source cannot be used.
    pub fn build(self, path: impl AsRef<Path>) -> Result<WrittenImage, BuildError> {
        let path = path.as_ref();
        let building = || format!("building image {path:?}");
        let target = Target::resolve(path).with_context(building)?;
        check_replaceable(target.open_old()).with_context(building)?;
        let draft = self.draft()?;
        let file = target.create(MODE).with_context(building)?;
        let written = draft.write_to_file(file.file(), &mut ()).with_context(building)?;
        file.commit(false, |old| check_replaceable(Ok(old))).with_context(building)?;
        Ok(written)
    }

    /// Builds the image and writes it to `out` from the first byte to the last, for example into a `Vec<u8>`. The image is the
    /// same as that of [`Recipe::build`].
    ///
    /// # Errors
    /// Fails as [`Recipe::build`] does. `out` may then contain part of the image.
    pub fn write_to(self, mut out: impl Write) -> Result<WrittenImage, BuildError> {
        Ok(self.draft()?.write_forward(&mut out, &mut ())?)
    }
}
