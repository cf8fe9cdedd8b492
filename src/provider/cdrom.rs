//! A CD-ROM or disk with an image, which LinuxKit calls the HyperKit provider.
//!
//! User data is the content of `user-data` in the root directory, or else of `config`. An empty `user-data` does not hide `config`,
//! unlike with LinuxKit's agent. NoCloud's `meta-data` gives the host name and public keys.
//!
//! A disk is used if its volume identifier is `CIDATA` or `cidata`. A CD-ROM is used whatever its volume identifier is, but after
//! volumes called `CIDATA`. Nothing is mounted: the devices are read with the reader of [`crate::image`], one after the other, until
//! one has user data.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use super::{InstanceEntries, Log, LogLevel, Metadata, Provider};
use crate::{
    datasource::{
        compatibility::Agent,
        layout::{are_cidata, is_cidata},
    },
    error::{Context, Error, Result},
    image::{
        FatLabels, Image, Kind, Record, Volume,
        fat::label::fat_labels,
        probe::{self, FileSystem},
    },
    manifest::inventory::Contents,
};

/// The provider's name on the command line.
const NAME: &str = "cdrom";

/// The most bytes of user data, and of meta-data.
const DATA_BYTES_MAX: u64 = 64 << 20;

/// The smallest device that can hold an image, in sectors of 512 bytes as in sysfs. An empty floppy drive is smaller, with 8, and
/// takes seconds to open.
const SMALLEST_BLOCKS: u64 = 9;

/// How long to wait before looking for new devices again.
const POLL: Duration = Duration::from_millis(20);

/// The file in which NoCloud describes the instance.
const METADATA_NAME: &str = "meta-data";

/// The block devices of a guest.
#[derive(Debug)]
pub struct Cdrom {
    devices: PathBuf,
    blocks: PathBuf,
    scope: ReadScope,
    file_systems: FileSystems,
    /// The image that was used. It stays open as long as this provider: closing a drive takes time, and would delay applying the
    /// metadata.
    used: OnceLock<Image>,
}

/// How much of an image is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadScope {
    /// User data and meta-data.
    Data,
    /// Every file, so that the signature can be verified. The files are not parsed; call [`Metadata::parse_meta_data`] for that.
    All,
}

/// Which volumes are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystems {
    /// ISO 9660 and FAT.
    All,
    /// ISO 9660, the only one that can be signed.
    Iso9660,
}

/// A device with a volume.
struct Candidate {
    /// The name in `/dev`.
    name: String,
    /// The volume identifier.
    volume: String,
}

/// What a volume is called.
struct Identified {
    identifier: String,
    is_cidata: bool,
}

/// What was found on the devices so far.
#[derive(Default)]
struct Search {
    /// Metadata, with or without user data.
    found: Option<Metadata>,
    /// Devices that could not be read, by name.
    broken: Vec<(String, Error)>,
}

/// Receives the messages about a device, by its name.
type DeviceLog<'a> = dyn FnMut(&str, LogLevel, &str) + 'a;

impl Cdrom {
    /// The provider of the devices in `devices`, usually `/dev`, that are listed in `blocks`, usually `/sys/class/block`.
    #[must_use]
    pub fn new(devices: PathBuf, blocks: PathBuf) -> Self {
        Self {
            devices,
            blocks,
            scope: ReadScope::Data,
            file_systems: FileSystems::All,
            used: OnceLock::new(),
        }
    }

    /// Sets how much is read of an image that has data for the guest.
    #[must_use]
    pub fn scope(self, scope: ReadScope) -> Self {
        Self { scope, ..self }
    }

    /// Sets which volumes are opened.
    #[must_use]
    pub fn file_systems(self, file_systems: FileSystems) -> Self {
        Self { file_systems, ..self }
    }

    /// The names of all block devices in sysfs except loop devices and RAM disks, sorted. Without sysfs, the CD-ROM drives.
    fn names(&self) -> Vec<String> {
        let listed = |directory: &Path| {
            let entries = fs::read_dir(directory).into_iter().flatten().flatten();
            entries.filter_map(|entry| entry.file_name().into_string().ok()).collect::<Vec<_>>()
        };
        let mut names = listed(&self.blocks);
        names.retain(|name| !name.starts_with("loop") && !name.starts_with("ram"));
        if names.is_empty() {
            names = listed(&self.devices);
            names.retain(|name| is_cdrom(name));
        }
        names.sort();
        names
    }

    /// Whether the device is too small for an image, according to sysfs.
    fn is_too_small(&self, name: &str) -> bool {
        let blocks = fs::read_to_string(self.blocks.join(name).join("size"));
        blocks.is_ok_and(|blocks| blocks.trim().parse().is_ok_and(|blocks: u64| blocks < SMALLEST_BLOCKS))
    }

    /// Reads the devices until one has user data: first the volumes called `CIDATA`, then the other CD-ROMs. A device that cannot be
    /// read is the error, or only a warning if another device has metadata.
    fn search(&self, log: &mut DeviceLog) -> Result<Option<Metadata>> {
        let mut search = Search::default();
        let mut others = Vec::new();
        for name in self.names() {
            let cdrom = is_cdrom(&name);
            if !cdrom && self.is_too_small(&name) {
                log(&name, LogLevel::Detail, "too small for an image");
                continue;
            }
            // sysfs writes a slash in a name as an exclamation mark.
            let name = name.replace('!', "/");
            match identify(&self.devices.join(&name), self.file_systems) {
                // Without permission, nobody knows whether the device has metadata.
                Err(error) => match hint(&error) {
                    Some(hint) => search.broken.push((name, Error::from(error).context(hint))),
                    // An empty drive fails, too.
                    None => log(&name, LogLevel::Detail, &error.to_string()),
                },
                Ok((_, None)) => log(&name, LogLevel::Detail, self.file_systems.none()),
                Ok((file, Some(Identified { identifier: volume, is_cidata: true }))) => {
                    // Opening a drive again takes time.
                    let open = |path: &Path| Ok(Image::in_file(file, path)?);
                    if self.read(Candidate { name, volume }, open, &mut search, log) {
                        return search.end(log);
                    }
                }
                Ok((_, Some(Identified { identifier: volume, .. }))) if cdrom => {
                    others.push(Candidate { name, volume });
                }
                Ok((_, Some(Identified { identifier: volume, .. }))) => {
                    log(
                        &name,
                        LogLevel::Detail,
                        &format!("a disk with volume identifier {volume:?} instead of CIDATA"),
                    );
                }
            }
        }
        for candidate in others {
            if self.read(candidate, |path| Ok(Image::open(path)?), &mut search, log) {
                break;
            }
        }
        search.end(log)
    }

    /// Reads a device. Returns whether it has user data, which ends the search.
    fn read(
        &self,
        Candidate { name, volume }: Candidate,
        open: impl FnOnce(&Path) -> Result<Image>,
        search: &mut Search,
        log: &mut DeviceLog,
    ) -> bool {
        let image = open(&self.devices.join(&name)).and_then(|mut image| {
            let found = read(&mut image, self.scope, &mut |level, text| log(&name, level, text))?;
            Ok((image, found))
        });
        match image {
            Err(error) => search.broken.push((name, error)),
            Ok((_, found)) if found.is_empty() => {
                let text = format!("volume {volume:?} has no data in user-data, config or meta-data");
                log(&name, LogLevel::Step, &text);
            }
            Ok((image, found)) => {
                log(&name, LogLevel::Detail, &format!("volume {volume:?}"));
                let has_userdata = found.userdata.is_some();
                if has_userdata {
                    drop(self.used.set(image));
                }
                if has_userdata || search.found.is_none() {
                    search.found = Some(Metadata { origin: format!("CDROM /dev/{name}"), ..found });
                }
                return has_userdata;
            }
        }
        false
    }
}

impl Search {
    fn end(self, log: &mut DeviceLog) -> Result<Option<Metadata>> {
        let mut broken = self.broken.into_iter();
        let first = if self.found.is_some() { None } else { broken.next() };
        for (name, error) in broken {
            log(&name, LogLevel::Warning, &format!("{error:#}"));
        }
        first.map_or(Ok(self.found), |(name, error)| Err(error.context(format!("/dev/{name}"))))
    }
}

impl Provider for Cdrom {
    fn name(&self) -> &'static str {
        NAME
    }

    fn is_local(&self) -> bool {
        true
    }

    /// Searches once, and then again until the deadline.
    fn fetch(&self, deadline: Instant, log: &mut Log) -> Result<Option<Metadata>> {
        // The last message about each device.
        let mut last = BTreeMap::new();
        let mut log = |name: &str, level: LogLevel, text: &str| {
            if last.insert(name.to_owned(), text.to_owned()).as_deref() != Some(text) {
                log(level, &format!("/dev/{name}: {text}"));
            }
        };
        loop {
            let found = self.search(&mut log);
            if matches!(found, Ok(Some(_))) || Instant::now() + POLL > deadline {
                return found;
            }
            thread::sleep(POLL);
        }
    }
}

/// What to do about a device that exists and cannot be opened.
fn hint(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            Some("opening the device (a container needs it among its devices)")
        }
        io::ErrorKind::NotFound => Some("opening the device (is devtmpfs mounted on /dev?)"),
        _ => None,
    }
}

/// Whether this is the name of a CD-ROM drive.
fn is_cdrom(name: &str) -> bool {
    name.strip_prefix("sr").is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

impl FileSystems {
    /// That a device has no such volume, in words.
    fn none(self) -> &'static str {
        match self {
            Self::All => "no ISO 9660 or FAT volume",
            Self::Iso9660 => "no ISO 9660 volume",
        }
    }
}

/// The open device, and what its volume is called, if it has one.
fn identify(path: &Path, file_systems: FileSystems) -> io::Result<(File, Option<Identified>)> {
    let mut file = probe::open(path)?;
    let iso9660 = |identifier: String| Identified { is_cidata: is_cidata(&identifier), identifier };
    let fat = |labels: FatLabels| Identified {
        is_cidata: are_cidata(&labels),
        identifier: labels.shown().to_owned(),
    };
    let volume = match probe::volume_identifier(&mut file)? {
        None if file_systems == FileSystems::All => fat_labels(&mut file).map(fat),
        volume => volume.map(iso9660),
    };
    Ok((file, volume))
}

/// Reads the image at `path`, a file or a block device. The origin is the path.
///
/// # Errors
/// Fails if the image cannot be read, is not an image, or has more than 64 MiB of data.
pub fn fetch_from(path: &Path, log: &mut Log) -> Result<Metadata> {
    read_from(path, ReadScope::Data, log)
}

/// As [`fetch_from`]. `scope`: how much is read if the image has data for the guest.
///
/// # Errors
/// Fails as [`fetch_from`], and as [`Contents::read`] if all of the image is read.
pub fn read_from(path: &Path, scope: ReadScope, log: &mut Log) -> Result<Metadata> {
    read_image(&mut Image::open(path)?, scope, log)
}

/// As [`read_from`], for an open image. The origin is its path.
///
/// # Errors
/// Fails as [`read_from`].
pub fn read_image(image: &mut Image, scope: ReadScope, log: &mut Log) -> Result<Metadata> {
    let found = read(image, scope, log)?;
    Ok(Metadata { origin: image.path().display().to_string(), ..found })
}

/// Reads the metadata on an image, without its origin.
fn read(image: &mut Image, scope: ReadScope, log: &mut Log) -> Result<Metadata> {
    let is_fat = image.file_system() == FileSystem::Fat;
    let wanted = |path: &[u8]| {
        let names = ["user-data", "config", METADATA_NAME].map(str::as_bytes);
        names.iter().any(|name| if is_fat { path.eq_ignore_ascii_case(name) } else { path == *name })
    };
    let (volume, records) = image.list_root(&wanted)?;
    let mut found = Metadata { provider: NAME, ..Metadata::default() };
    if scope == ReadScope::Data {
        let read = |record: &Record| image.read(record, DATA_BYTES_MAX);
        found.userdata = userdata_of(&volume, &records).map(read).transpose()?;
        found.meta_data = metadata_of(&volume, &records).map(read).transpose()?;
    } else if userdata_of(&volume, &records).or(metadata_of(&volume, &records)).is_some() {
        let wanted = |volume: &Volume, records: &[Record]| {
            let wanted = [userdata_of(volume, records), metadata_of(volume, records)];
            wanted.into_iter().flatten().cloned().collect()
        };
        let all = Contents::read(image, wanted, DATA_BYTES_MAX, &mut ());
        let mut all = all.with_context(|| format!("reading image {:?}", image.path()))?;
        let userdata = userdata_of(&all.volume, &all.records).cloned();
        found.userdata = userdata.and_then(|record| all.take(&record.path));
        let metadata = metadata_of(&all.volume, &all.records).cloned();
        found.meta_data = metadata.and_then(|record| all.take(&record.path));
        found.contents = Some(Box::new(all));
    }
    let mut instance = InstanceEntries::default();
    for link in records.iter().filter(|record| record.kind == Kind::SymbolicLink) {
        // A link is not a loss if another file is used instead.
        let is_replaced = if link.path == METADATA_NAME.as_bytes() {
            found.meta_data.is_some()
        } else {
            found.userdata.is_some()
        };
        if !is_replaced {
            let name = link.display_path();
            instance.lose(&name, &format!("skipping {name:?}: symbolic links are not followed"), log);
        }
    }
    found.losses = instance.losses;
    // Otherwise the signature must be checked before anything in a file is parsed.
    if scope == ReadScope::Data {
        found.parse_meta_data(log);
    }
    Ok(found)
}

fn userdata_of<'a>(volume: &Volume, records: &'a [Record]) -> Option<&'a Record> {
    Agent::Metadata.find_userdata(volume, records).ok()
}

fn metadata_of<'a>(volume: &Volume, records: &'a [Record]) -> Option<&'a Record> {
    volume.find(records, METADATA_NAME)
}
