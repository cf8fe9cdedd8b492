//! What is written outside of an image: files that appear whole or not at all, and trees that stay beneath their
//! directory.

mod handle;
mod leftover;
pub mod lock;
pub mod many;
mod nameless;
pub mod names;
pub mod replace;
mod resolve;
pub mod temporary;
pub mod tree;
mod unfinished;
