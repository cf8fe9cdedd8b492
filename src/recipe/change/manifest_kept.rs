//! What stays of the manifest of an image whose files change: a run ID that was given. All else is about the old files.

use std::sync::Arc;

use crate::{
    datasource::layout::Layout,
    error::{Context, ErrorKind, Result},
    image::{Image, Kind, Progress, Record, iso9660::writer::DerivedFile},
    manifest::{
        self, Manifest, ManifestFile, Statement, VolumeInfo, inventory::Contents, timestamp::Timestamp,
    },
};

/// The manifest of an image that is going to change.
#[derive(Debug, Default)]
pub(super) struct KeptManifest {
    /// `None`: there is no manifest, or the file of that name is not one.
    old: Option<Manifest>,
    is_signed: bool,
    /// Whether not even its run ID stays.
    is_removed: bool,
}

impl KeptManifest {
    /// Reads the manifest of `image`, whose records are `records`, and checks that it matches. `removed`: what is to be removed.
    pub(super) fn read(
        image: &mut Image,
        records: &[Record],
        removed: &[Vec<u8>],
        progress: &mut dyn Progress,
    ) -> Result<Self> {
        let find = |name: &str| {
            records.iter().find(|record| record.kind == Kind::File && record.path == name.as_bytes())
        };
        let is_removed = removed.iter().any(|name| name == manifest::NAME.as_bytes());
        let is_signed = find(manifest::SIGNATURE_NAME).is_some();
        let Some(record) = find(manifest::NAME) else { return Ok(Self::default()) };
        let old = match image.read(record, manifest::BYTES_MAX).and_then(|bytes| Manifest::parse(&bytes)) {
            Ok(old) => old,
            Err(error) if !is_removed && (is_signed || error.kind() == ErrorKind::NewerVersion) => {
                return Err(error).context("the manifest is not valid (--remove manifest.json drops it)");
            }
            // Somebody else's file of this name.
            Err(_) => return Ok(Self::default()),
        };
        if !is_removed {
            let contents = Contents::read(image, |_, _| Vec::new(), 0, progress);
            contents
                .and_then(|contents| old.check(&contents))
                .context("the manifest is wrong already (--remove manifest.json drops it)")?;
        }
        Ok(Self { old: Some(old), is_signed, is_removed })
    }

    /// The layout that it names.
    pub(super) fn layout(&self) -> Option<Layout> {
        self.old.as_ref().map(|old| old.layout)
    }

    /// Whether the file of this name does not stay as it is.
    pub(super) fn drops(&self, name: &[u8]) -> bool {
        self.old.is_some() && manifest::OWN_NAMES.iter().any(|own| own.as_bytes() == name)
    }

    /// The run ID, if it was given and stays.
    fn run_id(&self) -> Option<String> {
        let old = self.old.as_ref().filter(|_| !self.is_removed)?;
        let volume = VolumeInfo {
            identifier: old.volume_identifier.clone(),
            layout: old.layout,
            created_at: old.created_at,
        };
        let derived = Manifest::new(&volume, old.files.clone(), Statement::default()).run_id;
        (old.run_id != derived).then(|| old.run_id.clone())
    }

    /// The manifest of the new image, if it has one.
    pub(super) fn file(
        &self,
        identifier: &str,
        seconds: u64,
    ) -> Result<Option<(&'static str, Arc<dyn DerivedFile>)>> {
        let (Some(layout), Some(run_id)) = (self.layout(), self.run_id()) else { return Ok(None) };
        let created_at = Timestamp::from_seconds(seconds)?;
        let volume = VolumeInfo { identifier: identifier.to_owned(), layout, created_at };
        let statement = Statement { run_id: Some(run_id), ..Statement::default() };
        Ok(Some((manifest::NAME, Arc::new(ManifestFile { volume, statement }))))
    }

    /// A sentence about what does not stay, if there is anything.
    pub(super) fn loss(&self) -> Option<String> {
        let old = self.old.as_ref()?;
        let strings = match old.user_provided_metadata.len() {
            0 => None,
            1 => Some("1 string".to_owned()),
            count => Some(format!("{count} strings")),
        };
        let run_id = self.run_id();
        let has_limits = old.not_before.is_some() || old.not_after.is_some();
        let parts = [
            strings,
            has_limits.then(|| "the time limits".to_owned()),
            old.audience.as_ref().map(|_| "the audience".to_owned()),
            run_id.is_none().then(|| "the run ID".to_owned()),
            self.is_signed.then(|| "the signature".to_owned()),
        ];
        let parts: Vec<_> = parts.into_iter().flatten().collect();
        let (last, first) = parts.split_last()?;
        let parts = if first.is_empty() { last.clone() } else { format!("{} and {last}", first.join(", ")) };
        Some(match run_id {
            None => format!("the manifest was about the old content and was removed, with {parts}"),
            Some(run_id) => format!(
                "the manifest keeps only the run ID {run_id:?}; what was about the old content was removed: {parts}"
            ),
        })
    }
}
