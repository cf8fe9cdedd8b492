//! What a guest is told, whatever carries it.

pub mod hostname;
