//! What a guest is told, whatever carries it.

pub mod config_tree;
pub mod finding;
pub mod hostname;
