//! The recipe for a directory that is a seed: it has the files of a layout under their names.

use std::{
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::{Recipe, near_names::meant};
use crate::{
    datasource::layout::Layout,
    error::{Context, Result, bail, ensure},
    image::{
        iso9660::reader::{DEPTH_MAX, RECORDS_MAX},
        source::Source,
    },
};

/// The layouts whose files a directory can have under their names.
const SEEDS: [Layout; 2] = [Layout::NoCloud, Layout::ConfigDrive];

/// The directories of a config drive.
const CONFIG_DRIVE: [&str; 2] = ["openstack", "ec2"];

/// Whether the directory `path` has the files of one of these layouts, and of which. NoCloud comes first.
///
/// # Errors
/// Fails if the directory cannot be searched.
pub fn seed_layout(path: &Path) -> Result<Option<Layout>> {
    for layout in SEEDS {
        for name in [Some(layout.userdata_name()), layout.metadata_name()].into_iter().flatten() {
            if has_file(&path.join(name))? {
                return Ok(Some(layout));
            }
        }
    }
    Ok(None)
}

impl Recipe {
    /// The recipe for the files of the directory `path`: `user-data`, `meta-data`, `network-config` and `vendor-data` for NoCloud,
    /// or those in `openstack` and `ec2` for a config drive. `layout`: which of them. `None`: the one whose files are there.
    ///
    /// Other files in the directory are left out. Those with a name that is almost that of a file of the layout are noted.
    ///
    /// # Errors
    /// Fails if the directory cannot be searched, has files of neither layout, or of both and `layout` is not given. Also if there
    /// is something else than files and directories in `openstack` or `ec2`, or too much of it.
    pub fn of_seed(path: &Path, layout: Option<Layout>) -> Result<Self> {
        let of_directory = || format!("reading seed directory {path:?}");
        let found = |layout: Layout| -> Result<Self> {
            let part = |name: Option<&str>, role| -> Result<Option<Source>> {
                let Some(name) = name else { return Ok(None) };
                let file: PathBuf = path.join(name);
                Ok(has_file(&file)?.then(|| Source::file(file, role)))
            };
            Ok(Self {
                layout,
                data: part(Some(layout.userdata_name()), "user-data file")?
                    .map_or_else(Default::default, Into::into),
                meta_data: part(layout.metadata_name(), "meta-data file")?,
                network_config: part(layout.network_config_name(), "network-config file")?,
                vendor_data: part(layout.vendor_data_name(), "vendor-data file")?,
                ..Self::default()
            })
        };
        (|| {
            if !fs::metadata(path)?.is_dir() {
                bail!("is not a directory");
            }
            let wanted = layout.map_or(SEEDS.to_vec(), |layout| vec![layout]);
            let mut recipes = Vec::new();
            for layout in wanted {
                let recipe = found(layout)?;
                if recipe.paths().next().is_some() {
                    recipes.push(recipe);
                }
            }
            match (recipes.pop(), recipes.is_empty(), layout) {
                (Some(mut recipe), true, _) => {
                    recipe.notes = near_names(path, recipe.layout)?;
                    if recipe.layout == Layout::ConfigDrive {
                        recipe.files = other_files(path)?;
                    }
                    Ok(recipe)
                }
                (Some(_), false, _) => {
                    bail!("it has the files of two layouts; choose one with --layout nocloud or configdrive")
                }
                (None, _, layout) => {
                    if let Some(near) = near_names(path, layout.unwrap_or(Layout::NoCloud))?.first() {
                        bail!("{near}");
                    }
                    match layout {
                        Some(layout) => {
                            bail!("it has no file of the layout {layout}, such as {}", layout.userdata_name())
                        }
                        None => bail!(
                            "it has neither user-data, meta-data nor openstack/latest (for LinuxKit, use --data-dir)"
                        ),
                    }
                }
            }
        })()
        .with_context(of_directory)
    }
}

/// A sentence for every file whose name is almost that of a file of the layout, where that is looked for.
fn near_names(path: &Path, layout: Layout) -> Result<Vec<String>> {
    let directory = Path::new(layout.userdata_name()).parent().unwrap_or(Path::new(""));
    let mut found = Vec::new();
    for directory in [Path::new(""), directory] {
        let entries = match fs::read_dir(path.join(directory)) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error.into()),
        };
        for entry in entries {
            let entry = entry?;
            let name = directory.join(entry.file_name());
            if let Some(meant) = meant(name.as_os_str().as_bytes(), Some(layout))
                && !path.join(meant).exists()
                && !entry.file_type()?.is_dir()
            {
                found.push(format!("file {name:?} is not used; name it {meant:?}"));
            }
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

/// The files of a config drive below the directory `path` besides those of the layout: other versions, `content`, and `ec2`.
fn other_files(path: &Path) -> Result<Vec<(Vec<u8>, Source)>> {
    let mut files = Vec::new();
    let mut waiting: Vec<_> =
        CONFIG_DRIVE.iter().map(PathBuf::from).filter(|top| path.join(top).exists()).collect();
    while let Some(directory) = waiting.pop() {
        for entry in fs::read_dir(path.join(&directory)).with_context(|| format!("reading {directory:?}"))? {
            let entry = entry.with_context(|| format!("reading {directory:?}"))?;
            let name = directory.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                ensure!(
                    name.components().count() <= DEPTH_MAX,
                    "{name:?} is more than {DEPTH_MAX} directories deep"
                );
                waiting.push(name);
                continue;
            }
            let bytes = name.as_os_str().as_bytes();
            if !Layout::ConfigDrive.uses(bytes) && has_file(&path.join(&name))? {
                files.push((bytes.to_vec(), Source::file(path.join(&name), "file")));
            }
            ensure!(
                files.len() + waiting.len() <= RECORDS_MAX,
                "there are more than {RECORDS_MAX} files in the directories of a config drive"
            );
        }
    }
    files.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(files)
}

/// Whether there is a regular file, or a link to one, at `path`.
///
/// # Errors
/// Fails if there is anything else, or it cannot be told.
pub fn has_file(path: &Path) -> Result<bool> {
    match fs::symlink_metadata(path) {
        Ok(_) => {}
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Ok(false);
        }
        Err(error) => return Err(error).with_context(|| format!("looking for {path:?}")),
    }
    let found = fs::metadata(path).with_context(|| format!("following the link {path:?}"))?;
    ensure!(found.is_file(), "{path:?} is not a regular file");
    Ok(true)
}
