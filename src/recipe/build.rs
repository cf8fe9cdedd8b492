//! Builds the image of a recipe in one call.

use std::{io::Write, path::Path};

use super::{MODE, Recipe};
use crate::{
    error::{BuildError, Context, Result},
    image::{probe::check_replaceable, written::WrittenImage},
    output::atomic_file::Target,
};

impl Recipe {
    /// Builds the image and puts it at `path`, where it appears as a whole or not at all, with permission bits 0600. It replaces
    /// another image, an empty file, or one that holds only zeros.
    ///
    /// # Errors
    /// [`BuildError::InvalidRecipe`] if the recipe contradicts itself, or if `path` leads to a file that is not an image;
    /// [`BuildError::Io`] if a source cannot be read or the image cannot be written; and the others of [`BuildError`].
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

    /// Builds the image and writes it to `out`, from its first byte to its last: into a `Vec<u8>`, for example. The image is the
    /// same as that of [`Recipe::build`].
    ///
    /// # Errors
    /// Fails as [`Recipe::build`] does.
    pub fn write_to(self, mut out: impl Write) -> Result<WrittenImage, BuildError> {
        Ok(self.draft()?.write_forward(&mut out, &mut ())?)
    }
}
