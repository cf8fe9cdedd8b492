//! What `metadata check` finds in the image, for those who ask for it: the original says nothing about the data.

use std::{
    env,
    fs::File,
    io::{self, Write},
};

use metadata_image::{check::check_image, image::Image};

use super::{complain, settings::Filesystem};
use crate::cli::render::paragraphs;

/// The variable that asks for findings if it is `1`.
const VARIABLE: &str = "METADATA_CHECK";

/// Prints to standard error what is found in `image`, if findings are wanted. Errors call it `name`.
pub(super) fn print_if_wanted(image: &File, filesystem: Filesystem, name: &str) {
    if env::var_os(VARIABLE).is_none_or(|value| value != "1") {
        return;
    }
    if matches!(filesystem, Filesystem::Tar(_)) {
        return complain(&format!("{VARIABLE} is set, but tar archives are not checked"));
    }
    let checked =
        Image::from_reader(image).map_err(Into::into).and_then(|mut image| check_image(&mut image, None));
    match checked {
        Ok(checked) => {
            let errors = io::stderr();
            for paragraph in checked.iter().flat_map(|text| paragraphs(name, text, &errors)) {
                // There is nowhere left to report a failure.
                drop(writeln!(&errors, "{paragraph}"));
            }
        }
        Err(error) => complain(&format!("checking {name}: {error:#}")),
    }
}
