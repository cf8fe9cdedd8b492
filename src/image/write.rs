//! The writer: the head in memory, every large file at its own place.
//!
//! A large file goes to an offset that is a multiple of [`ALIGNMENT_BYTES`], after the head and in the order of the
//! files' names; the head is then told where. There is no other way through: equal files give equal bytes, wherever
//! they come from and wherever the image goes.

use std::{
    fmt,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    sync::Arc,
};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use super::{
    ALIGNMENT_BYTES, Extent, Layout, SECTOR_BYTES, SYSTEM_AREA_BYTES,
    head::{Data, Head, Place, Plan},
    layout::{DIGEST_BYTES, Instance},
    payload::{Payload, Progress, read_pieces, takes_holes, write_at},
    source::{Content, Room, Source},
    template::{self, SECTORS_MIN},
};

pub use super::template::Heads;

/// Empty sectors behind the last file, as `mkisofs -pad` writes them: readers that read ahead fail without (isoinfo).
/// hadris puts as many behind the head.
const PADDING_SECTORS: u64 = 150;

/// Bytes by which a large file's content is judged.
const BEGINNING_BYTES: u64 = 4096;

/// What a volume shall be.
#[derive(Clone, Debug)]
pub struct Volume {
    /// The volume identifier, at most 32 bytes.
    pub identifier: String,
    /// The date of the volume and of everything on it, in seconds since 1970, before the year 2156.
    pub seconds: u64,
    /// Names and contents. A name is the components of a path joined by `/`.
    pub files: Vec<(Vec<u8>, Source)>,
    /// A meta-data file to be made for this layout.
    pub instance: Option<(Layout, Instance)>,
    /// A file to be made of all others, and its name.
    pub summary: Option<(&'static str, Arc<dyn Summary>)>,
}

/// Makes a file that describes all others of an image.
pub trait Summary: fmt::Debug + Send + Sync {
    /// The file's content. How many bytes come out depends on names and sizes alone, and never falls when a size grows.
    ///
    /// # Errors
    /// The files cannot be described.
    fn render(&self, files: &[Described]) -> Result<Vec<u8>>;
}

/// A file, as [`Summary`] sees it.
#[derive(Clone, Copy, Debug)]
pub struct Described<'a> {
    /// Its name.
    pub name: &'a [u8],
    /// Bytes in it.
    pub len: u64,
    /// The SHA-256 digest of its bytes.
    pub digest: [u8; DIGEST_BYTES],
}

/// An image whose files have been looked at, and whose head has been planned: what can be wrong before writing has
/// been found.
#[derive(Debug)]
pub struct Draft {
    plan: Plan,
    files: Vec<(Vec<u8>, Body)>,
    instance: Option<(Layout, Instance)>,
    summary: Option<Arc<dyn Summary>>,
    /// Without large files the head that is written. With them what it is without, and for a digest of zeros.
    first: Head,
}

/// What a draft knows of a file's content.
#[derive(Debug)]
enum Body {
    Small(Data),
    Large(Payload),
    /// The layout's meta-data, as it is for a digest of zeros.
    Generated(Data),
    /// The file about all others, as long as it can become.
    Summary(Data),
}

/// What was found out about the contents of a draft's files.
#[derive(Default)]
struct Found {
    /// The digest behind an instance id.
    content: [u8; DIGEST_BYTES],
    /// That of each large file, where something asks for them.
    large: Vec<[u8; DIGEST_BYTES]>,
}

/// Where a file of a written image is.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Its name.
    pub name: Vec<u8>,
    /// Its bytes; an empty file has an offset of 0.
    pub extent: Extent,
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// Bytes in the image.
    pub bytes: u64,
    /// Its files, by offset.
    pub files: Vec<Placed>,
}

impl Draft {
    /// Opens the sources of `volume` and plans the head.
    ///
    /// # Errors
    /// A source cannot be read, the volume identifier does not fit, or the names do not form a tree.
    pub fn new(volume: Volume) -> Result<Self> {
        Self::with_heads(volume, None)
    }

    /// The same for one of many images: where the heads of others help to lay this one out, they are used, and this one
    /// is added to them.
    ///
    /// # Errors
    /// As [`Draft::new`].
    pub fn with_heads(volume: Volume, heads: Option<&mut Heads>) -> Result<Self> {
        let Volume { identifier, seconds, mut files, instance, summary } = volume;
        files.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut room = Room::new();
        let mut bodies = Vec::with_capacity(files.len() + 1);
        for (name, source) in files {
            let body = match source.open(&mut room)? {
                Content::Bytes(bytes) => Body::Small(Data::bytes(bytes)),
                Content::Large(payload) => Body::Large(payload),
            };
            bodies.push((name, body));
        }
        if let Some((layout, instance)) = &instance
            && let Some(bytes) = instance.render(*layout, &[0; DIGEST_BYTES])
            && let Some(name) = layout.metadata_name()
        {
            bodies.push((name.as_bytes().to_vec(), Body::Generated(Data::bytes(bytes))));
            bodies.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        let summary = match summary {
            None => None,
            Some((name, summary)) => {
                let files: Vec<_> = bodies.iter().map(|(name, body)| body.describe(name)).collect();
                let longest = Data::bytes(summary.render(&files)?);
                bodies.push((name.as_bytes().to_vec(), Body::Summary(longest)));
                bodies.sort_by(|(one, _), (other, _)| one.cmp(other));
                Some(summary)
            }
        };
        let plan = Plan::new(&identifier, seconds)?;
        let mut draft = Self { plan, files: bodies, instance, summary, first: Head::default() };
        let has_large = draft.files.iter().any(|(_, body)| matches!(body, Body::Large(_)));
        if !has_large {
            let found = draft.look(&[], |_, _| Ok(()))?;
            draft.complete(&found, &[])?;
        }
        let data: Vec<_> =
            draft.files.iter().map(|(name, body)| (name.as_slice(), body.without_large())).collect();
        draft.first = match heads {
            _ if has_large => draft
                .plan
                .lay_out(data.into_iter().map(|(name, data)| (name, Place::Head(data))), SECTORS_MIN)?,
            Some(heads) => heads.lay_out(&draft.plan, &data)?,
            None => template::lay_out(&draft.plan, &data)?,
        };
        Ok(draft)
    }

    /// What readers of some trees of the image will see otherwise than asked for, a sentence each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.first.warnings
    }

    /// Whether the file `name` will be there and empty.
    #[must_use]
    pub fn is_empty(&self, name: &str) -> bool {
        self.files.iter().any(|(other, body)| match body {
            Body::Small(data) => other == name.as_bytes() && data.is_empty(),
            _ => false,
        })
    }

    /// The content of the file `name`, if there is one, it has at most `limit` bytes, and its first bytes are `wanted`.
    ///
    /// # Errors
    /// Its source cannot be read.
    pub fn content(
        &mut self,
        name: &str,
        limit: u64,
        wanted: impl FnOnce(&[u8]) -> bool,
    ) -> Result<Option<Vec<u8>>> {
        let body = self.files.iter_mut().find(|(other, _)| other == name.as_bytes()).map(|(_, body)| body);
        match body {
            Some(Body::Small(data) | Body::Generated(data)) => {
                Ok(data.as_bytes().filter(|bytes| bytes.len() as u64 <= limit).map(<[u8]>::to_vec))
            }
            Some(Body::Large(payload)) if wanted(&payload.beginning(BEGINNING_BYTES)?) => payload.peek(limit),
            Some(Body::Large(_) | Body::Summary(_)) | None => Ok(None),
        }
    }

    /// Writes the image to `out`, an empty file. The large files come first, then the head.
    ///
    /// # Errors
    /// A source cannot be read or changed meanwhile, or `out` cannot be written.
    pub fn write_to_file(mut self, mut out: &File, progress: &mut dyn Progress) -> Result<Written> {
        let mut at = self.payload_start();
        let mut places = Vec::new();
        self.announce(progress);
        for (_, body) in &mut self.files {
            let Some(payload) = body.take_large() else { continue };
            let len = payload.place(out, at, progress)?;
            places.push(Extent { offset: at, len });
            at = (at + len).next_multiple_of(ALIGNMENT_BYTES);
        }
        let found = self.look(&places, |number, each| {
            let Extent { offset, len } = places[number];
            out.seek(SeekFrom::Start(offset))?;
            read_pieces(&mut out.take(len), each, progress)?;
            Ok(())
        })?;
        let (head, written) = self.head(&found, &places)?;
        (|| {
            // The system area stays a hole.
            write_at(out, SYSTEM_AREA_BYTES as u64, &head)?;
            out.set_len(written.bytes)
        })()
        .context("writing the image")?;
        Ok(written)
    }

    /// Writes the image to `out`, as [`Draft::write_to_file`] does where that is an empty file and as
    /// [`Draft::write_forward`] does where not. An open file stands at the end of the image afterwards.
    ///
    /// # Errors
    /// As [`Draft::write_to_file`].
    pub fn write_to_output(self, mut out: &File, progress: &mut dyn Progress) -> Result<Written> {
        if !takes_holes(out) {
            return self.write_forward(&mut out, progress);
        }
        let written = self.write_to_file(out, progress)?;
        out.seek(SeekFrom::Start(written.bytes)).context("writing the image")?;
        Ok(written)
    }

    /// What the image would be but for the bytes of its large files, of which none is read: the bytes of the head behind the
    /// system area, and where everything is. All else is zero. The summary is made for digests of zeros.
    ///
    /// # Errors
    /// A source is a pipe, or the files are too large for one image.
    pub(super) fn outline(mut self) -> Result<(Vec<u8>, Written)> {
        let mut at = self.payload_start();
        let mut places = Vec::new();
        for (_, body) in &mut self.files {
            let Some(payload) = body.take_large() else { continue };
            let len = payload.len().context("a pipe has no length")?;
            places.push(Extent { offset: at, len });
            at = (at + len).next_multiple_of(ALIGNMENT_BYTES);
        }
        let found = Found { large: vec![[0; DIGEST_BYTES]; places.len()], ..Found::default() };
        self.head(&found, &places)
    }

    /// Writes the image to `out` from its first byte to its last, which a pipe asks for.
    ///
    /// A source that is a pipe as well is first copied to a temporary file, since the head needs its length.
    ///
    /// # Errors
    /// As [`Draft::write_to_file`].
    pub fn write_forward(mut self, out: &mut dyn Write, progress: &mut dyn Progress) -> Result<Written> {
        let mut at = self.payload_start();
        let mut payloads = Vec::new();
        let mut places = Vec::new();
        self.announce(progress);
        for (_, body) in &mut self.files {
            let Some(payload) = body.take_large() else { continue };
            let payload = payload.keep(progress)?;
            let len = payload.len().context("a kept pipe has a length")?;
            payloads.push(payload);
            places.push(Extent { offset: at, len });
            at = (at + len).next_multiple_of(ALIGNMENT_BYTES);
        }
        let found = self.look(&places, |number, each| payloads[number].read(each, progress))?;
        let (head, written) = self.head(&found, &places)?;
        write_zeros(out, SYSTEM_AREA_BYTES as u64)
            .and_then(|()| out.write_all(&head))
            .context("writing the image")?;
        let mut at = (SYSTEM_AREA_BYTES + head.len()) as u64;
        for (payload, Extent { offset, len }) in payloads.iter().zip(&places) {
            write_zeros(out, offset - at).context("writing the image")?;
            payload.read(&mut |piece| out.write_all(piece), progress)?;
            at = offset + len;
        }
        write_zeros(out, written.bytes - at).and_then(|()| out.flush()).context("writing the image")?;
        Ok(written)
    }

    fn announce(&self, progress: &mut dyn Progress) {
        let times = if self.looks_at_large_files() { 2 } else { 1 };
        for (_, body) in &self.files {
            if let Body::Large(payload) = body
                && let Some(len) = payload.len()
            {
                progress.expect(times * len);
            }
        }
    }

    /// The first large file's offset. It does not depend on how long the large files are, since of a pipe nobody
    /// knows. Behind the head it leaves the padding that hadris puts there; the further records that a file of more
    /// than 4 GiB needs take it up.
    fn payload_start(&self) -> u64 {
        self.first.image_bytes.next_multiple_of(ALIGNMENT_BYTES)
    }

    fn makes_instance_id(&self) -> bool {
        self.instance.as_ref().is_some_and(|(_, instance)| instance.id.is_none())
    }

    fn looks_at_large_files(&self) -> bool {
        self.makes_instance_id() || self.summary.is_some()
    }

    /// Digests the files, where something asks for it. `read` hands the bytes of the large file of that number to its
    /// second argument.
    ///
    /// The digest behind an instance id is SHA-256 over all files by name: length and bytes of the name, length and bytes
    /// of the content, the lengths as eight bytes, little-endian. The generated file goes in as it is for a digest of
    /// zeros, the summary not at all.
    fn look(
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
        for (name, body) in &self.files {
            if matches!(body, Body::Summary(_)) {
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
                if self.makes_instance_id() {
                    content.update(piece);
                }
                if self.summary.is_some() {
                    alone.update(piece);
                }
                Ok(())
            })?;
            found.large.push(alone.finalize().into());
        }
        if self.makes_instance_id() {
            found.content = content.finalize().into();
        }
        Ok(found)
    }

    /// Puts in what depends on the bytes of the files: first the generated meta-data, then the summary, which describes
    /// that too.
    fn complete(&mut self, found: &Found, places: &[Extent]) -> Result<()> {
        if let Some((layout, instance)) = self.instance.take() {
            let rendered = instance.render(layout, &found.content).unwrap_or_default();
            for (_, body) in &mut self.files {
                if matches!(body, Body::Generated(_)) {
                    *body = Body::Small(Data::bytes(&*rendered));
                }
            }
        }
        let Some(summary) = self.summary.take() else { return Ok(()) };
        let mut large = places.iter().zip(&found.large);
        let mut files = Vec::with_capacity(self.files.len());
        for (name, body) in &self.files {
            files.push(match body {
                Body::Summary(_) => continue,
                Body::Small(data) | Body::Generated(data) => {
                    let digest = Sha256::digest(data.as_bytes().unwrap_or_default()).into();
                    Described { name, len: data.len(), digest }
                }
                Body::Large(_) => {
                    let (place, digest) = large.next().context("there is a place for every large file")?;
                    Described { name, len: place.len, digest: *digest }
                }
            });
        }
        let rendered = summary.render(&files)?;
        for (_, body) in &mut self.files {
            if matches!(body, Body::Summary(_)) {
                *body = Body::Small(Data::bytes(&*rendered));
            }
        }
        Ok(())
    }

    /// The bytes of the head behind the system area with the large files at `places`, and where everything is.
    fn head(mut self, found: &Found, places: &[Extent]) -> Result<(Vec<u8>, Written)> {
        let start = self.payload_start();
        let end = match places.last() {
            Some(last) => (last.offset + last.len).div_ceil(SECTOR_BYTES) + PADDING_SECTORS,
            None => self.first.image_bytes / SECTOR_BYTES,
        };
        let sectors = end.next_multiple_of(ALIGNMENT_BYTES / SECTOR_BYTES);
        let mut head = std::mem::take(&mut self.first);
        if !places.is_empty() {
            drop(head);
            self.complete(found, places)?;
            head = self.plan.lay_out(self.placed(places), sectors).context("laying out the image")?;
        }
        ensure!(
            head.image_bytes == sectors * SECTOR_BYTES
                && (SYSTEM_AREA_BYTES + head.bytes.len()) as u64 <= start,
            "laying out the image: its files are too large for one image",
        );
        let files = self.files.into_iter().zip(head.extents);
        let mut files: Vec<_> = files.map(|((name, _), extent)| Placed { name, extent }).collect();
        files.sort_by_key(|file| file.extent.offset);
        Ok((head.bytes, Written { bytes: head.image_bytes, files }))
    }

    /// Where every file is, the large ones at `places`.
    fn placed<'a>(&'a self, places: &'a [Extent]) -> impl Iterator<Item = (&'a [u8], Place)> {
        let mut large = places.iter();
        self.files.iter().map(move |(name, body)| {
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
            Self::Small(data) | Self::Generated(data) | Self::Summary(data) => Some(data),
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

fn write_zeros(out: &mut dyn Write, count: u64) -> io::Result<()> {
    io::copy(&mut io::repeat(0).take(count), out).map(drop)
}
