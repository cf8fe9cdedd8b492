//! Reads the input of a command: an image, or the bytes of a file or of standard input.

use std::{
    fs::File,
    io::{self, Cursor, Read},
    path::Path,
};

use anyhow::{Context, Result, bail, ensure};
use metadata_image::image::probe::file_system;

use super::is_dash;

/// The largest input that is not an image, in bytes.
const DATA_BYTES_MAX: u64 = 64 << 20;

/// The input at a path.
pub(super) enum ImageOrData {
    /// An image, in an open file. The path may lead to another file by now.
    Image(File),
    /// The bytes of anything else.
    Data(Vec<u8>),
}

impl ImageOrData {
    /// Reads the file `path`; `-` is standard input. `as_data`: even an image is read as data.
    pub(super) fn read(path: &Path, as_data: bool) -> Result<Self> {
        if is_dash(path.as_os_str()) {
            return read_standard_input(as_data).context("reading standard input");
        }
        read_file(path, as_data).with_context(|| format!("reading {path:?}"))
    }
}

fn read_file(path: &Path, as_data: bool) -> Result<ImageOrData> {
    let mut file = File::open(path)?;
    if file.metadata()?.is_dir() {
        bail!("is a directory (metadata pack makes user data from a directory)");
    }
    if !as_data && file_system(&mut file)?.is_some() {
        return Ok(ImageOrData::Image(file));
    }
    Ok(ImageOrData::Data(read_data(file)?))
}

fn read_standard_input(as_data: bool) -> Result<ImageOrData> {
    let data = read_data(io::stdin().lock())?;
    let is_image = !as_data && file_system(&mut Cursor::new(&data))?.is_some();
    ensure!(!is_image, "the input is an image; save it to a file and give its path");
    Ok(ImageOrData::Data(data))
}

fn read_data(from: impl Read) -> Result<Vec<u8>> {
    let mut data = Vec::new();
    from.take(DATA_BYTES_MAX + 1).read_to_end(&mut data)?;
    ensure!(data.len() as u64 <= DATA_BYTES_MAX, "the data is larger than 64 MiB");
    Ok(data)
}
