//! What a file is, whatever it is called.

use std::{
    fs::{self, File, Metadata},
    io,
    os::{fd::AsFd, unix::fs::MetadataExt},
    path::Path,
};

/// The device and the inode of a file.
pub(super) type Identity = (u64, u64);

/// That of the file with this metadata.
pub(super) fn identity(metadata: &Metadata) -> Identity {
    (metadata.dev(), metadata.ino())
}

/// That of the regular file that is written to, if it is there. `None` as the path: standard output.
pub(super) fn identity_of_output(output: Option<&Path>) -> Option<Identity> {
    let metadata = match output {
        Some(path) => fs::metadata(path),
        None => io::stdout().as_fd().try_clone_to_owned().and_then(|handle| File::from(handle).metadata()),
    };
    metadata.ok().filter(Metadata::is_file).as_ref().map(identity)
}
