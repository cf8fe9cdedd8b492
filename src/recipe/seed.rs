//! The recipe for a directory that is a seed: it has the files of a layout under their names.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::Recipe;
use crate::{
    datasource::layout::Layout,
    error::{Context, Result, bail, ensure},
    image::source::Source,
};

/// The layouts whose files a directory can have under their names.
const SEEDS: [Layout; 2] = [Layout::NoCloud, Layout::ConfigDrive];

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
    /// or those in `openstack/latest` for a config drive. `layout`: which of them. `None`: the one whose files are there.
    ///
    /// Other files in the directory are left out.
    ///
    /// # Errors
    /// Fails if the directory cannot be searched, has files of neither layout, or of both and `layout` is not given.
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
                (Some(recipe), true, _) => Ok(recipe),
                (Some(_), false, _) => {
                    bail!("it has the files of two layouts; choose one with --layout nocloud or configdrive")
                }
                (None, _, Some(layout)) => bail!("it has no file of the layout {layout}, such as {}", layout.userdata_name()),
                (None, _, None) => {
                    bail!("it has neither user-data, meta-data nor openstack/latest (for LinuxKit, use --data-dir)")
                }
            }
        })()
        .with_context(of_directory)
    }
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
