//! Builds one image of a batch, as `metadata create` does with the same options.

use std::{fs, path::Path};

use crate::error::{Context, Result, bail, error};

use super::{BatchOptions, Built, Found, job::ImageJob};
use crate::{
    check::{CheckedText, FINDINGS_LISTED_MAX, Notice, Prepared, Tolerance},
    datasource::layout::Layout,
    image::{
        digests::digests,
        iso9660::writer::{LayoutCache, WrittenImage},
        probe::check_replaceable,
        source::Source,
    },
    output::group_commit::{GroupCommit, LastDirectory, Named, Replacing},
    recipe::{Recipe, seed::seed_layout, user_data::UserData},
    userdata::{
        finding::{Finding, Lines, Severity},
        pack::{pack, to_json},
    },
};

/// The longest string that may be the name of a file, in bytes: `PATH_MAX` of Linux (`limits.h`).
const PATH_BYTES_MAX: usize = 4096;

/// Builds an image below the directory of `many`, and gives it its name unless another file has it.
pub(super) fn write<T>(
    task: ImageJob,
    options: &BatchOptions,
    many: &GroupCommit<T>,
    place: &mut LastDirectory,
    layouts: &mut LayoutCache,
) -> Result<(Option<Replacing>, Built)> {
    let ImageJob { image, mut recipe, pack, mode, tolerance } = task;
    let (layout, tolerance) = (recipe.layout, tolerance.unwrap_or(options.tolerance));
    let mistake = named_file(&recipe, pack.is_some());
    if let Some(mistake) = &mistake
        && (tolerance == Tolerance::Strict || layout != Layout::LinuxKit && tolerance != Tolerance::Lenient)
    {
        bail!("{mistake}");
    }
    if let Some((directory, follow)) = pack {
        recipe.data = Source::Bytes(packed(&directory, follow)?).into();
    }
    let password_warning = recipe.password_warning(mode);
    let volume_identifier = recipe.volume_identifier().to_owned();
    let sources: Vec<_> = recipe.paths().map(Path::to_path_buf).collect();
    let prepared = Prepared::with_cache(recipe, Some(layouts))?;
    let (prepared, mut warnings, found) = checked(prepared, layout, tolerance)?;
    warnings.splice(0..0, mistake.map(Notice::from));
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
    let mut built = Built { bytes, layout, volume_identifier, replaced: false, warnings, found, digests };
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

/// What is probably a mistake in data that is a string: it names a file. `is_packed`: the data is made from a directory.
fn named_file(recipe: &Recipe, is_packed: bool) -> Option<String> {
    let UserData::Whole(Source::Bytes(data)) = &recipe.data else { return None };
    if is_packed || data.is_empty() || data.len() > PATH_BYTES_MAX || data.contains(&b'\n') || is_prose(data)
    {
        return None;
    }
    let data = str::from_utf8(data).ok()?;
    let path = Path::new(data.strip_prefix('@').unwrap_or(data));
    let [what, content, field] = match fs::metadata(path).ok()? {
        found if !found.is_dir() => ["the content of that file", "the content", "user_data"],
        _ if seed_layout(path).is_ok_and(|layout| layout.is_some()) => {
            ["that directory", "the seed in it", "from"]
        }
        _ => ["that directory", "its files as JSON for LinuxKit", "data_dir"],
    };
    Some(format!(
        "the data is the text {data:?}, not {what}; to store {content}: {field:?}: {path:?} (\"lenient\": true stores the text)"
    ))
}

/// Whether a string is words, and has nothing that is usual in names of files: then no file is looked for, which takes a seventh of
/// the time of a small image.
fn is_prose(data: &[u8]) -> bool {
    data.contains(&b' ') && !data.iter().any(|byte| b"./-_@".contains(byte))
}

/// Warnings and findings about an image that is about to be built.
fn checked(
    mut prepared: Prepared,
    layout: Layout,
    tolerance: Tolerance,
) -> Result<(Prepared, Vec<Notice>, Found)> {
    let mut noticed: Vec<Notice> = Vec::new();
    let mut found = Found::default();
    for warning in std::mem::take(&mut prepared.warnings) {
        if tolerance.refuses(layout, warning.loses_data) {
            bail!("{}", warning.text);
        }
        noticed.push(warning.into());
    }
    prepared.check(|checked| {
        let lines = Lines::of(&checked.text);
        let CheckedText { name, source, findings, .. } = &checked;
        let source = source.as_ref().map(|source| source.display().to_string());
        let file = source.as_deref().or(name.as_deref()).unwrap_or_default();
        // What is refused may be behind what is listed.
        let refused = |finding: &&Finding| tolerance.refuses(layout, finding.code.loses_data());
        if let Some(finding) = findings.iter().find(refused) {
            bail!("{}{}", Notice::of(finding, file, &checked, &lines), hint_of(finding));
        }
        let errors = findings.iter().filter(|finding| finding.code.severity() == Severity::Error).count();
        found.errors += errors;
        found.warnings += findings.len() - errors;
        found.unlisted += findings.len().saturating_sub(FINDINGS_LISTED_MAX);
        let listed = findings.iter().take(FINDINGS_LISTED_MAX);
        noticed.extend(listed.map(|finding| Notice::of(finding, file, &checked, &lines)));
        Ok(())
    })?;
    Ok((prepared, noticed, found))
}

/// The hint of a finding by which data is lost, as the end of an error.
fn hint_of(finding: &Finding) -> String {
    finding.hint.as_deref().map_or(String::new(), |hint| format!("; {hint}"))
}
