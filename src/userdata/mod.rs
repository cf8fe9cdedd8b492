//! User data, meta-data and network configurations, whatever carries them to the guest.

pub mod authorized_keys;
#[cfg(feature = "yaml")]
pub mod binary;
#[cfg(feature = "yaml")]
pub mod cloud_config;
#[cfg(feature = "yaml")]
pub mod config_tree;
#[cfg(feature = "yaml")]
pub mod finding;
pub mod hostname;
#[cfg(feature = "yaml")]
pub mod install_plan;
#[cfg(feature = "yaml")]
mod line_ends;
#[cfg(feature = "yaml")]
pub mod meta_data;
#[cfg(feature = "check")]
pub mod network_config;
#[cfg(feature = "yaml")]
pub mod pack;
#[cfg(feature = "check")]
pub mod schema;
#[cfg(feature = "yaml")]
pub mod unpack;
#[cfg(feature = "yaml")]
mod yaml;
