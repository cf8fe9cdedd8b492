//! The reader: an image file or a block device, its volume, its records and their bytes.
//!
//! Reads what hadris reads, and the images of `linuxkit metadata create`, which are malformed. An image is not trusted:
//! what is read of its directories, how many records it has and how deep they go is bounded, no length that it states
//! is allocated, and a file that is said to reach past the end is an error when it is read.

use std::{
    collections::BTreeSet,
    fs::File,
    io,
    path::{Path, PathBuf},
};

use crate::error::{Context, Result, bail, ensure, error};
use hadris_fs::{DirCursor, DirEntry, FileType, MountOptions, NodeId, sync::FileSystem};
use hadris_iso::{CacheOptions, Detail, IsoDate, IsoId, Namespace, raw, sync::IsoFs};

use super::{
    clashes::Reserved,
    device::{Bounded, CUT_OFF},
    namespaces,
};
use crate::image::{
    Extent, Kind, Record, SECTOR_BYTES, Tree, Volume,
    probe::{self, FIRST_DESCRIPTOR},
    source::{Source, StoredFile},
};

const NO_IMAGE: &str = "it is no ISO 9660 image";

/// Records of one volume at most.
pub const RECORDS_MAX: usize = 1 << 14;

/// Bytes of all paths together at most.
pub const PATHS_BYTES_MAX: usize = 1 << 20;

/// Directories below one another at most. ISO 9660 has 8, Rock Ridge as many as it likes.
pub const DEPTH_MAX: usize = 64;

/// Extents of one file at most: 8 TiB, all that sectors can number, in extents of 4 GiB.
const EXTENTS_MAX: usize = 2049;

/// Bytes of a malformed root directory that are looked at.
const LENIENT_ROOT_BYTES_MAX: u32 = 64 << 10;

/// An open image.
pub struct Image {
    path: PathBuf,
    iso: IsoFs<Bounded>,
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Image").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Image {
    /// Opens an image file, or a block device with an image on it.
    ///
    /// # Errors
    /// It cannot be read, or is no ISO 9660 image. The error names the path.
    pub fn open(path: &Path) -> Result<Self> {
        let open = || {
            ensure!(!path.is_dir(), "it is a directory");
            mount(probe::open(path)?)
        };
        let iso = open().with_context(|| format!("reading image {path:?}"))?;
        Ok(Self { path: path.to_path_buf(), iso })
    }

    /// Reads the image in `file`, which will be called `path`.
    ///
    /// # Errors
    /// As [`Image::open`].
    pub fn in_file(file: File, path: &Path) -> Result<Self> {
        let iso = mount(file).with_context(|| format!("reading image {path:?}"))?;
        Ok(Self { path: path.to_path_buf(), iso })
    }

    /// Bytes in the file or on the device.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.iso.device().len()
    }

    /// What the volume says of itself, and every record of the tree that a Linux guest sees, directories before what is
    /// in them, siblings in the order of the image.
    ///
    /// # Errors
    /// A descriptor or a directory is malformed, or there is too much of them.
    pub fn list(&mut self) -> Result<(Volume, Vec<Record>)> {
        self.try_list(None).with_context(|| format!("reading image {:?}", self.path))
    }

    /// The same with those records of the root directory only whose path is `wanted`, however many others there are.
    ///
    /// # Errors
    /// Those of [`Image::list`] about the root directory.
    pub fn list_root(&mut self, wanted: &Wanted) -> Result<(Volume, Vec<Record>)> {
        self.try_list(Some(wanted)).with_context(|| format!("reading image {:?}", self.path))
    }

    fn try_list(&mut self, only: Option<&Wanted>) -> Result<(Volume, Vec<Record>)> {
        let dates_valid = self.dates_valid()?;
        let (records, malformed) = match walk(&mut self.iso, only) {
            Ok(records) => (records, false),
            Err(Stop::MalformedRoot(error)) => match self.lenient_root()? {
                Some(mut records) => {
                    records.retain(|record| only.is_none_or(|wanted| wanted(&record.path)));
                    (records, true)
                }
                None => return Err(error),
            },
            Err(Stop::Broken(error)) => return Err(error),
        };
        let info = self.iso.info();
        let namespaces = self.iso.namespaces();
        let date = |date| info.date(date).map(iso_8601);
        let volume = Volume {
            identifier: String::from_utf8_lossy(info.id(IsoId::Volume)).into_owned(),
            created: date(IsoDate::Created),
            modified: date(IsoDate::Modified),
            trees: namespaces.iter().map(tree).collect(),
            read: tree(self.iso.namespace()),
            malformed,
            dates_valid,
            bytes: u64::from(info.volume_space_size()) * SECTOR_BYTES,
        };
        Ok((volume, records))
    }

    /// The file or device itself.
    pub(in crate::image) fn file(&self) -> &File {
        self.iso.device().file()
    }

    /// Its path, for errors.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file of the image, to be put on another.
    ///
    /// # Errors
    /// The image ends before the file does, or cannot be read.
    pub fn source(&self, record: &Record) -> Result<Source> {
        let label = format!("file {:?} of image {:?}", record.display_path(), self.path);
        ensure!(self.holds(record), "reading {label}: it reaches past the end of the image");
        let image = self.file().try_clone();
        let stored =
            image.and_then(|image| StoredFile::new(image.into(), record.extents.clone(), label.clone()));
        Ok(Source::Stored(stored.with_context(|| format!("reading {label}"))?))
    }

    /// Whether all trees of the volume name the files in `records`, which are those of the tree that is read.
    ///
    /// # Errors
    /// One of them names something else, or cannot be read.
    pub fn check_trees(&mut self, records: &[Record], looked_for: &Reserved) -> Result<()> {
        namespaces::check(&self.iso, records, looked_for)
    }

    fn dates_valid(&mut self) -> Result<bool> {
        let mut valid = true;
        for index in 0.. {
            let dates = match self.iso.descriptor(index).map_err(broken)? {
                None => break,
                Some(raw::VolumeDescriptor::Primary(it)) => [it.creation_date, it.modification_date],
                Some(raw::VolumeDescriptor::Supplementary(it)) => [it.creation_date, it.modification_date],
                Some(_) => continue,
            };
            valid &= dates.iter().all(|date| date.to_datetime().is_some());
        }
        Ok(valid)
    }

    /// The files of a root directory whose records hadris refuses.
    ///
    /// `linuxkit metadata create` writes records of 39 bytes, one short of the padding that ECMA-119, 9.1.12, asks for.
    /// hadris 3.0.0-rc.2 mounts such an image and fails on its root; Linux reads it. `None`: nothing found here either.
    fn lenient_root(&mut self) -> Result<Option<Vec<Record>>> {
        let Some(raw::VolumeDescriptor::Primary(descriptor)) = self.iso.descriptor(0).map_err(broken)? else {
            return Ok(None);
        };
        let root = descriptor.root.header;
        let mut directory = vec![0; root.data_len.get().min(LENIENT_ROOT_BYTES_MAX) as usize];
        self.iso.read_raw(u64::from(root.extent.get()) * SECTOR_BYTES, &mut directory).map_err(broken)?;
        let sectors = directory.chunks(usize::try_from(SECTOR_BYTES)?);
        let records: Vec<_> = sectors.flat_map(lenient_records).collect();
        Ok((!records.is_empty()).then_some(records))
    }
}

fn mount(file: File) -> Result<IsoFs<Bounded>> {
    let device = Bounded::new(file)?;
    ensure!(device.len() > FIRST_DESCRIPTOR, NO_IMAGE);
    let iso =
        IsoFs::mount(device, MountOptions::new().read_only()).map_err(|error| broken(error.into_error()))?;
    ensure!(u64::from(iso.info().block_size()) == SECTOR_BYTES, "its blocks are not of 2048 bytes");
    Ok(iso.with_cache(cache()))
}

/// What hadris keeps: records that it parsed. Sectors are kept where they are counted ([`Bounded`]).
pub(super) fn cache() -> CacheOptions {
    CacheOptions::new().with_blocks(0)
}

/// Every record of the tree that `iso` reads, or those in its root that are wanted only.
pub(super) fn walk(iso: &mut IsoFs<Bounded>, only: Option<&Wanted>) -> Result<Vec<Record>, Stop> {
    let primary = iso.namespace() == Namespace::Primary;
    let mut walk = Walk { primary, only, ..Walk::default() };
    let root = iso.root();
    walk.directories.insert(root);
    walk.descend(iso, root, &[], 0)?;
    Ok(walk.records)
}

/// Why a walk ended early.
pub(super) enum Stop {
    /// The root directory of a volume that has but ISO 9660 names could not be read.
    MalformedRoot(crate::error::Error),
    Broken(crate::error::Error),
}

/// Whether a file of this path is of interest.
pub type Wanted<'a> = dyn Fn(&[u8]) -> bool + 'a;

/// A walk through all directories, and what bounds it.
#[derive(Default)]
struct Walk<'a> {
    /// Whether names come from ISO 9660 itself, and are shown in lower case.
    primary: bool,
    /// Which records of the root are of interest; `None`: all of the volume.
    only: Option<&'a Wanted<'a>>,
    records: Vec<Record>,
    paths_bytes: usize,
    /// Directories seen, so that a loop is one.
    directories: BTreeSet<NodeId>,
}

impl Walk<'_> {
    fn descend(
        &mut self,
        iso: &mut IsoFs<Bounded>,
        node: NodeId,
        above: &[u8],
        depth: usize,
    ) -> Result<(), Stop> {
        let mut cursor = DirCursor::START;
        loop {
            let entry = match iso.readdir(node, cursor) {
                Ok(None) => return Ok(()),
                Ok(Some(entry)) => entry,
                Err(error)
                    if self.primary && depth == 0 && Detail::of(&error) == Some(Detail::DirectoryRecord) =>
                {
                    return Err(Stop::MalformedRoot(broken(error)));
                }
                Err(error) => return Err(Stop::Broken(broken(error))),
            };
            cursor = entry.next_cursor();
            let directory = self.add(iso, &entry, above).map_err(Stop::Broken)?;
            if let Some(path) = directory
                && self.only.is_none()
            {
                if depth == DEPTH_MAX {
                    return Err(Stop::Broken(error!("its directories are more than {DEPTH_MAX} deep")));
                }
                if !self.directories.insert(entry.node()) {
                    return Err(Stop::Broken(error!("its directories form a loop")));
                }
                self.descend(iso, entry.node(), &path, depth + 1)?;
            }
        }
    }

    /// Adds the record of `entry`. The path, if it is a directory.
    fn add(&mut self, iso: &mut IsoFs<Bounded>, entry: &DirEntry, above: &[u8]) -> Result<Option<Vec<u8>>> {
        let mut path = above.to_vec();
        if !path.is_empty() {
            path.push(b'/');
        }
        let name = entry.name().as_bytes();
        path.extend(if self.primary { as_linux_shows(name) } else { name.to_vec() });
        if self.only.is_some_and(|wanted| !wanted(&path)) {
            return Ok(None);
        }
        self.paths_bytes += path.len();
        ensure!(self.records.len() < RECORDS_MAX, "it holds more than {RECORDS_MAX} files");
        ensure!(
            self.paths_bytes <= PATHS_BYTES_MAX,
            "its file names are longer than {PATHS_BYTES_MAX} bytes in all"
        );
        let kind = match entry.file_type() {
            FileType::File => Kind::File,
            FileType::Dir => Kind::Directory,
            FileType::Symlink => Kind::SymbolicLink,
            _ => Kind::Other,
        };
        let mode = (iso.namespace() == Namespace::RockRidge).then(|| entry.metadata().permissions().bits());
        let (len, extents) = if kind == Kind::File { extents_of(iso, entry)? } else { (0, Vec::new()) };
        let directory = (kind == Kind::Directory).then(|| path.clone());
        self.records.push(Record { path, kind, mode, len, extents });
        Ok(directory)
    }
}

fn extents_of(iso: &mut IsoFs<Bounded>, entry: &DirEntry) -> Result<(u64, Vec<Extent>)> {
    let mut extents = Vec::new();
    let mut done = 0;
    // Each call walks all records from the first one on, so that a file of very many asks for few calls.
    let mut found = [hadris_fs::Extent::new(0, 0); 64];
    loop {
        let count = iso.extents(entry.node(), done, &mut found).map_err(broken)?;
        for extent in &found[..count] {
            extents.push(Extent { offset: extent.offset(), len: extent.len() });
            done += extent.len();
        }
        if extents.len() > EXTENTS_MAX {
            bail!("a file has more than {EXTENTS_MAX} extents");
        }
        if count < found.len() {
            check_extents(&extents)?;
            return Ok((done, extents));
        }
    }
}

/// Finds extents of one file that no two readers need agree about, or that make a small image stand for a large file.
fn check_extents(extents: &[Extent]) -> Result<()> {
    // Linux reads such an extent to the end of its last sector.
    let in_front = extents.split_last().map_or(&[][..], |(_, in_front)| in_front);
    let is_whole = |extent: &Extent| extent.len.is_multiple_of(SECTOR_BYTES);
    ensure!(
        in_front.iter().all(is_whole),
        "an extent of a file ends within a sector, and is not the last one"
    );
    let mut filled: Vec<_> = extents.iter().filter(|extent| extent.len > 0).collect();
    filled.sort_unstable_by_key(|extent| extent.offset);
    let overlap = |pair: &[&Extent]| pair[0].offset.saturating_add(pair[0].len) > pair[1].offset;
    ensure!(!filled.windows(2).any(overlap), "extents of a file overlap");
    Ok(())
}

/// The files of one sector of a directory, as far as its records can be followed (ECMA-119, 9.1).
fn lenient_records(sector: &[u8]) -> Vec<Record> {
    const LEN: usize = 0;
    const EXTENT: usize = 2;
    const DATA_LEN: usize = 10;
    const FLAGS: usize = 25;
    const NAME_LEN: usize = 32;
    const NAME: usize = 33;
    const FLAG_DIRECTORY: u8 = 2;

    let number = |record: &[u8], at: usize| {
        let bytes = record.get(at..at + 4)?.try_into().ok()?;
        Some(u64::from(u32::from_le_bytes(bytes)))
    };
    let parse = |record: &[u8]| {
        let (sector, len) = (number(record, EXTENT)?, number(record, DATA_LEN)?);
        let name = record.get(NAME..NAME + usize::from(*record.get(NAME_LEN)?))?;
        let extents = vec![Extent { offset: sector * SECTOR_BYTES, len }];
        Some((
            record[FLAGS],
            Record { path: as_linux_shows(name), kind: Kind::File, mode: None, len, extents },
        ))
    };
    let mut records = Vec::new();
    let mut rest = sector;
    while let Some((record, after)) = rest.get(LEN).and_then(|&len| rest.split_at_checked(usize::from(len))) {
        let Some((flags, parsed)) = parse(record) else { break };
        let normal = !matches!(parsed.path.as_slice(), b"" | b"." | b".." | b"\0" | b"\x01")
            && !parsed.path.iter().any(|byte| matches!(byte, 0 | b'/'));
        if flags & FLAG_DIRECTORY == 0 && normal {
            records.push(parsed);
        }
        rest = after;
    }
    records
}

/// A name of ISO 9660 itself as Linux shows it: lower case, without version and without a dot at the end (isofs,
/// `map=normal`). A name of which that would leave nothing, `.` or `..` keeps both.
fn as_linux_shows(name: &[u8]) -> Vec<u8> {
    let base = name.split(|&byte| byte == b';').next().unwrap_or_default();
    let base = base.strip_suffix(b".").unwrap_or(base);
    if matches!(base, b"" | b"." | b"..") { name } else { base }.to_ascii_lowercase()
}

pub(super) fn tree(namespace: Namespace) -> Tree {
    match namespace {
        Namespace::RockRidge => Tree::RockRidge,
        Namespace::Joliet => Tree::Joliet,
        Namespace::Enhanced => Tree::Enhanced,
        _ => Tree::Primary,
    }
}

fn iso_8601(time: hadris_fs::DateTime) -> String {
    let (date, clock) = time.to_civil_utc();
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z",
        date.year(),
        date.month(),
        date.day(),
        clock.hour(),
        clock.minute(),
        clock.second()
    )
}

/// What hadris found wrong, without where in its own terms.
pub(super) fn broken(error: hadris_fs::Error<io::Error>) -> crate::error::Error {
    if error.kind() == hadris_fs::ErrorKind::NotRecognized {
        return error!(NO_IMAGE);
    }
    let message = match Detail::of(&error) {
        Some(Detail::OutsideImage) => CUT_OFF,
        _ => error.message(),
    };
    match error.into_device_error() {
        Some(error) => error.into(),
        None => error!(message),
    }
}
