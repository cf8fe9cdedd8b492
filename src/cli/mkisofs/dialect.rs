//! What differs between the programs in whose place this one runs: names in messages, defaults, exit statuses.

/// Whose command line is read, and whose image is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// genisoimage 1.1.11, which many systems call mkisofs.
    Genisoimage,
    /// xorrisofs 1.5.4, which is `xorriso -as mkisofs`.
    Xorrisofs,
}

/// Why there is no image. Callers tell zero from others only; the numbers are those of the originals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// An option is unknown, has no value, or is not supported.
    Option,
    /// Nothing was named to make an image of.
    NoOperand,
    /// The value of an option is not valid.
    Value,
    /// A character set is unknown.
    Charset,
    /// A file that was named is not there, or cannot be read.
    Source,
    /// The file of messages is one that is read.
    LogFile,
    /// Two files would have one name.
    Duplicate,
    /// The image cannot be written.
    Output,
}

impl Dialect {
    pub(super) fn is_genisoimage(self) -> bool {
        self == Self::Genisoimage
    }

    /// The volume identifier of an image for which none is given.
    pub(super) fn volume_id(self) -> &'static str {
        if self.is_genisoimage() { "CDROM" } else { "ISOIMAGE" }
    }

    /// The system identifier.
    pub(super) fn system_id(self) -> &'static str {
        if self.is_genisoimage() { "LINUX" } else { "" }
    }

    /// Permission bits of directories that are made for the files in them.
    pub(super) fn made_directory_mode(self) -> u32 {
        if self.is_genisoimage() { 0o555 } else { 0o755 }
    }

    /// The exit status after a failure.
    pub(super) fn status(self, failure: Failure) -> u8 {
        match (self, failure) {
            (Self::Genisoimage, Failure::Value) => 255,
            (Self::Genisoimage, Failure::Source | Failure::LogFile | Failure::Output)
            | (Self::Xorrisofs, Failure::NoOperand) => 2,
            (Self::Genisoimage, _) => 1,
            (Self::Xorrisofs, _) => 5,
        }
    }
}
