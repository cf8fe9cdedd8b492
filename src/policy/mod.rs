//! Whether a policy allows a boot: the rules that it has, and the processes that evaluate it.

pub mod decision;
#[cfg(feature = "policy")]
pub mod engine;
mod limits;
pub mod process;
#[cfg(feature = "policy")]
mod rule_heads;
#[cfg(feature = "policy")]
pub mod supervisor;
