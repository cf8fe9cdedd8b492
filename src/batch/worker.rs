//! Builds one image of a batch, as `metadata create` does with the same options.

use std::path::Path;

use crate::error::{Context, Result, bail, error};

use super::{BatchOptions, Built, Noticed, job::ImageJob};
use crate::{
    check::{CheckedText, Prepared, Tolerance},
    datasource::layout::Layout,
    image::{
        digests::digests,
        iso9660::writer::{LayoutCache, WrittenImage},
        probe::check_replaceable,
        source::Source,
    },
    output::group_commit::{GroupCommit, LastDirectory, Named, Replacing},
    userdata::{
        finding::{Finding, Lines},
        pack::{pack, to_json},
    },
};

/// The most warnings that are reported for an image.
const WARNINGS_MAX: usize = 8;

/// Builds an image below the directory of `many`, and gives it its name unless another file has it.
pub(super) fn write<T>(
    task: ImageJob,
    options: &BatchOptions,
    many: &GroupCommit<T>,
    place: &mut LastDirectory,
    layouts: &mut LayoutCache,
) -> Result<(Option<Replacing>, Built)> {
    let ImageJob { image, mut recipe, pack, mode, tolerance } = task;
    if let Some((directory, follow)) = pack {
        recipe.data = Source::Bytes(packed(&directory, follow)?).into();
    }
    let layout = recipe.layout;
    let password_warning = recipe.password_warning(mode);
    let volume_identifier = recipe.volume_identifier().to_owned();
    let sources: Vec<_> = recipe.paths().map(Path::to_path_buf).collect();
    let prepared = Prepared::with_cache(recipe, Some(layouts))?;
    let tolerance = tolerance.unwrap_or(options.tolerance);
    let (prepared, mut warnings) = checked(prepared, layout, tolerance)?;
    if let Some(warning) = password_warning {
        if tolerance.refuses(layout, false) {
            bail!("{warning}");
        }
        warnings.push(warning.into());
    }
    let building = || format!("building image {image:?}");
    let new = many.create(place, image.as_bytes(), mode).with_context(building)?;
    let written = prepared.draft.write_to_file(new.file(), &mut ()).with_context(building)?;
    let WrittenImage { bytes, ref mistakable, .. } = written;
    match mistakable {
        Some(warning) if tolerance.refuses(layout, false) => bail!("{warning}"),
        Some(warning) => warnings.push(warning.clone().into()),
        None => {}
    }
    let digests = if options.digests {
        let digests = digests(new.file(), &written, &mut ()).context("reading the image back")?;
        Some((written.files, digests))
    } else {
        None
    };
    let mut built = Built { bytes, layout, volume_identifier, replaced: false, warnings, digests };
    match new.name().with_context(building)? {
        Named::Done => Ok((None, built)),
        Named::Taken(taken) => {
            if let Some(path) = sources.iter().chain(&options.lines).find(|path| taken.is_same_file(path)) {
                return Err(error!("the image is the same file as {path:?}")).with_context(building);
            }
            if !options.force {
                check_old(&taken).with_context(building)?;
            }
            built.replaced = true;
            Ok((Some(taken), built))
        }
    }
}

/// Checks that an image may replace the file that has its name.
fn check_old(taken: &Replacing) -> Result<()> {
    check_replaceable(taken.open_old()).map_err(|error| error!("{error:#} (--force replaces it)"))
}

/// The user data made from a directory.
fn packed(directory: &Path, follow: bool) -> Result<Vec<u8>> {
    match pack(directory, follow)? {
        Ok(tree) => to_json(&tree).with_context(|| format!("packing {directory:?}")),
        Err(faults) => {
            let more = match faults.len() {
                0 | 1 => String::new(),
                count => format!(" (and {} more)", count - 1),
            };
            let first = faults.first().map(|fault| format!("{:?}: {}", fault.path, fault.why));
            bail!("packing {}{more}", first.unwrap_or_default())
        }
    }
}

/// Warnings about an image that is about to be built.
fn checked(mut prepared: Prepared, layout: Layout, tolerance: Tolerance) -> Result<(Prepared, Vec<Noticed>)> {
    let mut warnings: Vec<Noticed> = Vec::new();
    let mut add = |noticed: Noticed, loses_data| {
        if tolerance.refuses(layout, loses_data) {
            bail!("{}", noticed.text);
        }
        if warnings.len() < WARNINGS_MAX {
            warnings.push(noticed);
        }
        Ok(())
    };
    for warning in std::mem::take(&mut prepared.warnings) {
        add(warning.text.into(), warning.loses_data)?;
    }
    prepared.check(|checked| {
        let lines = Lines::of(&checked.text);
        let CheckedText { name, source, findings, .. } = &checked;
        let source = source.as_ref().map(|source| source.display().to_string());
        let file = source.as_deref().or(name.as_deref()).unwrap_or_default();
        // What is refused may be behind what is listed.
        let refused = |finding: &&Finding| tolerance.refuses(layout, finding.code.loses_data());
        for finding in findings.iter().find(refused).into_iter().chain(findings.iter().take(WARNINGS_MAX)) {
            let (text, severity) = (finding.in_one_line(file, &lines), finding.code.severity());
            add(Noticed { text, severity }, finding.code.loses_data())?;
        }
        Ok(())
    })?;
    Ok((prepared, warnings))
}
