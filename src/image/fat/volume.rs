//! How a volume is divided, as its boot sector says ("Boot Sector and BPB").
//!
//! What Linux refuses is an error here, and so is what Linux and other systems understand differently.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
};

use super::format::{ENTRY_BYTES, FatKind, LABEL_BYTES};
use crate::error::{Context, Result, bail, ensure};

/// Bytes of the boot sector that have a meaning, whatever the sector size.
const BOOT_BYTES: usize = 512;

/// The first cluster.
pub(super) const FIRST_CLUSTER: u32 = 2;

/// What the boot sector says.
#[derive(Clone, Debug)]
pub(super) struct BootSector {
    pub(super) kind: FatKind,
    /// Bytes in a sector.
    pub(super) sector_bytes: u64,
    pub(super) cluster_bytes: u64,
    /// Where the first table begins, in bytes.
    pub(super) table_start: u64,
    pub(super) root: RootDirectory,
    /// Where the first cluster begins, in bytes.
    pub(super) data_start: u64,
    /// How many clusters there are.
    pub(super) clusters: u32,
    /// Bytes in the volume. The image may be shorter or longer.
    pub(super) bytes: u64,
    /// The label in the boot sector, unless it is missing.
    pub(super) label: Option<[u8; LABEL_BYTES]>,
}

/// Where the root directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RootDirectory {
    /// Before the clusters.
    Fixed {
        /// Its offset in bytes.
        offset: u64,
        /// How many bytes it has.
        bytes: u64,
    },
    /// In clusters, from this one on.
    Cluster(u32),
}

/// Numbers in little-endian order.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn u16(&self, at: usize) -> u64 {
        u64::from(u16::from_le_bytes([self.0[at], self.0[at + 1]]))
    }

    fn u32(&self, at: usize) -> u64 {
        self.u16(at) | self.u16(at + 2) << 16
    }
}

impl BootSector {
    /// Reads it from the start of `file`.
    pub(super) fn read(file: &File) -> Result<Self> {
        let mut sector = [0; BOOT_BYTES];
        file.read_exact_at(&mut sector, 0).context("reading the boot sector")?;
        Self::parse(&sector).context("the boot sector is not valid")
    }

    fn parse(sector: &[u8; BOOT_BYTES]) -> Result<Self> {
        let fields = Fields(sector);
        let sector_bytes = fields.u16(11);
        ensure!(
            matches!(sector_bytes, 512 | 1024 | 2048 | 4096),
            "a sector has {sector_bytes} bytes instead of 512 to 4096"
        );
        let cluster_sectors = u64::from(sector[13]);
        ensure!(cluster_sectors.is_power_of_two(), "a cluster has {cluster_sectors} sectors");
        let reserved = fields.u16(14);
        ensure!(reserved > 0, "no sector is reserved");
        let tables = u64::from(sector[16]);
        ensure!(tables > 0, "there is no file allocation table");
        // Linux: "bogus number of directory entries".
        let root_bytes = fields.u16(17) * ENTRY_BYTES as u64;
        ensure!(root_bytes.is_multiple_of(sector_bytes), "the root directory ends within a sector");
        let short =
            |at: usize, long: usize| Some(fields.u16(at)).filter(|it| *it > 0).unwrap_or(fields.u32(long));
        let sectors = short(19, 32);
        // As Linux decides it. mkfs.vfat makes volumes of FAT32 that have too few clusters for it.
        let is_fat32 = fields.u16(22) == 0;
        let table_sectors = short(22, 36);
        let root_sectors = root_bytes / sector_bytes;
        let data_sector = reserved + tables * table_sectors + root_sectors;
        let clusters = sectors.checked_sub(data_sector).context("the volume ends before its files begin")?;
        let clusters = clusters / cluster_sectors;
        let kind = match FatKind::of(clusters) {
            Some(_) if is_fat32 => FatKind::Fat32,
            Some(kind) if kind != FatKind::Fat32 => kind,
            _ => bail!("the volume has {clusters} clusters, too many for its file allocation table"),
        };
        // As Linux does: what the table has no entries for is not there.
        let entries = table_sectors * sector_bytes * 8 / kind.entry_bits();
        let clusters = clusters.min(entries.saturating_sub(u64::from(FIRST_CLUSTER)));
        let root_start = (reserved + tables * table_sectors) * sector_bytes;
        let root = if is_fat32 {
            ensure!(root_bytes == 0, "the volume is FAT32 and has a root directory of fixed size");
            ensure!(fields.u16(42) == 0, "the version of FAT32 is not 0");
            let active = fields.u16(40);
            ensure!(
                active & 0x80 == 0 || active % 16 == 0,
                "the volume does not use its first file allocation table"
            );
            RootDirectory::Cluster(u32::try_from(fields.u32(44))?)
        } else {
            ensure!(root_bytes > 0, "the root directory has no entries");
            RootDirectory::Fixed { offset: root_start, bytes: root_bytes }
        };
        Ok(Self {
            kind,
            sector_bytes,
            cluster_bytes: cluster_sectors * sector_bytes,
            table_start: reserved * sector_bytes,
            root,
            data_start: data_sector * sector_bytes,
            clusters: u32::try_from(clusters)?,
            bytes: sectors * sector_bytes,
            label: label_of(sector, kind),
        })
    }

    /// Where a cluster begins, in bytes.
    pub(super) fn cluster_offset(&self, cluster: u32) -> u64 {
        self.data_start + u64::from(cluster - FIRST_CLUSTER) * self.cluster_bytes
    }

    /// Whether the volume has this cluster.
    pub(super) fn has(&self, cluster: u32) -> bool {
        cluster.checked_sub(FIRST_CLUSTER).is_some_and(|number| number < self.clusters)
    }
}

/// The label in the boot sector. `None`: it has none, or says so.
fn label_of(sector: &[u8; BOOT_BYTES], kind: FatKind) -> Option<[u8; LABEL_BYTES]> {
    const HAS_LABEL: u8 = 0x29;
    const NO_LABEL: &[u8; LABEL_BYTES] = b"NO NAME    ";
    let serial = kind.serial_offset();
    let at = serial + 4;
    let label: [u8; LABEL_BYTES] = sector[at..at + LABEL_BYTES].try_into().ok()?;
    (sector[serial - 1] == HAS_LABEL && label != *NO_LABEL).then_some(label)
}

/// The entries of the file allocation table.
pub(super) struct Table<'a> {
    file: &'a File,
    boot: &'a BootSector,
    /// The part that was read last, and where it begins.
    window: Vec<u8>,
    start: u64,
}

/// What follows a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Cluster(u32),
    End,
}

/// How many bytes of the table are read at a time.
const WINDOW_BYTES: u64 = 4096;

impl<'a> Table<'a> {
    pub(super) fn new(file: &'a File, boot: &'a BootSector) -> Self {
        Self { file, boot, window: Vec::new(), start: 0 }
    }

    /// What follows a cluster that the volume has.
    pub(super) fn next(&mut self, cluster: u32) -> Result<Next> {
        let kind = self.boot.kind;
        let bit = u64::from(cluster) * kind.entry_bits();
        let bytes: [u8; 4] = {
            let mut bytes = [0; 4];
            let len = if kind == FatKind::Fat32 { 4 } else { 2 };
            self.read(self.boot.table_start + bit / 8, &mut bytes[..len])?;
            bytes
        };
        let entry = u32::from_le_bytes(bytes);
        let (entry, last) = match kind {
            // An odd entry begins in the middle of a byte.
            FatKind::Fat12 => (entry >> (bit % 8) & 0xfff, 0xfff),
            FatKind::Fat16 => (entry, 0xffff),
            FatKind::Fat32 => (entry & 0x0fff_ffff, 0x0fff_ffff),
        };
        // The eight highest numbers end a file, the one below marks a bad cluster.
        if entry > last - 8 {
            return Ok(Next::End);
        }
        ensure!(entry != last - 8, "cluster {cluster} is followed by one that is marked as bad");
        ensure!(entry != 0, "cluster {cluster} is marked as free");
        Ok(Next::Cluster(entry))
    }

    fn read(&mut self, offset: u64, bytes: &mut [u8]) -> io::Result<()> {
        let end = offset + bytes.len() as u64;
        if offset < self.start || end > self.start + self.window.len() as u64 {
            self.start = offset - offset % WINDOW_BYTES;
            // An entry of FAT12 may begin in one part and end in the next.
            self.window.clear();
            let mut file = self.file;
            file.seek(SeekFrom::Start(self.start))?;
            file.take(2 * WINDOW_BYTES).read_to_end(&mut self.window)?;
        }
        let at = usize::try_from(offset - self.start).unwrap_or(usize::MAX);
        let found = at.checked_add(bytes.len()).and_then(|end| self.window.get(at..end));
        bytes.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}
