//! Data sources: the volume identifiers and file names that agents in guests look for, and generated meta-data.

pub mod compatibility;
pub mod layout;
pub mod looked_for;
pub mod meta_data;

pub use layout::Layout;
