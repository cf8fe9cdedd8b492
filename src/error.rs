//! Errors: what was being done, with which file, and what went wrong, as text; and as a kind that a caller can match.
//!
//! The rooms of the library report an [`Error`]. The front door ([`crate::Recipe`], [`crate::Image`], [`crate::verify`]) sorts it
//! into an enum by what a caller can do about it: [`BuildError`], [`ReadError`], [`VerifyError`].

use std::{error::Error as StdError, fmt, io};

/// A result whose error is an [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What kind of failure an [`Error`] is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A file or a device could not be opened, read or written.
    Io,
    /// What was given contradicts itself, or is never valid.
    Usage,
    /// The file is neither an ISO 9660 nor a FAT image.
    NotAnImage,
    /// The image is cut off: it refers to bytes past its end.
    Truncated,
    /// Something is larger than this library reads or writes.
    TooLarge,
    /// A file changed while it was being read.
    Changed,
    /// The image has no signature or no manifest.
    Unsigned,
    /// The signing key is not allowed for this identity at this time.
    WrongSigner,
    /// The image does not match its manifest or its signature, or readers read it in different ways.
    Altered,
    /// The image is not valid at this time, or not for this audience.
    NotForUs,
    /// The manifest has a newer version than this library knows.
    NewerVersion,
    /// Any other error: usually malformed input.
    #[default]
    Other,
}

/// What was being done, and what went wrong.
///
/// [`Display`](fmt::Display) shows the outermost step; with `{:#}` it shows all of them and the cause, joined by `: `.
pub struct Error {
    kind: ErrorKind,
    message: String,
    cause: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error with this message, of the kind [`ErrorKind::Other`].
    pub fn new(message: impl Into<String>) -> Self {
        Self { kind: ErrorKind::Other, message: message.into(), cause: None }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The same error with this kind, if its kind was [`ErrorKind::Other`].
    #[must_use]
    pub fn of_kind(mut self, kind: ErrorKind) -> Self {
        if self.kind == ErrorKind::Other {
            self.kind = kind;
        }
        self
    }

    /// An error that says what was being done, of the same kind and with this error as its cause.
    #[must_use]
    pub fn context(self, message: impl fmt::Display) -> Self {
        Self { kind: self.kind, message: message.to_string(), cause: Some(Box::new(self)) }
    }

    /// An error of another crate, with its message and its causes. Its type is lost.
    pub(crate) fn of(error: impl StdError + 'static) -> Self {
        Self::foreign(ErrorKind::Other, &error)
    }

    /// An error that a caller's function returned, with its message and its causes. Its type is lost.
    #[must_use]
    pub fn from_caller(error: &(dyn StdError + 'static)) -> Self {
        Self::foreign(ErrorKind::Other, error)
    }

    fn foreign(kind: ErrorKind, error: &(dyn StdError + 'static)) -> Self {
        let cause = error.source().map(|source| Box::new(Self::foreign(kind, source)) as _);
        Self { kind, message: error.to_string(), cause }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if f.alternate() {
            let mut cause = self.source();
            while let Some(error) = cause {
                write!(f, ": {error}")?;
                cause = error.source();
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:#} ({:?})", self.kind)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.cause.as_deref().map(|cause| cause as _)
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        let ended = error.kind() == io::ErrorKind::UnexpectedEof;
        Self::foreign(if ended { ErrorKind::Truncated } else { ErrorKind::Io }, &error)
    }
}

/// Converts errors of the standard library, and of crates that are used in several rooms.
macro_rules! foreign {
    ($($error:ty => $kind:ident),* $(,)?) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::foreign(ErrorKind::$kind, &error)
            }
        })*
    };
}

foreign! {
    rustix::io::Errno => Io,
    serde_json::Error => Other,
    std::num::TryFromIntError => TooLarge,
    std::num::ParseIntError => Other,
    std::str::Utf8Error => Other,
    std::string::FromUtf8Error => Other,
    std::time::SystemTimeError => Other,
    std::sync::mpsc::RecvError => Other,
}

/// Adds to an error what was being done.
pub(crate) trait Context<T> {
    /// The same error with what was being done.
    fn context(self, message: impl fmt::Display) -> Result<T>;
    /// As `context`, for a message that is made only if there is an error.
    fn with_context<D: fmt::Display>(self, message: impl FnOnce() -> D) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for Result<T, E> {
    fn context(self, message: impl fmt::Display) -> Result<T> {
        self.map_err(|error| error.into().context(message))
    }

    fn with_context<D: fmt::Display>(self, message: impl FnOnce() -> D) -> Result<T> {
        self.map_err(|error| error.into().context(message()))
    }
}

impl<T> Context<T> for Option<T> {
    fn context(self, message: impl fmt::Display) -> Result<T> {
        self.ok_or_else(|| Error::new(message.to_string()))
    }

    fn with_context<D: fmt::Display>(self, message: impl FnOnce() -> D) -> Result<T> {
        self.ok_or_else(|| Error::new(message().to_string()))
    }
}

/// An [`Error`] from a format string and its arguments, or from anything with `Display`.
macro_rules! error {
    ($format:literal $($arguments:tt)*) => { $crate::error::Error::new(format!($format $($arguments)*)) };
    ($message:expr) => { $crate::error::Error::new($message.to_string()) };
}

/// Returns an [`error!`].
macro_rules! bail {
    ($kind:ident: $($message:tt)*) => {
        return Err($crate::error::error!($($message)*).of_kind($crate::error::ErrorKind::$kind))
    };
    ($($message:tt)*) => { return Err($crate::error::error!($($message)*)) };
}

/// Returns an [`error!`] unless a condition holds.
macro_rules! ensure {
    ($kind:ident: $condition:expr, $($message:tt)*) => {
        if !$condition {
            $crate::error::bail!($kind: $($message)*);
        }
    };
    ($condition:expr, $($message:tt)*) => {
        if !$condition {
            return Err($crate::error::error!($($message)*));
        }
    };
}

pub(crate) use {bail, ensure, error};

/// Makes an enum of what a caller can do about an [`Error`].
macro_rules! sorted {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident: $($kind:ident)|+,)* } else $(#[$other_doc:meta])* $other:ident) => {
        $(#[$doc])*
        #[derive(Debug, thiserror::Error)]
        #[non_exhaustive]
        pub enum $name {
            $($(#[$variant_doc])* #[error(transparent)] $variant(Error),)*
            $(#[$other_doc])* #[error(transparent)] $other(Error),
        }

        impl From<Error> for $name {
            fn from(error: Error) -> Self {
                match error.kind() {
                    $($(ErrorKind::$kind)|+ => Self::$variant(error),)*
                    _ => Self::$other(error),
                }
            }
        }

        impl From<$name> for Error {
            fn from(error: $name) -> Self {
                match error {
                    $($name::$variant(error) => error,)*
                    $name::$other(error) => error,
                }
            }
        }
    };
}

sorted! {
    /// Why an image was not built.
    BuildError {
        /// The recipe contradicts itself, or something in it is never valid: change the recipe. Or the file at the path of the
        /// image is not an image, and was kept.
        InvalidRecipe: Usage,
        /// The files are too large or too many for one image.
        TooLarge: TooLarge,
        /// A source changed while it was being read: try again.
        SourceChanged: Changed,
        /// A source could not be read, or the image could not be written.
        Io: Io | Truncated,
    } else
    /// The content of a source cannot be used, such as a private key in place of a public one.
    InvalidSource
}

sorted! {
    /// Why an image was not read.
    ReadError {
        /// The file is neither an ISO 9660 nor a FAT image.
        NotAnImage: NotAnImage,
        /// The image is cut off: it refers to bytes past its end.
        Truncated: Truncated,
        /// The image has more files, longer names or deeper directories than this library reads: [`crate::image::limits`] has
        /// the limits.
        TooLarge: TooLarge,
        /// The image changed while it was being read.
        Changed: Changed,
        /// The file or the device could not be opened or read.
        Io: Io,
    } else
    /// A descriptor or a directory is malformed, or readers read it in different ways.
    Malformed
}

sorted! {
    /// Why an image was not verified.
    VerifyError {
        /// The image has no manifest or no signature.
        Unsigned: Unsigned,
        /// The signing key is not allowed for this identity at this time, or the signature does not match the manifest.
        WrongSigner: WrongSigner,
        /// The image does not match what was signed, or readers read it in different ways.
        Altered: Altered,
        /// The image is not valid at this time, or not for this audience.
        NotForUs: NotForUs,
        /// An allowed signer has signed the image, but its manifest has a newer version than this library knows.
        NewerVersion: NewerVersion,
        /// The image could not be read.
        Unreadable: NotAnImage | Truncated | TooLarge | Changed | Io,
    } else
    /// The image is malformed.
    Malformed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failing() -> Result<()> {
        Err(io::Error::new(io::ErrorKind::NotFound, "gone"))?;
        Ok(())
    }

    #[test]
    fn an_error_shows_its_steps_from_the_outermost_to_the_cause() {
        let error = failing().context("reading \"x\"").with_context(|| "building").unwrap_err();
        assert_eq!(error.to_string(), "building");
        assert_eq!(format!("{error:#}"), "building: reading \"x\": gone");
        assert_eq!(error.kind(), ErrorKind::Io);
    }

    #[test]
    fn the_first_kind_that_is_known_stays() {
        let error = error!("{} of {}", 1, 2).of_kind(ErrorKind::TooLarge).context("reading");
        assert_eq!(error.of_kind(ErrorKind::Altered).kind(), ErrorKind::TooLarge);
    }
}
