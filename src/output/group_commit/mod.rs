//! Writes many files beneath one directory, from many threads. Each appears whole or not at all.
//!
//! A new file gets its name at once, without being synced to disk. Files that replace others are collected: when there are
//! enough of them, one syncfs(2) for each file system syncs them all, and then they replace the old ones. Until then they
//! have no names, so nothing of them is left if the process ends. Where the file system has no such files, they are temporary
//! files.
//!
//! Where the system has no syncfs(2), each file is synced before it gets its name.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs::{self, File},
    io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::error::{Context, Result, error};
use crate::os;
use rustix::{
    fs::{AtFlags, FileType, statat},
    io::Errno,
    process::{Resource, getrlimit},
};

use super::{
    atomic_file::open_regular,
    confined_dir::ConfinedDir,
    durability::{self, Durability},
    leftover,
    names::check_path,
    resolve::check_regular,
    unfinished::{Then, Unfinished},
};

/// How many files wait for one sync. With more of them, the sync is no cheaper for each.
const GROUP_MAX: u64 = 1024;

/// Open files that are left for the rest of the process.
const OTHER_FILES: u64 = 128;

/// The limit of open files (`RLIMIT_NOFILE`) with which groups are as large as they can be.
///
/// There are up to two groups at a time, and each file may need a directory of its own. With a lower limit groups are smaller.
pub const OPEN_FILES: u64 = 4 * GROUP_MAX + OTHER_FILES;

/// A directory, and the files beneath it that wait to replace others.
///
/// `T` is what the caller identifies a file by.
#[derive(Debug)]
pub struct GroupCommit<T> {
    root: ConfinedDir,
    /// Whether there was no leftover in it. Looking for one for every file takes a tenth of the time of an image.
    is_clean: bool,
    waiting: Mutex<Waiting<T>>,
    /// Locked while a group is synced and named, so that there are at most two groups.
    syncing: Mutex<()>,
    group_max: usize,
    /// A handle on every file system written to, by its device. It is opened before the first file is written there, so
    /// that syncfs(2) reports every error to it.
    devices: Mutex<BTreeMap<u64, File>>,
    durability: Durability,
    /// Without syncfs(2): the directories whose names are to be synced.
    directories: Mutex<BTreeSet<Vec<u8>>>,
}

#[derive(Debug)]
struct Waiting<T> {
    files: Vec<(Replacing, T)>,
    /// The lowest of their numbers.
    oldest: u64,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self { files: Vec::new(), oldest: u64::MAX }
    }
}

/// The directory that a thread wrote to last, kept open since the next file is likely to go there too.
#[derive(Debug, Default)]
pub struct LastDirectory {
    open: Option<ParentDirectory>,
}

#[derive(Debug)]
struct ParentDirectory {
    path: Vec<u8>,
    directory: ConfinedDir,
    device: u64,
    /// Permission bits that are known to be created in it as they are asked for.
    exact: Option<u32>,
}

impl<T> GroupCommit<T> {
    /// Opens the directory `path`. If it does not exist, it is made with permission bits 0700; the one above it must exist.
    ///
    /// `new_files`: whether [`GroupCommit::sync`] is going to sync new files as well.
    ///
    /// # Errors
    /// Fails if it is not a directory, or cannot be made or opened.
    pub fn open(path: &Path, new_files: bool) -> Result<Self> {
        let root = ConfinedDir::open_or_create(path)?;
        let limit = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let files = limit.saturating_sub(OTHER_FILES) / 4;
        Ok(Self {
            is_clean: !leftover::may_be_in(root.handle()),
            root,
            waiting: Mutex::default(),
            syncing: Mutex::default(),
            group_max: usize::try_from(files.clamp(1, GROUP_MAX))?,
            devices: Mutex::default(),
            durability: Durability::of_system(new_files),
            directories: Mutex::default(),
        })
    }

    /// Creates the file that will be called `path`, with exactly the permission bits `mode`, and the directories above it.
    ///
    /// # Errors
    /// Fails if a component of `path` is not a normal name, something above it is not a directory, or the file cannot be
    /// created.
    pub fn create(&self, last: &mut LastDirectory, path: &[u8], mode: u32) -> Result<NewFile> {
        check_path(path).map_err(|why| error!("the path {why}"))?;
        let end = path.iter().rposition(|byte| *byte == b'/');
        let (above, name) = end.map_or((&[][..], path), |end| (&path[..end], &path[end + 1..]));
        let parent = self.enter(last, above)?;
        let device = parent.device;
        let unfinished = Unfinished::create(parent.directory.handle(), OsStr::from_bytes(name), mode)
            .context("creating a file")?;
        let is_clean = self.is_clean && above.is_empty();
        let new = NewFile { unfinished, device, is_clean, durability: self.durability };
        if parent.exact != Some(mode) && new.unfinished.correct_mode(mode)? {
            parent.exact = Some(mode);
        }
        Ok(new)
    }

    fn enter<'a>(&self, last: &'a mut LastDirectory, path: &[u8]) -> Result<&'a mut ParentDirectory> {
        let open = match last.open.take() {
            Some(open) if open.path == path => open,
            _ => {
                let directory = self.root.subdirectory(path)?;
                let (device, handle) = directory.device()?;
                lock(&self.devices).entry(device).or_insert(handle);
                if self.durability.syncs_new() {
                    lock(&self.directories).insert(path.to_vec());
                }
                ParentDirectory { path: path.to_vec(), directory, device, exact: None }
            }
        };
        Ok(last.open.insert(open))
    }

    /// Lets `file` replace the one that has its name. It is done at once, for all that wait, if enough of them do; the result
    /// says for which files, and how it went.
    ///
    /// `number`: the file's place in the order of the work, for [`GroupCommit::replace_older`].
    pub fn replace(&self, file: Replacing, number: u64, id: T) -> Vec<(T, Result<()>)> {
        let mut waiting = lock(&self.waiting);
        waiting.oldest = waiting.oldest.min(number);
        waiting.files.push((file, id));
        if waiting.files.len() < self.group_max { Vec::new() } else { self.name_all(waiting) }
    }

    /// Names all files that wait, if the oldest of them has a lower number than `number`.
    pub fn replace_older(&self, number: u64) -> Vec<(T, Result<()>)> {
        let waiting = lock(&self.waiting);
        if waiting.oldest < number { self.name_all(waiting) } else { Vec::new() }
    }

    fn name_all(&self, mut waiting: MutexGuard<'_, Waiting<T>>) -> Vec<(T, Result<()>)> {
        let _syncing = lock(&self.syncing);
        let Waiting { files, .. } = std::mem::take(&mut *waiting);
        drop(waiting);
        // What is in the cache of a drive afterwards, the sync below writes.
        let sent: Vec<_> =
            files.iter().map(|(file, _)| file.new.durability.send_to_drive(file.new.file())).collect();
        let used: BTreeSet<_> = files.iter().map(|(file, _)| file.new.device).collect();
        let synced: BTreeMap<_, _> = lock(&self.devices)
            .iter()
            .filter(|(device, _)| used.contains(device))
            .map(|(device, handle)| (*device, os::sync_file_system(handle)))
            .collect();
        let name = |((mut file, id), sent): ((Replacing, T), io::Result<()>)| {
            let named = match (sent, synced.get(&file.new.device)) {
                (Err(error), _) => Err(error).context(SYNCING),
                (_, Some(Err(error))) => {
                    Err(io::Error::new(error.kind(), error.to_string())).context(SYNCING)
                }
                _ => file.new.replace(),
            };
            (id, named)
        };
        files.into_iter().zip(sent).map(name).collect()
    }

    /// Syncs everything that was written to disk, names included.
    ///
    /// # Errors
    /// Fails if the system reports that it could not be written.
    pub fn sync(&self) -> Result<()> {
        let directories = std::mem::take(&mut *lock(&self.directories));
        durability::sync_directories(&self.root, &directories).context(SYNCING)?;
        lock(&self.devices).values().try_for_each(os::sync_file_system).context(SYNCING)
    }
}

/// A file that is being written, and the name that it will get.
#[derive(Debug)]
pub struct NewFile {
    unfinished: Unfinished,
    device: u64,
    /// Whether its directory is known to have no leftover.
    is_clean: bool,
    durability: Durability,
}

/// Whether a file got its name.
#[derive(Debug)]
pub enum Named {
    /// It did.
    Done,
    /// Another file has the name.
    Taken(Replacing),
}

/// A file whose name another file has, which it is to replace.
#[derive(Debug)]
pub struct Replacing {
    new: NewFile,
    /// Device and inode of the other file.
    old: (u64, u64),
}

impl Replacing {
    /// Whether `path` leads to the file that has the name.
    #[must_use]
    pub fn is_same_file(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == self.old)
    }

    /// Opens the file that has the name now for reading, without waiting for a FIFO. `None`: there is none, or a symbolic
    /// link, which is itself replaced.
    ///
    /// # Errors
    /// Fails if it is no longer a regular file, or the system refuses.
    pub fn open_old(&self) -> io::Result<Option<File>> {
        match open_regular(self.new.unfinished.directory(), self.new.unfinished.name()) {
            Err(error) if os::is_link_refused(&error) => Ok(None),
            opened => opened,
        }
    }
}

impl NewFile {
    /// The file to write to.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.unfinished.file
    }

    /// Gives the file its name, unless a file or a symbolic link has it.
    ///
    /// # Errors
    /// Fails if something else has the name, such as a directory, or the system refuses.
    pub fn name(mut self) -> Result<Named> {
        if self.durability.syncs_new() {
            self.durability.send_to_drive(self.file()).context(SYNCING)?;
        }
        if self.unfinished.take_free_name(self.is_clean).context(NAMING)? {
            return Ok(Named::Done);
        }
        match statat(self.unfinished.directory(), self.unfinished.name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => {
                if FileType::from_raw_mode(found.st_mode) != FileType::Symlink {
                    check_regular(&found)?;
                }
                Ok(Named::Taken(Replacing { new: self, old: os::identity(&found) }))
            }
            // The name is free again, or the file system could not tell that it was.
            Err(Errno::NOENT) => self.replace().map(|()| Named::Done),
            Err(error) => Err(io::Error::from(error)).context(NAMING),
        }
    }

    /// Gives the file its name, and replaces the file that has it.
    fn replace(&mut self) -> Result<()> {
        self.unfinished.replace(Then::GoOn).context(NAMING)
    }
}

/// What errors say was being done.
const NAMING: &str = "renaming the new file";
const SYNCING: &str = "writing to disk";

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
