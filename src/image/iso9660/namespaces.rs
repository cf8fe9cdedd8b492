//! Whether all trees of a volume say the same.
//!
//! Linux reads Rock Ridge, Windows Joliet, a boot loader the names of ISO 9660 itself. What is checked in one of them says
//! nothing about the others, unless they name the same extents.
//!
//! Names differ between trees: Joliet has 64 characters and not all of them, ISO 9660 has fewer still (`folding` knows what
//! becomes of a name). So a name that is found in two trees must mean the same file in both, what no tree but one calls by
//! the name that it has there must be a file that is called otherwise in that, and none may be called like something that
//! an agent looks for and does not find in the tree that is read.

use std::collections::BTreeMap;

use super::{
    clashes::Reserved,
    folding::{Reader, joliet_path},
    roots::Roots,
};
use crate::error::{Result, bail, ensure, error};
use crate::image::{Extent, Image, Kind, Record, Tree};

/// Compares the tree of `records`, which is the one that Linux reads, with every other.
pub(super) fn check(
    image: &mut Image,
    roots: &Roots,
    records: &[Record],
    looked_for: &Reserved,
) -> Result<()> {
    let expected = Files::new(records)?;
    for tree in roots.trees() {
        if tree != roots.read_by_linux() {
            let found = image
                .list_tree(tree)
                .and_then(|records| expected.compare(&records, looked_for, reader_of(tree)));
            found
                .map_err(|error| error!("its tree {} is not the one that is read: {error:#}", tree.name()))?;
        }
    }
    Ok(())
}

/// By whose names the records of a tree that is not the one that is read are compared with that.
fn reader_of(tree: Tree) -> Reader {
    match tree {
        Tree::Primary => Reader::Plain,
        _ => Reader::LinuxJoliet,
    }
}

/// The files of a tree.
struct Files<'a> {
    /// Paths with the case that they have.
    exact: BTreeMap<&'a [u8], &'a [Extent]>,
    /// How often which extents are named.
    extents: BTreeMap<Vec<(u64, u64)>, usize>,
}

impl<'a> Files<'a> {
    fn new(records: &'a [Record]) -> Result<Self> {
        let mut files = Self { exact: BTreeMap::new(), extents: BTreeMap::new() };
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
            *files.extents.entry(numbers(&record.extents)).or_default() += 1;
        }
        Ok(files)
    }

    /// Compares these files with those in `records`, of a tree that `reader` reads.
    fn compare(&self, records: &[Record], looked_for: &Reserved, reader: Reader) -> Result<()> {
        let one_case = reader == Reader::Plain;
        let mut keys: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (path, extents) in &self.exact {
            keys.entry(reader.key(path, false)).or_default().push(*extents);
        }
        let looked_for = looked_for.of(reader);
        let other = Files::new(records)?;
        for (path, extents) in &other.exact {
            let name = || String::from_utf8_lossy(path);
            let key = reader.key(path, false);
            let means_the_same = match (self.exact.get(path), keys.get(&key)) {
                (Some(one), _) if !one_case => one == extents,
                (_, Some(several)) => several.contains(extents),
                (_, None) => !looked_for.contains_key(&key),
            };
            ensure!(means_the_same, "it has another file {:?}", name());
        }
        for path in self.exact.keys().filter(|path| !one_case && joliet_path(path) == **path) {
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

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;
    use crate::image::{iso9660::writer, source::Source};

    const CHARACTERS: [char; 20] = [
        'a', 'B', '1', '_', '-', '.', '.', ' ', ';', '*', ':', '?', '\\', '+', 'ä', 'Ä', '日', '😀', '\u{1}',
        '\u{fffd}',
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn the_trees_that_are_written_have_the_names_that_are_foretold(
            directory in vec(select(&CHARACTERS[..]), 1..80),
            name in vec(select(&CHARACTERS[..]), 1..80),
        ) {
            let [directory, name]: [String; 2] = [directory, name].map(|part| part.into_iter().collect());
            // A name of dots alone is none to Linux in Joliet, and of others Linux reads 253 bytes.
            prop_assume!([&directory, &name].iter().all(|part| part.contains(|c| c != '.') && part.len() <= 253));
            let path = format!("{directory}/{name}").into_bytes();
            let draft = writer::Draft::new(writer::Volume {
                identifier: "X".to_owned(),
                seconds: 0,
                files: vec![(path.clone(), Source::Bytes(b"x".to_vec()))],
                derived: Vec::new(),
            });
            let file = crate::output::atomic_file::nameless().unwrap();
            draft.unwrap().write_to_file(&file, &mut ()).unwrap();
            let mut image = Image::in_file(file, "meta.iso".as_ref()).unwrap();
            let mut found = |tree| {
                let records = image.list_tree(tree).unwrap();
                records.into_iter().find(|record| record.kind == Kind::File).unwrap().path
            };
            prop_assert_eq!(found(Tree::RockRidge), &path[..]);
            prop_assert_eq!(found(Tree::Joliet), joliet_path(&path));
            prop_assert_eq!(found(Tree::Primary), Reader::Plain.key(&path, false));
        }
    }

    fn file(path: &str, offset: u64) -> Record {
        let extents = vec![Extent { offset, len: 1 }];
        Record { path: path.into(), kind: Kind::File, mode: None, len: 1, extents }
    }

    fn compare(one: &[Record], other: &[Record], reader: Reader) -> Result<(), String> {
        let looked_for = Reserved::new(["config", "user-data", "meta-data"].into_iter(), [].into_iter());
        Files::new(one).unwrap().compare(other, &looked_for, reader).map_err(|error| error.to_string())
    }

    #[test]
    fn trees_may_differ_in_names_that_nobody_looks_for() {
        let read = [file("config", 1), file("a long name?", 2)];
        assert_eq!(compare(&read, &[file("CONFIG", 1), file("a_long_n", 2)], Reader::Plain), Ok(()));
        assert_eq!(
            compare(&read, &[file("config", 1), file("a long name_", 2)], Reader::LinuxJoliet),
            Ok(())
        );
        let read = [file("config", 1), file("CONFIG", 2)];
        assert_eq!(compare(&[file("user-data", 1)], &[file("user_data", 1)], Reader::Plain), Ok(()));
        let swapped = [file("config", 2), file("config_1", 1)];
        assert_eq!(compare(&read, &swapped, Reader::Plain), Ok(()));
        assert_eq!(
            compare(&read, &swapped, Reader::LinuxJoliet),
            Err("it has another file \"config\"".to_owned())
        );
    }

    #[test]
    fn trees_may_not_differ_in_what_a_name_means() {
        let read = [file("config", 1), file("x", 2)];
        let another = |name: &str| Err(format!("it has another file {name:?}"));
        assert_eq!(
            compare(&read, &[file("config", 2), file("x", 1)], Reader::LinuxJoliet),
            another("config")
        );
        assert_eq!(
            compare(&read, &[file("config", 1), file("user-data", 2)], Reader::LinuxJoliet),
            another("user-data")
        );
        assert_eq!(
            compare(&read, &[file("config", 1), file("user_data", 2)], Reader::Plain),
            another("user_data")
        );
        let missing = |name: &str| Err(format!("it has no file {name:?}"));
        assert_eq!(compare(&read, &[file("config", 1), file("y", 3)], Reader::LinuxJoliet), missing("x"));
        assert_eq!(
            compare(&read, &[file("Config", 1), file("x", 2)], Reader::LinuxJoliet),
            missing("config")
        );
        let other_bytes = Err("it names other bytes".to_owned());
        assert_eq!(compare(&read, &[file("config", 1), file("y", 3)], Reader::Plain), other_bytes);
        assert_eq!(
            compare(&read, &[file("config", 1)], Reader::Plain),
            Err("it names fewer files".to_owned())
        );
        assert_eq!(
            compare(&read, &[file("config", 1), file("x", 2), file("y", 2)], Reader::LinuxJoliet),
            other_bytes
        );
        let twice = Files::new(&[file("config", 1), file("config", 1)]).map(|_| ());
        assert_eq!(twice.unwrap_err().to_string(), "file \"config\" is there twice");
    }
}
