//! Directories that are stored elsewhere, and entries of Rock Ridge that continue elsewhere.
//!
//! bsdtar finds them only in the places where it looks for them, while Linux finds them anywhere.
//!
//! Source: libarchive, `archive_read_support_format_iso9660.c`.

use std::collections::{BTreeSet, HashMap};

use crate::error::{Result, ensure};

/// Sectors that one part of a volume names and another part must bear out.
#[derive(Debug, Default)]
pub(super) struct Places {
    /// Directories that belong elsewhere, by sector: their lengths, and whether they were found there.
    relocated: HashMap<u64, Relocated>,
    /// The sectors in which entries of Rock Ridge continue.
    continuations: BTreeSet<u64>,
    /// The same of the root directory's own record. Nothing in them counts to bsdtar.
    root_continuations: BTreeSet<u64>,
    /// The sectors after directories.
    ends: BTreeSet<u64>,
}

/// A directory that is stored in one place and belongs to another.
#[derive(Debug, Default)]
struct Relocated {
    /// Its length in bytes by the record where it is stored (`RE`).
    stored: Option<u64>,
    /// Its length in bytes by its own record, if another record says that it belongs there (`CL`).
    belongs: Option<u64>,
}

impl Places {
    /// Adds the first sector after a directory.
    pub(super) fn add_end(&mut self, sector: u64) {
        self.ends.insert(sector);
    }

    /// Adds a directory that is stored where it does not belong (`RE`), with its length in bytes.
    ///
    /// # Errors
    /// Fails if that was added before.
    pub(super) fn add_stored(&mut self, sector: u64, len: u64) -> Result<()> {
        let stored = &mut self.relocated.entry(sector).or_default().stored;
        ensure!(stored.replace(len).is_none(), "a directory is stored twice");
        Ok(())
    }

    /// Adds where a directory belongs that is stored at `sector` (`CL`), with its length in bytes by its own record.
    pub(super) fn add_belonging(&mut self, sector: u64, len: u64) {
        self.relocated.entry(sector).or_default().belongs = Some(len);
    }

    /// Adds sectors in which entries continue.
    pub(super) fn add_continuations(&mut self, sectors: &[u64]) {
        self.continuations.extend(sectors);
    }

    /// Adds sectors in which entries of the root directory's own record continue.
    pub(super) fn add_root_continuations(&mut self, sectors: &[u64]) {
        self.root_continuations.extend(sectors);
    }

    /// Checks what bsdtar shows only if it is where it looks for it, while Linux looks everywhere.
    pub(super) fn check(&self) -> Result<()> {
        let belongs = |one: &Relocated| one.stored.is_some() && one.stored == one.belongs;
        ensure!(
            self.relocated.values().all(belongs),
            "a directory is stored elsewhere, or belongs elsewhere, and nothing is there"
        );
        let mut next = None;
        for sector in self.continuations.union(&self.root_continuations) {
            let is_read = next == Some(*sector) || self.ends.contains(sector);
            ensure!(
                is_read || !self.continuations.contains(sector),
                "entries continue in a sector that does not follow a directory"
            );
            next = is_read.then_some(sector + 1);
        }
        Ok(())
    }
}
