//! Finds the trees of a volume, and the one that Linux reads.
//!
//! Linux reads Rock Ridge if the root directory has it, otherwise Joliet, otherwise the names of ISO 9660 itself. It never reads
//! the tree of an Enhanced Volume Descriptor.
//!
//! Source: Linux, `fs/isofs/inode.c` (`isofs_fill_super`).

use crate::error::{Context, Result, bail, ensure};
use hadris_iso::{Namespace, raw, sync::IsoFs};

use super::{
    device::{Bounded, broken},
    records::{self, Directory},
    rock_ridge,
};
use crate::image::{SECTOR_BYTES, Tree};

/// Where the root directories of a volume begin, in sectors.
#[derive(Debug)]
pub(super) struct Roots {
    primary: u64,
    joliet: Option<u64>,
    has_rock_ridge: bool,
    has_enhanced: bool,
    prefers_joliet: bool,
}

impl Roots {
    /// The roots of `iso`, whose directories are read from `device`.
    pub(super) fn of(iso: &mut IsoFs<Bounded>, device: &mut Bounded) -> Result<Self> {
        let (primary, joliet) = of_descriptors(iso)?;
        let root = Directory::open(device, primary)?;
        let has_rock_ridge =
            rock_ridge::is_on(device, &root).context("reading Rock Ridge of the root directory")?;
        let is_empty = records::is_empty(device.sector(primary)?);
        if let (true, Some(joliet)) = (has_rock_ridge, joliet) {
            // bsdtar reads the tree whose root comes first.
            ensure!(primary < joliet, "the root directory of Joliet comes before that with Rock Ridge");
            let has_files =
                root.own().data_len() > SECTOR_BYTES || !records::is_empty(device.sector(joliet)?);
            ensure!(
                !is_empty || !has_files,
                "the root directory with Rock Ridge looks empty, and not all readers use Joliet instead"
            );
        }
        Ok(Self {
            primary,
            joliet,
            has_rock_ridge,
            has_enhanced: iso.namespaces().contains(Namespace::Enhanced),
            prefers_joliet: joliet.is_some() && (!has_rock_ridge || is_empty),
        })
    }

    /// The trees, the best for a Linux guest first.
    pub(super) fn trees(&self) -> Vec<Tree> {
        let trees = [
            (Tree::RockRidge, self.has_rock_ridge),
            (Tree::Joliet, self.joliet.is_some()),
            (Tree::Enhanced, self.has_enhanced),
            (Tree::Primary, true),
        ];
        trees.into_iter().filter(|(_, is_there)| *is_there).map(|(tree, _)| tree).collect()
    }

    /// The tree that Linux reads.
    pub(super) fn read_by_linux(&self) -> Tree {
        match self {
            Self { prefers_joliet: true, .. } => Tree::Joliet,
            Self { has_rock_ridge: true, .. } => Tree::RockRidge,
            _ => Tree::Primary,
        }
    }

    /// The first sector of the root directory of a tree.
    pub(super) fn first_sector(&self, tree: Tree) -> Result<u64> {
        match tree {
            Tree::Primary => Some(self.primary),
            Tree::RockRidge => self.has_rock_ridge.then_some(self.primary),
            Tree::Joliet => self.joliet,
            Tree::Enhanced => bail!("Linux does not read this tree"),
            Tree::Fat12 | Tree::Fat16 | Tree::Fat32 => None,
        }
        .with_context(|| format!("the volume has no {} tree", tree.name()))
    }
}

/// The first sectors of the root directories of the first primary volume descriptor, and of the Joliet descriptor that Linux uses:
/// it stops at the first supplementary descriptor with an escape sequence like those of Joliet.
fn of_descriptors(iso: &mut IsoFs<Bounded>) -> Result<(u64, Option<u64>)> {
    const LEVELS: [u8; 3] = *b"@CE";
    let mut primary = None;
    for index in 0.. {
        match iso.descriptor(index).map_err(broken)? {
            None => break,
            Some(raw::VolumeDescriptor::Primary(it)) if primary.is_none() => {
                primary = Some(first_sector(&it.root)?);
            }
            Some(raw::VolumeDescriptor::Supplementary(it)) if it.escape_sequences.starts_with(b"%/") => {
                let Some(primary) = primary else { break };
                // Linux looks no further, and others do.
                ensure!(LEVELS.contains(&it.escape_sequences[2]), "the level of Joliet is unknown");
                let block_bytes = u64::from(it.logical_block_size.get());
                ensure!(block_bytes == SECTOR_BYTES, "the block size of Joliet is not 2048 bytes");
                return Ok((primary, Some(first_sector(&it.root)?)));
            }
            Some(_) => {}
        }
    }
    Ok((primary.context("no primary volume descriptor precedes the others")?, None))
}

fn first_sector(root: &raw::RootDirectoryRecord) -> Result<u64> {
    let extent = root.header.extent;
    ensure!(extent.is_consistent(), "a number in a volume descriptor differs between its two byte orders");
    ensure!(root.header.extended_attr_record == 0, "a root directory has extended attributes");
    let sector = u64::from(extent.get());
    ensure!(sector > 0, "a root directory is at sector 0");
    Ok(sector)
}
