//! Replaces a file: written where nobody sees it, with its final mode from the start, and named at the end.
//!
//! Whatever happens on the way, the old file is whole, and no temporary stays. The new file has no name until it is
//! complete, so that not even SIGKILL leaves anything. Only on a file system that knows no files without a name is it a
//! temporary beside its target; signals remove it once [`clean_up_on_signals`] has been called, all but SIGKILL.

use std::{
    fs::{self, File, Metadata, Permissions},
    io::{self, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use anyhow::{Context, Result, bail};
use rustix::fs::{Mode, OFlags};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGXFSZ},
    flag,
    iterator::Signals,
    low_level::emulate_default_handler,
};
use tempfile::{Builder, NamedTempFile};

use super::nameless::{self, TEMPORARY_PREFIX};

/// How many symbolic links are followed to a target, as many as Linux follows.
const LINKS_MAX: usize = 40;

/// Temporaries that a signal must remove. Held while one is created or renamed, so that none is missed.
static TEMPORARIES: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

pub(super) fn temporaries() -> MutexGuard<'static, Vec<PathBuf>> {
    TEMPORARIES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether signals shall remove temporaries.
static CLEAN_UP: AtomicBool = AtomicBool::new(false);

/// Whether the one file that the process was to make has been replaced, so that a signal is no longer heard.
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

pub(super) fn handle_signals() -> io::Result<()> {
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
            let paths = temporaries();
            if DONE.load(Ordering::Relaxed) {
                continue;
            }
            for path in paths.iter() {
                drop(fs::remove_file(path));
            }
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

/// A path that a file shall get, checked: not a directory or device, in a directory that exists.
#[derive(Debug)]
pub struct Target {
    path: PathBuf,
    old: Option<Metadata>,
}

impl Target {
    /// Follows symbolic links from `path` to where the file is, or would be.
    ///
    /// # Errors
    /// It is something else than a regular file, or its directory does not exist.
    pub fn resolve(path: &Path) -> Result<Self> {
        if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            bail!("it is the name of a directory");
        }
        let mut path = path.to_path_buf();
        for _ in 0..LINKS_MAX {
            let metadata = match fs::symlink_metadata(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let directory = directory_of(&path);
                    if path.file_name().is_none()
                        || !fs::metadata(directory).is_ok_and(|found| found.is_dir())
                    {
                        bail!("there is no directory {directory:?}");
                    }
                    return Ok(Self { path, old: None });
                }
                found => found?,
            };
            let kind = metadata.file_type();
            if kind.is_symlink() {
                // What a link in /dev or /proc leads to may have no path.
                if let Ok(found) = fs::metadata(&path) {
                    check_regular(&found)?;
                }
                path = directory_of(&path).join(fs::read_link(&path)?);
            } else {
                check_regular(&metadata)?;
                return Ok(Self { path, old: Some(metadata) });
            }
        }
        bail!("too many levels of symbolic links")
    }

    /// Whether `path` leads to the file that is there now.
    #[must_use]
    pub fn is_same_file(&self, path: &Path) -> bool {
        let identity = |metadata: &Metadata| (metadata.dev(), metadata.ino());
        match (&self.old, fs::metadata(path)) {
            (Some(old), Ok(found)) => identity(old) == identity(&found),
            _ => false,
        }
    }

    /// The permission bits of the file that is there now.
    #[must_use]
    pub fn mode(&self) -> Option<u32> {
        self.old.as_ref().map(|old| old.mode() & 0o777)
    }

    /// Creates the file that will take the path, with the permission bits `mode` whatever the umask.
    ///
    /// # Errors
    /// It cannot be created.
    pub fn create(self, mode: u32) -> Result<Replacement> {
        let directory = directory_of(&self.path);
        let context = || format!("creating a file in {directory:?}");
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = rustix::fs::open(directory, flags, Mode::empty()).with_context(context)?;
        let temporary = match nameless::create(&handle, mode) {
            Some(file) => Temporary::Nameless(file),
            None => create_named(directory, mode).map(Temporary::Named).with_context(context)?,
        };
        let replaces = self.old.is_some();
        let replacement =
            Replacement { target: self.path, replaces, directory: handle, temporary: Some(temporary) };
        // The umask may have taken bits away.
        if replacement.file().metadata()?.mode() & 0o7777 != mode {
            replacement.file().set_permissions(Permissions::from_mode(mode))?;
        }
        Ok(replacement)
    }
}

fn create_named(directory: &Path, mode: u32) -> Result<NamedTempFile> {
    handle_signals()?;
    let mut temporaries = temporaries();
    let file = Builder::new()
        .prefix(TEMPORARY_PREFIX)
        .permissions(Permissions::from_mode(mode))
        .tempfile_in(directory)
        // tempfile adds the path, which says nothing to the user.
        .map_err(|error| io::Error::from(error.kind()))?;
    temporaries.push(file.path().to_path_buf());
    Ok(file)
}

/// A file that is being written and will take its target's path.
#[derive(Debug)]
pub struct Replacement {
    target: PathBuf,
    /// Whether there was a file when this one was begun.
    replaces: bool,
    /// The directory of the target, to name things in only.
    directory: OwnedFd,
    /// There until it has its name.
    temporary: Option<Temporary>,
}

#[derive(Debug)]
enum Temporary {
    Nameless(File),
    Named(NamedTempFile),
}

impl Replacement {
    /// The file to write to.
    ///
    /// # Panics
    /// Never: it is there until [`Replacement::commit`], which takes the replacement away.
    #[must_use]
    pub fn file(&self) -> &File {
        match self.temporary.as_ref().expect("a replacement has its file until it is committed") {
            Temporary::Nameless(file) => file,
            Temporary::Named(file) => file.as_file(),
        }
    }

    /// Gives the file its name.
    ///
    /// Where that replaces a file, the new one's data is on the disk before the old one goes. Where there is none,
    /// nothing waits for a disk, unless `sync` asks that file and name be on it.
    ///
    /// # Errors
    /// The file cannot be written back or named; the target is as it was.
    pub fn commit(mut self, sync: bool) -> Result<()> {
        let mut synced = false;
        if sync || self.replaces {
            self.file().sync_data().context("writing to disk")?;
            synced = true;
        }
        let named = match self.temporary.take() {
            Some(Temporary::Nameless(file)) => name(&file, &self.directory, &self.target, synced),
            Some(Temporary::Named(file)) => rename(file, &self.target, synced),
            None => Ok(()),
        };
        named.with_context(|| format!("naming it {:?}", self.target))?;
        if sync {
            let directory = File::open(directory_of(&self.target));
            directory.and_then(|directory| directory.sync_all()).context("writing to disk")?;
        }
        Ok(())
    }
}

/// Gives `file`, which has no name, that of `target`, which is in `directory`.
fn name(file: &File, directory: &OwnedFd, target: &Path, synced: bool) -> io::Result<()> {
    let target = Path::new(target.file_name().unwrap_or_default());
    match nameless::name(file, directory, target) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        linked => return linked,
    }
    // There is one, perhaps since a moment only.
    if !synced {
        file.sync_data()?;
    }
    finish(|| nameless::name_instead(file, directory, target))
}

fn rename(file: NamedTempFile, target: &Path, synced: bool) -> io::Result<()> {
    if !synced {
        file.as_file().sync_data()?;
    }
    let temporary = file.path().to_path_buf();
    finish(|| file.persist(target).map(drop).map_err(|error| error.error))?;
    temporaries().retain(|path| *path != temporary);
    Ok(())
}

/// Does the last thing that the process was to do, a `rename`. When it is done, a signal comes too late to matter: nobody
/// shall be told that it was interrupted.
fn finish(rename: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
    uninterrupted(|| {
        let renamed = rename();
        DONE.store(renamed.is_ok(), Ordering::Relaxed);
        renamed
    })
}

/// Does `work`, during which a signal waits.
pub(super) fn uninterrupted<T>(work: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    handle_signals()?;
    let temporaries = temporaries();
    let done = work();
    drop(temporaries);
    done
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if let Some(Temporary::Named(file)) = self.temporary.take() {
            let mut temporaries = temporaries();
            temporaries.retain(|path| path != file.path());
            drop(file);
        }
    }
}

fn check_regular(metadata: &Metadata) -> Result<()> {
    let kind = metadata.file_type();
    if kind.is_dir() {
        bail!("it is a directory");
    } else if kind.is_block_device() || kind.is_char_device() {
        bail!("it is a device");
    } else if !kind.is_file() {
        bail!("it is not a regular file");
    }
    Ok(())
}

fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(directory) if directory != Path::new("") => directory,
        _ => Path::new("."),
    }
}

/// A file without a name, which is gone with its last handle.
///
/// # Errors
/// The directory for temporary files takes no more.
pub fn nameless() -> io::Result<File> {
    tempfile::tempfile()
}

/// Standard output without the standard library's buffer, which looks at every byte for the end of a line.
///
/// # Errors
/// It is closed.
pub fn standard_output() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// As on a file system that knows no files without a name.
    fn create_named_for(target: Target, mode: u32) -> Result<Replacement> {
        let mut replacement = target.create(mode)?;
        let directory = directory_of(&replacement.target).to_path_buf();
        replacement.temporary = Some(Temporary::Named(create_named(&directory, mode)?));
        Ok(replacement)
    }

    #[test]
    fn with_a_named_temporary_the_same_comes_out() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("file");
        for content in ["1", "2"] {
            let replacement = create_named_for(Target::resolve(&path)?, 0o640)?;
            replacement.file().write_all(content.as_bytes())?;
            assert_eq!(temporaries().iter().filter(|path| path.starts_with(directory.path())).count(), 1);
            replacement.commit(false)?;
            assert_eq!(fs::read_to_string(&path)?, content);
            assert_eq!(fs::metadata(&path)?.mode() & 0o7777, 0o640);
        }
        drop(create_named_for(Target::resolve(&path)?, 0o640)?);
        assert_eq!(fs::read_dir(directory.path())?.count(), 1);
        assert!(!temporaries().iter().any(|path| path.starts_with(directory.path())));
        Ok(())
    }

    #[test]
    fn a_file_that_appears_meanwhile_is_replaced() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path().join("file");
        let replacement = Target::resolve(&path)?.create(0o600)?;
        replacement.file().write_all(b"ours")?;
        fs::write(&path, "theirs")?;
        replacement.commit(false)?;
        assert_eq!(fs::read_to_string(&path)?, "ours");
        assert_eq!(fs::read_dir(directory.path())?.count(), 1);
        Ok(())
    }
}
