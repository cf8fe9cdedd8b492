//! Recognizes what a file or a device holds by its first sectors.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::Path,
    str::FromStr,
};

use serde::Deserialize;

use rustix::fs::FileType;

use super::SECTOR_BYTES;
use crate::{
    error::{Context, Result, ensure},
    os,
};

/// The offset of the first descriptor in bytes (ECMA-119, 6.2.1).
pub(super) const FIRST_DESCRIPTOR: u64 = 16 * SECTOR_BYTES;

/// Bytes in a descriptor (ECMA-119, 8).
const DESCRIPTOR_BYTES: usize = 2048;

/// How many descriptors are read.
const DESCRIPTORS_MAX: usize = 16;

/// Bytes that are read at a time. A small image has nothing behind them that a guest reads, and a drive delivers one piece faster
/// than several.
const READ_BYTES: usize = DESCRIPTORS_MAX * DESCRIPTOR_BYTES;

/// The standard identifier of every descriptor, after its type (ECMA-119, 8.1.2).
const STANDARD_IDENTIFIER: &[u8; 5] = b"CD001";

/// The type of a primary volume descriptor (ECMA-119, 8.4.1).
const PRIMARY: u8 = 1;

/// The type of the last descriptor, the terminator (ECMA-119, 8.3.1).
const TERMINATOR: u8 = 255;

/// The volume identifier in a primary volume descriptor (ECMA-119, 8.4.7).
const VOLUME_IDENTIFIER: std::ops::Range<usize> = 40..72;

/// A file system that an image may hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum FileSystem {
    /// ISO 9660.
    #[default]
    #[serde(rename = "iso9660")]
    Iso9660,
    /// FAT, in any of its sizes.
    #[serde(rename = "vfat", alias = "fat")]
    Fat,
}

impl FileSystem {
    /// Their names on the command line.
    pub const NAMES: [&'static str; 2] = ["iso9660", "vfat"];
}

impl FromStr for FileSystem {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, &'static str> {
        match name {
            "iso9660" => Ok(Self::Iso9660),
            "vfat" | "fat" => Ok(Self::Fat),
            _ => Err("must be iso9660 or vfat"),
        }
    }
}

/// The file system in a file, by its first sectors. `None`: it has neither, or the file is not seekable. The file is at its
/// start afterwards.
///
/// # Errors
/// Fails if the file cannot be read. A file that is too short is not an error.
pub fn file_system(file: &mut (impl Read + Seek)) -> io::Result<Option<FileSystem>> {
    let descriptor = match seek_descriptors(file) {
        // A FIFO.
        Err(error) if error.kind() == io::ErrorKind::NotSeekable => return Ok(None),
        Ok(false) => None,
        sought => sought.and_then(|_| read_descriptor(file))?,
    };
    file.seek(SeekFrom::Start(0))?;
    if descriptor.is_some() {
        return Ok(Some(FileSystem::Iso9660));
    }
    let mut sector = Vec::new();
    file.take(BOOT_SECTOR_BYTES as u64).read_to_end(&mut sector)?;
    file.seek(SeekFrom::Start(0))?;
    Ok(is_fat(&sector).then_some(FileSystem::Fat))
}

/// Bytes of a FAT boot sector that are checked, whatever the sector size.
pub(super) const BOOT_SECTOR_BYTES: usize = 512;

/// Whether a file begins with a FAT boot sector, whatever follows.
pub(super) fn has_fat_boot_sector(file: &File) -> io::Result<bool> {
    let mut sector = [0; BOOT_SECTOR_BYTES];
    match file.read_exact_at(&mut sector, 0) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        read => read.map(|()| is_fat(&sector)),
    }
}

/// Whether a boot sector has a plausible BIOS parameter block and its signature (Microsoft, "FAT: General Overview of
/// On-Disk Format", 1.03).
pub(super) fn is_fat(sector: &[u8]) -> bool {
    const JUMPS: [u8; 2] = [0xeb, 0xe9];
    const BYTES_PER_SECTOR: usize = 11;
    const SECTORS_PER_CLUSTER: usize = 13;
    const RESERVED_SECTORS: usize = 14;
    const FATS: usize = 16;
    const MEDIA: usize = 21;
    const SIGNATURE: usize = 510;

    if sector.len() != BOOT_SECTOR_BYTES {
        return false;
    }
    let number = |at: usize| u16::from_le_bytes([sector[at], sector[at + 1]]);
    JUMPS.contains(&sector[0])
        && matches!(number(BYTES_PER_SECTOR), 512 | 1024 | 2048 | 4096)
        && sector[SECTORS_PER_CLUSTER].is_power_of_two()
        && number(RESERVED_SECTORS) > 0
        && matches!(sector[FATS], 1 | 2)
        && (sector[MEDIA] == 0xf0 || sector[MEDIA] >= 0xf8)
        && sector[SIGNATURE..] == [0x55, 0xaa]
}

/// Whether an image may replace a file: there is no file, or it is an image itself, is empty, or holds only zeros, as a file
/// that was created with a size does. Anything else is likely to be somebody's data.
///
/// # Errors
/// Fails if the file cannot be read.
fn may_be_replaced(file: Option<File>) -> io::Result<bool> {
    let Some(mut file) = file else { return Ok(true) };
    Ok(file_system(&mut file)?.is_some() || is_all_zeros(&mut file)?)
}

/// Checks that an image may replace the existing file, if there is one.
///
/// # Errors
/// Fails with [`ErrorKind::Usage`](crate::error::ErrorKind::Usage) if the file is likely to be somebody's data, and with another
/// kind if it cannot be checked.
pub fn check_replaceable(old: io::Result<Option<File>>) -> Result<()> {
    let may_be = old.and_then(may_be_replaced).context("checking whether the existing file is an image")?;
    ensure!(Usage: may_be, "the existing file is not an image");
    Ok(())
}

/// That a file is empty or holds only zeros, in words.
pub(super) fn emptiness(file: &mut File) -> Option<&'static str> {
    let len = file.seek(SeekFrom::End(0)).ok()?;
    match len {
        0 => Some("the file is empty"),
        _ if is_all_zeros(file).ok()? => Some("the file contains only zeros"),
        _ => None,
    }
}

/// Whether a file holds only zeros. Its holes are not read.
fn is_all_zeros(file: &mut File) -> io::Result<bool> {
    let mut buffer = vec![0; ZEROS_READ_BYTES];
    let mut at = 0;
    loop {
        let Some(data) = os::next_data(file, at)? else { return Ok(true) };
        file.seek(SeekFrom::Start(data))?;
        let read = file.read(&mut buffer)?;
        if read == 0 || buffer[..read].iter().any(|&byte| byte != 0) {
            return Ok(read == 0);
        }
        at = file.stream_position()?;
    }
}

/// How many bytes are compared with zeros at a time.
const ZEROS_READ_BYTES: usize = 64 << 10;

/// Opens a regular file or a block device, and nothing else: opening a FIFO would wait for a writer.
///
/// # Errors
/// Fails if it is neither, or cannot be opened.
pub fn open(path: &Path) -> io::Result<File> {
    const KINDS: [FileType; 2] = [FileType::RegularFile, FileType::BlockDevice];
    open_one_of(&KINDS, path)?.ok_or_else(|| io::Error::other("not a regular file or a block device"))
}

/// Opens a regular file, and nothing else.
///
/// # Errors
/// Fails if it is not a regular file, or cannot be opened.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let file = open_one_of(&[FileType::RegularFile], path)?;
    file.ok_or_else(|| io::Error::other("not a regular file"))
}

/// Opens a file of one of these kinds, without waiting. `None`: it is of another kind, and was not opened.
fn open_one_of(kinds: &[FileType], path: &Path) -> io::Result<Option<File>> {
    os::open_if(path, |found| kinds.contains(&FileType::from_raw_mode(found.st_mode)))
}

/// The volume identifier of the image in a file or on a device, without the blanks around it; bytes that are not UTF-8
/// show as U+FFFD. `None`: not an ISO 9660 image.
///
/// # Errors
/// Fails if the file cannot be read. A file that is too short is not an error.
pub fn volume_identifier(file: &mut (impl Read + Seek)) -> io::Result<Option<String>> {
    if !seek_descriptors(file)? {
        return Ok(None);
    }
    let mut file = BufReader::with_capacity(READ_BYTES, file);
    for _ in 0..DESCRIPTORS_MAX {
        match read_descriptor(&mut file)? {
            None => break,
            Some(descriptor) if descriptor[0] == PRIMARY => {
                let identifier = String::from_utf8_lossy(&descriptor[VOLUME_IDENTIFIER]);
                return Ok(Some(identifier.trim_matches([' ', '\0']).to_owned()));
            }
            Some(descriptor) if descriptor[0] == TERMINATOR => break,
            Some(_) => {}
        }
    }
    Ok(None)
}

/// Moves to the first descriptor. `false`: the device ends before it, as one with a small FAT volume does. Linux rejects a position
/// behind the end of a block device.
fn seek_descriptors(file: &mut impl Seek) -> io::Result<bool> {
    match file.seek(SeekFrom::Start(FIRST_DESCRIPTOR)) {
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => Ok(false),
        sought => sought.map(|_| true),
    }
}

/// Reads the next descriptor, if there is one.
fn read_descriptor(file: &mut impl Read) -> io::Result<Option<[u8; DESCRIPTOR_BYTES]>> {
    let mut descriptor = [0; DESCRIPTOR_BYTES];
    match file.read_exact(&mut descriptor) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        Err(error) => Err(error),
        Ok(()) => Ok((descriptor[1..6] == *STANDARD_IDENTIFIER).then_some(descriptor)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(descriptors: &[(u8, &[u8; 5], &str)]) -> Vec<u8> {
        let mut image = vec![0; usize::try_from(FIRST_DESCRIPTOR).unwrap()];
        for (kind, standard, volume) in descriptors {
            let mut sector = vec![b' '; usize::try_from(SECTOR_BYTES).unwrap()];
            sector[0] = *kind;
            sector[1..6].copy_from_slice(*standard);
            sector[40..40 + volume.len()].copy_from_slice(volume.as_bytes());
            image.extend(sector);
        }
        image
    }

    fn identifier(descriptors: &[(u8, &[u8; 5], &str)]) -> Option<String> {
        volume_identifier(&mut io::Cursor::new(image(descriptors))).unwrap()
    }

    /// A drive whose sectors from `faulty` on cannot be read.
    struct Drive {
        image: io::Cursor<Vec<u8>>,
        faulty: u64,
        reads: usize,
    }

    impl Read for Drive {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.reads += 1;
            match (self.faulty * SECTOR_BYTES).saturating_sub(self.image.position()) {
                0 => Err(io::Error::other("it is scratched")),
                readable => (&mut self.image).take(readable).read(buf),
            }
        }
    }

    impl Seek for Drive {
        fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
            self.image.seek(position)
        }
    }

    #[test]
    fn a_drive_is_read_once_and_where_it_can_be_read() {
        let image = image(&[(0, b"CD001", "boot"), (1, b"CD001", "x"), (255, b"CD001", "")]);
        let read = |faulty| {
            let mut drive = Drive { image: io::Cursor::new(image.clone()), faulty, reads: 0 };
            let volume = volume_identifier(&mut drive).map_err(|error| error.to_string());
            (volume, drive.reads)
        };
        assert_eq!(read(99), (Ok(Some("x".to_owned())), 1));
        assert_eq!(read(18), (Ok(Some("x".to_owned())), 1));
        assert_eq!(read(17).0, Err("it is scratched".to_owned()));
    }

    #[test]
    fn a_read_error_is_reported() {
        let image = image(&[(1, b"CD001", "x"), (255, b"CD001", "")]);
        let look = |faulty, bytes: &[u8]| {
            let mut drive = Drive { image: io::Cursor::new(bytes.to_vec()), faulty, reads: 0 };
            let found = file_system(&mut drive).map_err(|error| error.to_string());
            assert!(found.is_err() || drive.image.position() == 0);
            found
        };
        assert_eq!(look(99, &image), Ok(Some(FileSystem::Iso9660)));
        assert_eq!(look(16, &image), Err("it is scratched".to_owned()));
        assert_eq!(look(0, b"text"), Err("it is scratched".to_owned()));
        assert_eq!(look(99, b"text"), Ok(None));
        assert_eq!(look(99, &vec![0; 40_000]), Ok(None));
    }

    /// A block device, which has no position behind its end.
    struct Device(io::Cursor<Vec<u8>>);

    impl Read for Device {
        fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
            self.0.read(buf)
        }
    }

    impl Seek for Device {
        fn seek(&mut self, position: SeekFrom) -> io::Result<u64> {
            match position {
                SeekFrom::Start(at) if at > self.0.get_ref().len() as u64 => {
                    Err(io::ErrorKind::InvalidInput.into())
                }
                position => self.0.seek(position),
            }
        }
    }

    #[test]
    fn a_fat_volume_on_a_device_smaller_than_the_place_of_descriptors_is_found() {
        let mut small = Device(io::Cursor::new(vec![0; 8192]));
        small.0.get_mut()[..512].copy_from_slice(&boot_sector());
        assert_eq!(volume_identifier(&mut small).unwrap(), None);
        assert_eq!(file_system(&mut small).unwrap(), Some(FileSystem::Fat));
        assert_eq!(small.0.position(), 0);
    }

    #[test]
    fn only_an_image_or_zeros_may_be_replaced() {
        let replaceable = |bytes: &[u8], len: u64| {
            let mut file = crate::output::atomic_file::unnamed_temporary().unwrap();
            io::Write::write_all(&mut file, bytes).unwrap();
            file.set_len(len).unwrap();
            may_be_replaced(Some(file)).unwrap()
        };
        let image = image(&[(1, b"CD001", "x"), (255, b"CD001", "")]);
        assert!(replaceable(&image, image.len() as u64));
        assert!(replaceable(b"", 0));
        assert!(replaceable(&[0; 9000], 9000));
        assert!(replaceable(&[0; 5], 1 << 40), "holes are not read");
        assert!(!replaceable(b"text", 4));
        assert!(!replaceable(b"\0\0\0x", 1 << 30));
        let mut late = vec![0; 3 * ZEROS_READ_BYTES];
        late[3 * ZEROS_READ_BYTES - 1] = 1;
        assert!(!replaceable(&late, late.len() as u64));
    }

    fn boot_sector() -> [u8; 512] {
        let mut sector = [0; 512];
        sector[..3].copy_from_slice(b"\xeb\x3c\x90");
        sector[11..17].copy_from_slice(&[0, 2, 4, 1, 0, 2]);
        sector[21] = 0xf8;
        sector[510..].copy_from_slice(&[0x55, 0xaa]);
        sector
    }

    #[test]
    fn a_fat_boot_sector_is_recognized() {
        let sector = boot_sector();
        assert!(is_fat(&sector));
        assert!(!is_fat(&sector[..511]));
        // A boot loader of a partitioned disk has zeros in place of the parameters, NTFS no FATs.
        for at in [0, 11, 13, 14, 16, 21, 510] {
            let mut other = sector;
            other[at..=at + 1].fill(0);
            assert!(!is_fat(&other), "{at}");
        }
    }

    #[test]
    fn the_identifier_is_that_of_the_primary_descriptor() {
        assert_eq!(identifier(&[(1, b"CD001", "CIDATA"), (2, b"CD001", "other")]).as_deref(), Some("CIDATA"));
        assert_eq!(identifier(&[(0, b"CD001", "boot"), (1, b"CD001", "x")]).as_deref(), Some("x"));
        assert_eq!(identifier(&[(255, b"CD001", ""), (1, b"CD001", "x")]), None);
        assert_eq!(identifier(&[(1, b"CD002", "x")]), None);
        assert_eq!(identifier(&[]), None);
    }
}
