//! What a volume is like, apart from the contents of its files: its trees, what its descriptors say, and what it says about each
//! file. The default is the volume that `metadata create` builds.

use super::primary_names::PrimaryNames;
use crate::image::AttributesByPath;

/// The program that made the image, in its descriptors. Without a version, so that images do not change with each one.
pub const APPLICATION: &str = "METADATA-IMAGE";

/// What a volume is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VolumeFormat {
    /// Whether the primary tree has the names, modes and owners of Rock Ridge.
    pub rock_ridge: bool,
    /// Whether there is a Joliet tree.
    pub joliet: bool,
    /// The rules for the names of the primary tree. `None`: those of level 3, as hadris makes them, and Rock Ridge.
    pub primary_names: Option<PrimaryNames>,
    /// What the descriptors say, besides the volume identifier.
    pub identifiers: Identifiers,
    /// The size of the image is a multiple of this many bytes, which are a multiple of
    /// [`ALIGNMENT_BYTES`](crate::image::ALIGNMENT_BYTES).
    pub size_unit: u64,
    /// Paths that are not those of files with contents.
    pub others: Vec<(Vec<u8>, OtherNode)>,
    /// Modes, owners and times of files and directories. What is not here, or `None`, is as usual: it belongs to root and has
    /// the date of the volume, with the modes that only root needs. So is a date before 1900 or after 2155.
    pub attributes: AttributesByPath,
}

impl Default for VolumeFormat {
    fn default() -> Self {
        Self {
            rock_ridge: true,
            joliet: true,
            primary_names: None,
            identifiers: Identifiers::default(),
            size_unit: crate::image::ALIGNMENT_BYTES,
            others: Vec::new(),
            attributes: AttributesByPath::new(),
        }
    }
}

/// The identifiers in the descriptors of a volume, in bytes at most what ECMA-119, 8.4, has room for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identifiers {
    /// The system that can use the system area, 32 bytes.
    pub system: String,
    /// The set of volumes, 128 bytes.
    pub volume_set: String,
    /// The publisher, 128 bytes.
    pub publisher: String,
    /// Who prepared the data, 128 bytes.
    pub preparer: String,
    /// The application that wrote the volume, 128 bytes.
    pub application: String,
    /// The file with the copyright, 37 bytes.
    pub copyright_file: String,
    /// The file with an abstract, 37 bytes.
    pub abstract_file: String,
    /// The file with a bibliography, 37 bytes.
    pub bibliographic_file: String,
}

impl Default for Identifiers {
    fn default() -> Self {
        Self {
            system: String::new(),
            volume_set: String::new(),
            publisher: String::new(),
            preparer: String::new(),
            application: APPLICATION.to_owned(),
            copyright_file: String::new(),
            abstract_file: String::new(),
            bibliographic_file: String::new(),
        }
    }
}

/// A path that is not that of a file with contents of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OtherNode {
    /// A directory. Directories of files need not be named.
    Directory,
    /// A symbolic link with this target. Only Rock Ridge has them.
    SymbolicLink(Vec<u8>),
    /// Another name of the file or special file with this path.
    HardLink(Vec<u8>),
    /// A character device with its major and minor number.
    CharacterDevice(u32, u32),
    /// A block device with its major and minor number.
    BlockDevice(u32, u32),
    /// A FIFO. Only Rock Ridge has them, where [`VolumeFormat::primary_names`] are given.
    Fifo,
    /// A socket. Only Rock Ridge has them, where [`VolumeFormat::primary_names`] are given.
    Socket,
}
