//! What is on the image: the operands, graft points, and the trees below them.
//!
//! Directories are read without recursion, and names are in the order of their bytes, so that equal trees make equal images.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::{self, File, Metadata},
    io,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

use metadata_image::image::{Attributes, source::MeasuredFile};

use super::{Trouble, dialect::Failure, graft::split_graft, settings::Settings};

/// The most files and directories with `-follow-links`, where links can make a small tree endless.
const FOLLOWED_MAX: usize = 1 << 20;

/// The deepest directory without Rock Ridge, counted from the root, which is 1 (ECMA-119, 6.8.2.1).
const DEPTH_MAX: usize = 8;

/// A file that is open to be written: what it is, so that it is not read.
pub(super) type Identity = (u64, u64);

/// A file or directory on the image.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) kind: Kind,
    /// Where it is. Empty: it is made for the files in it.
    pub(super) source: PathBuf,
    pub(super) attributes: Attributes,
    /// Its device and inode.
    pub(super) identity: Identity,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    /// A file without contents, also in the place of a special file that the image cannot hold.
    Empty,
    File(MeasuredFile),
    SymbolicLink(Vec<u8>),
    /// Major and minor number.
    CharacterDevice(u32, u32),
    BlockDevice(u32, u32),
    Fifo,
    Socket,
}

/// Everything on the image, by path; the root is the empty path.
pub(super) type Tree = BTreeMap<Vec<u8>, Found>;

/// A directory to read.
struct Waiting {
    path: Vec<u8>,
    source: PathBuf,
    /// Its place in the list of those that were read before, to find the directories above it.
    number: usize,
}

struct Walk<'a> {
    settings: &'a Settings,
    output: Option<Identity>,
    warn: &'a mut dyn FnMut(&str),
    tree: Tree,
    /// The directories that were read, and the number of the one above each.
    above: Vec<(Identity, Option<usize>)>,
    root_is_known: bool,
}

/// Finds everything that is named by the operands. `output`: the file that the image is written to, which is left out; `warn`: prints
/// what is left out.
///
/// # Errors
/// Fails if an operand is not there, or two files would have one name.
pub(super) fn find(
    settings: &Settings,
    output: Option<Identity>,
    warn: &mut dyn FnMut(&str),
) -> Result<Tree, Trouble> {
    let mut walk =
        Walk { settings, output, warn, tree: Tree::new(), above: Vec::new(), root_is_known: false };
    walk.tree.insert(Vec::new(), walk.made_directory());
    for operand in &settings.operands {
        walk.add_operand(operand)?;
    }
    Ok(walk.tree)
}

impl Walk<'_> {
    fn add_operand(&mut self, operand: &OsStr) -> Result<(), Trouble> {
        let (target, source) = split_graft(operand.as_bytes(), self.settings.graft_points);
        let source = PathBuf::from(OsStr::from_bytes(&source));
        let what = "reading the file or directory to store";
        let metadata = self
            .metadata(&source)
            .map_err(|error| Trouble::of_file(Failure::Source, what, &source, &error))?;
        let Some(metadata) = metadata else { return Ok(()) };
        // In a directory it may be the image of the last run. Here it is a mistake by which the file would be lost.
        if metadata.is_file() && Some((metadata.dev(), metadata.ino())) == self.output {
            let why = format!("{what} {source:?}: the image is written to the same file");
            return Err(Trouble::new(Failure::Source, why));
        }
        let mut path = target.as_ref().map(|target| target.path.clone()).unwrap_or_default();
        if !metadata.is_dir()
            && target.as_ref().is_none_or(|target| target.is_directory || target.path.is_empty())
        {
            if !path.is_empty() {
                path.push(b'/');
            }
            path.extend(source.file_name().unwrap_or(OsStr::new("_")).as_bytes());
        }
        self.make_directories_above(&path)?;
        if !metadata.is_dir() {
            return self.add(path, &source, &metadata).map(drop);
        }
        if path.is_empty() {
            // The first of several directories is the root for genisoimage, the last for xorrisofs.
            if !self.root_is_known || !self.settings.dialect.is_genisoimage() {
                let root = self.found(Kind::Directory, &source, &metadata);
                self.tree.insert(Vec::new(), root);
                self.root_is_known = true;
            }
        } else if !self.add(path.clone(), &source, &metadata)? {
            return Ok(());
        }
        self.read_tree(path, source, (metadata.dev(), metadata.ino()))
    }

    /// Reads a directory and all below it.
    fn read_tree(&mut self, path: Vec<u8>, source: PathBuf, identity: Identity) -> Result<(), Trouble> {
        let number = self.above.len();
        self.above.push((identity, None));
        let mut waiting = vec![Waiting { path, source, number }];
        while let Some(directory) = waiting.pop() {
            let mut names = match names_in(&directory.source) {
                Ok(names) => names,
                Err(error) => {
                    self.skip_unreadable(&directory.source, &error)?;
                    continue;
                }
            };
            names.sort();
            for name in names {
                let source = directory.source.join(OsStr::from_bytes(&name));
                if self.settings.exclusions.has(&name, &source)? {
                    continue;
                }
                let mut path = directory.path.clone();
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend(&name);
                self.add_below(path, source, &directory, &mut waiting)?;
            }
        }
        Ok(())
    }

    fn add_below(
        &mut self,
        path: Vec<u8>,
        source: PathBuf,
        directory: &Waiting,
        waiting: &mut Vec<Waiting>,
    ) -> Result<(), Trouble> {
        let metadata = match self.metadata(&source) {
            Ok(Some(metadata)) => metadata,
            Ok(None) => return Ok(()),
            Err(error) => return self.skip_unreadable(&source, &error),
        };
        let identity = (metadata.dev(), metadata.ino());
        if metadata.is_dir() {
            if self.is_above(directory.number, identity) {
                // Only a link leads there.
                (self.warn)(&format!("Warning: Directory loop ({source:?}) - ignoring"));
                return Ok(());
            }
            let depth = path.split(|byte| *byte == b'/').count() + 1;
            if !self.settings.rock_ridge && depth > DEPTH_MAX {
                (self.warn)(&format!(
                    "Directories too deep for {source:?} ({depth}) max is {DEPTH_MAX}; ignored - continuing."
                ));
                return Ok(());
            }
        }
        if self.add(path.clone(), &source, &metadata)? && metadata.is_dir() {
            let number = self.above.len();
            self.above.push((identity, Some(directory.number)));
            waiting.push(Waiting { path, source, number });
        }
        Ok(())
    }

    /// Whether a directory is this one or above it.
    fn is_above(&self, mut number: usize, identity: Identity) -> bool {
        loop {
            let (above, next) = self.above[number];
            if above == identity {
                return true;
            }
            match next {
                Some(next) => number = next,
                None => return false,
            }
        }
    }

    /// What a path is; of a link, if links are followed, what it leads to. `None`: a link that is left out.
    fn metadata(&mut self, source: &Path) -> io::Result<Option<Metadata>> {
        let metadata = fs::symlink_metadata(source)?;
        if !metadata.file_type().is_symlink() {
            return Ok(Some(metadata));
        }
        if self.settings.follow_links {
            match fs::metadata(source) {
                Ok(metadata) => return Ok(Some(metadata)),
                Err(error) if self.settings.dialect.is_genisoimage() => {
                    (self.warn)(&format!(
                        "{}. File {source:?} is not readable - ignoring",
                        Trouble::cause(&error)
                    ));
                    return Ok(None);
                }
                Err(_) => {}
            }
        }
        if !self.settings.rock_ridge {
            self.note(&format!("Symlink {source:?} ignored - continuing."));
            return Ok(None);
        }
        Ok(Some(metadata))
    }

    /// Adds a file or directory. Whether it is on the image.
    fn add(&mut self, path: Vec<u8>, source: &Path, metadata: &Metadata) -> Result<bool, Trouble> {
        let Some(kind) = self.kind(source, metadata)? else { return Ok(false) };
        if let Some(old) = self.tree.get(&path) {
            match (&old.kind, &kind) {
                // The contents of directories are merged.
                (Kind::Directory, Kind::Directory) => {
                    if old.source.as_os_str().is_empty() {
                        let found = self.found(kind, source, metadata);
                        self.tree.insert(path, found);
                    }
                    return Ok(true);
                }
                (Kind::Directory, _) | (_, Kind::Directory) => return Err(self.same_name(&path, source)),
                _ if self.settings.dialect.is_genisoimage() => return Err(self.same_name(&path, source)),
                _ => {}
            }
        }
        if self.settings.follow_links && self.tree.len() >= FOLLOWED_MAX {
            return Err(Trouble::new(
                Failure::Source,
                format!("reading {source:?}: following links leads to more than {FOLLOWED_MAX} files"),
            ));
        }
        let found = self.found(kind, source, metadata);
        self.tree.insert(path, found);
        Ok(true)
    }

    fn same_name(&self, path: &[u8], source: &Path) -> Trouble {
        let old = self.tree.get(path).map(|old| old.source.clone()).unwrap_or_default();
        Trouble::new(
            Failure::Duplicate,
            format!("Error: {source:?} and {old:?} have the same name {:?}", String::from_utf8_lossy(path)),
        )
    }

    /// What is stored. `None`: it is left out, and why was said.
    fn kind(&mut self, source: &Path, metadata: &Metadata) -> Result<Option<Kind>, Trouble> {
        let file_type = metadata.file_type();
        let identity = (metadata.dev(), metadata.ino());
        if file_type.is_dir() {
            return Ok(Some(Kind::Directory));
        }
        if file_type.is_symlink() {
            let target = fs::read_link(source);
            return match target {
                Ok(target) => Ok(Some(Kind::SymbolicLink(target.into_os_string().into_vec()))),
                Err(error) => self.skip_unreadable(source, &error).map(|()| None),
            };
        }
        if file_type.is_file() {
            if Some(identity) == self.output {
                return Ok(None);
            }
            // Whether it can be read is known before the old image is gone.
            return match File::open(source) {
                // In /proc such files have contents, which the originals do not see.
                Ok(_) if metadata.len() == 0 => Ok(Some(Kind::Empty)),
                Ok(_) => Ok(Some(Kind::File(MeasuredFile::new(source.to_owned(), "file", metadata)))),
                Err(error) => self.skip_unreadable(source, &error).map(|()| None),
            };
        }
        if !self.settings.rock_ridge {
            // genisoimage says nothing, and stores an empty file.
            if self.settings.dialect.is_genisoimage() {
                return Ok(Some(Kind::Empty));
            }
            self.note(&format!("File {source:?} ignored. Special files need RockRidge extensions."));
            return Ok(None);
        }
        let (major, minor) = device_numbers(metadata.rdev());
        Ok(Some(match file_type {
            kind if kind.is_block_device() => Kind::BlockDevice(major, minor),
            kind if kind.is_char_device() => Kind::CharacterDevice(major, minor),
            kind if kind.is_fifo() => Kind::Fifo,
            _ => Kind::Socket,
        }))
    }

    /// Leaves out a file that cannot be read, as genisoimage does. xorrisofs fails.
    fn skip_unreadable(&mut self, source: &Path, error: &io::Error) -> Result<(), Trouble> {
        if !self.settings.dialect.is_genisoimage() {
            return Err(Trouble::of_file(Failure::Source, "reading", source, error));
        }
        (self.warn)(&format!("{}. File {source:?} is not readable - ignoring", Trouble::cause(error)));
        Ok(())
    }

    /// Prints what is left out for want of Rock Ridge, which xorrisofs does not with `-quiet`.
    fn note(&mut self, text: &str) {
        if self.settings.dialect.is_genisoimage() || !self.settings.quiet {
            (self.warn)(text);
        }
    }

    fn found(&self, kind: Kind, source: &Path, metadata: &Metadata) -> Found {
        let Settings { is_rational, uid, gid, file_mode, directory_mode, .. } = self.settings;
        let is_directory = kind == Kind::Directory;
        let mut mode = metadata.mode() & 0o7777;
        let mut owner = (metadata.uid(), metadata.gid());
        if *is_rational {
            mode = if is_directory || mode & 0o111 != 0 { 0o555 } else { 0o444 };
            owner = (0, 0);
        }
        let wanted = if is_directory { directory_mode } else { file_mode };
        if let (Some(wanted), false) = (wanted, matches!(kind, Kind::SymbolicLink(_))) {
            mode = *wanted;
        }
        let attributes = Attributes {
            mode: Some(mode),
            owner: Some((uid.unwrap_or(owner.0), gid.unwrap_or(owner.1))),
            modified: Some(metadata.mtime()),
        };
        Found { kind, source: source.to_owned(), attributes, identity: (metadata.dev(), metadata.ino()) }
    }

    /// A directory that is made for the files in it.
    fn made_directory(&self) -> Found {
        let Settings { is_rational, uid, gid, directory_mode, made_directory_mode, .. } = self.settings;
        let mode = if *is_rational { 0o555 } else { *made_directory_mode };
        let attributes = Attributes {
            mode: Some(directory_mode.unwrap_or(mode)),
            owner: Some((uid.unwrap_or(0), gid.unwrap_or(0))),
            // That of the volume.
            modified: None,
        };
        Found { kind: Kind::Directory, source: PathBuf::new(), attributes, identity: (0, 0) }
    }

    fn make_directories_above(&mut self, path: &[u8]) -> Result<(), Trouble> {
        for (end, _) in path.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            match self.tree.get(&path[..end]) {
                Some(found) if found.kind == Kind::Directory => {}
                Some(found) => {
                    let source = found.source.clone();
                    return Err(self.same_name(&path[..end], &source));
                }
                None => {
                    let directory = self.made_directory();
                    self.tree.insert(path[..end].to_vec(), directory);
                }
            }
        }
        Ok(())
    }
}

fn names_in(directory: &Path) -> io::Result<Vec<Vec<u8>>> {
    fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name().into_vec())).collect()
}

/// The major and minor number of a device (makedev(3)).
fn device_numbers(device: u64) -> (u32, u32) {
    let part = |bits: u64| u32::try_from(bits).unwrap_or_default();
    let major = (device >> 8 & 0xfff) | (device >> 32 & 0xffff_f000);
    let minor = (device & 0xff) | (device >> 12 & 0xffff_ff00);
    (part(major), part(minor))
}
