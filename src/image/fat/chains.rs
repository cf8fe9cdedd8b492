//! Chains of clusters, each of which belongs to one file.
//!
//! A chain is followed as far as its file needs it. Since no cluster is in two chains, or twice in one, all chains together take no more
//! time than the table has entries.

use std::{collections::BTreeMap, fs::File};

use super::volume::{BootSector, Next, Table};
use crate::{
    error::{Result, bail, ensure},
    image::{Extent, limits::EXTENTS_MAX},
};

/// Follows chains.
pub(super) struct Chains<'a> {
    boot: &'a BootSector,
    table: Table<'a>,
    /// The clusters that were found so far: the first one of each run, and the one behind it.
    used: BTreeMap<u32, u32>,
}

impl<'a> Chains<'a> {
    pub(super) fn new(file: &'a File, boot: &'a BootSector) -> Self {
        Self { boot, table: Table::new(file, boot), used: BTreeMap::new() }
    }

    /// Where the bytes of a file are that has so many of them.
    pub(super) fn file(&mut self, first: u32, len: u64) -> Result<Vec<Extent>> {
        let clusters = len.div_ceil(self.boot.cluster_bytes);
        if clusters == 0 {
            return Ok(Vec::new());
        }
        ensure!(first != 0, "it has {len} bytes and no clusters");
        let mut extents = self.follow(first, clusters)?;
        let bytes: u64 = extents.iter().map(|extent| extent.len).sum();
        ensure!(bytes >= len, "its clusters end before its {len} bytes do");
        if let Some(last) = extents.last_mut() {
            last.len -= bytes - len;
        }
        Ok(extents)
    }

    /// Where the bytes of a directory are, which may have `max` at most.
    pub(super) fn directory(&mut self, first: u32, max: u64) -> Result<Vec<Extent>> {
        let clusters = max / self.boot.cluster_bytes;
        let extents = self.follow(first, clusters + 1)?;
        let bytes: u64 = extents.iter().map(|extent| extent.len).sum();
        ensure!(bytes <= clusters * self.boot.cluster_bytes, TOO_LARGE);
        Ok(extents)
    }

    /// Follows a chain to its end, or for so many clusters.
    fn follow(&mut self, first: u32, max: u64) -> Result<Vec<Extent>> {
        let mut extents = Vec::new();
        let (mut run, mut at) = (first, first);
        for left in (0..max).rev() {
            ensure!(self.boot.has(at), "it leads to cluster {at}, which the volume does not have");
            let next = if left == 0 { Next::End } else { self.table.next(at)? };
            if next == Next::Cluster(at + 1) {
                at += 1;
                continue;
            }
            self.take(run, at + 1)?;
            let len = u64::from(at + 1 - run) * self.boot.cluster_bytes;
            extents.push(Extent { offset: self.boot.cluster_offset(run), len });
            let Next::Cluster(next) = next else { break };
            (run, at) = (next, next);
        }
        Ok(extents)
    }

    /// Notes that the clusters from `from` to the one before `to` have an owner.
    fn take(&mut self, from: u32, to: u32) -> Result<()> {
        let before = self.used.range(..to).next_back();
        if let Some((start, end)) = before.filter(|(_, end)| **end > from) {
            bail!("cluster {} belongs to two files, or to one twice", from.max(*start).min(end - 1));
        }
        self.used.insert(from, to);
        let count = self.used.len();
        ensure!(TooLarge: count <= EXTENTS_MAX, "the files of the image are in more than {EXTENTS_MAX} pieces");
        Ok(())
    }
}

const TOO_LARGE: &str = "it is a directory of more than 2 MiB";
