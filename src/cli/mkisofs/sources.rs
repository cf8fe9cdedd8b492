//! What is on the image: the operands, graft points, and the trees below them.
//!
//! Directories are read without recursion, and names are in the order of their bytes, so that equal trees make equal images.

use std::{
    ffi::OsStr,
    fs::{self, File, Metadata},
    io,
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::{FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

use metadata_image::image::source::MeasuredFile;

use super::{
    Trouble,
    destinations::{Destinations, is_old_image},
    dialect::Failure,
    found::{Found, Kind, Tree, device_numbers},
    graft::split_graft,
    identity::{Identity, identity},
    settings::Settings,
};

/// The most files and directories below links to directories with `-follow-links`, where a small tree can be endless.
const FOLLOWED_MAX: usize = 1 << 18;

/// The most bytes of the paths of directories that are made for graft points, where a short list can name very many.
const MADE_BYTES_MAX: usize = 16 << 20;

/// The most bytes of the target of a graft point: Linux opens no longer path (`PATH_MAX`).
const TARGET_BYTES_MAX: usize = 4095;

/// The deepest directory without Rock Ridge, counted from the root, which is 1 (ECMA-119, 6.8.2.1).
const DEPTH_MAX: usize = 8;

/// A directory to read.
struct Waiting {
    path: Vec<u8>,
    source: PathBuf,
    /// Its place in the list of those that were read before, to find the directories above it.
    number: usize,
    /// Whether a link led there.
    is_followed: bool,
}

struct Walk<'a> {
    settings: &'a Settings,
    destinations: Destinations,
    warn: &'a mut dyn FnMut(&str),
    tree: Tree,
    /// The directories that were read, and the number of the one above each.
    above: Vec<(Identity, Option<usize>)>,
    root_is_known: bool,
    /// How many files and directories were found below links.
    followed: usize,
    /// How many bytes the paths of directories have that are made.
    made_bytes: usize,
}

/// Finds everything that is named by the operands. `destinations`: the files that are written to; `warn`: prints what is left
/// out.
///
/// # Errors
/// Fails if an operand is not there, or two files would have one name.
pub(super) fn find(
    settings: &Settings,
    destinations: Destinations,
    warn: &mut dyn FnMut(&str),
) -> Result<Tree, Trouble> {
    let mut walk = Walk {
        settings,
        destinations,
        warn,
        tree: Tree::new(),
        above: Vec::new(),
        root_is_known: false,
        followed: 0,
        made_bytes: 0,
    };
    walk.tree.insert(Vec::new(), Found::made_directory(settings));
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
        let metadata = self.metadata(&source).map_err(|error| {
            let mut trouble = Trouble::of_file(Failure::Source, what, &source, &error);
            if self.settings.dialect.is_genisoimage() && operand.len() > 1 && operand.as_bytes()[0] == b'-' {
                trouble.message.push_str(" (options come before the first file)");
            }
            trouble
        })?;
        let Some(metadata) = metadata else { return Ok(()) };
        // In a directory it may be the image of the last run. Here it is a mistake by which the file would be lost.
        if metadata.is_file() && Some(identity(&metadata)) == self.destinations.image {
            return Err(Destinations::is_input(&source));
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
        if path.len() > TARGET_BYTES_MAX {
            let why =
                format!("storing {source:?}: its path on the image has more than {TARGET_BYTES_MAX} bytes");
            return Err(Trouble::new(Failure::Value, why));
        }
        self.make_directories_above(&path)?;
        if !metadata.is_dir() {
            return self.add(path, &source, &metadata).map(drop);
        }
        if path.is_empty() {
            // The first of several directories is the root for genisoimage, the last for xorrisofs.
            if !self.root_is_known || !self.settings.dialect.is_genisoimage() {
                let root = Found::new(self.settings, Kind::Directory, &source, &metadata);
                self.tree.insert(Vec::new(), root);
                self.root_is_known = true;
            }
        } else if !self.add(path.clone(), &source, &metadata)? {
            return Ok(());
        }
        self.read_tree(path, source, identity(&metadata))
    }

    /// Reads a directory and all below it.
    fn read_tree(&mut self, path: Vec<u8>, source: PathBuf, own: Identity) -> Result<(), Trouble> {
        let number = self.above.len();
        self.above.push((own, None));
        let mut waiting = vec![Waiting { path, source, number, is_followed: false }];
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
                if self.settings.no_backups && is_backup(&name)
                    || self.settings.exclusions.has(&name, &source)?
                {
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
        let own = identity(&metadata);
        if directory.is_followed {
            self.followed += 1;
            if self.followed > FOLLOWED_MAX {
                let why = format!(
                    "reading {source:?}: links lead to more than {FOLLOWED_MAX} files (without -f they are stored)"
                );
                return Err(Trouble::new(Failure::Source, why));
            }
        }
        if metadata.is_dir() {
            if self.is_above(directory.number, own) {
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
            self.above.push((own, Some(directory.number)));
            let is_followed = directory.is_followed || self.settings.follow_links && source.is_symlink();
            waiting.push(Waiting { path, source, number, is_followed });
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
                        let found = Found::new(self.settings, kind, source, metadata);
                        self.tree.insert(path, found);
                    }
                    return Ok(true);
                }
                (Kind::Directory, _) | (_, Kind::Directory) => return Err(self.same_name(&path, source)),
                _ if self.settings.dialect.is_genisoimage() => return Err(self.same_name(&path, source)),
                _ => {}
            }
        }
        let found = Found::new(self.settings, kind, source, metadata);
        self.tree.insert(path, found);
        Ok(true)
    }

    fn same_name(&self, path: &[u8], source: &Path) -> Trouble {
        let old = self.tree.get(path).map(|old| old.source.clone()).unwrap_or_default();
        let shown = |source: &Path| {
            if source.as_os_str().is_empty() {
                return "a directory of a graft point".to_owned();
            }
            format!("{source:?}")
        };
        let path = String::from_utf8_lossy(path);
        let (source, old) = (shown(source), shown(&old));
        Trouble::new(Failure::Duplicate, format!("Error: {source} and {old} have the same name {path:?}"))
    }

    /// What is stored. `None`: it is left out, and why was said.
    fn kind(&mut self, source: &Path, metadata: &Metadata) -> Result<Option<Kind>, Trouble> {
        let file_type = metadata.file_type();
        let own = identity(metadata);
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
            if Some(own) == self.destinations.image {
                return if is_old_image(source) { Ok(None) } else { Err(Destinations::is_input(source)) };
            }
            if Some(own) == self.destinations.log && metadata.len() > 0 {
                let why = format!("reading {source:?}: -log-file names the same file (give another path)");
                return Err(Trouble::new(Failure::LogFile, why));
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

    /// Makes the directories of a path that are not there. What is there has all directories above it.
    fn make_directories_above(&mut self, path: &[u8]) -> Result<(), Trouble> {
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(end, _)| end);
        for end in ends.rev() {
            match self.tree.get(&path[..end]) {
                Some(found) if found.kind == Kind::Directory => break,
                Some(found) => {
                    let source = found.source.clone();
                    return Err(self.same_name(&path[..end], &source));
                }
                None => {
                    self.made_bytes += end;
                    if self.made_bytes > MADE_BYTES_MAX {
                        let why = format!(
                            "the graft points need more than {MADE_BYTES_MAX} bytes for the paths of directories"
                        );
                        return Err(Trouble::new(Failure::Value, why));
                    }
                    let directory = Found::made_directory(self.settings);
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

/// Whether a name is that of a backup for genisoimage.
fn is_backup(name: &[u8]) -> bool {
    name.iter().any(|byte| matches!(byte, b'~' | b'#')) || name.ends_with(b".bak")
}
