//! Checks of an image that is about to be built.

use std::path::{Path, PathBuf};

use super::{
    subject::{Subject, network_subject},
    text::{CheckedText, check_whole},
};
use crate::{
    datasource::layout::Layout,
    error::Result,
    image::{draft::Draft, iso9660::writer::LayoutCache, source::Source},
    recipe::{Recipe, Warning, change::ChangedImage, user_data::UserData},
    userdata::{binary, cloud_config::header::hint_for_windows, config_tree::parse, schema::Rules},
};

/// The largest file that is checked while an image is built, in bytes.
const PREPARED_BYTES_MAX: u64 = 8 << 20;

/// The most findings about a text that are listed while an image is built; `metadata check` lists all.
pub const FINDINGS_LISTED_MAX: usize = 20;

/// What is tolerated when an image is built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tolerance {
    /// Everything.
    Lenient,
    /// Everything for LinuxKit, whose data may be any bytes. For cloud-init, all but what makes it ignore a file.
    #[default]
    Usual,
    /// Nothing that there is a warning or a finding about.
    Strict,
}

impl Tolerance {
    /// Whether an image of this layout is refused for something by which data is lost, or is not.
    #[must_use]
    pub fn refuses(self, layout: Layout, loses_data: bool) -> bool {
        match self {
            Self::Lenient => false,
            Self::Usual => loses_data && layout != Layout::LinuxKit,
            Self::Strict => true,
        }
    }
}

/// A recipe whose sources have been opened, with warnings.
#[derive(Debug)]
pub struct Prepared {
    /// The image that will be written.
    pub draft: Draft,
    /// What is allowed but probably a mistake.
    pub warnings: Vec<Warning>,
    /// The files that agents read.
    subjects: Vec<PreparedFile>,
}

/// A file of an image that is about to be built, and that an agent reads.
#[derive(Debug)]
struct PreparedFile {
    name: String,
    subject: Subject,
    /// The file on the host that it is made from, if it is made from one.
    source: Option<PathBuf>,
}

impl PreparedFile {
    fn of_recipe(recipe: &Recipe) -> Vec<Self> {
        let path = |source: &Source| source.path().map(Path::to_path_buf);
        let data = match &recipe.data {
            UserData::Whole(source) => path(source),
            _ => None,
        };
        let [metadata, network, vendor] = [&recipe.meta_data, &recipe.network_config, &recipe.vendor_data]
            .map(|source| source.as_ref().and_then(path));
        let is_given =
            |file: &Self| !matches!(file.subject, Subject::MetaData(_)) || recipe.meta_data.is_some();
        let mut files: Vec<_> = Self::of_layout(recipe.layout).filter(is_given).collect();
        for file in &mut files {
            file.source = match file.subject {
                Subject::UserData(_) => data.clone(),
                Subject::MetaData(_) => metadata.clone(),
                Subject::NetworkConfig | Subject::NetworkData => network.clone(),
                Subject::VendorData(_) => vendor.clone(),
            };
        }
        files
    }

    /// The files of a layout that are checked.
    fn of_layout(layout: Layout) -> impl Iterator<Item = Self> {
        let files = [
            (Some(layout.userdata_name()), Subject::UserData(Some(layout))),
            (layout.metadata_name(), Subject::MetaData(layout)),
            (layout.network_config_name(), network_subject(layout)),
            (layout.vendor_data_name(), Subject::VendorData(layout)),
        ];
        let file =
            |(name, subject): (Option<&str>, _)| Some(Self { name: name?.to_owned(), subject, source: None });
        files.into_iter().filter_map(file)
    }
}

impl Prepared {
    /// Opens every source of `recipe` and plans the image.
    ///
    /// # Errors
    /// Fails if the recipe contradicts itself ([`Contradiction`](crate::recipe::Contradiction)), or a source cannot be read.
    pub fn new(recipe: Recipe) -> Result<Self> {
        Self::with_cache(recipe, None)
    }

    /// As [`Prepared::new`] for one of many images, which may reuse the layouts of others ([`LayoutCache`]).
    ///
    /// # Errors
    /// Fails as [`Prepared::new`] does.
    pub fn with_cache(recipe: Recipe, cache: Option<&mut LayoutCache>) -> Result<Self> {
        let mut warnings = recipe.warnings();
        let layout = recipe.layout;
        let subjects = PreparedFile::of_recipe(&recipe);
        let is_absent = matches!(recipe.data, UserData::Absent);
        if is_absent && recipe.says_nothing() {
            warnings.push("the seed has no user data, host name or keys".to_owned().into());
        }
        let draft = recipe.draft_with_cache(cache)?;
        if !is_absent && draft.is_empty(layout.userdata_name()) {
            let text = match layout {
                Layout::LinuxKit => "the data is empty, and the guest's agent ignores an empty file",
                Layout::NoCloud | Layout::ConfigDrive => "the user data is empty",
            };
            warnings.push(text.to_owned().into());
        }
        warnings.extend(draft.warnings().iter().cloned().map(Warning::from));
        Ok(Self { draft, warnings, subjects })
    }

    /// An image with changes. Only the changed files are checked.
    #[must_use]
    pub fn of_change(changed: ChangedImage) -> Self {
        let ChangedImage { draft, warnings, layout, changed, tree, .. } = changed;
        let as_changed = |file: PreparedFile| {
            let name = changed.iter().find(|path| tree.is_called(path, file.name.as_bytes()))?;
            Some(PreparedFile { name: String::from_utf8_lossy(name).into_owned(), ..file })
        };
        let subjects = layout.into_iter().flat_map(PreparedFile::of_layout).filter_map(as_changed).collect();
        Self { draft, warnings: warnings.into_iter().map(Warning::from).collect(), subjects }
    }

    /// Checks the files that agents read, up to 8 MiB each, and calls `each` with the findings about each of them.
    ///
    /// # Errors
    /// Fails if a source cannot be read, or if `each` fails.
    pub fn check(&mut self, mut each: impl FnMut(CheckedText) -> Result<()>) -> Result<()> {
        for PreparedFile { name, subject, source } in &self.subjects {
            let mut beginning = None;
            let wanted = |start: &[u8]| {
                let wanted = must_be_read(start);
                beginning = (!wanted).then(|| start.to_vec());
                wanted
            };
            let content = self.draft.content(name, PREPARED_BYTES_MAX, wanted)?;
            if let Some(content) = content.or(beginning) {
                for text in check_whole(&content, *subject, None, &Rules::default()) {
                    let is_part = text.name.is_some();
                    let source = source.clone().filter(|_| !is_part);
                    let mut text = CheckedText { source, ..text.below(name) };
                    if let Some(source) = &text.source {
                        hint_for_windows(&source.to_string_lossy(), &mut text.findings);
                    }
                    each(text)?;
                }
            }
        }
        Ok(())
    }
}

/// Whether data that begins like this must be read to its end: it is text, perhaps compressed, or a config tree in a wrong
/// encoding. For other data the beginning is enough.
fn must_be_read(beginning: &[u8]) -> bool {
    !binary::is_binary(beginning) || parse::looks_like_tree(beginning) || binary::is_gzip(beginning)
}
