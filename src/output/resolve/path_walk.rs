//! A walk along a path, one name at a time, and the links on it that may be followed.

use std::{
    ffi::{OsStr, OsString},
    fmt, io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

use crate::{
    error::{Result, error},
    os,
};
use rustix::{
    fs::{CWD, Dir, FileType, Mode, Stat, fchmod, fstat, mkdirat},
    io::Errno,
};

use super::{
    super::handle::{open_directory, open_to_change},
    STICKY_AND_WRITABLE, WHILE_FILLED,
};

/// How many symbolic links are followed: as many as Linux follows (`path_resolution(7)`).
const LINKS_MAX: usize = 40;

/// Why a path cannot be resolved.
#[derive(Debug)]
pub(super) enum WalkError {
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
pub(super) struct PathWalk {
    /// Where it has led so far.
    pub(super) directory: OwnedFd,
    /// The path of that, for people to read.
    pub(super) shown: PathBuf,
    /// What is left of it, the next step last.
    pub(super) steps: Vec<Step>,
    links: usize,
}

pub(super) struct Step {
    pub(super) name: OsString,
    /// Whether it comes from a link, and not from the caller.
    pub(super) of_link: bool,
}

impl PathWalk {
    pub(super) fn new(path: &Path) -> Result<Self> {
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
    pub(super) fn enter(&mut self, name: &OsStr) -> Result<(), WalkError> {
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
    pub(super) fn follow(&mut self, name: &OsStr) -> Result<(), WalkError> {
        let link = os::read_link(&self.directory, name)?.ok_or(Errno::NOTDIR)?;
        self.links += 1;
        if self.links > LINKS_MAX {
            return Err(WalkError::Loop);
        }
        if link.is_in_proc {
            return Err(WalkError::Proc);
        }
        if !may_follow(&fstat(&self.directory)?, link.owner, os::effective_user()) {
            return Err(WalkError::Planted(self.shown.join(name)));
        }
        let text = OsStr::from_bytes(link.target.as_bytes());
        if text.as_bytes().starts_with(b"/") {
            self.directory = open_directory(CWD, "/")?;
            self.shown = "/".into();
        }
        self.push(text, true);
        Ok(())
    }

    /// Makes the directory `name` and enters it.
    pub(super) fn make(&mut self, name: &OsStr, mode: Option<u32>) -> Result<(), WalkError> {
        let wanted = os::mode(mode.unwrap_or(WHILE_FILLED));
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
            if own.st_uid != os::effective_user() {
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
    pub(super) fn parent_with(&self, name: &OsStr) -> PathBuf {
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
        || os::mode_bits(directory) & STICKY_AND_WRITABLE != STICKY_AND_WRITABLE
        || owner == directory.st_uid
}

/// Whether anybody but the caller and root may rename the caller's files in a directory: they own it, or may write to it and
/// it is not sticky.
fn others_may_rename(directory: &Stat) -> bool {
    let (owner, mode) = (directory.st_uid, os::mode_bits(directory));
    owner != os::effective_user() && owner != 0 || mode & 0o022 != 0 && mode & 0o1000 == 0
}

pub(super) fn is_link(found: &Stat) -> bool {
    FileType::from_raw_mode(found.st_mode) == FileType::Symlink
}

pub(super) fn is_normal(name: &OsStr) -> bool {
    name != "." && name != ".."
}

fn is_empty(directory: &OwnedFd) -> Result<bool, Errno> {
    for entry in Dir::read_from(directory)? {
        if !matches!(entry?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
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
}
