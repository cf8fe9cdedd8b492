//! The rules for names and paths beneath a directory.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
};

use crate::error::{Result, ensure, error};

/// The longest name, in bytes: Linux, `NAME_MAX` in `limits.h`.
pub const NAME_BYTES: usize = 255;

/// Checks that `path` is relative and consists of normal names joined by `/`.
///
/// # Errors
/// Fails if `path` is empty or absolute, or a component is empty, `.`, `..`, too long, or has a NUL byte. The error says why,
/// and completes a sentence that begins with the path: `is not relative`.
pub fn check_path(path: &[u8]) -> Result<(), &'static str> {
    match path {
        b"" => Err("is empty"),
        [b'/', ..] => Err("is not relative"),
        path => path.split(|&byte| byte == b'/').try_for_each(check_name),
    }
}

/// The components of `path`, each of which is a normal name.
pub(super) fn components(path: &[u8]) -> Result<Vec<OsString>> {
    check_path(path).map_err(|why| error!("the path {why}"))?;
    Ok(path.split(|&byte| byte == b'/').map(|name| OsStr::from_bytes(name).to_owned()).collect())
}

/// `name`, which must be a normal name.
pub(super) fn component(name: &[u8]) -> Result<OsString> {
    ensure!(!name.contains(&b'/'), "the name contains '/'");
    check_path(name).map_err(|why| error!("the name {why}"))?;
    Ok(OsStr::from_bytes(name).to_owned())
}

fn check_name(name: &[u8]) -> Result<(), &'static str> {
    match name {
        b"" => Err("has an empty component"),
        b"." | b".." => Err("has a component '.' or '..'"),
        _ if name.len() > NAME_BYTES => Err("has a component longer than 255 bytes"),
        _ if name.contains(&0) => Err("contains a NUL character"),
        _ => Ok(()),
    }
}
