//! The writer of FAT volumes: lays out everything but the large files in memory, and copies each of these to its own place.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
    sync::Arc,
};

use super::{
    date::FatDate,
    format::{FILE_BYTES_MAX, LABEL_BYTES},
    geometry::Shape,
    layout::{Head, VolumeAttributes, lay_out},
    names,
};
use crate::{
    error::{Context, Error, Result, ensure},
    image::{
        AttributesByPath, Extent, Progress,
        payload::Payload,
        source::Source,
        sparse_copy::{takes_holes, write_at},
        staging::{DerivedFile, StagedFiles},
        superblocks::{self, Mark, Window, overlap},
        written::{PlacedFile, WrittenImage},
    },
};

/// Bytes in a sector, to count in memory.
const SECTOR: usize = 512;

/// A volume to write.
#[derive(Clone, Debug, Default)]
pub struct VolumeSpec {
    /// The label, at most 11 bytes of ASCII; it is stored as it is, and not in upper case.
    pub label: String,
    /// The date of everything that has no other, in seconds since 1970. What is before 1980 becomes 1980-01-01, what is after 2107
    /// the end of that year.
    pub seconds: u64,
    /// Paths and contents. A path is its components joined by `/`.
    pub files: Vec<(Vec<u8>, Source)>,
    /// Paths of files that are derived from those.
    pub derived: Vec<(&'static str, Arc<dyn DerivedFile>)>,
    /// Directories that may have no files.
    pub directories: Vec<Vec<u8>>,
    /// Dates of files and directories. FAT has no owners and modes.
    pub attributes: AttributesByPath,
    /// An old volume, whose size the new one has if the files fit. `None`: it is as small as possible.
    pub shape: Option<Shape>,
}

/// A large file, and where it goes.
type PlacedPayload = (Payload, Extent);

/// An image whose files have been opened. Errors that can be found before writing have been found.
#[derive(Debug)]
pub struct Draft {
    volume: VolumeAttributes,
    pub(in crate::image) files: StagedFiles,
}

impl Draft {
    /// Opens the sources of `spec`, and lays out the volume.
    ///
    /// # Errors
    /// Fails if a source cannot be read or is too large for FAT, or if FAT cannot store the label or a name.
    pub fn new(spec: VolumeSpec) -> Result<Self> {
        let VolumeSpec { label, seconds, files, derived, directories, attributes, shape } = spec;
        let stored: Result<[u8; LABEL_BYTES], _> = names::stored_label(&label);
        let label = stored.map_err(|why| Error::new(format!("volume label {label:?} {why}")))?;
        let paths =
            files.iter().map(|(path, _)| path.as_slice()).chain(directories.iter().map(Vec::as_slice));
        let paths = paths.chain(derived.iter().map(|(path, _)| path.as_bytes()));
        names::check(paths).map_or(Ok(()), |why| Err(Error::new(why)))?;
        let date = FatDate::of(i64::try_from(seconds).unwrap_or(i64::MAX));
        let draft = Self {
            volume: VolumeAttributes { label, date, attributes, directories, shape },
            files: StagedFiles::open(files, derived)?,
        };
        let lens = draft.files.large().map(|payload| payload.len().unwrap_or_default());
        let places: Vec<_> = lens.map(|len| Extent { offset: 0, len }).collect();
        lay_out(&draft.volume, &draft.files.placed(&places).collect::<Vec<_>>())
            .context("laying out the image")?;
        Ok(draft)
    }

    /// Writes the image to `out`, an empty file.
    ///
    /// # Errors
    /// Fails if a source cannot be read or changed meanwhile, or `out` cannot be written.
    pub fn write_to_file(self, out: &File, progress: &mut dyn Progress) -> Result<WrittenImage> {
        self.write_with(out, progress, |out, head, bytes| {
            write_at(out, 0, head)?;
            out.set_len(bytes)
        })
    }

    /// As [`Draft::write_to_file`], for a file that others may open meanwhile: the boot sector, by which it is an image, is written
    /// when everything else is there.
    ///
    /// # Errors
    /// Fails as [`Draft::write_to_file`] does. What is in `out` is then not an image.
    pub fn write_in_place(self, out: &File, progress: &mut dyn Progress) -> Result<WrittenImage> {
        self.write_with(out, progress, |out, head, bytes| {
            let (boot, rest) = head.split_at(SECTOR);
            write_at(out, SECTOR as u64, rest)?;
            out.set_len(bytes)?;
            write_at(out, 0, boot)
        })
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

    /// Writes the image to `out` from its first byte to its last, as a pipe needs it.
    ///
    /// # Errors
    /// Fails as [`Draft::write_to_file`] does.
    pub fn write_forward(self, out: &mut dyn Write, progress: &mut dyn Progress) -> Result<WrittenImage> {
        let (head, payloads, written) = self.lay_out(progress)?;
        out.write_all(&head.bytes).context("writing the image")?;
        let mut at = head.bytes.len() as u64;
        for (payload, Extent { offset, len }) in &payloads {
            write_zeros(out, offset - at).context("writing the image")?;
            payload.read(&mut |piece| out.write_all(piece), progress)?;
            at = offset + len;
        }
        write_zeros(out, written.bytes - at).and_then(|()| out.flush()).context("writing the image")?;
        Ok(written)
    }

    fn write_with(
        self,
        out: &File,
        progress: &mut dyn Progress,
        write_head: impl FnOnce(&File, &[u8], u64) -> io::Result<()>,
    ) -> Result<WrittenImage> {
        let (head, mut payloads, written) = self.lay_out(progress)?;
        for (payload, Extent { offset, .. }) in &mut payloads {
            payload.copy_to(out, *offset, progress)?;
        }
        write_head(out, &head.bytes, written.bytes).context("writing the image")?;
        Ok(written)
    }

    /// Reads what must be known before anything is written: the lengths of pipes, and digests for files that are derived from them.
    fn lay_out(mut self, progress: &mut dyn Progress) -> Result<(Head, Vec<PlacedPayload>, WrittenImage)> {
        self.files.announce(progress);
        let mut payloads = Vec::new();
        let mut places = Vec::new();
        for payload in self.files.take_large() {
            let payload = payload.keep(progress)?;
            let len = payload.len().context("a kept pipe has a length")?;
            ensure!(
                len <= FILE_BYTES_MAX,
                "{payload:?} has more than {FILE_BYTES_MAX} bytes, the most that FAT stores"
            );
            payloads.push(payload);
            places.push(Extent { offset: 0, len });
        }
        let found = self.files.digest(&places, |number, each| payloads[number].read(each, progress))?;
        self.files.render_derived(&found, &places)?;
        let files: Vec<_> = self.files.placed(&places).collect();
        let is_large: Vec<_> = files.iter().map(|(_, place)| place.is_behind()).collect();
        let head = lay_out(&self.volume, &files).context("laying out the image")?;
        drop(files);
        let large =
            head.extents.iter().zip(&is_large).filter(|(_, large)| **large).map(|(extent, _)| *extent);
        let payloads: Vec<_> = payloads.into_iter().zip(large).collect();
        let files = self.files.into_names().zip(&head.extents);
        let mut files: Vec<_> =
            files.map(|(name, extent)| PlacedFile { name, mode: None, extent: *extent }).collect();
        files.sort_by_key(|file| file.extent.offset);
        let mut written = WrittenImage { bytes: head.image_bytes, files, mistakable: None };
        let found =
            look_for_superblocks(&head, &payloads).context("looking for other file systems in the image")?;
        let files = || written.files.iter().map(|file| (file.name.as_slice(), file.extent));
        written.mistakable = found.map(|found| found.describe(files()));
        Ok((head, payloads, written))
    }
}

/// Magic bytes of ISO 9660, which this program and others look for before FAT (ECMA-119, 8.1.2).
const ISO_9660: Mark = Mark { name: "ISO 9660", offset: 16 * 2048 + 1, bytes: b"CD001", and: (0, b"") };

/// Magic bytes of another file system in directories and files, if there are any.
fn look_for_superblocks(head: &Head, payloads: &[(Payload, Extent)]) -> io::Result<Option<Mark>> {
    let in_head = Extent { offset: 0, len: head.bytes.len() as u64 };
    let others = Extent { offset: head.directories, len: in_head.len - head.directories };
    let parts: Vec<_> = [others].into_iter().chain(payloads.iter().map(|(_, extent)| *extent)).collect();
    let mut image = Window::new(head.image_bytes, |offset, bytes: &mut [u8]| {
        bytes.fill(0);
        let all = Extent { offset, len: bytes.len() as u64 };
        if let Some((at, part)) = overlap(all, in_head) {
            let count = part.len();
            bytes[part].copy_from_slice(&head.bytes[usize::try_from(at).unwrap_or_default()..][..count]);
        }
        for (payload, extent) in payloads {
            if let Some((at, part)) = overlap(all, *extent) {
                payload.read_at(at, &mut bytes[part])?;
            }
        }
        Ok(())
    });
    let mut read = |offset, bytes: &mut [u8]| image.fill(offset, bytes);
    if ISO_9660.offset + 5 <= head.image_bytes && ISO_9660.is_there(&mut read)? {
        return Ok(Some(ISO_9660));
    }
    superblocks::find(head.image_bytes, &parts, &mut read)
}

fn write_zeros(out: &mut dyn Write, count: u64) -> io::Result<()> {
    io::copy(&mut io::Read::take(io::repeat(0), count), out).map(drop)
}
