//! What an image may not replace: a file that is none, which is likely somebody's data.

use std::{ffi::OsStr, fs::File, io, path::Path};

use anyhow::{Result, bail};
use metadata_image::image::probe::may_be_replaced;

/// Whether the image `image` may take the place of the file that is there. `data`: what the command line gives as its data,
/// which may be the image, if somebody has swapped the two.
///
/// # Errors
/// It may not, or nobody can tell.
pub(super) fn check_replaceable(
    old: io::Result<Option<File>>,
    image: &Path,
    data: Option<&Path>,
) -> Result<()> {
    match old.and_then(may_be_replaced) {
        Ok(true) => return Ok(()),
        Ok(false) => {}
        Err(error) => {
            bail!(
                "there is a file, and it cannot be told whether it is an image: {error} (--force replaces it)"
            )
        }
    }
    match data.filter(|data| is_called_like_an_image(data)) {
        None => bail!("there is a file that is not an image (--force replaces it)"),
        Some(data) => bail!(
            "there is a file that is not an image, and {data:?} looks like one; the image comes first, and \
             --data-file names the file with its data (--force replaces {image:?})"
        ),
    }
}

fn is_called_like_an_image(path: &Path) -> bool {
    const ENDINGS: [&str; 2] = ["iso", "img"];
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    ENDINGS.iter().any(|image| ending.eq_ignore_ascii_case(image))
}
