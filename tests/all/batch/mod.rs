//! Many images at once: `metadata batch`.

mod faults;
mod replacing;
mod results;
mod same_images;

use std::{fs, path::Path};

use crate::support::Ran;

/// The paths of all files beneath a directory, sorted.
fn files(directory: &Path) -> Vec<String> {
    fn walk(directory: &Path, above: &str, files: &mut Vec<String>) {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{above}{}", entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), &format!("{path}/"), files);
            } else {
                files.push(path);
            }
        }
    }
    let mut all = Vec::new();
    walk(directory, "", &mut all);
    all.sort();
    all
}

fn lines(ran: &Ran) -> Vec<&str> {
    ran.stderr.lines().collect()
}
