//! A file that is being written, and the name that it will get: without a name meanwhile where the file system knows such
//! files, as a temporary elsewhere.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::fd::OwnedFd,
    sync::Arc,
};

use super::{
    leftover,
    temporary::{Temporary, uninterrupted, uninterrupted_at_last},
    unnamed_file,
};

/// A file that nobody sees until it gets its name.
#[derive(Debug)]
pub(super) struct Unfinished {
    /// The file to write to.
    pub(super) file: File,
    /// The name that it has meanwhile, if it has one.
    temporary: Option<Temporary>,
    directory: Arc<OwnedFd>,
    name: OsString,
}

/// Whether a file is the last thing that the process makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    GoOn,
    Finish,
}

impl Unfinished {
    /// Creates the file that will be called `name`, with these permission bits less those of the umask.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn create(directory: &Arc<OwnedFd>, name: &OsStr, mode: u32) -> io::Result<Self> {
        match unnamed_file::create(directory, mode) {
            Some(file) => {
                let (directory, name) = (Arc::clone(directory), name.to_owned());
                Ok(Self { file, temporary: None, directory, name })
            }
            None => Self::create_named(directory, name, mode),
        }
    }

    /// The same where the file system, or a guest without /proc, has no files without a name.
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

    /// Gives it its name if nothing has it.
    ///
    /// # Errors
    /// `AlreadyExists`: something has it, or the file system cannot tell. Otherwise the system refuses.
    pub(super) fn take_name(&mut self) -> io::Result<()> {
        if let Some(temporary) = &mut self.temporary {
            return temporary.rename(&self.name);
        }
        unnamed_file::name(&self.file, &self.directory, &self.name)
    }

    /// Removes what is left of a run that was to replace what had this name, where nothing has had it since.
    pub(super) fn remove_leftover(&self) {
        if self.temporary.is_none() {
            leftover::remove_of(&self.directory, &self.name);
        }
    }

    /// Gives it its name, in place of what has it.
    ///
    /// # Errors
    /// A directory has it, or the system refuses.
    pub(super) fn take_place(&mut self, then: Then) -> io::Result<()> {
        let Self { file, temporary, directory, name } = self;
        let work = || match temporary {
            Some(temporary) => temporary.rename_instead(name),
            None => {
                leftover::replace(file, directory, name, |name| unnamed_file::name(file, &*directory, name))
            }
        };
        match then {
            Then::GoOn => uninterrupted(work),
            Then::Finish => uninterrupted_at_last(work),
        }
    }
}
