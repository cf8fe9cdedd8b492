//! ISO 9660 with Rock Ridge and Joliet: the reader, the writer, and their rules for names.

mod canonical;
pub mod clashes;
mod device;
pub(crate) mod folding;
mod layout;
mod layout_cache;
mod losses;
mod namespaces;
mod places;
pub mod primary_names;
pub mod reader;
mod record_fields;
mod records;
pub(crate) mod renaming;
mod repacking;
mod rock_ridge;
mod roots;
mod same_files;
mod shown;
pub mod volume_format;
mod walk;
pub mod writer;
