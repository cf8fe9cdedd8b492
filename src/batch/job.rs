//! A line of the input: the recipe of an image, as an object with the options of `metadata create`.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::error::{Context, Result, bail, ensure, error};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

use super::fields;
use crate::{
    check::Tolerance,
    datasource::layout::Layout,
    image::{probe::FileSystem, source::Source},
    manifest::Statement,
    output::names::check_path,
    recipe::{
        self, Recipe,
        user_data::{UserData, UserDataPart, read_admin_pass, split_part},
    },
};

/// The longest path of an image, in bytes: `PATH_MAX` of Linux (`limits.h`), without the NUL at its end.
const IMAGE_BYTES_MAX: usize = 4095;

/// The most directories in the path of an image.
const IMAGE_DIRECTORIES_MAX: usize = 64;

/// The fields of a line. `null` means that a field is not given.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JobFields {
    image: String,
    data: Option<String>,
    data_file: Option<PathBuf>,
    user_data: Option<OneOrMore>,
    from: Option<PathBuf>,
    data_dir: Option<PathBuf>,
    follow: Option<bool>,
    layout: Option<Layout>,
    filesystem: Option<FileSystem>,
    #[serde(default, deserialize_with = "files")]
    files: Vec<(String, PathBuf)>,
    meta_data: Option<PathBuf>,
    network_config: Option<PathBuf>,
    vendor_data: Option<PathBuf>,
    hostname: Option<String>,
    ssh_keys: Option<Vec<PathBuf>>,
    instance_id: Option<String>,
    volume_id: Option<String>,
    run_metadata: Option<Vec<String>>,
    run_id: Option<String>,
    mode: Option<String>,
    admin_pass_file: Option<PathBuf>,
    strict: Option<bool>,
    lenient: Option<bool>,
}

/// A value, or an array of them.
#[derive(Debug, Deserialize)]
#[serde(untagged, expecting = "expected a string or an array of strings")]
enum OneOrMore {
    One(String),
    More(Vec<String>),
}

/// The image that a line describes.
#[derive(Debug)]
pub(super) struct ImageJob {
    /// The path of the image below the directory of all images: names joined by `/`.
    pub(super) image: String,
    pub(super) recipe: Recipe,
    /// A directory to make the data from, and whether to follow symbolic links.
    pub(super) pack: Option<(PathBuf, bool)>,
    /// The permission bits of the image file.
    pub(super) mode: u32,
    /// What is tolerated. `None`: what the batch does.
    pub(super) tolerance: Option<Tolerance>,
}

/// The image that a line names, whatever else is wrong with it. `None` also if the path is too long: checking each of its
/// directories takes time that grows with the square of the length.
pub(super) fn image_of(line: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct OnlyImage {
        image: String,
    }
    serde_json::from_slice::<OnlyImage>(line)
        .ok()
        .map(|found| found.image)
        .filter(|image| check_image(image).is_ok())
}

/// Checks that the path of an image stays below the directory.
fn check_image(image: &str) -> Result<()> {
    ensure!(image.len() <= IMAGE_BYTES_MAX, "image: the path is longer than {IMAGE_BYTES_MAX} bytes");
    let directories = image.bytes().filter(|byte| *byte == b'/').count();
    ensure!(
        directories <= IMAGE_DIRECTORIES_MAX,
        "image {image:?}: the path has more than {IMAGE_DIRECTORIES_MAX} directories"
    );
    check_path(image.as_bytes()).map_err(|why| error!("image {image:?} {why}"))
}

impl ImageJob {
    /// `seconds`: the date of the image, as [`Recipe::seconds`].
    ///
    /// # Errors
    /// Fails if the line is not a JSON object with these fields, the path of the image leaves the directory, or the recipe
    /// contradicts itself.
    pub(super) fn parse(line: &[u8], seconds: Option<u64>) -> Result<Self> {
        let line = line.trim_ascii_end();
        ensure!(!line.starts_with("\u{feff}".as_bytes()), "the line starts with a byte order mark");
        // serde would accept an array with a value for each field.
        ensure!(line.trim_ascii_start().starts_with(b"{"), "not a JSON object");
        let fields: JobFields = serde_json::from_slice(line).map_err(|error| fields::fault(line, &error))?;
        check_image(&fields.image)?;
        let mode = match &fields.mode {
            Some(text) => recipe::parse_mode(text).with_context(|| format!("mode {text:?}"))?,
            None => recipe::MODE,
        };
        let follow = fields.follow.unwrap_or(false);
        ensure!(!follow || fields.data_dir.is_some(), "follow needs data_dir");
        let mut pack = None;
        let mut recipe = Recipe::default();
        match (fields.data, fields.data_file, fields.user_data, fields.data_dir, fields.from) {
            (Some(data), None, None, None, None) => recipe.data = Source::Bytes(data.into_bytes()).into(),
            (None, Some(path), None, None, None) => recipe.data = file(path, "data file")?.into(),
            (None, None, Some(parts), None, None) => recipe.data = parts.user_data()?,
            (None, None, None, Some(directory), None) => {
                pack = Some((directory, follow));
                recipe.data = Source::Bytes(Vec::new()).into();
            }
            (None, None, None, None, Some(file)) if file.is_file() => {
                bail!("from takes a directory, and {file:?} is a file; write \"user_data\": {file:?}");
            }
            (None, None, None, None, Some(directory)) => recipe = Recipe::of_seed(&directory, fields.layout)?,
            (None, None, None, None, None) if fields.layout.unwrap_or_default() == Layout::LinuxKit => {
                bail!("data is missing: give one of data, user_data, data_dir and from");
            }
            (None, None, None, None, None) => {}
            _ => bail!("give only one of data, data_file, user_data, data_dir and from"),
        }
        let part = |path: Option<PathBuf>, role| path.map(|path| file(path, role)).transpose();
        let files = fields.files.into_iter().map(|(name, path)| Ok((name.into_bytes(), file(path, "file")?)));
        let recipe = Recipe {
            layout: fields.layout.unwrap_or(recipe.layout),
            file_system: fields.filesystem.unwrap_or_default(),
            volume_id: fields.volume_id,
            files: recipe.files.into_iter().map(Ok).chain(files).collect::<Result<_>>()?,
            meta_data: part(fields.meta_data, "meta-data file")?.or(recipe.meta_data),
            network_config: part(fields.network_config, "network-config file")?.or(recipe.network_config),
            vendor_data: part(fields.vendor_data, "vendor-data file")?.or(recipe.vendor_data),
            hostname: fields.hostname,
            ssh_keys: fields.ssh_keys.unwrap_or_default(),
            instance_id: fields.instance_id,
            admin_pass: fields.admin_pass_file.map(|path| read_admin_pass(&path)).transpose()?,
            seconds,
            statement: statement(fields.run_metadata.unwrap_or_default(), fields.run_id)?,
            ..recipe
        };
        recipe.check()?;
        let tolerance = match (fields.strict, fields.lenient) {
            (Some(true), Some(true)) => bail!("give only one of strict and lenient"),
            (Some(true), _) => Some(Tolerance::Strict),
            (_, Some(true)) => Some(Tolerance::Lenient),
            _ => None,
        };
        Ok(Self { image: fields.image, recipe, pack, mode, tolerance })
    }
}

impl OneOrMore {
    /// User data of these paths, each with or without a type.
    fn user_data(self) -> Result<UserData> {
        let paths = match self {
            Self::One(path) => vec![path],
            Self::More(paths) => paths,
        };
        let part = |path: String| {
            let (path, kind) = split_part(path.as_ref())?;
            Ok(UserDataPart { source: file(path, "user-data file")?, kind })
        };
        Ok(UserData::of_parts(paths.into_iter().map(part).collect::<Result<_>>()?))
    }
}

/// The statement in the manifest that has these strings.
fn statement(user_provided_metadata: Vec<String>, run_id: Option<String>) -> Result<Option<Statement>> {
    let is_given = !user_provided_metadata.is_empty();
    ensure!(is_given || run_id.is_none(), "run_id needs run_metadata");
    Ok(is_given.then(|| Statement { run_id, user_provided_metadata, ..Statement::default() }))
}

/// A file that a line names. Standard input is rejected, because an image must depend on its line alone.
fn file(path: PathBuf, role: &'static str) -> Result<Source> {
    ensure!(path != Path::new("-"), "{role} \"-\": a line cannot read standard input");
    Ok(Source::file(path, role))
}

/// `{"NAME": "PATH"}` or `["NAME=PATH"]`. A name that is given twice is kept twice, so that the check of the recipe finds
/// it.
fn files<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<(String, PathBuf)>, D::Error> {
    struct FilesVisitor;

    impl<'de> Visitor<'de> for FilesVisitor {
        type Value = Vec<(String, PathBuf)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object of names and paths, or an array of \"NAME=PATH\"")
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Vec::new())
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            std::iter::from_fn(|| map.next_entry().transpose()).collect()
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
            let mut files = Vec::new();
            while let Some(text) = sequence.next_element::<String>()? {
                match text.split_once('=') {
                    Some((name, path)) if !path.is_empty() => files.push((name.to_owned(), path.into())),
                    _ => return Err(serde::de::Error::custom(format!("file {text:?} is not NAME=PATH"))),
                }
            }
            Ok(files)
        }
    }

    from.deserialize_any(FilesVisitor)
}
