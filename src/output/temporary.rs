//! Files that have a name of their own until they get the one that they are for, and signals, which remove them.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read},
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use rustix::{
    fs::{AtFlags, RenameFlags, renameat, renameat_with, unlinkat},
    io::Errno,
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ},
    flag,
    iterator::Signals,
    low_level::emulate_default_handler,
};

use super::leftover;

/// Where a temporary is. The handle leads there whatever becomes of the directory's path.
#[derive(Clone, Debug)]
struct Location {
    directory: Arc<OwnedFd>,
    name: OsString,
}

impl Location {
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.directory, &other.directory) && self.name == other.name
    }

    fn remove(&self) {
        // Nobody is left to tell if that fails.
        let _ = unlinkat(&self.directory, &self.name, AtFlags::empty());
    }
}

/// Temporaries that a signal must remove. Held while one is created or renamed, so that none is missed.
static TEMPORARIES: Mutex<Vec<Location>> = Mutex::new(Vec::new());

fn temporaries() -> MutexGuard<'static, Vec<Location>> {
    TEMPORARIES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether signals shall remove temporaries.
static CLEAN_UP: AtomicBool = AtomicBool::new(false);

/// Whether the one file that the process was to make has its name, so that a signal is no longer heard.
static DONE: AtomicBool = AtomicBool::new(false);

/// From now on SIGHUP, SIGINT, SIGQUIT and SIGTERM remove the temporaries before they end the process, unless it was started
/// with the signal ignored, as `nohup` does. Their handlers are set when there is a first temporary. A file that grows
/// past the limit of the process is an error, no signal.
///
/// # Errors
/// The system refuses a handler.
pub fn clean_up_on_signals() -> io::Result<()> {
    CLEAN_UP.store(true, Ordering::Relaxed);
    flag::register(SIGXFSZ, Arc::default())?;
    Ok(())
}

fn handle_signals() -> io::Result<()> {
    static STARTED: OnceLock<()> = OnceLock::new();
    if !CLEAN_UP.load(Ordering::Relaxed) || STARTED.set(()).is_err() {
        return Ok(());
    }
    let ignored = ignored_signals();
    let signals =
        [SIGHUP, SIGINT, SIGQUIT, SIGTERM].into_iter().filter(|signal| ignored >> (signal - 1) & 1 == 0);
    let mut signals = Signals::new(signals)?;
    thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            // Never released: nothing is created or renamed from here on.
            let temporaries = temporaries();
            if DONE.load(Ordering::Relaxed) {
                continue;
            }
            temporaries.iter().for_each(Location::remove);
            drop(emulate_default_handler(signal));
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

/// Does `work`, during which a signal waits.
pub(super) fn uninterrupted<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    handle_signals()?;
    let temporaries = temporaries();
    let done = work();
    drop(temporaries);
    done
}

/// The same for the last thing that the process was to do. When it is done, a signal comes too late to matter: nobody shall
/// be told that it was interrupted.
pub(super) fn uninterrupted_at_last(work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    uninterrupted(|| {
        let done = work();
        DONE.store(done.is_ok(), Ordering::Relaxed);
        done
    })
}

/// A name that a signal, and who drops it, removes.
#[derive(Debug)]
pub(super) struct Temporary {
    location: Location,
    /// Whether it still has that name.
    is_there: bool,
}

impl Temporary {
    /// Creates a file that is to be called `target`, with these permission bits less those of the umask.
    pub(super) fn create(directory: &Arc<OwnedFd>, target: &OsStr, mode: u32) -> io::Result<(File, Self)> {
        handle_signals()?;
        let mut temporaries = temporaries();
        let (file, name) = leftover::create(directory, target, mode)?;
        let location = Location { directory: Arc::clone(directory), name };
        temporaries.push(location.clone());
        Ok((file, Self { location, is_there: true }))
    }

    /// Renames it to what nothing is called.
    ///
    /// # Errors
    /// Something has that name, or the file system cannot tell, which is the same error; or the system refuses.
    pub(super) fn rename(&mut self, target: &OsStr) -> io::Result<()> {
        let Location { directory, name } = &self.location;
        uninterrupted(|| {
            renameat_with(directory, name, directory, target, RenameFlags::NOREPLACE).map_err(|error| {
                match error {
                    Errno::INVAL | Errno::NOSYS | Errno::NOTSUP => Errno::EXIST.into(),
                    error => io::Error::from(error),
                }
            })?;
            self.is_there = false;
            Ok(())
        })
    }

    /// Renames it in place of what is called so. The caller sees to it that no signal comes between.
    pub(super) fn rename_instead(&mut self, target: &OsStr) -> io::Result<()> {
        let Location { directory, name } = &self.location;
        renameat(directory, name, directory, target)?;
        self.is_there = false;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let mut temporaries = temporaries();
        if self.is_there {
            self.location.remove();
        }
        temporaries.retain(|location| !location.is(&self.location));
    }
}

/// How many temporaries in a directory a signal would remove.
#[cfg(test)]
pub(super) fn count_in(directory: &std::path::Path) -> usize {
    let directory = rustix::fs::stat(directory).unwrap();
    let is_there = |location: &&Location| {
        rustix::fs::fstat(&location.directory).is_ok_and(|found| leftover::is_same(&found, &directory))
    };
    temporaries().iter().filter(is_there).count()
}
