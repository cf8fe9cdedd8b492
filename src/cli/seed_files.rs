//! The files that a path on the command line stands for: itself, or the files of a seed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use metadata_image::{datasource::layout::Layout, recipe::seed::has_file};

use super::is_dash;

/// The files that `path` stands for. For a directory, those that cloud-init reads in a seed.
///
/// # Errors
/// Fails if it is a directory without such files.
pub(super) fn files_of(path: &Path) -> Result<Vec<PathBuf>> {
    if is_dash(path.as_os_str()) || !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let names = [Layout::NoCloud, Layout::ConfigDrive].into_iter().flat_map(Layout::file_names);
    let mut files = Vec::new();
    for file in names.map(|name| path.join(name)) {
        if has_file(&file).with_context(|| format!("reading seed directory {path:?}"))? {
            files.push(file);
        }
    }
    if files.is_empty() {
        bail!(
            "reading {path:?}: the directory is not a seed: it has neither user-data nor meta-data nor \
             openstack/latest ('metadata pack' makes user data for LinuxKit from a directory)"
        );
    }
    Ok(files)
}
