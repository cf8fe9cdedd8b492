//! Writes files beneath a directory and nowhere else, whatever they are called and whatever links are found there.
//!
//! Every step is taken from an open directory by one name, and never through a symbolic link.

use std::{
    ffi::{OsStr, OsString},
    fs, io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::{
            ffi::OsStrExt,
            fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
        },
    },
    path::Path,
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use cap_fs_ext::DirExt;
use cap_std::{
    ambient_authority,
    fs::{Dir, DirBuilder, DirBuilderExt, OpenOptions, OpenOptionsExt, Permissions, PermissionsExt},
};

use super::nameless;

/// Bytes in a name at most: Linux, `NAME_MAX` in `limits.h`.
pub const NAME_BYTES: usize = 255;

/// Permission bits of a directory while it is filled.
const WHILE_FILLED: u32 = 0o700;

/// Permission bits of a file while it is written.
const WHILE_WRITTEN: u32 = 0o600;

/// A directory to write beneath.
#[derive(Debug)]
pub struct Directory {
    handle: Dir,
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
    /// It is no directory, or cannot be made or opened.
    pub fn open_or_create(path: &Path) -> Result<Self> {
        let context = || format!("opening directory {path:?}");
        if let Err(error) = fs::DirBuilder::new().mode(WHILE_FILLED).create(path)
            && error.kind() != io::ErrorKind::AlreadyExists
        {
            return Err(error).with_context(context);
        }
        let handle = Dir::open_ambient_dir(path, ambient_authority()).with_context(context)?;
        Ok(Self { handle })
    }

    /// The same with the directories above it. Those that are made get the permission bits `mode`, whatever the umask.
    ///
    /// # Errors
    /// Those of [`Directory::open_or_create`].
    pub fn open_or_create_all(path: &Path, mode: u32) -> Result<Self> {
        make_all(path, mode)?;
        Self::open_or_create(path)
    }

    /// The paths of files and links beneath the directory, at most so many. What cannot be read is left out.
    #[must_use]
    pub fn files(&self, max: usize) -> Vec<String> {
        let mut files = Vec::new();
        list_files(&self.handle, "", max, &mut files);
        files.sort_unstable();
        files
    }

    /// Opens the directory `path` beneath this one, after it has made it and those above it if need be. The empty path is
    /// this one.
    ///
    /// # Errors
    /// Those of [`Directory::make_directories`].
    pub(super) fn below(&self, path: &[u8]) -> Result<Self> {
        self.descend(if path.is_empty() { Vec::new() } else { components(path)? })
    }

    /// The device that its file system is on, and a handle that syncfs(2) takes.
    pub(super) fn device(&self) -> Result<(u64, fs::File)> {
        let handle = self.handle.open(".")?.into_std();
        Ok((handle.metadata()?.dev(), handle))
    }

    /// Makes the directory `path`, with permission bits 0700, and those above it. One that is there stays as it is.
    ///
    /// # Errors
    /// A component of `path` is not a normal name, or is there and no directory.
    pub fn make_directories(&self, path: &[u8]) -> Result<()> {
        self.descend(components(path)?).map(drop)
    }

    /// Makes or opens the directory `name`, for which its owner has all rights until it is sealed.
    ///
    /// # Errors
    /// `name` is not a normal name, or is there and no directory.
    pub fn make_directory(&self, name: &[u8]) -> Result<Self> {
        let name = component(name)?;
        match self.open(&name) {
            // Sealed by an earlier run.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied && self.is_directory(&name) => {
                self.handle.set_permissions(&name, Permissions::from_mode(WHILE_FILLED))?;
                Ok(self.open(&name)?)
            }
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                match self.handle.symlink_metadata(&name) {
                    Ok(found) if found.is_symlink() => bail!("there is a symbolic link of that name"),
                    _ => bail!("there is a file of that name"),
                }
            }
            opened => {
                let below = opened?;
                // Sealed against writing only; if it is somebody else's, writing will tell.
                if below.handle.dir_metadata()?.permissions().mode() & WHILE_FILLED != WHILE_FILLED {
                    let mode = || Permissions::from_mode(WHILE_FILLED);
                    // Who may not enter it cannot change it from within.
                    if below.handle.set_permissions(".", mode()).is_err() {
                        drop(self.handle.set_permissions(&name, mode()));
                    }
                }
                Ok(below)
            }
        }
    }

    /// Gives the directory the permission bits `mode`, after which nothing more may go into it.
    ///
    /// # Errors
    /// The system refuses.
    pub fn seal(self, mode: u32) -> Result<()> {
        // cap-std 4.0 would take some twenty system calls instead, to be sure of /proc.
        Ok(self.handle.open(".")?.into_std().set_permissions(fs::Permissions::from_mode(mode))?)
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
        content: impl FnOnce(&mut fs::File) -> Result<()>,
    ) -> Result<Outcome> {
        let mut directories = components(path)?;
        let name = directories.pop().context("it has no name")?;
        let Self { handle } = self.descend(directories)?;
        match handle.symlink_metadata(&name) {
            Ok(found) if found.is_dir() && force => bail!("there is a directory of that name"),
            Ok(_) if !force => return Ok(Outcome::Kept),
            _ => {}
        }
        match nameless::create(&handle, WHILE_WRITTEN) {
            Some(file) => write_nameless(file, &handle, Path::new(&name), mode, content)?,
            None => write_named(&handle, &name, mode, content)?,
        }
        Ok(Outcome::Written)
    }

    fn descend(&self, names: Vec<OsString>) -> Result<Self> {
        let mut directory = Self { handle: self.handle.try_clone()? };
        for name in names {
            let below =
                directory.open(&name).map_err(|error| match directory.handle.symlink_metadata(&name) {
                    Ok(found) if found.is_symlink() => anyhow!("it is a symbolic link"),
                    _ => error.into(),
                });
            directory = below.with_context(|| format!("opening directory {name:?}"))?;
        }
        Ok(directory)
    }

    /// Opens the directory `name`, after it has made it if need be.
    fn open(&self, name: &OsStr) -> io::Result<Self> {
        let mut builder = DirBuilder::new();
        builder.mode(WHILE_FILLED);
        match self.handle.create_dir_with(name, &builder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        Ok(Self { handle: self.handle.open_dir_nofollow(name)? })
    }

    fn is_directory(&self, name: &OsStr) -> bool {
        self.handle.symlink_metadata(name).is_ok_and(|found| found.is_dir())
    }
}

fn make_all(path: &Path, mode: u32) -> Result<()> {
    if path.as_os_str().is_empty() || path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent() {
        make_all(above, mode)?;
    }
    let make = || match fs::DirBuilder::new().mode(WHILE_FILLED).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        // Another one made it at the same time.
        Err(_) => Ok(()),
        Ok(()) => fs::set_permissions(path, fs::Permissions::from_mode(mode)),
    };
    make().with_context(|| format!("making directory {path:?}"))
}

impl AsFd for Directory {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

/// Whether `path` can be one beneath a directory: names joined by `/`, each a normal one.
///
/// # Errors
/// A component of `path` is not a normal name.
pub fn check_path(path: &[u8]) -> Result<()> {
    ensure!(!path.starts_with(b"/"), "it is not relative");
    path.split(|&byte| byte == b'/').try_for_each(check_name)
}

fn list_files(directory: &Dir, above: &str, max: usize, files: &mut Vec<String>) {
    for entry in directory.entries().into_iter().flatten().flatten() {
        if files.len() == max {
            return;
        }
        let path = format!("{above}{}", entry.file_name().to_string_lossy());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            if let Ok(below) = directory.open_dir_nofollow(entry.file_name()) {
                list_files(&below, &format!("{path}/"), max, files);
            }
        } else {
            files.push(path);
        }
    }
}

fn write_nameless(
    mut file: fs::File,
    directory: &Dir,
    name: &Path,
    mode: u32,
    content: impl FnOnce(&mut fs::File) -> Result<()>,
) -> Result<()> {
    content(&mut file)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    match nameless::name(&file, directory, name) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Ok(nameless::name_instead(&file, directory, name)?)
        }
        named => Ok(named?),
    }
}

/// The same where the file system, or a guest without /proc, has no files without a name.
fn write_named(
    directory: &Dir,
    name: &OsStr,
    mode: u32,
    content: impl FnOnce(&mut fs::File) -> Result<()>,
) -> Result<()> {
    let temporary = nameless::random_name();
    let mut options = OpenOptions::new();
    let file = directory.open_with(&temporary, options.write(true).create_new(true).mode(WHILE_WRITTEN))?;
    let mut file = file.into_std();
    content(&mut file)
        .and_then(|()| {
            file.set_permissions(fs::Permissions::from_mode(mode))?;
            Ok(directory.rename(&temporary, directory, name)?)
        })
        .inspect_err(|_| drop(directory.remove_file(&temporary)))
}

/// The components of `path`, each of which is one normal name.
fn components(path: &[u8]) -> Result<Vec<OsString>> {
    path.split(|&byte| byte == b'/').map(component).collect()
}

fn component(name: &[u8]) -> Result<OsString> {
    check_name(name)?;
    Ok(OsStr::from_bytes(name).to_owned())
}

fn check_name(name: &[u8]) -> Result<()> {
    ensure!(!matches!(name, b"" | b"." | b".."), "a name is empty, '.' or '..'");
    ensure!(!name.contains(&b'/'), "a name has a '/'");
    ensure!(!name.contains(&0), "a name has a NUL character");
    ensure!(name.len() <= NAME_BYTES, "a name is longer than {NAME_BYTES} bytes");
    Ok(())
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
        for content in ["1", "2"] {
            write_named(&root.handle, OsStr::new("file"), 0o640, |file| {
                Ok(file.write_all(content.as_bytes())?)
            })?;
            assert_eq!(fs::read_to_string(directory.path().join("file"))?, content);
        }
        assert!(write_named(&root.handle, OsStr::new("file"), 0o640, |_| bail!("no")).is_err());
        assert_eq!(fs::metadata(directory.path().join("file"))?.permissions().mode() & 0o7777, 0o640);
        assert_eq!(fs::read_dir(directory.path())?.count(), 1);
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
