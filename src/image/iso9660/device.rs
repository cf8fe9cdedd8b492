//! The head of an image in memory, for hadris, and an image file that is read within bounds.

use std::{
    convert::Infallible,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

use hadris_io::{Error, ErrorKind, ErrorType};
use hadris_iso::Detail;
use hadris_storage::{BlockIndex, BlockSize, sync::BlockDevice};

use crate::{
    error::{self, error},
    image::{SECTOR_BYTES, SYSTEM_AREA_BYTES},
};

/// How many empty sectors follow the last file, as `mkisofs -pad` writes them: readers that read ahead fail without them
/// (isoinfo). hadris writes as many after the head.
pub(super) const PADDING_SECTORS: u64 = 150;

/// Bytes of a sector.
const SECTOR_LEN: usize = 2048;

const SECTOR: BlockSize = match BlockSize::new(2048) {
    Some(size) => size,
    None => unreachable!(),
};

/// The head of an image, after the system area: descriptors, directories, small files and path tables.
///
/// It grows as it is written. The system area is zeros (ECMA-119, 6.2.1). Neither it nor the zeros at the end are stored: the
/// image file has holes there.
#[derive(Debug, Default)]
pub(super) struct HeadDevice {
    bytes: Vec<u8>,
}

impl HeadDevice {
    /// A head that begins with `bytes`, a whole number of sectors, after the system area.
    pub(super) fn new(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

impl ErrorType for HeadDevice {
    type Error = Infallible;
}

impl BlockDevice for HeadDevice {
    fn block_size(&self) -> BlockSize {
        SECTOR
    }

    fn block_count(&self) -> u64 {
        (SYSTEM_AREA_BYTES + self.bytes.len()) as u64 / SECTOR_BYTES
    }

    fn max_block_count(&self) -> u64 {
        u64::MAX
    }

    fn writable(&self) -> bool {
        true
    }

    fn read_blocks(&mut self, first: BlockIndex, buf: &mut [u8]) -> Result<(), Error<Infallible>> {
        let start = position(first).ok_or(ErrorKind::InvalidInput)?;
        let (zeros, buf) = buf.split_at_mut(SYSTEM_AREA_BYTES.saturating_sub(start).min(buf.len()));
        zeros.fill(0);
        let start = start.saturating_sub(SYSTEM_AREA_BYTES);
        let stored = start.checked_add(buf.len()).and_then(|end| self.bytes.get(start..end));
        buf.copy_from_slice(stored.ok_or(ErrorKind::InvalidInput)?);
        Ok(())
    }

    fn write_blocks(&mut self, first: BlockIndex, data: &[u8]) -> Result<(), Error<Infallible>> {
        let start = position(first).ok_or(ErrorKind::InvalidInput)?;
        // hadris writes zeros to the system area, except for bootable images.
        let data = &data[SYSTEM_AREA_BYTES.saturating_sub(start).min(data.len())..];
        let start = start.saturating_sub(SYSTEM_AREA_BYTES);
        let end = start + data.len();
        if self.bytes.len() < end {
            if start >= self.bytes.len() && is_padding(data) {
                return Ok(());
            }
            self.bytes.resize(end, 0);
        }
        self.bytes[start..end].copy_from_slice(data);
        Ok(())
    }
}

/// Whether `data`, behind all that has been written, is padding, which is zeros.
///
/// hadris writes its padding as one piece, and contents of files in smaller ones (3.0.0-rc.2; the test
/// `a_file_that_begins_with_zeros_is_not_padding` fails when that changes). Nobody has touched the memory of the padding yet: to
/// read all of it would cost 75 page faults, a third of those of a small `create`. So only its ends are read.
fn is_padding(data: &[u8]) -> bool {
    const ZEROS: [u8; SECTOR_LEN] = [0; SECTOR_LEN];
    let is_zeros = |data: &[u8]| data.chunks(SECTOR_LEN).all(|sector| sector == &ZEROS[..sector.len()]);
    if data.len() as u64 == PADDING_SECTORS * SECTOR_BYTES {
        is_zeros(&data[..SECTOR_LEN]) && is_zeros(&data[data.len() - SECTOR_LEN..])
    } else {
        is_zeros(data)
    }
}

fn position(block: BlockIndex) -> Option<usize> {
    block.get().checked_mul(SECTOR_BYTES)?.try_into().ok()
}

/// The most bytes of descriptors and directories that are read from one image before it counts as hostile.
///
/// The files that are listed at most take up to five sectors each, which is 160 MiB in all. Sectors that are in memory already
/// count too, so that a few sectors that many directories or entries share do not take unlimited time.
const BUDGET_BYTES_MAX: u64 = 256 << 20;

/// How many times each byte of an image may be read on average, so that the time for a small image grows with its length. A
/// sector has at most 60 records, each of which is read about four times.
const BUDGET_FACTOR: u64 = 512;

pub(super) const NOT_AN_IMAGE: &str = "not an ISO 9660 or FAT image";

const CUT_OFF: &str = "the image is cut off, or refers to a place past its end";

/// How many sectors are kept in memory: those of a small directory, of the one above it, and of the descriptors.
const KEPT_SECTORS_MAX: usize = 16;

/// Bytes of a sector.
pub(super) type Sector = Box<[u8; SECTOR.get() as usize]>;

/// An image file or block device to read descriptors and directories from.
///
/// hadris reads a sector or a little more at a time. What it reads in all is bounded, so that no image can keep it busy for
/// long. File contents are read from [`Bounded::file`], and do not count.
#[derive(Debug)]
pub(super) struct Bounded {
    file: File,
    len: u64,
    budget: u64,
    /// Sectors by number, the one that was read last first.
    kept: Vec<(u64, Sector)>,
}

impl Bounded {
    /// `file` with its length, which a block device reveals only by a seek.
    pub(super) fn new(mut file: File) -> io::Result<Self> {
        let len = file.seek(SeekFrom::End(0))?;
        let budget = len.saturating_mul(BUDGET_FACTOR).min(BUDGET_BYTES_MAX);
        Ok(Self { file, len, budget, kept: Vec::new() })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Bytes in the file or on the device.
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Copies the start of a sector to `out`.
    fn copy_sector(&mut self, number: u64, out: &mut [u8]) -> io::Result<()> {
        let sector = self.sector(number)?;
        out.copy_from_slice(&sector[..out.len()]);
        Ok(())
    }

    /// The sector of this number.
    pub(super) fn sector(&mut self, number: u64) -> io::Result<&Sector> {
        self.budget = self
            .budget
            .checked_sub(SECTOR_BYTES)
            .ok_or_else(|| io::Error::other("the directories are too large to read"))?;
        if let Some(at) = self.kept.iter().position(|(kept, _)| *kept == number) {
            self.kept[..=at].rotate_right(1);
        } else {
            let oldest = if self.kept.len() < KEPT_SECTORS_MAX { None } else { self.kept.pop() };
            let mut sector = oldest.map_or_else(|| Box::new([0; _]), |(_, sector)| sector);
            self.read(number, &mut sector)?;
            self.kept.insert(0, (number, sector));
        }
        Ok(&self.kept[0].1)
    }

    /// Reads a whole sector: a directory that is cut off would seem to have fewer files.
    fn read(&mut self, number: u64, sector: &mut Sector) -> io::Result<()> {
        let offset = number.checked_mul(SECTOR_BYTES).ok_or(io::ErrorKind::InvalidInput)?;
        if self.len.saturating_sub(offset) < SECTOR_BYTES {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, CUT_OFF));
        }
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.read_exact(&mut sector[..])
    }
}

impl ErrorType for Bounded {
    type Error = io::Error;
}

impl BlockDevice for Bounded {
    fn block_size(&self) -> BlockSize {
        SECTOR
    }

    // A last, partial sector counts: `linuxkit metadata create` writes one, with the end of a file.
    fn block_count(&self) -> u64 {
        self.len.div_ceil(SECTOR_BYTES)
    }

    fn read_blocks(&mut self, first: BlockIndex, buf: &mut [u8]) -> Result<(), Error<io::Error>> {
        let mut sectors = (first.get()..).zip(buf.chunks_mut(SECTOR.get() as usize));
        let read = sectors.try_for_each(|(number, out)| self.copy_sector(number, out));
        read.map_err(|error| Error::device(error, "reading the image"))
    }
}

/// What hadris found wrong, without where in its own terms.
pub(super) fn broken(error: Error<io::Error>) -> error::Error {
    if error.kind() == ErrorKind::NotRecognized {
        return error!(NOT_AN_IMAGE).of_kind(error::ErrorKind::NotAnImage);
    }
    let failure = match Detail::of(&error) {
        Some(Detail::OutsideImage) => error!(CUT_OFF).of_kind(error::ErrorKind::Truncated),
        _ => error!(error.message()),
    };
    error.into_device_error().map_or(failure, Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_at_grows_with_the_image_and_has_an_end() {
        let looks = |len: u64| {
            let file = crate::output::atomic_file::unnamed_temporary().unwrap();
            file.set_len(len).unwrap();
            let mut device = Bounded::new(file).unwrap();
            let mut sector = [0; 2048];
            let read = |_: &u64| device.read_blocks(BlockIndex::new(17), &mut sector).is_ok();
            (0..=BUDGET_BYTES_MAX).take_while(read).count() as u64
        };
        assert_eq!(looks(64 << 10), 16_384);
        assert_eq!(looks(256 << 10), 4 * 16_384);
        assert_eq!(looks(1 << 40), BUDGET_BYTES_MAX / SECTOR_BYTES);
    }
}
