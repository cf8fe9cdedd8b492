//! Finds what of an image would be lost if it were built again from its files.
//!
//! A new image has one volume with Rock Ridge and Joliet, whose trees name the same files, and nothing else.
//!
//! Sources: ECMA-119, 8.2 (boot records); ECMA-167, 2/9.1 (the recognition sequence of UDF); for sessions, what `genisoimage -M`
//! and xorriso write: another set of descriptors, with another root directory.

use std::{fs::File, io, os::unix::fs::FileExt};

use hadris_iso::raw;

use super::{clashes::Reserved, device::broken};
use crate::{
    error::{Context, Result, bail, ensure},
    image::{
        Extent, Image, Kind, Record, SECTOR_BYTES, SYSTEM_AREA_BYTES, Tree, Volume, extents::sharing,
        probe::FileSystem,
    },
    os,
};

/// Bytes that are read at a time, a multiple of a sector.
const STEP_BYTES: u64 = 64 << 10;

/// Where a primary volume descriptor says in which sector the root directory begins: the first byte order (ECMA-119, 8.4.18).
const ROOT_SECTOR: std::ops::Range<usize> = 158..162;

impl Image {
    /// Checks that an image that is built from those of `records` that `stays` selects has all that this image has besides the
    /// other records. `volume` and `records` are those of the image.
    ///
    /// # Errors
    /// Fails if something would be lost, and says what; or if the image cannot be read.
    pub fn check_rebuildable(
        &mut self,
        volume: &Volume,
        records: &[Record],
        stays: impl Fn(&Record) -> bool,
        looked_for: &Reserved,
    ) -> Result<()> {
        let staying: Vec<_> = records.iter().filter(|record| stays(record)).collect();
        check_kinds(&staying)?;
        check_hard_links(&staying)?;
        if self.file_system() == FileSystem::Fat {
            return self.check_end(volume);
        }
        self.check_descriptors()?;
        ensure!(
            !volume.trees.contains(&Tree::Enhanced),
            "the image has an Enhanced Volume Descriptor (level 4, ISO 9660:1999), which would be lost"
        );
        if records.iter().all(|record| matches!(record.kind, Kind::File | Kind::Directory)) {
            self.check_readable_trees(records, looked_for)?;
        }
        let gaps = Gaps::of(records, self.bytes());
        let root = bytes_at(self.file(), SYSTEM_AREA_BYTES as u64 + ROOT_SECTOR.start as u64)?;
        gaps.each_sector(self.file(), |at, sector| check_sector(at, sector, root, volume))
            .with_context(|| format!("reading image {:?}", self.path()))
    }

    /// Checks that nothing follows the volume.
    fn check_end(&self, volume: &Volume) -> Result<()> {
        let (from, to) = (volume.bytes.min(self.bytes()), self.bytes());
        let check = |at: u64, bytes: &[u8]| check_behind(at, bytes, volume);
        Gaps(vec![Extent { offset: from, len: to - from }])
            .each_sector(self.file(), check)
            .with_context(|| format!("reading image {:?}", self.path()))
    }

    fn check_descriptors(&mut self) -> Result<()> {
        let Some(iso9660) = self.iso9660() else { return Ok(()) };
        for index in 0.. {
            match iso9660.descriptor(index).map_err(broken)? {
                None => break,
                Some(raw::VolumeDescriptor::BootRecord(_)) => {
                    bail!("the image has a boot record, which would be lost")
                }
                Some(raw::VolumeDescriptor::Other(_)) => {
                    bail!("the image has a descriptor of an unknown type, which would be lost")
                }
                Some(_) => {}
            }
        }
        Ok(())
    }
}

fn check_kinds(records: &[&Record]) -> Result<()> {
    for record in records {
        let what = match record.kind {
            Kind::File | Kind::Directory => continue,
            Kind::SymbolicLink => "a symbolic link",
            Kind::Other => "a device, a FIFO or a socket",
        };
        bail!("{:?} is {what}, which would be lost (--remove leaves it out)", record.display_path());
    }
    Ok(())
}

/// Files that share their bytes would each have their own on a new image, which would be larger without a limit.
fn check_hard_links(records: &[&Record]) -> Result<()> {
    for (index, first) in sharing(records)?.into_iter().enumerate() {
        ensure!(
            first == index,
            "{:?} and {:?} are two names of one file, a hard link, which would be lost (--remove leaves one out)",
            records[first].display_path(),
            records[index].display_path()
        );
    }
    Ok(())
}

/// Checks a sector that belongs to no file. `root`: where the root directory of the volume begins.
fn check_sector(at: u64, sector: &[u8], root: [u8; 4], volume: &Volume) -> Result<()> {
    const PRIMARY: &[u8] = b"\x01CD001\x01";
    const UDF: [&[u8]; 2] = [b"NSR02", b"NSR03"];
    if at < SYSTEM_AREA_BYTES as u64 {
        ensure!(
            is_zeros(sector),
            "the image has a boot loader, a partition table or another file system in its first 32 KiB, which would be lost"
        );
    }
    check_behind(at, sector, volume)?;
    ensure!(
        !sector.starts_with(PRIMARY) || sector[ROOT_SECTOR] == root,
        "the image has several sessions, and only the files of the one that is read would be kept"
    );
    ensure!(
        !UDF.iter().any(|name| sector[1..].starts_with(name)),
        "the image has a second file system, UDF, which would be lost"
    );
    Ok(())
}

fn check_behind(at: u64, bytes: &[u8], volume: &Volume) -> Result<()> {
    ensure!(
        at < volume.bytes || is_zeros(bytes),
        "the image has data after the end of its volume, from byte {at} on, which would be lost"
    );
    Ok(())
}

fn is_zeros(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

fn bytes_at(file: &File, offset: u64) -> io::Result<[u8; 4]> {
    let mut bytes = [0; 4];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

/// The parts of an image that belong to no file.
struct Gaps(Vec<Extent>);

impl Gaps {
    /// Those of an image of `bytes` bytes with these records.
    fn of(records: &[Record], bytes: u64) -> Self {
        let mut extents: Vec<_> = records.iter().flat_map(|record| record.extents.iter().copied()).collect();
        extents.sort_unstable_by_key(|extent| extent.offset);
        let mut gaps = Vec::new();
        let mut at = 0;
        for Extent { offset, len } in extents {
            if offset.min(bytes) > at {
                gaps.push(Extent { offset: at, len: offset.min(bytes) - at });
            }
            // The rest of the last sector of a file belongs to nobody, but can hold no descriptor.
            at = at.max(offset.saturating_add(len).checked_next_multiple_of(SECTOR_BYTES).unwrap_or(bytes));
        }
        if bytes > at {
            gaps.push(Extent { offset: at, len: bytes - at });
        }
        Self(gaps)
    }

    /// Calls `check` with the offset and the bytes of each sector, but for those in holes of `file`. An incomplete sector at the
    /// end is filled with zeros.
    fn each_sector(&self, file: &File, mut check: impl FnMut(u64, &[u8]) -> Result<()>) -> Result<()> {
        let mut buffer = Vec::new();
        for gap in &self.0 {
            let end = gap.offset + gap.len;
            let mut at = gap.offset;
            while let Some(data) = os::next_data(file, at)?.filter(|data| *data < end) {
                at = at.max(data - data % SECTOR_BYTES);
                let step = (end - at).min(STEP_BYTES);
                buffer.clear();
                buffer.resize(usize::try_from(step.next_multiple_of(SECTOR_BYTES))?, 0);
                file.read_exact_at(&mut buffer[..usize::try_from(step)?], at)?;
                for (offset, sector) in
                    (at..).step_by(2048).zip(buffer.chunks(usize::try_from(SECTOR_BYTES)?))
                {
                    check(offset, sector)?;
                }
                at += step;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(offset: u64, len: u64) -> Record {
        Record {
            path: b"x".to_vec(),
            kind: Kind::File,
            mode: None,
            len,
            extents: vec![Extent { offset, len }],
        }
    }

    #[test]
    fn gaps_are_all_sectors_without_the_bytes_of_a_file() {
        let gaps = |records: &[Record], bytes| {
            let gaps = Gaps::of(records, bytes).0;
            gaps.into_iter().map(|gap| (gap.offset, gap.len)).collect::<Vec<_>>()
        };
        assert_eq!(gaps(&[], 10_000), [(0, 10_000)]);
        assert_eq!(gaps(&[file(4096, 1), file(2048, 2048)], 10_000), [(0, 2048), (6144, 3856)]);
        assert_eq!(gaps(&[file(2048, u64::MAX), file(u64::MAX, u64::MAX)], 10_000), [(0, 2048)]);
        assert_eq!(gaps(&[file(2048, 8000), file(4096, 10)], 10_000), [(0, 2048)]);
    }

    #[test]
    fn sectors_are_read_with_their_offsets_and_holes_are_not() -> Result<()> {
        let file = crate::output::atomic_file::unnamed_temporary()?;
        file.set_len(1 << 40)?;
        file.write_all_at(b"end", (1 << 40) - 5)?;
        let mut found = Vec::new();
        Gaps::of(&[], 1 << 40).each_sector(&file, |at, sector| {
            assert_eq!(sector.len(), 2048);
            found.extend((!is_zeros(sector)).then_some(at));
            Ok(())
        })?;
        assert_eq!(found, [(1 << 40) - 2048]);
        Ok(())
    }
}
