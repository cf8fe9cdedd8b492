//! The rules for the names of additional files, one by one and together.

use std::collections::BTreeSet;

use super::{Contradiction, Recipe};
use crate::{
    datasource::looked_for::LOOKED_FOR,
    image::{
        fat,
        iso9660::{clashes::Clashes, folding::ROCK_RIDGE_BYTES_MAX, reader, renaming},
        probe::FileSystem,
    },
    manifest,
    output::names::check_path,
};

/// The most directories on an image. Each takes a sector in either tree, a record in the directory above it, and another sector
/// if its name is long: 4,096 of them take 40 MB of memory.
const DIRECTORIES_MAX: usize = 1 << 12;

impl Recipe {
    /// Checks that an image of this layout can have the names.
    pub(super) fn check_names(&self) -> Result<(), Contradiction> {
        // The layout's own names are right, alone and together.
        if self.files.is_empty() {
            return Ok(());
        }
        let mut names = BTreeSet::new();
        for (name, _) in &self.files {
            let fault =
                |why: &str| Contradiction(format!("file name {:?} {why}", String::from_utf8_lossy(name)));
            check_name(name).map_err(fault)?;
            if self.layout.uses(name) {
                return Err(fault(&format!("is used by the layout {} itself", self.layout)));
            }
            if self.statement.is_some()
                && [manifest::NAME, manifest::SIGNATURE_NAME].iter().any(|own| own.as_bytes() == name)
            {
                return Err(fault("is used for the manifest or its signature"));
            }
            if self.statement.is_some() && str::from_utf8(name).is_err() {
                return Err(fault("is not UTF-8, which a manifest requires"));
            }
            if !names.insert(name.as_slice()) {
                return Err(fault("is given twice"));
            }
        }
        check_bounds(self.files.iter().map(|(name, _)| name.as_slice()))?;
        // A file below another file would make that a directory.
        let manifest = self.statement.is_some();
        let layout = [
            Some(self.layout.userdata_name()),
            self.layout.metadata_name(),
            manifest.then_some(manifest::NAME),
            manifest.then_some(manifest::SIGNATURE_NAME),
        ];
        let all = names
            .iter()
            .copied()
            .chain(layout.into_iter().flatten().map(str::as_bytes))
            .collect::<BTreeSet<_>>();
        check_directories(&all)?;
        match self.file_system {
            FileSystem::Iso9660 => renaming::check(all.into_iter()).map_err(Contradiction),
            FileSystem::Fat => {
                fat::names::check(all.into_iter()).map_or(Ok(()), |why| Err(Contradiction(why)))
            }
        }
    }

    /// The names that some readers of the image cannot distinguish, with the files that signing adds.
    #[must_use]
    pub fn clashes(&self) -> Clashes {
        // Every reader can distinguish the layout's own names.
        if self.files.is_empty() {
            return Clashes::default().on_volume(self.volume_identifier(), &LOOKED_FOR);
        }
        let layout = self.layout;
        let parts = [
            Some(layout.userdata_name()),
            layout.metadata_name(),
            layout.network_config_name().filter(|_| self.network_config.is_some()),
            layout.vendor_data_name().filter(|_| self.vendor_data.is_some()),
        ];
        let files = self.files.iter().map(|(name, _)| name.as_slice());
        let files = files.chain(parts.into_iter().flatten().map(str::as_bytes));
        Clashes::of(files, &LOOKED_FOR, &manifest::OWN_NAMES).on_volume(self.volume_identifier(), &LOOKED_FOR)
    }
}

/// Checks that `name` is a path that Linux shows in full, and can open.
pub(super) fn check_name(name: &[u8]) -> Result<(), &'static str> {
    check_path(name)?;
    name.split(|&byte| byte == b'/').try_for_each(check_for_linux)
}

/// Checks that no file is also a directory of another.
pub(super) fn check_directories(all: &BTreeSet<&[u8]>) -> Result<(), Contradiction> {
    for name in all {
        for directory in directories_above(name) {
            if all.contains(directory) {
                let text = String::from_utf8_lossy(directory);
                return Err(Contradiction(format!("file name {text:?} is also a directory of another file")));
            }
        }
    }
    Ok(())
}

/// The directories that a file is in, from the top.
pub(super) fn directories_above(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    name.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| &name[..end])
}

/// Checks the limits of the reader: an image that `show` and `extract` refuse to read must not be built.
pub(super) fn check_bounds<'a>(names: impl Iterator<Item = &'a [u8]>) -> Result<(), Contradiction> {
    let mut directories = BTreeSet::new();
    let (mut bytes, mut files) = (0, 0);
    for name in names {
        let above: Vec<_> = directories_above(name).collect();
        if above.len() > reader::DEPTH_MAX {
            let text = String::from_utf8_lossy(name);
            return Err(Contradiction(format!(
                "file name {text:?} is more than {} directories deep",
                reader::DEPTH_MAX
            )));
        }
        files += 1;
        bytes += name.len();
        bytes += above.into_iter().filter(|above| directories.insert(*above)).map(<[u8]>::len).sum::<usize>();
    }
    if directories.len() > DIRECTORIES_MAX {
        return Err(Contradiction(format!("an image holds at most {DIRECTORIES_MAX} directories")));
    }
    // The layout adds its own.
    let own = 8;
    if files + directories.len() + own > reader::RECORDS_MAX {
        return Err(Contradiction(format!(
            "an image holds at most {} files and directories",
            reader::RECORDS_MAX - own
        )));
    }
    if bytes + 256 > reader::PATHS_BYTES_MAX {
        return Err(Contradiction(format!(
            "the file names together are longer than {} bytes",
            reader::PATHS_BYTES_MAX
        )));
    }
    Ok(())
}

/// Checks that Linux shows a component of a path in full, and can open it: what it shortens may be the name of another file.
fn check_for_linux(name: &[u8]) -> Result<(), &'static str> {
    match name {
        [byte] if !(2..0x80).contains(byte) => Err("has a component of one byte that Linux cannot open"),
        _ if name.len() > ROCK_RIDGE_BYTES_MAX => {
            Err("has a component longer than 253 bytes, which Linux shortens")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{datasource::layout::Layout, image::source::Source, manifest::Statement};

    /// Without other files they are not checked.
    #[test]
    fn the_own_names_of_every_layout_are_right() {
        for layout in Layout::ALL {
            for file_system in [FileSystem::Iso9660, FileSystem::Fat] {
                let recipe = Recipe {
                    layout,
                    file_system,
                    files: vec![(b"x".to_vec(), Source::Bytes(Vec::new()))],
                    statement: Some(Statement::default()),
                    ..Recipe::new(Source::Bytes(Vec::new()))
                };
                assert_eq!(recipe.check_names(), Ok(()), "{layout}, {file_system:?}");
            }
        }
    }
}
