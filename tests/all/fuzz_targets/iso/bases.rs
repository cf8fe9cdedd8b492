//! The images that are mutated.

use std::sync::OnceLock;

use metadata_image::{
    datasource::layout::Layout, image::source::Source, manifest::Statement, recipe::Recipe,
};

use super::{
    fields::{RECORD_BYTES, RECORD_NAME_LEN},
    map::Map,
};

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
