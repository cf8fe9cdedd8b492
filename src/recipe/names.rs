//! What the names of files can be, one by one and together.

use std::collections::BTreeSet;

use super::{Contradiction, Recipe};
use crate::{
    datasource::looked_for::LOOKED_FOR,
    image::iso9660::{clashes::Clashes, reader, renaming},
    manifest,
    output::names::NAME_BYTES,
};

/// Directories on an image at most. Each takes a sector in either tree and a record in the one above it, and another sector
/// where its name is long: 4,096 of them 40 MB in memory.
const DIRECTORIES_MAX: usize = 1 << 12;

impl Recipe {
    /// Finds names that no image of this layout can have.
    pub(super) fn check_names(&self) -> Result<(), Contradiction> {
        let mut names = BTreeSet::new();
        for (name, _) in &self.files {
            let fault =
                |why: &str| Contradiction(format!("file name {:?} {why}", String::from_utf8_lossy(name)));
            for component in name.split(|&byte| byte == b'/') {
                match component {
                    b"" if name.is_empty() => return Err(fault("is empty")),
                    b"" if name.starts_with(b"/") => return Err(fault("is not relative")),
                    b"" => return Err(fault("has an empty part")),
                    b"." | b".." => return Err(fault("has a part '.' or '..'")),
                    _ if component.len() > NAME_BYTES => {
                        return Err(fault("has a part longer than 255 bytes"));
                    }
                    _ if component.contains(&0) => return Err(fault("has a NUL character")),
                    _ => {}
                }
            }
            if self.layout.uses(name) {
                return Err(fault(&format!("is one that the layout {} uses", self.layout)));
            }
            if self.statement.is_some()
                && [manifest::NAME, manifest::SIGNATURE_NAME].iter().any(|own| own.as_bytes() == name)
            {
                return Err(fault("is the manifest's or that of its signature"));
            }
            if self.statement.is_some() && str::from_utf8(name).is_err() {
                return Err(fault("is not UTF-8, as a manifest asks for"));
            }
            if !names.insert(name.as_slice()) {
                return Err(fault("is given twice"));
            }
        }
        self.check_bounds()?;
        // Whatever lies below a file makes it a directory as well.
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
        for name in &all {
            let directories =
                name.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| &name[..end]);
            for directory in directories {
                if all.contains(directory) {
                    let text = String::from_utf8_lossy(directory);
                    return Err(Contradiction(format!("file name {text:?} is a directory for another file")));
                }
            }
        }
        renaming::check(all.into_iter()).map_err(Contradiction)
    }

    /// What some readers of the image cannot tell apart, with the files that signing it adds.
    #[must_use]
    pub fn clashes(&self) -> Clashes {
        // Every reader can tell the layout's own names apart.
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

    /// What `show` and `extract` refuse to read must not be built.
    fn check_bounds(&self) -> Result<(), Contradiction> {
        let mut directories = BTreeSet::new();
        let mut bytes = 0;
        for (name, _) in &self.files {
            let ends = name.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end);
            let above: Vec<_> = ends.map(|end| &name[..end]).collect();
            if above.len() > reader::DEPTH_MAX {
                let text = String::from_utf8_lossy(name);
                return Err(Contradiction(format!(
                    "file name {text:?} is more than {} deep",
                    reader::DEPTH_MAX
                )));
            }
            bytes += name.len();
            bytes +=
                above.into_iter().filter(|above| directories.insert(*above)).map(<[u8]>::len).sum::<usize>();
        }
        if directories.len() > DIRECTORIES_MAX {
            return Err(Contradiction(format!("an image holds at most {DIRECTORIES_MAX} directories")));
        }
        // Beside them there are the layout's own.
        let own = 8;
        if self.files.len() + directories.len() + own > reader::RECORDS_MAX {
            return Err(Contradiction(format!("an image holds at most {} files", reader::RECORDS_MAX - own)));
        }
        if bytes + 256 > reader::PATHS_BYTES_MAX {
            return Err(Contradiction(format!(
                "the file names are longer than {} bytes in all",
                reader::PATHS_BYTES_MAX
            )));
        }
        Ok(())
    }
}
