//! Writes the image: into the file that is there, or to standard output.

use std::{fs::File, path::Path};

use metadata_image::{
    image::iso9660::writer::Draft,
    output::{
        atomic_file::standard_output,
        in_place::{InPlace, open_special},
    },
};

use super::{super::signals::clean_up_on_signals, Trouble, dialect::Failure};

/// Writes the image.
///
/// # Errors
/// Fails if it cannot be written. What is there then is not an image.
pub(super) fn write(draft: Draft, output: Option<&Path>) -> Result<(), Trouble> {
    // From here on a file that grows past the limit of the process is an error.
    let prepared = clean_up_on_signals();
    prepared.map_err(|error| Trouble::new(Failure::Output, format!("writing the image: {error:#}")))?;
    let Some(path) = output else {
        let out = standard_output().map_err(|error| failed("standard output", &error.to_string()))?;
        let written = draft.write_to_output(&out, &mut ());
        return written.map(drop).map_err(|error| failed("standard output", &format!("{error:#}")));
    };
    let name = format!("{path:?}");
    let failed = |error: &dyn std::fmt::Display| failed(&name, &format!("{error:#}"));
    if let Some(mut device) = open_special(path).map_err(|error| failed(&error))? {
        return draft.write_forward(&mut device, &mut ()).map(drop).map_err(|error| failed(&error));
    }
    let file = InPlace::open(path).map_err(|error| failed(&error))?;
    file.truncate().map_err(|error| failed(&error))?;
    match draft.write_in_place(file.file(), &mut ()) {
        Ok(_) => Ok(()),
        Err(error) => {
            file.abandon();
            Err(failed(&error))
        }
    }
}

/// Opens the file of `-log-file`, which keeps what it holds for now, or creates it. Links and files of other users are refused as
/// those of images are.
pub(super) fn open_log(path: &Path) -> anyhow::Result<File> {
    match open_special(path)? {
        Some(device) => Ok(device),
        None => Ok(InPlace::open(path)?.file().try_clone()?),
    }
}

fn failed(what: &str, error: &str) -> Trouble {
    Trouble::new(Failure::Output, format!("writing image {what}: {error}"))
}
