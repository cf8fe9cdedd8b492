//! ISO 9660 with Rock Ridge and Joliet: the reader, the writer, and their rules for names.

mod canonical;
pub mod clashes;
mod device;
pub(super) mod extract;
mod folding;
mod layout;
mod layout_cache;
mod namespaces;
pub mod reader;
pub(crate) mod renaming;
mod staging;
pub mod writer;
