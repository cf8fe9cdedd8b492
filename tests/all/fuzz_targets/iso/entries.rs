//! Changes of Rock Ridge entries.

use super::{
    Choices,
    fields::*,
    map::{Map, Spot},
    records::NAMES,
};

pub(super) fn entry_field(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<()> {
    let entry = choices.one_of(&map.entries)?;
    let number = number(image, map, choices);
    match choices.below(6) {
        0 => put(image, entry.at + 2, Form::Byte, number, 0),
        1 => {
            let signature = choices.one_of(&SIGNATURES)?;
            image.get_mut(entry.at..entry.at + 2)?.copy_from_slice(&signature[..]);
            Some(())
        }
        2 => put(image, entry.at + 3, Form::Byte, number, 0),
        3 => put(image, entry.at + 4, Form::Byte, number, 0),
        _ => {
            let field = 4 + 8 * choices.below(5);
            put(image, entry.at + field, Form::Both32, number, choices.byte() % 8)
        }
    }
}

/// Copies, swaps or removes Rock Ridge entries.
pub(super) fn entry_order(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<()> {
    let [one, other] = [choices.one_of(&map.entries)?, choices.one_of(&map.entries)?];
    let len = usize::from(*image.get(one.at + 2)?);
    let bytes = image.get(one.at..one.at + len)?.to_vec();
    match choices.below(3) {
        0 => insert(image, other, &bytes),
        1 => remove(image, one, len),
        _ => {
            image.get_mut(other.at..other.at + len)?.copy_from_slice(&bytes);
            Some(())
        }
    }
}

/// The signatures of the entries that readers know.
pub(super) const SIGNATURES: [&[u8; 2]; 14] =
    [b"SP", b"CE", b"ER", b"RR", b"PX", b"NM", b"SL", b"CL", b"PL", b"RE", b"TF", b"ST", b"PN", b"HD"];

/// Adds a Rock Ridge entry to a record, which grows by it, or writes it over another entry.
pub(super) fn entry_insert(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<()> {
    let entry = new_entry(image, map, choices)?;
    if choices.yes() {
        let at = choices.one_of(&map.entries)?.at;
        image.get_mut(at..at + entry.len())?.copy_from_slice(&entry);
        return Some(());
    }
    let record = choices.one_of(&map.records)?;
    let len = *image.get(record.at)?;
    let grown = u8::try_from(usize::from(len) + entry.len()).ok()?;
    let name_end = RECORD_BYTES + usize::from(*image.get(record.at + RECORD_NAME_LEN)?);
    let front = choices.yes();
    let within = if front { name_end + (record.at + name_end) % 2 } else { usize::from(len) };
    insert(image, Spot { at: record.at + within, end: record.end }, &entry)?;
    image[record.at] = grown;
    Some(())
}

pub(super) fn new_entry(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<Vec<u8>> {
    const MODES: [u32; 6] = [0o100_644, 0o040_755, 0o120_777, 0o060_600, 0o010_600, 0];
    let signature = choices.one_of(&SIGNATURES)?;
    let both = |number: u32| [number.to_le_bytes(), number.to_be_bytes()].concat();
    let name = |choices: &mut Choices<'_>| choices.one_of(&NAMES).unwrap_or(b"x").to_vec();
    let data = match signature {
        b"SP" => vec![0xbe, 0xef, choices.byte() % 32],
        b"CE" => {
            let entries: Vec<_> = map.entries.iter().map(|entry| entry.at).collect();
            let (at, len) = match choices.below(3) {
                // Where there are entries, perhaps those of the record itself.
                0 => (choices.one_of(&entries)?, u32::from(choices.byte())),
                // A new area, which may go on in itself.
                1 => return Some(continuation(image, choices)),
                _ => (number(image, map, choices) as usize, number(image, map, choices)),
            };
            let [sector, offset] = [at / SECTOR, at % SECTOR].map(|part| u32::try_from(part).unwrap_or(0));
            [both(sector), both(offset), both(len)].concat()
        }
        b"ER" => [&[10, 0, 0, 1][..], b"RRIP_1991A"].concat(),
        b"RR" => vec![choices.byte()],
        b"PX" => {
            let mode = choices.one_of(&MODES)?;
            let links = u32::from(choices.byte() % 4);
            let serial = u32::from(choices.byte() % 4);
            [mode, links, 0, 0, serial].map(both).concat()
        }
        b"NM" => [vec![choices.one_of(&[0, 1, 2, 4, 8, 0x20])?], name(choices)].concat(),
        b"SL" => {
            let target = name(choices);
            let flags = [choices.byte() % 2, choices.one_of(&[0, 1, 2, 4, 8])?];
            [&flags[..], &[u8::try_from(target.len()).ok()?], &target].concat()
        }
        b"CL" | b"PL" => both(number(image, map, choices)),
        b"TF" => [vec![choices.byte()], vec![1; choices.below(80)]].concat(),
        b"PN" => [both(8), both(u32::from(choices.byte()))].concat(),
        _ => Vec::new(),
    };
    let len = u8::try_from(4 + data.len()).ok()?;
    Some([&signature[..], &[len, 1], &data].concat())
}

/// A continuation area behind all else, and the entry that names it: names without end, or an area that goes on in itself,
/// in the next or nowhere.
pub(super) fn continuation(image: &mut Vec<u8>, choices: &mut Choices<'_>) -> Vec<u8> {
    let used = used_sectors(image);
    let entry = |sector: usize, offset: u32, len: u32| {
        let both = |number: u32| [number.to_le_bytes(), number.to_be_bytes()].concat();
        let sector = both(u32::try_from(sector).unwrap_or(0));
        [b"CE\x1c\x01".to_vec(), sector, both(offset), both(len)].concat()
    };
    let areas = 1 + choices.below(4);
    let names = choices.below(6);
    image.resize(image.len().max((used + areas) * SECTOR), 0);
    for area in 0..areas {
        let next = match choices.below(3) {
            0 => used,
            1 => used + area,
            _ => used + area + 1,
        };
        let mut bytes = b"NM\x0a\x01\x01xxxxx".repeat(names);
        bytes.extend(entry(next, 0, 2048));
        image[(used + area) * SECTOR..][..bytes.len()].copy_from_slice(&bytes);
    }
    entry(used, 0, 2048)
}
