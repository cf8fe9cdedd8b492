//! The files that a path on the command line stands for: itself, or the files of a seed.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use metadata_image::{
    check::CheckedText,
    datasource::layout::Layout,
    recipe::{
        near_names::{NearName, near_names},
        seed::has_file,
    },
    userdata::finding::{Code, Finding},
};

use super::is_dash;

/// What a path on the command line stands for.
#[derive(Debug)]
pub(super) struct SeedFiles {
    pub(super) files: Vec<PathBuf>,
    /// Findings about other files in the directory: their names are almost right.
    pub(super) near: Vec<CheckedText>,
}

/// The files that `path` stands for. For a directory, those that cloud-init reads in a seed.
///
/// # Errors
/// Fails if it is a directory without such files.
pub(super) fn files_of(path: &Path) -> Result<SeedFiles> {
    if is_dash(path.as_os_str()) || !path.is_dir() {
        return Ok(SeedFiles { files: vec![path.to_owned()], near: Vec::new() });
    }
    let reading = || format!("reading seed directory {path:?}");
    let mut files = Vec::new();
    let mut layouts = Vec::new();
    for layout in [Layout::NoCloud, Layout::ConfigDrive] {
        let before = files.len();
        for file in layout.file_names().map(|name| path.join(name)) {
            if has_file(&file).with_context(reading)? {
                files.push(file);
            }
        }
        if files.len() > before {
            layouts.push(layout);
        }
    }
    let mut near = Vec::new();
    // The files of one layout are not misspelt ones of the other.
    if let &[layout] = &layouts[..] {
        near = near_names(path, layout).with_context(reading)?;
    }
    if files.is_empty() {
        if let Some(near) = near_names(path, Layout::NoCloud).with_context(reading)?.first() {
            bail!("reading {path:?}: {near}");
        }
        bail!(
            "reading {path:?}: the directory is not a seed: it has no user-data, no meta-data and no \
             openstack/latest ('metadata pack' makes user data for LinuxKit from a directory)"
        );
    }
    let finding = |name: &NearName| CheckedText {
        source: Some(path.join(&name.name)),
        findings: vec![
            Finding::new(Code::NearName, 0..0, "the file is not used")
                .with_hint(format!("name it {:?}", name.meant)),
        ],
        ..CheckedText::default()
    };
    Ok(SeedFiles { files, near: near.iter().map(finding).collect() })
}
