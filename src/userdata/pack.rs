//! Makes a config tree of a directory on the host.
//!
//! Somebody else may change the directory meanwhile, and put a link to a secret in place of a file. walkdir, which goes by
//! paths, gives the names and their order, and nothing else: each name is opened in the open directory that it was found in,
//! and what is packed is what that handle says and holds.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use crate::error::{Context, Result, bail};
use rustix::{
    fs::{AtFlags, CWD, FileType, OFlags, Stat, fstat, openat, statat},
    io::Errno,
};
use walkdir::WalkDir;

use super::{
    binary::find_nul,
    config_tree::{ConfigTree, DEPTH_MAX, DIRECTORY_MODE, Entry, FILE_MODE, Mode, Node},
};

/// Bytes of all contents together at most, and of the JSON: a guest reads no more.
const BYTES_MAX: u64 = 64 << 20;

/// A file that has no place in a config tree, and why.
#[derive(Debug)]
pub struct Unpackable {
    /// Its path on the host.
    pub path: PathBuf,
    /// Why, in words that follow the path.
    pub why: String,
}

/// The tree of what is below `directory`, whatever the order on disk, or everything that cannot be in one.
///
/// Files have their content, files and directories their permission bits, which are left out where they are the ones
/// that an entry without `perm` gets. `follow`: a symbolic link stands for what it points to. Otherwise none is followed but
/// `directory` itself, even if it takes the place of a file at any time.
///
/// # Errors
/// `directory` is none or cannot be read, or there is more than 64 MiB in its files.
pub fn pack(directory: &Path, follow: bool) -> Result<Result<ConfigTree, Vec<Unpackable>>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, directory, flags, rustix::fs::Mode::empty()).map_err(io::Error::from);
    let handle = root.with_context(|| format!("reading directory {directory:?}"))?;
    let mut faults = Vec::new();
    let mut left = BYTES_MAX;
    // The directories down to the present one.
    let mut open =
        vec![OpenDirectory { name: String::new(), perm: None, handle, tree: ConfigTree::default() }];
    let mut walk = WalkDir::new(directory).min_depth(1).follow_links(follow).sort_by_file_name().into_iter();
    while let Some(found) = walk.next() {
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                let path = error.path().unwrap_or(directory).to_path_buf();
                let why = match error.io_error() {
                    Some(error) => error.to_string(),
                    None => "a symbolic link that leads back to a directory above it".to_owned(),
                };
                faults.push(Unpackable { path, why });
                continue;
            }
        };
        close(&mut open, found.depth());
        let above = open.last_mut().context("the directory itself stays open")?;
        let is_directory = found.file_type().is_dir();
        let wanted = ListedItem { is_directory, depth: found.depth(), follow };
        let taken = wanted.take(&above.handle, found.file_name(), &mut left);
        if is_directory && taken.is_err() {
            walk.skip_current_dir();
        }
        let mut fault = |path: &Path, why: String| faults.push(Unpackable { path: path.to_path_buf(), why });
        let has_name = found.file_name().to_str().is_some();
        if !has_name && !matches!(taken, Err(Refusal::Changed | Refusal::TooLarge)) {
            fault(found.path(), "its name is not UTF-8".to_owned());
        }
        let name = found.file_name().to_string_lossy().into_owned();
        match taken {
            Ok(OpenedItem::Directory(handle, perm)) => {
                open.push(OpenDirectory { name, perm, handle, tree: ConfigTree::default() });
            }
            Ok(OpenedItem::File(entry)) => drop(above.tree.entries.insert(name, entry)),
            Err(Refusal::Because(why)) if has_name => fault(found.path(), why),
            Err(Refusal::Because(_)) => {}
            // Not what was found there: its name may be one of another directory, and is nobody's business.
            Err(Refusal::Changed) => {
                let path = found.path().parent().unwrap_or(directory);
                if faults.last().is_none_or(|last| last.path != path) {
                    faults.push(Unpackable { path: path.to_path_buf(), why: CHANGED.to_owned() });
                }
            }
            Err(Refusal::TooLarge) => bail!("packing {directory:?}: its files together are {TOO_LARGE}"),
        }
    }
    close(&mut open, 1);
    let OpenDirectory { tree, .. } = open.pop().context("the directory itself stays open")?;
    Ok(if faults.is_empty() { Ok(tree) } else { Err(faults) })
}

const CHANGED: &str = "it changed while it was being read";

const TOO_LARGE: &str = "larger than 64 MiB";

/// The user data with this tree: JSON in one line.
///
/// # Errors
/// It is larger than 64 MiB, which a tree that [`pack`] made is only with many names or control characters.
pub fn to_json(tree: &ConfigTree) -> Result<Vec<u8>> {
    let mut json = BoundedJson(Vec::new());
    serde_json::to_writer(&mut json, tree)?;
    json.write_all(b"\n")?;
    Ok(json.0)
}

/// JSON that does not become too large.
struct BoundedJson(Vec<u8>);

impl Write for BoundedJson {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.0.len() + bytes.len()) as u64 > BYTES_MAX {
            return Err(io::Error::other(format!("its JSON is {TOO_LARGE}")));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A directory that is being packed.
struct OpenDirectory {
    name: String,
    perm: Option<Mode>,
    handle: OwnedFd,
    tree: ConfigTree,
}

/// Puts the directories that are deeper than `depth` into those above them.
fn close(open: &mut Vec<OpenDirectory>, depth: usize) {
    while open.len() > depth {
        let Some(OpenDirectory { name, perm, tree, .. }) = open.pop() else { return };
        if let Some(above) = open.last_mut() {
            above.tree.entries.insert(name, Entry { perm, node: Node::Directory(tree) });
        }
    }
}

/// What a name stands for, with its handle.
enum OpenedItem {
    /// A directory to go on from.
    Directory(OwnedFd, Option<Mode>),
    /// A file that was read.
    File(Entry),
}

/// Why a name is not packed.
enum Refusal {
    /// In words that follow its path.
    Because(String),
    /// It is not what was listed.
    Changed,
    /// There is more than may be packed.
    TooLarge,
}

impl From<Errno> for Refusal {
    fn from(error: Errno) -> Self {
        match error {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP => Self::Changed,
            error => Self::Because(io::Error::from(error).to_string()),
        }
    }
}

/// What was listed under a name.
#[derive(Clone, Copy)]
struct ListedItem {
    is_directory: bool,
    /// Names in its path from the directory that is packed.
    depth: usize,
    follow: bool,
}

impl ListedItem {
    /// Opens the name in the directory `above`, and reads it if it is a file: `left` bytes at most, which become less.
    fn take(self, above: &OwnedFd, name: &OsStr, left: &mut u64) -> Result<OpenedItem, Refusal> {
        let (at, mut flags) = if self.follow {
            (AtFlags::empty(), OFlags::CLOEXEC)
        } else {
            (AtFlags::SYMLINK_NOFOLLOW, OFlags::CLOEXEC | OFlags::NOFOLLOW)
        };
        // To open a device may do something to it, so it is looked at before that, and again after it.
        self.check(&statat(above, name, at)?)?;
        flags |= if self.is_directory {
            OFlags::PATH | OFlags::DIRECTORY
        } else {
            OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY
        };
        let handle = openat(above, name, flags, rustix::fs::Mode::empty())?;
        let found = fstat(&handle)?;
        self.check(&found)?;
        let default = if self.is_directory { DIRECTORY_MODE } else { FILE_MODE };
        let bits = found.st_mode & 0o7777;
        let perm = Mode::new(bits).filter(|_| bits != default);
        if self.is_directory {
            return Ok(OpenedItem::Directory(handle, perm));
        }
        let content = read(handle.into(), u64::try_from(found.st_size).unwrap_or(0), left)?;
        Ok(OpenedItem::File(Entry { perm, node: Node::File(content) }))
    }

    /// Whether it is what was listed, and has a place in a config tree.
    fn check(self, found: &Stat) -> Result<(), Refusal> {
        let why = match FileType::from_raw_mode(found.st_mode) {
            kind @ (FileType::RegularFile | FileType::Directory) => {
                if (kind == FileType::Directory) != self.is_directory {
                    return Err(Refusal::Changed);
                }
                if self.depth <= DEPTH_MAX + usize::from(!self.is_directory) {
                    return Ok(());
                }
                "there are more than 128 levels of directories"
            }
            FileType::Symlink => "a symbolic link (--follow stores what it points to)",
            FileType::Socket => "a socket",
            FileType::Fifo => "a FIFO",
            _ => "a device",
        };
        Err(Refusal::Because(why.to_owned()))
    }
}

/// The text in a file of `len` bytes, or as many as it turns out to have.
fn read(file: File, len: u64, left: &mut u64) -> Result<String, Refusal> {
    if len > *left {
        return Err(Refusal::TooLarge);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
    let read = file.take(*left + 1).read_to_end(&mut bytes);
    read.map_err(|error| Refusal::Because(error.to_string()))?;
    let Some(rest) = left.checked_sub(bytes.len() as u64) else { return Err(Refusal::TooLarge) };
    let no_text = |at: usize, what: &str| {
        Refusal::Because(format!("byte {at} of its content is {what}, and a config tree is text"))
    };
    if let Some(at) = find_nul(&bytes) {
        return Err(no_text(at, "a NUL character"));
    }
    let text =
        String::from_utf8(bytes).map_err(|error| no_text(error.utf8_error().valid_up_to(), "not UTF-8"))?;
    *left = rest;
    Ok(text)
}
