//! The front door of the library, as a program that links it uses it.

use metadata_image::{BuildError, Recipe, Source};

use crate::support::Sandbox;

fn recipe() -> Recipe {
    Recipe::new(Source::Bytes(b"hello".to_vec()))
}

#[test]
fn a_file_and_a_writer_get_the_same_image() {
    let sandbox = Sandbox::new();
    let mut written = Vec::new();
    recipe().write_to(&mut written).unwrap();
    for _ in 0..2 {
        recipe().build(sandbox.path("meta.iso")).unwrap();
        assert!(sandbox.read("meta.iso") == written);
    }
}

#[test]
fn a_file_that_is_not_an_image_is_kept() {
    let sandbox = Sandbox::new();
    let path = sandbox.write("text", "text");
    let error = recipe().build(&path).unwrap_err();
    assert!(matches!(error, BuildError::InvalidRecipe(_)), "{error:#}");
    assert_eq!(format!("{error:#}"), format!("building image {path:?}: the existing file is not an image"));
    assert_eq!(sandbox.read("text"), b"text");
}
