//! An image that was written, as `--json` describes it.

use std::{fs::File, path::Path};

use anyhow::{Context, Result};
use metadata_image::{
    check::Notice,
    datasource::layout::Layout,
    encoding::hex,
    image::{
        digests::digests,
        written::{PlacedFile, WrittenImage},
    },
};
use serde::Serialize;

use super::{escape::pretty_json, progress::Bar, render::JsonNotice};

/// What is known of an image before it is read back.
pub(super) struct NewImage<'a> {
    pub(super) path: &'a Path,
    pub(super) volume_identifier: &'a str,
    /// `None`: no known one.
    pub(super) layout: Option<Layout>,
    /// Every warning, and what was lost.
    pub(super) warnings: &'a [Notice],
}

/// What `--json` prints.
#[derive(Serialize)]
struct ImageOutput<'a> {
    path: String,
    size: u64,
    sha256: String,
    volume_identifier: &'a str,
    layout: Option<Layout>,
    files: Vec<FileOutput>,
    warnings: Vec<JsonNotice<'a>>,
}

/// A file on an image.
#[derive(Serialize)]
pub(super) struct FileOutput {
    name: String,
    size: u64,
    mode: Option<String>,
    offset: u64,
    sha256: String,
}

impl FileOutput {
    pub(super) fn new(file: &PlacedFile, digest: &[u8]) -> Self {
        Self {
            name: String::from_utf8_lossy(&file.name).into_owned(),
            size: file.extent.len,
            mode: file.mode.map(|mode| format!("{mode:04o}")),
            offset: file.extent.offset,
            sha256: hex(digest),
        }
    }
}

impl NewImage<'_> {
    /// The description of the image, which was written to `file`.
    pub(super) fn describe(&self, file: &File, written: &WrittenImage, progress: &mut Bar) -> Result<String> {
        let digests = digests(file, written, progress).context("reading the image back")?;
        let files = written.files.iter().zip(&digests.files);
        pretty_json(&ImageOutput {
            path: self.path.display().to_string(),
            size: written.bytes,
            sha256: hex(&digests.image),
            volume_identifier: self.volume_identifier,
            layout: self.layout,
            files: files.map(|(file, digest)| FileOutput::new(file, digest)).collect(),
            warnings: self.warnings.iter().map(JsonNotice::of).collect(),
        })
    }
}
