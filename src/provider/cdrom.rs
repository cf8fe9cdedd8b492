//! A CD-ROM or disk with an image on it, which LinuxKit calls the HyperKit provider.
//!
//! User data is the content of `user-data` in the root directory, else that of `config`. An empty `user-data` does not
//! hide `config`, as it does from LinuxKit's agent. NoCloud's `meta-data` gives the host name and public keys.
//!
//! A disk is taken when its volume is called `CIDATA` or `cidata`, a CD-ROM whatever its volume is called, but after
//! those. Nothing is mounted: the devices are read with the reader of [`crate::image`], one after the other, and none
//! after the one that serves.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::OnceLock,
    thread,
    time::{Duration, Instant},
};

use crate::error::{Context, Error, Result};

use super::{Instance, Level, Metadata, Provider, Say};
use crate::{
    datasource::{compatibility::Agent, layout::is_cidata},
    image::{Image, Kind, Record, Volume, probe},
    manifest::inventory::Contents,
};

/// The provider's name on the command line.
const NAME: &str = "cdrom";

/// Bytes of user data, and of meta-data, at most.
const DATA_BYTES_MAX: u64 = 64 << 20;

/// The smallest device that can hold an image, in the sectors of 512 bytes that sysfs counts: the system area and a
/// descriptor. An empty floppy drive is smaller, and takes seconds to open.
const SMALLEST_BLOCKS: u64 = 68;

/// How long a device that appears late may be overlooked.
const POLL: Duration = Duration::from_millis(20);

/// The file in which NoCloud describes the instance.
const METADATA_NAME: &[u8] = b"meta-data";

/// The block devices of a guest.
#[derive(Debug)]
pub struct Cdrom {
    devices: PathBuf,
    blocks: PathBuf,
    reading: Reading,
    /// The image that served, which stays open as long as this: a drive takes its time to be closed, and what was read is
    /// applied the sooner.
    served: OnceLock<Image>,
}

/// How much of an image is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// What a guest is told.
    Data,
    /// Every file, to see whether it may be believed. What is in the files is not parsed
    /// ([`Metadata::parse_meta_data`] does that).
    All,
}

/// A device with an ISO 9660 volume.
struct Candidate {
    /// As in `/dev`.
    name: String,
    volume: String,
}

/// What came of looking at the devices so far.
#[derive(Default)]
struct Looked {
    /// Metadata, with or without user data.
    served: Option<Metadata>,
    /// Devices that could not be read, by name.
    broken: Vec<(String, Error)>,
}

/// Takes what there is to say of a device, by its name.
type Tell<'a> = dyn FnMut(&str, Level, &str) + 'a;

impl Cdrom {
    /// The provider of the devices in `devices`, `/dev`, that `blocks`, `/sys/class/block`, lists.
    #[must_use]
    pub fn new(devices: PathBuf, blocks: PathBuf) -> Self {
        Self { devices, blocks, reading: Reading::Data, served: OnceLock::new() }
    }

    /// The same, reading so much of an image that has data for the guest.
    #[must_use]
    pub fn reading(self, reading: Reading) -> Self {
        Self { reading, ..self }
    }

    /// The names of all block devices but loop devices and RAM disks, as sysfs has them, sorted. Where there is no sysfs,
    /// the CD-ROM drives.
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

    /// Whether sysfs knows that the device is too small for an image.
    fn is_too_small(&self, name: &str) -> bool {
        let blocks = fs::read_to_string(self.blocks.join(name).join("size"));
        blocks.is_ok_and(|blocks| blocks.trim().parse().is_ok_and(|blocks: u64| blocks < SMALLEST_BLOCKS))
    }

    /// Looks at the devices until one has user data: those with a volume `CIDATA` as they come, then the other CD-ROMs. A
    /// broken one is told of where another one serves, and else is the error.
    fn look(&self, tell: &mut Tell) -> Result<Option<Metadata>> {
        let mut looked = Looked::default();
        let mut others = Vec::new();
        for name in self.names() {
            let cdrom = is_cdrom(&name);
            if !cdrom && self.is_too_small(&name) {
                tell(&name, Level::Detail, "too small for an image");
                continue;
            }
            // The kernel writes a slash in a name like this.
            let name = name.replace('!', "/");
            match identify(&self.devices.join(&name)) {
                // Who may not look does not know whether there is something.
                Err(error) => match hint(&error) {
                    Some(hint) => looked.broken.push((name, Error::from(error).context(hint))),
                    // An empty drive has an error, too.
                    None => tell(&name, Level::Detail, &error.to_string()),
                },
                Ok((_, None)) => tell(&name, Level::Detail, "no ISO 9660 volume"),
                Ok((file, Some(volume))) if is_cidata(&volume) => {
                    // A drive takes its time to be opened once more.
                    let open = |path: &Path| Ok(Image::in_file(file, path)?);
                    if self.read(Candidate { name, volume }, open, &mut looked, tell) {
                        return looked.end(tell);
                    }
                }
                Ok((_, Some(volume))) if cdrom => others.push(Candidate { name, volume }),
                Ok((_, Some(volume))) => {
                    tell(&name, Level::Detail, &format!("a disk with volume {volume:?} instead of CIDATA"));
                }
            }
        }
        for candidate in others {
            if self.read(candidate, |path| Ok(Image::open(path)?), &mut looked, tell) {
                break;
            }
        }
        looked.end(tell)
    }

    /// Reads a device. Whether it has user data, so that no other one need be looked at.
    fn read(
        &self,
        Candidate { name, volume }: Candidate,
        open: impl FnOnce(&Path) -> Result<Image>,
        looked: &mut Looked,
        tell: &mut Tell,
    ) -> bool {
        let image = open(&self.devices.join(&name)).and_then(|mut image| {
            let found = read(&mut image, self.reading, &mut |level, text| tell(&name, level, text))?;
            Ok((image, found))
        });
        match image {
            Err(error) => looked.broken.push((name, error)),
            Ok((_, found)) if found.is_empty() => {
                let text = format!("volume {volume:?} has nothing in user-data, config or meta-data");
                tell(&name, Level::Step, &text);
            }
            Ok((image, found)) => {
                tell(&name, Level::Detail, &format!("volume {volume:?}"));
                let has_userdata = found.userdata.is_some();
                if has_userdata {
                    drop(self.served.set(image));
                }
                if has_userdata || looked.served.is_none() {
                    looked.served = Some(Metadata { origin: format!("CDROM /dev/{name}"), ..found });
                }
                return has_userdata;
            }
        }
        false
    }
}

impl Looked {
    fn end(self, tell: &mut Tell) -> Result<Option<Metadata>> {
        let mut broken = self.broken.into_iter();
        let first = if self.served.is_some() { None } else { broken.next() };
        for (name, error) in broken {
            tell(&name, Level::Warning, &format!("{error:#}"));
        }
        first.map_or(Ok(self.served), |(name, error)| Err(error.context(format!("/dev/{name}"))))
    }
}

impl Provider for Cdrom {
    fn name(&self) -> &'static str {
        NAME
    }

    fn is_local(&self) -> bool {
        true
    }

    /// Looks again and again until the deadline, and once in any case.
    fn fetch(&self, deadline: Instant, say: &mut Say) -> Result<Option<Metadata>> {
        // Of each device, what was said of it last.
        let mut said = BTreeMap::new();
        let mut tell = |name: &str, level: Level, text: &str| {
            if said.insert(name.to_owned(), text.to_owned()).as_deref() != Some(text) {
                say(level, &format!("/dev/{name}: {text}"));
            }
        };
        loop {
            let found = self.look(&mut tell);
            if matches!(found, Ok(Some(_))) || Instant::now() + POLL > deadline {
                return found;
            }
            thread::sleep(POLL);
        }
    }
}

/// What to do about a device that is there and cannot be looked at.
fn hint(error: &io::Error) -> Option<&'static str> {
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            Some("it may not be opened (a container has to have it among its devices)")
        }
        io::ErrorKind::NotFound => Some("the kernel has it, but not there (is devtmpfs mounted on /dev?)"),
        _ => None,
    }
}

/// Whether the kernel calls a CD-ROM drive like this.
fn is_cdrom(name: &str) -> bool {
    name.strip_prefix("sr").is_some_and(|number| number.bytes().all(|byte| byte.is_ascii_digit()))
}

/// An open device, and the identifier of the volume on it, if there is one.
fn identify(path: &Path) -> io::Result<(File, Option<String>)> {
    let mut file = probe::open(path)?;
    let volume = probe::volume_identifier(&mut file)?;
    Ok((file, volume))
}

/// Reads the image at `path`, a file or a block device. The origin is the path.
///
/// # Errors
/// It cannot be read, is no image, or its data is larger than 64 MiB.
pub fn fetch_from(path: &Path, say: &mut Say) -> Result<Metadata> {
    read_from(path, Reading::Data, say)
}

/// The same, reading so much of an image that has data for the guest.
///
/// # Errors
/// Those of [`fetch_from`]; and those of [`Contents::read`] where all of it is read.
pub fn read_from(path: &Path, reading: Reading, say: &mut Say) -> Result<Metadata> {
    read_image(&mut Image::open(path)?, reading, say)
}

/// The same of an image that is open. The origin is its path.
///
/// # Errors
/// Those of [`read_from`].
pub fn read_image(image: &mut Image, reading: Reading, say: &mut Say) -> Result<Metadata> {
    let found = read(image, reading, say)?;
    Ok(Metadata { origin: image.path().display().to_string(), ..found })
}

/// What an image tells a guest, without where it comes from.
fn read(image: &mut Image, reading: Reading, say: &mut Say) -> Result<Metadata> {
    let wanted = |path: &[u8]| matches!(path, b"user-data" | b"config") || path == METADATA_NAME;
    let (volume, records) = image.list_root(&wanted)?;
    let mut found = Metadata { provider: NAME, ..Metadata::default() };
    if reading == Reading::Data {
        let read = |record: &Record| image.read(record, DATA_BYTES_MAX);
        found.userdata = userdata_of(&volume, &records).map(read).transpose()?;
        found.meta_data = metadata_of(&records).map(read).transpose()?;
    } else if userdata_of(&volume, &records).or(metadata_of(&records)).is_some() {
        let wanted = |volume: &Volume, records: &[Record]| {
            let wanted = [userdata_of(volume, records), metadata_of(records)];
            wanted.into_iter().flatten().cloned().collect()
        };
        let all = Contents::read(image, wanted, DATA_BYTES_MAX, &mut ());
        let mut all = all.with_context(|| format!("reading image {:?}", image.path()))?;
        let userdata = userdata_of(&all.volume, &all.records).cloned();
        found.userdata = userdata.and_then(|record| all.take(&record.path));
        found.meta_data = all.take(METADATA_NAME);
        found.contents = Some(Box::new(all));
    }
    let mut instance = Instance::default();
    for link in records.iter().filter(|record| record.kind == Kind::SymbolicLink) {
        // One beside a file that serves instead is not missed.
        let served =
            if link.path == METADATA_NAME { found.meta_data.is_some() } else { found.userdata.is_some() };
        if !served {
            let name = link.display_path();
            instance.lose(&name, &format!("{name:?} is a symbolic link, which is not followed"), say);
        }
    }
    found.losses = instance.losses;
    // Nothing that is in a file is looked at before somebody has checked who signed it.
    if reading == Reading::Data {
        found.parse_meta_data(say);
    }
    Ok(found)
}

fn userdata_of<'a>(volume: &Volume, records: &'a [Record]) -> Option<&'a Record> {
    Agent::Metadata.find_userdata(volume, records).ok()
}

fn metadata_of(records: &[Record]) -> Option<&Record> {
    records.iter().find(|record| record.kind == Kind::File && record.path == METADATA_NAME)
}
