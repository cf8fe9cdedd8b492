//! Checks that all trees of a volume name the same files.
//!
//! Linux reads Rock Ridge, Windows Joliet, and a boot loader the names of ISO 9660 itself. A check of one tree says nothing about
//! the others, unless they name the same extents.
//!
//! Names differ between trees: Joliet stores 64 characters and not all of them, ISO 9660 even fewer (`folding` knows how names
//! change). So a name that is in two trees must mean the same file in both. A file may have another name in another tree, but not
//! one that an agent looks for and does not find in the tree that is read.

use std::collections::BTreeMap;

use super::{
    clashes::Reserved,
    folding::{NameReader, joliet_path},
    reader::Reader,
    roots::Roots,
};
use crate::error::{Result, bail, ensure, error};
use crate::image::{Extent, Image, Kind, Record, Tree};

impl Image {
    /// Checks that all trees of the volume name the files in `records`, which are those of the tree that is read.
    ///
    /// # Errors
    /// Fails if one of them names other files, or cannot be read.
    pub fn check_trees(&mut self, records: &[Record], looked_for: &Reserved) -> Result<()> {
        // A FAT volume has one tree.
        let Some(volume) = self.iso9660() else { return Ok(()) };
        let (_, roots) = volume.roots()?;
        compare(volume, &roots, records, looked_for, &roots.trees())
    }

    /// The same for the trees that Linux can read and that have records of their own.
    ///
    /// # Errors
    /// Fails as [`Image::check_trees`] does.
    pub(super) fn check_readable_trees(&mut self, records: &[Record], looked_for: &Reserved) -> Result<()> {
        let Some(volume) = self.iso9660() else { return Ok(()) };
        let (_, roots) = volume.roots()?;
        let mut trees = roots.trees();
        // The names of ISO 9660 itself are in the records that have Rock Ridge. They differ where directories are too deep.
        let is_shared = |tree| tree == Tree::Primary && roots.read_by_linux() == Tree::RockRidge;
        trees.retain(|tree| *tree != Tree::Enhanced && !is_shared(*tree));
        compare(volume, &roots, records, looked_for, &trees)
    }
}

/// Compares the tree of `records`, which is the one that Linux reads, with the others of `trees`.
fn compare(
    image: &mut Reader,
    roots: &Roots,
    records: &[Record],
    looked_for: &Reserved,
    trees: &[Tree],
) -> Result<()> {
    let expected = TreeFiles::new(records)?;
    for &tree in trees {
        if tree != roots.read_by_linux() {
            let found = image
                .list_tree(tree)
                .and_then(|records| expected.compare(&records, looked_for, reader_of(tree)));
            found.map_err(|error| {
                error!("the {} tree differs from the tree that is read: {error:#}", tree.name())
            })?;
        }
    }
    Ok(())
}

/// The reader whose names are compared, for a tree other than the one that is read.
fn reader_of(tree: Tree) -> NameReader {
    match tree {
        Tree::Primary => NameReader::Plain,
        _ => NameReader::LinuxJoliet,
    }
}

/// The files of a tree.
struct TreeFiles<'a> {
    /// The extents of each path, in its own case.
    exact: BTreeMap<&'a [u8], &'a [Extent]>,
    /// How often the same extents are named.
    extents: BTreeMap<Vec<(u64, u64)>, usize>,
}

impl<'a> TreeFiles<'a> {
    fn new(records: &'a [Record]) -> Result<Self> {
        let mut files = Self { exact: BTreeMap::new(), extents: BTreeMap::new() };
        for record in records {
            let name = || record.display_path();
            match record.kind {
                Kind::Directory => continue,
                Kind::File => {}
                Kind::SymbolicLink | Kind::Other => bail!("{:?} is not a regular file", name()),
            }
            ensure!(
                files.exact.insert(&record.path, &record.extents).is_none(),
                "there are two files {:?}",
                name()
            );
            *files.extents.entry(numbers(&record.extents)).or_default() += 1;
        }
        Ok(files)
    }

    /// Compares these files with those in `records`, of a tree that `reader` reads.
    fn compare(&self, records: &[Record], looked_for: &Reserved, reader: NameReader) -> Result<()> {
        let one_case = reader == NameReader::Plain;
        let mut keys: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (path, extents) in &self.exact {
            keys.entry(reader.key(path, false)).or_default().push(*extents);
        }
        let looked_for = looked_for.of(reader);
        let other = TreeFiles::new(records)?;
        for (path, extents) in &other.exact {
            let name = || String::from_utf8_lossy(path);
            let key = reader.key(path, false);
            let means_the_same = match (self.exact.get(path), keys.get(&key)) {
                (Some(one), _) if !one_case => one == extents,
                (_, Some(several)) => several.contains(extents),
                (_, None) => !looked_for.contains_key(&key),
            };
            ensure!(means_the_same, "file {:?} is another file there", name());
        }
        for path in self.exact.keys().filter(|path| !one_case && joliet_path(path) == **path) {
            let name = String::from_utf8_lossy(path);
            ensure!(other.exact.contains_key(path), "file {name:?} is missing there");
        }
        for (extents, count) in &other.extents {
            ensure!(self.extents.get(extents) == Some(count), "its files have other bytes");
        }
        ensure!(self.extents.len() == other.extents.len(), "it has fewer files");
        Ok(())
    }
}

fn numbers(extents: &[Extent]) -> Vec<(u64, u64)> {
    extents.iter().map(|extent| (extent.offset, extent.len)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;
    use crate::image::{
        iso9660::{volume_format::VolumeFormat, writer},
        source::Source,
    };

    const CHARACTERS: [char; 20] = [
        'a', 'B', '1', '_', '-', '.', '.', ' ', ';', '*', ':', '?', '\\', '+', 'ä', 'Ä', '日', '😀', '\u{1}',
        '\u{fffd}',
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_trees_that_are_written_have_the_names_that_are_computed(
            directory in vec(select(&CHARACTERS[..]), 1..80),
            name in vec(select(&CHARACTERS[..]), 1..80),
        ) {
            let [directory, name]: [String; 2] = [directory, name].map(|part| part.into_iter().collect());
            // To Linux, a Joliet name of dots alone is not a name, and of others it reads 253 bytes.
            prop_assume!([&directory, &name].iter().all(|part| part.contains(|c| c != '.') && part.len() <= 253));
            // These two bytes stand for the directory itself and the one above it.
            prop_assume!([&directory, &name].iter().all(|part| !["\0", "\u{1}"].contains(&part.as_str())));
            let path = format!("{directory}/{name}").into_bytes();
            let draft = writer::Draft::new(writer::VolumeSpec {
                identifier: "X".to_owned(),
                seconds: 0,
                files: vec![(path.clone(), Source::Bytes(b"x".to_vec()))],
                derived: Vec::new(),
                format: VolumeFormat::default(),
            });
            let file = crate::output::atomic_file::unnamed_temporary().unwrap();
            draft.unwrap().write_to_file(&file, &mut ()).unwrap();
            let mut image = Image::in_file(file, "meta.iso".as_ref()).unwrap();
            let mut found = |tree| {
                let records = image.list_tree(tree).unwrap();
                records.into_iter().find(|record| record.kind == Kind::File).unwrap().path
            };
            prop_assert_eq!(found(Tree::RockRidge), &path[..]);
            prop_assert_eq!(found(Tree::Joliet), joliet_path(&path));
            prop_assert_eq!(found(Tree::Primary), NameReader::Plain.key(&path, false));
        }
    }

    fn file(path: &str, offset: u64) -> Record {
        let extents = vec![Extent { offset, len: 1 }];
        Record { path: path.into(), kind: Kind::File, mode: None, len: 1, extents }
    }

    fn compare(one: &[Record], other: &[Record], reader: NameReader) -> Result<(), String> {
        let looked_for = Reserved::new(|| vec!["config", "user-data", "meta-data"], []);
        TreeFiles::new(one).unwrap().compare(other, &looked_for, reader).map_err(|error| error.to_string())
    }

    #[test]
    fn trees_may_differ_in_names_that_nobody_looks_for() {
        let read = [file("config", 1), file("a long name?", 2)];
        assert_eq!(compare(&read, &[file("CONFIG", 1), file("a_long_n", 2)], NameReader::Plain), Ok(()));
        assert_eq!(
            compare(&read, &[file("config", 1), file("a long name_", 2)], NameReader::LinuxJoliet),
            Ok(())
        );
        let read = [file("config", 1), file("CONFIG", 2)];
        assert_eq!(compare(&[file("user-data", 1)], &[file("user_data", 1)], NameReader::Plain), Ok(()));
        let swapped = [file("config", 2), file("config_1", 1)];
        assert_eq!(compare(&read, &swapped, NameReader::Plain), Ok(()));
        assert_eq!(
            compare(&read, &swapped, NameReader::LinuxJoliet),
            Err("file \"config\" is another file there".to_owned())
        );
    }

    #[test]
    fn trees_may_not_differ_in_what_a_name_means() {
        let read = [file("config", 1), file("x", 2)];
        let another = |name: &str| Err(format!("file {name:?} is another file there"));
        assert_eq!(
            compare(&read, &[file("config", 2), file("x", 1)], NameReader::LinuxJoliet),
            another("config")
        );
        assert_eq!(
            compare(&read, &[file("config", 1), file("user-data", 2)], NameReader::LinuxJoliet),
            another("user-data")
        );
        assert_eq!(
            compare(&read, &[file("config", 1), file("user_data", 2)], NameReader::Plain),
            another("user_data")
        );
        let missing = |name: &str| Err(format!("file {name:?} is missing there"));
        assert_eq!(compare(&read, &[file("config", 1), file("y", 3)], NameReader::LinuxJoliet), missing("x"));
        assert_eq!(
            compare(&read, &[file("Config", 1), file("x", 2)], NameReader::LinuxJoliet),
            missing("config")
        );
        let other_bytes = Err("its files have other bytes".to_owned());
        assert_eq!(compare(&read, &[file("config", 1), file("y", 3)], NameReader::Plain), other_bytes);
        assert_eq!(
            compare(&read, &[file("config", 1)], NameReader::Plain),
            Err("it has fewer files".to_owned())
        );
        assert_eq!(
            compare(&read, &[file("config", 1), file("x", 2), file("y", 2)], NameReader::LinuxJoliet),
            other_bytes
        );
        let twice = TreeFiles::new(&[file("config", 1), file("config", 1)]).map(|_| ());
        assert_eq!(twice.unwrap_err().to_string(), "there are two files \"config\"");
    }
}
