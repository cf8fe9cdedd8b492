//! The files of an image that is not written yet: what is known of their contents, and those that are made of the others, such
//! as generated meta-data and the manifest.

use std::{fmt, io, sync::Arc};

use crate::error::{Context, Result};
use sha2::{Digest, Sha256};

use super::layout::{Data, Place};
use crate::image::{
    DIGEST_BYTES, Extent, Progress,
    payload::{Content, Payload, Room},
    source::Source,
};

/// Bytes by which a large file's content is judged.
const BEGINNING_BYTES: u64 = 4096;

/// A file that is made of the others on its image.
pub trait DerivedFile: fmt::Debug + Send + Sync {
    /// What it is made of.
    fn made_of(&self) -> DerivedFrom;

    /// The file's content. How many bytes come out depends on names and sizes alone, and never falls when a size grows.
    ///
    /// # Errors
    /// The files cannot be described.
    fn render(&self, input: &Input) -> Result<Vec<u8>>;
}

/// What a file is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DerivedFrom {
    /// Nothing on the image.
    Nothing,
    /// A digest of the content: of all files but those that are made of [`DerivedFrom::Files`].
    Content,
    /// Every other file, with those that are made of the content.
    Files,
}

/// What a file is made of, as [`DerivedFile::render`] gets it.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The digest of the content.
    pub content: [u8; DIGEST_BYTES],
    /// Every file that the maker describes, by name. Empty unless it is made of [`DerivedFrom::Files`].
    pub files: &'a [Described<'a>],
}

/// A file, as [`DerivedFile::render`] sees it.
#[derive(Clone, Copy, Debug)]
pub struct Described<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Bytes in it.
    pub len: u64,
    /// The SHA-256 digest of its bytes.
    pub digest: [u8; DIGEST_BYTES],
}

/// The files of an image.
#[derive(Debug)]
pub(super) struct Files {
    /// By name.
    list: Vec<(Vec<u8>, Body)>,
    derived: Vec<(&'static str, Arc<dyn DerivedFile>)>,
}

/// What is known of a file's content.
#[derive(Debug)]
enum Body {
    Small(Data),
    Large(Payload),
    /// One that is made of the content at most, as it is for a digest of zeros.
    OfContent(Data),
    /// One that is made of all other files, as long as it can become.
    OfFiles(Data),
}

/// What was found out about the contents of files.
#[derive(Default)]
pub(super) struct Found {
    /// The digest behind an instance id.
    content: [u8; DIGEST_BYTES],
    /// That of each large file, where something asks for them.
    large: Vec<[u8; DIGEST_BYTES]>,
}

impl Found {
    /// What is found where all digests are zeros, with so many large files.
    pub(super) fn zeros(large: usize) -> Self {
        Self { large: vec![[0; DIGEST_BYTES]; large], ..Self::default() }
    }
}

impl Files {
    /// Opens the sources of `files`, and adds the files that are made of them, under their names.
    ///
    /// # Errors
    /// A source cannot be read, or a file not be made.
    pub(super) fn open(
        mut files: Vec<(Vec<u8>, Source)>,
        derived: Vec<(&'static str, Arc<dyn DerivedFile>)>,
    ) -> Result<Self> {
        files.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut room = Room::new();
        let mut list = Vec::with_capacity(files.len() + derived.len());
        for (name, source) in files {
            let body = match Content::open(source, &mut room)? {
                Content::Bytes(bytes) => Body::Small(Data::bytes(bytes)),
                Content::Large(payload) => Body::Large(payload),
            };
            list.push((name, body));
        }
        let (of_files, of_content): (Vec<_>, Vec<_>) =
            derived.iter().partition(|(_, file)| file.made_of() == DerivedFrom::Files);
        let content = [0; DIGEST_BYTES];
        for (name, file) in of_content {
            let bytes = file.render(&Input { content, files: &[] })?;
            list.push((name.as_bytes().to_vec(), Body::OfContent(Data::bytes(bytes))));
            list.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        for (name, file) in of_files {
            let files: Vec<_> = list.iter().map(|(name, body)| body.describe(name)).collect();
            let longest = Data::bytes(file.render(&Input { content, files: &files })?);
            list.push((name.as_bytes().to_vec(), Body::OfFiles(longest)));
            list.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        Ok(Self { list, derived })
    }

    /// Whether any file is large, so that it goes behind the head.
    pub(super) fn has_large(&self) -> bool {
        self.list.iter().any(|(_, body)| matches!(body, Body::Large(_)))
    }

    /// Names and contents, with empty ones for the large files.
    pub(super) fn without_large(&self) -> Vec<(&[u8], Data)> {
        self.list.iter().map(|(name, body)| (name.as_slice(), body.without_large())).collect()
    }

    /// The payloads of the large files, of which something empty stays.
    pub(super) fn take_large(&mut self) -> impl Iterator<Item = Payload> {
        self.list.iter_mut().filter_map(|(_, body)| body.take_large())
    }

    /// The names.
    pub(super) fn into_names(self) -> impl Iterator<Item = Vec<u8>> {
        self.list.into_iter().map(|(name, _)| name)
    }

    /// Whether the file `name` will be there and empty.
    pub(super) fn is_empty(&self, name: &str) -> bool {
        self.list.iter().any(|(other, body)| match body {
            Body::Small(data) => other == name.as_bytes() && data.is_empty(),
            _ => false,
        })
    }

    /// The content of the file `name`, if there is one, it has at most `limit` bytes, and its first bytes are `wanted`.
    ///
    /// # Errors
    /// Its source cannot be read.
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

    /// Tells how many bytes of large files will be read.
    pub(super) fn announce(&self, progress: &mut dyn Progress) {
        let times = if self.looks_at_large_files() { 2 } else { 1 };
        for (_, body) in &self.list {
            if let Body::Large(payload) = body
                && let Some(len) = payload.len()
            {
                progress.expect(times * len);
            }
        }
    }

    fn are_made_into(&self, what: DerivedFrom) -> bool {
        self.derived.iter().any(|(_, file)| file.made_of() == what)
    }

    fn looks_at_large_files(&self) -> bool {
        self.are_made_into(DerivedFrom::Content) || self.are_made_into(DerivedFrom::Files)
    }

    /// Digests the files, where something asks for it. `read` hands the bytes of the large file of that number to its
    /// second argument.
    ///
    /// The digest behind an instance id is SHA-256 over all files by name: length and bytes of the name, length and bytes
    /// of the content, the lengths as eight bytes, little-endian. The generated file goes in as it is for a digest of
    /// zeros, the summary not at all.
    pub(super) fn look(
        &self,
        places: &[Extent],
        mut read: impl FnMut(usize, &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<()>,
    ) -> Result<Found> {
        let mut found = Found::default();
        if !self.looks_at_large_files() {
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
                if self.are_made_into(DerivedFrom::Content) {
                    content.update(piece);
                }
                if self.are_made_into(DerivedFrom::Files) {
                    alone.update(piece);
                }
                Ok(())
            })?;
            found.large.push(alone.finalize().into());
        }
        if self.are_made_into(DerivedFrom::Content) {
            found.content = content.finalize().into();
        }
        Ok(found)
    }

    /// Puts in what depends on the bytes of the files: first what is made of the content, then what describes that too.
    pub(super) fn complete(&mut self, found: &Found, places: &[Extent]) -> Result<()> {
        let derived = std::mem::take(&mut self.derived);
        let (of_files, of_content): (Vec<_>, Vec<_>) =
            derived.iter().partition(|(_, file)| file.made_of() == DerivedFrom::Files);
        for (name, file) in of_content {
            self.put(name, &file.render(&Input { content: found.content, files: &[] })?);
        }
        for (name, file) in of_files {
            let rendered =
                file.render(&Input { content: found.content, files: &self.describe(found, places)? })?;
            self.put(name, &rendered);
        }
        Ok(())
    }

    /// Gives a file that is made of others its bytes.
    fn put(&mut self, name: &str, bytes: &[u8]) {
        for (other, body) in &mut self.list {
            if matches!(body, Body::OfContent(_) | Body::OfFiles(_)) && other == name.as_bytes() {
                *body = Body::Small(Data::bytes(bytes));
            }
        }
    }

    /// Every file but those that are made of the description.
    fn describe<'a>(&'a self, found: &Found, places: &[Extent]) -> Result<Vec<Described<'a>>> {
        let mut large = places.iter().zip(&found.large);
        let mut files = Vec::with_capacity(self.list.len());
        for (name, body) in &self.list {
            files.push(match body {
                Body::OfFiles(_) => continue,
                Body::Small(data) | Body::OfContent(data) => {
                    let digest = Sha256::digest(data.as_bytes().unwrap_or_default()).into();
                    Described { name, len: data.len(), digest }
                }
                Body::Large(_) => {
                    let (place, digest) = large.next().context("there is a place for every large file")?;
                    Described { name, len: place.len, digest: *digest }
                }
            });
        }
        Ok(files)
    }

    /// Where every file is, the large ones at `places`.
    pub(super) fn placed<'a>(&'a self, places: &'a [Extent]) -> impl Iterator<Item = (&'a [u8], Place)> {
        let mut large = places.iter();
        self.list.iter().map(move |(name, body)| {
            let place = match body.data() {
                Some(data) => Place::Head(data.clone()),
                None => Place::Behind(*large.next().expect("there is a place for every large file")),
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

    /// Its data, or none for a large file: the head is as large without.
    fn without_large(&self) -> Data {
        self.data().cloned().unwrap_or_else(Data::empty)
    }

    /// The file before its bytes are known. A large one is described as larger than any, so that whether it is a file or
    /// a pipe makes no difference to the head.
    fn describe<'a>(&self, name: &'a [u8]) -> Described<'a> {
        Described { name, len: self.data().map_or(u64::MAX, Data::len), digest: [0; DIGEST_BYTES] }
    }

    /// The payload of a large file, of which something empty stays.
    fn take_large(&mut self) -> Option<Payload> {
        let Self::Large(payload) = self else { return None };
        let rest = Box::new(io::empty());
        Some(std::mem::replace(payload, Payload::Stream { label: String::new(), start: Vec::new(), rest }))
    }
}
