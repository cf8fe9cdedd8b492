//! Finds files that a reader takes for one.
//!
//! bsdtar takes files for links to one another if they have one number: that in a `PX` entry of Rock Ridge, or else the first
//! sector. It then reads the bytes of the first for all of them, while Linux reads those of each.
//!
//! Source: libarchive, `archive_read_support_format_iso9660.c`.

use std::collections::{HashMap, hash_map::Entry};

use crate::error::{Result, ensure};
use crate::image::{Extent, Kind, SECTOR_BYTES};

/// Files by their numbers.
#[derive(Debug, Default)]
pub(super) struct SameFiles {
    found: HashMap<u64, (Kind, Vec<Extent>)>,
}

impl SameFiles {
    /// Adds a file with the number in its entries, if they have one, and its extents that are not empty. A directory has one.
    pub(super) fn add(&mut self, serial: Option<u32>, kind: Kind, extents: Vec<Extent>) -> Result<()> {
        let first = extents.first().map(|extent| extent.offset / SECTOR_BYTES);
        let Some(number) = serial.map(u64::from).or(first) else { return Ok(()) };
        let file = (kind, extents);
        match self.found.entry(number) {
            Entry::Occupied(known) => {
                ensure!(*known.get() == file, "two files have the same serial number, but different bytes");
            }
            Entry::Vacant(place) => drop(place.insert(file)),
        }
        Ok(())
    }
}
