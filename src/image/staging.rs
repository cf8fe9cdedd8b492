//! The files of an image that is not written yet: what is known of their contents, and files that are derived from the others,
//! such as generated meta-data and the manifest.

use std::{fmt, io, sync::Arc};

use crate::error::{Context, Result};
use sha2::{Digest, Sha256};

use super::{
    DIGEST_BYTES, Extent, Progress,
    payload::{Content, Payload, SmallFileRoom},
    source::Source,
};

/// Bytes that can be cloned without copying.
pub(super) use hadris_fs::Content as Data;

/// Where a file's bytes are.
pub(super) enum FilePlace {
    /// In the head.
    Head(Data),
    /// In this extent, after the head.
    Behind(Extent),
}

impl FilePlace {
    /// Whether it is after the head.
    pub(super) fn is_behind(&self) -> bool {
        matches!(self, Self::Behind(_))
    }
}

/// How many bytes of a large file decide whether its content is wanted.
const BEGINNING_BYTES: u64 = 4096;

/// A file that is derived from the others on its image.
pub trait DerivedFile: fmt::Debug + Send + Sync {
    /// What it is derived from.
    fn derived_from(&self) -> DerivedFrom;

    /// The content of the file. Its length depends on names and sizes only, and never falls when a size grows.
    ///
    /// # Errors
    /// Fails if the files cannot be described.
    fn render(&self, input: &DerivedInput) -> Result<Vec<u8>>;
}

/// What a file is derived from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DerivedFrom {
    /// Nothing on the image.
    Nothing,
    /// A digest of the content: of all files except those that are derived from [`DerivedFrom::Files`].
    Content,
    /// All other files, with those that are derived from the content.
    Files,
}

/// The input of [`DerivedFile::render`].
#[derive(Clone, Copy, Debug)]
pub struct DerivedInput<'a> {
    /// The digest of the content.
    pub content: [u8; DIGEST_BYTES],
    /// All other files, by path. Empty unless the file is derived from [`DerivedFrom::Files`].
    pub files: &'a [DescribedFile<'a>],
}

/// A file in the input of [`DerivedFile::render`].
#[derive(Clone, Copy, Debug)]
pub struct DescribedFile<'a> {
    /// Its path.
    pub name: &'a [u8],
    /// Its length in bytes.
    pub len: u64,
    /// The SHA-256 digest of its bytes.
    pub digest: [u8; DIGEST_BYTES],
}

/// The files of an image.
#[derive(Debug)]
pub(super) struct StagedFiles {
    /// In the order of their paths.
    list: Vec<(Vec<u8>, Body)>,
    derived: Vec<(&'static str, Arc<dyn DerivedFile>)>,
}

/// What is known of a file's content.
#[derive(Debug)]
enum Body {
    Small(Data),
    Large(Payload),
    /// Derived from the content at most; for now made for a digest of zeros.
    OfContent(Data),
    /// Derived from all other files; for now as long as it can become.
    OfFiles(Data),
}

/// Digests of the contents of files.
#[derive(Default)]
pub(super) struct FoundDigests {
    /// The digest that an instance ID is made from.
    content: [u8; DIGEST_BYTES],
    /// The digest of each large file, if a derived file needs them.
    large: Vec<[u8; DIGEST_BYTES]>,
}

impl FoundDigests {
    /// The digest that an instance ID is made from.
    pub(super) fn content(&self) -> [u8; DIGEST_BYTES] {
        self.content
    }

    /// Digests of zeros, for `large` large files.
    pub(super) fn zeros(large: usize) -> Self {
        Self { large: vec![[0; DIGEST_BYTES]; large], ..Self::default() }
    }
}

impl StagedFiles {
    /// Opens the sources of `files`, and adds the derived files.
    ///
    /// # Errors
    /// Fails if a source cannot be read, or a derived file cannot be made.
    pub(super) fn open(
        mut files: Vec<(Vec<u8>, Source)>,
        derived: Vec<(&'static str, Arc<dyn DerivedFile>)>,
    ) -> Result<Self> {
        files.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut room = SmallFileRoom::new();
        let mut list = Vec::with_capacity(files.len() + derived.len());
        for (name, source) in files {
            let body = match Content::open(source, &mut room)? {
                Content::Bytes(bytes) => Body::Small(Data::bytes(bytes)),
                Content::Large(payload) => Body::Large(payload),
            };
            list.push((name, body));
        }
        let (of_files, of_content): (Vec<_>, Vec<_>) =
            derived.iter().partition(|(_, file)| file.derived_from() == DerivedFrom::Files);
        let content = [0; DIGEST_BYTES];
        for (name, file) in of_content {
            let bytes = file.render(&DerivedInput { content, files: &[] })?;
            list.push((name.as_bytes().to_vec(), Body::OfContent(Data::bytes(bytes))));
            list.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        for (name, file) in of_files {
            let files: Vec<_> = list.iter().map(|(name, body)| body.describe(name)).collect();
            let longest = Data::bytes(file.render(&DerivedInput { content, files: &files })?);
            list.push((name.as_bytes().to_vec(), Body::OfFiles(longest)));
            list.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        Ok(Self { list, derived })
    }

    /// Whether any file is large, so that it is written after the head.
    pub(super) fn has_large(&self) -> bool {
        self.list.iter().any(|(_, body)| matches!(body, Body::Large(_)))
    }

    /// Paths and contents, with empty ones for the large files.
    pub(super) fn without_large(&self) -> Vec<(&[u8], Data)> {
        self.list.iter().map(|(name, body)| (name.as_slice(), body.without_large())).collect()
    }

    /// The large files.
    pub(super) fn large(&self) -> impl Iterator<Item = &Payload> {
        self.list.iter().filter_map(|(_, body)| match body {
            Body::Large(payload) => Some(payload),
            _ => None,
        })
    }

    /// Takes the payloads of the large files, and leaves empty ones.
    pub(super) fn take_large(&mut self) -> impl Iterator<Item = Payload> {
        self.list.iter_mut().filter_map(|(_, body)| body.take_large())
    }

    /// The paths.
    pub(super) fn into_names(self) -> impl Iterator<Item = Vec<u8>> {
        self.list.into_iter().map(|(name, _)| name)
    }

    /// Whether there will be a file `name`, and it will be empty.
    pub(super) fn is_empty(&self, name: &str) -> bool {
        self.list.iter().any(|(other, body)| match body {
            Body::Small(data) => other == name.as_bytes() && data.is_empty(),
            _ => false,
        })
    }

    /// The content of the file `name`, if there is one, it has at most `limit` bytes, and its first bytes are `wanted`.
    ///
    /// # Errors
    /// Fails if its source cannot be read.
    pub(super) fn content(
        &mut self,
        name: &str,
        limit: u64,
        wanted: impl FnOnce(&[u8]) -> bool,
    ) -> Result<Option<Vec<u8>>> {
        let body = self.list.iter_mut().find(|(other, _)| other == name.as_bytes()).map(|(_, body)| body);
        match body {
            Some(Body::Small(data) | Body::OfContent(data)) => {
                Ok(data.as_bytes().filter(|bytes| bytes.len() as u64 <= limit).map(<[u8]>::to_vec))
            }
            Some(Body::Large(payload)) if wanted(&payload.beginning(BEGINNING_BYTES)?) => payload.peek(limit),
            Some(Body::Large(_) | Body::OfFiles(_)) | None => Ok(None),
        }
    }

    /// Reports how many bytes of large files will be read.
    pub(super) fn announce(&self, progress: &mut dyn Progress) {
        let times = if self.digests_large_files() { 2 } else { 1 };
        for (_, body) in &self.list {
            if let Body::Large(payload) = body
                && let Some(len) = payload.len()
            {
                progress.expect(times * len);
            }
        }
    }

    fn has_derived_from(&self, what: DerivedFrom) -> bool {
        self.derived.iter().any(|(_, file)| file.derived_from() == what)
    }

    fn digests_large_files(&self) -> bool {
        self.has_derived_from(DerivedFrom::Content) || self.has_derived_from(DerivedFrom::Files)
    }

    /// Digests the files, if a derived file needs it. `read` passes the bytes of the large file of a number to its second
    /// argument.
    ///
    /// The digest that an instance ID is made from is SHA-256 over all files in the order of their paths: for each the length and
    /// bytes of the path, then the length and bytes of the content; lengths are eight bytes, little-endian. Files that are derived
    /// from the content go in as made for a digest of zeros, those derived from all files not at all.
    pub(super) fn digest(
        &self,
        places: &[Extent],
        mut read: impl FnMut(usize, &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<()>,
    ) -> Result<FoundDigests> {
        let mut found = FoundDigests::default();
        if !self.digests_large_files() {
            return Ok(found);
        }
        let mut content = Sha256::new();
        let mut large = places.iter().enumerate();
        for (name, body) in &self.list {
            if matches!(body, Body::OfFiles(_)) {
                continue;
            }
            content.update((name.len() as u64).to_le_bytes());
            content.update(name);
            if let Some(data) = body.data() {
                content.update(data.len().to_le_bytes());
                content.update(data.as_bytes().unwrap_or_default());
                continue;
            }
            let (number, place) = large.next().context("there is a place for every large file")?;
            content.update(place.len.to_le_bytes());
            let mut alone = Sha256::new();
            read(number, &mut |piece| {
                if self.has_derived_from(DerivedFrom::Content) {
                    content.update(piece);
                }
                if self.has_derived_from(DerivedFrom::Files) {
                    alone.update(piece);
                }
                Ok(())
            })?;
            found.large.push(alone.finalize().into());
        }
        if self.has_derived_from(DerivedFrom::Content) {
            found.content = content.finalize().into();
        }
        Ok(found)
    }

    /// Makes the derived files: first those from the content, then those from all files.
    pub(super) fn render_derived(&mut self, found: &FoundDigests, places: &[Extent]) -> Result<()> {
        let derived = std::mem::take(&mut self.derived);
        let (of_files, of_content): (Vec<_>, Vec<_>) =
            derived.iter().partition(|(_, file)| file.derived_from() == DerivedFrom::Files);
        for (name, file) in of_content {
            self.set_content(name, &file.render(&DerivedInput { content: found.content, files: &[] })?);
        }
        for (name, file) in of_files {
            let rendered =
                file.render(&DerivedInput { content: found.content, files: &self.describe(found, places)? })?;
            self.set_content(name, &rendered);
        }
        Ok(())
    }

    /// Sets the content of a derived file.
    fn set_content(&mut self, name: &str, bytes: &[u8]) {
        for (other, body) in &mut self.list {
            if matches!(body, Body::OfContent(_) | Body::OfFiles(_)) && other == name.as_bytes() {
                *body = Body::Small(Data::bytes(bytes));
            }
        }
    }

    /// All files except those that are derived from the description.
    fn describe<'a>(&'a self, found: &FoundDigests, places: &[Extent]) -> Result<Vec<DescribedFile<'a>>> {
        let mut large = places.iter().zip(&found.large);
        let mut files = Vec::with_capacity(self.list.len());
        for (name, body) in &self.list {
            files.push(match body {
                Body::OfFiles(_) => continue,
                Body::Small(data) | Body::OfContent(data) => {
                    let digest = Sha256::digest(data.as_bytes().unwrap_or_default()).into();
                    DescribedFile { name, len: data.len(), digest }
                }
                Body::Large(_) => {
                    let (place, digest) = large.next().context("there is a place for every large file")?;
                    DescribedFile { name, len: place.len, digest: *digest }
                }
            });
        }
        Ok(files)
    }

    /// Where every file is, the large ones at `places`.
    pub(super) fn placed<'a>(&'a self, places: &'a [Extent]) -> impl Iterator<Item = (&'a [u8], FilePlace)> {
        let mut large = places.iter();
        self.list.iter().map(move |(name, body)| {
            let place = match body.data() {
                Some(data) => FilePlace::Head(data.clone()),
                None => FilePlace::Behind(*large.next().expect("there is a place for every large file")),
            };
            (name.as_slice(), place)
        })
    }
}

impl Body {
    /// Its data; `None` for a large file.
    fn data(&self) -> Option<&Data> {
        match self {
            Self::Small(data) | Self::OfContent(data) | Self::OfFiles(data) => Some(data),
            Self::Large(_) => None,
        }
    }

    /// Its data; empty for a large file, which takes no space in the head.
    fn without_large(&self) -> Data {
        self.data().cloned().unwrap_or_else(Data::empty)
    }

    /// The file before its bytes are known. The length of a large one is the maximum, so that the head is the same for a file
    /// and a pipe.
    fn describe<'a>(&self, name: &'a [u8]) -> DescribedFile<'a> {
        DescribedFile { name, len: self.data().map_or(u64::MAX, Data::len), digest: [0; DIGEST_BYTES] }
    }

    /// Takes the payload of a large file, and leaves an empty one.
    fn take_large(&mut self) -> Option<Payload> {
        let Self::Large(payload) = self else { return None };
        let rest = Box::new(io::empty());
        Some(std::mem::replace(payload, Payload::Stream { label: String::new(), start: Vec::new(), rest }))
    }
}
