//! Files with public keys, for generated meta-data.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::Read,
    path::{Path, PathBuf},
};

use crate::{
    error::{Context, Result, ensure},
    userdata::authorized_keys::{self, KeyOptions},
};

/// The most bytes in all files with public keys together.
const BYTES_MAX: u64 = 1 << 20;

/// The keys of all these files, each once. A file that is named several times is read once.
pub(super) fn read(paths: &[PathBuf]) -> Result<Vec<String>> {
    let (mut paths_read, mut known) = (HashSet::new(), HashSet::new());
    let mut keys = Vec::new();
    let mut room = BYTES_MAX;
    for path in paths.iter().filter(|path| paths_read.insert(*path)) {
        let (bytes, found) = read_file(path, room).with_context(|| format!("reading SSH key {path:?}"))?;
        room -= bytes;
        keys.extend(found.into_iter().filter(|key| known.insert(key.clone())));
    }
    Ok(keys)
}

/// The length of a file like `id_ed25519.pub` or `authorized_keys`, at most `room` bytes, and its keys, one a line.
fn read_file(path: &Path, room: u64) -> Result<(u64, Vec<String>)> {
    ensure!(!fs::metadata(path)?.is_dir(), "is a directory");
    let mut text = String::new();
    let mut file = File::open(path)?.take(room + 1);
    file.read_to_string(&mut text)?;
    let bytes = text.len() as u64;
    ensure!(bytes <= BYTES_MAX, "the file is larger than 1 MiB");
    ensure!(bytes <= room, "the files with keys together are larger than 1 MiB");
    ensure!(!text.contains("PRIVATE KEY-----"), "is a private key; give the public key, which ends in .pub");
    let keys: Vec<_> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect();
    ensure!(!keys.is_empty(), "the file has no key");
    for key in &keys {
        authorized_keys::check_line(key, KeyOptions::Allowed)
            .with_context(|| format!("checking line {key:?}"))?;
    }
    Ok((bytes, keys))
}
