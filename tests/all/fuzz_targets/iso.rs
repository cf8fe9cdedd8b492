//! A mutator of ISO 9660 structures: volume descriptors, path tables, directory records and Rock Ridge entries.
//!
//! Every decision is taken by a byte of the input, so that a fuzzer can learn what its bytes do. Sources: ECMA-119, IEEE P1281
//! (SUSP) and P1282 (Rock Ridge), and the Joliet specification.

#![expect(clippy::ptr_arg, reason = "all changes have one signature, and some of them let the image grow")]

use std::{collections::BTreeSet, ops::Range, sync::OnceLock};

use metadata_image::{
    datasource::layout::Layout, image::source::Source, manifest::Statement, recipe::Recipe,
};

pub(crate) const SECTOR: usize = 2048;

/// The sector of the first descriptor (ECMA-119, 6.2.1).
pub(crate) const FIRST_DESCRIPTOR: usize = 16;

/// Where a descriptor has the record of its root directory (ECMA-119, 8.4.18).
const ROOT_RECORD: usize = 156;

/// Bytes of a directory record before its name (ECMA-119, 9.1).
const RECORD_BYTES: usize = 33;

const RECORD_EXTENT: usize = 2;
const RECORD_DATA_LEN: usize = 10;
const RECORD_FLAGS: usize = 25;
const RECORD_NAME_LEN: usize = 32;

const FLAG_DIRECTORY: u8 = 2;
const FLAG_NOT_FINAL: u8 = 0x80;

/// Bytes that a mutant may have.
const IMAGE_BYTES_MAX: usize = 1 << 20;

/// How the bytes of a number are arranged.
#[derive(Clone, Copy)]
enum Form {
    Byte,
    Little32,
    Big32,
    Both16,
    Both32,
}

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
const NAMES: [&[u8]; 20] = [
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

/// Decisions, each taken by a byte or more; zeros at the end.
pub(crate) struct Choices<'a> {
    bytes: &'a [u8],
}

impl<'a> Choices<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    fn byte(&mut self) -> u8 {
        let (first, rest) = self.bytes.split_first().map_or((0, self.bytes), |(first, rest)| (*first, rest));
        self.bytes = rest;
        first
    }

    fn yes(&mut self) -> bool {
        self.byte() & 1 == 0
    }

    fn number(&mut self) -> u32 {
        u32::from_le_bytes([(); 4].map(|()| self.byte()))
    }

    /// A number below `end`, which is no more than 65,536.
    fn below(&mut self, end: usize) -> usize {
        let high = if end > 256 { usize::from(self.byte()) << 8 } else { 0 };
        (high | usize::from(self.byte())) % end.max(1)
    }

    fn one_of<T: Copy>(&mut self, from: &[T]) -> Option<T> {
        from.get(self.below(from.len())).copied()
    }
}

/// The images that are mutated, with every byte of them.
pub(crate) fn bases() -> &'static [Vec<u8>] {
    static BASES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    BASES.get_or_init(|| {
        let text = |text: &str| Source::Bytes(text.into());
        let files = ["a/b/c", "a/a longer name.txt", "a/empty", "Upper", "link"];
        let content = |name: &str| if name == "a/empty" { String::new() } else { name.repeat(90) };
        let nocloud = Recipe {
            layout: Layout::NoCloud,
            files: files.map(|name| (name.into(), text(&content(name)))).into(),
            hostname: Some("web".to_owned()),
            ..Recipe::new(text("#cloud-config\n"))
        };
        let user_provided_metadata = vec!["deploy".to_owned()];
        let linuxkit = Recipe {
            statement: Some(Statement { user_provided_metadata, ..Statement::default() }),
            signature: Some(b"no signature".to_vec()),
            ..Recipe::new(text(r#"{"a": {"content": "x"}}"#))
        };
        let [nocloud, linuxkit] = [nocloud, linuxkit].map(|recipe| {
            let mut image = Vec::new();
            recipe.draft().unwrap().write_forward(&mut image, &mut ()).unwrap();
            image
        });
        let without_rock_ridge = without_entries(&nocloud);
        let plain = without_joliet(&without_rock_ridge);
        vec![nocloud, linuxkit, without_rock_ridge, plain, linuxkit_image(b"hello")]
    })
}

/// The image with nothing but zeros in its system use areas.
fn without_entries(image: &[u8]) -> Vec<u8> {
    let mut cleared = image.to_vec();
    for record in Map::of(image).records {
        let end = record.at + usize::from(image[record.at]);
        let name_end = record.at + RECORD_BYTES + usize::from(image[record.at + RECORD_NAME_LEN]);
        cleared[name_end.next_multiple_of(2)..end].fill(0);
    }
    cleared
}

/// The image with a descriptor of no type that means anything instead of that of Joliet.
fn without_joliet(image: &[u8]) -> Vec<u8> {
    const DESCRIPTOR: &[u8] = b"\x02CD001";
    let mut image = image.to_vec();
    let at = image.windows(DESCRIPTOR.len()).position(|window| window == DESCRIPTOR).unwrap();
    image[at] = b'X';
    image
}

/// An image like those of `linuxkit metadata create`: the identifiers of its primary volume descriptor are all 32 bytes
/// long, which displaces every field after them, and its directory records have an odd length.
pub(crate) fn linuxkit_image(data: &[u8]) -> Vec<u8> {
    const SECTOR: usize = 2048;
    const ROOT: u32 = 20;
    const FILE: u32 = 21;
    let both = |number: u32| [number.to_le_bytes(), number.to_be_bytes()].concat();
    let both_short = |number: u16| [number.to_le_bytes(), number.to_be_bytes()].concat();
    let record = |sector: u32, len: usize, flags: u8, name: &[u8]| {
        let mut record = vec![0, 0];
        record.extend(both(sector));
        record.extend(both(u32::try_from(len).unwrap()));
        record.extend([126, 11, 20, 0, 0, 0, 0, flags, 0, 0]);
        record.extend(both_short(1));
        record.push(u8::try_from(name.len()).unwrap());
        record.extend(name);
        record[0] = u8::try_from(record.len()).unwrap();
        record
    };
    let sectors = FILE as usize + data.len().div_ceil(SECTOR).max(1);
    let root = record(ROOT, SECTOR, 2, &[0]);

    let mut descriptor = b"\x01CD001\x01\0".to_vec();
    descriptor.extend([b' '; 32]);
    descriptor.extend(*b"config                          ");
    descriptor.extend([0; 8]);
    descriptor.extend(both(u32::try_from(sectors).unwrap()));
    descriptor.extend([0; 32]);
    descriptor.extend([1, 1, 2048].map(both_short).concat());
    descriptor.extend(both(u32::try_from(SECTOR).unwrap()));
    descriptor.extend(18_u32.to_le_bytes());
    descriptor.extend([0; 4]);
    descriptor.extend(19_u32.to_be_bytes());
    descriptor.extend([0; 4]);
    descriptor.extend(&root);
    // Eight identifiers of 32 bytes, then the dates, too early by as much as the identifiers are too short.
    descriptor.extend([b' '; 8 * 32 - 32]);
    descriptor.extend(*b"2026112000000000");

    let mut image = vec![0; sectors * SECTOR];
    image[16 * SECTOR..][..descriptor.len()].copy_from_slice(&descriptor);
    image[17 * SECTOR..][..7].copy_from_slice(b"\xffCD001\x01");
    let directory = [root, record(ROOT, SECTOR, 2, &[1]), record(FILE, data.len(), 0, b"CONFIG")].concat();
    image[ROOT as usize * SECTOR..][..directory.len()].copy_from_slice(&directory);
    image[FILE as usize * SECTOR..][..data.len()].copy_from_slice(data);
    image
}

/// Where the structures of an image are.
#[derive(Default)]
struct Map {
    descriptors: Vec<usize>,
    /// The bytes of directories, whole sectors.
    directories: Vec<Range<usize>>,
    /// Directory records, those in descriptors as well.
    records: Vec<Spot>,
    /// Rock Ridge entries.
    entries: Vec<Spot>,
    /// Records of path tables.
    table_records: Vec<usize>,
}

/// A structure that begins with, or soon has, its length, and the end of what it is in.
#[derive(Clone, Copy)]
struct Spot {
    at: usize,
    end: usize,
}

impl Map {
    /// Follows what can be followed. An image that has been mutated already has less of it.
    fn of(image: &[u8]) -> Self {
        const STRUCTURES_MAX: usize = 1000;
        let mut map = Self::default();
        let mut queue = Vec::new();
        for sector in FIRST_DESCRIPTOR..FIRST_DESCRIPTOR + 8 {
            let at = sector * SECTOR;
            let Some(descriptor) = image.get(at..at + SECTOR) else { break };
            if descriptor[1..6] != *b"CD001" {
                break;
            }
            map.descriptors.push(at);
            if matches!(descriptor[0], 1 | 2) {
                map.records.push(Spot { at: at + ROOT_RECORD, end: at + ROOT_RECORD + 34 });
                queue.extend(extent_of(image, at + ROOT_RECORD));
                let little = little(image, at + 140).unwrap_or(0);
                let big = little_of_big(image, at + 148);
                for table in [little, big] {
                    map.add_table(image, table as usize * SECTOR, little_len(image, at + 132));
                }
            }
        }
        let mut seen = BTreeSet::new();
        while let Some(directory) = queue.pop() {
            if map.records.len() < STRUCTURES_MAX && seen.insert(directory.start) {
                map.add_directory(image, &directory, &mut queue);
                map.directories.push(directory);
            }
        }
        map
    }

    fn add_table(&mut self, image: &[u8], start: usize, len: usize) {
        let end = start.saturating_add(len).min(image.len());
        let mut at = start;
        while at + 8 <= end && image[at] > 0 && self.table_records.len() < 100 {
            self.table_records.push(at);
            at += 8 + usize::from(image[at]).next_multiple_of(2);
        }
    }

    fn add_directory(&mut self, image: &[u8], directory: &Range<usize>, queue: &mut Vec<Range<usize>>) {
        let mut at = directory.start;
        while at + RECORD_BYTES < directory.end {
            let len = usize::from(image[at]);
            if len <= RECORD_BYTES {
                at = (at / SECTOR + 1) * SECTOR;
                continue;
            }
            let end = (at + len).min(directory.end);
            self.records.push(Spot { at, end: directory.end });
            if image[at + RECORD_FLAGS] & FLAG_DIRECTORY != 0 {
                queue.extend(extent_of(image, at));
            }
            let name_end = at + RECORD_BYTES + usize::from(image[at + RECORD_NAME_LEN]);
            self.add_entries(image, name_end + name_end % 2, end);
            at += len;
        }
    }

    /// The Rock Ridge entries of a system use area, and of those that it continues in.
    fn add_entries(&mut self, image: &[u8], mut at: usize, mut end: usize) {
        for _ in 0..4 {
            let mut next = None;
            while at + 4 <= end && image[at + 2] >= 4 {
                self.entries.push(Spot { at, end });
                if image[at..].starts_with(b"CE") {
                    let number = |field| little(image, at + field).map(|number| number as usize);
                    next = number(4).zip(number(12)).zip(number(20));
                }
                at += usize::from(image[at + 2]);
            }
            let Some(((sector, offset), len)) = next else { return };
            at = sector.saturating_mul(SECTOR).saturating_add(offset).min(image.len());
            end = at.saturating_add(len).min(image.len());
        }
    }
}

/// Sectors up to the last that is not all zeros. Whole sectors are compared, which stays fast where each comparison of the
/// target's own is counted.
pub(crate) fn used_sectors(image: &[u8]) -> usize {
    const ZEROS: [u8; SECTOR] = [0; SECTOR];
    let last = image.chunks(SECTOR).rposition(|sector| sector != &ZEROS[..sector.len()]);
    last.map_or(0, |last| last + 1)
}

fn little(image: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(image.get(at..at + 4)?.try_into().ok()?))
}

fn little_of_big(image: &[u8], at: usize) -> u32 {
    little(image, at).unwrap_or(0).swap_bytes()
}

fn little_len(image: &[u8], at: usize) -> usize {
    little(image, at).unwrap_or(0) as usize
}

/// The bytes of the directory that the record at `at` names, in whole sectors, as far as the image has them.
fn extent_of(image: &[u8], at: usize) -> Option<Range<usize>> {
    const DIRECTORY_BYTES_MAX: usize = 32 * SECTOR;
    let start = (little(image, at + RECORD_EXTENT)? as usize).checked_mul(SECTOR)?;
    let len = little_len(image, at + RECORD_DATA_LEN).min(DIRECTORY_BYTES_MAX).next_multiple_of(SECTOR);
    let end = start.checked_add(len)?.min(image.len());
    (start < end).then_some(start..end)
}

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

/// A number that a field could have: a place or a length on the image, a limit, or any other.
fn number(image: &[u8], map: &Map, choices: &mut Choices<'_>) -> u32 {
    const LIMITS: [u32; 24] = [
        0,
        1,
        2,
        16,
        17,
        18,
        19,
        20,
        33,
        34,
        255,
        256,
        2047,
        2048,
        2049,
        4096,
        16384,
        65535,
        65536,
        0x7fff_ffff,
        0x8000_0000,
        0xffff_f800,
        0xffff_fffe,
        u32::MAX,
    ];
    let sectors = u32::try_from(image.len() / SECTOR).unwrap_or(u32::MAX);
    let directory = |choices: &mut Choices<'_>| {
        let starts: Vec<_> = map.directories.iter().map(|directory| directory.start / SECTOR).collect();
        choices.one_of(&starts).and_then(|start| u32::try_from(start).ok())
    };
    match choices.below(6) {
        0 => choices.one_of(&LIMITS).unwrap_or(0),
        1 => u32::from(choices.byte()),
        2 => sectors.wrapping_add(u32::from(choices.byte())).wrapping_sub(2),
        3 => choices.number(),
        _ => directory(choices).unwrap_or(0),
    }
}

/// Writes a number. `sides`: of one that is there in both byte orders, only one may be changed.
fn put(image: &mut [u8], at: usize, form: Form, number: u32, sides: u8) -> Option<()> {
    let [little, big] = [number.to_le_bytes(), number.to_be_bytes()];
    let (first, second) = (sides != 1, sides != 2);
    let mut write = |at: usize, bytes: &[u8]| {
        image.get_mut(at..at + bytes.len())?.copy_from_slice(bytes);
        Some(())
    };
    match form {
        Form::Byte => write(at, &little[..1]),
        Form::Little32 => write(at, &little),
        Form::Big32 => write(at, &big),
        Form::Both16 if first && second => write(at, &[little[0], little[1], big[2], big[3]]),
        Form::Both16 if first => write(at, &little[..2]),
        Form::Both16 => write(at + 2, &big[2..]),
        Form::Both32 if first && second => write(at, &[little, big].concat()),
        Form::Both32 if first => write(at, &little),
        Form::Both32 => write(at + 4, &big),
    }
}

/// Puts `bytes` before what is at `at`; what no longer fits before `end` is lost.
fn insert(image: &mut [u8], Spot { at, end }: Spot, bytes: &[u8]) -> Option<()> {
    let room = image.get_mut(at..end)?;
    let len = bytes.len().min(room.len());
    room.rotate_right(len);
    room[..len].copy_from_slice(&bytes[..len]);
    Some(())
}

/// Removes `len` bytes at `at`; zeros follow before `end`.
fn remove(image: &mut [u8], Spot { at, end }: Spot, len: usize) -> Option<()> {
    let room = image.get_mut(at..end)?;
    let len = len.min(room.len());
    room[..len].fill(0);
    room.rotate_left(len);
    Some(())
}

fn descriptor_field(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<()> {
    let descriptor = choices.one_of(&map.descriptors)?;
    let (field, form) = choices.one_of(&DESCRIPTOR_FIELDS)?;
    let number = number(image, map, choices);
    put(image, descriptor + field, form, number, choices.byte() % 8)
}

/// Copies, swaps or removes descriptors, makes one of another kind, or ends them early.
fn descriptor_place(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<()> {
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

fn record_field(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<()> {
    let record = choices.one_of(&map.records)?;
    let (field, form) = choices.one_of(&RECORD_FIELDS)?;
    let number = number(image, map, choices);
    put(image, record.at + field, form, number, choices.byte() % 8)
}

/// Gives a record a name that means something, or that of another record.
fn record_name(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<()> {
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
fn record_order(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<()> {
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
fn record_length(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<()> {
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
fn record_crosses(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<()> {
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
fn several_extents(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<()> {
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
fn directory_target(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<()> {
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
fn directory_moves(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<()> {
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
fn entry_field(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<()> {
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
fn entry_order(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<()> {
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
const SIGNATURES: [&[u8; 2]; 14] =
    [b"SP", b"CE", b"ER", b"RR", b"PX", b"NM", b"SL", b"CL", b"PL", b"RE", b"TF", b"ST", b"PN", b"HD"];

/// Adds a Rock Ridge entry to a record, which grows by it, or writes it over another entry.
fn entry_insert(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<()> {
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

fn new_entry(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<Vec<u8>> {
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
fn continuation(image: &mut Vec<u8>, choices: &mut Choices<'_>) -> Vec<u8> {
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

fn table_record(image: &mut Vec<u8>, map: &Map, choices: &mut Choices<'_>) -> Option<()> {
    let at = choices.one_of(&map.table_records)?;
    let number = number(image, map, choices);
    match choices.below(4) {
        0 => put(image, at, Form::Byte, number, 0),
        1 => put(image, at + 1, Form::Byte, number, 0),
        2 => put(image, at + 2, Form::Little32, number, 0),
        _ => put(image, at + 6, Form::Byte, number, 0),
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
