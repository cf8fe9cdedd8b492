//! What differs between systems: one file a system, all with the same functions, so that no other room asks which system it runs on.
//!
//! This library runs on Linux only so far.

#[cfg(target_os = "linux")]
mod linux;

#[cfg(feature = "agent")]
pub(crate) use linux::set_host_name;
pub(crate) use linux::{
    create_unnamed, effective_user, name_unnamed, next_data, next_hole, sync_file_system,
};
#[cfg(feature = "policy")]
pub(crate) use linux::{limit_evaluation, with_hard_limits};
