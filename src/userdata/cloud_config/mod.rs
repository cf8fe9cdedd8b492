//! User data for cloud-init.

pub mod header;
pub(super) mod yaml;
