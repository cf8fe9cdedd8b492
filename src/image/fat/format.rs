//! The numbers of the format.

use std::ops::RangeInclusive;

/// Bytes in a directory entry.
pub(super) const ENTRY_BYTES: usize = 32;

/// Bytes of a label, padded with blanks.
pub(super) const LABEL_BYTES: usize = 11;

/// The largest file in bytes: its length has 32 bits.
pub(super) const FILE_BYTES_MAX: u64 = u32::MAX as u64;

/// The most entries in a directory: 2 MiB.
pub(super) const ENTRIES_MAX: u64 = 1 << 16;

/// Characters in one entry of a long name, in units of UTF-16.
pub(super) const LONG_NAME_UNITS: usize = 13;

/// The size of an entry of the file allocation table. The number of clusters alone decides which it is ("FAT Type Determination").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FatKind {
    Fat12,
    Fat16,
    Fat32,
}

impl FatKind {
    pub(super) const ALL: [Self; 3] = [Self::Fat12, Self::Fat16, Self::Fat32];

    /// That of a volume with so many clusters.
    pub(super) fn of(clusters: u64) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| clusters <= *kind.clusters().end())
    }

    /// How many clusters a volume has.
    pub(super) fn clusters(self) -> RangeInclusive<u64> {
        match self {
            Self::Fat12 => 1..=4084,
            Self::Fat16 => 4085..=65_524,
            Self::Fat32 => 65_525..=0x0fff_fff5,
        }
    }

    /// How many clusters a volume of ours has: other programs are wrong by up to 16 about the limits, as the clause says.
    pub(super) fn clusters_for_all(self) -> RangeInclusive<u64> {
        let clusters = self.clusters();
        let first = if self == Self::Fat12 { 1 } else { clusters.start() + 16 };
        first..=clusters.end() - 16
    }

    /// Bits in an entry of the table.
    pub(super) fn entry_bits(self) -> u64 {
        match self {
            Self::Fat12 => 12,
            Self::Fat16 => 16,
            Self::Fat32 => 32,
        }
    }

    /// The offset of the serial number in the boot sector. The label follows it.
    pub(super) fn serial_offset(self) -> usize {
        if self == Self::Fat32 { 0x43 } else { 0x27 }
    }
}
