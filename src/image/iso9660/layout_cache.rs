//! Makes the head of an image from that of an earlier one.
//!
//! Where only contents differ and every file takes as many sectors as before, two heads differ only in those contents and in the
//! lengths in directory records.

use std::{collections::HashMap, ops::Range};

use crate::error::Result;

use super::{
    layout::{ImageHead, VolumeAttributes},
    record_fields::DATA_LEN,
    records::DirectoryRecord,
};
use crate::image::{
    Extent, SECTOR_BYTES, SYSTEM_AREA_BYTES,
    staging::{Data, FilePlace},
};

/// Bytes in a sector, to count in memory.
const SECTOR: usize = 2048;

/// The smallest image in sectors: what a few small files need with the padding. So most images are laid out only once, with a
/// size that is a multiple of the unit of the volume.
pub(super) const SECTORS_MIN: u64 = 182;

/// How many templates are kept.
const TEMPLATES_MAX: usize = 8;

/// The largest template in bytes; a larger head is always laid out.
const TEMPLATE_BYTES_MAX: usize = 256 << 10;

/// The largest number of files in a template; a head with more is always laid out.
const TEMPLATE_FILES_MAX: usize = 64;

/// Heads from which others are made. The result is what the writer lays out without them, several times faster.
#[derive(Debug, Default)]
pub struct LayoutCache {
    /// The most recently used one is the last.
    templates: Vec<Template>,
}

impl LayoutCache {
    /// The head of an image of these small files.
    pub(super) fn lay_out(
        &mut self,
        volume: &VolumeAttributes,
        files: &[(&[u8], Data)],
    ) -> Result<ImageHead> {
        if let Some(at) = self.templates.iter().position(|template| template.fits(volume, files)) {
            let template = self.templates.remove(at);
            let head = template.fill(files);
            self.templates.push(template);
            return Ok(head);
        }
        let head = lay_out(volume, files)?;
        if let Some(template) = Template::of(&head, volume, files) {
            if self.templates.len() == TEMPLATES_MAX {
                self.templates.remove(0);
            }
            self.templates.push(template);
        }
        Ok(head)
    }
}

/// The head of an image of these small files, whose size is a multiple of the unit of the volume.
pub(super) fn lay_out(volume: &VolumeAttributes, files: &[(&[u8], Data)]) -> Result<ImageHead> {
    let places = || files.iter().map(|(name, data)| (*name, FilePlace::Head(data.clone())));
    let head = volume.lay_out(places(), SECTORS_MIN)?;
    if head.image_bytes.is_multiple_of(volume.size_unit()) {
        return Ok(head);
    }
    volume.lay_out(places(), head.image_bytes.next_multiple_of(volume.size_unit()) / SECTOR_BYTES)
}

#[derive(Debug)]
struct Template {
    volume: VolumeAttributes,
    /// Paths of the files, and how many sectors they take.
    files: Vec<(Vec<u8>, u64)>,
    /// The head with zeros in place of the contents.
    head: ImageHead,
    /// Where in the head lengths of files are, and the index of the file.
    lengths: Vec<(usize, usize)>,
}

impl Template {
    /// `None`: the template would be too large, or the head is not understood.
    fn of(head: &ImageHead, volume: &VolumeAttributes, files: &[(&[u8], Data)]) -> Option<Self> {
        if head.bytes.len() > TEMPLATE_BYTES_MAX || files.len() > TEMPLATE_FILES_MAX {
            return None;
        }
        let lengths = length_fields(&head.bytes, &head.extents)?;
        let mut head = head.clone();
        for extent in &head.extents {
            let at = position(extent);
            head.bytes.get_mut(at..at + usize::try_from(extent.len).ok()?)?.fill(0);
        }
        let files = files.iter().map(|(name, data)| (name.to_vec(), sectors(data))).collect();
        Some(Self { volume: volume.clone(), files, head, lengths })
    }

    fn fits(&self, volume: &VolumeAttributes, files: &[(&[u8], Data)]) -> bool {
        let shape = self.files.iter().map(|(name, sectors)| (name.as_slice(), *sectors));
        self.files.len() == files.len()
            && shape.eq(files.iter().map(|(name, data)| (*name, sectors(data))))
            && self.volume == *volume
    }

    /// The head with these files, which the template fits.
    fn fill(&self, files: &[(&[u8], Data)]) -> ImageHead {
        let mut head = self.head.clone();
        for ((_, data), extent) in files.iter().zip(&mut head.extents) {
            let content = data.as_bytes().unwrap_or_default();
            extent.len = content.len() as u64;
            if !content.is_empty() {
                let at = position(extent);
                head.bytes[at..at + content.len()].copy_from_slice(content);
            }
        }
        for (at, file) in &self.lengths {
            let len = u32::try_from(head.extents[*file].len).unwrap_or(u32::MAX);
            head.bytes[*at..at + 8].copy_from_slice(&both_orders(len));
        }
        head
    }
}

fn sectors(data: &Data) -> u64 {
    data.len().div_ceil(SECTOR_BYTES)
}

/// Where the bytes of a file are in a head, which begins after the system area; 0 for an empty file.
fn position(extent: &Extent) -> usize {
    usize::try_from(extent.offset).unwrap_or(usize::MAX).saturating_sub(SYSTEM_AREA_BYTES)
}

/// A number of 32 bits in both byte orders (ECMA-119, 7.3.3).
fn both_orders(number: u32) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    bytes[4..].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// Where the lengths of the files with these extents are in a head: in one record of each tree, with the index of the file.
///
/// `None`: some file does not have one record in each tree.
fn length_fields(head: &[u8], extents: &[Extent]) -> Option<Vec<(usize, usize)>> {
    let of_sector: HashMap<_, _> = (0..)
        .zip(extents)
        .filter(|(_, extent)| extent.len > 0)
        .map(|(file, extent)| (extent.offset / SECTOR_BYTES, file))
        .collect();
    let roots = roots(head)?;
    let mut found = Vec::new();
    let mut times = vec![0; extents.len()];
    let mut directories = roots.clone();
    while let Some(directory) = directories.pop() {
        for (at, record) in records(head, directory)? {
            if record.is_directory() {
                directories.push((record.first_sector(), record.data_len()));
            } else if let Some(&file) = of_sector.get(&record.first_sector()) {
                if head[at + DATA_LEN..][..8] != both_orders(u32::try_from(extents[file].len).ok()?) {
                    return None;
                }
                times[file] += 1;
                found.push((at + DATA_LEN, file));
            }
        }
        // A head has few directories; more of them form a loop.
        if found.len() + directories.len() > 2 * roots.len() * (TEMPLATE_FILES_MAX + SECTOR) {
            return None;
        }
    }
    let each_once = |(extent, times): (&Extent, &usize)| extent.len == 0 || *times == roots.len();
    extents.iter().zip(&times).all(each_once).then_some(found)
}

/// The sector and the length of the root directory of every tree (ECMA-119, 8.4.18 and 8.5.12).
fn roots(head: &[u8]) -> Option<Vec<(u64, u64)>> {
    const ROOT_RECORD: Range<usize> = 156..190;
    const TERMINATOR: u8 = 255;
    const WITH_ROOT: [u8; 2] = [1, 2];
    let descriptors = head.chunks_exact(SECTOR).take_while(|descriptor| descriptor[0] != TERMINATOR);
    descriptors
        .filter(|descriptor| WITH_ROOT.contains(&descriptor[0]))
        .map(|descriptor| {
            let root = DirectoryRecord::parse(&descriptor[ROOT_RECORD]).ok()??;
            Some((root.first_sector(), root.data_len()))
        })
        .collect()
}

/// The records of a directory and where they are, without those of itself and of the one above it (ECMA-119, 6.8.1.1 and
/// 6.8.2.2).
fn records(head: &[u8], (sector, len): (u64, u64)) -> Option<Vec<(usize, DirectoryRecord)>> {
    let start = position(&Extent { offset: sector * SECTOR_BYTES, len });
    let end = start + usize::try_from(len).ok()?;
    let mut found = Vec::new();
    let mut at = start;
    while at < end {
        let sector_end = (at + 1).next_multiple_of(SECTOR);
        match DirectoryRecord::parse(head.get(at..sector_end.min(end))?).ok()? {
            None => at = sector_end,
            Some(record) => {
                let next = at + record.len();
                if !record.names_itself_or_above() {
                    found.push((at, record));
                }
                at = next;
            }
        }
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::{super::volume_format::VolumeFormat, *};

    fn files<'a>(names: &[&'a str], lens: &[usize], fill: u8) -> Vec<(&'a [u8], Data)> {
        let data = |len: usize| {
            Data::bytes((0..=250).cycle().take(len).map(|byte: u8| byte ^ fill).collect::<Vec<_>>())
        };
        names.iter().zip(lens).map(|(name, len)| (name.as_bytes(), data(*len))).collect()
    }

    fn attributes(identifier: &str, seconds: u64) -> Result<VolumeAttributes> {
        VolumeAttributes::new(identifier, seconds, VolumeFormat::default())
    }

    #[track_caller]
    fn assert_same(one: &ImageHead, other: &ImageHead) {
        assert!(one.bytes == other.bytes);
        assert_eq!(one.image_bytes, other.image_bytes);
        assert_eq!(one.extents, other.extents);
        assert_eq!(one.warnings, other.warnings);
    }

    const NAMES: [&str; 5] = [
        "a:b",
        "config",
        "openstack/latest/meta_data.json",
        "openstack/latest/user_data",
        "p/q/r/s/t/u/v/w/x/y",
    ];

    proptest! {
        #[test]
        fn a_head_made_from_a_template_is_the_one_that_is_laid_out(
            lens in vec(vec(prop_oneof![Just(0_usize), 1..6000_usize, Just(2048)], NAMES.len()), 1..12),
            count in 1..=NAMES.len(),
        ) {
            let volume = attributes("CIDATA", 0).unwrap();
            let mut cache = LayoutCache::default();
            for (lens, fill) in lens.iter().zip(0..) {
                let files = files(&NAMES[..count], lens, fill);
                assert_same(&cache.lay_out(&volume, &files).unwrap(), &lay_out(&volume, &files).unwrap());
            }
        }
    }

    #[test]
    fn a_template_is_used_again_for_other_lengths() -> Result<()> {
        let volume = attributes("CIDATA", 0)?;
        let mut cache = LayoutCache::default();
        for lens in [[1, 2000], [2048, 5], [7, 2047]] {
            cache.lay_out(&volume, &files(&["meta-data", "user-data"], &lens, 0))?;
            assert_eq!(cache.templates.len(), 1, "{lens:?}");
        }
        for lens in [[0, 5], [1, 2049]] {
            cache.lay_out(&volume, &files(&["meta-data", "user-data"], &lens, 0))?;
        }
        cache.lay_out(&attributes("cidata", 0)?, &files(&["meta-data", "user-data"], &[1, 1], 0))?;
        cache.lay_out(&attributes("CIDATA", 1)?, &files(&["meta-data", "user-data"], &[1, 1], 0))?;
        assert_eq!(cache.templates.len(), 5, "one for each shape");
        for number in 0..20 {
            cache.lay_out(&volume, &files(&["x"], &[number * 2048 + 1], 0))?;
        }
        assert_eq!(cache.templates.len(), TEMPLATES_MAX);
        Ok(())
    }
}
