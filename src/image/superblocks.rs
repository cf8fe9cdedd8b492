//! Finds bytes in an image that make other programs mistake it for something other than ISO 9660.
//!
//! blkid, and with it udev, systemd and `mount -t auto`, searches fixed places for the magic bytes of many file systems, RAID
//! members, encrypted disks and partition tables, most of them before ISO 9660. Windows and 7-Zip search for UDF first. A file
//! on an image may have such bytes at such a place, by accident or on purpose.
//!
//! The table has the magic bytes of libblkid 2.38.1, as read from the library, and those that later versions added, as far as
//! others can choose the bytes at their places: file contents, and names in directories. These begin after the descriptors; what
//! precedes the descriptors, and gaps, are checked to be zeros. Magic bytes count by themselves, although most programs also
//! check the fields around them. So this finds more than they do.
//!
//! Places counted from the end are those of an image that is as long as its device. On a longer device they are elsewhere, and a
//! signature is not accepted there.
//!
//! Sources: libblkid of util-linux, `libblkid/src/superblocks/*.c` and `libblkid/src/partitions/*.c`; ECMA-167, 3/8.4.2.1 (UDF's
//! anchors).

mod system_area;
mod table;

use std::{fmt, io, ops::Range, os::unix::fs::FileExt};

use crate::error::{Result, error};

use super::superblocks::table::{Marks, TABLE};
use super::{Extent, Image, Kind, Record};

/// The most magic bytes in one place.
const MARK_BYTES_MAX: usize = 24;

/// How many bytes are read at a time around a place: places are often next to one another.
const WINDOW_BYTES: u64 = 16 << 10;

/// Magic bytes at a place in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// What they belong to.
    pub name: &'static str,
    /// The offset of the first byte in the image.
    pub offset: u64,
    /// The bytes.
    pub bytes: &'static [u8],
    /// Additional bytes, and their distance from the first byte. There may be none.
    pub and: (u64, &'static [u8]),
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, offset, .. } = self;
        write!(
            f,
            "byte {offset} of the image has the magic bytes of {name}; other programs may mistake the image for it"
        )
    }
}

/// All magic bytes that an image of `bytes` bytes can have.
pub fn marks(bytes: u64) -> impl Iterator<Item = Mark> {
    let all = Extent { offset: 0, len: bytes };
    let offsets = move |(marks, first): (&'static Marks, _)| {
        marks.offsets(first, all).map(move |offset| (marks, offset))
    };
    runs(bytes).flat_map(offsets).flat_map(move |(marks, offset)| marks_at(marks, offset, bytes))
}

/// The rows of the table, with the first place of each.
fn runs(bytes: u64) -> impl Iterator<Item = (&'static Marks, u64)> {
    TABLE.iter().flat_map(move |marks| {
        marks.places.iter().filter_map(move |place| Some((marks, place.offset(bytes)?)))
    })
}

/// Those of `marks` that can be at `offset`.
fn marks_at(marks: &'static Marks, offset: u64, bytes: u64) -> impl Iterator<Item = Mark> {
    let Marks { name, and, .. } = *marks;
    let all = marks.bytes.iter().map(move |bytes| Mark { name, offset, bytes, and });
    all.filter(move |mark| mark.parts().all(|(offset, part)| offset + part.len() as u64 <= bytes))
}

impl Mark {
    /// Its runs of bytes, with their offsets from the start of the image.
    fn parts(&self) -> impl Iterator<Item = (u64, &'static [u8])> {
        let (further, besides) = self.and;
        [(self.offset, self.bytes), (self.offset + further, besides)].into_iter()
    }

    pub(super) fn is_there(
        &self,
        read: &mut impl FnMut(u64, &mut [u8]) -> io::Result<()>,
    ) -> io::Result<bool> {
        for (offset, part) in self.parts() {
            let mut found = [0; MARK_BYTES_MAX];
            let found = &mut found[..part.len()];
            read(offset, found)?;
            // Nearly always the first byte tells.
            if found.first() != part.first() || found != part {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A sentence about it, with the name of the file that has these bytes, if it is one of `files`.
    pub(super) fn describe<'a>(&self, mut files: impl Iterator<Item = (&'a [u8], Extent)>) -> String {
        let has = |extent: Extent| (extent.offset..extent.offset + extent.len).contains(&self.offset);
        match files.find(|(_, extent)| has(*extent)) {
            Some((name, _)) => format!("file {:?}: {self}", String::from_utf8_lossy(name)),
            None => self.to_string(),
        }
    }
}

/// Searches an image of `bytes` bytes for magic bytes that may be in one of `parts`. `read` fills a buffer with bytes of the image
/// from an offset on.
///
/// # Errors
/// Fails if `read` fails.
pub(super) fn find(
    bytes: u64,
    parts: &[Extent],
    read: &mut impl FnMut(u64, &mut [u8]) -> io::Result<()>,
) -> io::Result<Option<Mark>> {
    for (marks, first) in runs(bytes) {
        for part in parts {
            for offset in marks.offsets(first, *part) {
                for mark in marks_at(marks, offset, bytes) {
                    if mark.is_there(read)? {
                        return Ok(Some(mark));
                    }
                }
            }
        }
    }
    Ok(None)
}

impl Marks {
    /// The places that overlap `part`, where the first place is at `first`.
    fn offsets(&self, first: u64, part: Extent) -> impl Iterator<Item = u64> {
        let (count, step) = self.times;
        let from = part.offset.saturating_sub(MARK_BYTES_MAX as u64).saturating_sub(first);
        let to = (part.offset + part.len).saturating_sub(first);
        // How many places begin within the first `bytes` bytes.
        let places = move |bytes: u64| bytes.div_ceil(step).min(count);
        (places(from)..places(to)).map(move |number| first + number * step)
    }
}

impl Image {
    /// Checks that other programs do not mistake the image for another file system, a member of a RAID, an encrypted disk or a
    /// partition table. `records`: those of the image.
    ///
    /// # Errors
    /// Fails if a signature of one of these is where blkid looks for it, or the image cannot be read.
    pub fn check_superblocks(&self, records: &[Record]) -> Result<()> {
        let mut window =
            Window::new(self.bytes(), |offset, bytes: &mut [u8]| self.file().read_exact_at(bytes, offset));
        let files = records.iter().filter(|record| record.kind == Kind::File);
        let files =
            files.flat_map(|record| record.extents.iter().map(|extent| (record.path.as_slice(), *extent)));
        let all = Extent { offset: 0, len: self.bytes() };
        let mut read = |offset, bytes: &mut [u8]| window.fill(offset, bytes);
        let found = match system_area::find(self.bytes(), &mut read)? {
            None => find(self.bytes(), &[all], &mut read)?,
            found => found.map(|(name, offset, bytes)| Mark { name, offset, bytes, and: (0, b"") }),
        };
        match found {
            Some(mark) => Err(error!(mark.describe(files))),
            None => Ok(()),
        }
    }
}

/// The part of `bytes` that is in `place`: where it begins in `place`, and its range in `bytes`.
pub(super) fn overlap(bytes: Extent, place: Extent) -> Option<(u64, Range<usize>)> {
    let start = bytes.offset.max(place.offset);
    let end = (bytes.offset + bytes.len).min(place.offset + place.len);
    let index = |at: u64| usize::try_from(at - bytes.offset).ok();
    (start < end).then_some(())?;
    Some((start - place.offset, index(start)?..index(end)?))
}

/// The part of an image that was read last.
pub(super) struct Window<R> {
    /// Fills a buffer with bytes of the image from an offset on.
    read: R,
    /// Bytes in the image.
    bytes: u64,
    start: u64,
    last: Vec<u8>,
}

impl<R: FnMut(u64, &mut [u8]) -> io::Result<()>> Window<R> {
    /// Nothing yet, of an image of `bytes` bytes.
    pub(super) fn new(bytes: u64, read: R) -> Self {
        Self { read, bytes, start: 0, last: Vec::new() }
    }

    /// Fills `bytes` with those of the image from `offset` on.
    pub(super) fn fill(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let end = offset + bytes.len() as u64;
        if end > self.bytes {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if offset < self.start || end > self.start + self.last.len() as u64 {
            self.start = offset - offset % WINDOW_BYTES;
            let len = (self.start + 2 * WINDOW_BYTES).min(self.bytes) - self.start;
            self.last.resize(usize::try_from(len).unwrap_or_default(), 0);
            (self.read)(self.start, &mut self.last)?;
        }
        let at = usize::try_from(offset - self.start).unwrap_or_default();
        bytes.copy_from_slice(&self.last[at..at + bytes.len()]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn find_in(image: &[u8]) -> Option<Mark> {
        let mut read = |offset, bytes: &mut [u8]| {
            let at = usize::try_from(offset).unwrap();
            bytes.copy_from_slice(&image[at..at + bytes.len()]);
            Ok(())
        };
        let all = Extent { offset: 0, len: image.len() as u64 };
        find(image.len() as u64, &[all], &mut read).unwrap()
    }

    #[test]
    fn every_mark_is_found_at_its_place() {
        for bytes in [372_736, 372_736 + 4096, 5 << 20] {
            let mut image = vec![0; bytes];
            assert_eq!(find_in(&image), None);
            let mut places = BTreeSet::new();
            for mark in marks(bytes as u64) {
                places.insert(mark.offset);
                for (offset, part) in mark.parts() {
                    image[usize::try_from(offset).unwrap()..][..part.len()].copy_from_slice(part);
                }
                let found = find_in(&image).unwrap();
                assert_eq!(found.offset, mark.offset, "{mark:?}, {found:?}");
                for (offset, part) in mark.parts() {
                    image[usize::try_from(offset).unwrap()..][..part.len()].fill(0);
                }
            }
            println!("{bytes} bytes: {} marks at {} places", marks(bytes as u64).count(), places.len());
        }
    }

    #[test]
    fn only_what_may_be_in_a_part_is_looked_at() {
        let log = TABLE.iter().find(|marks| marks.times.0 == 512).unwrap();
        let offsets = |offset, len| log.offsets(0, Extent { offset, len }).collect::<Vec<_>>();
        assert!(offsets(0, 0).is_empty());
        assert_eq!(offsets(512, 1), [512]);
        assert_eq!(offsets(513, 511), [512], "it may reach into the part");
        assert!(offsets(600, 424).is_empty());
        assert_eq!(offsets(600, 425), [1024]);
        assert_eq!(offsets(511 * 512, 1 << 20), [511 * 512]);
        assert_eq!(offsets(0, 1 << 20).len(), 512);
        let once = TABLE.iter().find(|marks| marks.name == "Btrfs").unwrap();
        let first = 65_600;
        for (offset, len, count) in
            [(0, 65_600, 0), (0, 65_601, 1), (65_608, 9, 1), (65_700, 9, 0), (65_600, 0, 0)]
        {
            assert_eq!(once.offsets(first, Extent { offset, len }).count(), count, "{offset}, {len}");
        }
    }

    #[test]
    fn a_file_is_read_as_memory_is() {
        use std::io::Write;
        let mut file = crate::output::atomic_file::unnamed_temporary().unwrap();
        let image: Vec<_> = (0..=250_u8).cycle().take(120_001).collect();
        file.write_all(&image).unwrap();
        let mut window = Window::new(120_001, |offset, bytes: &mut [u8]| file.read_exact_at(bytes, offset));
        for (offset, len) in
            [(0, 24), (16_380, 24), (16_383, 1), (32_760, 24), (119_990, 11), (3, 5), (49_151, 2)]
        {
            let mut bytes = vec![0; len];
            window.fill(offset as u64, &mut bytes).unwrap();
            assert_eq!(bytes, image[offset..offset + len], "{offset}");
        }
        assert!(window.fill(120_000, &mut [0; 2]).is_err());
    }
}
