//! Makes a config tree from a directory on the host.
//!
//! Somebody else may change the directory meanwhile, for example put a link to a secret in place of a file. So walkdir, which
//! works on paths, only lists names in order. Each name is opened in the open directory that it was found in, and mode and
//! content are read from that handle.

use std::{
    ffi::OsStr,
    fs::File,
    io::{self, Read, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use crate::{
    error::{Context, Result, bail},
    os,
};
use rustix::{
    fs::{AtFlags, CWD, FileType, OFlags, Stat, fstat, openat, statat},
    io::Errno,
};
use walkdir::WalkDir;

use super::{
    binary::find_nul,
    config_tree::{ConfigTree, DEPTH_MAX, DIRECTORY_MODE, Entry, FILE_MODE, Mode, Node},
};

/// The largest total of all contents, and the largest JSON, in bytes: a guest reads no more.
const BYTES_MAX: u64 = 64 << 20;

/// A file that cannot be stored in a config tree.
#[derive(Debug)]
pub struct Unpackable {
    /// Its path on the host.
    pub path: PathBuf,
    /// The reason, in words that follow the path and a colon.
    pub why: String,
}

/// The tree of the files below `directory`, independent of their order on disk, or every file that cannot be stored.
///
/// `perm` is left out where an entry gets the same permission bits without it. `follow`: symbolic links are followed.
/// Otherwise only `directory` itself may be one, even if a link takes the place of a file meanwhile.
///
/// # Errors
/// Fails if `directory` is not a directory or cannot be read, or if the files are larger than 64 MiB together.
pub fn pack(directory: &Path, follow: bool) -> Result<Result<ConfigTree, Vec<Unpackable>>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = openat(CWD, directory, flags, rustix::fs::Mode::empty()).map_err(io::Error::from);
    let handle = root.with_context(|| format!("reading directory {directory:?}"))?;
    let mut faults = Vec::new();
    let mut left = BYTES_MAX;
    // The directories down to the current one.
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
                    None => "the symbolic link leads back to a directory above it".to_owned(),
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
            fault(found.path(), "the name is not UTF-8".to_owned());
        }
        let name = found.file_name().to_string_lossy().into_owned();
        match taken {
            Ok(OpenedItem::Directory(handle, perm)) => {
                open.push(OpenDirectory { name, perm, handle, tree: ConfigTree::default() });
            }
            Ok(OpenedItem::File(entry)) => drop(above.tree.entries.insert(name, entry)),
            Err(Refusal::Because(why)) if has_name => fault(found.path(), why),
            Err(Refusal::Because(_)) => {}
            // The name may be one in another directory by now, and must not be revealed.
            Err(Refusal::Changed) => {
                let path = found.path().parent().unwrap_or(directory);
                if faults.last().is_none_or(|last| last.path != path) {
                    faults.push(Unpackable { path: path.to_path_buf(), why: CHANGED.to_owned() });
                }
            }
            Err(Refusal::TooLarge) => bail!("packing {directory:?}: the files together are {TOO_LARGE}"),
        }
    }
    close(&mut open, 1);
    let OpenDirectory { tree, .. } = open.pop().context("the directory itself stays open")?;
    Ok(if faults.is_empty() { Ok(tree) } else { Err(faults) })
}

const CHANGED: &str = "the directory changed while it was being read";

const TOO_LARGE: &str = "larger than 64 MiB";

/// The user data of a tree: JSON on one line.
///
/// # Errors
/// Fails if it is larger than 64 MiB, which a tree from [`pack`] is only with many names or control characters.
pub fn to_json(tree: &ConfigTree) -> Result<Vec<u8>> {
    let mut json = BoundedJson(Vec::new());
    serde_json::to_writer(&mut json, tree)?;
    json.write_all(b"\n")?;
    Ok(json.0)
}

/// A buffer that refuses JSON that is too large.
struct BoundedJson(Vec<u8>);

impl Write for BoundedJson {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.0.len() + bytes.len()) as u64 > BYTES_MAX {
            return Err(io::Error::other(format!("the JSON is {TOO_LARGE}")));
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

/// Adds the directories deeper than `depth` to the ones above them.
fn close(open: &mut Vec<OpenDirectory>, depth: usize) {
    while open.len() > depth {
        let Some(OpenDirectory { name, perm, tree, .. }) = open.pop() else { return };
        if let Some(above) = open.last_mut() {
            above.tree.entries.insert(name, Entry { perm, node: Node::Directory(tree) });
        }
    }
}

/// What was opened under a name.
enum OpenedItem {
    /// A directory, to be read next.
    Directory(OwnedFd, Option<Mode>),
    /// A file that was read.
    File(Entry),
}

/// Why a name is not packed.
enum Refusal {
    /// In words that follow the path and a colon.
    Because(String),
    /// It is not what was listed.
    Changed,
    /// The files together are too large.
    TooLarge,
}

impl From<Errno> for Refusal {
    fn from(error: Errno) -> Self {
        match error {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::MLINK => Self::Changed,
            error => Self::Because(io::Error::from(error).to_string()),
        }
    }
}

/// What was listed under a name.
#[derive(Clone, Copy)]
struct ListedItem {
    is_directory: bool,
    /// Names in its path below the packed directory.
    depth: usize,
    follow: bool,
}

impl ListedItem {
    /// Opens the name in the directory `above`. A file is read: at most `left` bytes, from which its length is subtracted.
    fn take(self, above: &OwnedFd, name: &OsStr, left: &mut u64) -> Result<OpenedItem, Refusal> {
        let (at, mut flags) = if self.follow {
            (AtFlags::empty(), OFlags::CLOEXEC)
        } else {
            (AtFlags::SYMLINK_NOFOLLOW, OFlags::CLOEXEC | OFlags::NOFOLLOW)
        };
        // Opening a device may have an effect, so the type is checked before that, and again after it.
        self.check(&statat(above, name, at)?)?;
        flags |= if self.is_directory {
            os::LOOK_UP | OFlags::DIRECTORY
        } else {
            OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY
        };
        let handle = openat(above, name, flags, rustix::fs::Mode::empty())?;
        let found = fstat(&handle)?;
        self.check(&found)?;
        let default = if self.is_directory { DIRECTORY_MODE } else { FILE_MODE };
        let bits = os::mode_bits(&found) & 0o7777;
        let perm = Mode::new(bits).filter(|_| bits != default);
        if self.is_directory {
            return Ok(OpenedItem::Directory(handle, perm));
        }
        let content = read(handle.into(), u64::try_from(found.st_size).unwrap_or(0), left)?;
        Ok(OpenedItem::File(Entry { perm, node: Node::File(content) }))
    }

    /// Checks that it is what was listed and can be stored in a config tree.
    fn check(self, found: &Stat) -> Result<(), Refusal> {
        let why = match FileType::from_raw_mode(found.st_mode) {
            kind @ (FileType::RegularFile | FileType::Directory) => {
                if (kind == FileType::Directory) != self.is_directory {
                    return Err(Refusal::Changed);
                }
                if self.depth <= DEPTH_MAX + usize::from(!self.is_directory) {
                    return Ok(());
                }
                "directories are nested in more than 128 levels"
            }
            FileType::Symlink => "is a symbolic link (--follow stores what it points to)",
            FileType::Socket => "is a socket",
            FileType::Fifo => "is a FIFO",
            _ => "is a device",
        };
        Err(Refusal::Because(why.to_owned()))
    }
}

/// Reads the text of a file, which had `len` bytes.
fn read(file: File, len: u64, left: &mut u64) -> Result<String, Refusal> {
    if len > *left {
        return Err(Refusal::TooLarge);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(len).unwrap_or(0));
    let read = file.take(*left + 1).read_to_end(&mut bytes);
    read.map_err(|error| Refusal::Because(error.to_string()))?;
    let Some(rest) = left.checked_sub(bytes.len() as u64) else { return Err(Refusal::TooLarge) };
    let no_text = |at: usize, what: &str| {
        Refusal::Because(format!("byte {at} is {what}, but a config tree contains only text"))
    };
    if let Some(at) = find_nul(&bytes) {
        return Err(no_text(at, "a NUL character"));
    }
    let text =
        String::from_utf8(bytes).map_err(|error| no_text(error.utf8_error().valid_up_to(), "not UTF-8"))?;
    *left = rest;
    Ok(text)
}
