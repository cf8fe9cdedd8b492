//! The smallest volume that holds given files.

use super::format::{ENTRY_BYTES, FatKind};
use crate::image::ALIGNMENT_BYTES;

/// Bytes in a sector of our volumes. Linux mounts no volume whose sectors are smaller than those of its device, and a disk has
/// this size almost everywhere.
pub(super) const SECTOR_BYTES: u64 = 512;

/// Sectors in [`ALIGNMENT_BYTES`].
const PAGE_SECTORS: u64 = ALIGNMENT_BYTES / SECTOR_BYTES;

/// Sectors before the first table of FAT32: the boot sector, what it points to, and room for a boot loader, as everywhere.
const FAT32_RESERVED_SECTORS: u64 = 32;

/// Sectors in the smallest volume: more than Linux says of an empty floppy drive, 8, which no agent should try to read.
const SECTORS_MIN: u64 = 16;

/// Sizes of a cluster in sectors. One of 64 KiB is not portable.
const CLUSTER_SECTORS: [u64; 7] = [1, 2, 4, 8, 16, 32, 64];

/// How many file allocation tables there are. Some readers insist on two.
pub(super) const TABLES: u64 = 2;

/// What a volume must hold.
#[derive(Clone, Debug, Default)]
pub(super) struct Needs {
    /// The lengths of the files, in bytes.
    pub(super) files: Vec<u64>,
    /// The number of entries in each directory other than the root.
    pub(super) directories: Vec<u64>,
    /// The number of entries in the root directory, with the label.
    pub(super) root_entries: u64,
    /// Whether the files are at multiples of [`ALIGNMENT_BYTES`], so that file systems can share their blocks.
    pub(super) aligned: bool,
}

/// What a new volume has in common with an old one, as far as that is possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Bytes in the volume.
    pub bytes: u64,
    /// Bytes in a cluster.
    pub cluster_bytes: u64,
    /// Entries in the root directory, 0 for FAT32.
    pub root_entries: u64,
}

/// The most bytes in both tables of a volume that is as large as an old one. They are in memory, even if the disk is mostly a hole.
/// A disk of 64 GiB needs so many.
const TABLES_BYTES_MAX: u64 = 16 << 20;

/// How a volume is divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) kind: FatKind,
    /// Bytes in a cluster.
    pub(super) cluster_bytes: u64,
    /// Entries in the root directory, 0 for FAT32, where it is like the others.
    pub(super) root_entries: u64,
    /// The sectors before the first table.
    pub(super) reserved_sectors: u64,
    /// Sectors in a table.
    pub(super) table_sectors: u64,
    /// How many clusters there are.
    pub(super) clusters: u64,
    /// Bytes in the volume, a multiple of [`ALIGNMENT_BYTES`].
    pub(super) bytes: u64,
}

impl Needs {
    /// The entries in a root directory of fixed size, at least so many, and the number of clusters that are needed. `None`: the root
    /// directory is too large for this kind.
    fn in_clusters(&self, kind: FatKind, cluster_sectors: u64, root_entries_min: u64) -> Option<(u64, u64)> {
        let cluster_bytes = cluster_sectors * SECTOR_BYTES;
        let per_sector = SECTOR_BYTES / ENTRY_BYTES as u64;
        let is_fixed = kind != FatKind::Fat32;
        let most = self.root_entries.max(root_entries_min).max(1);
        let root_entries = if is_fixed { most.next_multiple_of(per_sector) } else { 0 };
        // A boot sector has 16 bits for it.
        u16::try_from(root_entries).ok()?;
        let moving_root = if is_fixed { None } else { Some(self.root_entries) };
        let directories = self.directories.iter().copied().chain(moving_root);
        let directories = directories.map(|entries| entries.max(1) * ENTRY_BYTES as u64);
        let lens = self.files.iter().copied().chain(directories);
        Some((root_entries, lens.map(|len| len.div_ceil(cluster_bytes)).sum()))
    }
}

impl Geometry {
    /// The smallest volume for `needs`; of several, that with the smallest clusters. `None`: no volume is large enough.
    pub(super) fn smallest(needs: &Needs) -> Option<Self> {
        let fits = |sectors: u64| !needs.aligned || sectors * SECTOR_BYTES >= ALIGNMENT_BYTES;
        let clusters = CLUSTER_SECTORS.into_iter().filter(|sectors| fits(*sectors));
        let all = clusters.flat_map(|sectors| FatKind::ALL.map(|kind| Self::of(needs, kind, sectors)));
        all.flatten().min_by_key(|geometry| (geometry.bytes, geometry.cluster_bytes))
    }

    /// A volume for `needs` that is as large as an old one, with the same clusters if possible, else with the smallest tables. `None`:
    /// it would be too small, or so large that its tables have more than 16 MiB.
    pub(super) fn like(shape: Shape, needs: &Needs) -> Option<Self> {
        let sectors = shape.bytes.next_multiple_of(ALIGNMENT_BYTES) / SECTOR_BYTES;
        u32::try_from(sectors).ok()?;
        let unit = if needs.aligned { PAGE_SECTORS } else { 1 };
        let clusters = CLUSTER_SECTORS.into_iter().filter(|sectors| *sectors >= unit);
        let all = clusters.flat_map(|cluster| FatKind::ALL.map(|kind| (kind, cluster)));
        let fitting = all.filter_map(|(kind, cluster_sectors)| {
            let (root_entries, needed) = needs.in_clusters(kind, cluster_sectors, shape.root_entries)?;
            let geometry = Self::dividing(sectors, kind, cluster_sectors, root_entries, needs.aligned)?;
            let tables = TABLES * geometry.table_sectors * SECTOR_BYTES;
            let fits = geometry.clusters >= needed && tables <= TABLES_BYTES_MAX;
            (fits && kind.clusters_for_all().contains(&geometry.clusters)).then_some(geometry)
        });
        fitting.min_by_key(|geometry| (geometry.cluster_bytes != shape.cluster_bytes, geometry.table_sectors))
    }

    /// The smallest volume of this kind with clusters of this size.
    fn of(needs: &Needs, kind: FatKind, cluster_sectors: u64) -> Option<Self> {
        let (root_entries, needed) = needs.in_clusters(kind, cluster_sectors, 0)?;
        let allowed = kind.clusters_for_all();
        let needed = needed.max(*allowed.start());
        let mut sectors = (needed * cluster_sectors).next_multiple_of(PAGE_SECTORS).max(SECTORS_MIN);
        loop {
            if needed > *allowed.end() || u32::try_from(sectors).is_err() {
                return None;
            }
            let geometry = Self::dividing(sectors, kind, cluster_sectors, root_entries, needs.aligned)?;
            if geometry.clusters >= needed {
                return Some(geometry).filter(|_| kind.clusters().contains(&geometry.clusters));
            }
            sectors += ((needed - geometry.clusters) * cluster_sectors).next_multiple_of(PAGE_SECTORS);
        }
    }

    /// Divides a volume of so many sectors.
    fn dividing(
        sectors: u64,
        kind: FatKind,
        cluster_sectors: u64,
        root_entries: u64,
        aligned: bool,
    ) -> Option<Self> {
        let unit = if aligned { PAGE_SECTORS } else { 1 };
        let fewest = if kind == FatKind::Fat32 { FAT32_RESERVED_SECTORS } else { 1 };
        let root = root_entries * ENTRY_BYTES as u64 / SECTOR_BYTES;
        // The tables grow with what they leave.
        let mut table_sectors = 1;
        loop {
            let start = (fewest + TABLES * table_sectors + root).next_multiple_of(unit);
            let clusters = sectors.saturating_sub(start) / cluster_sectors;
            let wanted = ((clusters + 2) * kind.entry_bits()).div_ceil(8 * SECTOR_BYTES);
            if wanted <= table_sectors {
                return Some(Self {
                    kind,
                    cluster_bytes: cluster_sectors * SECTOR_BYTES,
                    root_entries,
                    reserved_sectors: start - TABLES * table_sectors - root,
                    table_sectors,
                    clusters,
                    bytes: sectors * SECTOR_BYTES,
                });
            }
            table_sectors = wanted;
        }
    }

    /// The offset of the first table in bytes.
    pub(super) fn tables_start(self) -> u64 {
        self.reserved_sectors * SECTOR_BYTES
    }

    /// The offset of the root directory in bytes, unless it is in clusters.
    pub(super) fn root_start(self) -> u64 {
        self.tables_start() + TABLES * self.table_sectors * SECTOR_BYTES
    }

    /// The offset of the first cluster in bytes.
    pub(super) fn data_start(self) -> u64 {
        self.root_start() + self.root_entries * ENTRY_BYTES as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn smallest(files: &[u64]) -> Geometry {
        let needs = Needs { files: files.to_vec(), root_entries: 10, ..Needs::default() };
        Geometry::smallest(&needs).unwrap()
    }

    #[test]
    fn a_seed_takes_two_or_three_pages() {
        let geometry = smallest(&[300, 50]);
        assert_eq!((geometry.kind, geometry.bytes, geometry.cluster_bytes), (FatKind::Fat12, 8192, 512));
        assert_eq!(smallest(&[2000, 500, 300]).bytes, 8192);
        assert_eq!(smallest(&[6000, 500, 300]).bytes, 12_288);
        assert_eq!(smallest(&[]).bytes, 8192);
    }

    #[test]
    fn the_kind_is_what_the_clusters_need() {
        for (len, kind) in [
            (1 << 20, FatKind::Fat12),
            (64 << 20, FatKind::Fat12),
            (1 << 30, FatKind::Fat16),
            ((1 << 32) - 1, FatKind::Fat32),
        ] {
            let geometry = smallest(&[len]);
            assert_eq!(geometry.kind, kind, "{len}: {geometry:?}");
            assert!(kind.clusters_for_all().contains(&geometry.clusters), "{geometry:?}");
            assert!(geometry.bytes < len + len / 64 + 65_536, "{geometry:?}");
        }
    }

    #[test]
    fn every_size_has_a_kind_that_its_clusters_allow() {
        for len in (0..150_u64 << 20).step_by(377_777) {
            for aligned in [false, true] {
                let needs = Needs { files: vec![len; 3], root_entries: 600, aligned, ..Needs::default() };
                let geometry = Geometry::smallest(&needs).unwrap();
                assert_eq!(FatKind::of(geometry.clusters), Some(geometry.kind), "{geometry:?}");
                assert!(geometry.clusters * geometry.cluster_bytes >= 3 * len);
            }
        }
    }

    #[test]
    fn what_no_volume_holds_has_no_geometry() {
        let needs = Needs { files: vec![u64::from(u32::MAX); 1 << 11], root_entries: 1, ..Needs::default() };
        assert_eq!(Geometry::smallest(&needs), None);
    }
}
