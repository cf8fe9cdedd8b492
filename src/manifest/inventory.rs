//! Everything on an image, read once, so that what is checked is what is used.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{ListedFile, Manifest, VolumeInfo, timestamp::Timestamp};
use crate::{
    datasource::{layout::Layout, looked_for::LOOKED_FOR},
    error::{Context, Error, Result, bail, ensure},
    image::{
        Image, Kind, Progress, Record, Volume,
        iso9660::{
            renaming,
            volume_format::VolumeFormat,
            writer::{self, DerivedFile, DerivedFrom, DerivedInput, Draft},
        },
    },
    manifest,
};

/// The most bytes in a signature. One with an RSA key of 16,384 bits has less than 8 KiB.
const SIGNATURE_BYTES_MAX: u64 = 64 << 10;

/// What is on an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// The volume.
    pub volume: Volume,
    /// Its records, including those of the manifest and the signature.
    pub records: Vec<Record>,
    /// Why readers may disagree about the image, if they may: a reader cannot tell two names apart; the trees differ; or the image is
    /// signed, and is not the image that this program builds from its files, or looks like another file system.
    pub disagreement: Option<String>,
    /// Every other file, in the order of their names.
    pub files: Vec<ListedFile>,
    /// The bytes of the manifest.
    pub manifest: Option<Vec<u8>>,
    /// The bytes of its signature.
    pub signature: Option<Vec<u8>>,
    /// The files that [`Contents::read`] was asked to keep.
    pub kept: Vec<(Record, Vec<u8>)>,
}

impl Contents {
    /// Reads and digests every file of `image`. The files that `keep` selects are kept with the bytes that were digested. Each of
    /// them may have at most `keep_bytes`.
    ///
    /// # Errors
    /// Fails if the image cannot be read, if the files overlap and together are larger than the image, or if
    /// the image holds what a manifest cannot list: links, devices, names that are not UTF-8, directories without files.
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
        // Many records that share their bytes would take too long to digest.
        let bytes = files.iter().fold(0, |sum: u64, record| sum.saturating_add(record.len));
        ensure!(bytes <= image.bytes(), "the files have {bytes} bytes together, more than the image");
        progress.expect(bytes);
        for record in files {
            if record.path == manifest::NAME.as_bytes() {
                contents.manifest = Some(image.read(record, manifest::BYTES_MAX)?);
            } else if record.path == manifest::SIGNATURE_NAME.as_bytes() {
                contents.signature = Some(image.read(record, SIGNATURE_BYTES_MAX)?);
            } else if kept_records.iter().any(|kept| kept.path == record.path) {
                let bytes = image.read(record, keep_bytes)?;
                contents.files.push(ListedFile::new(
                    &record.path,
                    record.len,
                    &Sha256::digest(&bytes).into(),
                )?);
                contents.kept.push((record.clone(), bytes));
            } else {
                let digest = image.digest(record, progress)?;
                contents.files.push(ListedFile::new(&record.path, record.len, &digest)?);
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

    /// The image that this program builds from the same files.
    fn rebuild(&self, image: &Image, manifest: Vec<u8>) -> Result<Draft> {
        let created = self.volume.created.as_deref().context("the volume has no valid date")?;
        let files = self.records.iter().filter(|record| record.kind == Kind::File);
        // Names that could not be laid out must not take the time to try, and the signature has not been checked yet.
        renaming::check(files.clone().map(|record| &*record.path)).map_err(Error::new)?;
        let files = files.filter(|record| record.path != manifest::NAME.as_bytes());
        let files = files.map(|record| Ok((record.path.clone(), image.source(record)?)));
        Draft::new(writer::VolumeSpec {
            identifier: self.volume.identifier.clone(),
            seconds: Timestamp::parse(created)?.seconds(),
            files: files.collect::<Result<_>>()?,
            derived: vec![(manifest::NAME, Arc::new(ExistingManifest(manifest)))],
            format: VolumeFormat::default(),
        })
    }

    /// Takes the bytes of a kept file.
    #[must_use]
    pub fn take(&mut self, name: &[u8]) -> Option<Vec<u8>> {
        let (_, bytes) = self.kept.iter_mut().find(|(record, _)| record.path == name)?;
        Some(std::mem::take(bytes))
    }

    /// The manifest, checked against the image. `None`: there is none.
    ///
    /// # Errors
    /// Fails if the manifest is malformed or does not match the image.
    pub fn manifest(&self) -> Result<Option<Manifest>> {
        let Some(bytes) = &self.manifest else { return Ok(None) };
        let manifest = Manifest::parse(bytes)?;
        manifest.check(self)?;
        Ok(Some(manifest))
    }

    /// What a manifest says about the volume. `layout`: the layout in an earlier manifest; `None`: it is guessed from the files.
    ///
    /// # Errors
    /// Fails if the layout is unknown or the volume has no date.
    pub fn describe_volume(&self, layout: Option<Layout>) -> Result<VolumeInfo> {
        let layout = layout.or_else(|| Layout::of(&self.volume, &self.records));
        let layout = layout.context("the layout is unknown")?;
        let created = self.volume.created.as_deref().context("the volume has no valid date")?;
        let created_at = Timestamp::parse(created)?;
        Ok(VolumeInfo { identifier: self.volume.identifier.clone(), layout, created_at })
    }
}

/// Checks that every reader finds the same files under the same names. `records` are those of the whole image.
///
/// # Errors
/// Fails if a reader can confuse two names, or if the trees of the volume differ.
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
                ensure!(filled, "directory {name:?} has no files, so a manifest cannot list it");
            }
            Kind::SymbolicLink => bail!("{name:?} is a symbolic link, which a manifest cannot list"),
            Kind::Other => bail!("{name:?} is not a regular file, so a manifest cannot list it"),
        }
    }
    Ok(())
}

/// A manifest that exists already. The writer never places it among large files.
#[derive(Debug)]
struct ExistingManifest(Vec<u8>);

impl DerivedFile for ExistingManifest {
    fn derived_from(&self) -> DerivedFrom {
        DerivedFrom::Files
    }

    fn render(&self, _: &DerivedInput) -> Result<Vec<u8>> {
        Ok(self.0.clone())
    }
}
