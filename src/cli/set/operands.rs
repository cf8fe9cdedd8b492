//! The operands of `metadata set` after the image, and what is probably wrong with them.

use std::{
    ffi::{OsStr, OsString},
    iter,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use metadata_image::{
    datasource::layout::Layout,
    image::{Kind, Record},
};

use super::super::{
    create::split,
    errors::Usage,
    streams::is_dash,
    words::{command_line, is_image},
};

/// `NAME=PATH`.
#[derive(Debug)]
pub(super) struct NewFile {
    /// Its name on the image.
    pub(super) name: Vec<u8>,
    /// Its content.
    pub(super) path: PathBuf,
}

/// The files that the operands name. `image`: the operand before them.
///
/// # Errors
/// Fails if one is not `NAME=PATH`, or is meant as something else.
pub(super) fn split_all(image: &Path, operands: &[OsString]) -> Result<Vec<NewFile>, Usage> {
    let mut files = Vec::new();
    for operand in operands {
        let (name, path) =
            split(operand).map_err(|why| Usage(without_equals(image, operands, &format!("{why:#}"))))?;
        files.push(NewFile { name, path });
    }
    match files.iter().find_map(|file| value_as_file(image, file)) {
        Some(meant) => Err(Usage(meant)),
        None => Ok(files),
    }
}

/// What was meant by operands of which not all are `NAME=PATH`. `why`: what is wrong with the first that is not.
fn without_equals(image: &Path, operands: &[OsString], why: &str) -> String {
    let all: Vec<_> = iter::once(image.as_os_str()).chain(operands.iter().map(OsString::as_os_str)).collect();
    let found = all.iter().position(|word| !has_equals(word) && is_image(Path::new(word)));
    let at = if is_image(image) { 0 } else { found.unwrap_or(0) };
    let words: Vec<_> = [&all[..at], &all[at + 1..]].concat();
    let order = if at == 0 { "a file is one word, NAME=PATH" } else { "the image comes first" };
    if let [name, value] = words[..]
        && let Some(meant) =
            value_as_file(Path::new(all[at]), &NewFile { name: name.as_bytes().to_vec(), path: value.into() })
    {
        return meant;
    }
    let file = match words[..] {
        [word] if at > 0 && has_equals(word) => word.to_owned(),
        // A space for the sign.
        [name, path] if !has_equals(name) && !has_equals(path) => {
            let is_swapped = is_name_of_a_layout(path) && !is_name_of_a_layout(name);
            if is_swapped { joined(path, name) } else { joined(name, path) }
        }
        [path] if at > 0 && Path::new(path).is_file() && !is_name_of_a_layout(path) => {
            joined(OsStr::new("user-data"), path)
        }
        // A colon for the sign.
        [word] => at_colon(word).map(|(name, path)| joined(name, path)).unwrap_or_default(),
        _ => OsString::new(),
    };
    if !file.is_empty() {
        return format!("{order}: {}", command_line("metadata set", [all[at], file.as_os_str()]));
    }
    let word = words.iter().find(|word| !has_equals(word));
    match word {
        Some(word) if is_name_of_a_layout(word) => {
            let name = word.to_string_lossy();
            format!("the file with the new {name} is missing: metadata set IMAGE {name}=PATH")
        }
        Some(word) if Path::new(word).is_file() => {
            format!(
                "the name on the image is missing: metadata set IMAGE NAME={}, such as user-data=PATH",
                word.to_string_lossy()
            )
        }
        _ => format!(
            "{why}: the image comes first, and then NAME=PATH: metadata set IMAGE NAME=PATH (--help shows more)"
        ),
    }
}

/// `NAME=PATH` of these.
fn joined(name: &OsStr, path: &OsStr) -> OsString {
    OsString::from_vec([name.as_bytes(), b"=", path.as_bytes()].concat())
}

/// The halves of `NAME:PATH`, where NAME is that of a file of a layout.
fn at_colon(word: &OsStr) -> Option<(&OsStr, &OsStr)> {
    let bytes = word.as_bytes();
    let colon = bytes.iter().position(|&byte| byte == b':')?;
    let [name, path] = [&bytes[..colon], &bytes[colon + 1..]].map(OsStr::from_bytes);
    (is_name_of_a_layout(name) && !path.is_empty()).then_some((name, path))
}

fn has_equals(word: &OsStr) -> bool {
    word.as_bytes().contains(&b'=')
}

fn is_name_of_a_layout(word: &OsStr) -> bool {
    Layout::ALL.iter().any(|layout| layout.uses(word.as_bytes()))
}

/// What was meant by `hostname=VALUE` where there is no file VALUE: an option.
fn value_as_file(image: &Path, NewFile { name, path }: &NewFile) -> Option<String> {
    let option = match &name[..] {
        b"hostname" | b"host-name" | b"local-hostname" | b"local_hostname" => "--hostname",
        b"instance-id" | b"instance_id" | b"uuid" => "--instance-id",
        _ => return None,
    };
    if is_dash(path.as_os_str()) || path.exists() {
        return None;
    }
    let words = [image.as_os_str(), option.as_ref(), path.as_os_str()];
    Some(format!(
        "there is no file {path:?} to store as {:?}; to change a value in the meta-data: {}",
        String::from_utf8_lossy(name),
        command_line("metadata set", words)
    ))
}

/// Fails if the name on the image and the file look swapped: the image has the one that is given as a file, and the other one is
/// a file here. `records`: those of the image.
pub(super) fn check_order(image: &Path, files: &[NewFile], records: &[Record]) -> Result<(), Usage> {
    let is_there =
        |name: &[u8]| records.iter().any(|record| record.kind == Kind::File && record.path == name);
    let is_name = |name: &[u8]| is_there(name) || is_name_of_a_layout(OsStr::from_bytes(name));
    let is_swapped = |file: &&NewFile| {
        let (name, path) = (OsStr::from_bytes(&file.name), file.path.as_os_str().as_bytes());
        is_name(path) && !is_name(&file.name) && Path::new(name).is_file()
    };
    let Some(NewFile { name, path }) = files.iter().find(is_swapped) else { return Ok(()) };
    let file = joined(path.as_os_str(), OsStr::from_bytes(name));
    Err(Usage(format!(
        "the name on the image comes before the file: {} (--lenient stores {path:?} as {:?})",
        command_line("metadata set", [image.as_os_str(), file.as_os_str()]),
        String::from_utf8_lossy(name)
    )))
}
