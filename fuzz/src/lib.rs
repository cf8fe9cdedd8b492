//! The fuzz targets, which are those that `cargo test` of the program replays inputs through.

#[allow(dead_code, reason = "the tests of the program use more of it")]
#[path = "../../tests/all/fuzz_targets/mod.rs"]
mod fuzz_targets;

use std::{
    env,
    fs::{self, File},
    os::unix::fs::FileExt,
    path::PathBuf,
    process,
    sync::OnceLock,
};

use fuzz_targets::{TARGETS, Target};

/// The variable that names a directory for seeds.
const SEEDS: &str = "METADATA_FUZZ_SEEDS";

/// The variable that names a file for the input that is being run.
const LAST: &str = "METADATA_FUZZ_LAST";

/// Runs the target `name` on an input. The file that the variable `METADATA_FUZZ_LAST` names, if it does, holds that input
/// meanwhile: libFuzzer keeps no input on which the stack overflows.
///
/// # Panics
/// There is a fault, or no such target.
pub fn run(name: &str, input: &[u8]) {
    static FILE: OnceLock<Option<File>> = OnceLock::new();
    let file =
        FILE.get_or_init(|| env::var_os(LAST).map(|path| File::create(path).expect("a file to write to")));
    if let Some(file) = file {
        file.write_all_at(input, 0)
            .and_then(|()| file.set_len(input.len() as u64))
            .expect("room for an input");
    }
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
