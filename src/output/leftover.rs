//! Names of temporary files, and the files that a killed process left behind.
//!
//! A link replaces nothing, and a rename needs an old name. So a file that replaces another one has a temporary name at least
//! for a moment, and SIGKILL in that moment leaves it behind. The next run over the same target finds it: the temporary name
//! is derived from the target's, and the file is locked (flock(2)) as long as a process works on it. A file of that name that
//! is not locked is a leftover. Where two processes run at once, or the file system has no locks, the name is random.

use std::{
    collections::hash_map::RandomState,
    ffi::{OsStr, OsString},
    fs::File,
    hash::BuildHasher,
    io,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
};

use rustix::{
    fs::{AtFlags, Dir, DirEntry, FileType, Mode, OFlags, Stat, fstat, openat, renameat, statat, unlinkat},
    io::Errno,
    process::geteuid,
};

use crate::os;

use super::{
    file_lock::{Lock, try_lock},
    handle::open_readable,
};

/// How the name of a temporary begins.
const PREFIX: &str = ".metadata-";

/// How often a name is tried again after its leftover was removed: another process may take it first.
const TRIES_MAX: usize = 4;

/// The name of a temporary file that is to replace `target`, always the same: FNV-1a of 64 bits
/// (Fowler, Noll and Vo, draft-eastlake-fnv).
fn derived_name(target: &OsStr) -> OsString {
    let hash = target.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{PREFIX}{hash:016x}").into()
}

/// A name that no other file has.
fn random_name() -> OsString {
    format!("{PREFIX}{:016x}", RandomState::new().hash_one(std::process::id())).into()
}

/// Creates a temporary file that is to replace `target`, and returns it with its name.
///
/// # Errors
/// Fails if the system refuses.
pub(super) fn create(directory: &OwnedFd, target: &OsStr, mode: u32) -> io::Result<(File, OsString)> {
    let create = |name: &OsStr| -> io::Result<File> {
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(openat(directory, name, flags, os::mode(mode))?.into())
    };
    let create_locked = |name: &OsStr| {
        let file = create(name)?;
        match try_lock(&file)? {
            Lock::Held if is_named(directory, name, &fstat(&file)?) => Ok(Some(file)),
            // Another process took it for a leftover before it was locked.
            Lock::Held | Lock::Busy => Err(io::ErrorKind::AlreadyExists.into()),
            Lock::Unsupported => {
                unlinkat(directory, name, AtFlags::empty())?;
                Ok(None)
            }
        }
    };
    if let Some((Some(file), derived)) = with_derived_name(directory, target, create_locked)? {
        return Ok((file, derived));
    }
    let random = random_name();
    Ok((create(&random)?, random))
}

/// Replaces `target` with `file`, to which `link` first gives a temporary name.
///
/// # Errors
/// Fails if a directory has the name `target`, or the system refuses.
pub(super) fn replace(
    file: &File,
    directory: &OwnedFd,
    target: &OsStr,
    link: impl Fn(&OsStr) -> io::Result<()>,
) -> io::Result<()> {
    let temporary = link_temporarily(file, directory, target, link)?;
    let renamed = renameat(directory, &temporary, directory, target);
    if renamed.is_err() {
        unlinkat(directory, &temporary, AtFlags::empty())?;
    }
    Ok(renamed?)
}

fn link_temporarily(
    file: &File,
    directory: &OwnedFd,
    target: &OsStr,
    link: impl Fn(&OsStr) -> io::Result<()>,
) -> io::Result<OsString> {
    if try_lock(file)? == Lock::Held
        && let Some(((), derived)) = with_derived_name(directory, target, &link)?
    {
        return Ok(derived);
    }
    let random = random_name();
    link(&random)?;
    Ok(random)
}

/// Makes something of the name derived from `target`, after removing a leftover of that name. `None`: another process uses
/// the name.
fn with_derived_name<T>(
    directory: &OwnedFd,
    target: &OsStr,
    make: impl Fn(&OsStr) -> io::Result<T>,
) -> io::Result<Option<(T, OsString)>> {
    let derived = derived_name(target);
    for _ in 0..TRIES_MAX {
        match make(&derived) {
            Ok(file) => return Ok(Some((file, derived))),
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Err(_) if remove(directory, &derived) => {}
            Err(_) => break,
        }
    }
    Ok(None)
}

/// Removes the temporary file that a killed process left when it was to replace `target`.
pub(super) fn remove_of(directory: &OwnedFd, target: &OsStr) {
    remove(directory, &derived_name(target));
}

/// Whether there may be leftovers in a directory.
pub(super) fn may_be_in(directory: &OwnedFd) -> bool {
    let Ok(entries) = open_readable(directory).and_then(Dir::read_from) else { return true };
    let is_one = |entry: Result<DirEntry, Errno>| {
        entry.map_or(true, |entry| entry.file_name().to_bytes().starts_with(PREFIX.as_bytes()))
    };
    entries.into_iter().any(is_one)
}

/// Removes the file `name` if it is a leftover, and returns whether the name is free.
fn remove(directory: &OwnedFd, name: &OsStr) -> bool {
    let found = match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(found) => found,
        Err(error) => return error == Errno::NOENT,
    };
    // Opening anything else may have side effects.
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile || found.st_uid != geteuid().as_raw() {
        return false;
    }
    let open = |access: OFlags| {
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        openat(directory, name, flags, Mode::empty())
    };
    let file = match open(OFlags::RDWR).or_else(|_| open(OFlags::RDONLY)) {
        Ok(file) => File::from(file),
        Err(error) => return error == Errno::NOENT,
    };
    match (try_lock(&file), fstat(&file)) {
        (Ok(Lock::Held), Ok(opened)) if os::is_same_file(&opened, &found) => {
            // A process that renames it keeps it locked until it has its name.
            !is_named(directory, name, &opened) || unlinkat(directory, name, AtFlags::empty()).is_ok()
        }
        _ => false,
    }
}

fn is_named(directory: &OwnedFd, name: &OsStr, file: &Stat) -> bool {
    statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|named| os::is_same_file(&named, file))
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Write, os::unix::fs::symlink, path::Path};

    use tempfile::TempDir;

    use super::*;
    use crate::{os, output::handle::open_directory};

    const TARGET: &str = "meta.iso";

    fn sandbox() -> (TempDir, OwnedFd) {
        let sandbox = TempDir::new().unwrap();
        let handle = open_directory(rustix::fs::CWD, sandbox.path()).unwrap();
        (sandbox, handle)
    }

    /// Replaces the target with a file of this content.
    fn put(sandbox: &Path, directory: &OwnedFd, content: &str) -> io::Result<()> {
        let mut file = tempfile::tempfile_in(sandbox)?;
        file.write_all(content.as_bytes())?;
        let link = |name: &OsStr| os::name_unnamed(&file, directory, name);
        replace(&file, directory, OsStr::new(TARGET), link)
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_name_is_always_the_same() {
        assert_eq!(derived_name(OsStr::new("")), ".metadata-cbf29ce484222325");
        assert_eq!(derived_name(OsStr::new("foobar")), ".metadata-85944171f73967e8");
    }

    #[test]
    fn a_leftover_is_removed_when_the_same_target_is_replaced_created_or_named() -> io::Result<()> {
        let (sandbox, directory) = sandbox();
        let leftover = sandbox.path().join(derived_name(OsStr::new(TARGET)));
        for mode in [0o600, 0o400, 0o200] {
            fs::write(&leftover, "left")?;
            fs::set_permissions(&leftover, std::os::unix::fs::PermissionsExt::from_mode(mode))?;
            put(sandbox.path(), &directory, "new")?;
            assert_eq!(names(sandbox.path()), [TARGET]);
            assert_eq!(fs::read(sandbox.path().join(TARGET))?, b"new");
        }
        fs::write(&leftover, "left")?;
        remove_of(&directory, OsStr::new(TARGET));
        assert_eq!(names(sandbox.path()), [TARGET]);
        fs::write(&leftover, "left")?;
        let (file, name) = create(&directory, OsStr::new(TARGET), 0o600)?;
        assert_eq!((file.metadata()?.len(), sandbox.path().join(name)), (0, leftover));
        Ok(())
    }

    #[test]
    fn a_file_that_is_being_written_stays_and_both_succeed() -> io::Result<()> {
        let (sandbox, directory) = sandbox();
        let (mut first, first_name) = create(&directory, OsStr::new(TARGET), 0o600)?;
        let (_second, second_name) = create(&directory, OsStr::new(TARGET), 0o600)?;
        assert_ne!(first_name, second_name);
        put(sandbox.path(), &directory, "other")?;
        remove_of(&directory, OsStr::new(TARGET));
        first.write_all(b"first")?;
        renameat(&directory, &first_name, &directory, TARGET)?;
        assert_eq!(fs::read(sandbox.path().join(TARGET))?, b"first");
        assert_eq!(names(sandbox.path()), [second_name.to_str().unwrap(), TARGET]);
        Ok(())
    }

    #[test]
    fn links_and_directories_stay() -> io::Result<()> {
        let (sandbox, directory) = sandbox();
        let name = derived_name(OsStr::new(TARGET));
        let path = sandbox.path().join(&name);
        let outside = sandbox.path().join("outside");
        fs::write(&outside, "precious")?;
        symlink("outside", &path)?;
        put(sandbox.path(), &directory, "1")?;
        remove_of(&directory, OsStr::new(TARGET));
        assert!(fs::symlink_metadata(&path)?.is_symlink());
        fs::remove_file(&path)?;
        fs::create_dir(&path)?;
        put(sandbox.path(), &directory, "2")?;
        assert_eq!(names(sandbox.path()), [name.to_str().unwrap(), TARGET, "outside"]);
        assert_eq!(
            (fs::read(&outside)?, fs::read(sandbox.path().join(TARGET))?),
            (b"precious".into(), b"2".into())
        );
        Ok(())
    }

    #[test]
    fn a_rename_that_fails_leaves_nothing() -> io::Result<()> {
        let (sandbox, directory) = sandbox();
        fs::create_dir(sandbox.path().join(TARGET))?;
        assert!(put(sandbox.path(), &directory, "new").is_err());
        assert_eq!(names(sandbox.path()), [TARGET]);
        Ok(())
    }

    #[test]
    fn many_at_once_all_succeed_and_leave_one() {
        let (sandbox, directory) = sandbox();
        std::thread::scope(|scope| {
            for number in 0..8 {
                let (sandbox, directory) = (sandbox.path(), &directory);
                scope.spawn(move || {
                    for _ in 0..50 {
                        put(sandbox, directory, &number.to_string()).unwrap();
                        let (_file, name) = create(directory, OsStr::new(TARGET), 0o600).unwrap();
                        renameat(directory, name, directory, TARGET).unwrap();
                    }
                });
            }
        });
        assert_eq!(names(sandbox.path()), [TARGET]);
    }
}
