//! A line of the input: the recipe of one image, with the options of `metadata create` under their names.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use crate::error::{Context, Result, bail, ensure, error};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};

use crate::{
    datasource::layout::Layout,
    image::source::Source,
    manifest::Statement,
    output::names::check_path,
    recipe::{self, Recipe},
};

/// Bytes in the path of an image at most: what Linux takes (`PATH_MAX` in `limits.h`), without the NUL at its end.
const IMAGE_BYTES_MAX: usize = 4095;

/// Directories that an image may be in, beneath that for all of them.
const IMAGE_DIRECTORIES_MAX: usize = 64;

/// The fields of a line. What `null` is given for is not given.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct JobFields {
    image: String,
    data: Option<String>,
    data_file: Option<PathBuf>,
    data_dir: Option<PathBuf>,
    follow: Option<bool>,
    layout: Option<Layout>,
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
    strict: Option<bool>,
}

/// What a line asks for.
#[derive(Debug)]
pub(super) struct ImageJob {
    /// The path of the image beneath the directory for all of them: names joined by `/`.
    pub(super) image: String,
    pub(super) recipe: Recipe,
    /// A directory to make the data of, and whether what its links point to is stored.
    pub(super) pack: Option<(PathBuf, bool)>,
    /// The permission bits of the image file.
    pub(super) mode: u32,
    /// Whether warnings are errors.
    pub(super) strict: bool,
}

/// The image that a line is about, whatever else is wrong with it. `None` as well where its path is out of bounds: whoever
/// looks at each directory in it would take the square of its length.
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

/// Whether the path of an image is one beneath a directory.
fn check_image(image: &str) -> Result<()> {
    ensure!(image.len() <= IMAGE_BYTES_MAX, "image: its path is longer than {IMAGE_BYTES_MAX} bytes");
    let directories = image.bytes().filter(|byte| *byte == b'/').count();
    ensure!(
        directories <= IMAGE_DIRECTORIES_MAX,
        "image {image:?}: it is in more than {IMAGE_DIRECTORIES_MAX} directories"
    );
    check_path(image.as_bytes()).with_context(|| format!("image {image:?}"))
}

impl ImageJob {
    /// `seconds`: the date of the image, as [`Recipe::seconds`].
    ///
    /// # Errors
    /// It is no JSON object with these fields, the image is no path beneath a directory, or the recipe contradicts
    /// itself.
    pub(super) fn parse(line: &[u8], seconds: Option<u64>) -> Result<Self> {
        let line = line.trim_ascii_end();
        // serde would take an array with a value for each field.
        ensure!(!line.starts_with("\u{feff}".as_bytes()), "it begins with a byte order mark");
        ensure!(line.trim_ascii_start().starts_with(b"{"), "it is no JSON object");
        let fields: JobFields = serde_json::from_slice(line).map_err(|error| json_fault(&error))?;
        check_image(&fields.image)?;
        let mode = match &fields.mode {
            Some(text) => recipe::parse_mode(text).with_context(|| format!("mode {text:?}"))?,
            None => recipe::MODE,
        };
        let follow = fields.follow.unwrap_or(false);
        ensure!(!follow || fields.data_dir.is_some(), "follow is for data_dir, and none is given");
        let mut pack = None;
        let data = match (fields.data, fields.data_file, fields.data_dir) {
            (Some(data), None, None) => Source::Bytes(data.into_bytes()),
            (None, Some(path), None) => file(path, "data file")?,
            (None, None, Some(directory)) => {
                pack = Some((directory, follow));
                Source::Bytes(Vec::new())
            }
            (None, None, None) => bail!("there is no data: one of data, data_file and data_dir"),
            _ => bail!("there is more than one of data, data_file and data_dir"),
        };
        let part = |path: Option<PathBuf>, role| path.map(|path| file(path, role)).transpose();
        let files = fields.files.into_iter().map(|(name, path)| Ok((name.into_bytes(), file(path, "file")?)));
        let recipe = Recipe {
            data,
            layout: fields.layout.unwrap_or_default(),
            volume_id: fields.volume_id,
            files: files.collect::<Result<_>>()?,
            meta_data: part(fields.meta_data, "meta-data file")?,
            network_config: part(fields.network_config, "network-config file")?,
            vendor_data: part(fields.vendor_data, "vendor-data file")?,
            hostname: fields.hostname,
            ssh_keys: fields.ssh_keys.unwrap_or_default(),
            instance_id: fields.instance_id,
            seconds,
            statement: statement(fields.run_metadata.unwrap_or_default(), fields.run_id)?,
            signature: None,
        };
        recipe.check()?;
        Ok(Self { image: fields.image, recipe, pack, mode, strict: fields.strict.unwrap_or(false) })
    }
}

/// What the manifest says that goes with these strings.
fn statement(user_provided_metadata: Vec<String>, run_id: Option<String>) -> Result<Option<Statement>> {
    let is_given = !user_provided_metadata.is_empty();
    ensure!(is_given || run_id.is_none(), "run_id is for run_metadata, and none is given");
    Ok(is_given.then(|| Statement { run_id, user_provided_metadata, ..Statement::default() }))
}

/// A file that a line names. Standard input is one for all lines, and what a line makes depends on the line alone.
fn file(path: PathBuf, role: &'static str) -> Result<Source> {
    ensure!(path != Path::new("-"), "{role} \"-\": a line cannot read standard input");
    Ok(Source::file(path, role))
}

/// What is wrong with a line as JSON, with the column only: whoever parses one line says that it is line 1.
fn json_fault(error: &serde_json::Error) -> crate::error::Error {
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(&*text, |(what, _)| what);
    error!("column {}: {what}", error.column())
}

/// `{"NAME": "PATH"}` or `["NAME=PATH"]`. A name that is given twice is kept twice, so that it is found.
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
