//! What a guest is told, whatever carries it.

pub mod binary;
pub mod config_tree;
pub mod finding;
pub mod hostname;
mod json;
pub mod meta_data;
pub mod nocloud;
pub mod pack;
pub mod parse;
pub mod plan;
pub mod unpack;
mod yaml;
