//! What is written outside of an image: files that appear whole or not at all, and trees that stay beneath their
//! directory.

pub mod atomic_file;
pub mod confined_dir;
pub mod file_lock;
pub mod group_commit;
mod handle;
mod leftover;
pub mod names;
mod resolve;
pub mod temporary;
mod unfinished;
mod unnamed_file;
