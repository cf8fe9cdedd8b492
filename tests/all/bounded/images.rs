//! Inputs that are FAT images, of this program and of others.

use metadata_image::{
    image::{probe::FileSystem, source::Source},
    recipe::Recipe,
};

/// A name, and what makes a FAT image of about so many bytes.
pub(super) type ImageGenerator = (&'static str, fn(usize) -> Vec<u8>);

/// These follow [`super::text::GENERATORS`] in number.
pub(super) const IMAGES: &[ImageGenerator] = &[
    ("a FAT image of many short names", |size| fat_image(size, |number| format!("N{number:07}"))),
    ("a FAT image of many long names", |size| {
        fat_image(size, |number| format!("{number:04}{}", "n".repeat(200)))
    }),
    ("a FAT image of many directories", |size| fat_image(size / 9, |number| format!("d{number:04}/f"))),
    ("a FAT image of directories below one another", |size| {
        fat_image(size / 64, |number| format!("{number}/{}f", "d/".repeat(60)))
    }),
    ("a FAT image whose clusters are all apart", scattered),
    ("a FAT image with little but its table, whose clusters are all apart", table_alone),
];

/// A FAT image of empty files with these names.
fn fat_image(size: usize, name: impl Fn(usize) -> String) -> Vec<u8> {
    let entries = 2 + name(0).len() / 13;
    let files = (0..(size / 32 / entries).max(1))
        .map(|number| (name(number).into_bytes(), Source::Bytes(Vec::new())));
    let recipe = Recipe {
        files: files.collect(),
        file_system: FileSystem::Fat,
        ..Recipe::new(Source::Bytes(vec![b'x']))
    };
    let mut image = Vec::new();
    recipe.write_to(&mut image).unwrap();
    image
}

/// A FAT12 image of one file, whose clusters are in the opposite order.
fn scattered(size: usize) -> Vec<u8> {
    let data = Source::Bytes(vec![b'x'; size]);
    let mut image = Vec::new();
    let recipe = Recipe { file_system: FileSystem::Fat, ..Recipe::new(data) };
    recipe.write_to(&mut image).unwrap();
    let clusters = size.div_ceil(512 * usize::from(image[13]));
    for cluster in 2..2 + clusters {
        let next = if cluster == 2 { 0xfff } else { u16::try_from(cluster - 1).unwrap() };
        let at = 512 + cluster * 3 / 2;
        let old = u16::from_le_bytes([image[at], image[at + 1]]);
        let new = if cluster.is_multiple_of(2) { old & 0xf000 | next } else { old & 0xf | next << 4 };
        image[at..at + 2].copy_from_slice(&new.to_le_bytes());
    }
    let entry = image.chunks(32).position(|entry| entry.starts_with(b"CONFIG     ")).unwrap() * 32;
    image[entry + 26..entry + 28].copy_from_slice(&u16::try_from(clusters + 1).unwrap().to_le_bytes());
    image
}

/// A FAT32 image of files whose clusters are in the opposite order, and which reach past its end. Each is as long as the image.
fn table_alone(size: usize) -> Vec<u8> {
    const SECTOR: usize = 512;
    let sectors = size / SECTOR;
    let table_sectors = sectors * 3 / 4;
    let mut image = vec![0; sectors * SECTOR];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    let number = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    let (clusters, root_clusters) = (table_sectors * SECTOR / 4 - 2, sectors / 8);
    put(0, b"\xeb\x58\x90");
    put(11, &[0, 2, 1, 1, 0, 1, 0, 0, 0, 0, 0xf8]);
    put(32, &number(1 + table_sectors + clusters));
    put(36, &number(table_sectors));
    put(44, &number(2));
    put(510, b"\x55\xaa");
    let mut set = |cluster: usize, next: usize| put(SECTOR + cluster * 4, &number(next));
    (2..=root_clusters).for_each(|cluster| set(cluster, cluster + 1));
    set(1 + root_clusters, 0x0fff_ffff);
    let chains = (2 + root_clusters..2 + clusters).collect::<Vec<_>>();
    let chains = chains.chunks_exact(sectors).take(root_clusters * 16);
    for chain in chains.clone() {
        set(chain[0], 0x0fff_ffff);
        chain.windows(2).for_each(|pair| set(pair[1], pair[0]));
    }
    for (index, chain) in chains.enumerate() {
        let at = (1 + table_sectors) * SECTOR + index * 32;
        let first = number(chain[sectors - 1]);
        put(at, format!("F{index:07}   \x20").as_bytes());
        put(at + 20, &first[2..]);
        put(at + 26, &first[..2]);
        put(at + 28, &number(sectors * SECTOR));
    }
    image
}
