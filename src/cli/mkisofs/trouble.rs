//! Why there is no image.

use std::{io, path::Path};

use super::dialect::Failure;

/// Why there is no image, and how the program ends.
#[derive(Debug)]
pub(super) struct Trouble {
    pub(super) failure: Failure,
    pub(super) message: String,
}

impl Trouble {
    pub(super) fn new(failure: Failure, message: String) -> Self {
        Self { failure, message }
    }

    pub(super) fn of_file(failure: Failure, doing: &str, path: &Path, error: &io::Error) -> Self {
        Self::new(failure, format!("{doing} {path:?}: {error}"))
    }

    /// What the system says, without the number.
    pub(super) fn cause(error: &io::Error) -> String {
        let text = error.to_string();
        text.split(" (os error").next().unwrap_or_default().to_owned()
    }
}
