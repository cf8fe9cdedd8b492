//! The head of an image, laid out by hadris in memory: descriptors, directories, small files and path tables. Large files
//! follow it; the head only says where they are.
//!
//! Every image is of interchange level 3 (files over 4 GiB). Unless its format says otherwise it has Rock Ridge and Joliet, and no
//! Enhanced Volume Descriptor, which some readers reject.

use std::{ops::Range, sync::Arc};

use crate::error::{Error, Result, ensure};
use hadris_fs::{
    DateTime, DeviceNumber, Extent as HadrisExtent, FileType, MountError, Node, Owner, Permissions, Report,
    SetAttr, Tree, Warning,
};
use hadris_iso::{
    IsoId, IsoLevel, IsoOptions, SessionMode,
    sync::{Session, write},
};

use super::{
    device::{HeadDevice, PADDING_SECTORS},
    primary_names::Length,
    records::PARTS_MAX,
    repacking::{FIFO, SOCKET, SPECIAL, repack},
    volume_format::{OtherNode, VolumeFormat},
};
use crate::image::{
    Extent, SECTOR_BYTES, SYSTEM_AREA_BYTES,
    staging::{Data, FilePlace},
};

/// Permission bits of files on an image: only root needs to read them where the image is mounted.
const FILE_MODE: u32 = 0o400;

/// Permission bits of directories on an image.
const DIRECTORY_MODE: u32 = 0o500;

/// Permission bits of symbolic links, which nothing looks at.
const LINK_MODE: u32 = 0o777;

/// The size of the volume in a descriptor, in both byte orders (ECMA-119, 8.4.8). The primary one is the first.
const VOLUME_SPACE_SIZE: Range<usize> = 80..88;

/// Bytes in a sector, to count in memory.
const SECTOR: usize = 2048;

/// Times that a directory record can hold: its year is a byte, counted from 1900 (ECMA-119, 9.1.5).
const RECORDED_SECONDS: Range<i64> = -2_208_988_800..5_869_584_000;

/// The largest extent in bytes: a record gives its length in 32 bits, and all extents of a file but the last are whole sectors
/// (ECMA-119, 6.4.2).
const EXTENT_BYTES_MAX: u64 = u32::MAX as u64 / SECTOR_BYTES * SECTOR_BYTES;

/// The largest file in bytes.
const FILE_BYTES_MAX: u64 = EXTENT_BYTES_MAX * PARTS_MAX as u64;

/// How many warnings are kept: each has the whole path of a file.
const WARNINGS_MAX: usize = 64;

/// The initial capacity in bytes, enough for most heads, so that they are not moved while they grow.
const USUAL_BYTES: usize = 64 << 10;

/// What the descriptors of a volume say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct VolumeAttributes {
    /// The volume identifier, at most 32 bytes.
    identifier: String,
    /// The date of the volume, and of everything on it that has no other.
    time: DateTime,
    format: Arc<VolumeFormat>,
}

/// A head that has been laid out.
#[derive(Clone, Debug, Default)]
pub(super) struct ImageHead {
    /// Its bytes, after the system area.
    pub(super) bytes: Vec<u8>,
    /// The size of the image in bytes, with hadris's padding of 150 sectors after the head.
    pub(super) image_bytes: u64,
    /// Where the bytes of each file are, in the order in which the files were given. An empty file has an offset of 0.
    pub(super) extents: Vec<Extent>,
    /// Names that readers of some trees see differently, a sentence each; if there are many, the first, and a count of the
    /// others.
    pub(super) warnings: Vec<String>,
}

impl VolumeAttributes {
    /// `identifier`: the volume identifier, at most 32 bytes; `seconds`: the date of everything, in seconds since 1970.
    pub(super) fn new(identifier: &str, seconds: u64, format: VolumeFormat) -> Result<Self> {
        let time = DateTime::from_unix_seconds(i64::try_from(seconds)?).map_err(Error::of)?;
        Ok(Self { identifier: identifier.to_owned(), time, format: Arc::new(format) })
    }

    /// The size of the image is a multiple of this many bytes.
    pub(super) fn size_unit(&self) -> u64 {
        self.format.size_unit
    }

    fn options(&self) -> IsoOptions {
        let VolumeFormat { joliet, rock_ridge, identifiers, primary_names, .. } = &*self.format;
        let mut options = IsoOptions::new()
            .with_id(IsoId::Volume, &self.identifier)
            .with_level(IsoLevel::L3)
            .with_time(self.time);
        for (id, text) in [
            (IsoId::System, &identifiers.system),
            (IsoId::VolumeSet, &identifiers.volume_set),
            (IsoId::Publisher, &identifiers.publisher),
            (IsoId::Preparer, &identifiers.preparer),
            (IsoId::Application, &identifiers.application),
            (IsoId::CopyrightFile, &identifiers.copyright_file),
            (IsoId::AbstractFile, &identifiers.abstract_file),
            (IsoId::BibliographicFile, &identifiers.bibliographic_file),
        ] {
            options = options.with_id(id, text);
        }
        if *joliet {
            options = options.with_joliet();
        }
        // Packing again finds the names by it, and removes it where it is not wanted.
        if *rock_ridge || primary_names.is_some() {
            options = options.with_rock_ridge();
        }
        if primary_names.is_some_and(|names| names.length == Length::Unlimited) {
            options = options.with_iso1999();
        }
        options
    }

    /// Lays out a head for `files`, in an image of at least `sectors` sectors.
    pub(super) fn lay_out<'a>(
        &self,
        files: impl Iterator<Item = (&'a [u8], FilePlace)>,
        sectors: u64,
    ) -> Result<ImageHead> {
        let options = self.options().with_min_image_blocks(sectors);
        let mut tree = Tree::new();
        tree.replace("", self.directory(b"")).map_err(Error::of)?;
        let mut behind = false;
        let mut names = Vec::with_capacity(files.size_hint().0);
        for (name, place) in files {
            names.push(name);
            let data = match place {
                FilePlace::Head(data) => data,
                FilePlace::Behind(extent) => {
                    ensure!(
                        extent.len <= FILE_BYTES_MAX,
                        "file {:?} has more than {FILE_BYTES_MAX} bytes, the most that Linux reads",
                        String::from_utf8_lossy(name)
                    );
                    behind = true;
                    Data::stored(pieces(extent)).map_err(Error::of)?
                }
            };
            let node = Node::file(data).with_attrs(self.attributes(name, FILE_MODE));
            self.insert(&mut tree, name, node)?;
        }
        self.insert_others(&mut tree)?;
        let (mut bytes, report) =
            if behind { lay_out_around_stored(tree, &options)? } else { lay_out(&tree, &options)? };
        let mut image_bytes = report.size();
        if let Some(names) = &self.format.primary_names {
            let laid_out = bytes.len();
            repack(&mut bytes, names, self.format.rock_ridge)?;
            if bytes.len() > laid_out.next_multiple_of(SECTOR) {
                image_bytes = image_bytes.max(grow_volume(&mut bytes, image_bytes));
            }
        }
        Ok(ImageHead {
            bytes,
            image_bytes,
            extents: names.into_iter().map(|name| extent_of(&report, name)).collect(),
            warnings: first_of(report.warnings().iter().filter_map(describe)),
        })
    }

    /// Adds a node, and the directories above it that are not there yet.
    fn insert(&self, tree: &mut Tree, name: &[u8], node: Node) -> Result<()> {
        self.insert_directories(tree, name)?;
        tree.insert(name, node).map_err(Error::of)
    }

    /// Adds the directories above a path that are not there yet.
    fn insert_directories(&self, tree: &mut Tree, name: &[u8]) -> Result<()> {
        for (end, _) in name.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
            if tree.get(&name[..end]).is_none() {
                tree.insert(&name[..end], self.directory(&name[..end])).map_err(Error::of)?;
            }
        }
        Ok(())
    }

    /// Adds what has no contents.
    fn insert_others(&self, tree: &mut Tree) -> Result<()> {
        for (name, other) in &self.format.others {
            let device =
                |kind, major: u32, minor: u32| Node::special(kind, Some(DeviceNumber::new(major, minor)));
            let node =
                match other {
                    OtherNode::HardLink(_) => continue,
                    // The directory of a file that was added before is there already.
                    OtherNode::Directory if tree.get(name).is_some() => continue,
                    OtherNode::Directory => self.directory(name),
                    OtherNode::SymbolicLink(target) => {
                        Node::symlink(target).with_attrs(self.attributes(name, LINK_MODE))
                    }
                    OtherNode::CharacterDevice(major, minor) => device(FileType::CharDevice, *major, *minor)
                        .with_attrs(self.attributes(name, FILE_MODE)),
                    OtherNode::BlockDevice(major, minor) => device(FileType::BlockDevice, *major, *minor)
                        .with_attrs(self.attributes(name, FILE_MODE)),
                    OtherNode::Fifo => device(FileType::CharDevice, SPECIAL, FIFO)
                        .with_attrs(self.attributes(name, FILE_MODE)),
                    OtherNode::Socket => device(FileType::CharDevice, SPECIAL, SOCKET)
                        .with_attrs(self.attributes(name, FILE_MODE)),
                };
            self.insert(tree, name, node)?;
        }
        // What they are names of is there now.
        for (name, other) in &self.format.others {
            if let OtherNode::HardLink(existing) = other {
                self.insert_directories(tree, name)?;
                tree.link(existing, name).map_err(Error::of)?;
            }
        }
        Ok(())
    }

    fn directory(&self, path: &[u8]) -> Node {
        Node::dir().with_attrs(self.attributes(path, DIRECTORY_MODE))
    }

    /// The permission bits of the file at `path`.
    pub(super) fn file_mode(&self, path: &[u8]) -> u32 {
        self.format.attributes.get(path).and_then(|stated| stated.mode).unwrap_or(FILE_MODE)
    }

    /// The attributes of the node at `path`; `mode`: its permission bits, if nothing is said about it.
    fn attributes(&self, path: &[u8], mode: u32) -> SetAttr {
        let stated = self.format.attributes.get(path).copied().unwrap_or_default();
        let mut attributes = SetAttr::new().with_permissions(Permissions::new(stated.mode.unwrap_or(mode)));
        if let Some((user, group)) = stated.owner {
            attributes = attributes.with_owner(Owner::new(user, group));
        }
        let recorded = stated.modified.filter(|seconds| RECORDED_SECONDS.contains(seconds));
        match recorded.and_then(|seconds| DateTime::from_unix_seconds(seconds).ok()) {
            Some(time) => attributes.with_modified(time),
            None => attributes,
        }
    }
}

fn extent_of(report: &Report, name: &[u8]) -> Extent {
    let extents = report.extents(name).unwrap_or_default();
    let offset = extents.first().map_or(0, HadrisExtent::offset);
    Extent { offset, len: extents.iter().map(HadrisExtent::len).sum() }
}

/// The extents that make up a large file.
fn pieces(Extent { offset, len }: Extent) -> Vec<HadrisExtent> {
    let starts = (0..len.div_ceil(EXTENT_BYTES_MAX)).map(|number| number * EXTENT_BYTES_MAX);
    starts.map(|start| HadrisExtent::new(offset + start, EXTENT_BYTES_MAX.min(len - start))).collect()
}

/// Lays out `tree`, which has no stored files, in memory. Returns the bytes after the system area, and the report of hadris.
fn lay_out(tree: &Tree, options: &IsoOptions) -> Result<(Vec<u8>, Report)> {
    let mut device = HeadDevice::new(Vec::with_capacity(USUAL_BYTES));
    let report = write(&mut device, tree, options).map_err(Error::of)?;
    Ok((device.into_bytes(), report))
}

/// Lays out `tree` in memory; its stored files are not touched.
///
/// hadris 3.0.0-rc.2 accepts stored files only in a [`Session`], which updates an existing image. So the session gets an empty
/// image that claims to have no sectors, and rebuilds all of it from the first sector after the descriptors. The test
/// `hadris_still_refuses_stored_files_in_a_new_image` fails when this is no longer needed.
fn lay_out_around_stored(tree: Tree, options: &IsoOptions) -> Result<(Vec<u8>, Report)> {
    let (mut empty, _) = lay_out(&Tree::new(), &IsoOptions::new())?;
    empty[VOLUME_SPACE_SIZE].fill(0);
    let mut session =
        Session::open(HeadDevice::new(empty)).map_err(MountError::into_error).map_err(Error::of)?;
    *session.tree_mut() = tree;
    let report = session.write(options, SessionMode::Rewrite).map_err(Error::of)?;
    Ok((session.into_inner().into_bytes(), report))
}

/// A volume whose head has grown ends as many sectors after it as others do. Returns its size in bytes.
fn grow_volume(head: &mut [u8], image_bytes: u64) -> u64 {
    const TERMINATOR: u8 = 255;
    let sectors = ((SYSTEM_AREA_BYTES + head.len()) / SECTOR) as u64 + PADDING_SECTORS;
    let sectors = sectors.max(image_bytes / SECTOR_BYTES);
    let size = u32::try_from(sectors).unwrap_or(u32::MAX);
    for descriptor in head.chunks_exact_mut(SECTOR).take_while(|descriptor| descriptor[0] != TERMINATOR) {
        let [little, big] = [size.to_le_bytes(), size.to_be_bytes()];
        descriptor[VOLUME_SPACE_SIZE].copy_from_slice(&[little, big].concat());
    }
    sectors * SECTOR_BYTES
}

/// The first warnings, and a sentence about the others.
fn first_of(mut warnings: impl Iterator<Item = String>) -> Vec<String> {
    let mut first: Vec<_> = warnings.by_ref().take(WARNINGS_MAX).collect();
    match warnings.count() {
        0 => {}
        1 => first.push("1 more warning like these".to_owned()),
        more => first.push(format!("{more} more warnings like these")),
    }
    first
}

/// A sentence about a warning of hadris. `None`: it is about names that some reader cannot distinguish, which
/// [`Clashes`](super::clashes::Clashes) finds too.
fn describe(warning: &Warning) -> Option<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let message = warning.message();
    match (warning.path(), warning.stored_as()) {
        (_, None) if message.contains("case-insensitive") => None,
        (Some(path), Some(name)) => {
            Some(format!("file {:?}: some readers see {:?} ({message})", text(path), text(name)))
        }
        (Some(path), None) => Some(format!("file {:?}: {message}", text(path))),
        (None, _) => Some(warning.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hadris_still_refuses_stored_files_in_a_new_image() {
        let mut tree = Tree::new();
        tree.insert("file", Node::file(Data::stored([HadrisExtent::new(1 << 20, 5)]).unwrap())).unwrap();
        assert!(
            lay_out(&tree, &IsoOptions::new()).is_err(),
            "hadris accepts stored files in a new image: lay_out_around_stored can go"
        );
    }

    #[test]
    fn the_detour_over_a_session_lays_out_as_a_new_image_does() -> Result<()> {
        let tree = || {
            let mut tree = Tree::new();
            tree.insert("directory/file", Node::file(Data::bytes(*b"hello"))).unwrap();
            tree
        };
        let options = IsoOptions::new().with_rock_ridge().with_joliet();
        let (direct, detour) = (lay_out(&tree(), &options)?, lay_out_around_stored(tree(), &options)?);
        assert!(direct.0 == detour.0);
        assert_eq!(direct.1, detour.1);
        Ok(())
    }

    #[test]
    fn a_file_that_begins_with_zeros_is_not_padding() -> Result<()> {
        let volume = VolumeAttributes::new("X", 0, VolumeFormat::default())?;
        let padding = usize::try_from(PADDING_SECTORS * SECTOR_BYTES)?;
        // One is as long as the padding, and its ends are zeros too.
        for (len, place) in [(padding + 7, padding + 3), (padding, padding / 2), (padding, SECTOR)] {
            let mut data = vec![0; len];
            data[place] = 1;
            let file = FilePlace::Head(Data::bytes(data.clone()));
            let head = volume.lay_out([(&b"file"[..], file)].into_iter(), 0)?;
            let Extent { offset, len } = head.extents[0];
            let stored = &head.bytes[usize::try_from(offset)? - SYSTEM_AREA_BYTES..][..usize::try_from(len)?];
            assert!(stored == data, "{len} {place}");
        }
        Ok(())
    }

    #[test]
    fn a_file_has_no_more_extents_than_linux_reads() -> Result<()> {
        let volume = VolumeAttributes::new("X", 0, VolumeFormat::default())?;
        let lay_out = |len| {
            let place = FilePlace::Behind(Extent { offset: 1 << 20, len });
            volume.lay_out([(&b"file"[..], place)].into_iter(), FILE_BYTES_MAX / SECTOR_BYTES + 1024)
        };
        lay_out(FILE_BYTES_MAX)?;
        let error = lay_out(FILE_BYTES_MAX + 1).err().unwrap().to_string();
        assert_eq!(error, "file \"file\" has more than 429496524800 bytes, the most that Linux reads");
        Ok(())
    }

    #[test]
    fn a_large_file_is_cut_into_whole_sectors() {
        let len = 2 * EXTENT_BYTES_MAX + 5;
        let pieces = pieces(Extent { offset: 4096, len });
        assert_eq!(
            pieces.iter().map(HadrisExtent::len).collect::<Vec<_>>(),
            [4_294_965_248, 4_294_965_248, 5]
        );
        assert!(pieces.iter().all(|piece| piece.offset() % SECTOR_BYTES == 0));
    }
}
