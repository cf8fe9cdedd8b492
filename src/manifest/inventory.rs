//! All that is on an image, read once: what is checked is what is used.

use std::{
    io::{self, Write},
    sync::Arc,
};

use crate::error::{Context, Error, Result, bail, ensure};
use sha2::{Digest, Sha256};

use super::{File, Manifest, timestamp::Moment};
use crate::manifest;
use crate::{
    datasource::{layout::Layout, looked_for::LOOKED_FOR},
    image::{
        Image, Kind, Progress, Record, Volume,
        iso9660::{
            renaming,
            writer::{self, DerivedFile, DerivedFrom, DerivedInput, Draft},
        },
    },
};

/// Bytes of a signature at most: one by an RSA key of 16,384 bits takes less than 8 KiB.
const SIGNATURE_BYTES_MAX: u64 = 64 << 10;

/// What is on an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// What the volume says of itself.
    pub volume: Volume,
    /// Its records, those of the manifest and the signature as well.
    pub records: Vec<Record>,
    /// Why readers may find something else on it, where they may: some reader cannot tell its names apart, its trees do not
    /// agree, or it has a signature and is not the image that this program builds of what is on it, or looks like something
    /// else than ISO 9660.
    pub disagreement: Option<String>,
    /// Every other file, by name.
    pub files: Vec<File>,
    /// The bytes of the manifest.
    pub manifest: Option<Vec<u8>>,
    /// The bytes of its signature.
    pub signature: Option<Vec<u8>>,
    /// What [`Contents::read`] was asked to keep.
    pub kept: Vec<(Record, Vec<u8>)>,
}

impl Contents {
    /// Reads and digests every file of `image`. The bytes of those in `keep` are kept as they were digested; each may
    /// have `keep_bytes` at most.
    ///
    /// # Errors
    /// The image cannot be read, files overlap to be larger than the image, or it holds what no
    /// manifest can describe: a link or a device, a name that is not UTF-8, a directory without files.
    pub fn read(
        image: &mut Image,
        keep: impl Fn(&Volume, &[Record]) -> Vec<Record>,
        keep_bytes: u64,
        progress: &mut dyn Progress,
    ) -> Result<Self> {
        let (volume, records) = image.list()?;
        let kept_records = keep(&volume, &records);
        let readers = check_readers(image, &volume, &records);
        let disagreement = readers.err().map(|error| format!("{error:#}"));
        let mut contents = Self {
            volume,
            records,
            disagreement,
            files: Vec::new(),
            manifest: None,
            signature: None,
            kept: Vec::new(),
        };
        let files: Vec<_> = contents.records.iter().filter(|record| record.kind == Kind::File).collect();
        check_tree(&contents.records, &files)?;
        // Many records of the same bytes would take for ever.
        let bytes = files.iter().fold(0, |sum: u64, record| sum.saturating_add(record.len));
        ensure!(bytes <= image.bytes(), "its files have {bytes} bytes in all, more than the image");
        progress.expect(bytes);
        for record in files {
            if record.path == manifest::NAME.as_bytes() {
                contents.manifest = Some(image.read(record, manifest::BYTES_MAX)?);
            } else if record.path == manifest::SIGNATURE_NAME.as_bytes() {
                contents.signature = Some(image.read(record, SIGNATURE_BYTES_MAX)?);
            } else if kept_records.iter().any(|kept| kept.path == record.path) {
                let bytes = image.read(record, keep_bytes)?;
                contents.files.push(File::new(&record.path, record.len, &Sha256::digest(&bytes).into())?);
                contents.kept.push((record.clone(), bytes));
            } else {
                let mut hash = Hash(Sha256::new());
                image.copy(record, &mut hash, progress)?;
                contents.files.push(File::new(&record.path, record.len, &hash.0.finalize().into())?);
            }
        }
        contents.files.sort();
        if contents.disagreement.is_none()
            && let (Some(manifest), Some(_)) = (&contents.manifest, &contents.signature)
        {
            let same =
                contents.rebuild(image, manifest.clone()).and_then(|draft| image.check_canonical(draft));
            let same = same.and_then(|()| image.check_superblocks(&contents.records));
            contents.disagreement = same.err().map(|error| format!("{error:#}"));
        }
        Ok(contents)
    }

    /// The image that this program builds of the same files.
    fn rebuild(&self, image: &Image, manifest: Vec<u8>) -> Result<Draft> {
        let created = self.volume.created.as_deref().context("it has no valid date")?;
        let files = self.records.iter().filter(|record| record.kind == Kind::File);
        // What nobody could build must not cost what it would take, and nobody has checked the signature yet.
        renaming::check(files.clone().map(|record| &*record.path)).map_err(Error::new)?;
        let files = files.filter(|record| record.path != manifest::NAME.as_bytes());
        let files = files.map(|record| Ok((record.path.clone(), image.source(record)?)));
        Draft::new(writer::VolumeSpec {
            identifier: self.volume.identifier.clone(),
            seconds: Moment::parse(created)?.seconds(),
            files: files.collect::<Result<_>>()?,
            derived: vec![(manifest::NAME, Arc::new(Finished(manifest)))],
        })
    }

    /// The bytes of the file of that name, which were asked for.
    #[must_use]
    pub fn take(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        let (_, bytes) = self.kept.iter_mut().find(|(record, _)| record.path == name)?;
        Some(std::mem::take(bytes))
    }

    /// The manifest, which describes the image. `None`: there is none.
    ///
    /// # Errors
    /// It is malformed, or describes something else.
    pub fn manifest(&self) -> Result<Option<Manifest>> {
        let Some(bytes) = &self.manifest else { return Ok(None) };
        let manifest = Manifest::parse(bytes)?;
        manifest.check(self)?;
        Ok(Some(manifest))
    }

    /// What the volume is. `layout`: what it has been called before; `None`: what it looks like.
    ///
    /// # Errors
    /// The image has no layout that is known, or no date.
    pub fn describe_volume(&self, layout: Option<Layout>) -> Result<manifest::Volume> {
        let layout = layout.or_else(|| Layout::of(&self.volume, &self.records));
        let layout = layout.context("its layout is none that is known")?;
        let created = self.volume.created.as_deref().context("it has no valid date")?;
        let created_at = Moment::parse(created)?;
        Ok(manifest::Volume { identifier: self.volume.identifier.clone(), layout, created_at })
    }
}

/// Whether every reader finds the same files under the same names, by the records of the whole image.
///
/// # Errors
/// A name can be taken for another one, or the volume's trees differ.
pub fn check_readers(image: &mut Image, volume: &Volume, records: &[Record]) -> Result<()> {
    Image::check_names(volume, records, &LOOKED_FOR, &manifest::OWN_NAMES)?;
    image.check_trees(records, &LOOKED_FOR)
}

fn check_tree(records: &[Record], files: &[&Record]) -> Result<()> {
    let mut file_paths: Vec<_> = files.iter().map(|record| record.path.as_slice()).collect();
    file_paths.sort_unstable();
    for record in records {
        let name = record.display_path();
        match record.kind {
            Kind::File => {}
            // It held what is too deep for plain ISO 9660, which others look at.
            Kind::Directory if record.path == b"rr_moved" => {}
            Kind::Directory => {
                let below = [&record.path[..], b"/"].concat();
                let next = file_paths.partition_point(|path| *path < below.as_slice());
                let filled = file_paths.get(next).is_some_and(|path| path.starts_with(&below));
                ensure!(filled, "directory {name:?} holds no file, and no manifest can describe it");
            }
            Kind::SymbolicLink => bail!("{name:?} is a symbolic link, and no manifest can describe it"),
            Kind::Other => bail!("{name:?} is no file, and no manifest can describe it"),
        }
    }
    Ok(())
}

/// A manifest that is made already. The writer never gives it a place among large files.
#[derive(Debug)]
struct Finished(Vec<u8>);

impl DerivedFile for Finished {
    fn derived_from(&self) -> DerivedFrom {
        DerivedFrom::Files
    }

    fn render(&self, _: &DerivedInput) -> Result<Vec<u8>> {
        Ok(self.0.clone())
    }
}

/// Digests what is written to it.
struct Hash(Sha256);

impl Write for Hash {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
