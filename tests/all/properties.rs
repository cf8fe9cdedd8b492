use std::{fs, os::unix::fs::symlink};

use metadata_image::{
    image::{Image, source::Source},
    output::{atomic_file::Target, confined_dir::ConfinedDir},
    provider::cdrom,
    recipe::Recipe,
    userdata::{
        config_tree::{ConfigTree, Entry, Mode, Node, parse},
        finding::Severity,
        pack::pack,
        unpack::unpack,
    },
};
use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
};

use crate::userdata::tree_of;

/// Builds `recipe` in a directory of its own and hands the image's path to `check`.
fn build(recipe: Recipe, check: impl FnOnce(&std::path::Path)) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("meta.iso");
    let file = Target::resolve(&path).unwrap().create(0o600).unwrap();
    recipe.draft().unwrap().write_to_file(file.file(), &mut ()).unwrap();
    file.commit(false, |_| Ok(())).unwrap();
    check(&path);
}

proptest! {
    #[test]
    fn any_bytes_come_out_as_they_went_in(data in vec(any::<u8>(), 1..10_000)) {
        build(Recipe::new(Source::Bytes(data.clone())), |path| {
            assert_eq!(cdrom::fetch_from(path, &mut |_, _| {}).unwrap().userdata, Some(data));
        });
    }

    #[test]
    fn any_files_come_out_as_they_went_in(
        files in btree_map("[a-z]{1,3}(/[A-Za-z0-9 ._:-]{0,20}[a-z]){0,3}f", vec(any::<u8>(), 0..5_000), 0..20),
        data in vec(any::<u8>(), 1..100),
    ) {
        let named = |(name, content): (&String, &Vec<u8>)| (name.clone().into_bytes(), Source::Bytes(content.clone()));
        let recipe = Recipe { files: files.iter().map(named).collect(), ..Recipe::new(Source::Bytes(data)) };
        // A file may be a directory for another, or have the layout's name.
        prop_assume!(recipe.check().is_ok());
        build(recipe, |path| {
            let mut image = Image::open(path).unwrap();
            let (_, records) = image.list().unwrap();
            for (name, content) in &files {
                let record = records.iter().find(|record| record.path == name.as_bytes()).unwrap();
                assert_eq!(&image.read(record, 10_000).unwrap(), content);
            }
        });
    }
}

/// Trees with modes that root and others can read back.
fn any_tree(name: &'static str) -> impl Strategy<Value = ConfigTree> {
    let mode =
        |least: u32| option::of((0..0o1000_u32).prop_map(move |bits| Mode::new(bits | least).unwrap()));
    let file = (mode(0o400), any::<String>()).prop_map(|(perm, text)| Entry { perm, node: Node::File(text) });
    let entry = file.prop_recursive(4, 40, 6, move |below| {
        (mode(0o700), btree_map(name, below, 0..6))
            .prop_map(|(perm, entries)| Entry { perm, node: Node::Directory(ConfigTree { entries }) })
    });
    btree_map(name, entry, 0..6).prop_map(|entries| ConfigTree { entries })
}

/// What `tree` becomes as JSON, parsed again, and written to a directory.
fn written(tree: &ConfigTree, directory: &std::path::Path) -> (bool, usize) {
    let json = serde_json::to_vec(tree).unwrap();
    let parsed = parse::parse(&json);
    let errors = parsed.findings.iter().any(|finding| finding.code.severity() == Severity::Error);
    let mut skipped = 0;
    let root = ConfinedDir::open_or_create(directory).unwrap();
    unpack(&parsed.tree.unwrap(), &root, &mut |_, written| skipped += usize::from(written.is_err()));
    (errors, skipped)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_directory_becomes_json_and_the_same_directory(tree in any_tree("[a-zA-Z0-9é ._-]{0,8}[a-z]")) {
        let [first, second] = [(); 2].map(|()| tempfile::tempdir().unwrap());
        prop_assume!(!tree.entries.contains_key("hostname"));
        assert_eq!(written(&tree, first.path()), (false, 0));
        let packed = pack(first.path(), false).unwrap().unwrap();
        assert_eq!(written(&packed, second.path()), (false, 0));
        assert_eq!(tree_of(first.path()), tree_of(second.path()));
    }

    #[test]
    fn any_tree_stays_below_its_directory(tree in any_tree(r"(\.\.|\.|/|a|link|\.\./a|/etc|x{254,257}|\x00|)")) {
        let directory = tempfile::tempdir().unwrap();
        let outside = directory.path().join("outside");
        let inside = directory.path().join("inside");
        fs::create_dir(&outside).unwrap();
        fs::create_dir(&inside).unwrap();
        symlink("../outside", inside.join("link")).unwrap();
        let (errors, skipped) = written(&tree, &inside);
        assert!(errors || skipped == 0 || tree.entries.contains_key("link"));
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn any_text_can_be_parsed(text in r#"[\{\}\[\]:,"\\a-c \n0-9\PC]{0,60}"#) {
        let parsed = parse::parse(text.as_bytes());
        for finding in &parsed.findings {
            assert!(finding.span.end <= parsed.text.len() && parsed.text.is_char_boundary(finding.span.start));
        }
    }
}
