//! The volume of the files that were found.

use std::collections::HashMap;

use metadata_image::{
    image::{
        AttributesByPath,
        iso9660::{
            volume_format::{OtherNode, VolumeFormat},
            writer::VolumeSpec,
        },
        source::Source,
    },
    recipe::DEFAULT_SECONDS,
};

use super::{
    found::{Kind, Tree},
    settings::Settings,
};

/// The volume of `tree`. `epoch`: `SOURCE_DATE_EPOCH`; no date on the volume is later.
pub(super) fn volume_of(settings: &Settings, tree: Tree, epoch: Option<u64>) -> VolumeSpec {
    let mut format = VolumeFormat {
        rock_ridge: settings.rock_ridge,
        joliet: settings.joliet,
        primary_names: Some(settings.names),
        identifiers: settings.identifiers.clone(),
        size_unit: settings.size_unit,
        others: Vec::new(),
        attributes: AttributesByPath::new(),
    };
    let latest = epoch.and_then(|seconds| i64::try_from(seconds).ok()).unwrap_or(i64::MAX);
    let mut first_names = HashMap::new();
    let mut files = Vec::new();
    for (path, found) in tree {
        let mut attributes = found.attributes;
        attributes.modified = attributes.modified.map(|seconds| seconds.min(latest));
        format.attributes.insert(path.clone(), attributes);
        let other = match found.kind {
            Kind::Directory if path.is_empty() => continue,
            Kind::Directory => OtherNode::Directory,
            Kind::SymbolicLink(target) => OtherNode::SymbolicLink(target),
            Kind::CharacterDevice(major, minor) => OtherNode::CharacterDevice(major, minor),
            Kind::BlockDevice(major, minor) => OtherNode::BlockDevice(major, minor),
            Kind::Fifo => OtherNode::Fifo,
            Kind::Socket => OtherNode::Socket,
            Kind::Empty | Kind::File(_) => {
                // Another name of the same file: its content is on the image once.
                if let Some(first) = first_names.get(&found.identity) {
                    OtherNode::HardLink(Vec::clone(first))
                } else {
                    first_names.insert(found.identity, path.clone());
                    let source = match found.kind {
                        Kind::File(measured) => Source::Growing(measured),
                        _ => Source::Bytes(Vec::new()),
                    };
                    files.push((path, source));
                    continue;
                }
            }
        };
        format.others.push((path, other));
    }
    VolumeSpec {
        identifier: settings.volume_id.clone(),
        seconds: epoch.unwrap_or(DEFAULT_SECONDS),
        files,
        derived: Vec::new(),
        format,
    }
}
