//! ISO 9660 images: the vocabulary that layouts, writer and reader share.
//!
//! An *image* is the bytes, a *volume* what is in them: an identifier, dates, and one or more trees of *records*, each
//! of which names a file and the *extents* that hold its bytes. A *sector* is 2048 bytes, always.
//!
//! Sources: ECMA-119 (ISO 9660), the Joliet specification, IEEE P1281 and P1282 (SUSP and Rock Ridge).

pub mod digests;
pub mod extents;
mod file_stamp;
pub mod iso9660;
mod payload;
pub mod probe;
mod progress;
pub mod source;
mod sparse_copy;
pub mod superblocks;

pub use iso9660::reader::Image;
pub use progress::Progress;
pub use source::Stored;

/// Bytes in a sector, the unit in which a descriptor or a record gives a position (ECMA-119, 6.1.2).
pub const SECTOR_BYTES: u64 = 2048;

/// Bytes of a SHA-256 digest.
pub const DIGEST_BYTES: usize = 32;

/// Bytes at the start of an image that are for others than ISO 9660; here they are zeros (ECMA-119, 6.2.1).
const SYSTEM_AREA_BYTES: usize = 16 * 2048;

/// Characters of a volume identifier that the Joliet descriptor holds: 32 bytes of UCS-2.
pub(crate) const JOLIET_IDENTIFIER_CHARACTERS: usize = 16;

/// Bytes on a disk that must divide an image's size and a large file's offset.
///
/// QEMU on storage with 4096-byte blocks refuses an image of another size, and file systems share blocks of this size.
pub const ALIGNMENT_BYTES: u64 = 4096;

/// Bytes of a file that is worth a hole in front of it, of less than [`LONG_ALIGNMENT_BYTES`]: a sixteenth of it at most.
const LONG_BYTES: u64 = 1 << 20;

/// Bytes on a disk that divide the offset of a long file.
///
/// Linux copies within the kernel by pieces of 64 KiB, the pipe behind `copy_file_range`, and ext4 keeps each in one folio of
/// its page cache where it is aligned. At a multiple of 4096 only, the copy of 1 GiB took 1.57 times the processor time,
/// at one of 32 KiB 1.15 times; larger alignments brought no more (Linux 6.18).
const LONG_ALIGNMENT_BYTES: u64 = 64 << 10;

/// A run of bytes in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Extent {
    /// Bytes from the start of the image to the first one.
    pub offset: u64,
    /// Bytes in the run.
    pub len: u64,
}

/// What a volume's descriptors say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Volume {
    /// The volume identifier of the primary volume descriptor without trailing blanks; bytes that are not UTF-8 show
    /// as U+FFFD.
    pub identifier: String,
    /// When the volume was made, as `YYYY-MM-DDThh:mm:ssZ` in UTC. `None`: not given, or not a date.
    pub created: Option<String>,
    /// When the volume was last changed, likewise.
    pub modified: Option<String>,
    /// The trees that name the volume's files, the best for a Linux guest first.
    pub trees: Vec<Tree>,
    /// The tree that a Linux guest sees, and that this program reads.
    pub read: Tree,
    /// Whether records of the root directory have an odd length, as in the images of `linuxkit metadata create`.
    pub malformed: bool,
    /// Whether the primary and every supplementary descriptor carry valid creation and modification dates. go-diskfs,
    /// and with it LinuxKit's agent, does not see a disk otherwise.
    pub dates_valid: bool,
    /// Bytes that the volume says it takes. A file may be shorter (truncated) or longer.
    pub bytes: u64,
}

/// One of the trees of a volume.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tree {
    /// The names of ISO 9660 itself, in lower case as Linux shows them. Every volume has it.
    Primary,
    /// POSIX names and modes on the primary tree.
    RockRidge,
    /// A tree of its own with UCS-2 names.
    Joliet,
    /// A tree of its own under an Enhanced Volume Descriptor (ISO 9660:1999).
    Enhanced,
}

impl Tree {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Primary => "ISO 9660",
            Self::RockRidge => "Rock Ridge",
            Self::Joliet => "Joliet",
            Self::Enhanced => "ISO 9660:1999",
        }
    }
}

/// A file or directory on a volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The names of the directories above it and its own, from the root, joined by `/`.
    ///
    /// No component is empty, `.`, `..` or holds `/` or NUL; otherwise the bytes are as hostile as the image.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// The permission bits, where Rock Ridge gives them.
    pub mode: Option<u32>,
    /// Bytes of a file's content, 0 for anything else.
    pub len: u64,
    /// Where the content is, in the order of its bytes.
    pub extents: Vec<Extent>,
}

impl Record {
    /// The path for people: bytes that are not UTF-8 show as U+FFFD.
    #[must_use]
    pub fn display_path(&self) -> String {
        String::from_utf8_lossy(&self.path).into_owned()
    }
}

/// What a record names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    SymbolicLink,
    /// A device, a FIFO or a socket, which no metadata needs.
    Other,
}
