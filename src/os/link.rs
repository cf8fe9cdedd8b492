//! What is known of a symbolic link, on any system.

use std::ffi::CString;

/// A symbolic link.
pub(crate) struct Link {
    /// The user that owns it.
    pub(crate) owner: u32,
    /// Whether it is in Linux' `/proc`, where it may lead to anything.
    pub(crate) is_in_proc: bool,
    /// Where it leads.
    pub(crate) target: CString,
}
