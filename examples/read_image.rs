//! A tool looks into an image that a user attaches: what is on it, and which agent would find it.
//!
//! ```sh
//! cargo run --example read_image -- seed.iso
//! ```

use std::{env, process::ExitCode};

use metadata_image::{Image, ReadError, datasource::compatibility::Agent};

fn main() -> ExitCode {
    let Some(path) = env::args_os().nth(1) else {
        eprintln!("usage: read_image IMAGE");
        return ExitCode::from(2);
    };
    match print(&path) {
        Ok(()) => ExitCode::SUCCESS,
        Err(ReadError::NotAnImage(_)) => {
            eprintln!("read_image: {path:?} is a disk without an ISO 9660 volume");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("read_image: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn print(path: &std::ffi::OsStr) -> Result<(), ReadError> {
    let mut image = Image::open(path)?;
    let (volume, records) = image.list()?;
    // The bytes of a name are as hostile as the image: escape them.
    println!("volume {:?}", volume.identifier);
    for record in &records {
        println!("{:>10} {:?}", record.len, record.display_path());
    }
    for agent in Agent::ALL {
        let found = agent.compatibility(&volume, &records);
        println!("{}: takes {:?}", agent.name(), found.takes);
    }
    Ok(())
}
