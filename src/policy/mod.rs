//! What a policy says of a boot: the rules it is asked for, and the process that evaluates it.

pub mod decision;
mod descendants;
#[cfg(feature = "policy")]
pub mod engine;
#[cfg(feature = "policy")]
mod rule_heads;
#[cfg(feature = "policy")]
pub mod supervisor;
