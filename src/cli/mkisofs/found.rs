//! What was found for the image: files and directories, with their modes and owners there.

use std::{
    collections::BTreeMap,
    fs::Metadata,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use metadata_image::image::{Attributes, source::MeasuredFile};

use super::{
    identity::{Identity, identity},
    settings::Settings,
};

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

impl Found {
    /// What is at `source`, with the mode and the owner that the options say.
    pub(super) fn new(settings: &Settings, kind: Kind, source: &Path, metadata: &Metadata) -> Self {
        let Settings { is_rational, uid, gid, file_mode, directory_mode, .. } = settings;
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
        // genisoimage takes other modes as a wish for the rules of -r.
        if matches!(kind, Kind::SymbolicLink(_))
            && settings.dialect.is_genisoimage()
            && (file_mode.is_some() || directory_mode.is_some())
        {
            mode = 0o555;
        }
        let attributes = Attributes {
            mode: Some(mode),
            owner: Some((uid.unwrap_or(owner.0), gid.unwrap_or(owner.1))),
            modified: Some(metadata.mtime()),
        };
        Self { kind, source: source.to_owned(), attributes, identity: identity(metadata) }
    }

    /// A directory that is made for the files in it.
    pub(super) fn made_directory(settings: &Settings) -> Self {
        let Settings { is_rational, uid, gid, directory_mode, made_directory_mode, .. } = settings;
        let mode = if *is_rational { 0o555 } else { *made_directory_mode };
        let attributes = Attributes {
            mode: Some(directory_mode.unwrap_or(mode)),
            owner: Some((uid.unwrap_or(0), gid.unwrap_or(0))),
            // That of the volume.
            modified: None,
        };
        Self { kind: Kind::Directory, source: PathBuf::new(), attributes, identity: (0, 0) }
    }
}

/// The major and minor number of a device (makedev(3)).
pub(super) fn device_numbers(device: u64) -> (u32, u32) {
    let part = |bits: u64| u32::try_from(bits).unwrap_or_default();
    let major = (device >> 8 & 0xfff) | (device >> 32 & 0xffff_f000);
    let minor = (device & 0xff) | (device >> 12 & 0xffff_ff00);
    (part(major), part(minor))
}
