//! The fuzz targets, which are those that `cargo test` of the program replays inputs through.

#[allow(dead_code, reason = "the tests of the program use more of it")]
#[path = "../../tests/all/fuzz_targets/mod.rs"]
mod fuzz_targets;

use std::{env, fs, path::PathBuf, process};

use fuzz_targets::{TARGETS, Target};

/// The variable that names a directory for seeds.
const SEEDS: &str = "METADATA_FUZZ_SEEDS";

/// Runs the target `name` on an input.
///
/// # Panics
/// There is a fault, or no such target.
pub fn run(name: &str, input: &[u8]) {
    (target(name).run)(input);
}

/// Writes the seeds of the target `name` to the directory that the variable `METADATA_FUZZ_SEEDS` names, and ends the process.
/// Does nothing without it.
///
/// # Panics
/// They cannot be written, or there is no such target.
pub fn write_seeds(name: &str) {
    let Some(directory) = env::var_os(SEEDS) else { return };
    for (number, seed) in (target(name).seeds)().iter().enumerate() {
        let path = PathBuf::from(&directory).join(format!("seed-{number:03}"));
        fs::write(&path, seed).unwrap_or_else(|error| panic!("writing {}: {error}", path.display()));
    }
    process::exit(0);
}

fn target(name: &str) -> Target {
    TARGETS.into_iter().find(|target| target.name == name).expect("a target of that name")
}
