//! Images that were made, or damaged, to do harm: an error is fine, a panic, a hang or a large allocation is not.

use std::{
    fs::{File, OpenOptions},
    os::unix::fs::FileExt,
    path::Path,
};

use metadata_image::{
    image::{Image, Kind},
    manifest::inventory::Contents,
    provider::cdrom,
};

use crate::support::{Sandbox, cases, linuxkit_image, noise};

const SECTOR: usize = 2048;

fn text(error: impl Into<metadata_image::Error>) -> String {
    format!("{:#}", error.into())
}

/// Everything that reads an image, on the one at `path`.
fn read(path: &Path) -> Result<(), String> {
    let mut image = Image::open(path).map_err(text)?;
    let (_, records) = image.list().map_err(text)?;
    let mut worst = Ok(());
    for record in records.iter().filter(|record| record.kind == Kind::File) {
        if let Err(error) = image.read(record, 2 << 20) {
            worst = Err(text(error));
        }
    }
    worst.and(cdrom::fetch_from(path, &mut |_, _| {}).map(drop).map_err(text))
}

/// An image with directories, small files and a large one, and its bytes.
fn sample(sandbox: &Sandbox) -> Vec<u8> {
    sandbox.write("f", "1");
    sandbox.write("large", noise(1_100_000));
    sandbox.succeed([
        "create",
        "meta.iso",
        "hello",
        "--file",
        "a/b/c=f",
        "--file",
        "a/longer-name.txt=f",
        "--file",
        "large=large",
    ]);
    sandbox.read("meta.iso")
}

#[test]
fn any_byte_of_descriptors_and_directories_may_be_wrong() {
    let seed = 20_261_120_u64;
    println!("seed {seed}");
    let sandbox = Sandbox::new();
    for image in [sample(&sandbox), linuxkit_image(b"hello")] {
        let path = sandbox.write("flipped.iso", &image);
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        let mut state = seed;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        };
        let head =
            (16 * SECTOR..image.len().min(32 * SECTOR)).filter(|&at| at < 19 * SECTOR || image[at] != 0);
        for at in head.step_by(cases(3, 1)) {
            for byte in [!image[at], image[at] ^ 1 << (random() & 7), 0xff, random()] {
                file.write_all_at(&[byte], at as u64).unwrap();
                drop(read(&path));
            }
            file.write_all_at(&image[at..=at], at as u64).unwrap();
        }
        assert_eq!(read(&path), Ok(()), "all bytes are back");
    }
}

#[test]
fn an_image_may_end_anywhere() {
    let sandbox = Sandbox::new();
    let image = sample(&sandbox);
    let path = sandbox.path("meta.iso");
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    for len in (0..=image.len()).rev().step_by(1021) {
        file.set_len(len as u64).unwrap();
        // Behind the last file there is only padding.
        let complete = image[len..].iter().all(|&byte| byte == 0) && len >= 192 * SECTOR + 1_100_000;
        assert_eq!(read(&path).is_ok(), complete, "{len} bytes");
    }
}

/// Puts a number in both byte orders to `at` of `image`.
fn put_both(image: &mut [u8], at: usize, number: u32) {
    image[at..at + 4].copy_from_slice(&number.to_le_bytes());
    image[at + 4..at + 8].copy_from_slice(&number.to_be_bytes());
}

/// The offsets of the records called `name` in Rock Ridge, or in the primary tree.
fn records_of(image: &[u8], name: &[u8]) -> Vec<usize> {
    let found = image[..32 * SECTOR].windows(name.len()).enumerate().filter(|(_, window)| *window == name);
    found.map(|(at, _)| at - 33).filter(|&at| usize::from(image[at + 32]) == name.len()).collect()
}

const EXTENT: usize = 2;
const LEN: usize = 10;
/// Where the root directory's record is in the primary volume descriptor.
const ROOT: usize = 16 * SECTOR + 156;
/// Where the volume's date is there.
const CREATED: usize = 16 * SECTOR + 813;

#[test]
fn crafted_images_are_errors() {
    let sandbox = Sandbox::new();
    let image = sample(&sandbox);
    let [large, directory] = [b"LARGE.;1" as &[u8], b"A"].map(|name| records_of(&image, name)[0]);
    let root_sector = u32::from_le_bytes(image[ROOT + EXTENT..][..4].try_into().unwrap());
    let root = root_sector as usize * SECTOR;
    let continuation = image[root..root + SECTOR].windows(2).position(|pair| pair == b"CE");
    let craft = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut image = image.clone();
        change(&mut image);
        let path = sandbox.write("crafted.iso", image);
        read(&path).map_err(|error| error.replace(path.to_str().unwrap(), "crafted.iso"))
    };
    let broken = |why: &str| Err(format!("reading image \"crafted.iso\": {why}"));

    let past = craft(&|image| put_both(image, large + EXTENT, 1 << 30));
    assert_eq!(
        past,
        Err("copying file \"large\" from image \"crafted.iso\": the file reaches past the end of the image"
            .to_owned())
    );
    let long = craft(&|image| put_both(image, large + LEN, u32::MAX));
    assert!(long.unwrap_err().contains("the file has 4294967295 bytes, more than 2097152"));
    let directory_loop = craft(&|image| put_both(image, directory + EXTENT, root_sector));
    assert_eq!(directory_loop, broken("\"a\": the directories form a loop"));
    let root_far = craft(&|image| put_both(image, ROOT + EXTENT, u32::MAX));
    assert!(root_far.is_err());
    let root_long = craft(&|image| put_both(image, root + LEN, u32::MAX));
    assert!(root_long.is_err(), "the record that a directory has of itself counts");
    let both_orders = craft(&|image| image[large + EXTENT] ^= 1);
    assert!(both_orders.is_err(), "{both_orders:?}");
    let root_orders = craft(&|image| image[ROOT + LEN] ^= 1);
    assert_eq!(root_orders, broken("volume descriptor fields disagree"));
    // A continuation area that names itself, and one of 4 GiB.
    let continuation = root + continuation.expect("the root directory's record continues elsewhere");
    let endless = craft(&|image| put_both(image, continuation + 20, u32::MAX));
    assert!(endless.unwrap_err().contains("reading Rock Ridge of the root directory"));
}

#[test]
fn an_image_on_a_device_of_10_tib_is_read() {
    let sandbox = Sandbox::new();
    sample(&sandbox);
    let path = sandbox.path("meta.iso");
    OpenOptions::new().write(true).open(&path).unwrap().set_len(10 << 40).unwrap();
    assert_eq!(read(&path), Ok(()));
}

#[test]
fn an_empty_device_of_10_tib_is_no_image() {
    let sandbox = Sandbox::new();
    let path = sandbox.path("disk");
    File::create(&path).unwrap().set_len(10 << 40).unwrap();
    let why = "not an ISO 9660 or FAT image: the file contains only zeros";
    assert_eq!(read(&path), Err(format!("reading image {path:?}: {why}")));
}

#[test]
fn names_with_control_characters_do_not_reach_the_terminal() {
    let sandbox = Sandbox::new();
    let mut image = linuxkit_image(b"hello");
    let at = 20 * SECTOR + image[20 * SECTOR..].windows(6).position(|name| name == b"CONFIG").unwrap();
    image[at..at + 6].copy_from_slice(b"\x1b[2J\x07\n");
    sandbox.write("meta.iso", image);
    let ran = sandbox.run(["show", "meta.iso"]);
    assert_eq!(ran.status, Some(0));
    assert!(ran.stdout.contains(r"\u{1b}[2j\u{7}\n"), "{}", ran.stdout);
    assert!(!ran.stdout.contains(['\x1b', '\x07']));
}

/// A directory record without Rock Ridge, `bytes` long.
fn record(name: &[u8], extent: u32, len: u32, flags: u8, bytes: u8) -> Vec<u8> {
    let mut record = vec![0; usize::from(bytes)];
    record[0] = bytes;
    put_both(&mut record, EXTENT, extent);
    put_both(&mut record, LEN, len);
    record[18..26].copy_from_slice(&[80, 1, 1, 0, 0, 0, 0, flags]);
    record[28..32].copy_from_slice(&[1, 0, 0, 1]);
    record[32] = u8::try_from(name.len()).unwrap();
    record[33..33 + name.len()].copy_from_slice(name);
    record
}

/// A directory of these records at its sector, and its length.
fn put_directory(image: &mut [u8], sector: u32, records: &[Vec<u8>]) -> u32 {
    let mut at = 0;
    let start = sector as usize * SECTOR;
    for record in records {
        if at / SECTOR != (at + record.len()) / SECTOR {
            at = at.next_multiple_of(SECTOR);
        }
        image[start + at..][..record.len()].copy_from_slice(record);
        at += record.len();
    }
    u32::try_from(at.next_multiple_of(SECTOR)).unwrap()
}

#[test]
fn directories_that_share_a_few_sectors_are_refused() {
    const DIRECTORIES: u32 = 200;
    let sandbox = Sandbox::on_tmpfs();
    let mut image = linuxkit_image(b"hello");
    let root = u32::from_le_bytes(image[ROOT + EXTENT..][..4].try_into().unwrap());
    let first = 100;
    let end = first + DIRECTORIES;
    image.resize(end as usize * SECTOR, 0);
    let own = [0, 1].map(|name| record(&[name], root, 0, 2, 34));
    // Each directory has the sectors of all that follow it as well, and with them their own records.
    let names = (first..end)
        .map(|sector| record(format!("D{sector}").as_bytes(), sector, 2048 * (end - sector), 2, 38));
    let root_len = put_directory(&mut image, root, &own.into_iter().chain(names).collect::<Vec<_>>());
    for at in [ROOT, root as usize * SECTOR] {
        put_both(&mut image, at + LEN, root_len);
    }
    for sector in first..end {
        let own = record(&[0], sector, 2048 * (end - sector), 2, 34);
        let files = (0..50).map(|number| record(format!("A{number}").as_bytes(), root, 0, 0, 38));
        put_directory(&mut image, sector, &[own].into_iter().chain(files).collect::<Vec<_>>());
    }
    let path = sandbox.write("meta.iso", image);
    let why = "a directory has too many records for itself or the directory above";
    assert_eq!(read(&path), Err(format!("reading image {path:?}: {why}")));
}

#[test]
fn a_file_has_as_many_extents_as_linux_reads() {
    const EXTENT_BYTES: u32 = 0xffff_f800;
    let sandbox = Sandbox::new();
    let list = |extents| {
        let path = sandbox.write("meta.iso", with_extents(extents, EXTENT_BYTES));
        Image::open(&path).unwrap().list().map_err(|error| format!("{error:#}"))
    };
    let (_, records) = list(100).unwrap();
    let [file] = records.as_slice() else { panic!("{records:?}") };
    assert_eq!((file.extents.len(), file.len), (100, 100 * u64::from(EXTENT_BYTES)));
    let why = "a file has more than 100 extents, which Linux cannot read";
    assert!(list(101).unwrap_err().ends_with(why));
}

/// An image with a file of so many extents of so many bytes.
fn with_extents(extents: u32, extent_bytes: u32) -> Vec<u8> {
    let mut image = linuxkit_image(b"hello");
    let root = u32::from_le_bytes(image[ROOT + EXTENT..][..4].try_into().unwrap());
    image.resize(100 * SECTOR, 0);
    let own = [0, 1].map(|name| record(&[name], root, 0, 2, 34));
    let parts = (1..=extents).map(|part| {
        let flags = if part == extents { 0 } else { 0x80 };
        record(b"LARGE", 100 + (part - 1) * (extent_bytes / 2048), extent_bytes, flags, 38)
    });
    let root_len = put_directory(&mut image, root, &own.into_iter().chain(parts).collect::<Vec<_>>());
    for at in [ROOT, root as usize * SECTOR] {
        put_both(&mut image, at + LEN, root_len);
    }
    image
}

/// `image` with these records in its root directory.
fn with_root_records(mut image: Vec<u8>, records: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let sector = image.len().div_ceil(SECTOR);
    let root = u32::try_from(sector).unwrap();
    let own = [0, 1].map(|name| record(&[name], root, 0, 2, 34));
    let records: Vec<_> = own.into_iter().chain(records).collect();
    image.resize((sector + 1 + records.concat().len() / (SECTOR / 2)) * SECTOR, 0);
    let len = put_directory(&mut image, root, &records);
    put_both(&mut image, ROOT + EXTENT, root);
    for at in [ROOT, sector * SECTOR] {
        put_both(&mut image, at + LEN, len);
    }
    image
}

#[test]
fn names_that_nobody_could_lay_out_are_refused_before_a_signature_is_checked() {
    // As many as take the square of their number to be renamed, one by one, in the image that would be built of them.
    const NAMES: u32 = 1100;
    let sandbox = Sandbox::on_tmpfs();
    let names = (0..NAMES).map(|number| char::from_u32(0x4e00 + number).unwrap().to_string());
    let own = ["CONFIG", "MANIFEST.JSON", "MANIFEST.JSON.SIG"].map(str::to_owned);
    let records = own.into_iter().chain(names).map(|name| {
        let bytes = (33 + name.len()).next_multiple_of(2);
        record(name.as_bytes(), 0, 0, 0, u8::try_from(bytes).unwrap())
    });
    let mut image = with_root_records(linuxkit_image(b"hello"), records);
    image[CREATED..][..17].copy_from_slice(b"1980010100000000\0");
    let path = sandbox.write("meta.iso", image);
    let mut image = Image::open(&path).unwrap();
    let contents = Contents::read(&mut image, |_, _| Vec::new(), 0, &mut ()).unwrap();
    assert_eq!(contents.files.len(), NAMES as usize + 1);
    assert_eq!((contents.manifest, contents.signature), (Some(Vec::new()), Some(Vec::new())));
    let why = contents.disagreement.unwrap();
    assert!(why.starts_with("too many names in the root directory are the same in plain ISO 9660"), "{why}");
}
