//! Finds where the path of a file or directory to write leads.
//!
//! A path is resolved one name at a time, each in the open directory that the last one led to, so that what was found is what
//! is used. Symbolic links are followed as Linux follows them when `fs.protected_symlinks` is set (proc(5)), even where it is
//! not set: in a sticky directory that everybody may write to, such as `/tmp`, only links of the caller or of the directory's
//! owner are followed. A link in `/proc` is never followed, since it may lead anywhere, even to a file without a name.

mod path_walk;

use std::{
    ffi::OsString,
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};

use crate::error::{Result, bail, ensure, error};
use rustix::{
    fs::{AtFlags, FileType, Stat, statat},
    io::Errno,
};

use path_walk::{PathWalk, Step, WalkError, is_link, is_normal};

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
    /// What is there, if there is something.
    pub(super) found: Option<Stat>,
}

/// Finds where the file `path` is, or would be.
///
/// # Errors
/// Fails if something other than a regular file is there, its directory does not exist, or a link must not be followed.
pub(super) fn file(path: &Path) -> Result<ResolvedFile> {
    find(path, check_regular)
}

/// Finds where the file or the device `path` is, or would be.
///
/// # Errors
/// Fails as [`file()`] does, but not for a device or a FIFO.
pub(super) fn any_file(path: &Path) -> Result<ResolvedFile> {
    find(path, |_| Ok(()))
}

fn find(path: &Path, check: fn(&Stat) -> Result<()>) -> Result<ResolvedFile> {
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
                    check(found)?;
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

/// Whether `path` is a usual name of standard output.
fn is_standard_output(path: &Path) -> bool {
    ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"].iter().any(|name| path == Path::new(name))
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
