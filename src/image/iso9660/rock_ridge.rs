//! The entries of Rock Ridge in a system use area, and in those that it continues in.
//!
//! Readers differ in what they make of an entry that is malformed, in a place where it does not belong, or there twice. That is
//! an error here, so that what is read without one means the same to Linux.
//!
//! Sources: IEEE P1281 (SUSP) and P1282 (RRIP); Linux, `fs/isofs/rock.c`, for what Linux makes of it.

use std::collections::BTreeSet;

use crate::error::{Result, bail, ensure};

use super::{
    device::Bounded,
    records::{Directory, DirectoryRecord},
};
use crate::image::SECTOR_BYTES;

/// Areas that one goes on in, at most (`RR_MAX_CE_ENTRIES`).
const CONTINUATIONS_MAX: usize = 31;

/// Bytes of names that Linux puts together; what would make more is left out (`get_rock_ridge_filename`).
const NAME_BYTES_MAX: usize = 253;

/// The extensions that are Rock Ridge (RRIP 1.12, 4.3, and what came before and after it).
const EXTENSIONS: [&[u8]; 3] = [b"RRIP_1991A", b"IEEE_P1282", b"IEEE_1282"];

/// Bytes that Linux looks behind as well, those of a CD-ROM XA attribute.
const XA_BYTES: usize = 14;

/// Bytes of an entry at least.
const ENTRY_BYTES_MIN: u64 = 4;

/// Bytes at the end of an area that need not be an entry.
const PADDING_BYTES_MAX: usize = 2;

/// What the entries of a record say.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Entries {
    name: Option<Name>,
    /// Type and permissions as in `st_mode` (`PX`).
    pub(super) mode: Option<u32>,
    /// The first sector of a directory that belongs here (`CL`).
    pub(super) child: Option<u64>,
    /// The signatures of those that are there.
    found: BTreeSet<[u8; 2]>,
    /// Whether the volume says that it has Rock Ridge (`ER`).
    has_extension: bool,
    /// Whether it says that there is no name (`RR`).
    denies_name: bool,
}

/// A name in parts (`NM`).
#[derive(Debug, Default, PartialEq, Eq)]
struct Name {
    bytes: Vec<u8>,
    has_ended: bool,
    is_cut: bool,
}

/// Where an area goes on: a sector, and which of its bytes (SUSP, 5.1).
struct Continuation {
    sector: u64,
    start: usize,
    end: usize,
}

/// Whether a system use area is nothing that Linux could take for Rock Ridge.
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
    let Some(area) = area.strip_prefix(START) else { bail!("its entries do not begin as they must") };
    ensure!(read_area(device, area)?.has_extension, "no entry says that it is Rock Ridge");
    Ok(true)
}

/// The entries of a record that is not the first one of a volume.
pub(super) fn read(device: &mut Bounded, record: &DirectoryRecord) -> Result<Entries> {
    read_area(device, record.system_use())
}

/// The entries of the first record of a volume, of which [`is_on`] has looked at the first one.
pub(super) fn read_own(device: &mut Bounded, directory: &Directory, is_root: bool) -> Result<Entries> {
    const START_BYTES: usize = 7;
    let area = directory.own().system_use();
    let entries = read_area(device, if is_root { &area[START_BYTES..] } else { area })?;
    ensure!(
        entries.child.is_none() && !entries.is_relocated(),
        "a directory is said to be elsewhere by itself"
    );
    Ok(entries)
}

fn read_area(device: &mut Bounded, area: &[u8]) -> Result<Entries> {
    let mut entries = Entries::default();
    let mut next = entries.add(area)?;
    let mut count = 0;
    while let Some(Continuation { sector, start, end }) = next {
        count += 1;
        ensure!(count <= CONTINUATIONS_MAX, "the entries of a file go on too often");
        let sector = device.sector(sector)?;
        next = entries.add(&sector[start..end])?;
    }
    let has_place = entries.name.is_some() || entries.is_relocated();
    ensure!(!entries.denies_name || !has_place, "a file has a name, and an entry that says that it has none");
    Ok(entries)
}

impl Entries {
    /// The name, if there is one that is not empty.
    pub(super) fn name(&self) -> Option<&[u8]> {
        self.name.as_ref().map(|name| &name.bytes[..]).filter(|name| !name.is_empty())
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

    /// Adds the entries of one area. Where it goes on.
    fn add(&mut self, area: &[u8]) -> Result<Option<Continuation>> {
        let mut next = None;
        let mut rest = area;
        while rest.len() > PADDING_BYTES_MAX {
            let len = usize::from(rest[2]);
            if len == 0 {
                // Linux does without a name then, and looks no further.
                let ends = rest.iter().all(|&byte| byte == 0) && self.name.is_none() && next.is_none();
                ensure!(ends, "entries have zeros among them");
                return Ok(None);
            }
            ensure!(len >= 4 && len <= rest.len(), "an entry is longer than its area, or too short");
            let (entry, after) = rest.split_at(len);
            rest = after;
            let (head, data) = entry.split_at(4);
            let signature = [head[0], head[1]];
            let Some(least) = least_bytes(signature) else { continue };
            ensure!(head[3] == 1 && data.len() >= least, "an entry {:?} is malformed", text(signature));
            match &signature {
                b"CE" => {
                    ensure!(next.is_none(), "entries go on in two places");
                    next = Some(continuation(data)?);
                }
                b"ST" => ensure!(rest.len() <= PADDING_BYTES_MAX, "entries go on behind their end"),
                b"SP" => bail!("an entry \"SP\" is not the first one of the volume"),
                _ => self.add_entry(signature, data)?,
            }
        }
        Ok(next)
    }

    fn add_entry(&mut self, signature: [u8; 2], data: &[u8]) -> Result<()> {
        const HAS_NAME: u8 = 8;
        self.found.insert(signature);
        match &signature {
            b"ER" => {
                let id = data.get(4..4 + usize::from(data[0]));
                let Some(id) = id else { bail!("an entry \"ER\" is malformed") };
                self.has_extension |= EXTENSIONS.contains(&id);
            }
            b"RR" => self.denies_name |= data[0] & HAS_NAME == 0,
            b"PX" => self.mode = Some(number(data, 0)),
            b"NM" => self.add_name(data[0], &data[1..])?,
            b"CL" => {
                self.child = Some(number(data, 0).into());
                // That of the directory counts.
                self.mode = None;
            }
            _ => {}
        }
        Ok(())
    }

    fn add_name(&mut self, flags: u8, part: &[u8]) -> Result<()> {
        const CONTINUES: u8 = 1;
        const NAMES_ITSELF_OR_ABOVE: [u8; 2] = [2, 4];
        if NAMES_ITSELF_OR_ABOVE.contains(&flags) {
            return Ok(());
        }
        ensure!(flags & !CONTINUES == 0, "a name has flags that only some readers know");
        let name = self.name.get_or_insert_default();
        ensure!(!name.has_ended, "a file has two names");
        name.has_ended = flags & CONTINUES == 0;
        // Linux leaves out what would make it longer, and all that follows.
        name.is_cut |= name.bytes.len() + part.len() > NAME_BYTES_MAX;
        if !name.is_cut {
            name.bytes.extend(part);
        }
        Ok(())
    }
}

/// Bytes that an entry has behind its first four at least; `None`: nobody needs to know it.
fn least_bytes(signature: [u8; 2]) -> Option<usize> {
    Some(match &signature {
        b"ST" | b"RE" => 0,
        b"RR" | b"NM" | b"TF" => 1,
        b"SP" | b"SL" => 3,
        b"ER" => 4,
        b"CL" | b"PL" => 8,
        b"ZF" => 12,
        b"PN" => 16,
        b"CE" => 24,
        b"PX" => 32,
        _ => return None,
    })
}

fn continuation(data: &[u8]) -> Result<Continuation> {
    let [sector, start, len] = [0, 8, 16].map(|at| u64::from(number(data, at)));
    let is_one_sector = len >= ENTRY_BYTES_MIN && start + len <= SECTOR_BYTES;
    ensure!(sector > 0 && is_one_sector, "entries go on where no sector has them");
    let [start, end] = [start, start + len].map(usize::try_from);
    Ok(Continuation { sector, start: start?, end: end? })
}

/// A number in both byte orders, of which Linux reads the first (ECMA-119, 7.3.3).
fn number(data: &[u8], at: usize) -> u32 {
    data[at..at + 4].iter().rev().fold(0, |number, &byte| number << 8 | u32::from(byte))
}

fn text(signature: [u8; 2]) -> String {
    String::from_utf8_lossy(&signature).into_owned()
}
