//! The writer: the head in memory, every large file at its own place.
//!
//! The *head* is everything but the large files: system area, descriptors, directories, path tables and small files,
//! laid out by hadris. A large file goes to an offset that is a multiple of [`ALIGNMENT_BYTES`], after the head and in
//! the order of the files' names, and hadris is only told where. There is no other way through: equal files give equal
//! bytes, wherever they come from and wherever the image goes.
//!
//! Every image has Rock Ridge and Joliet, is of interchange level 3 (files over 4 GiB), and has no Enhanced Volume
//! Descriptor, which some readers reject.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
};

use anyhow::{Context, Result, ensure};
use hadris_fs::{
    Content as Data, DateTime, Extent as HadrisExtent, Node, Permissions, Report, SetAttr, Tree, Warning,
};
use hadris_iso::{
    IsoId, IsoLevel, IsoOptions, SessionMode,
    sync::{Session, write},
};
use sha2::{Digest, Sha256};

use super::{
    ALIGNMENT_BYTES, Extent, Layout, SECTOR_BYTES,
    device::HeadDevice,
    layout::{DIGEST_BYTES, Instance},
    payload::{Payload, Progress, read_pieces},
    source::{Content, Room, Source},
};

/// Permission bits of files on an image: whoever mounts it as another user than root has no business with it.
const FILE_MODE: u32 = 0o400;

/// Permission bits of directories on an image.
const DIRECTORY_MODE: u32 = 0o500;

/// Empty sectors behind the last file, as `mkisofs -pad` writes them: readers that read ahead fail without (isoinfo).
/// hadris puts as many behind the head.
const PADDING_SECTORS: u64 = 150;

/// Sectors in an image at least: what a few small files need with the padding, so that most images are laid out once,
/// of a size that [`ALIGNMENT_BYTES`] divides.
const SECTORS_MIN: u64 = 182;

/// Who made the image, in its descriptors. Without a version, so that images do not change with it.
const APPLICATION: &str = "METADATA-IMAGE";

/// What a volume shall be.
#[derive(Clone, Debug)]
pub struct Volume {
    /// The volume identifier, at most 32 bytes.
    pub identifier: String,
    /// The date of the volume and of everything on it, in seconds since 1970, before the year 2156.
    pub seconds: u64,
    /// Names and contents. A name is the components of a path joined by `/`.
    pub files: Vec<(Vec<u8>, Source)>,
    /// A meta-data file to be made for this layout.
    pub instance: Option<(Layout, Instance)>,
}

/// An image whose files have been looked at, and whose head has been planned: what can be wrong before writing has
/// been found.
#[derive(Debug)]
pub struct Draft {
    options: IsoOptions,
    files: Vec<(Vec<u8>, Body)>,
    instance: Option<(Layout, Instance)>,
    /// The head as it is without large files and for a digest of zeros: often the one that is written.
    first: Head,
    warnings: Vec<String>,
}

/// A head that has been laid out.
#[derive(Debug, Default)]
struct Head {
    bytes: Vec<u8>,
    /// Where everything is, and how large the image is with hadris's padding.
    report: Report,
}

/// What a draft knows of a file's content.
#[derive(Debug)]
enum Body {
    Small(Data),
    Large(Payload),
    /// The layout's meta-data, as it is for a digest of zeros.
    Generated(Data),
}

/// Where a file of a written image is.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Its name.
    pub name: Vec<u8>,
    /// Its bytes; an empty file has an offset of 0.
    pub extent: Extent,
}

/// What was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// Bytes in the image.
    pub bytes: u64,
    /// Its files, by offset.
    pub files: Vec<Placed>,
}

/// SHA-256 digests of an image and its files.
#[derive(Clone, Debug)]
pub struct Digests {
    /// Of the whole image.
    pub image: [u8; DIGEST_BYTES],
    /// Of each file, in the order of [`Written::files`].
    pub files: Vec<[u8; DIGEST_BYTES]>,
}

impl Draft {
    /// Opens the sources of `volume` and plans the head.
    ///
    /// # Errors
    /// A source cannot be read, the volume identifier does not fit, or the names do not form a tree.
    pub fn new(volume: Volume) -> Result<Self> {
        let Volume { identifier, seconds, mut files, instance } = volume;
        files.sort_by(|(one, _), (other, _)| one.cmp(other));
        let mut room = Room::new();
        let mut bodies = Vec::with_capacity(files.len() + 1);
        for (name, source) in files {
            let body = match source.open(&mut room)? {
                Content::Bytes(bytes) => Body::Small(Data::bytes(bytes)),
                Content::Large(payload) => Body::Large(payload),
            };
            bodies.push((name, body));
        }
        if let Some((layout, instance)) = &instance
            && let Some(bytes) = instance.render(*layout, &[0; DIGEST_BYTES])
            && let Some(name) = layout.metadata_name()
        {
            bodies.push((name.as_bytes().to_vec(), Body::Generated(Data::bytes(bytes))));
            bodies.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        let time = DateTime::from_unix_seconds(i64::try_from(seconds)?)?;
        let options = IsoOptions::new()
            .with_id(IsoId::Volume, &identifier)
            .with_id(IsoId::Application, APPLICATION)
            .with_level(IsoLevel::L3)
            .with_rock_ridge()
            .with_joliet()
            .with_min_image_blocks(SECTORS_MIN)
            .with_time(time);
        let mut draft =
            Self { options, files: bodies, instance, first: Head::default(), warnings: Vec::new() };
        draft.first = lay_out(&draft.tree(|_, body| Ok(body.without_large()))?, &draft.options)?;
        draft.warnings = draft.first.report.warnings().iter().map(describe).collect();
        Ok(draft)
    }

    /// What readers of some trees of the image will see otherwise than asked for, a sentence each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Whether the file `name` will be there and empty.
    #[must_use]
    pub fn is_empty(&self, name: &str) -> bool {
        self.files.iter().any(|(other, body)| match body {
            Body::Small(data) => other == name.as_bytes() && data.is_empty(),
            _ => false,
        })
    }

    /// Writes the image to `out`, an empty file. The large files come first, then the head.
    ///
    /// # Errors
    /// A source cannot be read or changed meanwhile, or `out` cannot be written.
    pub fn write_to_file(mut self, mut out: &File, progress: &mut dyn Progress) -> Result<Written> {
        let mut at = self.payload_start();
        let mut places = Vec::new();
        self.announce(progress);
        for (_, body) in &mut self.files {
            let Some(payload) = body.take_large() else { continue };
            let len = payload.place(out, at, progress)?;
            places.push(Extent { offset: at, len });
            at = (at + len).next_multiple_of(ALIGNMENT_BYTES);
        }
        let digest = self.digest(&places, |number, each| {
            let Extent { offset, len } = places[number];
            out.seek(SeekFrom::Start(offset))?;
            read_pieces(&mut out.take(len), each, progress)?;
            Ok(())
        })?;
        let (head, written) = self.head(&digest, &places)?;
        (|| {
            out.seek(SeekFrom::Start(0))?;
            out.write_all(&head)?;
            out.set_len(written.bytes)
        })()
        .context("writing the image")?;
        Ok(written)
    }

    /// Writes the image to `out` from its first byte to its last, which a pipe asks for.
    ///
    /// A source that is a pipe as well is first copied to a temporary file, since the head needs its length.
    ///
    /// # Errors
    /// As [`Draft::write_to_file`].
    pub fn write_forward(mut self, out: &mut dyn Write, progress: &mut dyn Progress) -> Result<Written> {
        let mut at = self.payload_start();
        let mut payloads = Vec::new();
        let mut places = Vec::new();
        self.announce(progress);
        for (_, body) in &mut self.files {
            let Some(payload) = body.take_large() else { continue };
            let payload = payload.keep(progress)?;
            let len = payload.len().context("a kept pipe has a length")?;
            payloads.push(payload);
            places.push(Extent { offset: at, len });
            at = (at + len).next_multiple_of(ALIGNMENT_BYTES);
        }
        let digest = self.digest(&places, |number, each| payloads[number].read(each, progress))?;
        let (head, written) = self.head(&digest, &places)?;
        out.write_all(&head).context("writing the image")?;
        let mut at = head.len() as u64;
        for (payload, Extent { offset, len }) in payloads.iter().zip(&places) {
            write_zeros(out, offset - at).context("writing the image")?;
            payload.read(&mut |piece| out.write_all(piece), progress)?;
            at = offset + len;
        }
        write_zeros(out, written.bytes - at).and_then(|()| out.flush()).context("writing the image")?;
        Ok(written)
    }

    fn announce(&self, progress: &mut dyn Progress) {
        let times = if self.needs_digest() { 2 } else { 1 };
        for (_, body) in &self.files {
            if let Body::Large(payload) = body
                && let Some(len) = payload.len()
            {
                progress.expect(times * len);
            }
        }
    }

    /// The first large file's offset. It does not depend on how long the large files are, since of a pipe nobody
    /// knows. Behind the head it leaves the padding that hadris puts there; the further records that a file of more
    /// than 4 GiB needs take it up.
    fn payload_start(&self) -> u64 {
        self.first.report.size().next_multiple_of(ALIGNMENT_BYTES)
    }

    fn needs_digest(&self) -> bool {
        self.instance.as_ref().is_some_and(|(_, instance)| instance.id.is_none())
    }

    /// SHA-256 over all files by name: length and bytes of the name, length and bytes of the content, the lengths as
    /// eight bytes, little-endian. The generated file goes in as it is for a digest of zeros.
    ///
    /// `read` hands the bytes of the large file of that number to its second argument.
    fn digest(
        &self,
        places: &[Extent],
        mut read: impl FnMut(usize, &mut dyn FnMut(&[u8]) -> io::Result<()>) -> Result<()>,
    ) -> Result<[u8; DIGEST_BYTES]> {
        if !self.needs_digest() {
            return Ok([0; DIGEST_BYTES]);
        }
        let mut hash = Sha256::new();
        let mut large = places.iter().enumerate();
        for (name, body) in &self.files {
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
            match body {
                Body::Small(data) | Body::Generated(data) => {
                    hash.update(data.len().to_le_bytes());
                    hash.update(data.as_bytes().unwrap_or_default());
                }
                Body::Large(_) => {
                    let (number, place) = large.next().context("there is a place for every large file")?;
                    hash.update(place.len.to_le_bytes());
                    read(number, &mut |piece| {
                        hash.update(piece);
                        Ok(())
                    })?;
                }
            }
        }
        Ok(hash.finalize().into())
    }

    /// The bytes of the head with the large files at `places`, and where everything is.
    fn head(mut self, digest: &[u8; DIGEST_BYTES], places: &[Extent]) -> Result<(Vec<u8>, Written)> {
        let start = self.payload_start();
        let end = match places.last() {
            Some(last) => (last.offset + last.len).div_ceil(SECTOR_BYTES) + PADDING_SECTORS,
            None => self.first.report.size() / SECTOR_BYTES,
        };
        let sectors = end.next_multiple_of(ALIGNMENT_BYTES / SECTOR_BYTES);
        let mut head = std::mem::take(&mut self.first);
        if !places.is_empty() || self.needs_digest() || head.report.size() != sectors * SECTOR_BYTES {
            drop(head);
            let tree = self.final_tree(digest, places)?;
            let options = self.options.clone().with_min_image_blocks(sectors);
            let laid_out = if places.is_empty() {
                lay_out(&tree, &options)
            } else {
                lay_out_around_stored(tree, &options)
            };
            head = laid_out.context("laying out the image")?;
        }
        ensure!(
            head.report.size() == sectors * SECTOR_BYTES && head.bytes.len() as u64 <= start,
            "laying out the image: its files are too large for one image",
        );
        let written = Written { bytes: head.report.size(), files: self.placed(&head.report) };
        Ok((head.bytes, written))
    }

    fn final_tree(&self, digest: &[u8; DIGEST_BYTES], places: &[Extent]) -> Result<Tree> {
        let mut large = places.iter();
        self.tree(|_, body| match body {
            Body::Small(data) => Ok(data.clone()),
            Body::Generated(_) => {
                let rendered =
                    self.instance.as_ref().and_then(|(layout, instance)| instance.render(*layout, digest));
                Ok(Data::bytes(rendered.unwrap_or_default()))
            }
            Body::Large(_) => {
                let place = large.next().context("there is a place for every large file")?;
                Ok(Data::stored(extents(place))?)
            }
        })
    }

    fn placed(&self, report: &Report) -> Vec<Placed> {
        let place = |name: &Vec<u8>| {
            let extents = report.extents(name).unwrap_or_default();
            let offset = extents.first().map_or(0, HadrisExtent::offset);
            let len = extents.iter().map(HadrisExtent::len).sum();
            Placed { name: name.clone(), extent: Extent { offset, len } }
        };
        let mut files: Vec<_> = self.files.iter().map(|(name, _)| place(name)).collect();
        files.sort_by_key(|file| file.extent.offset);
        files
    }

    fn tree(&self, mut data: impl FnMut(&[u8], &Body) -> Result<Data>) -> Result<Tree> {
        let directory = || Node::dir().with_attrs(mode(DIRECTORY_MODE));
        let mut tree = Tree::new();
        tree.replace("", directory())?;
        for (name, body) in &self.files {
            for (end, _) in name.iter().enumerate().filter(|(_, byte)| **byte == b'/') {
                if tree.get(&name[..end]).is_none() {
                    tree.insert(&name[..end], directory())?;
                }
            }
            let node = Node::file(data(name, body)?).with_attrs(mode(FILE_MODE));
            tree.insert(name, node)?;
        }
        Ok(tree)
    }
}

impl Body {
    /// Its data, or none for a large file: the head is as large without.
    fn without_large(&self) -> Data {
        match self {
            Self::Small(data) | Self::Generated(data) => data.clone(),
            Self::Large(_) => Data::empty(),
        }
    }

    /// The payload of a large file, of which something empty stays.
    fn take_large(&mut self) -> Option<Payload> {
        let Self::Large(payload) = self else { return None };
        let rest = Box::new(io::empty());
        Some(std::mem::replace(payload, Payload::Stream { label: String::new(), start: Vec::new(), rest }))
    }
}

/// The extents that hold a large file: a record gives a length in 32 bits, and all but the last are whole sectors
/// (ECMA-119, 6.4.2).
fn extents(place: &Extent) -> Vec<HadrisExtent> {
    const EXTENT_BYTES_MAX: u64 = u32::MAX as u64 / SECTOR_BYTES * SECTOR_BYTES;
    let starts = (0..place.len.div_ceil(EXTENT_BYTES_MAX)).map(|number| number * EXTENT_BYTES_MAX);
    starts
        .map(|start| HadrisExtent::new(place.offset + start, EXTENT_BYTES_MAX.min(place.len - start)))
        .collect()
}

fn mode(bits: u32) -> SetAttr {
    SetAttr::new().with_permissions(Permissions::new(bits))
}

/// Lays `tree`, which has no stored files, out in memory.
fn lay_out(tree: &Tree, options: &IsoOptions) -> Result<Head> {
    let mut head = HeadDevice::default();
    let report = write(&mut head, tree, options)?;
    Ok(Head { bytes: head.into_bytes(), report })
}

/// Lays `tree` out in memory; its stored files are not touched.
///
/// hadris 3.0.0-rc.2 takes stored files in a [`Session`] only, which updates an image that is there. So the session
/// gets an empty one that claims to have no sectors, and rebuilds all of it from the first sector after the
/// descriptors. `hadris_still_refuses_stored_files_in_a_new_image` tells when this is no longer needed.
fn lay_out_around_stored(tree: Tree, options: &IsoOptions) -> Result<Head> {
    /// Where the primary volume descriptor, in sector 16, has the volume's size, in both byte orders (ECMA-119, 8.4.8).
    const VOLUME_SPACE_SIZE: std::ops::Range<usize> = 16 * 2048 + 80..16 * 2048 + 88;

    let mut empty = lay_out(&Tree::new(), &IsoOptions::new())?.bytes;
    empty[VOLUME_SPACE_SIZE].fill(0);
    let mut session = Session::open(HeadDevice::new(empty)).map_err(hadris_fs::MountError::into_error)?;
    *session.tree_mut() = tree;
    let report = session.write(options, SessionMode::Rewrite)?;
    Ok(Head { bytes: session.into_inner().into_bytes(), report })
}

fn write_zeros(out: &mut dyn Write, count: u64) -> io::Result<()> {
    io::copy(&mut io::repeat(0).take(count), out).map(drop)
}

/// Digests the image in `file`, which was written as `written` says.
///
/// # Errors
/// It cannot be read.
pub fn digests(mut file: &File, written: &Written, progress: &mut dyn Progress) -> Result<Digests> {
    progress.expect(written.bytes);
    file.seek(SeekFrom::Start(0))?;
    let mut image = Sha256::new();
    let mut feed = |len: u64, also: &mut Sha256| -> Result<()> {
        let mut each = |piece: &[u8]| {
            image.update(piece);
            also.update(piece);
            Ok(())
        };
        let read = read_pieces(&mut file.take(len), &mut each, progress)?;
        ensure!(read == len, "the image became shorter");
        Ok(())
    };
    let mut at = 0;
    let mut files = Vec::with_capacity(written.files.len());
    for Placed { extent: Extent { offset, len }, .. } in &written.files {
        let mut hash = Sha256::new();
        if *len > 0 {
            feed(offset - at, &mut Sha256::new())?;
            feed(*len, &mut hash)?;
            at = offset + len;
        }
        files.push(hash.finalize().into());
    }
    feed(written.bytes - at, &mut Sha256::new())?;
    Ok(Digests { image: image.finalize().into(), files })
}

fn describe(warning: &Warning) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match (warning.path(), warning.stored_as()) {
        (Some(path), Some(name)) => {
            format!("file {:?}: some readers see it as {:?} ({})", text(path), text(name), warning.message())
        }
        (Some(path), None) => format!("file {:?}: {}", text(path), warning.message()),
        (None, _) => warning.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hadris_still_refuses_stored_files_in_a_new_image() -> Result<()> {
        let mut tree = Tree::new();
        tree.insert("file", Node::file(Data::stored([HadrisExtent::new(1 << 20, 5)])?))?;
        assert!(
            lay_out(&tree, &IsoOptions::new()).is_err(),
            "hadris takes stored files in a new image: lay_out_around_stored can go"
        );
        Ok(())
    }

    #[test]
    fn the_detour_over_a_session_lays_out_as_a_new_image_does() -> Result<()> {
        let tree = || -> Result<Tree> {
            let mut tree = Tree::new();
            tree.insert("directory/file", Node::file(Data::bytes(*b"hello")))?;
            Ok(tree)
        };
        let options = IsoOptions::new().with_rock_ridge().with_joliet();
        let (direct, detour) = (lay_out(&tree()?, &options)?, lay_out_around_stored(tree()?, &options)?);
        assert!(direct.bytes == detour.bytes);
        assert_eq!(direct.report, detour.report);
        Ok(())
    }
}
