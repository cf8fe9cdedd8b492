//! Writing files: each appears whole or not at all, and trees stay beneath their directory.

pub mod atomic_file;
pub mod confined_dir;
mod durability;
mod file_lock;
pub mod group_commit;
mod handle;
pub mod in_place;
mod leftover;
mod listing;
pub mod names;
mod resolve;
pub mod scratch;
pub mod temporary;
mod unfinished;
