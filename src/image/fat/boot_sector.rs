//! The boot sector: how a volume is divided, its serial number and its label ("Boot Sector and BPB").

use super::{
    format::{FatKind, LABEL_BYTES},
    geometry::{Geometry, SECTOR_BYTES, TABLES},
};

/// Bytes in a sector, to count in memory.
const SECTOR: usize = 512;

/// The sector with the number of free clusters, and that with the copy of the boot sector, which the other one's follows.
const INFO_SECTOR: u16 = 1;
const BACKUP_SECTOR: u16 = 6;

/// The cluster of the root directory of FAT32.
pub(super) const ROOT_CLUSTER: u32 = 2;

/// The sectors before the first table, with serial number 0. `free`: how many clusters are free, and the first of them.
pub(super) fn reserved_area(geometry: &Geometry, label: [u8; LABEL_BYTES], free: (u32, u32)) -> Vec<u8> {
    let mut area = vec![0; usize::try_from(geometry.tables_start()).unwrap_or_default()];
    area[..SECTOR].copy_from_slice(&boot_sector(geometry, label));
    if geometry.kind == FatKind::Fat32 {
        area[SECTOR..2 * SECTOR].copy_from_slice(&info_sector(free));
        let backup = usize::from(BACKUP_SECTOR) * SECTOR;
        area.copy_within(..2 * SECTOR, backup);
    }
    area
}

/// Writes the serial number into the sectors before the first table.
pub(super) fn set_serial(area: &mut [u8], kind: FatKind, serial: [u8; 4]) {
    let at = kind.serial_offset();
    area[at..at + 4].copy_from_slice(&serial);
    if kind == FatKind::Fat32 {
        let at = at + usize::from(BACKUP_SECTOR) * SECTOR;
        area[at..at + 4].copy_from_slice(&serial);
    }
}

fn boot_sector(geometry: &Geometry, label: [u8; LABEL_BYTES]) -> [u8; SECTOR] {
    /// What mtools requires: the number of sectors is a multiple of it.
    const SECTORS_PER_TRACK: u16 = 8;
    const HEADS: u16 = 2;
    const FIXED_DISK: u8 = 0xf8;
    const HAS_SERIAL_AND_LABEL: u8 = 0x29;
    /// Asks a BIOS that starts it to start something else, and halts.
    const CODE: [u8; 5] = [0xcd, 0x18, 0xf4, 0xeb, 0xfd];

    let is_fat32 = geometry.kind == FatKind::Fat32;
    let sectors = u32::try_from(geometry.bytes / SECTOR_BYTES).unwrap_or(u32::MAX);
    let short_sectors = u16::try_from(sectors).ok().filter(|_| !is_fat32);
    let table_sectors = u32::try_from(geometry.table_sectors).unwrap_or(u32::MAX);
    let mut sector = Sector([0; SECTOR]);
    let after = if is_fat32 { 0x40 } else { 0x24 };
    let code = after + 26;
    sector.put(0, &[0xeb, u8::try_from(code - 2).unwrap_or_default(), 0x90]);
    sector.put(3, b"METADATA");
    sector.u16(11, truncated(SECTOR_BYTES));
    sector.put(13, &[u8::try_from(geometry.cluster_bytes / SECTOR_BYTES).unwrap_or_default()]);
    sector.u16(14, truncated(geometry.reserved_sectors));
    sector.put(16, &[u8::try_from(TABLES).unwrap_or_default()]);
    sector.u16(17, truncated(geometry.root_entries));
    sector.u16(19, short_sectors.unwrap_or(0));
    sector.put(21, &[FIXED_DISK]);
    sector.u16(22, if is_fat32 { 0 } else { truncated(geometry.table_sectors) });
    sector.u16(24, SECTORS_PER_TRACK);
    sector.u16(26, HEADS);
    sector.u32(32, if short_sectors.is_some() { 0 } else { sectors });
    if is_fat32 {
        sector.u32(36, table_sectors);
        sector.u32(44, ROOT_CLUSTER);
        sector.u16(48, INFO_SECTOR);
        sector.u16(50, BACKUP_SECTOR);
    }
    sector.put(after, &[0x80, 0, HAS_SERIAL_AND_LABEL]);
    sector.put(after + 7, &label);
    sector.put(
        after + 18,
        match geometry.kind {
            FatKind::Fat12 => b"FAT12   ",
            FatKind::Fat16 => b"FAT16   ",
            FatKind::Fat32 => b"FAT32   ",
        },
    );
    sector.put(code, &CODE);
    sector.put(510, &[0x55, 0xaa]);
    sector.0
}

/// The sector with the number of free clusters (`FSInfo`).
fn info_sector((free, first): (u32, u32)) -> [u8; SECTOR] {
    let mut sector = Sector([0; SECTOR]);
    sector.u32(0, 0x4161_5252);
    sector.u32(484, 0x6141_7272);
    sector.u32(488, free);
    sector.u32(492, first);
    sector.u32(508, 0xaa55_0000);
    sector.0
}

/// A number that is known to have 16 bits at most.
fn truncated(number: u64) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

struct Sector([u8; SECTOR]);

impl Sector {
    fn put(&mut self, at: usize, bytes: &[u8]) {
        self.0[at..at + bytes.len()].copy_from_slice(bytes);
    }

    fn u16(&mut self, at: usize, number: u16) {
        self.put(at, &number.to_le_bytes());
    }

    fn u32(&mut self, at: usize, number: u32) {
        self.put(at, &number.to_le_bytes());
    }
}
