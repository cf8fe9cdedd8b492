//! Data for cloud-init: its header, and the YAML of cloud-config.

pub mod header;
mod multipart;
pub mod parts;
mod transfer_encoding;
