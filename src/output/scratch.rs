//! A directory for a file that another program writes, and the mask of new files.

use std::{
    ffi::OsStr,
    fs::{File, Permissions},
    io,
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    path::{self, Path, PathBuf},
    sync::Arc,
};

use rustix::{fs::Mode, process};
use tempfile::TempDir;

use super::temporary::{Listed, Location};
use crate::os;

/// A directory in that for temporary files, which nobody else may enter. It is removed with the file in it when this is dropped, or by
/// [`remove_temporaries_and`](super::temporary::remove_temporaries_and).
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    // Removed before it is no longer listed.
    _directory: TempDir,
    _listed: Listed,
}

impl Scratch {
    /// Makes the directory for a file called `name`, which is not made.
    ///
    /// # Errors
    /// Fails if the system refuses.
    pub fn new(name: &OsStr) -> io::Result<Self> {
        let parent = path::absolute(std::env::temp_dir())?;
        let (directory, listed) = Listed::create(|| {
            let directory = tempfile::Builder::new()
                .prefix(".metadata-")
                .permissions(Permissions::from_mode(0o700))
                .tempdir_in(&parent)?;
            let open = |path: &Path| File::open(path).map(|opened| Arc::new(OwnedFd::from(opened)));
            let own_name = directory.path().file_name().unwrap_or_default().to_owned();
            let locations = vec![
                Location::of_directory(&open(&parent)?, own_name),
                Location::of_file(&open(directory.path())?, name.to_owned()),
            ];
            Ok((directory, locations))
        })?;
        Ok(Self { path: directory.path().join(name), _directory: directory, _listed: listed })
    }

    /// The absolute path of the file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The permission bits that the system removes from those of a new file.
#[must_use]
pub fn umask() -> u32 {
    // There is no call that only reads it. Files that other threads make meanwhile are the caller's alone.
    let mask = process::umask(Mode::RWXG | Mode::RWXO);
    process::umask(mask);
    os::bits(mask)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _};

    use super::*;
    use crate::output::temporary::count_in;

    #[test]
    fn the_directory_goes_with_the_file_in_it() {
        let scratch = Scratch::new(OsStr::new("disk.vmdk")).unwrap();
        let directory = scratch.path().parent().unwrap().to_owned();
        assert!(scratch.path().is_absolute() && scratch.path().ends_with("disk.vmdk"));
        assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(count_in(&directory), 1);
        fs::write(scratch.path(), "image").unwrap();
        drop(scratch);
        assert!(!directory.exists());
    }

    #[test]
    fn a_new_file_has_the_bits_that_the_mask_leaves() {
        let directory = tempfile::tempdir().unwrap();
        let file = File::create(directory.path().join("file")).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o666 & !umask());
    }
}
