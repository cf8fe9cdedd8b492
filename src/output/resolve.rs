//! Finds where the path of a file or directory to write leads.
//!
//! A path is resolved one name at a time, each in the open directory that the last one led to, so that what was found is what
//! is used. Symbolic links are followed as Linux follows them when `fs.protected_symlinks` is set (proc(5)), even where it is
//! not set: in a sticky directory that everybody may write to, such as `/tmp`, only links of the caller or of the directory's
//! owner are followed. A link in `/proc` is never followed, since it may lead anywhere, even to a file without a name.

use std::{
    ffi::{OsStr, OsString},
    fmt, io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

use crate::error::{Result, bail, ensure, error};
use rustix::{
    fs::{
        AtFlags, CWD, Dir, FileType, Mode, OFlags, PROC_SUPER_MAGIC, Stat, fchmod, fstat, fstatfs, mkdirat,
        openat, readlinkat, statat,
    },
    io::Errno,
    process::geteuid,
};

use super::handle::{open_directory, open_to_change};

/// How many symbolic links are followed: as many as Linux follows (`path_resolution(7)`).
const LINKS_MAX: usize = 40;

/// Permission bits of a directory while it is being filled.
pub(super) const WHILE_FILLED: u32 = 0o700;

/// Permission bits of a directory in which another user's link may be a trap: sticky, and everybody may write.
pub(super) const STICKY_AND_WRITABLE: u32 = 0o1002;

/// Where a file is, or would be.
#[derive(Debug)]
pub(super) struct ResolvedFile {
    pub(super) directory: OwnedFd,
    pub(super) name: OsString,
    /// Its path, for people to read.
    pub(super) path: PathBuf,
    /// The regular file that is there, if there is one.
    pub(super) found: Option<Stat>,
}

/// Finds where the file `path` is, or would be.
///
/// # Errors
/// Fails if something other than a regular file is there, its directory does not exist, or a link must not be followed.
pub(super) fn file(path: &Path) -> Result<ResolvedFile> {
    ensure!(!path.as_os_str().as_bytes().ends_with(b"/"), "the path ends in '/', so it names a directory");
    let mut walk = PathWalk::new(path)?;
    while let Some(Step { name, .. }) = walk.steps.pop() {
        let entered = if walk.steps.is_empty() && is_normal(&name) {
            let found = match statat(&walk.directory, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(found) => Some(found),
                Err(Errno::NOENT) => None,
                Err(error) => return Err(io::Error::from(error).into()),
            };
            if !found.is_some_and(|found| is_link(&found)) {
                if let Some(found) = &found {
                    check_regular(found)?;
                }
                let path = walk.shown.join(&name);
                return Ok(ResolvedFile { directory: walk.directory, name, path, found });
            }
            walk.follow(&name)
        } else {
            walk.enter(&name)
        };
        entered.map_err(|error| match error {
            WalkError::System(Errno::NOENT) => {
                error!("directory {:?} does not exist", walk.parent_with(&name))
            }
            WalkError::Proc if is_standard_output(path) => {
                error!("the path leads through /proc (use '-' for standard output)")
            }
            error => error.into(),
        })?;
    }
    ensure!(!path.as_os_str().is_empty(), "the path is empty");
    // It ends in "." or "..".
    bail!("is a directory")
}

/// Which missing directories are made.
#[derive(Clone, Copy, Debug)]
pub(super) enum Missing {
    /// The last one, with permission bits 0700.
    Last,
    /// All, with exactly these permission bits.
    All(u32),
}

/// Opens the directory `path` to work beneath it, and makes those directories that `missing` says.
///
/// # Errors
/// Fails if it is not a directory, cannot be made or opened, or a link must not be followed.
pub(super) fn directory(path: &Path, missing: Missing) -> Result<OwnedFd> {
    let mut walk = PathWalk::new(path)?;
    if walk.steps.is_empty() && path.as_os_str().is_empty() {
        return Err(io::Error::from(Errno::NOENT).into());
    }
    while let Some(Step { name, of_link }) = walk.steps.pop() {
        let entered = match walk.enter(&name) {
            // The directory that a link leads to is not made.
            Err(WalkError::System(Errno::NOENT)) if !of_link && is_normal(&name) => match missing {
                Missing::All(mode) => walk.make(&name, Some(mode)),
                Missing::Last if walk.steps.iter().all(|step| step.name == ".") => walk.make(&name, None),
                Missing::Last => Err(Errno::NOENT.into()),
            },
            entered => entered,
        };
        entered?;
    }
    Ok(walk.directory)
}

/// Why a path cannot be resolved.
#[derive(Debug)]
enum WalkError {
    System(Errno),
    Loop,
    /// A link is in `/proc`.
    Proc,
    /// The link may be a trap.
    Planted(PathBuf),
    /// What is there is not the directory that was just made.
    Exchanged(PathBuf),
}

impl From<Errno> for WalkError {
    fn from(error: Errno) -> Self {
        Self::System(error)
    }
}

impl From<WalkError> for crate::error::Error {
    fn from(error: WalkError) -> Self {
        match error {
            WalkError::System(error) => io::Error::from(error).into(),
            error => error!("{error}"),
        }
    }
}

impl fmt::Display for WalkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::System(error) => error.fmt(f),
            Self::Loop => f.write_str("too many levels of symbolic links"),
            Self::Proc => {
                f.write_str("the path leads through a link in /proc (give the path that it leads to)")
            }
            Self::Planted(path) => write!(
                f,
                "{path:?} is another user's symbolic link in a directory that everybody may write to \
                 (give the path that it leads to, or remove it)"
            ),
            Self::Exchanged(path) => write!(
                f,
                "{path:?} is not the directory that was just made; another user may have put it there \
                 (make the directory first)"
            ),
        }
    }
}

/// A path that is resolved in part.
struct PathWalk {
    /// Where it has led so far.
    directory: OwnedFd,
    /// The path of that, for people to read.
    shown: PathBuf,
    /// What is left of it, the next step last.
    steps: Vec<Step>,
    links: usize,
}

struct Step {
    name: OsString,
    /// Whether it comes from a link, and not from the caller.
    of_link: bool,
}

impl PathWalk {
    fn new(path: &Path) -> Result<Self> {
        let start = if path.is_absolute() { "/" } else { "." };
        let directory = open_directory(CWD, start).map_err(io::Error::from)?;
        let shown = if path.is_absolute() { "/".into() } else { PathBuf::new() };
        let mut walk = Self { directory, shown, steps: Vec::new(), links: 0 };
        walk.push(path.as_os_str(), false);
        Ok(walk)
    }

    /// Adds what comes next.
    fn push(&mut self, path: &OsStr, of_link: bool) {
        let mut names = path.as_bytes().rsplit(|&byte| byte == b'/');
        // A path that ends in a slash is a directory.
        let last = names.next().map(|name| if name.is_empty() && !path.is_empty() { b"." } else { name });
        let names = last.into_iter().chain(names.filter(|name| *name != b"."));
        let names = names.filter(|name| !name.is_empty());
        self.steps.extend(names.map(|name| Step { name: OsStr::from_bytes(name).to_owned(), of_link }));
    }

    /// Goes to the directory `name`, or begins to follow the link of that name.
    fn enter(&mut self, name: &OsStr) -> Result<(), WalkError> {
        match open_directory(&self.directory, name) {
            Ok(directory) => self.arrive(directory, name),
            Err(Errno::NOTDIR) => return self.follow(name),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    fn arrive(&mut self, directory: OwnedFd, name: &OsStr) {
        self.directory = directory;
        if name != "." {
            self.shown.push(name);
        }
    }

    /// Begins to follow the link `name`.
    fn follow(&mut self, name: &OsStr) -> Result<(), WalkError> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let link = openat(&self.directory, name, flags, Mode::empty())?;
        let found = fstat(&link)?;
        if !is_link(&found) {
            return Err(Errno::NOTDIR.into());
        }
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(WalkError::Loop);
        }
        if fstatfs(&link)?.f_type == PROC_SUPER_MAGIC {
            return Err(WalkError::Proc);
        }
        if !may_follow(&fstat(&self.directory)?, found.st_uid, geteuid().as_raw()) {
            return Err(WalkError::Planted(self.shown.join(name)));
        }
        let text = readlinkat(&link, "", Vec::new())?;
        let text = OsStr::from_bytes(text.as_bytes());
        if text.as_bytes().starts_with(b"/") {
            self.directory = open_directory(CWD, "/")?;
            self.shown = "/".into();
        }
        self.push(text, true);
        Ok(())
    }

    /// Makes the directory `name` and enters it.
    fn make(&mut self, name: &OsStr, mode: Option<u32>) -> Result<(), WalkError> {
        let wanted = Mode::from_raw_mode(mode.unwrap_or(WHILE_FILLED));
        let is_ours = match mkdirat(&self.directory, name, wanted) {
            Ok(()) => true,
            // Another process made it at the same time.
            Err(Errno::EXIST) => false,
            Err(error) => return Err(error.into()),
        };
        let exchanged = || WalkError::Exchanged(self.shown.join(name));
        let directory = open_directory(&self.directory, name).map_err(|error| match error {
            Errno::NOTDIR | Errno::NOENT => exchanged(),
            error => error.into(),
        })?;
        if is_ours {
            let own = fstat(&directory)?;
            if own.st_uid != geteuid().as_raw() {
                return Err(exchanged());
            }
            // Others may have moved another directory of the caller there, which is not empty. Where they cannot, another
            // process of the caller may have begun to fill this one.
            let readable = open_to_change(&directory)?;
            if others_may_rename(&fstat(&self.directory)?) && !is_empty(&readable)? {
                return Err(exchanged());
            }
            // The umask may have removed bits.
            if mode.is_some() && Mode::from_raw_mode(own.st_mode) != wanted {
                fchmod(&readable, wanted)?;
            }
        }
        self.arrive(directory, name);
        Ok(())
    }

    /// The directory that the last name of the path is in, when the next step is `name`.
    fn parent_with(&self, name: &OsStr) -> PathBuf {
        let mut names: Vec<_> = self.steps.iter().rev().map(|step| &*step.name).collect();
        names.insert(0, name);
        names.pop();
        let parent = names.iter().fold(self.shown.clone(), |path, name| path.join(name));
        if parent.as_os_str().is_empty() { ".".into() } else { parent }
    }
}

/// Whether the caller may follow a link that the user `owner` owns in `directory`: `may_follow_link` in Linux, `fs/namei.c`.
fn may_follow(directory: &Stat, owner: u32, caller: u32) -> bool {
    owner == caller
        || directory.st_mode & STICKY_AND_WRITABLE != STICKY_AND_WRITABLE
        || owner == directory.st_uid
}

/// Whether anybody but the caller and root may rename the caller's files in a directory: they own it, or may write to it and
/// it is not sticky.
fn others_may_rename(directory: &Stat) -> bool {
    let (owner, mode) = (directory.st_uid, directory.st_mode);
    owner != geteuid().as_raw() && owner != 0 || mode & 0o022 != 0 && mode & 0o1000 == 0
}

fn is_link(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::Symlink
}

fn is_normal(name: &OsStr) -> bool {
    name != "." && name != ".."
}

/// Whether `path` is a usual name of standard output.
fn is_standard_output(path: &Path) -> bool {
    ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|name| path == Path::new(name))
}

fn is_empty(directory: &OwnedFd) -> Result<bool, Errno> {
    for entry in Dir::read_from(directory)? {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

pub(super) fn check_regular(found: &Stat) -> Result<()> {
    match FileType::from_raw_mode(found.st_mode) {
        FileType::RegularFile => Ok(()),
        FileType::Directory => bail!("is a directory"),
        FileType::BlockDevice | FileType::CharacterDevice => bail!("is a device"),
        _ => bail!("not a regular file"),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::unix::fs::{MetadataExt, symlink},
    };

    use super::*;

    #[test]
    fn a_link_is_followed_as_linux_follows_protected_ones() -> Result<()> {
        let of = |mode, owner| {
            let mut found = fstat(open_directory(CWD, "/")?)?;
            (found.st_mode, found.st_uid) = (mode, owner);
            Ok::<_, Errno>(found)
        };
        for (mode, directory, link, caller, expected) in [
            (0o041_777, 0, 7, 0, false),
            (0o041_777, 0, 7, 8, false),
            (0o041_777, 0, 7, 7, true),
            (0o041_777, 7, 7, 0, true),
            (0o041_777, 0, 0, 8, true),
            // Not sticky, or not for everybody to write to.
            (0o040_777, 0, 7, 0, true),
            (0o041_775, 0, 7, 0, true),
        ] {
            let found = may_follow(&of(mode, directory)?, link, caller);
            assert_eq!(found, expected, "{mode:o} {directory} {link} {caller}");
        }
        Ok(())
    }

    #[test]
    fn a_path_leads_where_the_system_would_go() -> Result<()> {
        let sandbox = tempfile::tempdir()?;
        let path = |name: &str| sandbox.path().join(name);
        fs::create_dir_all(path("a/b"))?;
        fs::write(path("a/b/file"), "")?;
        for (target, link) in [
            ("a", "relative"),
            ("b/file", "a/file"),
            ("../../relative/./b", "a/b/round"),
            ("b/absent", "a/dangling"),
            ("loop", "loop"),
        ] {
            symlink(target, path(link))?;
        }
        symlink(path("a/b"), path("absolute"))?;
        for (asked, expected) in [
            ("a/b/file", Ok("a/b/file")),
            ("relative//b/./file", Ok("a/b/file")),
            ("relative/b/../file", Ok("a/b/file")),
            ("absolute/round/round/file", Ok("a/b/file")),
            ("a/dangling", Ok("a/b/absent")),
            ("absolute/../new", Ok("a/new")),
            ("relative", Err("is a directory")),
            ("a/b/..", Err("is a directory")),
            ("a/b/file/", Err("the path ends in '/', so it names a directory")),
            ("a/b/file/x", Err("Not a directory (os error 20)")),
            ("loop", Err("too many levels of symbolic links")),
            ("loop/x", Err("too many levels of symbolic links")),
        ] {
            match (file(&path(asked)), expected) {
                (Ok(place), Ok(expected)) => {
                    let canonical = fs::canonicalize(path(expected).parent().unwrap_or(Path::new("/")))?;
                    let shown = fs::canonicalize(place.path.parent().unwrap_or(Path::new("/")))?;
                    assert_eq!(
                        (shown, Some(&*place.name)),
                        (canonical, path(expected).file_name()),
                        "{asked}"
                    );
                    assert_eq!(place.found.is_some(), path(expected).exists(), "{asked}");
                }
                (Err(error), Err(expected)) => assert_eq!(format!("{error:#}"), expected, "{asked}"),
                (found, _) => panic!("{asked}: {found:?}"),
            }
        }
        let error = file(&path("absent/b/c")).map(drop).map_err(|error| error.to_string());
        assert_eq!(error, Err(format!("directory {:?} does not exist", path("absent/b"))));
        Ok(())
    }

    #[test]
    fn forty_links_are_followed_and_no_more() -> Result<()> {
        let sandbox = tempfile::tempdir()?;
        let path = |name: usize| sandbox.path().join(name.to_string());
        fs::write(path(0), "")?;
        for number in 1..=41 {
            symlink((number - 1).to_string(), path(number))?;
        }
        assert_eq!(file(&path(40))?.name, "0");
        assert!(file(&path(41)).is_err());
        Ok(())
    }

    #[test]
    fn directories_are_made_where_the_path_says_and_not_where_a_link_does() -> Result<()> {
        let sandbox = tempfile::tempdir()?;
        let path = |name: &str| sandbox.path().join(name);
        let mode = |name: &str| fs::metadata(path(name)).map(|found| found.mode() & 0o7777);
        directory(&path("a/../a/b//"), Missing::All(0o711))?;
        assert_eq!([mode("a")?, mode("a/b")?], [0o711; 2]);
        directory(&path("c/"), Missing::Last)?;
        directory(&path("c/."), Missing::Last)?;
        assert_eq!(mode("c")?, 0o700);
        assert!(directory(&path("d/e"), Missing::Last).is_err());
        assert!(directory(Path::new(""), Missing::All(0o700)).is_err());
        symlink("absent", path("link"))?;
        for missing in [Missing::Last, Missing::All(0o700)] {
            assert!(directory(&path("link"), missing).is_err());
            assert!(directory(&path("link/x"), missing).is_err());
        }
        let mut names: Vec<_> =
            fs::read_dir(sandbox.path())?.flatten().map(|entry| entry.file_name()).collect();
        names.sort();
        assert_eq!(names, ["a", "c", "link"]);
        Ok(())
    }
}
