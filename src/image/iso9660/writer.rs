//! The writer: lays out the head in memory, and copies every large file to its own place.
//!
//! Large files follow the head in the order of their names, each at a multiple of [`ALIGNMENT_BYTES`], or of 64 KiB if it has a
//! mebibyte or more; then the head is written with their places. Equal files always give equal bytes, wherever they come from
//! and wherever the image goes.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    os::unix::fs::FileExt,
    sync::Arc,
};

use crate::error::{Context, Error, Result, ensure};
use rustix::io::Errno;

use super::{
    device::PADDING_SECTORS,
    layout::{ImageHead, VolumeAttributes},
    layout_cache::{self, SECTORS_MIN},
    renaming,
    volume_format::VolumeFormat,
};
use crate::image::{
    ALIGNMENT_BYTES, DIGEST_BYTES, Extent, LONG_ALIGNMENT_BYTES, LONG_BYTES, Progress, SECTOR_BYTES,
    SYSTEM_AREA_BYTES,
    payload::Payload,
    source::Source,
    sparse_copy::{read_pieces, takes_holes, write_at},
    staging::{FilePlace, FoundDigests, StagedFiles},
    superblocks::{self, Window, overlap},
};
use crate::output::temporary::uninterrupted_at_last;

pub use super::layout_cache::LayoutCache;
pub use crate::image::{
    staging::{DerivedFile, DerivedFrom, DerivedInput, DescribedFile},
    written::{PlacedFile, WrittenImage},
};

/// Bytes in a sector, to count in memory.
const SECTOR: usize = 2048;

/// A volume to write.
#[derive(Clone, Debug)]
pub struct VolumeSpec {
    /// The volume identifier, at most 32 bytes.
    pub identifier: String,
    /// The date of the volume, and of everything on it that has no other, in seconds since 1970, before the year 2156.
    pub seconds: u64,
    /// Paths and contents. A path is its components joined by `/`.
    pub files: Vec<(Vec<u8>, Source)>,
    /// Paths of files that are derived from those. No other file is derived from one that is itself derived from
    /// [`DerivedFrom::Files`].
    pub derived: Vec<(&'static str, Arc<dyn DerivedFile>)>,
    /// Its trees, its names, and what it says about each file.
    pub format: VolumeFormat,
}

/// An image whose files have been opened and whose head has been laid out. Errors that can be found before writing have been
/// found.
#[derive(Debug)]
pub struct Draft {
    volume: VolumeAttributes,
    pub(in crate::image) files: StagedFiles,
    /// If there are no large files, the head that is written. Otherwise the head without them, and for digests of zeros.
    first: ImageHead,
}

impl Draft {
    /// Opens the sources of `spec` and lays out the head.
    ///
    /// # Errors
    /// Fails if a source cannot be read, the volume identifier is too long, or the paths do not form a tree.
    pub fn new(spec: VolumeSpec) -> Result<Self> {
        Self::with_cache(spec, None)
    }

    /// As [`Draft::new`], for one of many images: its head is made from one in `cache` where possible, and added to it
    /// otherwise.
    ///
    /// # Errors
    /// Fails as [`Draft::new`] does.
    pub fn with_cache(spec: VolumeSpec, cache: Option<&mut LayoutCache>) -> Result<Self> {
        let VolumeSpec { identifier, seconds, files, derived, format } = spec;
        if format.primary_names.is_some() {
            // A recipe has been checked before.
            let others = format.others.iter().map(|(path, _)| path.as_slice());
            renaming::check(files.iter().map(|(path, _)| path.as_slice()).chain(others))
                .map_err(Error::new)?;
        }
        let mut files = StagedFiles::open(files, derived)?;
        let volume = VolumeAttributes::new(&identifier, seconds, format)?;
        let has_large = files.has_large();
        if !has_large {
            let found = files.digest(&[], |_, _| Ok(()))?;
            files.render_derived(&found, &[])?;
        }
        let data = files.without_large();
        let first = match cache {
            _ if has_large => volume
                .lay_out(data.into_iter().map(|(name, data)| (name, FilePlace::Head(data))), SECTORS_MIN)?,
            Some(cache) => cache.lay_out(&volume, &data)?,
            None => layout_cache::lay_out(&volume, &data)?,
        };
        Ok(Self { volume, files, first })
    }

    /// Names that readers of some trees of the image will see differently, a sentence each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.first.warnings
    }

    /// Writes the image to `out`, an empty file: first the large files, then the head.
    ///
    /// # Errors
    /// Fails if a source cannot be read or changed meanwhile, or `out` cannot be written.
    pub fn write_to_file(self, out: &File, progress: &mut dyn Progress) -> Result<WrittenImage> {
        self.write_with(out, progress, |out, head, bytes| {
            // The system area stays a hole.
            write_at(out, SYSTEM_AREA_BYTES as u64, head)?;
            out.set_len(bytes)
        })
    }

    /// As [`Draft::write_to_file`], for a file that others may open meanwhile: the descriptors, by which it is an image, are written
    /// when everything else is there. The program writes no other file afterwards.
    ///
    /// # Errors
    /// Fails as [`Draft::write_to_file`] does. What is in `out` is then not an image.
    pub fn write_in_place(self, out: &File, progress: &mut dyn Progress) -> Result<WrittenImage> {
        self.write_with(out, progress, |out, head, bytes| {
            const TERMINATOR: u8 = 255;
            let sectors = head.chunks(SECTOR);
            let before = sectors.take_while(|sector| sector[0] != TERMINATOR).count();
            let (descriptors, rest) = head.split_at(before * SECTOR);
            write_at(out, (SYSTEM_AREA_BYTES + descriptors.len()) as u64, rest)?;
            out.set_len(bytes)?;
            uninterrupted_at_last(|| write_at(out, SYSTEM_AREA_BYTES as u64, descriptors))
        })
    }

    /// Writes the large files to `out`, then the head by `write_head`, which gets the bytes after the system area, and the size of the
    /// image.
    fn write_with(
        mut self,
        mut out: &File,
        progress: &mut dyn Progress,
        write_head: impl FnOnce(&File, &[u8], u64) -> io::Result<()>,
    ) -> Result<WrittenImage> {
        let mut at = self.payload_start();
        let mut places = Vec::new();
        self.files.announce(progress);
        let mut payloads: Vec<_> = self.files.take_large().collect();
        for payload in &mut payloads {
            let offset = offset_for(payload, at)?;
            let len = payload.copy_to(out, offset, progress)?;
            places.push(Extent { offset, len });
            at = offset + len;
        }
        let found = self.files.digest(&places, |number, each| {
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
        write_head(out, &head, written.bytes).context("writing the image")?;
        Ok(written)
    }

    /// Writes the image to `out`: as [`Draft::write_in_place`] does if that is an empty file, otherwise as
    /// [`Draft::write_forward`] does. The file is at the end of the image afterwards.
    ///
    /// # Errors
    /// Fails as [`Draft::write_to_file`] does. The file is then empty again.
    pub fn write_to_output(self, mut out: &File, progress: &mut dyn Progress) -> Result<WrittenImage> {
        if !takes_holes(out) {
            return self.write_forward(&mut out, progress);
        }
        let written = self.write_in_place(out, progress).inspect_err(|_| {
            // Whoever has opened the file finds no half of an image. There is nothing left to try.
            drop(out.set_len(0));
        })?;
        out.seek(SeekFrom::Start(written.bytes)).context("writing the image")?;
        Ok(written)
    }

    /// The size of the image in bytes.
    ///
    /// # Errors
    /// Fails if a source is a pipe, or the files are too large for one image.
    pub fn size(self) -> Result<u64> {
        self.outline().map(|(_, written)| written.bytes)
    }

    /// The image without the bytes of its large files, which are not read: the bytes of the head after the system area, and where
    /// every file is. All else is zeros. Derived files are made for digests of zeros.
    ///
    /// # Errors
    /// Fails if a source is a pipe, or the files are too large for one image.
    pub(super) fn outline(mut self) -> Result<(Vec<u8>, WrittenImage)> {
        let mut at = self.payload_start();
        let mut places = Vec::new();
        for mut payload in self.files.take_large() {
            let offset = offset_for(&mut payload, at)?;
            let len = payload.len().context("a pipe has no length")?;
            places.push(Extent { offset, len });
            at = offset + len;
        }
        self.head(&FoundDigests::zeros(places.len()), &places)
    }

    /// Writes the image to `out` from its first byte to its last, as a pipe needs it.
    ///
    /// A source that is itself a pipe is first copied to a temporary file, since the head needs its length.
    ///
    /// # Errors
    /// Fails as [`Draft::write_to_file`] does.
    pub fn write_forward(mut self, out: &mut dyn Write, progress: &mut dyn Progress) -> Result<WrittenImage> {
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
        let found = self.files.digest(&places, |number, each| payloads[number].read(each, progress))?;
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

    /// Where the first large file may begin. It does not depend on the lengths of the large files, since that of a pipe is
    /// unknown. The head is followed by hadris's padding; the additional records of a file of more than 4 GiB fit in there.
    fn payload_start(&self) -> u64 {
        self.first.image_bytes.next_multiple_of(ALIGNMENT_BYTES)
    }

    /// The bytes of the head after the system area, with the large files at `places`, and where every file is.
    fn head(mut self, found: &FoundDigests, places: &[Extent]) -> Result<(Vec<u8>, WrittenImage)> {
        let start = self.payload_start();
        let end = match places.last() {
            Some(last) => (last.offset + last.len).div_ceil(SECTOR_BYTES) + PADDING_SECTORS,
            None => self.first.image_bytes / SECTOR_BYTES,
        };
        let sectors = end.next_multiple_of(self.volume.size_unit() / SECTOR_BYTES);
        let mut head = std::mem::take(&mut self.first);
        if !places.is_empty() {
            drop(head);
            self.files.render_derived(found, places)?;
            head = self.volume.lay_out(self.files.placed(places), sectors).context("laying out the image")?;
        }
        ensure!(
            head.image_bytes == sectors * SECTOR_BYTES
                && (SYSTEM_AREA_BYTES + head.bytes.len()) as u64 <= start,
            "laying out the image: the files are too large for one image",
        );
        let files = self.files.into_names().zip(head.extents);
        let with_mode = |(name, extent): (Vec<u8>, Extent)| PlacedFile {
            mode: Some(self.volume.file_mode(&name)),
            name,
            extent,
        };
        let mut files: Vec<_> = files.map(with_mode).collect();
        files.sort_by_key(|file| file.extent.offset);
        Ok((head.bytes, WrittenImage { bytes: head.image_bytes, files, mistakable: None }))
    }
}

impl WrittenImage {
    /// Sets [`WrittenImage::mistakable`]. `head`: what follows the system area; `places`: where the large files are; `read` fills a
    /// buffer with bytes of the large file of a number, from an offset in it on.
    fn look_for_superblocks(
        &mut self,
        head: &[u8],
        places: &[Extent],
        mut read: impl FnMut(usize, u64, &mut [u8]) -> io::Result<()>,
    ) -> Result<()> {
        let head_extent = Extent { offset: SYSTEM_AREA_BYTES as u64, len: head.len() as u64 };
        let parts = joined_with_gaps(std::iter::once(head_extent).chain(places.iter().copied()));
        let mut large = Window::new(self.bytes, |offset, bytes: &mut [u8]| {
            bytes.fill(0);
            let all = Extent { offset, len: bytes.len() as u64 };
            let first = places.partition_point(|place| place.offset + place.len <= offset);
            let end = offset + all.len;
            let further = places.iter().enumerate().skip(first);
            for (number, place) in further.take_while(|(_, place)| place.offset < end) {
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
        self.mistakable = found.map(|found| found.describe(files()));
        Ok(())
    }
}

/// The digest of the content of an image with these files, none of them from a pipe: what an instance ID is made from.
///
/// # Errors
/// Fails if a source cannot be read.
pub fn content_digest(spec: VolumeSpec, progress: &mut dyn Progress) -> Result<[u8; DIGEST_BYTES]> {
    let mut files = StagedFiles::open(spec.files, spec.derived)?;
    let payloads: Vec<_> = files.take_large().collect();
    let lens = payloads.iter().map(|payload| payload.len().context("a pipe has no length"));
    let places = lens.map(|len| Ok(Extent { offset: 0, len: len? })).collect::<Result<Vec<_>>>()?;
    Ok(files.digest(&places, |number, each| payloads[number].read(each, progress))?.content())
}

/// Fills `bytes` with those of `out` from `offset` on. What is not written yet is zeros. So is everything if `out` is open for
/// writing only, as standard output often is.
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

/// Extents that are in order, as few larger ones: those with a short gap between them, which is zeros, become one.
fn joined_with_gaps(extents: impl Iterator<Item = Extent>) -> Vec<Extent> {
    let mut joined = Vec::<Extent>::new();
    for extent in extents {
        match joined.last_mut() {
            Some(last) if extent.offset < last.offset + last.len + LONG_ALIGNMENT_BYTES => {
                last.len = extent.offset + extent.len - last.offset;
            }
            _ => joined.push(extent),
        }
    }
    joined
}

/// The first offset from `at` on where a large file may begin. Whether a pipe is long is found out by reading its start.
fn offset_for(payload: &mut Payload, at: u64) -> Result<u64> {
    let alignment = if payload.reaches(LONG_BYTES)? { LONG_ALIGNMENT_BYTES } else { ALIGNMENT_BYTES };
    Ok(at.next_multiple_of(alignment))
}

fn write_zeros(out: &mut dyn Write, count: u64) -> io::Result<()> {
    io::copy(&mut io::repeat(0).take(count), out).map(drop)
}
