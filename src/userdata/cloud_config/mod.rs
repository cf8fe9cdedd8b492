//! Data for cloud-init: its header, and what cloud-config may contain.

#[cfg(feature = "check")]
mod archive;
#[cfg(feature = "check")]
mod config;
#[cfg(feature = "yaml")]
pub mod header;
#[cfg(feature = "check")]
mod multipart;
pub mod multipart_writer;
pub mod part_type;
#[cfg(feature = "check")]
pub mod parts;
#[cfg(feature = "check")]
mod template;
#[cfg(feature = "check")]
mod transfer_encoding;
