//! Changes of volume descriptors, path tables and directory records.

use super::{
    Choices,
    fields::*,
    map::{Map, Spot},
};

/// The fields of a volume descriptor that say where something is or how large it is (ECMA-119, 8.4).
const DESCRIPTOR_FIELDS: [(usize, Form); 16] = [
    (0, Form::Byte),
    (6, Form::Byte),
    (7, Form::Byte),
    (80, Form::Both32),
    (120, Form::Both16),
    (124, Form::Both16),
    (128, Form::Both16),
    (132, Form::Both32),
    (140, Form::Little32),
    (144, Form::Little32),
    (148, Form::Big32),
    (152, Form::Big32),
    (ROOT_RECORD, Form::Byte),
    (ROOT_RECORD + RECORD_EXTENT, Form::Both32),
    (ROOT_RECORD + RECORD_DATA_LEN, Form::Both32),
    (881, Form::Byte),
];

/// The fields of a directory record (ECMA-119, 9.1).
const RECORD_FIELDS: [(usize, Form); 9] = [
    (0, Form::Byte),
    (1, Form::Byte),
    (RECORD_EXTENT, Form::Both32),
    (RECORD_DATA_LEN, Form::Both32),
    (RECORD_FLAGS, Form::Byte),
    (26, Form::Byte),
    (27, Form::Byte),
    (28, Form::Both16),
    (RECORD_NAME_LEN, Form::Byte),
];

/// Escape sequences that make a supplementary descriptor one of Joliet (Joliet specification, "Recognizing Joliet").
const ESCAPES: [&[u8; 3]; 4] = [b"%/@", b"%/C", b"%/E", b"%/A"];

/// Names that mean something to an agent, to a reader or to a file system.
pub(super) const NAMES: [&[u8]; 20] = [
    b"\0",
    b"\x01",
    b"CONFIG.;1",
    b"CONFIG.;2",
    b"CONFIG",
    b"config",
    b"USER_DAT.;1",
    b"user-data",
    b"meta-data",
    b"manifest.json",
    b"manifest.json.sig",
    b".",
    b"..",
    b"...",
    b"..;1",
    b";1",
    b"a/b",
    b"A\0B",
    b"\0c\0o\0n\0f\0i\0g",
    b"\xff\xfe\x1b",
];

pub(super) fn descriptor_field(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<()> {
    let descriptor = choices.one_of(&map.descriptors)?;
    let (field, form) = choices.one_of(&DESCRIPTOR_FIELDS)?;
    let number = number(image, map, choices);
    put(image, descriptor + field, form, number, choices.byte() % 8)
}

/// Copies, swaps or removes descriptors, makes one of another kind, or ends them early.
pub(super) fn descriptor_place(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<()> {
    let [one, other] = [choices.one_of(&map.descriptors)?, choices.one_of(&map.descriptors)?];
    let end = (FIRST_DESCRIPTOR + 12) * SECTOR;
    match choices.below(6) {
        0 => image[one] = choices.one_of(&[0, 1, 2, 3, 255])?,
        1 => image.copy_within(one..one + SECTOR, other),
        2 if one != other => {
            let (low, high) = image.split_at_mut(one.max(other));
            low[one.min(other)..][..SECTOR].swap_with_slice(&mut high[..SECTOR]);
        }
        3 => {
            let copy = image[one..one + SECTOR].to_vec();
            insert(image, Spot { at: other, end }, &copy)?;
        }
        4 => remove(image, Spot { at: one, end }, SECTOR)?,
        _ => {
            let escape = choices.one_of(&ESCAPES)?;
            image[one + 88..one + 91].copy_from_slice(escape);
        }
    }
    Some(())
}

pub(super) fn record_field(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<()> {
    let record = choices.one_of(&map.records)?;
    let (field, form) = choices.one_of(&RECORD_FIELDS)?;
    let number = number(image, map, choices);
    put(image, record.at + field, form, number, choices.byte() % 8)
}

/// Gives a record a name that means something, or that of another record.
pub(super) fn record_name(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<()> {
    let record = choices.one_of(&map.records)?;
    let name = if choices.yes() {
        choices.one_of(&NAMES)?.to_vec()
    } else {
        let other = choices.one_of(&map.records)?.at;
        let len = usize::from(*image.get(other + RECORD_NAME_LEN)?);
        image.get(other + RECORD_BYTES..other + RECORD_BYTES + len)?.to_vec()
    };
    let at = record.at + RECORD_BYTES;
    let len = usize::from(*image.get(record.at + RECORD_NAME_LEN)?);
    let keeps_length = choices.yes();
    let name = if keeps_length { name.get(..len).unwrap_or(&name) } else { &name };
    image.get_mut(at..at + name.len())?.copy_from_slice(name);
    image[record.at + RECORD_NAME_LEN] = u8::try_from(name.len()).ok()?;
    Some(())
}

/// Copies, swaps or removes records of directories.
pub(super) fn record_order(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<()> {
    let [one, other] = [choices.one_of(&map.records)?, choices.one_of(&map.records)?];
    let bytes = |spot: Spot| Some(image.get(spot.at..spot.at + usize::from(*image.get(spot.at)?))?.to_vec());
    let [first, second] = [bytes(one)?, bytes(other)?];
    match choices.below(3) {
        0 => insert(image, other, &first),
        1 => remove(image, one, first.len()),
        _ => {
            let last =
                if one.at > other.at { (one, &first, other, &second) } else { (other, &second, one, &first) };
            let (high, high_bytes, low, low_bytes) = last;
            remove(image, high, high_bytes.len())?;
            insert(image, high, low_bytes)?;
            remove(image, low, low_bytes.len())?;
            insert(image, low, high_bytes)
        }
    }
}

/// Makes a record longer or shorter, with or without what follows it.
pub(super) fn record_length(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<()> {
    let record = choices.one_of(&map.records)?;
    let len = *image.get(record.at)?;
    let by = choices.byte() % 64;
    let (longer, moves) = (choices.yes(), choices.yes());
    let at = Spot { at: record.at + usize::from(len), end: record.end };
    if longer {
        if moves {
            insert(image, at, &vec![0; usize::from(by)])?;
        }
        image[record.at] = len.wrapping_add(by);
    } else {
        if moves {
            remove(image, Spot { at: at.at.checked_sub(usize::from(by))?, ..at }, usize::from(by))?;
        }
        image[record.at] = len.wrapping_sub(by);
    }
    Some(())
}

/// Moves records so that one crosses the end of a sector.
pub(super) fn record_crosses(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<()> {
    let record = choices.one_of(&map.records)?;
    let end = record.at.next_multiple_of(SECTOR);
    let inside = 1 + choices.below(64);
    let by = end.checked_sub(record.at)?.checked_sub(inside)?;
    // A reader that goes from record to record needs one here; it is as good as the one that moves.
    let mut filler = vec![0; by];
    let copy = image.get(record.at..record.at + by.min(usize::from(*image.get(record.at)?)))?;
    filler[..copy.len()].copy_from_slice(copy);
    insert(image, record, &filler)
}

/// Makes a file of several extents of a record.
pub(super) fn several_extents(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<()> {
    let record = choices.one_of(&map.records)?;
    let len = usize::from(*image.get(record.at)?);
    let copy = image.get(record.at..record.at + len).filter(|copy| copy.len() > RECORD_FLAGS)?.to_vec();
    let count = choices.below(48);
    let (same_extent, ends) = (choices.yes(), choices.below(4) > 0);
    let extent = number(image, map, choices);
    for index in 0..=count {
        let mut extra = copy.clone();
        if index > 0 || !ends {
            extra[RECORD_FLAGS] |= FLAG_NOT_FINAL;
        }
        if !same_extent {
            let extent = extent.wrapping_add(u32::try_from(count - index).unwrap_or(0));
            put(&mut extra, RECORD_EXTENT, Form::Both32, extent, 0);
        }
        if index == 0 {
            image[record.at..record.at + len].copy_from_slice(&extra);
        } else {
            insert(image, record, &extra)?;
        }
    }
    Some(())
}

/// Lets a directory, or the record that a directory has of itself, name another one, or itself.
pub(super) fn directory_target(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<()> {
    let directories: Vec<_> = map
        .records
        .iter()
        .filter(|record| image.get(record.at + RECORD_FLAGS).is_some_and(|flags| flags & FLAG_DIRECTORY != 0))
        .copied()
        .collect();
    let record = choices.one_of(&directories)?;
    let starts: Vec<_> = map.directories.iter().map(|directory| directory.start / SECTOR).collect();
    let target = u32::try_from(choices.one_of(&starts)?).ok()?;
    put(image, record.at + RECORD_EXTENT, Form::Both32, target, 0)?;
    let len = [2048, 2047, 2049, 4096, 65536, 40, 0][choices.below(7)];
    if choices.yes() {
        put(image, record.at + RECORD_DATA_LEN, Form::Both32, len, 0)?;
    }
    Some(())
}

/// Gives a directory room of its own behind all else, and perhaps more of it.
pub(super) fn directory_moves(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<()> {
    let directory = map.directories.get(choices.below(map.directories.len()))?.clone();
    let sectors = directory.len().div_ceil(SECTOR) + choices.below(8);
    let used = used_sectors(image);
    let copy = image[directory.clone()].to_vec();
    let end = (used + sectors) * SECTOR;
    image.resize(image.len().max(end), 0);
    image[used * SECTOR..][..copy.len()].copy_from_slice(&copy);
    let [old, new] = [directory.start / SECTOR, used].map(|sector| u32::try_from(sector).unwrap_or(0));
    let len = u32::try_from(sectors * SECTOR).ok()?;
    let there = map.records.iter().filter(|record| little(image, record.at + RECORD_EXTENT) == Some(old));
    // That of itself is where it was, and is there in the copy.
    let own = Spot { at: used * SECTOR, end };
    for record in there.copied().chain([own]).collect::<Vec<_>>() {
        put(image, record.at + RECORD_EXTENT, Form::Both32, new, 0)?;
        put(image, record.at + RECORD_DATA_LEN, Form::Both32, len, 0)?;
    }
    Some(())
}

/// Changes a Rock Ridge entry: its length, its signature, its version, or what it says.
pub(super) fn table_record(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<()> {
    let at = choices.one_of(&map.table_records)?;
    let number = number(image, map, choices);
    match choices.below(4) {
        0 => put(image, at, Form::Byte, number, 0),
        1 => put(image, at + 1, Form::Byte, number, 0),
        2 => put(image, at + 2, Form::Little32, number, 0),
        _ => put(image, at + 6, Form::Byte, number, 0),
    }
}
