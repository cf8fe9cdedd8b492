//! The program in the place of mkisofs, genisoimage and xorrisofs: the images and the habits of the originals.

mod callers;
mod habits;
mod inputs;
mod names;
mod replay;
mod trees;
mod written;

use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::support::Sandbox;

/// A directory with our program under the names of the others, and one with the originals.
struct Programs {
    sandbox: Sandbox,
}

impl Programs {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        fs::create_dir(sandbox.path("ours")).unwrap();
        sandbox.succeed(["install-names", "--xorriso", "ours"]);
        Self { sandbox }
    }

    /// As [`Programs::new`], with the originals: many systems call genisoimage mkisofs.
    fn with_originals() -> Self {
        let programs = Self::new();
        fs::create_dir(programs.sandbox.path("theirs")).unwrap();
        for (name, original) in [
            ("mkisofs", "/usr/bin/genisoimage"),
            ("genisoimage", "/usr/bin/genisoimage"),
            ("xorrisofs", "/usr/bin/xorrisofs"),
            ("xorriso", "/usr/bin/xorriso"),
        ] {
            symlink(original, programs.sandbox.path("theirs").join(name)).unwrap();
        }
        programs
    }

    fn path(&self, name: &str) -> PathBuf {
        self.sandbox.path(name)
    }

    /// Runs a program of `ours` or `theirs` in the directory of the sandbox.
    fn run<A: AsRef<OsStr>>(
        &self,
        whose: &str,
        name: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Output {
        let mut command = Command::new(self.sandbox.path(whose).join(name));
        command.current_dir(self.sandbox.path(".")).env_remove("SOURCE_DATE_EPOCH").args(arguments);
        command.output().unwrap()
    }

    /// Runs our program, which must succeed and say nothing.
    #[track_caller]
    fn succeed<A: AsRef<OsStr>>(&self, name: &str, arguments: impl IntoIterator<Item = A>) -> Vec<u8> {
        let output = self.run("ours", name, arguments);
        assert_eq!(String::from_utf8_lossy(&output.stderr), "");
        assert!(output.status.success());
        output.stdout
    }

    /// Our program fails with this status, and its one line on standard error holds `text`.
    #[track_caller]
    fn fail<A: AsRef<OsStr>>(
        &self,
        name: &str,
        arguments: impl IntoIterator<Item = A>,
        status: i32,
        text: &str,
    ) {
        let output = self.run("ours", name, arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(status), "{errors}");
        assert!(errors.contains(text) && errors.lines().count() == 1, "{errors}");
    }
}

/// The identifiers of the primary tree, by the path that Rock Ridge gives.
fn primary_names(image: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    const ROOT: usize = 16 * 2048 + 156;
    let number =
        |at: usize| usize::try_from(u32::from_le_bytes(image[at..at + 4].try_into().unwrap())).unwrap();
    let mut found = Vec::new();
    let mut waiting = vec![(Vec::new(), number(ROOT + 2) * 2048, number(ROOT + 10))];
    while let Some((path, start, len)) = waiting.pop() {
        let mut at = start;
        while at < start + len {
            let bytes = usize::from(image[at]);
            if bytes == 0 {
                at = (at + 1).next_multiple_of(2048);
                continue;
            }
            let identifier = &image[at + 33..][..usize::from(image[at + 32])];
            if !matches!(identifier, [0 | 1]) {
                let area = &image[at + (33 + identifier.len()).next_multiple_of(2)..at + bytes];
                let mut name = path.clone();
                if !name.is_empty() {
                    name.push(b'/');
                }
                name.extend(rock_ridge_name(image, area));
                if image[at + 25] & 2 != 0 {
                    waiting.push((name.clone(), number(at + 2) * 2048, number(at + 10)));
                }
                found.push((name, identifier.to_vec()));
                assert!(found.len() < 200_000, "the directories of the image have no end");
            }
            at += bytes;
        }
    }
    found.sort();
    found
}

fn rock_ridge_name(image: &[u8], area: &[u8]) -> Vec<u8> {
    let number = |bytes: &[u8]| usize::try_from(u32::from_le_bytes(bytes[..4].try_into().unwrap())).unwrap();
    let (mut name, mut rest) = (Vec::new(), area);
    while rest.len() >= 4 && rest[2] >= 4 {
        let (entry, after) = rest.split_at(usize::from(rest[2]));
        rest = match &entry[..2] {
            b"CE" => &image[number(&entry[4..]) * 2048 + number(&entry[12..])..][..number(&entry[20..])],
            _ => after,
        };
        if &entry[..2] == b"NM" {
            name.extend(&entry[5..]);
        }
    }
    name
}

fn write(path: &Path, content: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}
