//! Rebuilds an image from itself with another manifest, for `confirm` and `sign`. Its lock is also that of `set`.

use std::{fs::File, io, path::Path};

use anyhow::{Context, Result, anyhow, bail};
use metadata_image::{
    check::Notice,
    image::{Image, probe::FileSystem},
    manifest::{
        Manifest, Statement, VolumeInfo,
        inventory::{Contents, check_readers},
    },
    output::atomic_file::{Replacement, Target, is_same_file},
    recipe::Recipe,
    trust::signature::Signature,
};

use serde::{Serialize, Serializer};

use super::{
    progress::Bar, render::JsonNotice, say, signals::clean_up_on_signals, to_library_error,
    words::check_is_no_dash,
};

/// An image and what is on it.
pub(super) struct Rebuild<'a> {
    path: &'a Path,
    target: Target,
    /// The file that the image is in, locked.
    locked: File,
    image: Image,
    volume: VolumeInfo,
    contents: Contents,
    /// Its manifest, which has been checked against the image.
    pub(super) manifest: Option<Manifest>,
}

impl<'a> Rebuild<'a> {
    /// Reads all of the image at `path`. Errors call the work `doing`.
    pub(super) fn open(path: &'a Path, doing: &str, progress: &mut Bar) -> Result<Self> {
        let context = || format!("{doing} image {path:?}");
        clean_up_on_signals()?;
        let (target, file) = open_locked(path, context)?;
        let locked = file.try_clone().with_context(context)?;
        let mut image = Image::in_file(file, path)?;
        if image.file_system() == FileSystem::Fat {
            let why = "only ISO 9660 images can be confirmed or signed, and this is a FAT image; create --run-metadata \
                       stores a string when it builds a FAT image";
            return Err(anyhow!(why)).with_context(context);
        }
        let contents = Contents::read(&mut image, |_, _| Vec::new(), 0, progress).with_context(context)?;
        let manifest = contents.manifest().with_context(context)?;
        let layout = manifest.as_ref().map(|manifest| manifest.layout);
        let volume = contents.describe_volume(layout).with_context(context)?;
        Ok(Self { path, target, locked, image, volume, contents, manifest })
    }

    /// The manifest of the image with this statement.
    pub(super) fn describe(&self, statement: Statement) -> Manifest {
        Manifest::new(&self.volume, self.contents.files.clone(), statement)
    }

    /// Replaces the image with one that has `manifest` and `signature`. Its permission bits stay.
    ///
    /// `quiet`: prints no message on success, and no warnings about names.
    pub(super) fn write(
        self,
        manifest: &Manifest,
        signature: Option<Signature>,
        quiet: bool,
        progress: &mut Bar,
    ) -> Result<Rebuilt> {
        let building = || format!("building image {:?}", self.path);
        let signed = signature.is_some();
        let lost = signature.is_none() && self.contents.signature.is_some();
        let key = signature.as_ref().map(Signature::describe_key);
        let recipe = Recipe {
            statement: Some(manifest.statement()),
            signature: signature.map(Signature::into_text),
            ..Recipe::of_image(&self.image, &self.contents, &self.volume).with_context(building)?
        };
        // Names on the image that are wrong are not a usage error.
        recipe.check().map_err(|error| anyhow!("{error}")).with_context(building)?;
        let mode = self.target.mode().context("the image no longer exists").with_context(building)?;
        let file = self.target.create(mode).with_context(building)?;
        let clashes = recipe.clashes();
        let draft = recipe.draft()?;
        let mut warnings = draft.warnings().to_vec();
        warnings.extend(clashes.refused.into_iter().chain(clashes.doubtful));
        let written = draft.write_to_file(file.file(), progress).with_context(building)?;
        if signed {
            let mut image = Image::in_file(file.file().try_clone().with_context(building)?, self.path)?;
            let (volume, records) = image.list()?;
            check_readers(&mut image, &volume, &records)
                .and_then(|()| image.check_superblocks(&records))
                .context("checking that the new image can be verified")
                .with_context(building)?;
        }
        warnings.extend(written.mistakable);
        warnings.extend(keep_owner(&file).with_context(building)?);
        file.commit(false, |old| check_still(old, &self.locked).map_err(to_library_error))
            .with_context(building)?;
        if lost {
            say(&format!(
                "warning: {}: the signature no longer matches and was removed",
                self.path.display()
            ));
        }
        if !quiet {
            for warning in &warnings {
                say(&format!("warning: {}: {warning}", self.path.display()));
            }
            let signed =
                key.as_ref().map_or(String::new(), |key| format!(", signed by {key}{}", limits(manifest)));
            let (path, bytes) = (self.path.display(), written.bytes);
            say(&format!(
                "{path}: {bytes} bytes, layout {}, run {}{signed}",
                manifest.layout, manifest.run_id
            ));
        }
        Ok(Rebuilt {
            path: self.path.display().to_string(),
            size: written.bytes,
            layout: manifest.layout.to_string(),
            run_id: manifest.run_id.clone(),
            user_provided_metadata: manifest.user_provided_metadata.clone(),
            key,
            warnings,
        })
    }
}

/// An image that was written again, as `--json` prints it.
#[derive(Debug, Serialize)]
pub(super) struct Rebuilt {
    path: String,
    size: u64,
    layout: String,
    run_id: String,
    user_provided_metadata: Vec<String>,
    /// The key that signed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<String>,
    #[serde(serialize_with = "as_notices")]
    pub(super) warnings: Vec<String>,
}

/// The warnings as every command prints them.
fn as_notices<S: Serializer>(warnings: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    let notices: Vec<_> = warnings.iter().cloned().map(Notice::from).collect();
    serializer.collect_seq(notices.iter().map(JsonNotice::of))
}

/// The limits on when and by whom an image with `manifest` may be accepted.
fn limits(manifest: &Manifest) -> String {
    let Statement { not_before, not_after, audience, .. } = manifest.statement();
    let since = not_before.map(|time| format!(" from {time}"));
    let until = not_after.map(|time| format!(" until {time}"));
    let audience = audience.map(|name| format!(" for {name:?}"));
    [since, until, audience].into_iter().flatten().collect()
}

/// Opens and locks the image at `path`. If two processes change an image at the same time, the second one waits, so that it
/// does not undo the change of the first.
pub(super) fn open_locked(path: &Path, context: impl Fn() -> String) -> Result<(Target, File)> {
    check_is_no_dash(path)?;
    for _ in 0..REPLACED_MAX {
        let target = Target::resolve(path).with_context(&context)?;
        if let Some(file) = target.open_locked().with_context(|| format!("reading image {path:?}"))? {
            return Ok((target, file));
        }
    }
    Err(anyhow!("other processes keep replacing the image")).with_context(context)
}

/// Gives a new image the owner of the one that it replaces. A sentence if that is not allowed.
pub(super) fn keep_owner(new: &Replacement) -> io::Result<Option<String>> {
    let lost = new.keep_owner()?;
    Ok(lost.map(|(user, group)| {
        format!("the image belonged to user {user} and group {group}, and now belongs to you")
    }))
}

/// Checks that `old`, which has the path of the image now, is the image that was read. `locked`: that image. The lock keeps out
/// other runs of this program, but not other programs.
pub(super) fn check_still(old: Option<File>, locked: &File) -> Result<()> {
    match old {
        Some(old) if !is_same_file(&old, locked)? => bail!("another file has replaced the image meanwhile"),
        _ => Ok(()),
    }
}

/// How often the image may be replaced while this process waits for the lock.
const REPLACED_MAX: usize = 1000;
