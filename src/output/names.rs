//! Names and paths that stay beneath a directory.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
};

use crate::error::{Result, ensure};

/// Bytes in a name at most: Linux, `NAME_MAX` in `limits.h`.
pub const NAME_BYTES: usize = 255;

/// Whether `path` can be one beneath a directory: names joined by `/`, each a normal one.
///
/// # Errors
/// A component of `path` is not a normal name.
pub fn check_path(path: &[u8]) -> Result<()> {
    ensure!(!path.starts_with(b"/"), "it is not relative");
    path.split(|&byte| byte == b'/').try_for_each(check_name)
}

/// The components of `path`, each of which is one normal name.
pub(super) fn components(path: &[u8]) -> Result<Vec<OsString>> {
    path.split(|&byte| byte == b'/').map(component).collect()
}

/// `name`, which is a normal one.
pub(super) fn component(name: &[u8]) -> Result<OsString> {
    check_name(name)?;
    Ok(OsStr::from_bytes(name).to_owned())
}

fn check_name(name: &[u8]) -> Result<()> {
    ensure!(!matches!(name, b"" | b"." | b".."), "a name is empty, '.' or '..'");
    ensure!(!name.contains(&b'/'), "a name has a '/'");
    ensure!(!name.contains(&0), "a name has a NUL character");
    ensure!(name.len() <= NAME_BYTES, "a name is longer than {NAME_BYTES} bytes");
    Ok(())
}
