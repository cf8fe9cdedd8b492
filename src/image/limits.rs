//! What is read of an image at most.

/// The most records of one volume.
pub const RECORDS_MAX: usize = 1 << 14;

/// The most bytes of all paths together.
pub const PATHS_BYTES_MAX: usize = 1 << 20;

/// The most levels of directories. ISO 9660 allows 8, Rock Ridge any number.
pub const DEPTH_MAX: usize = 64;

/// The most extents of all files of a FAT volume together, more than any FAT16 volume can have.
pub const EXTENTS_MAX: usize = 1 << 16;

/// Whether a file of this path is of interest.
pub type Wanted<'a> = dyn Fn(&[u8]) -> bool + 'a;
