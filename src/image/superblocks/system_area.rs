//! Magic bytes before the descriptors of ISO 9660.
//!
//! Images of this program have zeros there, and the table of the other places relies on that. Images of others may have anything: boot
//! code and partition tables on purpose, or a second file system, of which blkid then says that it is the only one, or that it cannot
//! decide. Of FAT, only whole boot sectors count, since boot code may begin as they do.
//!
//! Sources: as in the module above.

use std::io;

use super::super::{
    SYSTEM_AREA_BYTES,
    probe::{BOOT_SECTOR_BYTES, is_fat},
};

/// What magic bytes belong to, their offset, and the bytes.
pub(super) type Magic = (&'static str, u64, &'static [u8]);

/// The magic bytes of FAT, whose boot sector must be valid as well.
const FAT: Magic = ("FAT", 510, b"\x55\xaa");

/// The magic bytes of others.
const MARKS: [Magic; 18] = [
    ("ext2, ext3 or ext4", 1080, b"\x53\xef"),
    ("XFS", 0, b"XFSB"),
    ("NTFS", 3, b"NTFS    "),
    ("exFAT", 3, b"EXFAT   "),
    ("SquashFS", 0, b"hsqs"),
    ("SquashFS", 0, b"sqsh"),
    ("EROFS", 1024, b"\xe2\xe1\xf5\xe0"),
    ("F2FS", 1024, b"\x10\x20\xf5\xf2"),
    ("HFS", 1024, b"BD"),
    ("HFS+", 1024, b"H+"),
    ("HFS+", 1024, b"HX"),
    ("LUKS", 0, b"LUKS\xba\xbe"),
    ("LVM", 24, b"LVM2 001"),
    ("LVM", 512 + 24, b"LVM2 001"),
    ("LVM", 1024 + 24, b"LVM2 001"),
    ("swap space", 4096 - 10, b"SWAPSPACE2"),
    ("a Linux RAID", 4096, b"\xfc\x4e\x2b\xa9"),
    ("bcache", 4096 + 24, b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca"),
];

/// The most magic bytes in one place.
const MAGIC_BYTES_MAX: usize = 16;

/// Looks for magic bytes in an image of `bytes` bytes.
pub(super) fn find(
    bytes: u64,
    read: &mut dyn FnMut(u64, &mut [u8]) -> io::Result<()>,
) -> io::Result<Option<Magic>> {
    if bytes < SYSTEM_AREA_BYTES as u64 {
        return Ok(None);
    }
    let mut sector = [0; BOOT_SECTOR_BYTES];
    read(0, &mut sector)?;
    if is_fat(&sector) {
        return Ok(Some(FAT));
    }
    for (name, offset, bytes) in MARKS {
        let mut found = [0; MAGIC_BYTES_MAX];
        let found = &mut found[..bytes.len()];
        read(offset, found)?;
        if found == bytes {
            return Ok(Some((name, offset, bytes)));
        }
    }
    Ok(None)
}
