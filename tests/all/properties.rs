use metadata_image::{
    image::{Image, source::Source},
    output::replace::Target,
    provider::cdrom,
    recipe::Recipe,
};
use proptest::{
    collection::{btree_map, vec},
    prelude::*,
};

/// Builds `recipe` in a directory of its own and hands the image's path to `check`.
fn build(recipe: Recipe, check: impl FnOnce(&std::path::Path)) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("meta.iso");
    let file = Target::resolve(&path).unwrap().create(0o600).unwrap();
    recipe.draft().unwrap().write_to_file(file.file(), &mut ()).unwrap();
    file.commit(false).unwrap();
    check(&path);
}

proptest! {
    #[test]
    fn any_bytes_come_out_as_they_went_in(data in vec(any::<u8>(), 1..10_000)) {
        build(Recipe::new(Source::Bytes(data.clone())), |path| {
            assert_eq!(cdrom::fetch_from(path).unwrap().userdata, Some(data));
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
