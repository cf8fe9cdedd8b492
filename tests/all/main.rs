//! Tests of the program from outside, and of what it makes with the programs that users have.
//!
//! Those that need a foreign program, or root, are ignored by `cargo test` and run by `scripts/test`.

#[cfg(feature = "policy")]
mod admission;
mod agent;
mod apply;
mod attach;
mod batch;
mod bounded;
mod check;
mod cloud_init_schema;
mod cloud_localds;
mod completions;
mod create;
mod diff;
mod extract;
mod fat;
mod fat_hostile;
mod fat_of_others;
mod foreign;
mod frozen;
mod fuzz;
mod fuzz_targets;
mod golden;
mod guest;
mod habits;
mod hostile;
mod imds;
mod interruption;
mod library;
mod links;
mod manifest;
mod manuals;
mod memory;
mod mkisofs;
mod mutants;
mod oddities;
#[cfg(feature = "policy")]
mod policy;
mod properties;
mod readers;
mod seeds;
mod set;
mod sharing;
mod show;
mod signature;
mod signers;
mod sshsig;
mod support;
mod terminal;
mod userdata;
mod words;
