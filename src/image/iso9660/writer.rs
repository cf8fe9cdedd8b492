//! The writer: the head in memory, every large file at its own place.
//!
//! A large file goes to an offset that is a multiple of [`ALIGNMENT_BYTES`], one of a mebibyte or more to a multiple of
//! 64 KiB, after the head and in the order of the files' names; the head is then told where. There is no other way through:
//! equal files give equal bytes, wherever they come from and wherever the image goes.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    ops::Range,
    os::unix::fs::FileExt,
    sync::Arc,
};

use crate::error::{Context, Result, ensure};
use rustix::io::Errno;

use super::{
    layout::{Head, Place, Plan},
    layout_cache::{self, SECTORS_MIN},
    staging::{Files, Found},
};
use crate::image::{
    ALIGNMENT_BYTES, Extent, LONG_ALIGNMENT_BYTES, LONG_BYTES, Progress, SECTOR_BYTES, SYSTEM_AREA_BYTES,
    payload::Payload,
    source::Source,
    sparse_copy::{read_pieces, takes_holes, write_at},
    superblocks::{self, Window},
};

pub use super::{
    layout_cache::Heads,
    staging::{DerivedFile, DerivedFrom, Described, Input},
};

/// Empty sectors behind the last file, as `mkisofs -pad` writes them: readers that read ahead fail without (isoinfo).
/// hadris puts as many behind the head.
const PADDING_SECTORS: u64 = 150;

/// What a volume shall be.
#[derive(Clone, Debug)]
pub struct Volume {
    /// The volume identifier, at most 32 bytes.
    pub identifier: String,
    /// The date of the volume and of everything on it, in seconds since 1970, before the year 2156.
    pub seconds: u64,
    /// Names and contents. A name is the components of a path joined by `/`.
    pub files: Vec<(Vec<u8>, Source)>,
    /// Files to be made of those, and their names. No other is made of what is made of [`DerivedFrom::Files`].
    pub derived: Vec<(&'static str, Arc<dyn DerivedFile>)>,
}

/// An image whose files have been looked at, and whose head has been planned: what can be wrong before writing has
/// been found.
#[derive(Debug)]
pub struct Draft {
    plan: Plan,
    files: Files,
    /// Without large files the head that is written. With them what it is without, and for a digest of zeros.
    first: Head,
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
    /// Why other programs may take the image for something else than ISO 9660, a sentence. Where the image went to a file
    /// that cannot be read back, what large files from a pipe hold is not known.
    pub mistakable: Option<String>,
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
        let Volume { identifier, seconds, files, derived } = volume;
        let mut files = Files::open(files, derived)?;
        let plan = Plan::new(&identifier, seconds)?;
        let has_large = files.has_large();
        if !has_large {
            let found = files.look(&[], |_, _| Ok(()))?;
            files.complete(&found, &[])?;
        }
        let data = files.without_large();
        let first = match heads {
            _ if has_large => {
                plan.lay_out(data.into_iter().map(|(name, data)| (name, Place::Head(data))), SECTORS_MIN)?
            }
            Some(heads) => heads.lay_out(&plan, &data)?,
            None => layout_cache::lay_out(&plan, &data)?,
        };
        Ok(Self { plan, files, first })
    }

    /// What readers of some trees of the image will see otherwise than asked for, a sentence each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.first.warnings
    }

    /// Whether the file `name` will be there and empty.
    #[must_use]
    pub fn is_empty(&self, name: &str) -> bool {
        self.files.is_empty(name)
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
        self.files.content(name, limit, wanted)
    }

    /// Writes the image to `out`, an empty file. The large files come first, then the head.
    ///
    /// # Errors
    /// A source cannot be read or changed meanwhile, or `out` cannot be written.
    pub fn write_to_file(mut self, mut out: &File, progress: &mut dyn Progress) -> Result<Written> {
        let mut at = self.payload_start();
        let mut places = Vec::new();
        self.files.announce(progress);
        let mut payloads: Vec<_> = self.files.take_large().collect();
        for payload in &mut payloads {
            let offset = offset_for(payload, at)?;
            let len = payload.place(out, offset, progress)?;
            places.push(Extent { offset, len });
            at = offset + len;
        }
        let found = self.files.look(&places, |number, each| {
            let Extent { offset, len } = places[number];
            out.seek(SeekFrom::Start(offset))?;
            read_pieces(&mut out.take(len), each, progress)?;
            Ok(())
        })?;
        let (head, mut written) = self.head(&found, &places)?;
        written.look_for_superblocks(&head, &places, |number, at, bytes| match &payloads[number] {
            Payload::Stream { .. } => read_back(out, places[number].offset + at, bytes),
            // The system often has it in memory, where an image that shares its blocks would be read from the disk.
            payload => payload.read_at(at, bytes),
        })?;
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
        for mut payload in self.files.take_large() {
            let offset = offset_for(&mut payload, at)?;
            let len = payload.len().context("a pipe has no length")?;
            places.push(Extent { offset, len });
            at = offset + len;
        }
        self.head(&Found::zeros(places.len()), &places)
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
        self.files.announce(progress);
        for payload in self.files.take_large() {
            let mut payload = payload.keep(progress)?;
            let offset = offset_for(&mut payload, at)?;
            let len = payload.len().context("a kept pipe has a length")?;
            payloads.push(payload);
            places.push(Extent { offset, len });
            at = offset + len;
        }
        let found = self.files.look(&places, |number, each| payloads[number].read(each, progress))?;
        let (head, mut written) = self.head(&found, &places)?;
        written
            .look_for_superblocks(&head, &places, |number, at, bytes| payloads[number].read_at(at, bytes))?;
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

    /// Where the first large file may begin. It does not depend on how long the large files are, since of a pipe nobody
    /// knows. Behind the head it leaves the padding that hadris puts there; the further records that a file of more
    /// than 4 GiB needs take it up.
    fn payload_start(&self) -> u64 {
        self.first.image_bytes.next_multiple_of(ALIGNMENT_BYTES)
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
            self.files.complete(found, places)?;
            head = self.plan.lay_out(self.files.placed(places), sectors).context("laying out the image")?;
        }
        ensure!(
            head.image_bytes == sectors * SECTOR_BYTES
                && (SYSTEM_AREA_BYTES + head.bytes.len()) as u64 <= start,
            "laying out the image: its files are too large for one image",
        );
        let files = self.files.into_names().zip(head.extents);
        let mut files: Vec<_> = files.map(|(name, extent)| Placed { name, extent }).collect();
        files.sort_by_key(|file| file.extent.offset);
        Ok((head.bytes, Written { bytes: head.image_bytes, files, mistakable: None }))
    }
}

impl Written {
    /// Finds out what else the image may be taken for. `head` is what follows the system area; `read` gives bytes of the large
    /// file of a number, from an offset in it on, and `places` has where these are.
    fn look_for_superblocks(
        &mut self,
        head: &[u8],
        places: &[Extent],
        mut read: impl FnMut(usize, u64, &mut [u8]) -> io::Result<()>,
    ) -> Result<()> {
        let head_extent = Extent { offset: SYSTEM_AREA_BYTES as u64, len: head.len() as u64 };
        let parts = [&[head_extent], places].concat();
        let mut large = Window::new(self.bytes, |offset, bytes: &mut [u8]| {
            bytes.fill(0);
            let all = Extent { offset, len: bytes.len() as u64 };
            for (number, place) in places.iter().enumerate() {
                if let Some((at, part)) = overlap(all, *place) {
                    read(number, at, &mut bytes[part])?;
                }
            }
            Ok(())
        });
        let found = superblocks::find(self.bytes, &parts, &mut |offset, bytes| {
            if places.is_empty() {
                bytes.fill(0);
            } else {
                large.fill(offset, bytes)?;
            }
            let all = Extent { offset, len: bytes.len() as u64 };
            if let Some((at, part)) = overlap(all, head_extent) {
                let count = part.len();
                bytes[part].copy_from_slice(&head[usize::try_from(at).unwrap_or_default()..][..count]);
            }
            Ok(())
        });
        let found = found.context("looking for other file systems in the image")?;
        let files = || self.files.iter().map(|file| (file.name.as_slice(), file.extent));
        self.mistakable = found.map(|found| found.tell(files()));
        Ok(())
    }
}

/// Fills `bytes` with those of `out` from `offset` on. What is not written yet is zero, and so is what cannot be read, where
/// `out` is open for writing only, as standard output often is.
fn read_back(out: &File, mut offset: u64, mut bytes: &mut [u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match out.read_at(bytes, offset) {
            Ok(0) => break,
            Ok(read) => {
                bytes = &mut bytes[read..];
                offset += read as u64;
            }
            Err(error) if error.raw_os_error() == Some(Errno::BADF.raw_os_error()) => break,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.fill(0);
    Ok(())
}

/// The part of `bytes` that is in `place`: where it begins in that, and what it is of `bytes`.
fn overlap(bytes: Extent, place: Extent) -> Option<(u64, Range<usize>)> {
    let start = bytes.offset.max(place.offset);
    let end = (bytes.offset + bytes.len).min(place.offset + place.len);
    let index = |at: u64| usize::try_from(at - bytes.offset).ok();
    (start < end).then_some(())?;
    Some((start - place.offset, index(start)?..index(end)?))
}

/// The offset of a large file of which nothing may be in front of `at`. Whether it is long is known of a pipe as well.
fn offset_for(payload: &mut Payload, at: u64) -> Result<u64> {
    let alignment = if payload.reaches(LONG_BYTES)? { LONG_ALIGNMENT_BYTES } else { ALIGNMENT_BYTES };
    Ok(at.next_multiple_of(alignment))
}

fn write_zeros(out: &mut dyn Write, count: u64) -> io::Result<()> {
    io::copy(&mut io::repeat(0).take(count), out).map(drop)
}
