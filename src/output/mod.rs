//! What is written outside of an image: files that appear whole or not at all, and trees that stay beneath their
//! directory.

pub mod lock;
pub mod many;
mod nameless;
pub mod replace;
pub mod tree;
