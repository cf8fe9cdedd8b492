//! The recipe for a directory that is a seed: it has the files of a layout under their names.

use std::{
    fs, io,
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use super::{Recipe, near_names::near_names};
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
                    recipe.notes = near_names(path, recipe.layout)?.iter().map(ToString::to_string).collect();
                    if recipe.layout == Layout::ConfigDrive {
                        recipe.files = other_files(path)?;
                    }
                    Ok(recipe)
                }
                (Some(_), false, _) => {
                    bail!("it has the files of two layouts; choose one with --layout nocloud or configdrive")
                }
                (None, _, layout) => bail!("{}", why_no_seed(path, layout)?),
            }
        })()
        .with_context(of_directory)
    }
}

/// The names of the files of a config drive that no other layout has.
const OF_CONFIG_DRIVE: [&str; 4] = ["user_data", "meta_data.json", "network_data.json", "vendor_data.json"];

/// Why the directory `path` has no files of a seed, as far as it can be told from what it has.
fn why_no_seed(path: &Path, layout: Option<Layout>) -> Result<String> {
    if let Some(above) = above_openstack(path)? {
        return Ok(format!(
            "it has the files of a config drive; give the directory that openstack is in: --from {above:?}"
        ));
    }
    let has_drive = || OF_CONFIG_DRIVE.iter().skip(1).any(|name| path.join(name).is_file());
    let near = match layout {
        Some(layout) => layout,
        None if has_drive() => Layout::ConfigDrive,
        None => Layout::NoCloud,
    };
    if let Some(near) = near_names(path, near)?.first() {
        return Ok(near.to_string());
    }
    Ok(match layout {
        Some(layout) => format!("it has no file of the layout {layout}, such as {}", layout.userdata_name()),
        None => "it has no user-data, no meta-data and no openstack/latest (for LinuxKit, use --data-dir)"
            .to_owned(),
    })
}

/// The directory of a config drive, if `path` is `openstack` in it, or `openstack/latest`, with its files.
fn above_openstack(path: &Path) -> io::Result<Option<PathBuf>> {
    let has_files = |directory: &Path| OF_CONFIG_DRIVE.iter().any(|name| directory.join(name).is_file());
    let levels = if has_files(&path.join("latest")) {
        1
    } else if has_files(path) {
        2
    } else {
        return Ok(None);
    };
    let absolute = fs::canonicalize(path)?;
    if levels == 2 && absolute.file_name() != Some("latest".as_ref()) {
        return Ok(None);
    }
    let openstack = absolute.ancestors().nth(levels - 1);
    if openstack.and_then(Path::file_name) != Some("openstack".as_ref()) {
        return Ok(None);
    }
    // As it was typed, if that has the names.
    let typed: Vec<_> = path.components().collect();
    let is_name = |part: &std::path::Component| matches!(part, std::path::Component::Normal(_));
    if typed.len() >= levels && typed[typed.len() - levels..].iter().all(is_name) {
        let above: PathBuf = typed[..typed.len() - levels].iter().collect();
        return Ok(Some(if above.as_os_str().is_empty() { ".".into() } else { above }));
    }
    Ok(absolute.ancestors().nth(levels).map(Path::to_path_buf))
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
/// Fails if there is anything else, or if the path cannot be examined.
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
