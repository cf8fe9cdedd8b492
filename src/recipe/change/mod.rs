//! Changes to the files of an image: the recipe of the new image, which keeps all else.
//!
//! What the new image could not have is an error that names it. A generated instance ID follows the content. What was stated about
//! the old image, in its manifest, is not stated about the new one.

mod manifest_kept;
mod meta_data;
mod names;

use std::collections::{BTreeMap, BTreeSet};

use self::{
    manifest_kept::KeptManifest,
    meta_data::{MetaDataChange, NewMetaData},
};
use super::{
    Contradiction, DEFAULT_SECONDS,
    contradictions::{self, SECONDS_END},
    near_names,
};
use crate::{
    datasource::{layout::Layout, looked_for::LOOKED_FOR},
    error::{Context, Error, Result, ensure, error},
    image::{
        Image, Kind, Progress, Record, Tree, Volume,
        draft::Draft,
        fat,
        iso9660::{
            clashes::Clashes,
            renaming,
            volume_format::{OtherNode, VolumeFormat},
            writer::{self, VolumeSpec},
        },
        probe::FileSystem,
        source::Source,
    },
    manifest::{self, timestamp::Timestamp},
};

/// Changes to an image.
#[derive(Clone, Debug, Default)]
pub struct ImageChange {
    /// Files to add or to replace: a path on the image, and the new content.
    pub files: Vec<(Vec<u8>, Source)>,
    /// Files to remove.
    pub removed: Vec<Vec<u8>>,
    /// The host name in the meta-data.
    pub hostname: Option<String>,
    /// The instance ID in the meta-data.
    pub instance_id: Option<String>,
    /// Whether a new file may have a name that is almost that of one which agents read.
    pub any_names: bool,
}

/// An image with its changes, before it is written.
#[derive(Debug)]
pub struct ChangedImage {
    /// The new image.
    pub draft: Draft,
    /// Whose layout it is: that of the old image, as far as it is known.
    pub layout: Option<Layout>,
    /// The volume identifier.
    pub volume_identifier: String,
    /// The tree of the old image, which says how its names are compared.
    pub tree: Tree,
    /// The files whose content is new.
    pub changed: BTreeSet<Vec<u8>>,
    /// What was stated about the old image and is lost with it, a sentence.
    pub loss: Option<String>,
    /// What is allowed but may be a mistake, a sentence each.
    pub warnings: Vec<String>,
}

impl ImageChange {
    /// Checks the changes without an image.
    ///
    /// # Errors
    /// Fails if they contradict each other, or a name or value is never valid.
    pub fn check(&self) -> Result<(), Contradiction> {
        let mut names = BTreeSet::new();
        for name in self.files.iter().map(|(name, _)| name).chain(&self.removed) {
            let fault =
                |why: &str| Contradiction(format!("file name {:?} {why}", String::from_utf8_lossy(name)));
            super::names::check_name(name).map_err(fault)?;
            if !names.insert(name) {
                return Err(fault("is given twice"));
            }
        }
        let is_own = |name: &[u8]| manifest::OWN_NAMES.iter().any(|own| own.as_bytes() == name);
        if let Some((name, _)) = self.files.iter().find(|(name, _)| is_own(name)) {
            let name = String::from_utf8_lossy(name);
            return Err(Contradiction(format!(
                "file name {name:?} is used for the manifest or its signature, which confirm and sign write"
            )));
        }
        let inputs = self.files.iter().filter(|(_, source)| matches!(source, Source::StandardInput));
        if inputs.count() > 1 {
            return Err(Contradiction("standard input can be read only once".to_owned()));
        }
        self.hostname.as_deref().map_or(Ok(()), contradictions::check_hostname)?;
        self.instance_id.as_deref().map_or(Ok(()), contradictions::check_instance_id)
    }

    /// Applies the changes to `image`.
    ///
    /// # Errors
    /// Fails if the image cannot be read, the changes do not fit it, or the new image would lose something else.
    pub fn apply(mut self, image: &mut Image, progress: &mut dyn Progress) -> Result<ChangedImage> {
        self.check()?;
        let (volume, records) = image.list()?;
        if volume.read.is_fat() {
            self.name_as_on_fat(&records);
            self.check()?;
        }
        let manifest = KeptManifest::read(image, &records, &self.removed, progress)?;
        let layout = manifest.layout().or_else(|| Layout::likely_of(&volume, &records));
        self.check_against(&records, layout)?;
        // Agents do not see the whole names there.
        if volume.read == Tree::Primary {
            self.check_cut_names(&records)?;
        }
        let touched: BTreeSet<_> =
            self.files.iter().map(|(name, _)| name.clone()).chain(self.removed.iter().cloned()).collect();
        let stays = |record: &Record| !touched.contains(&record.path) && !manifest.drops(&record.path);
        image.check_rebuildable(&volume, &records, stays, &LOOKED_FOR)?;
        let meta_data = NewMetaData::decide(&self, image, (&volume, &records), layout, progress)?;

        let seconds = seconds_of(&volume)?;
        let mut changed: BTreeSet<_> = self.files.iter().map(|(name, _)| name.clone()).collect();
        let mut files: BTreeMap<_, _> = self.files.into_iter().collect();
        for record in records.iter().filter(|record| record.kind == Kind::File && stays(record)) {
            files.insert(record.path.clone(), image.source(record)?);
        }
        let mut derived = Vec::new();
        match meta_data.file {
            MetaDataChange::None => {}
            MetaDataChange::Derived { old, name, file } => {
                files.remove(&old);
                derived.push((name, file));
            }
            MetaDataChange::Edited(name, text) => {
                files.insert(name.clone(), Source::Bytes(text.into_bytes()));
                changed.insert(name);
            }
        }
        let identifier = volume.identifier;
        derived.extend(manifest.file(&identifier, seconds)?);
        let spec = VolumeSpec {
            identifier: identifier.clone(),
            seconds,
            files: files.into_iter().collect(),
            derived,
            format: VolumeFormat::default(),
        };
        let (draft, doubts) = draft(spec, image, &records, &changed)?;
        let warnings = meta_data.warning.into_iter().chain(doubts).collect();
        let loss = manifest.loss();
        Ok(ChangedImage {
            draft,
            layout,
            volume_identifier: identifier,
            tree: volume.read,
            changed,
            loss,
            warnings,
        })
    }

    /// Spells the names as those on a FAT volume, where case makes no difference: what is there keeps its name.
    fn name_as_on_fat(&mut self, records: &[Record]) {
        let stored = names::FatNames::new(records);
        for name in self.files.iter_mut().map(|(name, _)| name).chain(&mut self.removed) {
            *name = stored.meant(name);
        }
    }

    /// Checks the names of the changes against what is on the image.
    fn check_against(&self, records: &[Record], layout: Option<Layout>) -> Result<()> {
        let kinds: BTreeMap<_, _> = records.iter().map(|record| (&record.path[..], record.kind)).collect();
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        for name in self.files.iter().map(|(name, _)| name).chain(&self.removed) {
            ensure!(
                kinds.get(&name[..]) != Some(&Kind::Directory),
                "{:?} is a directory on the image; name the files in it",
                text(name)
            );
        }
        if let Some(name) = self.removed.iter().find(|name| !kinds.contains_key(&name[..])) {
            let similar = kinds.keys().find(|other| other.eq_ignore_ascii_case(name));
            let hint = similar.map_or(String::new(), |other| format!(" (there is {:?})", text(other)));
            return Err(error!("the image has no file {:?}{hint}", text(name)));
        }
        let new = self.files.iter().filter(|(name, _)| !self.any_names && !kinds.contains_key(&name[..]));
        for (name, _) in new {
            if let Some(meant) = near_names::meant(name, layout) {
                let (name, layout) = (text(name), layout.map_or("", Layout::name));
                return Err(error!(
                    "the layout {layout} does not use a file {name:?}; write {meant}=PATH (--lenient adds {name:?})"
                ));
            }
        }
        Ok(())
    }
    /// Checks that no new name is, for the records of a volume without long names, that of a file which is there. A new image has
    /// long names, so both files would be on it.
    fn check_cut_names(&self, records: &[Record]) -> Result<()> {
        let is_there = |name: &[u8]| records.iter().any(|record| record.path == name);
        let text = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
        for (name, _) in self.files.iter().filter(|(name, _)| !is_there(name)) {
            let cut = records.iter().find(|record| {
                record.kind == Kind::File
                    && !self.removed.contains(&record.path)
                    && names::is_cut(&record.path, name)
            });
            if let Some(cut) = cut {
                let (cut, name) = (text(&cut.path), text(name));
                return Err(error!(
                    "the image has {cut:?}, which is {name:?} cut to the names of plain ISO 9660; agents do not find it under \
                     that name; to replace it: {name}=PATH --remove {cut}"
                ));
            }
        }
        Ok(())
    }
}

/// The image of `spec`, which keeps the attributes of `image`, and sentences about what may be a mistake.
fn draft(
    mut spec: VolumeSpec,
    image: &mut Image,
    records: &[Record],
    changed: &BTreeSet<Vec<u8>>,
) -> Result<(Draft, Vec<String>)> {
    let identifier = &spec.identifier;
    ensure!(
        !identifier.contains(char::REPLACEMENT_CHARACTER),
        "volume identifier {identifier:?} is not UTF-8"
    );
    let files = spec.files.iter().map(|(name, _)| name.as_slice());
    let names: BTreeSet<_> = files.chain(spec.derived.iter().map(|(name, _)| name.as_bytes())).collect();
    ensure!(!names.is_empty(), "no file would be left on the image");
    if image.file_system() == FileSystem::Fat {
        return fat_draft(spec, image, records, changed);
    }
    check_names(&names)?;
    let clashes = Clashes::of(names.iter().copied(), &LOOKED_FOR, &manifest::OWN_NAMES);
    let clashes = clashes.on_volume(identifier, &LOOKED_FOR);
    spec.format = kept_format(image, records, &names, changed)?;
    let (identifiers, unreadable) = image.identifiers();
    spec.format.identifiers = identifiers;
    let draft = Draft::from(writer::Draft::new(spec)?);
    let mut warnings = draft.warnings().to_vec();
    warnings
        .extend(unreadable.iter().map(|name| format!("the {name} identifier is not text and was left out")));
    warnings.extend(clashes.refused.into_iter().chain(clashes.doubtful));
    Ok((draft, warnings))
}

/// The FAT volume of `spec`, as [`draft`] makes an ISO 9660 image.
fn fat_draft(
    spec: VolumeSpec,
    image: &mut Image,
    records: &[Record],
    changed: &BTreeSet<Vec<u8>>,
) -> Result<(Draft, Vec<String>)> {
    let VolumeSpec { identifier: label, seconds, files, derived, .. } = spec;
    let names = files.iter().map(|(name, _)| name.as_slice());
    let names: BTreeSet<_> = names.chain(derived.iter().map(|(name, _)| name.as_bytes())).collect();
    ensure!(!names.is_empty(), "no file would be left on the image");
    check_each_name(&names)?;
    let VolumeFormat { others, attributes, .. } = kept_format(image, records, &names, changed)?;
    let directories = others.into_iter().map(|(path, _)| path).collect();
    let shape = image.fat_shape();
    let spec = fat::writer::VolumeSpec { label, seconds, files, derived, directories, attributes, shape };
    Ok((fat::writer::Draft::new(spec)?.into(), Vec::new()))
}

/// The date of a volume, in seconds since 1970.
fn seconds_of(volume: &Volume) -> Result<u64> {
    let Some(created) = &volume.created else { return Ok(DEFAULT_SECONDS) };
    let seconds = Timestamp::parse(created).map(Timestamp::seconds);
    seconds
        .ok()
        .filter(|seconds| *seconds < SECONDS_END)
        .with_context(|| format!("the date of the volume, {created}, is not between 1970 and 2155"))
}

fn check_names(names: &BTreeSet<&[u8]>) -> Result<()> {
    check_each_name(names)?;
    renaming::check(names.iter().copied()).map_err(Error::new)
}

fn check_each_name(names: &BTreeSet<&[u8]>) -> Result<()> {
    for name in names {
        let fault = |why: &str| Contradiction(format!("file name {:?} {why}", String::from_utf8_lossy(name)));
        super::names::check_name(name).map_err(fault).map_err(not_usage)?;
    }
    super::names::check_bounds(names.iter().copied()).map_err(not_usage)?;
    super::names::check_directories(names).map_err(not_usage)
}

/// What is wrong with names on the image is not a mistake on the command line.
fn not_usage(contradiction: Contradiction) -> Error {
    Error::new(contradiction.0)
}

/// The usual format, with the attributes of what stays, and the directories that had no files before. `names`: the files of the new image; `changed`: those
/// with new content, which keep their permission bits and their owner, and have the date of the volume.
fn kept_format(
    image: &mut Image,
    records: &[Record],
    names: &BTreeSet<&[u8]>,
    changed: &BTreeSet<Vec<u8>>,
) -> Result<VolumeFormat> {
    let mut attributes = image.attributes()?;
    let (directories, others): (Vec<_>, Vec<_>) =
        records.iter().partition(|record| record.kind == Kind::Directory);
    for record in &others {
        if record.kind != Kind::File || !names.contains(&record.path[..]) {
            attributes.remove(&record.path);
        } else if changed.contains(&record.path)
            && let Some(attributes) = attributes.get_mut(&record.path)
        {
            attributes.modified = None;
        }
    }
    let filled: BTreeSet<_> =
        others.iter().flat_map(|record| super::names::directories_above(&record.path)).collect();
    let empty = directories.iter().map(|record| &record.path[..]).filter(|path| {
        // The writer makes its own directory for what is too deep for plain ISO 9660.
        *path != RELOCATED && !filled.contains(path)
    });
    let others = empty.map(|path| (path.to_vec(), OtherNode::Directory)).collect();
    attributes.remove(RELOCATED);
    Ok(VolumeFormat { others, attributes, ..VolumeFormat::default() })
}

/// The directory in which writers put directories that are too deep for plain ISO 9660.
const RELOCATED: &[u8] = b"rr_moved";
