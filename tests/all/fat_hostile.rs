//! FAT images that were made, or damaged, to do harm: an error is fine, a panic, a hang or a large allocation is not.

use metadata_image::image::{Image, Kind};

use crate::{
    fuzz_targets::{
        fat::{self, bases},
        image::MUTANT,
    },
    mutants::random,
    support::Sandbox,
};

const SECTOR: usize = 512;

/// A FAT12 volume with `a`, `a/b`, `a/b/c` and more, the root directory in sectors 3 and 4.
fn fat12() -> Vec<u8> {
    bases()[2].clone()
}

/// The cluster of the only file or directory with this short name.
fn cluster(image: &[u8], name: &[u8; 11]) -> usize {
    usize::from(image[entry(image, name) + 26])
}

/// Where its entry is.
fn entry(image: &[u8], name: &[u8; 11]) -> usize {
    image.chunks(32).position(|entry| entry.starts_with(name)).expect("an entry of this name") * 32
}

/// Sets an entry of the table.
fn set(image: &mut [u8], cluster: usize, next: usize) {
    let at = SECTOR + cluster * 3 / 2;
    let next = u16::try_from(next).unwrap();
    let old = u16::from_le_bytes([image[at], image[at + 1]]);
    let new = if cluster.is_multiple_of(2) { old & 0xf000 | next } else { old & 0xf | (next << 4) };
    image[at..at + 2].copy_from_slice(&new.to_le_bytes());
}

/// What listing an image says.
fn list(image: &[u8]) -> Result<usize, String> {
    let sandbox = Sandbox::on_tmpfs();
    let path = sandbox.write("seed.img", image);
    let text = |error| format!("{:#}", metadata_image::Error::from(error));
    let (_, records) = Image::open(path).and_then(|mut image| image.list()).map_err(text)?;
    Ok(records.len())
}

#[track_caller]
fn refused(image: &[u8], why: &str) {
    let error = list(image).unwrap_err();
    assert!(error.ends_with(why), "{error}");
}

const FILE: &[u8; 11] = b"LARGE      ";
const OTHER: &[u8; 11] = b"UPPER   TXT";
const DIRECTORY: &[u8; 11] = b"A          ";
const BELOW: &[u8; 11] = b"B          ";

#[test]
fn the_bases_can_be_read() {
    for image in bases() {
        list(image).unwrap();
    }
    assert_eq!(list(&fat12()), Ok(9));
}

#[test]
fn chains_that_loop_cross_or_end_early_are_errors() {
    let image = fat12();
    let [file, other, directory, below] = [FILE, OTHER, DIRECTORY, BELOW].map(|name| cluster(&image, name));
    let twice = |cluster| format!("cluster {cluster} belongs to two files, or to one twice");
    for (at, next, why) in [
        (file, file, twice(file)),
        (file + 2, file, twice(file)),
        (file + 2, file + 1, twice(file + 1)),
        (file, other, twice(other)),
        (directory, directory, twice(directory)),
        (
            directory,
            below,
            "the directory has files after its end, which Linux shows and other systems do not".to_owned(),
        ),
        (file, 0, format!("cluster {file} is marked as free")),
        (file, 0xff7, format!("cluster {file} is followed by one that is marked as bad")),
        (file, 1, "it leads to cluster 1, which the volume does not have".to_owned()),
        (file, 0xff0, "it leads to cluster 4080, which the volume does not have".to_owned()),
        (file, 0xfff, "its clusters end before its 5000 bytes do".to_owned()),
    ] {
        let mut image = image.clone();
        set(&mut image, at, next);
        refused(&image, &why);
    }
}

#[test]
fn directories_that_contain_themselves_or_the_root_are_errors() {
    let image = fat12();
    let directory = cluster(&image, DIRECTORY);
    for (name, cluster, why) in [
        (BELOW, directory, format!("cluster {directory} belongs to two files, or to one twice")),
        (BELOW, 0, "it is a directory and has no clusters".to_owned()),
        (BELOW, 1, "it leads to cluster 1, which the volume does not have".to_owned()),
        (FILE, 0, "it has 5000 bytes and no clusters".to_owned()),
    ] {
        let mut image = image.clone();
        let at = entry(&image, name) + 26;
        image[at] = u8::try_from(cluster).unwrap();
        refused(&image, &why);
    }
    let mut longer = image.clone();
    let at = entry(&longer, FILE) + 28;
    longer[at..at + 2].copy_from_slice(&16_000_u16.to_le_bytes());
    refused(&longer, "bytes do");
    longer[at..at + 4].fill(0xff);
    refused(&longer, "it has 4294967295 bytes, and the image 16384");
}

#[test]
fn a_boot_sector_that_makes_no_sense_is_an_error() {
    let change = |at: usize, bytes: &[u8]| {
        let mut image = fat12();
        image[at..at + bytes.len()].copy_from_slice(bytes);
        image
    };
    for (at, bytes, why) in [
        (17, &[1, 0][..], "the root directory ends within a sector"),
        (17, &[0, 0], "the root directory has no entries"),
        (19, &[1, 0], "the volume ends before its files begin"),
        (14, &[0xff, 0xff], "the volume ends before its files begin"),
        (22, &[0xff, 0xff], "the volume ends before its files begin"),
        (22, &[0, 0, 0, 0], "the volume ends before its files begin"),
        (
            19,
            &[0, 0, 0xf8, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff],
            "too many for its file allocation table",
        ),
    ] {
        let error = list(&change(at, bytes)).unwrap_err();
        assert!(error.ends_with(why), "{at}: {error}");
    }
    // What is no FAT volume at all.
    for (at, bytes) in [(11, &[0, 0][..]), (13, &[3]), (14, &[0, 0]), (16, &[0]), (510, &[0])] {
        refused(&change(at, bytes), "not an ISO 9660 or FAT image");
    }
}

#[test]
fn a_volume_that_reaches_past_its_image_is_shown_as_far_as_it_goes() {
    let sandbox = Sandbox::new();
    let image = fat12();
    let at = (3 + cluster(&image, FILE)) * SECTOR;
    sandbox.write("cut.img", &image[..at]);
    let ran = sandbox.run(["show", "cut.img"]);
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert!(
        ran.stdout.contains("in the boot sector") && ran.stdout.contains("(reaches past the end)"),
        "{ran:?}"
    );
    assert_eq!(sandbox.run(["extract", "cut.img", "large"]).status, Some(1));
    assert_eq!(sandbox.succeed(["extract", "cut.img", "UPPER.TXT"]), b"UPPER.TXT".repeat(90));
    refused(&image[..SECTOR], "failed to fill whole buffer");
    refused(&image[..100], "not an ISO 9660 or FAT image");
}

#[test]
fn mutants_are_read_the_same_in_every_way_or_are_errors() {
    let mut state = 20_261_128_u64;
    println!("seed {state}");
    let mut seen = [0; 2];
    for _ in 0..400 {
        let first = MUTANT + random(&mut state).to_le_bytes()[2] % 4;
        let changes = 1 + random(&mut state) % 8;
        let bytes = (0..changes * 5).map(|_| random(&mut state).to_le_bytes()[3]);
        let input: Vec<_> = [first].into_iter().chain(bytes).collect();
        println!("{input:02x?}");
        let found = fat::check(&input);
        seen = [seen[0] + u32::from(found.list), seen[1] + u32::from(found.contents)];
    }
    assert!(seen.iter().all(|count| (50..380).contains(count)), "of 400, listed and read: {seen:?}");
}

#[test]
fn a_disk_that_is_mostly_a_hole_takes_no_time() {
    let sandbox = Sandbox::new();
    let path = sandbox.write("seed.img", &bases()[1]);
    std::fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 42).unwrap();
    let (_, records) = Image::open(&path).unwrap().list().unwrap();
    assert_eq!(records.iter().filter(|record| record.kind == Kind::File).count(), 7);
}
