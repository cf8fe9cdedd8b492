//! Reading an image, whatever it is.
//!
//! The first byte of an input tells what the others are: below 128 an image file from its first descriptor on, the system area
//! before it being all zeros; else decisions of [`iso::mutate`] about one of [`iso::bases`].

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
};

use metadata_image::{
    check::check_image,
    datasource::{compatibility::Agent, layout::Layout},
    image::{Image, Kind, Record, Volume, fat::label::fat_labels, iso9660::reader, probe, source::Source},
    manifest::{self, inventory::Contents},
    provider::cdrom::{self, ReadScope},
    recipe::change::ImageChange,
};
use tempfile::TempDir;

use super::iso::{self, Choices, FIRST_DESCRIPTOR, SECTOR};

/// From here on the first byte asks for a mutant.
pub(crate) const MUTANT: u8 = 128;

/// Bytes of one file that are read.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Bytes of all files that are read.
const FILES_BYTES_MAX: u64 = 8 << 20;

/// Extents of all files that a listing may have: each takes two sectors, at least, of what may be looked at.
const EXTENTS_MAX: usize = 1 << 16;

/// What an image was good for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// It could be listed.
    pub(crate) list: bool,
    /// It had data for a guest.
    pub(crate) data: bool,
    /// Every file of it could be read, which a manifest could describe.
    pub(crate) contents: bool,
}

pub(crate) fn run(input: &[u8]) {
    check(&image_of(input));
}

/// The image that an input stands for.
pub(crate) fn image_of(input: &[u8]) -> Vec<u8> {
    let Some((&first, rest)) = input.split_first() else { return Vec::new() };
    if first < MUTANT {
        return [&vec![0; FIRST_DESCRIPTOR * SECTOR], rest].concat();
    }
    let bases = iso::bases();
    let mut image = bases[usize::from(first - MUTANT) % bases.len()].clone();
    iso::mutate(&mut image, &mut Choices::new(rest));
    image
}

/// The images that are mutated as they are, and one of each mutation.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let whole = iso::bases()
        .iter()
        .map(|image| [&[0], &image[FIRST_DESCRIPTOR * SECTOR..iso::used_sectors(image) * SECTOR]].concat());
    let kinds = (0..5).flat_map(|base| (0..16).map(move |kind| vec![MUTANT + base, kind, 1, 1, 1, 1, 1, 1]));
    whole.chain(kinds).collect()
}

/// Reads an image in every way that there is, and compares what came of it.
///
/// # Panics
/// Something is not as it must be.
pub(crate) fn check(image: &[u8]) -> Seen {
    let file = Sparse::new(image);
    let path = &file.path;
    let list = || Image::open(path)?.list();
    let list_root = |wanted: &reader::Wanted| Image::open(path)?.list_root(wanted);

    let (listed, root) = (list(), list_root(&|_| true));
    match (&listed, &root) {
        (Ok((volume, records)), Ok((root_volume, root_records))) => {
            assert_eq!(volume, root_volume);
            assert_eq!(&in_root(records), root_records);
        }
        (Ok(_), Err(error)) => panic!("only the root directory cannot be listed: {error:#}"),
        // Below the root there may be any fault.
        (Err(error), Ok((volume, records))) => {
            let has_directories = records.iter().any(|record| record.kind == Kind::Directory);
            assert!(has_directories || volume.malformed, "the listing of the root lacks: {error:#}");
        }
        (Err(_), Err(_)) => {}
    }
    if let Ok((_, records)) = &root {
        let wanted = |path: &[u8]| path.len() & 1 == 0;
        let expected: Vec<_> = records.iter().filter(|record| wanted(&record.path)).cloned().collect();
        assert_eq!(list_root(&wanted).unwrap().1, expected, "of the root, what is wanted");
    }
    if let Ok((volume, records)) = &listed {
        check_records(records);
        check_identifier(path, volume);
        check_files(path, image, records);
        let _ = Layout::of(volume, records);
        let _ = Agent::ALL.map(|agent| agent.compatibility(volume, records));
        if let Ok(mut image) = Image::open(path) {
            check_image(&mut image, None).map_or_else(drop, drop);
        }
    }
    let data = check_readings(path);
    let contents = check_contents(path);
    check_change(path);
    Seen { list: listed.is_ok(), data, contents }
}

fn in_root(records: &[Record]) -> Vec<Record> {
    records.iter().filter(|record| !record.path.contains(&b'/')).cloned().collect()
}

/// What the documentation of [`Record`] and of the bounds says.
fn check_records(records: &[Record]) {
    assert!(records.len() <= reader::RECORDS_MAX);
    assert!(records.iter().map(|record| record.path.len()).sum::<usize>() <= reader::PATHS_BYTES_MAX);
    assert!(records.iter().map(|record| record.extents.len()).sum::<usize>() <= EXTENTS_MAX);
    let mut directories = vec![&b""[..]];
    for record in records {
        let mut components = record.path.split(|&byte| byte == b'/');
        let is_normal = |name: &[u8]| !matches!(name, b"" | b"." | b"..") && !name.contains(&0);
        assert!(components.all(is_normal), "{:?}", record.display_path());
        let end = record.path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        assert!(directories.contains(&&record.path[..end]), "directories come first: {record:?}");
        if record.kind == Kind::Directory {
            directories.push(&record.path);
        }
        let depth = record.path.split(|&byte| byte == b'/').count();
        assert!(depth <= reader::DEPTH_MAX + 1, "{record:?}");
        assert_eq!(record.len, record.extents.iter().map(|extent| extent.len).sum::<u64>());
    }
}

/// The identifier that devices are found by is that of the volume.
fn check_identifier(path: &Path, volume: &Volume) {
    let mut file = probe::open(path).unwrap();
    if volume.read.is_fat() {
        assert_eq!(probe::file_system(&mut file).unwrap(), Some(probe::FileSystem::Fat));
        assert_eq!(fat_labels(&mut file), volume.fat_labels);
        return;
    }
    assert_eq!(probe::file_system(&mut file).unwrap(), Some(probe::FileSystem::Iso9660));
    if let Some(identifier) = probe::volume_identifier(&mut file).unwrap() {
        assert_eq!(identifier, volume.identifier.trim_matches([' ', '\0']));
    }
}

/// The bytes of files are those that their extents name.
fn check_files(path: &Path, bytes: &[u8], records: &[Record]) {
    let image = Image::open(path).unwrap();
    let mut left = FILES_BYTES_MAX;
    for record in records.iter().filter(|record| record.kind == Kind::File) {
        let Ok(read) = image.read(record, FILE_BYTES_MAX.min(left)) else { continue };
        left -= record.len;
        let slice = |offset: u64, len: u64| {
            let [start, end] = [offset, offset + len].map(|at| usize::try_from(at).unwrap());
            &bytes[start..end]
        };
        let extents = record.extents.iter().map(|extent| slice(extent.offset, extent.len));
        assert_eq!(read, extents.collect::<Vec<_>>().concat(), "{record:?}");
    }
}

/// What is read with trust is what is read without. Whether there was any data.
fn check_readings(path: &Path) -> bool {
    let read = |reading| cdrom::read_from(path, reading, &mut |_, _| {});
    match (read(ReadScope::Data), read(ReadScope::All)) {
        (Ok(data), Ok(mut all)) => {
            // It waits until somebody has checked the signature.
            all.parse_meta_data(&mut |_, _| {});
            assert_eq!(data.userdata, all.userdata);
            assert_eq!(data.entries, all.entries);
            assert_eq!(data.losses, all.losses);
            assert_eq!(data.instance_id, all.instance_id);
            data.userdata.is_some()
        }
        (Err(error), Ok(_)) => panic!("it can be read with trust only: {error:#}"),
        (Ok(data), Err(_)) => data.userdata.is_some(),
        (Err(_), Err(_)) => false,
    }
}

/// Reads all of an image as whoever verifies it does. Whether it could be read.
fn check_contents(path: &Path) -> bool {
    let mut image = Image::open(path);
    let Ok(image) = &mut image else { return false };
    let keep = |_: &Volume, records: &[Record]| records.to_vec();
    let Ok(contents) = Contents::read(image, keep, FILE_BYTES_MAX, &mut ()) else { return false };
    for (record, kept) in &contents.kept {
        assert_eq!(kept, &image.read(record, FILE_BYTES_MAX).unwrap());
        let name = record.display_path();
        let file = contents.files.iter().find(|file| file.name == name).unwrap();
        assert_eq!(file.size, kept.len() as u64);
    }
    contents.manifest().map_or_else(drop, drop);
    true
}

/// An image with another file has that, and every file that it had, as it was; or it is not built.
fn check_change(path: &Path) {
    const NAME: &str = "a-new-file";
    let Ok(mut image) = Image::open(path) else { return };
    let Ok((volume, records)) = image.list() else { return };
    let files = records.iter().filter(|record| record.kind == Kind::File);
    if files.clone().map(|record| record.len).sum::<u64>() > FILES_BYTES_MAX {
        return;
    }
    let change =
        ImageChange { files: vec![(NAME.into(), Source::Bytes(b"new".to_vec()))], ..ImageChange::default() };
    let Ok(changed) = change.apply(&mut image, &mut ()) else { return };
    let mut bytes = Vec::new();
    changed.draft.write_forward(&mut bytes, &mut ()).unwrap();
    let mut after = Image::from_reader(std::io::Cursor::new(bytes)).unwrap();
    let (new_volume, new_records) = after.list().unwrap();
    assert_eq!(new_volume.identifier, volume.identifier);
    let find = |name: &[u8]| new_records.iter().find(|record| record.path == name).unwrap();
    assert_eq!(after.read(find(NAME.as_bytes()), 3).unwrap(), b"new");
    let is_own = |record: &Record| manifest::OWN_NAMES.iter().any(|own| own.as_bytes() == record.path);
    let is_meta_data = |record: &Record| {
        Layout::ALL
            .iter()
            .any(|layout| layout.metadata_name().is_some_and(|name| name.as_bytes() == record.path))
    };
    for record in
        files.filter(|record| !is_own(record) && !is_meta_data(record) && record.path != NAME.as_bytes())
    {
        let kept = find(&record.path);
        // FAT has no modes.
        let mode = if volume.read.is_fat() { None } else { record.mode.or(Some(0o400)) };
        assert_eq!((kept.mode, kept.len), (mode, record.len), "{record:?}");
        assert_eq!(after.read(kept, record.len).unwrap(), image.read(record, record.len).unwrap());
    }
}

/// An image file in memory, with holes for its zeros.
struct Sparse {
    _directory: TempDir,
    path: PathBuf,
}

impl Sparse {
    fn new(image: &[u8]) -> Self {
        let directory = in_memory();
        let path = directory.path().join("meta.iso");
        let end = (iso::used_sectors(image) * SECTOR).min(image.len());
        let mut file = File::create(&path).unwrap();
        file.write_all(&image[..end]).unwrap();
        file.set_len(image.len() as u64).unwrap();
        Self { _directory: directory, path }
    }
}

/// A directory in memory, where the system has one.
pub(super) fn in_memory() -> TempDir {
    TempDir::new_in("/dev/shm").or_else(|_| TempDir::new()).unwrap()
}
