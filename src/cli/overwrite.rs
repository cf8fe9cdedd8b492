//! Protects files that are not images, and so are probably somebody's data, from being replaced.

use std::{ffi::OsStr, fs::File, io, path::Path};

use anyhow::{Result, bail};
use metadata_image::{error::ErrorKind, image::probe};

/// Checks that the image `image` may replace the existing file. `in_order`: the command that was meant if the two arguments look
/// swapped.
///
/// # Errors
/// Fails if the existing file is not an image, or cannot be checked.
pub(super) fn check_replaceable(
    old: io::Result<Option<File>>,
    image: &Path,
    in_order: impl FnOnce() -> Option<String>,
) -> Result<()> {
    match probe::check_replaceable(old) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() != ErrorKind::Usage => bail!("{error:#} (--force replaces it)"),
        Err(_) => {}
    }
    match in_order() {
        None => bail!("the existing file is not an image (--force replaces it)"),
        Some(command) => {
            bail!("the existing file is not an image; was this meant: {command} (--force replaces {image:?})")
        }
    }
}

pub(super) fn has_image_extension(path: &Path) -> bool {
    const ENDINGS: [&str; 2] = ["iso", "img"];
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    ENDINGS.iter().any(|image| ending.eq_ignore_ascii_case(image))
}
