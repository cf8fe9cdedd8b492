//! What becomes of the meta-data of an image that changes.
//!
//! A generated file is generated again, so that its instance ID follows the content. Any other file stays, except for the values
//! that are asked for.

use std::sync::Arc;

use super::ImageChange;
use crate::{
    datasource::{
        layout::Layout,
        meta_data::{InstanceData, MetaDataFile},
    },
    error::{Context, Result, ensure},
    image::{
        Image, Kind, Progress, Record, Volume,
        iso9660::{
            volume_format::VolumeFormat,
            writer::{DerivedFile, DerivedInput, VolumeSpec, content_digest},
        },
    },
    manifest,
    userdata::meta_data_edit::{member, with_member},
};

/// The largest meta-data file that is changed, in bytes.
const BYTES_MAX: u64 = 1 << 20;

/// What becomes of the meta-data.
#[derive(Debug, Default)]
pub(super) struct NewMetaData {
    pub(super) file: MetaDataChange,
    /// What may not be what the user expects, a sentence.
    pub(super) warning: Option<String>,
}

/// How the file changes.
#[derive(Debug, Default)]
pub(super) enum MetaDataChange {
    /// Not at all, or the user gives another.
    #[default]
    None,
    /// A file is made from the content.
    Derived {
        /// The path of the file that it replaces.
        old: Vec<u8>,
        name: &'static str,
        file: Arc<dyn DerivedFile>,
    },
    /// The file with this path has another text.
    Edited(Vec<u8>, String),
}

impl NewMetaData {
    /// Decides it for `change` of `image`, whose volume and records are given.
    pub(super) fn decide(
        change: &ImageChange,
        image: &Image,
        (volume, records): (&Volume, &[Record]),
        layout: Option<Layout>,
        progress: &mut dyn Progress,
    ) -> Result<Self> {
        let is_asked = change.hostname.is_some() || change.instance_id.is_some();
        let named = layout.and_then(|layout| Some((layout, layout.metadata_name()?)));
        let Some((layout, name)) = named else {
            let layout = layout.map_or("no known layout".to_owned(), |layout| format!("the layout {layout}"));
            ensure!(
                !is_asked,
                "--hostname and --instance-id need the layout nocloud or configdrive; the image has {layout}"
            );
            return Ok(Self::default());
        };
        let is_this = |other: &[u8]| volume.is_called(other, name.as_bytes());
        if change.files.iter().any(|(other, _)| is_this(other))
            || change.removed.iter().any(|other| is_this(other))
        {
            ensure!(
                !is_asked,
                "--hostname and --instance-id change the {name} on the image, which is itself replaced or removed"
            );
            return Ok(Self::default());
        }
        let Some(record) = volume.find(records, name) else {
            ensure!(!is_asked, "the image has no file {name}; add one with {name}=PATH");
            return Ok(Self::default());
        };
        if record.len > BYTES_MAX {
            ensure!(!is_asked, "file {name:?} has {} bytes, too many to change", record.len);
            return Ok(Self::default());
        }
        let text = String::from_utf8(image.read(record, BYTES_MAX)?).ok();
        let generated = text.as_deref().and_then(|text| InstanceData::of_generated(layout, text));
        if let (Some(text), Some(instance)) = (&text, generated)
            && is_of_content(text, &instance, record, layout, image, records, progress)?
        {
            let instance = InstanceData {
                id: change.instance_id.clone(),
                hostname: change.hostname.clone().or(instance.hostname),
                ..instance
            };
            let file = Arc::new(MetaDataFile { layout, instance });
            let file = MetaDataChange::Derived { old: record.path.clone(), name, file };
            return Ok(Self { file, warning: None });
        }
        if !is_asked {
            return Ok(Self { warning: text.and_then(|text| stays(&text, layout)), ..Self::default() });
        }
        let text = text.with_context(|| format!("changing file {name:?}: it is not UTF-8"))?;
        let edited = edit(&text, change, layout).with_context(|| format!("changing file {name:?}"))?;
        let warning = if change.instance_id.is_none() { stays(&edited, layout) } else { None };
        Ok(Self { file: MetaDataChange::Edited(record.path.clone(), edited), warning })
    }
}

/// Whether generated meta-data with this text, in the file `meta_data`, has the instance ID of the content of the image.
fn is_of_content(
    text: &str,
    instance: &InstanceData,
    meta_data: &Record,
    layout: Layout,
    image: &Image,
    records: &[Record],
    progress: &mut dyn Progress,
) -> Result<bool> {
    let Some(name) = layout.metadata_name() else { return Ok(false) };
    let other = |record: &&Record| {
        let is = |name: &str| record.path == name.as_bytes();
        record.kind == Kind::File && record.path != meta_data.path && !manifest::OWN_NAMES.into_iter().any(is)
    };
    let files = records.iter().filter(other).map(|record| Ok((record.path.clone(), image.source(record)?)));
    let file = MetaDataFile { layout, instance: instance.clone() };
    let spec = VolumeSpec {
        identifier: String::new(),
        seconds: 0,
        files: files.collect::<Result<_>>()?,
        derived: vec![(name, Arc::new(file))],
        format: VolumeFormat::default(),
    };
    let content = content_digest(spec, progress)?;
    let file = MetaDataFile { layout, instance: instance.clone() };
    Ok(file.render(&DerivedInput { content, files: &[] })? == text.as_bytes())
}

/// The key of the instance ID.
fn id_key(layout: Layout) -> &'static str {
    if layout == Layout::ConfigDrive { "uuid" } else { "instance-id" }
}

/// A sentence about an instance ID that does not follow the content.
fn stays(text: &str, layout: Layout) -> Option<String> {
    let id = member(text, id_key(layout))?;
    Some(format!(
        "the instance ID {id:?} stays, so cloud-init does not repeat what it does once per instance \
         (--instance-id gives another)"
    ))
}

/// The text with the values that are asked for.
fn edit(text: &str, change: &ImageChange, layout: Layout) -> Result<String> {
    let mut edited = text.to_owned();
    if let Some(id) = &change.instance_id {
        edited = with_member(&edited, id_key(layout), id)?;
    }
    let Some(hostname) = &change.hostname else { return Ok(edited) };
    if layout != Layout::ConfigDrive {
        return with_member(&edited, "local-hostname", hostname);
    }
    // OpenStack names the instance like the host at first. A name that differs means something else.
    let [old, name] = ["hostname", "name"].map(|key| member(text, key));
    if name.is_some() && name == old {
        edited = with_member(&edited, "name", hostname)?;
    }
    with_member(&edited, "hostname", hostname)
}
