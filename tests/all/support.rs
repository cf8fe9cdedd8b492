//! What the tests share: a directory to run the program in, what it printed, images that other programs would make.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Output,
};

use assert_cmd::Command;
use tempfile::TempDir;

pub(crate) use crate::fuzz_targets::iso::linuxkit_image;

/// A directory of its own for a test.
pub(crate) struct Sandbox {
    directory: TempDir,
}

/// What a program printed, and how it ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ran {
    pub(crate) status: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Sandbox {
    pub(crate) fn new() -> Self {
        Self { directory: TempDir::new().unwrap() }
    }

    /// One in memory, for tests that would wait for the disk again and again.
    pub(crate) fn on_tmpfs() -> Self {
        Self { directory: TempDir::new_in("/dev/shm").unwrap() }
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// The names in the directory, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// `metadata` with nothing in its environment that could change what it does.
    pub(crate) fn command<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::cargo_bin("metadata").unwrap();
        command.current_dir(self.directory.path()).env_remove("SOURCE_DATE_EPOCH").args(arguments);
        command
    }

    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Ran {
        Ran::from(self.command(arguments).output().unwrap())
    }

    pub(crate) fn run_with_input<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
        input: impl Into<Vec<u8>>,
    ) -> Ran {
        Ran::from(self.command(arguments).write_stdin(input).output().unwrap())
    }

    /// Runs `metadata`, which must succeed, and gives its standard output.
    #[track_caller]
    pub(crate) fn succeed<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Vec<u8> {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// Runs another program, which must succeed, and gives its standard output.
    #[track_caller]
    pub(crate) fn tool<A: AsRef<OsStr>>(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> Vec<u8> {
        let mut command = std::process::Command::new(program);
        command.current_dir(self.directory.path()).args(arguments);
        let output = command.output().unwrap_or_else(|error| panic!("running {program}: {error}"));
        let text = || {
            String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout)
        };
        assert!(output.status.success(), "{program}: {}", text());
        output.stdout
    }
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// The program ended well, and said on standard error what is given.
pub(crate) fn done(stderr: &str) -> Ran {
    Ran { status: Some(0), stdout: String::new(), stderr: stderr.to_owned() }
}

/// The program ended with this status, and said on standard error the line that is given.
pub(crate) fn failed(status: i32, line: &str) -> Ran {
    Ran { status: Some(status), stdout: String::new(), stderr: format!("metadata: {line}\n") }
}

/// Bytes that look random and are the same every time.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        // Xorshift, George Marsaglia.
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend(state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}
