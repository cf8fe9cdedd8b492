//! ISO 9660 and FAT images: the vocabulary that layouts, writers and readers share.
//!
//! An *image* is the bytes. A *volume* is what they contain: an identifier, dates, and one or more trees of *records*. A record
//! names a file and the *extents* that hold its bytes. A *sector* of ISO 9660 always has 2048 bytes; FAT has its own.
//!
//! Sources: ECMA-119 (ISO 9660), the Joliet specification, IEEE P1281 and P1282 (SUSP and Rock Ridge), Microsoft's *FAT File
//! System Specification*, and Linux (`fs/isofs`, `fs/fat`).

pub mod digests;
pub mod draft;
pub mod extents;
mod extract;
pub mod fat;
mod file_stamp;
pub mod iso9660;
pub mod limits;
mod payload;
pub mod probe;
mod progress;
mod reader;
pub mod source;
mod sparse_copy;
mod staging;
pub mod superblocks;
pub mod written;

pub use progress::Progress;
pub use reader::Image;
pub use source::StoredFile;

/// Bytes in a sector, the unit in which a descriptor or a record gives a position (ECMA-119, 6.1.2).
pub const SECTOR_BYTES: u64 = 2048;

/// Bytes of a SHA-256 digest.
pub const DIGEST_BYTES: usize = 32;

/// The system area at the start of an image, in bytes. ISO 9660 does not use it; here it is zeros (ECMA-119, 6.2.1).
const SYSTEM_AREA_BYTES: usize = 16 * 2048;

/// How many characters of a volume identifier the Joliet descriptor holds: 32 bytes of UCS-2.
pub(crate) const JOLIET_IDENTIFIER_CHARACTERS: usize = 16;

/// An image's size and the offset of a large file are multiples of this, in bytes.
///
/// QEMU on storage with 4096-byte blocks refuses an image of another size, and file systems share blocks of this size.
pub const ALIGNMENT_BYTES: u64 = 4096;

/// A file of at least this many bytes is aligned to [`LONG_ALIGNMENT_BYTES`]: the gap in front of it is at most a sixteenth of
/// it.
const LONG_BYTES: u64 = 1 << 20;

/// The offset of a long file is a multiple of this, in bytes.
///
/// Linux copies within the kernel in pieces of 64 KiB, the size of the pipe behind `copy_file_range`, and ext4 keeps each in
/// one folio of its page cache if it is aligned. Copying 1 GiB took 1.57 times the processor time at a multiple of 4096, and
/// 1.15 times at one of 32 KiB; larger alignments were not faster (Linux 6.18).
const LONG_ALIGNMENT_BYTES: u64 = 64 << 10;

/// A run of bytes in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Extent {
    /// Bytes from the start of the image to the first one.
    pub offset: u64,
    /// Bytes in the run.
    pub len: u64,
}

/// What the descriptors of a volume say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The volume identifier of the primary volume descriptor without trailing blanks; bytes that are not UTF-8 show
    /// as U+FFFD. The label of a FAT volume: that of its root directory, else that of its boot sector.
    pub identifier: String,
    /// When the volume was created, or a FAT volume got its label, as `YYYY-MM-DDThh:mm:ssZ` in UTC. `None`: the volume has no
    /// valid date.
    pub created: Option<String>,
    /// When the volume was last changed, in the same form.
    pub modified: Option<String>,
    /// The trees that name the volume's files, the best for a Linux guest first.
    pub trees: Vec<Tree>,
    /// The tree that a Linux guest sees, which is the one that this program reads.
    pub read: Tree,
    /// Whether records of the root directory have an odd length, as in the images of `linuxkit metadata create`.
    pub malformed: bool,
    /// Whether the primary and every supplementary descriptor have valid creation and modification dates. Otherwise go-diskfs,
    /// and with it LinuxKit's agent, does not find a disk.
    pub dates_valid: bool,
    /// The size of the volume in bytes, as its descriptor states it. The file may be shorter (truncated) or longer.
    pub bytes: u64,
    /// Bytes in a sector. Linux does not mount a volume whose sectors are smaller than those of its device; those of a CD-ROM
    /// drive have 2048 bytes.
    pub sector_bytes: u64,
    /// The labels of a FAT volume. `None`: the volume is ISO 9660.
    pub fat_labels: Option<FatLabels>,
    /// The file system that blkid takes an ISO 9660 image for, and with it udev, `mount -t auto` and cloud-init. `None`: as far
    /// as is known, they take it for ISO 9660. Only [`Image::list`] looks for it.
    pub hidden_by: Option<&'static str>,
}

/// The two places for the label of a FAT volume, each with the label that blkid finds there. Bytes that are not ASCII are read as
/// code page 437.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FatLabels {
    /// The label in the root directory, `LABEL` of blkid.
    pub root: Option<String>,
    /// The label in the boot sector, `LABEL_FATBOOT` of blkid.
    pub boot: Option<String>,
}

impl FatLabels {
    /// The labels, that of the root directory first.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        [&self.root, &self.boot].into_iter().filter_map(|label| label.as_deref())
    }

    /// The label that is shown: that of the root directory, else that of the boot sector, else an empty string.
    #[must_use]
    pub fn shown(&self) -> &str {
        self.iter().next().unwrap_or_default()
    }
}

impl Volume {
    /// Whether a guest that looks for the file `name`, in ASCII, finds the file with this path. On FAT, Linux ignores the case of
    /// names.
    #[must_use]
    pub fn is_called(&self, path: &[u8], name: &[u8]) -> bool {
        self.read.is_called(path, name)
    }

    /// The record of the file that a guest finds by `name`, in ASCII.
    #[must_use]
    pub fn find<'a>(&self, records: &'a [Record], name: &str) -> Option<&'a Record> {
        records
            .iter()
            .find(|record| record.kind == Kind::File && self.is_called(&record.path, name.as_bytes()))
    }
}

/// One of the trees of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tree {
    /// The names of ISO 9660 itself, in lower case as Linux shows them. Every volume has it.
    Primary,
    /// POSIX names and modes on the primary tree.
    RockRidge,
    /// A separate tree with UCS-2 names.
    Joliet,
    /// A separate tree under an Enhanced Volume Descriptor (ISO 9660:1999).
    Enhanced,
    /// The only tree of a FAT12 volume.
    Fat12,
    /// The only tree of a FAT16 volume.
    Fat16,
    /// The only tree of a FAT32 volume.
    Fat32,
}

impl Tree {
    /// Whether it is that of a FAT volume.
    #[must_use]
    pub fn is_fat(self) -> bool {
        matches!(self, Self::Fat12 | Self::Fat16 | Self::Fat32)
    }

    /// As [`Volume::is_called`], of a volume that is read by this tree.
    #[must_use]
    pub fn is_called(self, path: &[u8], name: &[u8]) -> bool {
        // vfat folds case unless it is mounted with `check=strict` (Linux, fs/fat/namei_vfat.c and dir.c, fat_name_match).
        if self.is_fat() { path.eq_ignore_ascii_case(name) } else { path == name }
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Primary => "ISO 9660",
            Self::RockRidge => "Rock Ridge",
            Self::Joliet => "Joliet",
            Self::Enhanced => "ISO 9660:1999",
            Self::Fat12 => "FAT12",
            Self::Fat16 => "FAT16",
            Self::Fat32 => "FAT32",
        }
    }
}

/// A file or directory on a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its path from the root: the names of the directories above it and its own, joined by `/`.
    ///
    /// No component is empty, `.` or `..`, or contains `/` or NUL. The bytes are not to be trusted otherwise.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// The permission bits, with those above 0777. `None`: the tree is not Rock Ridge, which alone has them.
    pub mode: Option<u32>,
    /// Bytes in a file, 0 for anything else.
    pub len: u64,
    /// Where the content is, in the order of its bytes.
    pub extents: Vec<Extent>,
}

impl Record {
    /// The path for people to read: bytes that are not UTF-8 show as U+FFFD.
    #[must_use]
    pub fn display_path(&self) -> String {
        String::from_utf8_lossy(&self.path).into_owned()
    }
}

/// What a volume says of a file or a directory besides its name and content. `None`: it does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    /// The permission bits, with those above 0777.
    pub mode: Option<u32>,
    /// The numbers of the user and of the group.
    pub owner: Option<(u32, u32)>,
    /// When the content was last changed, in seconds since 1970.
    pub modified: Option<i64>,
}

/// The attributes of files and directories by path; that of the root directory is empty.
pub type AttributesByPath = std::collections::BTreeMap<Vec<u8>, Attributes>;

/// What a record names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    SymbolicLink,
    /// A device, a FIFO or a socket.
    Other,
}
