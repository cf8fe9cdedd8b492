//! Whether all trees of a volume say the same.
//!
//! Linux reads Rock Ridge, Windows Joliet, a boot loader the names of ISO 9660 itself. What is checked in one of them says
//! nothing about the others, unless they name the same extents.
//!
//! Names differ between trees: Joliet has 64 characters and not all of them, ISO 9660 has fewer still. So a name that is
//! found in two trees must mean the same file in both, what no tree but one calls by the name that it has there must be
//! a file that is called otherwise in that, and none may be called like something that an agent looks for and does not
//! find in the tree that is read.

use std::collections::BTreeMap;

use anyhow::{Result, anyhow, bail, ensure};
use hadris_fs::MountOptions;
use hadris_iso::{Namespace, sync::IsoFs};

use super::{
    Extent, Kind, Layout, Record,
    device::Bounded,
    read::{Stop, broken, cache, tree, walk},
};

/// Compares the tree of `records`, which is the one that `iso` reads, with every other.
pub(super) fn check(iso: &IsoFs<Bounded>, records: &[Record]) -> Result<()> {
    let expected = Files::new(records)?;
    for namespace in iso.namespaces().iter() {
        if namespace == iso.namespace() {
            continue;
        }
        let name = tree(namespace).name();
        let found = || -> Result<Vec<Record>> {
            let device = Bounded::new(iso.device().file().try_clone()?)?;
            let mounted = IsoFs::mount_namespace(device, MountOptions::new().read_only(), namespace);
            let mut other = mounted.map_err(|error| broken(error.into_error()))?.with_cache(cache());
            walk(&mut other, None).map_err(|(Stop::MalformedRoot(error) | Stop::Broken(error))| error)
        };
        let found = found().and_then(|records| expected.compare(&records, namespace == Namespace::Primary));
        found.map_err(|error| anyhow!("its tree {name} is not the one that is read: {error:#}"))?;
    }
    Ok(())
}

/// The files of a tree.
struct Files<'a> {
    /// Paths with the case that they have.
    exact: BTreeMap<&'a [u8], &'a [Extent]>,
    /// Paths with what ISO 9660's own names tell apart: letters in one case, digits, dots.
    folded: BTreeMap<Vec<u8>, Vec<&'a [Extent]>>,
    /// How often which extents are named.
    extents: BTreeMap<Vec<(u64, u64)>, usize>,
}

impl<'a> Files<'a> {
    fn new(records: &'a [Record]) -> Result<Self> {
        let mut files = Self { exact: BTreeMap::new(), folded: BTreeMap::new(), extents: BTreeMap::new() };
        for record in records {
            let name = || record.display_path();
            match record.kind {
                Kind::Directory => continue,
                Kind::File => {}
                Kind::SymbolicLink | Kind::Other => bail!("{:?} is no file", name()),
            }
            ensure!(
                files.exact.insert(&record.path, &record.extents).is_none(),
                "file {:?} is there twice",
                name()
            );
            files.folded.entry(fold(&record.path)).or_default().push(&record.extents);
            *files.extents.entry(numbers(&record.extents)).or_default() += 1;
        }
        Ok(files)
    }

    /// `one_case`: the names in `records` have only one.
    fn compare(&self, records: &[Record], one_case: bool) -> Result<()> {
        let other = Files::new(records)?;
        for (path, extents) in &other.exact {
            let name = || String::from_utf8_lossy(path);
            let folded = fold(path);
            let means_the_same = match (self.exact.get(path), self.folded.get(&folded)) {
                (Some(one), _) if !one_case => one == extents,
                (_, Some(several)) => several.contains(extents),
                (_, None) => !is_looked_for(&folded),
            };
            ensure!(means_the_same, "it has another file {:?}", name());
        }
        for path in self.exact.keys().filter(|path| !one_case && is_plain(path)) {
            let name = String::from_utf8_lossy(path);
            ensure!(other.exact.contains_key(path), "it has no file {name:?}");
        }
        for (extents, count) in &other.extents {
            ensure!(self.extents.get(extents) == Some(count), "it names other bytes");
        }
        ensure!(self.extents.len() == other.extents.len(), "it names fewer files");
        Ok(())
    }
}

fn numbers(extents: &[Extent]) -> Vec<(u64, u64)> {
    extents.iter().map(|extent| (extent.offset, extent.len)).collect()
}

/// Whether Joliet can have a path as it is: its parts have 64 characters of UCS-2 at most, and none that it reserves (Joliet
/// specification, "Allowed Character Set").
fn is_plain(path: &[u8]) -> bool {
    const CHARACTERS_MAX: usize = 64;
    let fits = |part: &str| {
        part.chars().count() <= CHARACTERS_MAX
            && part.chars().all(|c| !c.is_control() && !"*:;?\\".contains(c) && u32::from(c) < 0x1_0000)
    };
    str::from_utf8(path).is_ok_and(|path| path.split('/').all(fits))
}

/// A path as a tree with few characters would call it.
fn fold(path: &[u8]) -> Vec<u8> {
    let fold = |byte: &u8| match byte {
        b'/' | b'.' => *byte,
        byte if byte.is_ascii_alphanumeric() => byte.to_ascii_lowercase(),
        _ => b'_',
    };
    path.iter().map(fold).collect()
}

/// Whether some agent looks for a file of this name, which is folded.
fn is_looked_for(name: &[u8]) -> bool {
    // No agent tells a dash from a folded one by anything else.
    let with_dashes = name.iter().map(|&byte| if byte == b'_' { b'-' } else { byte }).collect::<Vec<_>>();
    Layout::ALL.iter().any(|layout| layout.uses(name) || layout.uses(&with_dashes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, offset: u64) -> Record {
        let extents = vec![Extent { offset, len: 1 }];
        Record { path: path.into(), kind: Kind::File, mode: None, len: 1, extents }
    }

    fn compare(one: &[Record], other: &[Record], one_case: bool) -> Result<(), String> {
        Files::new(one).unwrap().compare(other, one_case).map_err(|error| error.to_string())
    }

    #[test]
    fn trees_may_differ_in_names_that_nobody_looks_for() {
        let read = [file("config", 1), file("a long name?", 2)];
        assert_eq!(compare(&read, &[file("CONFIG", 1), file("a_long_n", 2)], true), Ok(()));
        assert_eq!(compare(&read, &[file("config", 1), file("a long name_", 2)], false), Ok(()));
        let read = [file("config", 1), file("CONFIG", 2)];
        assert_eq!(compare(&[file("user-data", 1)], &[file("user_data", 1)], true), Ok(()));
        let swapped = [file("config", 2), file("config_1", 1)];
        assert_eq!(compare(&read, &swapped, true), Ok(()));
        assert_eq!(compare(&read, &swapped, false), Err("it has another file \"config\"".to_owned()));
    }

    #[test]
    fn trees_may_not_differ_in_what_a_name_means() {
        let read = [file("config", 1), file("x", 2)];
        let another = |name: &str| Err(format!("it has another file {name:?}"));
        assert_eq!(compare(&read, &[file("config", 2), file("x", 1)], false), another("config"));
        assert_eq!(compare(&read, &[file("config", 1), file("user-data", 2)], false), another("user-data"));
        assert_eq!(compare(&read, &[file("config", 1), file("user_data", 2)], true), another("user_data"));
        let missing = |name: &str| Err(format!("it has no file {name:?}"));
        assert_eq!(compare(&read, &[file("config", 1), file("y", 3)], false), missing("x"));
        assert_eq!(compare(&read, &[file("Config", 1), file("x", 2)], false), missing("config"));
        let other_bytes = Err("it names other bytes".to_owned());
        assert_eq!(compare(&read, &[file("config", 1), file("y", 3)], true), other_bytes);
        assert_eq!(compare(&read, &[file("config", 1)], true), Err("it names fewer files".to_owned()));
        assert_eq!(compare(&read, &[file("config", 1), file("x", 2), file("y", 2)], false), other_bytes);
        let twice = Files::new(&[file("config", 1), file("config", 1)]).map(|_| ());
        assert_eq!(twice.unwrap_err().to_string(), "file \"config\" is there twice");
    }
}
