//! What `confirm` and `sign` share: an image that is built again from itself, with another manifest.

use std::{fs::File, path::Path};

use anyhow::{Context, Result, anyhow, bail};
use metadata_image::{
    image::Image,
    manifest::{
        Manifest, Statement, Volume,
        inventory::{Contents, check_readers},
    },
    output::{
        atomic_file::Target,
        file_lock::{is_same, lock},
        temporary::clean_up_on_signals,
    },
    recipe::Recipe,
    trust::signature::Signature,
};

use super::{progress::Bar, say, to_library_error};

/// An image and what is on it.
pub(super) struct Rebuild<'a> {
    path: &'a Path,
    target: Target,
    /// The file that the image is in, locked.
    locked: File,
    image: Image,
    volume: Volume,
    contents: Contents,
    /// Its manifest, which describes it.
    pub(super) manifest: Option<Manifest>,
}

impl<'a> Rebuild<'a> {
    /// Reads all of the image at `path`, for the work that errors call `doing`.
    pub(super) fn open(path: &'a Path, doing: &str, progress: &mut Bar) -> Result<Self> {
        let context = || format!("{doing} image {path:?}");
        clean_up_on_signals().context("preparing for signals")?;
        let (target, file) = open_locked(path, context)?;
        let locked = file.try_clone().with_context(context)?;
        let mut image = Image::in_file(file, path)?;
        let contents = Contents::read(&mut image, |_, _| Vec::new(), 0, progress).with_context(context)?;
        let manifest = contents.manifest().with_context(context)?;
        let layout = manifest.as_ref().map(|manifest| manifest.layout);
        let volume = contents.describe_volume(layout).with_context(context)?;
        Ok(Self { path, target, locked, image, volume, contents, manifest })
    }

    /// The manifest with this statement.
    pub(super) fn describe(&self, statement: Statement) -> Manifest {
        Manifest::new(&self.volume, self.contents.files.clone(), statement)
    }

    /// Replaces the image by one with `manifest` and `signature`. Its permission bits stay.
    ///
    /// `quiet`: the line about what was done is not wanted.
    pub(super) fn write(
        self,
        manifest: &Manifest,
        signature: Option<Signature>,
        quiet: bool,
        progress: &mut Bar,
    ) -> Result<()> {
        let building = || format!("building image {:?}", self.path);
        let signed = signature.is_some();
        let lost = signature.is_none() && self.contents.signature.is_some();
        let key = signature.as_ref().map(Signature::describe_key);
        let recipe = Recipe {
            statement: Some(manifest.statement()),
            signature: signature.map(Signature::into_text),
            ..Recipe::of_image(&self.image, &self.contents, &self.volume).with_context(building)?
        };
        // What is wrong with the names on an image is no fault of the command line.
        recipe.check().map_err(|error| anyhow!("{error}")).with_context(building)?;
        let mode = self.target.mode().context("it is gone").with_context(building)?;
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
                .context("nobody could verify it")
                .with_context(building)?;
        }
        warnings.extend(written.mistakable);
        // Nobody who asks for the lock replaces it meanwhile, and others may.
        let check_old = |old: Option<File>| match old {
            Some(old) if !is_same(&old, &self.locked)? => {
                bail!("another file has replaced the image meanwhile")
            }
            _ => Ok(()),
        };
        file.commit(false, |old| check_old(old).map_err(to_library_error)).with_context(building)?;
        if lost {
            say(&format!("warning: {}: its signature no longer fits and was removed", self.path.display()));
        }
        if !quiet {
            for warning in warnings {
                say(&format!("warning: {}: {warning}", self.path.display()));
            }
            let signed = key.map_or(String::new(), |key| format!(", signed by {key}{}", limits(manifest)));
            let (path, bytes) = (self.path.display(), written.bytes);
            say(&format!(
                "{path}: {bytes} bytes, layout {}, run {}{signed}",
                manifest.layout, manifest.run_id
            ));
        }
        Ok(())
    }
}

/// When and by whom an image with `manifest` may be accepted, where that is limited.
fn limits(manifest: &Manifest) -> String {
    let Statement { not_before, not_after, audience, .. } = manifest.statement();
    let since = not_before.map(|time| format!(" from {time}"));
    let until = not_after.map(|time| format!(" until {time}"));
    let audience = audience.map(|name| format!(" for {name:?}"));
    [since, until, audience].into_iter().flatten().collect()
}

/// The image at `path`, open and for this process alone as long as it is: of two that change an image at once, the second one
/// waits, so that it does not undo what the first one did.
fn open_locked(path: &Path, context: impl Fn() -> String) -> Result<(Target, File)> {
    for _ in 0..REPLACED_MAX {
        let target = Target::resolve(path).with_context(&context)?;
        if let Some(file) = lock(&target).with_context(|| format!("reading image {path:?}"))? {
            return Ok((target, file));
        }
    }
    Err(anyhow!("others replace it again and again")).with_context(context)
}

/// How often an image may be replaced by others while it is waited for.
const REPLACED_MAX: usize = 1000;
