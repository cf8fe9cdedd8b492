//! A virtual machine monitor gives a guest its NoCloud seed: the image is built in memory, and written where the guest's
//! CD-ROM drive or disk is backed.
//!
//! ```sh
//! cargo run --example build_seed -- web user-data.yaml seed.iso
//! ```

use std::{env, fs, process::ExitCode};

use metadata_image::{BuildError, Layout, Recipe, Source};

fn main() -> ExitCode {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [hostname, userdata, image] = arguments.as_slice() else {
        eprintln!("usage: build_seed HOSTNAME USERDATA IMAGE");
        return ExitCode::from(2);
    };
    match build(hostname, userdata) {
        Ok(bytes) => match fs::write(image, bytes) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&format!("writing {image:?}: {error}")),
        },
        // A host name that cannot be, for example: the caller's mistake, not the system's.
        Err(BuildError::InvalidRecipe(error)) => fail(&format!("invalid argument: {error:#}")),
        Err(error) => fail(&format!("{error:#}")),
    }
}

/// The bytes of a seed. Equal arguments give equal bytes.
fn build(hostname: &str, userdata: &str) -> Result<Vec<u8>, BuildError> {
    let mut recipe = Recipe::new(Source::file(userdata, "user data"));
    recipe.layout = Layout::NoCloud;
    recipe.hostname = Some(hostname.to_owned());
    let mut image = Vec::new();
    recipe.write_to(&mut image)?;
    Ok(image)
}

fn fail(message: &str) -> ExitCode {
    eprintln!("build_seed: {message}");
    ExitCode::FAILURE
}
