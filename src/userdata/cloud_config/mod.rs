//! Data for cloud-init: its header, and what cloud-config may contain.

#[cfg(feature = "check")]
mod archive;
#[cfg(feature = "check")]
mod config;
pub mod header;
#[cfg(feature = "check")]
mod template;
