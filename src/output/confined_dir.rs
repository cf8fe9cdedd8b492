//! Writes files beneath a directory and nowhere else, whatever they are called and whatever links are found there.
//!
//! Every step is taken from an open directory by one name, and never through a symbolic link.

use std::{
    ffi::{OsStr, OsString},
    fs::{File, Permissions},
    io,
    os::{
        fd::{AsFd, OwnedFd},
        unix::{
            ffi::OsStrExt,
            fs::{MetadataExt as _, PermissionsExt as _},
        },
    },
    path::Path,
    sync::Arc,
};

use crate::error::{Context, Result, bail, error};
use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, Stat, fchmod, fstat, linkat, mkdirat, statat},
    io::Errno,
};

use super::{
    atomic_file::open_regular,
    handle::{open_directory, open_readable, open_to_change},
    leftover::{self, is_same},
    names::{component, components},
    resolve::{self, Missing, WHILE_FILLED},
    temporary::uninterrupted,
    unfinished::{Then, Unfinished},
};

/// Permission bits of a file while it is written.
const WHILE_WRITTEN: u32 = 0o600;

/// Directories below one another that are listed: as many as a config tree has.
const DEPTH_MAX: usize = 128;

/// Directories that are listed in all.
const DIRECTORIES_MAX: usize = 1 << 14;

/// A directory to write beneath.
#[derive(Debug)]
pub struct Directory {
    handle: Arc<OwnedFd>,
}

/// Whether a file was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was.
    Written,
    /// There is something of that name already, and it was not to be replaced.
    Kept,
}

impl Directory {
    /// Opens `path`, after it has made it if need be: with permission bits 0700, in a directory that exists.
    ///
    /// # Errors
    /// It is no directory, or cannot be made or opened. A symbolic link on the way is in `/proc`, or is another user's in a
    /// sticky directory that everybody may write to. Another user exchanges it while it is made.
    pub fn open_or_create(path: &Path) -> Result<Self> {
        Self::resolve(path, Missing::Last)
    }

    /// The same with the directories above it. Those that are made get the permission bits `mode`, whatever the umask.
    ///
    /// # Errors
    /// Those of [`Directory::open_or_create`].
    pub fn open_or_create_all(path: &Path, mode: u32) -> Result<Self> {
        Self::resolve(path, Missing::All(mode))
    }

    fn resolve(path: &Path, missing: Missing) -> Result<Self> {
        let handle =
            resolve::directory(path, missing).with_context(|| format!("opening directory {path:?}"))?;
        Ok(Self { handle: Arc::new(handle) })
    }

    pub(super) fn handle(&self) -> &Arc<OwnedFd> {
        &self.handle
    }

    /// The paths of files and links beneath the directory, at most so many. What cannot be read is left out, and so is what
    /// is in more than 128 directories or behind the first 16,384 of them.
    #[must_use]
    pub fn files(&self, max: usize) -> Vec<String> {
        let mut listing = Listing { max, path: String::new(), files: Vec::new(), directories: 0 };
        listing.add(&*self.handle, 0);
        listing.files.sort_unstable();
        listing.files
    }

    /// Opens the directory `path` beneath this one, after it has made it and those above it if need be. The empty path is
    /// this one.
    ///
    /// # Errors
    /// Those of [`Directory::make_directories`].
    pub(super) fn below(&self, path: &[u8]) -> Result<Self> {
        self.descend(&if path.is_empty() { Vec::new() } else { components(path)? })
    }

    /// The device that its file system is on, and a handle that syncfs(2) takes.
    pub(super) fn device(&self) -> io::Result<(u64, File)> {
        let handle = File::from(open_readable(&self.handle)?);
        Ok((handle.metadata()?.dev(), handle))
    }

    /// Makes the directory `path`, with permission bits 0700, and those above it. One that is there stays as it is.
    ///
    /// # Errors
    /// A component of `path` is not a normal name, or is there and no directory.
    pub fn make_directories(&self, path: &[u8]) -> Result<()> {
        self.descend(&components(path)?).map(drop)
    }

    /// Makes or opens the directory `name`, for which its owner has all rights until it is sealed.
    ///
    /// # Errors
    /// `name` is not a normal name, or is there and no directory.
    pub fn make_directory(&self, name: &[u8]) -> Result<Self> {
        let name = component(name)?;
        let below = self.open(&name).map_err(|error| match error {
            Errno::NOTDIR if self.find(&name).is_some_and(|found| kind_of(&found) == FileType::Symlink) => {
                error!("there is a symbolic link of that name")
            }
            Errno::NOTDIR => error!("there is a file of that name"),
            error => io::Error::from(error).into(),
        })?;
        let found = fstat(&below.handle).map_err(io::Error::from)?;
        if found.st_mode & WHILE_FILLED != WHILE_FILLED {
            // Sealed by an earlier run; if it is somebody else's, writing will tell.
            let _ = below.set_mode(WHILE_FILLED);
        }
        Ok(below)
    }

    /// Gives the directory the permission bits `mode`, after which nothing more may go into it.
    ///
    /// # Errors
    /// The system refuses.
    pub fn seal(self, mode: u32) -> Result<()> {
        Ok(self.set_mode(mode).map_err(io::Error::from)?)
    }

    fn set_mode(&self, mode: u32) -> Result<(), Errno> {
        fchmod(open_to_change(&self.handle)?, Mode::from_raw_mode(mode))
    }

    /// Writes the file `path` with permission bits `mode`, and makes the directories above it.
    ///
    /// What `content` writes gets its name when it is complete. What has that name is kept, unless `force` replaces it:
    /// a file or a link, never a directory.
    ///
    /// # Errors
    /// A component of `path` is not a normal name, a directory above it is none, or `content` fails.
    pub fn write_file(
        &self,
        path: &[u8],
        mode: u32,
        force: bool,
        content: impl FnOnce(&mut File) -> Result<()>,
    ) -> Result<Outcome> {
        let (directory, name) = self.place(path)?;
        if directory.is_kept(&name, force)? {
            return Ok(Outcome::Kept);
        }
        let unfinished = Unfinished::create(&directory.handle, &name, WHILE_WRITTEN)?;
        write(unfinished, mode, force, content)
    }

    /// Gives the file `from`, which this run wrote, the further name `to`, and makes the directories above that.
    ///
    /// What has that name is kept, unless `force` replaces it: a file or a link, never a directory.
    ///
    /// # Errors
    /// A component of a path is not a normal name, a directory above `to` is none, `from` is no regular file, or the file
    /// system refuses. It may have no links, or no more for one file: then the source of the error is an [`io::Error`], and
    /// nothing has changed.
    pub fn link_file(&self, from: &[u8], to: &[u8], force: bool) -> Result<Outcome> {
        let (from_directory, from) = self.place(from)?;
        let (directory, to) = self.place(to)?;
        if directory.is_kept(&to, force)? {
            return Ok(Outcome::Kept);
        }
        let file = open_regular(&from_directory.handle, &from)?.context("the file to link to is gone")?;
        let link = |name: &OsStr| -> io::Result<()> {
            Ok(linkat(&from_directory.handle, &from, &directory.handle, name, AtFlags::empty())?)
        };
        match link(&to) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !force => return Ok(Outcome::Kept),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            linked => return Ok(linked.map(|()| Outcome::Written)?),
        }
        // To rename one of two names of a file to the other does nothing, and leaves both (rename(2)).
        let found = fstat(&file).map_err(io::Error::from)?;
        if !directory.find(&to).is_some_and(|named| is_same(&named, &found)) {
            uninterrupted(|| leftover::replace(&file, &directory.handle, &to, link))?;
        }
        Ok(Outcome::Written)
    }

    /// The directory of the file `path`, which is made if need be, and its name there.
    fn place(&self, path: &[u8]) -> Result<(Self, OsString)> {
        let mut directories = components(path)?;
        let name = directories.pop().context("it has no name")?;
        Ok((self.descend(&directories)?, name))
    }

    /// Whether what is called `name` stays there.
    fn is_kept(&self, name: &OsStr, force: bool) -> Result<bool> {
        let found = self.find(name);
        if force && found.is_some_and(|found| kind_of(&found) == FileType::Directory) {
            bail!("there is a directory of that name");
        }
        Ok(found.is_some() && !force)
    }

    /// What has that name, if something has.
    fn find(&self, name: &OsStr) -> Option<Stat> {
        statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW).ok()
    }

    fn descend(&self, names: &[OsString]) -> Result<Self> {
        let mut directory = Self { handle: Arc::clone(&self.handle) };
        for name in names {
            let below = directory.open(name).map_err(|error| match directory.find(name) {
                Some(found) if kind_of(&found) == FileType::Symlink => error!("it is a symbolic link"),
                _ => io::Error::from(error).into(),
            });
            directory = below.with_context(|| format!("opening directory {name:?}"))?;
        }
        Ok(directory)
    }

    /// Opens the directory `name`, after it has made it if need be.
    fn open(&self, name: &OsStr) -> Result<Self, Errno> {
        match mkdirat(&self.handle, name, Mode::from_raw_mode(WHILE_FILLED)) {
            Err(error) if error != Errno::EXIST => return Err(error),
            _ => {}
        }
        Ok(Self { handle: Arc::new(open_directory(&self.handle, name)?) })
    }
}

/// Fills a file and gives it its name; with `force` in place of what has it, perhaps since a moment only.
fn write(
    mut unfinished: Unfinished,
    mode: u32,
    force: bool,
    content: impl FnOnce(&mut File) -> Result<()>,
) -> Result<Outcome> {
    content(&mut unfinished.file)?;
    unfinished.file.set_permissions(Permissions::from_mode(mode))?;
    match unfinished.take_name() {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && !force => return Ok(Outcome::Kept),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => unfinished.take_place(Then::GoOn)?,
        named => named.inspect(|()| unfinished.remove_leftover())?,
    }
    Ok(Outcome::Written)
}

/// What is found beneath a directory.
struct Listing {
    /// Files at most.
    max: usize,
    /// The path of the directory that is read, with a `/` at its end.
    path: String,
    files: Vec<String>,
    /// Directories that were found.
    directories: usize,
}

impl Listing {
    /// Adds what is in a directory with so many above it. While it looks into those below, it has one handle open.
    fn add(&mut self, directory: impl AsFd, depth: usize) {
        let Ok(entries) = open_readable(&directory).and_then(Dir::read_from) else { return };
        let mut below = Vec::new();
        for entry in entries.flatten() {
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            if self.files.len() == self.max {
                return;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)
                    .map_or(FileType::Unknown, |found| kind_of(&found)),
                kind => kind,
            };
            if kind != FileType::Directory {
                self.files.push(format!("{}{}", self.path, name.to_string_lossy()));
            } else if depth < DEPTH_MAX && self.directories < DIRECTORIES_MAX {
                self.directories += 1;
                below.push(name.to_owned());
            }
        }
        for name in below {
            if self.files.len() == self.max {
                return;
            }
            let Ok(opened) = open_directory(&directory, &name) else { continue };
            let len = self.path.len();
            self.path.push_str(&name.to_string_lossy());
            self.path.push('/');
            self.add(&opened, depth + 1);
            self.path.truncate(len);
        }
    }
}

fn kind_of(found: &Stat) -> FileType {
    FileType::from_raw_mode(found.st_mode)
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write, os::unix::fs::symlink};

    use super::*;

    fn write(root: &Directory, path: &str, force: bool) -> Result<Outcome> {
        root.write_file(path.as_bytes(), 0o640, force, |file| Ok(file.write_all(b"new")?))
    }

    #[test]
    fn a_file_gets_its_content_its_mode_and_its_directories() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let root = Directory::open_or_create(&directory.path().join("root"))?;
        assert_eq!(write(&root, "a/b/file", false)?, Outcome::Written);
        let path = directory.path().join("root/a/b/file");
        assert_eq!(fs::read(&path)?, b"new");
        assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_dir(directory.path().join("root/a/b"))?.count(), 1);
        assert_eq!(fs::metadata(directory.path().join("root/a"))?.permissions().mode() & 0o7777, 0o700);
        Ok(())
    }

    #[test]
    fn what_is_there_is_kept_unless_forced() -> Result<()> {
        let directory = tempfile::tempdir()?;
        fs::write(directory.path().join("file"), "old")?;
        fs::create_dir(directory.path().join("directory"))?;
        let root = Directory::open_or_create(directory.path())?;
        assert_eq!(write(&root, "file", false)?, Outcome::Kept);
        assert_eq!(fs::read(directory.path().join("file"))?, b"old");
        assert_eq!(write(&root, "file", true)?, Outcome::Written);
        assert_eq!(fs::read(directory.path().join("file"))?, b"new");
        assert_eq!(write(&root, "directory", false)?, Outcome::Kept);
        assert!(write(&root, "directory", true).is_err());
        Ok(())
    }

    #[test]
    fn what_appears_meanwhile_is_kept_unless_forced() -> Result<()> {
        for (force, expected) in [(false, Outcome::Kept), (true, Outcome::Written)] {
            let directory = tempfile::tempdir()?;
            let root = Directory::open_or_create(directory.path())?;
            let path = directory.path().join("file");
            let content = |file: &mut File| {
                fs::write(&path, "precious")?;
                Ok(file.write_all(b"new")?)
            };
            assert_eq!(root.write_file(b"file", 0o600, force, content)?, expected);
            assert_eq!(fs::read_to_string(&path)?, if force { "new" } else { "precious" });
            assert_eq!(fs::read_dir(directory.path())?.count(), 1);
        }
        Ok(())
    }

    #[test]
    fn names_that_leave_the_directory_are_errors() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let root = Directory::open_or_create(&directory.path().join("root"))?;
        let long = "x".repeat(256);
        for path in ["..", "../x", "a/../../x", "/x", "", ".", "a//b", "a/", "a\0b", &*long] {
            assert!(write(&root, path, true).is_err(), "{path:?}");
        }
        assert_eq!(fs::read_dir(directory.path())?.count(), 1);
        assert_eq!(fs::read_dir(directory.path().join("root"))?.count(), 0, "nothing is left behind");
        Ok(())
    }

    #[test]
    fn links_that_are_found_are_not_followed() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let outside = directory.path().join("outside");
        fs::create_dir(&outside)?;
        fs::write(outside.join("file"), "old")?;
        let inside = directory.path().join("root");
        let root = Directory::open_or_create(&inside)?;
        symlink(&outside, inside.join("directory"))?;
        symlink(outside.join("file"), inside.join("file"))?;
        symlink(outside.join("absent"), inside.join("dangling"))?;

        assert!(write(&root, "directory/file", true).is_err());
        assert_eq!(write(&root, "file", false)?, Outcome::Kept);
        assert_eq!(write(&root, "dangling", false)?, Outcome::Kept);
        assert_eq!(write(&root, "file", true)?, Outcome::Written, "the link itself is replaced");

        assert_eq!(fs::read(outside.join("file"))?, b"old");
        assert_eq!(fs::read_dir(&outside)?.count(), 1);
        Ok(())
    }

    #[test]
    fn a_directory_is_sealed_and_filled_again() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let root = Directory::open_or_create(directory.path())?;
        for _ in 0..2 {
            let sealed = root.make_directory(b"a")?;
            write(&sealed, "file", true)?;
            sealed.seal(0o500)?;
            assert_eq!(fs::metadata(directory.path().join("a"))?.permissions().mode() & 0o7777, 0o500);
        }
        root.make_directory(b"a")?.seal(0o700)
    }

    #[test]
    fn without_nameless_files_the_same_comes_out() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let root = Directory::open_or_create(directory.path())?;
        let create = || Unfinished::create_named(&root.handle, OsStr::new("file"), WHILE_WRITTEN);
        for content in ["1", "2"] {
            super::write(create()?, 0o640, true, |file| Ok(file.write_all(content.as_bytes())?))?;
            assert_eq!(fs::read_to_string(directory.path().join("file"))?, content);
        }
        assert!(super::write(create()?, 0o640, true, |_| bail!("no")).is_err());
        assert_eq!(fs::metadata(directory.path().join("file"))?.permissions().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_dir(directory.path())?.count(), 1);
        Ok(())
    }

    #[test]
    fn a_file_gets_a_further_name_where_it_may_be_written() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let path = |name: &str| directory.path().join(name);
        let root = Directory::open_or_create(directory.path())?;
        let link = |to: &str, force| root.link_file(b"a/file", to.as_bytes(), force);
        let inode = |name: &str| fs::symlink_metadata(path(name)).map(|found| found.ino());
        write(&root, "a/file", false)?;
        assert_eq!(link("b/c/new", false)?, Outcome::Written);
        fs::write(path("old"), "old")?;
        symlink("old", path("link"))?;
        for name in ["old", "link", "b"] {
            assert_eq!(link(name, false)?, Outcome::Kept);
        }
        assert_eq!(fs::read(path("old"))?, b"old");
        assert!(link("b", true).is_err(), "a directory");
        // The second time it has the name already.
        for name in ["link", "old", "old", "a/file"] {
            assert_eq!(link(name, true)?, Outcome::Written);
        }
        for name in ["b/c/new", "old", "link"] {
            assert_eq!(inode(name)?, inode("a/file")?, "{name}");
        }
        for path in ["../x", "/x", ""] {
            assert!(link(path, true).is_err(), "{path:?}");
        }
        assert!(root.link_file(b"absent", b"x", false).is_err());
        symlink("old", path("elsewhere"))?;
        assert!(root.link_file(b"elsewhere", b"x", false).is_err());
        let [names, below] = ["", "a"].map(|name| fs::read_dir(path(name)).unwrap().count());
        assert_eq!((names, below), (5, 1), "no temporary is left");
        Ok(())
    }

    #[test]
    fn only_so_many_directories_are_listed() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let root = Directory::open_or_create(directory.path())?;
        let deep = ["d"; 400].map(OsString::from);
        let bottom = root.descend(&deep[..DEPTH_MAX])?;
        write(&bottom, "file", false)?;
        let below = bottom.descend(&deep[DEPTH_MAX..])?;
        write(&below, "hidden", false)?;
        write(&root, "a/b", false)?;
        symlink("a", directory.path().join("link"))?;
        let expected = ["a/b".to_owned(), format!("{}file", "d/".repeat(DEPTH_MAX)), "link".to_owned()];
        assert_eq!(root.files(10), expected);
        assert_eq!(root.files(2).len(), 2);
        let mut wide =
            Listing { max: 10, path: String::new(), files: Vec::new(), directories: DIRECTORIES_MAX };
        wide.add(&*root.handle, 0);
        assert_eq!(wide.files, ["link"]);
        Ok(())
    }

    #[test]
    fn a_file_that_cannot_be_filled_leaves_nothing() -> Result<()> {
        let directory = tempfile::tempdir()?;
        let root = Directory::open_or_create(directory.path())?;
        assert!(root.write_file(b"file", 0o600, false, |_| bail!("no")).is_err());
        assert_eq!(fs::read_dir(directory.path())?.count(), 0);
        Ok(())
    }
}
