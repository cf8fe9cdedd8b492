//! Many files beneath one directory, by many threads, each of which appears whole or not at all.
//!
//! A file that replaces none gets its name at once and waits for no disk. Those that replace others wait for one another:
//! when there are enough of them, one flush of their file systems (syncfs(2)) brings them to the disk, and then they take
//! the places of the old ones. Until then they have no names, so that nothing of them stays whatever ends the process;
//! where the file system knows no such files they are temporaries that signals remove.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs::{self, File, Permissions},
    io,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt},
    },
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::error::{Context, Result};
use rustix::{
    fs::{AtFlags, FileType, statat, syncfs},
    io::Errno,
    process::{Resource, getrlimit, setrlimit},
};

use super::{
    atomic_file::open_regular,
    confined_dir::Directory,
    leftover,
    names::check_path,
    resolve::check_regular,
    unfinished::{Then, Unfinished},
};

/// Files that wait for one flush at most. More make the flush no cheaper for one of them.
const GROUP_MAX: u64 = 1024;

/// Open files that are left to the rest of the process.
const OTHER_FILES: u64 = 128;

/// A directory, and the files beneath it that wait to replace others.
///
/// `T` is what the caller knows them by.
#[derive(Debug)]
pub struct Many<T> {
    root: Directory,
    /// Whether there was no leftover in it. To look for that of every file takes a tenth as long as to make an image.
    is_clean: bool,
    waiting: Mutex<Waiting<T>>,
    /// Held while a group is flushed and named, so that there are no more than two of them.
    flushing: Mutex<()>,
    group_max: usize,
    /// A handle on every file system written to, by its device. It is opened before the first file is written there, so
    /// that syncfs(2) tells it of every fault.
    devices: Mutex<BTreeMap<u64, File>>,
}

#[derive(Debug)]
struct Waiting<T> {
    files: Vec<(Taken, T)>,
    /// The lowest number of one of them.
    oldest: u64,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self { files: Vec::new(), oldest: u64::MAX }
    }
}

/// The directory that a thread wrote to last, where the next file is likely to go as well.
#[derive(Debug, Default)]
pub struct Place {
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    path: Vec<u8>,
    directory: Directory,
    device: u64,
    /// Permission bits that files in it get as they are asked for.
    exact: Option<u32>,
}

impl<T> Many<T> {
    /// Opens the directory `path`, after it has made it if need be: with permission bits 0700, in a directory that exists.
    ///
    /// The process may have more open files afterwards, as many as the system lets it.
    ///
    /// # Errors
    /// It is no directory, or cannot be made or opened.
    pub fn beneath(path: &Path) -> Result<Self> {
        let root = Directory::open_or_create(path)?;
        // Two groups of files, each perhaps with a directory of its own.
        let files = raise_limit(4 * GROUP_MAX + OTHER_FILES).saturating_sub(OTHER_FILES) / 4;
        Ok(Self {
            is_clean: !leftover::may_be_in(root.handle()),
            root,
            waiting: Mutex::default(),
            flushing: Mutex::default(),
            group_max: usize::try_from(files.clamp(1, GROUP_MAX))?,
            devices: Mutex::default(),
        })
    }

    /// Creates the file that will be called `path`, with the permission bits `mode` whatever the umask, and the
    /// directories above it.
    ///
    /// # Errors
    /// A component of `path` is not a normal name, a directory above it is none, or it cannot be created.
    pub fn create(&self, place: &mut Place, path: &[u8], mode: u32) -> Result<New> {
        check_path(path)?;
        let end = path.iter().rposition(|byte| *byte == b'/');
        let (above, name) = end.map_or((&[][..], path), |end| (&path[..end], &path[end + 1..]));
        let last = self.enter(place, above)?;
        let device = last.device;
        let unfinished = Unfinished::create(last.directory.handle(), OsStr::from_bytes(name), mode)
            .context("creating a file")?;
        let new = New { unfinished, device, is_clean: self.is_clean && above.is_empty() };
        // The umask may have taken bits away, or an access control list of the directory.
        if last.exact != Some(mode) {
            if new.file().metadata()?.mode() & 0o7777 == mode {
                last.exact = Some(mode);
            } else {
                new.file().set_permissions(Permissions::from_mode(mode))?;
            }
        }
        Ok(new)
    }

    fn enter<'a>(&self, place: &'a mut Place, path: &[u8]) -> Result<&'a mut Last> {
        let last = match place.last.take() {
            Some(last) if last.path == path => last,
            _ => {
                let directory = self.root.below(path)?;
                let (device, handle) = directory.device()?;
                lock(&self.devices).entry(device).or_insert(handle);
                Last { path: path.to_vec(), directory, device, exact: None }
            }
        };
        Ok(place.last.insert(last))
    }

    /// Lets `taken` take its name when it is on the disk, which is now if enough others wait. What was named in that case.
    ///
    /// `number` tells how old it is.
    pub fn replace(&self, taken: Taken, number: u64, known_by: T) -> Vec<(T, Result<()>)> {
        let mut waiting = lock(&self.waiting);
        waiting.oldest = waiting.oldest.min(number);
        waiting.files.push((taken, known_by));
        if waiting.files.len() < self.group_max { Vec::new() } else { self.name_all(waiting) }
    }

    /// Names what waits, if the oldest of it has a lower number than `number`.
    pub fn replace_older(&self, number: u64) -> Vec<(T, Result<()>)> {
        let waiting = lock(&self.waiting);
        if waiting.oldest < number { self.name_all(waiting) } else { Vec::new() }
    }

    fn name_all(&self, mut waiting: MutexGuard<'_, Waiting<T>>) -> Vec<(T, Result<()>)> {
        let _flushing = lock(&self.flushing);
        let Waiting { files, .. } = std::mem::take(&mut *waiting);
        drop(waiting);
        let used: BTreeSet<_> = files.iter().map(|(taken, _)| taken.new.device).collect();
        let synced: BTreeMap<_, _> = lock(&self.devices)
            .iter()
            .filter(|(device, _)| used.contains(device))
            .map(|(device, handle)| (*device, syncfs(handle)))
            .collect();
        let name = |(mut taken, known_by): (Taken, T)| {
            let named = match synced.get(&taken.new.device) {
                Some(Err(error)) => Err(io::Error::from(*error)).context("writing to disk"),
                _ => taken.new.take_place(),
            };
            (known_by, named)
        };
        files.into_iter().map(name).collect()
    }

    /// Waits until all that was written is on the disk, names included.
    ///
    /// # Errors
    /// The system says that it could not be written.
    pub fn sync(&self) -> Result<()> {
        lock(&self.devices).values().try_for_each(syncfs).context("writing to disk")
    }
}

/// A file that is being written, and the name that it will get.
#[derive(Debug)]
pub struct New {
    unfinished: Unfinished,
    device: u64,
    /// Whether there is no leftover in its directory.
    is_clean: bool,
}

/// What became of a file that was given its name.
#[derive(Debug)]
pub enum Named {
    /// It has it.
    Done,
    /// Another file has it.
    Taken(Taken),
}

/// A file whose name another has.
#[derive(Debug)]
pub struct Taken {
    new: New,
    /// Device and inode of the other.
    old: (u64, u64),
}

impl Taken {
    /// Whether `path` leads to the file that has the name.
    #[must_use]
    pub fn is_same_file(&self, path: &Path) -> bool {
        fs::metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == self.old)
    }

    /// Opens the file that has the name now for reading. It waits for nothing, whatever is there; `None`: nothing is, or a
    /// symbolic link, which is replaced itself.
    ///
    /// # Errors
    /// It is no regular file any more, or the system refuses.
    pub fn open_old(&self) -> io::Result<Option<File>> {
        match open_regular(self.new.unfinished.directory(), self.new.unfinished.name()) {
            Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => Ok(None),
            opened => opened,
        }
    }
}

impl New {
    /// The file to write to.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.unfinished.file
    }

    /// Gives the file its name, unless a file or a symbolic link has it.
    ///
    /// # Errors
    /// Something else has it, such as a directory, or the system refuses.
    pub fn name(mut self) -> Result<Named> {
        match self.unfinished.take_name() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).context("naming it"),
            Ok(()) => {
                if !self.is_clean {
                    self.unfinished.remove_leftover();
                }
                return Ok(Named::Done);
            }
        }
        match statat(self.unfinished.directory(), self.unfinished.name(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) => {
                if FileType::from_raw_mode(found.st_mode) != FileType::Symlink {
                    check_regular(&found)?;
                }
                Ok(Named::Taken(Taken { new: self, old: (found.st_dev, found.st_ino) }))
            }
            // It is not taken after all, or the file system could not tell.
            Err(Errno::NOENT) => self.take_place().map(|()| Named::Done),
            Err(error) => Err(io::Error::from(error)).context("naming it"),
        }
    }

    /// Gives the file its name, in place of what has it.
    fn take_place(&mut self) -> Result<()> {
        self.unfinished.take_place(Then::GoOn).context("naming it")
    }
}

/// Lets the process have so many open files, if the system does. How many it may have.
fn raise_limit(wanted: u64) -> u64 {
    let mut limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    match limit.current {
        Some(current) if current < wanted => {
            limit.current = Some(wanted);
            if setrlimit(Resource::Nofile, limit).is_ok() { wanted } else { current }
        }
        Some(current) => current,
        None => u64::MAX,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use crate::error::bail;

    use super::*;
    use crate::output::temporary::count_in;

    fn write(many: &Many<u32>, path: &str, content: &str, named: bool) -> Result<Vec<(u32, Result<()>)>> {
        let mut new = many.create(&mut Place::default(), path.as_bytes(), 0o640)?;
        if named {
            // As on a file system that knows no files without a name.
            new.unfinished = Unfinished::create_named(many.root.handle(), OsStr::new(path), 0o640)?;
        }
        new.file().write_all(content.as_bytes())?;
        match new.name()? {
            Named::Done => Ok(Vec::new()),
            Named::Taken(taken) => Ok(many.replace(taken, 7, 1)),
        }
    }

    fn names(directory: &Path) -> Vec<String> {
        let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn new_files_have_their_names_at_once_and_others_when_enough_wait() -> Result<()> {
        for named in [false, true] {
            let directory = tempfile::tempdir()?;
            let mut many = Many::beneath(directory.path())?;
            many.group_max = 3;
            for path in ["a", "b", "c"] {
                assert!(write(&many, path, "old", named)?.is_empty());
            }
            for path in ["a", "b"] {
                assert!(write(&many, path, "new", named)?.is_empty());
                assert_eq!(fs::read_to_string(directory.path().join(path))?, "old");
            }
            assert!(many.replace_older(7).is_empty(), "none is older");
            assert_eq!(write(&many, "c", "new", named)?.len(), 3);
            assert!(write(&many, "a", "newer", named)?.is_empty());
            assert_eq!(fs::read_to_string(directory.path().join("a"))?, "new");
            assert_eq!(many.replace_older(8).len(), 1);
            assert!(many.replace_older(u64::MAX).is_empty(), "nothing waits");
            for (path, content) in [("a", "newer"), ("b", "new"), ("c", "new")] {
                assert_eq!(fs::read_to_string(directory.path().join(path))?, content);
                assert_eq!(fs::metadata(directory.path().join(path))?.mode() & 0o7777, 0o640);
            }
            assert_eq!(names(directory.path()), ["a", "b", "c"]);
            assert_eq!(count_in(directory.path()), 0);
            many.sync()?;
        }
        Ok(())
    }

    #[test]
    fn what_has_the_name_is_opened_and_a_link_is_not() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let many = Many::<u32>::beneath(directory.path())?;
        let take = |path: &str| match many.create(&mut Place::default(), path.as_bytes(), 0o600)?.name()? {
            Named::Taken(taken) => Ok(taken),
            Named::Done => bail!("it had no name"),
        };
        fs::write(directory.path().join("file"), "old")?;
        std::os::unix::fs::symlink("file", directory.path().join("link"))?;
        let taken = take("file")?;
        assert_eq!(io::read_to_string(taken.open_old()?.context("it is there")?)?, "old");
        assert!(take("link")?.open_old()?.is_none());
        fs::remove_file(directory.path().join("file"))?;
        assert!(taken.open_old()?.is_none());
        Ok(())
    }

    #[test]
    fn what_waits_is_gone_with_its_owner() -> Result<()> {
        for named in [false, true] {
            let directory = tempfile::tempdir()?;
            let many = Many::beneath(directory.path())?;
            write(&many, "file", "old", named)?;
            assert!(write(&many, "file", "new", named)?.is_empty());
            drop(many);
            assert_eq!(names(directory.path()), ["file"]);
            assert_eq!(fs::read_to_string(directory.path().join("file"))?, "old");
        }
        Ok(())
    }

    #[test]
    fn only_files_and_links_are_replaced_and_no_link_is_followed() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let outside = directory.path().join("outside");
        fs::create_dir(&outside)?;
        fs::write(outside.join("file"), "old")?;
        let root = directory.path().join("root");
        let many = Many::beneath(&root)?;
        fs::create_dir(root.join("directory"))?;
        std::os::unix::fs::symlink(&outside, root.join("link"))?;
        std::os::unix::fs::symlink(outside.join("file"), root.join("file"))?;
        for path in ["directory", "link/file", "../file", "/file", "", ".", "a//b", "file/x"] {
            assert!(write(&many, path, "new", false).is_err(), "{path:?}");
        }
        write(&many, "file", "new", false)?;
        assert_eq!(many.replace_older(u64::MAX).len(), 1);
        assert_eq!(fs::read_to_string(outside.join("file"))?, "old");
        assert_eq!(fs::read_to_string(root.join("file"))?, "new");
        write(&many, "a/b/file", "new", false)?;
        assert_eq!(names(&root), ["a", "directory", "file", "link"]);
        assert_eq!(names(&outside), ["file"]);
        Ok(())
    }
}
