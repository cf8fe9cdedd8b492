//! What was written: the size of an image, and where its files are.

use super::Extent;

/// A file of a written image, and where it is.
#[derive(Clone, Debug)]
pub struct PlacedFile {
    /// Its path.
    pub name: Vec<u8>,
    /// Its bytes. An empty file has an offset of 0.
    pub extent: Extent,
}

/// A written image.
#[derive(Clone, Debug)]
pub struct WrittenImage {
    /// Its size in bytes.
    pub bytes: u64,
    /// Its files, by offset.
    pub files: Vec<PlacedFile>,
    /// Why other programs may mistake the image for one with another file system, a sentence. If the image was written to a
    /// file that cannot be read back, large files from pipes have not been checked.
    pub mistakable: Option<String>,
}
