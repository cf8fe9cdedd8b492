//! What an agent in a guest looks for, whatever carries it: volume identifiers, file names, and generated meta-data.

pub mod compatibility;
pub mod layout;
pub mod looked_for;
pub mod meta_data;

pub use layout::Layout;
