//! Signals and limits of the process, which belong to the program and not to the library.

use std::{
    fs::File,
    io::{self, Read},
    sync::Arc,
    thread,
};

use anyhow::{Context, Result};
use rustix::process::{Resource, getrlimit, setrlimit};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ},
    flag,
    iterator::Signals,
    low_level::emulate_default_handler,
};

use metadata_image::output::temporary::{before_first_temporary, remove_temporaries_and};

/// From now on SIGHUP, SIGINT, SIGQUIT and SIGTERM remove temporary files before they end the process, unless it was started
/// with the signal ignored, as `nohup` does. The handlers are installed before the first temporary file is created. A file
/// that grows past the limit of the process is an error, not a signal.
///
/// # Errors
/// Fails if the system refuses a handler.
pub(super) fn clean_up_on_signals() -> Result<()> {
    before_first_temporary(install_handlers);
    flag::register(SIGXFSZ, Arc::default()).context("installing signal handlers")?;
    Ok(())
}

fn install_handlers() -> io::Result<()> {
    let ignored = ignored_signals();
    let signals =
        [SIGHUP, SIGINT, SIGQUIT, SIGTERM].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0);
    let mut signals = Signals::new(signals)?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            remove_temporaries_and(|| drop(emulate_default_handler(signal)));
        }
    })?;
    Ok(())
}

/// The signals that the process ignores, signal 1 in the lowest bit; none where the system does not say (proc(5)).
fn ignored_signals() -> u64 {
    // With room for all of it, it is read at once.
    let mut status = String::with_capacity(8 << 10);
    let read = File::open("/proc/self/status").and_then(|mut file| file.read_to_string(&mut status));
    drop(read);
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

/// Raises the limit of open files to `wanted`, or as far as the system allows.
pub(super) fn raise_open_files(wanted: u64) {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    if limit.current.is_some_and(|current| current < wanted) {
        limit.current = Some(wanted);
        // The program works with fewer, in smaller groups.
        let _ = setrlimit(Resource::Nofile, limit);
    }
}
