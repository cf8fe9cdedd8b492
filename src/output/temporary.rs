//! Named temporary files, and the list of those that exist, so that a program can remove them before a signal ends it. Files that
//! are written in place are in the list as well, and are emptied.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use rustix::{
    fs::{AtFlags, renameat, unlinkat},
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

use super::leftover;
use crate::os;

/// Where a temporary file is. The handle leads there even if the directory is moved.
#[derive(Clone, Debug)]
pub(super) struct Location {
    directory: Arc<OwnedFd>,
    name: OsString,
    /// How it is removed: as a file or as a directory.
    flags: AtFlags,
}

impl Location {
    /// That of a file.
    pub(super) fn of_file(directory: &Arc<OwnedFd>, name: OsString) -> Self {
        Self { directory: Arc::clone(directory), name, flags: AtFlags::empty() }
    }

    /// That of a directory, which is removed if it is empty.
    pub(super) fn of_directory(directory: &Arc<OwnedFd>, name: OsString) -> Self {
        Self { flags: AtFlags::REMOVEDIR, ..Self::of_file(directory, name) }
    }

    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.directory, &other.directory) && self.name == other.name
    }

    fn remove(&self) {
        // An error here could not be reported to anybody.
        let _ = unlinkat(&self.directory, &self.name, self.flags);
    }
}

/// What a signal must not leave.
struct Leftovers {
    temporaries: Vec<Location>,
    in_place: Vec<InPlaceFile>,
}

/// All temporary files of the process. Locked while one is created or renamed, so that the list is never incomplete.
static LEFTOVERS: Mutex<Leftovers> = Mutex::new(Leftovers { temporaries: Vec::new(), in_place: Vec::new() });

fn leftovers() -> MutexGuard<'static, Leftovers> {
    LEFTOVERS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What to call before the first temporary file is created.
static PREPARE: OnceLock<fn() -> io::Result<()>> = OnceLock::new();

/// Whether the last file that the process was to write is complete.
static FINISHED: AtomicBool = AtomicBool::new(false);

/// Has `prepare` called once, before the first temporary file gets a name. A program installs its signal handlers there:
/// most runs create no such file, and need none.
///
/// Only the first call of this function has an effect.
pub fn before_first_temporary(prepare: fn() -> io::Result<()>) {
    // Whoever called it first has prepared.
    let _ = PREPARE.set(prepare);
}

/// Removes all temporary files of the process, empties the files that it writes in place, then calls `end`, which is to end the
/// process.
///
/// Meanwhile no file is created, renamed or replaced. If the last file that the process was to write is complete, this does
/// nothing: the process is about to succeed, and should not report that it was interrupted.
///
/// It takes locks, so a signal handler must not call it; a thread that waits for signals may.
pub fn remove_temporaries_and(end: impl FnOnce()) {
    let leftovers = leftovers();
    if !FINISHED.load(Ordering::Relaxed) {
        // What is in a directory was listed after it.
        leftovers.temporaries.iter().rev().for_each(Location::remove);
        if !leftovers.in_place.is_empty() {
            stop_writing();
        }
        leftovers.in_place.iter().for_each(InPlaceFile::remove);
        end();
    }
    drop(leftovers);
}

/// Lets no file of the process grow any more, so that none that is emptied gets more bytes from another thread.
fn stop_writing() {
    let maximum = getrlimit(Resource::Fsize).maximum;
    // Where the system refuses, a piece that is being written may follow.
    let _ = setrlimit(Resource::Fsize, Rlimit { current: Some(0), maximum });
}

fn prepare() -> io::Result<()> {
    static PREPARED: OnceLock<()> = OnceLock::new();
    match PREPARE.get() {
        Some(prepare) if PREPARED.set(()).is_ok() => prepare(),
        _ => Ok(()),
    }
}

/// Does `work`, during which [`remove_temporaries_and`] waits.
pub(super) fn uninterrupted<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    prepare()?;
    let leftovers = leftovers();
    let done = work();
    drop(leftovers);
    done
}

/// As [`uninterrupted`], for the last file that the process writes.
pub(crate) fn uninterrupted_at_last(work: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    uninterrupted(|| {
        let done = work();
        FINISHED.store(done.is_ok(), Ordering::Relaxed);
        done
    })
}

/// The name of a temporary file. The file is removed when this is dropped, unless it was renamed.
#[derive(Debug)]
pub(super) struct Temporary {
    location: Location,
    /// Whether the file still has this name.
    exists: bool,
}

impl Temporary {
    /// Creates a file that is to be called `target`, with these permission bits less those of the umask.
    pub(super) fn create(directory: &Arc<OwnedFd>, target: &OsStr, mode: u32) -> io::Result<(File, Self)> {
        prepare()?;
        let mut leftovers = leftovers();
        let (file, name) = leftover::create(directory, target, mode)?;
        let location = Location::of_file(directory, name);
        leftovers.temporaries.push(location.clone());
        Ok((file, Self { location, exists: true }))
    }

    /// Renames it to `target`, if nothing has that name.
    ///
    /// # Errors
    /// `AlreadyExists`: something has that name, or the file system cannot tell. Otherwise the system refuses.
    pub(super) fn rename(&mut self, target: &OsStr) -> io::Result<()> {
        let Location { directory, name, .. } = &self.location;
        uninterrupted(|| {
            os::rename_to_free(directory, name, target)?;
            self.exists = false;
            Ok(())
        })
    }

    /// Renames it to `target`, and replaces the file of that name. The caller must be within [`uninterrupted`].
    pub(super) fn rename_over(&mut self, target: &OsStr) -> io::Result<()> {
        let Location { directory, name, .. } = &self.location;
        renameat(directory, name, directory, target)?;
        self.exists = false;
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let mut leftovers = leftovers();
        if self.exists {
            self.location.remove();
        }
        leftovers.temporaries.retain(|location| !location.is(&self.location));
    }
}

/// A file that is written in place.
#[derive(Clone, Debug)]
struct InPlaceFile {
    file: Arc<File>,
    /// Where it is, if it is new.
    new: Option<Location>,
}

impl InPlaceFile {
    fn remove(&self) {
        // An error here could not be reported to anybody.
        drop(self.file.set_len(0));
        self.new.iter().for_each(Location::remove);
    }
}

/// While this value lives, the file is in the list of those that are written in place.
#[derive(Debug)]
pub(super) struct ListedInPlace(Arc<File>);

impl ListedInPlace {
    /// `new`: its directory and its name, if it is a new file.
    ///
    /// # Errors
    /// Fails if the handlers of signals cannot be installed.
    pub(super) fn new(file: &Arc<File>, new: Option<(&Arc<OwnedFd>, &OsStr)>) -> io::Result<Self> {
        prepare()?;
        let location = |(directory, name): (&_, &OsStr)| Location::of_file(directory, name.into());
        let listed = InPlaceFile { file: Arc::clone(file), new: new.map(location) };
        leftovers().in_place.push(listed);
        Ok(Self(Arc::clone(file)))
    }
}

impl Drop for ListedInPlace {
    fn drop(&mut self) {
        leftovers().in_place.retain(|listed| !Arc::ptr_eq(&listed.file, &self.0));
    }
}

/// Places in the list, until this is dropped. That removes nothing.
#[derive(Debug)]
pub(super) struct Listed(Vec<Location>);

impl Listed {
    /// Creates something, and lists where it is.
    ///
    /// # Errors
    /// Fails as `create` does, or if signal handlers cannot be installed.
    pub(super) fn create<T>(
        create: impl FnOnce() -> io::Result<(T, Vec<Location>)>,
    ) -> io::Result<(T, Self)> {
        prepare()?;
        let mut leftovers = leftovers();
        let (created, locations) = create()?;
        leftovers.temporaries.extend_from_slice(&locations);
        Ok((created, Self(locations)))
    }
}

impl Drop for Listed {
    fn drop(&mut self) {
        leftovers().temporaries.retain(|location| !self.0.iter().any(|own| own.is(location)));
    }
}

/// How many temporary files of a directory are in the list.
#[cfg(test)]
pub(super) fn count_in(directory: &std::path::Path) -> usize {
    let directory = rustix::fs::stat(directory).unwrap();
    let is_there = |location: &&Location| {
        rustix::fs::fstat(&location.directory).is_ok_and(|found| os::is_same_file(&found, &directory))
    };
    leftovers().temporaries.iter().filter(is_there).count()
}
