//! Errors that clap does not know, and those that cross into the library.

use std::fmt;

/// A usage error that clap does not detect.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// A failure with the exit status of a usage error, where another status than 0 is an answer.
#[derive(Debug)]
pub(crate) struct Trouble(pub(super) anyhow::Error);

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.0)
    }
}

impl std::error::Error for Trouble {}

/// Converts an error of the program for a library function that calls it back.
#[expect(clippy::needless_pass_by_value, reason = "it is for map_err")]
pub(super) fn to_library_error(error: anyhow::Error) -> metadata_image::error::Error {
    metadata_image::error::Error::from_caller(AsRef::<dyn std::error::Error>::as_ref(&error))
}
