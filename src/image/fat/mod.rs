//! FAT12, FAT16 and FAT32 with long names (VFAT), on a whole disk without partitions: the writer, the reader, and the rules for
//! names.
//!
//! A caller that has a label and files writes a volume with
//! [`Draft::new`](writer::Draft::new)`(`[`VolumeSpec`](writer::VolumeSpec)` { label, seconds, files, derived, attributes })` and then
//! one of `write_to_file(&File, &mut dyn Progress)`, `write_in_place`, `write_to_output` and `write_forward(&mut dyn Write, ..)`,
//! the same four as for ISO 9660.
//!
//! Source: Microsoft, "FAT: General Overview of On-Disk Format", version 1.03 (FATGEN103), whose clauses the comments cite.

mod boot_sector;
mod chains;
pub(crate) mod date;
mod directory;
mod entries;
mod format;
pub mod geometry;
pub mod label;
mod label_text;
mod layout;
pub mod names;
pub(super) mod reader;
mod short_names;
mod volume;
pub mod writer;
