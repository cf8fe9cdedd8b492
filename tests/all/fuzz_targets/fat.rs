//! Reading a FAT image, whatever it is.
//!
//! The first byte of an input tells what the others are: below 128 an image file from its first byte on; else changes, of five bytes
//! each, to one of [`bases`].

use std::sync::OnceLock;

use metadata_image::{Layout, Recipe, Source, image::probe::FileSystem};

use super::image::{self, MUTANT, Seen};

/// Bytes in a sector.
const SECTOR: usize = 512;

/// Bytes in a directory entry.
const ENTRY: usize = 32;

/// Bytes of a change.
const CHANGE: usize = 5;

/// The most changes.
const CHANGES_MAX: usize = 64;

pub(crate) fn run(input: &[u8]) {
    check(input);
}

/// What the image of an input was good for.
pub(crate) fn check(input: &[u8]) -> Seen {
    image::check(&image_of(input))
}

/// The image that an input stands for.
pub(crate) fn image_of(input: &[u8]) -> Vec<u8> {
    let Some((&first, rest)) = input.split_first() else { return Vec::new() };
    if first < MUTANT {
        return rest.to_vec();
    }
    let bases = bases();
    let mut image = bases[usize::from(first - MUTANT) % bases.len()].clone();
    for change in rest.chunks_exact(CHANGE).take(CHANGES_MAX) {
        mutate(&mut image, change);
    }
    image
}

/// The images that are mutated as they are, and one of each mutation.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let whole = bases().iter().map(|image| [&[0], &image[..]].concat());
    let kinds = (0..4).flat_map(|base| (0..8).map(move |kind| vec![MUTANT + base, kind, 1, 1, 1, 1]));
    whole.chain(kinds).collect()
}

/// A volume of each kind, and one of a config drive.
pub(crate) fn bases() -> &'static [Vec<u8>] {
    static BASES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    BASES.get_or_init(|| {
        let text = |text: &str| Source::Bytes(text.into());
        let files = ["a/b/c", "a/a longer name of more parts.txt", "a/empty", "UPPER.TXT", "large"];
        let content = |name: &str| match name {
            "a/empty" => String::new(),
            "large" => name.repeat(1000),
            _ => name.repeat(90),
        };
        let nocloud = Recipe {
            layout: Layout::NoCloud,
            file_system: FileSystem::Fat,
            files: files.map(|name| (name.into(), text(&content(name)))).into(),
            hostname: Some("web".to_owned()),
            ..Recipe::new(text("#cloud-config\n"))
        };
        let drive = Recipe {
            layout: Layout::ConfigDrive,
            file_system: FileSystem::Fat,
            ..Recipe::new(text("#cloud-config\n"))
        };
        let build = |recipe: Recipe| {
            let mut image = Vec::new();
            recipe.write_to(&mut image).unwrap();
            image
        };
        let fat12 = build(nocloud);
        vec![wider(&fat12, 2), wider(&fat12, 4), fat12, build(drive)]
    })
}

/// A FAT12 volume of ours as FAT16, or as FAT32, which needs no more clusters to Linux. `bytes`: those of an entry of the table.
pub(crate) fn wider(fat12: &[u8], bytes: usize) -> Vec<u8> {
    let number = |at: usize| usize::from(u16::from_le_bytes([fat12[at], fat12[at + 1]]));
    let (root_entries, table_sectors) = (number(17), number(22));
    let root_at = (1 + 2 * table_sectors) * SECTOR;
    let data_at = root_at + root_entries * ENTRY;
    let (root, data) = (&fat12[root_at..data_at], &fat12[data_at..]);
    assert_eq!(fat12[13], 1, "a cluster has one sector");
    let clusters = if bytes == 2 { 4200 } else { data.len() / SECTOR + root.len() / SECTOR };
    let used = data.len() / SECTOR;
    let mut table = Vec::new();
    let mut push = |entry: u32| table.extend(&entry.to_le_bytes()[..bytes]);
    for cluster in 0..used + 2 {
        let at = SECTOR + cluster * 3 / 2;
        let both = u32::from(u16::from_le_bytes([fat12[at], fat12[at + 1]]));
        let entry = if cluster.is_multiple_of(2) { both & 0xfff } else { both >> 4 };
        push(if entry >= 0xff8 { 0x0fff_ff00 | entry } else { entry });
    }
    // The root directory of FAT32 comes last.
    let root_cluster = u32::try_from(used + 2).unwrap();
    let root_sectors = u32::try_from(root.len() / SECTOR).unwrap();
    if bytes == 4 {
        (1..root_sectors).for_each(|next| push(root_cluster + next));
        push(0x0fff_ffff);
    }
    let table_sectors = ((clusters + 2) * bytes).div_ceil(SECTOR);
    table.resize(table_sectors * SECTOR, 0);
    let mut boot = fat12[..SECTOR].to_vec();
    let put = |boot: &mut Vec<u8>, at: usize, bytes: &[u8]| boot[at..at + bytes.len()].copy_from_slice(bytes);
    let root_sectors = usize::try_from(root_sectors).unwrap();
    let sectors = 1 + 2 * table_sectors + clusters + if bytes == 2 { root_sectors } else { 0 };
    put(&mut boot, 19, &u16::try_from(sectors).unwrap().to_le_bytes());
    if bytes == 2 {
        put(&mut boot, 22, &u16::try_from(table_sectors).unwrap().to_le_bytes());
    } else {
        put(&mut boot, 17, &[0, 0]);
        put(&mut boot, 22, &[0, 0]);
        boot.copy_within(0x24..0x3e, 0x40);
        put(&mut boot, 36, &[u8::try_from(table_sectors).unwrap(), 0, 0, 0, 0, 0, 0, 0]);
        put(&mut boot, 44, &root_cluster.to_le_bytes());
        put(&mut boot, 48, &[0; 16]);
    }
    let parts = if bytes == 2 { [root, data] } else { [data, root] };
    let mut image = [&boot, &table, &table, parts[0], parts[1]].concat();
    image.resize(sectors * SECTOR, 0);
    image
}

/// Makes one change: what kind, where, and with what.
fn mutate(image: &mut Vec<u8>, change: &[u8]) {
    let place = usize::from(u16::from_le_bytes([change[1], change[2]]));
    let (value, other) = (change[3], usize::from(change[4]));
    // Where the boot sector, the tables and the directories are.
    let near = place % image.len().clamp(1, 12 * SECTOR);
    let entry = |number: usize| number * ENTRY;
    match change[0] % 8 {
        0 => image[place % SECTOR % 64] = value,
        1 => image[near] = value,
        2 => image[near] ^= 1 << (value % 8),
        3 => {
            // A field of an entry: a first cluster, a length, attributes, a first byte.
            let at = (near / ENTRY * ENTRY) + [26, 28, 11, 0][other % 4];
            image[at] = value;
        }
        4 | 5 => {
            // One entry in the place of another.
            let entries = image.len() / ENTRY;
            let [from, to] = [near / ENTRY, (near / ENTRY + other % 16) % entries].map(entry);
            image.copy_within(from..from + ENTRY, to);
        }
        6 => {
            // An entry of a table of FAT16 or FAT32.
            let at = SECTOR + place % (2 * SECTOR) / 2 * 2;
            image[at] = value;
            image[at + 1] = if other < 192 { 0 } else { 0xff };
        }
        _ => image.truncate(image.len() - image.len() * usize::from(value) / 1024),
    }
    if image.len() < 12 * SECTOR {
        image.resize(12 * SECTOR, 0);
    }
}
