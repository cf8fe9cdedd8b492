//! Lists the files beneath an open directory, without following links.

use std::{
    ffi::OsStr,
    os::{fd::AsFd, unix::ffi::OsStrExt},
};

use rustix::fs::{AtFlags, Dir, FileType, Stat, statat};

use super::handle::{open_directory, open_readable};

/// How deep directories are listed, in levels: as deep as a config tree can be.
const DEPTH_MAX: usize = 128;

/// How many directories are listed in all.
const DIRECTORIES_MAX: usize = 1 << 14;

/// The paths of files and links beneath `directory`, at most `max` of them, sorted. Left out is what cannot be read, what is more
/// than 128 levels deep, and what is in directories after the first 16,384.
pub(super) fn files(directory: impl AsFd, max: usize) -> Vec<String> {
    let mut listing = Listing { max, path: String::new(), files: Vec::new(), directories: 0 };
    listing.add(directory, 0);
    listing.files.sort_unstable();
    listing.files
}

/// The files beneath a directory.
struct Listing {
    /// How many files are listed.
    max: usize,
    /// The path of the directory that is being read, with a `/` at its end.
    path: String,
    files: Vec<String>,
    /// How many directories were found.
    directories: usize,
}

impl Listing {
    /// Adds what is in a directory with `depth` others above it. While it reads those below, it keeps one handle open.
    fn add(&mut self, directory: impl AsFd, depth: usize) {
        let Ok(entries) = open_readable(&directory).and_then(Dir::read_from) else { return };
        let mut below = Vec::new();
        for entry in entries.flatten() {
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name == "." || name == ".." {
                continue;
            }
            if self.files.len() == self.max {
                return;
            }
            let kind = match entry.file_type() {
                FileType::Unknown => statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW)
                    .map_or(FileType::Unknown, |found| kind_of(&found)),
                kind => kind,
            };
            if kind != FileType::Directory {
                self.files.push(format!("{}{}", self.path, name.to_string_lossy()));
            } else if depth < DEPTH_MAX && self.directories < DIRECTORIES_MAX {
                self.directories += 1;
                below.push(name.to_owned());
            }
        }
        for name in below {
            if self.files.len() == self.max {
                return;
            }
            let Ok(opened) = open_directory(&directory, &name) else { continue };
            let len = self.path.len();
            self.path.push_str(&name.to_string_lossy());
            self.path.push('/');
            self.add(&opened, depth + 1);
            self.path.truncate(len);
        }
    }
}

/// The kind of what statat(2) found.
pub(super) fn kind_of(found: &Stat) -> FileType {
    FileType::from_raw_mode(found.st_mode)
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use rustix::fs::CWD;

    use super::*;

    #[test]
    fn only_so_many_directories_are_listed() -> std::io::Result<()> {
        let directory = tempfile::tempdir()?;
        let path = directory.path();
        let deep = format!("{}file", "d/".repeat(DEPTH_MAX));
        fs::create_dir_all(path.join("d/".repeat(400)))?;
        fs::create_dir(path.join("a"))?;
        for name in ["a/b", &deep, &format!("{}hidden", "d/".repeat(DEPTH_MAX + 1))] {
            fs::write(path.join(name), "")?;
        }
        symlink("a", path.join("link"))?;
        let handle = open_directory(CWD, path)?;
        assert_eq!(files(&handle, 10), ["a/b", &*deep, "link"]);
        assert_eq!(files(&handle, 2).len(), 2);
        let mut wide =
            Listing { max: 10, path: String::new(), files: Vec::new(), directories: DIRECTORIES_MAX };
        wide.add(&handle, 0);
        assert_eq!(wide.files, ["link"]);
        Ok(())
    }
}
