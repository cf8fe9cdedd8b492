//! The entries of Rock Ridge in a system use area and its continuations.
//!
//! Readers interpret an entry differently if it is malformed, misplaced, or there twice. That is an error here, so that what is
//! read without an error means the same to Linux.
//!
//! Sources: IEEE P1281 (SUSP) and P1282 (RRIP); for how Linux interprets it, `fs/isofs/rock.c`.

use std::{collections::BTreeSet, ops::RangeInclusive};

use crate::error::{Result, bail, ensure};

use super::{
    device::Bounded,
    records::{DATE_BYTES, Directory, DirectoryRecord},
};
use crate::image::SECTOR_BYTES;

/// The most continuations of an area (`RR_MAX_CE_ENTRIES`).
const CONTINUATIONS_MAX: usize = 31;

/// The most entries of a file. A file needs about ten. A sector may have 512, and every file may continue in 31 of them, so that
/// a small image could take long.
const ENTRIES_MAX: usize = 128;

/// The most bytes of a name that Linux joins from parts; it ignores the part that would make it longer
/// (`get_rock_ridge_filename`).
const NAME_BYTES_MAX: usize = 253;

/// The extensions that are Rock Ridge (RRIP 1.12, 4.3, and what came before and after it).
const EXTENSIONS: [&[u8]; 3] = [b"RRIP_1991A", b"IEEE_P1282", b"IEEE_1282"];

/// The size of a CD-ROM XA attribute in bytes. Linux also searches for entries after it.
const XA_BYTES: usize = 14;

/// The smallest entry in bytes.
const ENTRY_BYTES_MIN: u64 = 4;

/// The flags of a name that stands for the directory itself, and for the one above (`NM`).
const NAMES_ITSELF: u8 = 2;
const NAMES_ABOVE: u8 = 4;

/// The most bytes at the end of an area that need not be an entry.
const PADDING_BYTES_MAX: usize = 2;

/// What the entries of a record say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Entries {
    name: Option<Name>,
    /// Type and permissions as in `st_mode` (`PX`).
    pub(super) mode: Option<u32>,
    /// The numbers of the user and of the group (`PX`).
    pub(super) owner: Option<(u32, u32)>,
    /// The date of the last change, as in a directory record (`TF`).
    pub(super) modified: Option<[u8; DATE_BYTES]>,
    /// The first sector of a directory that belongs here (`CL`).
    pub(super) child: Option<u64>,
    /// The number of the file, which links to it share (`PX`).
    pub(super) serial: Option<u32>,
    /// The sectors in which the entries continue (`CE`).
    pub(super) continuations: Vec<u64>,
    /// The flags of a name that stands for a directory.
    stands_for: Option<u8>,
    /// How many there are.
    count: usize,
    /// The signatures of all entries.
    found: BTreeSet<[u8; 2]>,
    /// Whether they say that the volume has Rock Ridge (`ER`).
    has_extension: bool,
    /// Whether they say that there is no name (`RR`).
    denies_name: bool,
}

/// A name in parts (`NM`).
#[derive(Debug, Default, PartialEq, Eq)]
struct Name {
    bytes: Vec<u8>,
    has_ended: bool,
}

/// Where an area continues: a sector, and the range of its bytes (SUSP, 5.1).
struct Continuation {
    sector: u64,
    start: usize,
    end: usize,
}

/// Whether Linux finds no entry of Rock Ridge in a system use area.
pub(super) fn is_inert(area: &[u8]) -> bool {
    // An area ends at an entry of fewer than three bytes.
    [0, XA_BYTES].iter().all(|start| area.get(start + 2).is_none_or(|&len| len < 3))
}

/// Whether the volume with this root directory has Rock Ridge.
pub(super) fn is_on(device: &mut Bounded, root: &Directory) -> Result<bool> {
    const START: &[u8] = b"SP\x07\x01\xbe\xef\0";
    let area = root.own().system_use();
    if is_inert(area) {
        return Ok(false);
    }
    let Some(area) = area.strip_prefix(START) else { bail!("its first entry is not a valid \"SP\"") };
    ensure!(read_area(device, area)?.has_extension, "no \"ER\" entry names Rock Ridge");
    Ok(true)
}

/// The entries of a record that is not the first of a volume.
pub(super) fn read(device: &mut Bounded, record: &DirectoryRecord) -> Result<Entries> {
    let entries = read_area(device, record.system_use())?;
    ensure!(entries.stands_for.is_none(), "a file has the name of a directory above it");
    ensure!(entries.name.is_none() || entries.name().is_some(), "a file has an empty name");
    Ok(entries)
}

/// The entries of a directory's own record. If it is the root, [`is_on`] has read the first of them.
pub(super) fn read_own(device: &mut Bounded, directory: &Directory, is_root: bool) -> Result<Entries> {
    const START_BYTES: usize = 7;
    let area = directory.own().system_use();
    let entries = read_area(device, if is_root { &area[START_BYTES..] } else { area })?;
    ensure!(
        entries.child.is_none() && !entries.is_relocated(),
        "a directory's own record says that the directory is elsewhere"
    );
    // Linux takes the length of the target, or of what was compressed, for that of the directory.
    ensure!(
        !entries.is_link() && !entries.is_compressed(),
        "a directory's own record gives it the length of something else"
    );
    entries.check_unnamed(NAMES_ITSELF)?;
    if let Some(above) = directory.above() {
        read_area(device, above.system_use())?.check_unnamed(NAMES_ABOVE)?;
    }
    Ok(entries)
}

fn read_area(device: &mut Bounded, area: &[u8]) -> Result<Entries> {
    let mut entries = Entries::default();
    let mut next = entries.add(area)?;
    let mut count = 0;
    while let Some(Continuation { sector, start, end }) = next {
        count += 1;
        ensure!(
            count <= CONTINUATIONS_MAX,
            "the entries of a file have more than {CONTINUATIONS_MAX} continuations"
        );
        entries.continuations.push(sector);
        let sector = device.sector(sector)?;
        next = entries.add(&sector[start..end])?;
    }
    let has_place = entries.name.is_some() || entries.is_relocated();
    ensure!(
        !entries.denies_name || !has_place,
        "a file has a name, but an \"RR\" entry says that it has none"
    );
    Ok(entries)
}

impl Entries {
    /// The name, if there is one and it is not empty.
    pub(super) fn name(&self) -> Option<&[u8]> {
        self.name.as_ref().map(|name| &name.bytes[..]).filter(|name| !name.is_empty())
    }

    /// Checks that the record of a directory has no name, by which Linux would open it; a name with these flags is ignored.
    fn check_unnamed(&self, flags: u8) -> Result<()> {
        let is_unnamed = self.name.is_none() && self.stands_for.is_none_or(|found| found == flags);
        ensure!(is_unnamed, "a directory has a name in its own record or in that of the directory above");
        Ok(())
    }

    /// Whether the directory belongs elsewhere, and is not shown here.
    pub(super) fn is_relocated(&self) -> bool {
        self.found.contains(b"RE")
    }

    /// Whether there is the target of a symbolic link.
    pub(super) fn is_link(&self) -> bool {
        self.found.contains(b"SL")
    }

    /// Whether Linux decompresses the file.
    pub(super) fn is_compressed(&self) -> bool {
        self.found.contains(b"ZF")
    }

    /// Adds the entries of one area, and returns where it continues.
    fn add(&mut self, area: &[u8]) -> Result<Option<Continuation>> {
        let mut next = None;
        let mut rest = area;
        while rest.len() > PADDING_BYTES_MAX {
            let len = usize::from(rest[2]);
            if len == 0 {
                // Linux then ignores the name, and stops.
                let ends = rest.iter().all(|&byte| byte == 0) && self.name.is_none() && next.is_none();
                ensure!(ends, "there are zeros between entries");
                return Ok(None);
            }
            ensure!(len >= 4 && len <= rest.len(), "an entry is too short, or longer than its area");
            self.count += 1;
            ensure!(self.count <= ENTRIES_MAX, "a file has more than {ENTRIES_MAX} entries of Rock Ridge");
            let (entry, after) = rest.split_at(len);
            rest = after;
            let (head, data) = entry.split_at(4);
            let signature = [head[0], head[1]];
            // bsdtar stops at another.
            ensure!(signature.iter().all(u8::is_ascii_uppercase), "an entry has an invalid signature");
            let Some(bytes) = bytes_of(signature) else { continue };
            let is_whole = head[3] == 1 && bytes.contains(&data.len());
            ensure!(is_whole, "a {:?} entry is malformed", text(signature));
            match &signature {
                b"CE" => {
                    ensure!(next.is_none(), "entries continue in two places");
                    next = Some(continuation(data)?);
                }
                // bsdtar then ignores the entries of all other files.
                b"ST" => bail!("an \"ST\" entry ends the entries, which not all readers understand"),
                b"SP" => bail!("an \"SP\" entry is not the first entry of the volume"),
                _ => self.add_entry(signature, data)?,
            }
        }
        Ok(next)
    }

    fn add_entry(&mut self, signature: [u8; 2], data: &[u8]) -> Result<()> {
        const HAS_NAME: u8 = 8;
        const SERIAL: usize = 32;
        self.found.insert(signature);
        match &signature {
            b"ER" => {
                let id = data.get(4..4 + usize::from(data[0]));
                let Some(id) = id else { bail!("an \"ER\" entry is malformed") };
                self.has_extension |= EXTENSIONS.contains(&id);
            }
            b"RR" => self.denies_name |= data[0] & HAS_NAME == 0,
            b"PX" => {
                self.mode = Some(number(data, 0));
                self.owner = Some((number(data, 16), number(data, 24)));
                self.serial = (data.len() >= SERIAL + 8).then(|| number(data, SERIAL));
            }
            b"TF" => self.modified = modified(data).or(self.modified),
            b"NM" => self.add_name(data[0], &data[1..])?,
            b"CL" => {
                self.child = Some(number(data, 0).into());
                // The mode of the directory itself counts.
                (self.mode, self.owner) = (None, None);
            }
            _ => {}
        }
        Ok(())
    }

    fn add_name(&mut self, flags: u8, part: &[u8]) -> Result<()> {
        const CONTINUES: u8 = 1;
        if [NAMES_ITSELF, NAMES_ABOVE].contains(&flags) {
            ensure!(self.stands_for.is_none_or(|found| found == flags), "a file has two names");
            self.stands_for = Some(flags);
            return Ok(());
        }
        ensure!(flags & !CONTINUES == 0, "a name has flags that not all readers know");
        let name = self.name.get_or_insert_default();
        ensure!(!name.has_ended, "a file has two names");
        name.has_ended = flags & CONTINUES == 0;
        ensure!(
            name.bytes.len() + part.len() <= NAME_BYTES_MAX,
            "a name is longer than {NAME_BYTES_MAX} bytes, which Linux cuts"
        );
        name.bytes.extend(part);
        Ok(())
    }
}

/// The date of the last change in a `TF` entry, unless that has dates in the long form (RRIP 1.12, 4.1.6).
fn modified(data: &[u8]) -> Option<[u8; DATE_BYTES]> {
    const CREATED: u8 = 1;
    const MODIFIED: u8 = 2;
    const LONG_FORM: u8 = 0x80;
    let (&flags, dates) = data.split_first()?;
    if flags & MODIFIED == 0 || flags & LONG_FORM != 0 {
        return None;
    }
    let at = if flags & CREATED == 0 { 0 } else { DATE_BYTES };
    dates.get(at..)?.first_chunk().copied()
}

/// How many bytes an entry may have after its first four. `None`: the entry is ignored.
///
/// bsdtar ignores a `CE` or a `CL` that is longer than it has to be.
fn bytes_of(signature: [u8; 2]) -> Option<RangeInclusive<usize>> {
    const MAX: usize = u8::MAX as usize;
    Some(match &signature {
        b"ST" | b"RE" => 0..=MAX,
        b"RR" | b"NM" | b"TF" => 1..=MAX,
        b"SP" | b"SL" => 3..=MAX,
        b"ER" => 4..=MAX,
        b"CL" => 8..=8,
        b"PL" => 8..=MAX,
        b"ZF" => 12..=MAX,
        b"PN" => 16..=MAX,
        b"CE" => 24..=24,
        b"PX" => 32..=MAX,
        _ => return None,
    })
}

fn continuation(data: &[u8]) -> Result<Continuation> {
    let [sector, start, len] = [0, 8, 16].map(|at| u64::from(number(data, at)));
    let is_one_sector = len >= ENTRY_BYTES_MIN && start + len <= SECTOR_BYTES;
    ensure!(sector > 0 && is_one_sector, "entries continue outside of a sector");
    let [start, end] = [start, start + len].map(usize::try_from);
    Ok(Continuation { sector, start: start?, end: end? })
}

/// A number in both byte orders; Linux reads the first (ECMA-119, 7.3.3).
fn number(data: &[u8], at: usize) -> u32 {
    data[at..at + 4].iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte))
}

fn text(signature: [u8; 2]) -> String {
    String::from_utf8_lossy(&signature).into_owned()
}
