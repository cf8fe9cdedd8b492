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

/// Copies the program. A copy that this process wrote could not be run while a child that another test starts has it open.
pub(crate) fn copy_program(to: impl AsRef<Path>) {
    let program = assert_cmd::cargo::cargo_bin!("metadata");
    Command::new("cp").arg(program).arg(to.as_ref()).assert().success();
}

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

/// How many cases a random test draws: some, or `all` of them in `scripts/test --all`.
pub(crate) fn cases(some: usize, all: usize) -> usize {
    if std::env::var_os("METADATA_TEST_ALL").is_some() { all } else { some }
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

/// An image whose root directory is other records: names of ISO 9660 itself, sectors and bytes. `image` is one that the
/// program made, and the contents of its files stay where they are.
pub(crate) fn with_root(mut image: Vec<u8>, records: &[(String, u32, u32)]) -> Vec<u8> {
    const SECTOR: usize = 2048;
    const DESCRIPTOR: usize = 16 * SECTOR;
    let both = |number: u32| [number.to_le_bytes(), number.to_be_bytes()].concat();
    let record = |name: &[u8], sector: u32, bytes: u32, flags: u8| {
        let mut record =
            [&[0, 0][..], &both(sector), &both(bytes), &[80, 1, 1, 0, 0, 0, 0, flags, 0, 0, 1, 0, 0, 1]]
                .concat();
        record.extend([&[u8::try_from(name.len()).unwrap()], name].concat());
        record.resize(record.len().next_multiple_of(2), 0);
        record[0] = u8::try_from(record.len()).unwrap();
        record
    };
    let start = image.len().next_multiple_of(SECTOR);
    let sector = u32::try_from(start / SECTOR).unwrap();
    image.resize(start, 0);
    // The length of the directory is not known before it is complete.
    let mut directory = [record(&[0], sector, 0, 2), record(&[1], sector, 0, 2)].concat();
    for (name, sector, bytes) in records {
        let record = record(name.as_bytes(), *sector, *bytes, 0);
        let left = directory.len().next_multiple_of(SECTOR) - directory.len();
        if left < record.len() {
            directory.resize(directory.len() + left, 0);
        }
        directory.extend(record);
    }
    directory.resize(directory.len().next_multiple_of(SECTOR), 0);
    let bytes = both(u32::try_from(directory.len()).unwrap());
    for own in [0, 34] {
        directory[own + 10..own + 18].copy_from_slice(&bytes);
    }
    image.extend(directory);
    let root = DESCRIPTOR + 156;
    image[root + 2..root + 10].copy_from_slice(&both(sector));
    image[root + 10..root + 18].copy_from_slice(&bytes);
    // The terminator in place of the descriptor of Joliet.
    image.copy_within(DESCRIPTOR + 2 * SECTOR..DESCRIPTOR + 3 * SECTOR, DESCRIPTOR + SECTOR);
    image
}

/// The first sector of a FAT image, as `mkfs.vfat` writes it.
pub(crate) fn fat_boot_sector() -> Vec<u8> {
    let mut sector = vec![0; 512];
    sector[..11].copy_from_slice(b"\xeb\x3c\x90mkfs.fat");
    sector[11..17].copy_from_slice(&[0, 2, 4, 1, 0, 2]);
    sector[21] = 0xf8;
    sector[510..].copy_from_slice(&[0x55, 0xaa]);
    sector
}
