//! User data for cloud-init.

#[cfg(feature = "yaml")]
pub mod header;
pub mod multipart_writer;
pub mod part_type;
#[cfg(feature = "yaml")]
pub(super) mod yaml;
