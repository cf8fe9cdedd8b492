//! What a guest is told, whatever carries it.

pub mod authorized_keys;
pub mod binary;
pub mod cloud_config;
pub mod config_tree;
pub mod finding;
pub mod hostname;
pub mod install_plan;
pub mod meta_data;
pub mod pack;
pub mod unpack;
