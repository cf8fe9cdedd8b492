//! A mutator of ISO 9660 structures: volume descriptors, path tables, directory records and Rock Ridge entries.
//!
//! Every decision is taken by a byte of the input, so that a fuzzer can learn what its bytes do. Sources: ECMA-119, IEEE P1281
//! (SUSP) and P1282 (Rock Ridge), and the Joliet specification.

#![expect(clippy::ptr_arg, reason = "all changes have one signature, and some of them let the image grow")]

mod bases;
mod choices;
mod entries;
mod fields;
mod map;
mod records;

pub(crate) use self::{
    bases::{bases, linuxkit_image},
    choices::Choices,
    fields::{FIRST_DESCRIPTOR, SECTOR, used_sectors},
};
use self::{entries::*, map::Map, records::*};

/// Bytes that a mutant may have.
const IMAGE_BYTES_MAX: usize = 1 << 20;

/// Changes an image in one way; `None`: it has nothing that could be changed like that.
type Change = fn(&mut Vec<u8>, &Map, &mut Choices<'_>) -> Option<()>;

/// Changes `image` as `choices` say, until they end.
pub(crate) fn mutate(image: &mut Vec<u8>, choices: &mut Choices<'_>) {
    const CHANGES_MAX: usize = 32;
    const CHANGES: [Change; 16] = [
        descriptor_field,
        descriptor_place,
        record_field,
        record_field,
        record_name,
        record_order,
        record_length,
        record_crosses,
        several_extents,
        directory_target,
        directory_moves,
        entry_field,
        entry_order,
        entry_insert,
        table_record,
        bytes,
    ];
    for _ in 0..CHANGES_MAX {
        if choices.is_empty() {
            return;
        }
        let map = Map::of(image);
        let change = CHANGES[choices.below(CHANGES.len())];
        let _ = change(image, &map, choices);
        image.truncate(IMAGE_BYTES_MAX);
    }
}

/// Changes any bytes of the head, copies or clears a sector, or lets the image end elsewhere.
fn bytes(image: &mut Vec<u8>, _: &Map, choices: &mut Choices<'_>) -> Option<()> {
    let first = FIRST_DESCRIPTOR * SECTOR;
    let used = used_sectors(image) * SECTOR;
    let sector = |choices: &mut Choices<'_>| (FIRST_DESCRIPTOR + choices.below(24)) * SECTOR;
    match choices.below(5) {
        0 => {
            let at = first + choices.below(used.saturating_sub(first).min(65_536));
            *image.get_mut(at)? = choices.byte();
        }
        1 => {
            let at = first + choices.below(used.saturating_sub(first).min(65_536));
            *image.get_mut(at)? ^= 1 << (choices.byte() % 8);
        }
        2 => {
            let (from, to) = (sector(choices), sector(choices));
            if to.max(from) + SECTOR <= image.len() {
                image.copy_within(from..from + SECTOR, to);
            }
        }
        3 => {
            let at = sector(choices);
            image.get_mut(at..at + SECTOR)?.fill(0);
        }
        _ => {
            let len = used.saturating_sub(choices.below(65_536)).max(first);
            image.truncate(len);
        }
    }
    Some(())
}
