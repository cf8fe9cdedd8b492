//! A file that is being written, and the name that it will get.
//!
//! The only place that decides how: where the file system has files without a name (`O_TMPFILE`), the file gets a name when it
//! is complete; elsewhere it is a named temporary file until then.

use std::{
    ffi::{OsStr, OsString},
    fs::{File, Permissions},
    io,
    os::{
        fd::OwnedFd,
        unix::fs::{MetadataExt, PermissionsExt},
    },
    sync::Arc,
};

use super::{
    leftover,
    temporary::{Temporary, uninterrupted, uninterrupted_at_last},
};
use crate::os;

/// A file that nobody sees until it gets its name.
#[derive(Debug)]
pub(super) struct Unfinished {
    /// The file to write to.
    pub(super) file: File,
    /// The name that it has until then, if it has one.
    temporary: Option<Temporary>,
    directory: Arc<OwnedFd>,
    name: OsString,
}

/// Whether a file is the last one that the process writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    GoOn,
    Finish,
}

impl Unfinished {
    /// Creates the file that will be called `name`, with these permission bits less those of the umask.
    ///
    /// # Errors
    /// Fails if the system refuses.
    pub(super) fn create(directory: &Arc<OwnedFd>, name: &OsStr, mode: u32) -> io::Result<Self> {
        match os::create_unnamed(directory, mode) {
            Some(file) => {
                let (directory, name) = (Arc::clone(directory), name.to_owned());
                Ok(Self { file, temporary: None, directory, name })
            }
            None => Self::create_named(directory, name, mode),
        }
    }

    /// As [`Unfinished::create`], for a file system that has no files without a name, or a guest without `/proc`.
    pub(super) fn create_named(directory: &Arc<OwnedFd>, name: &OsStr, mode: u32) -> io::Result<Self> {
        let (file, temporary) = Temporary::create(directory, name, mode)?;
        let (directory, name) = (Arc::clone(directory), name.to_owned());
        Ok(Self { file, temporary: Some(temporary), directory, name })
    }

    /// The directory that it is in.
    pub(super) fn directory(&self) -> &Arc<OwnedFd> {
        &self.directory
    }

    /// The name that it will get.
    pub(super) fn name(&self) -> &OsStr {
        &self.name
    }

    /// Gives it exactly these permission bits, if it has others: the umask or an access control list may have changed those
    /// that it was created with. Returns whether it had them.
    ///
    /// # Errors
    /// Fails if the system refuses.
    pub(super) fn correct_mode(&self, mode: u32) -> io::Result<bool> {
        let is_exact = self.file.metadata()?.mode() & 0o7777 == mode;
        if !is_exact {
            self.set_mode(mode)?;
        }
        Ok(is_exact)
    }

    /// Gives it exactly these permission bits.
    ///
    /// # Errors
    /// Fails if the system refuses.
    pub(super) fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.file.set_permissions(Permissions::from_mode(mode))
    }

    /// Gives it its name if the name is free. `false`: something has the name, or the file system cannot tell.
    ///
    /// `is_clean`: the directory is known to have no leftover of an earlier run. Otherwise the one of this name is removed.
    ///
    /// # Errors
    /// Fails if the system refuses.
    pub(super) fn take_free_name(&mut self, is_clean: bool) -> io::Result<bool> {
        let taken = match &mut self.temporary {
            Some(temporary) => temporary.rename(&self.name),
            None => os::name_unnamed(&self.file, &self.directory, &self.name),
        };
        match taken {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
            Ok(()) => {
                if self.temporary.is_none() && !is_clean {
                    leftover::remove_of(&self.directory, &self.name);
                }
                Ok(true)
            }
        }
    }

    /// Gives it its name, and replaces the file that has the name.
    ///
    /// # Errors
    /// Fails if a directory has the name, or the system refuses.
    pub(super) fn replace(&mut self, then: Then) -> io::Result<()> {
        let Self { file, temporary, directory, name } = self;
        let work = || match temporary {
            Some(temporary) => temporary.rename_over(name),
            None => {
                leftover::replace(file, directory, name, |name| os::name_unnamed(file, &*directory, name))
            }
        };
        match then {
            Then::GoOn => uninterrupted(work),
            Then::Finish => uninterrupted_at_last(work),
        }
    }
}
