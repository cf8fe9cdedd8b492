//! Where a guest finds its metadata.

pub mod cdrom;
