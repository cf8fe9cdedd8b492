//! Protects files that are not images, and so are probably somebody's data, from being replaced.

use std::{ffi::OsStr, fs::File, io, path::Path};

use anyhow::{Result, bail};
use metadata_image::{error::ErrorKind, image::probe};

/// Checks that the image `image` may replace the existing file. `data`: the data argument, which may be the image if the two
/// arguments were swapped.
///
/// # Errors
/// Fails if the existing file is not an image, or cannot be checked.
pub(super) fn check_replaceable(
    old: io::Result<Option<File>>,
    image: &Path,
    data: Option<&Path>,
) -> Result<()> {
    match probe::check_replaceable(old) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() != ErrorKind::Usage => bail!("{error:#} (--force replaces it)"),
        Err(_) => {}
    }
    match data.filter(|data| has_image_extension(data)) {
        None => bail!("the existing file is not an image (--force replaces it)"),
        Some(data) => bail!(
            "the existing file is not an image, but {data:?} looks like one: name the image first, and the file with \
             the data with --data-file (--force replaces {image:?})"
        ),
    }
}

pub(super) fn has_image_extension(path: &Path) -> bool {
    const ENDINGS: [&str; 2] = ["iso", "img"];
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    ENDINGS.iter().any(|image| ending.eq_ignore_ascii_case(image))
}
