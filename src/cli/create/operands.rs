//! The operands of `metadata create`, and what is probably wrong with them.
//!
//! DATA is a string. Who knows `cloud-localds` or `mkisofs` writes the name of a file there.

use std::{
    ffi::{OsStr, OsString},
    fs,
    path::Path,
};

use metadata_image::{
    datasource::layout::Layout, recipe::seed::seed_layout, userdata::cloud_config::part_type,
};

use super::super::{
    errors::Usage,
    overwrite::has_image_extension,
    streams::is_dash,
    words::{command_line, is_image},
};

/// The longest string that may be the name of a file, in bytes: `PATH_MAX` of Linux.
const PATH_BYTES_MAX: usize = 4096;

/// IMAGE and DATA.
#[derive(Clone, Debug)]
pub(super) struct Operands<'a> {
    pub(super) image: &'a Path,
    /// DATA, if it is an operand.
    pub(super) data: Option<&'a OsStr>,
    pub(super) layout: Layout,
    /// Operands after DATA.
    pub(super) further: Vec<&'a OsString>,
    /// The other options that were given, with their values.
    pub(super) options: Vec<OsString>,
}

impl Operands<'_> {
    /// What is probably a mistake in DATA, with the command that was probably meant.
    pub(super) fn mistake(&self) -> Option<String> {
        let data = self.data?;
        if is_dash(data) {
            return Some("the data is a single '-'; to read standard input, use --user-data -".to_owned());
        }
        let file = file_named(data)?;
        let path = Path::new(file);
        if has_image_extension(path) && !has_image_extension(self.image) {
            return Some(format!(
                "the data is the text {data:?}, which looks like the name of an image; to store {:?} in that image: {}",
                self.image,
                self.swapped(file)
            ));
        }
        let (option, layout) = match fs::metadata(path) {
            Ok(found) if found.is_dir() => match seed_layout(path) {
                Ok(Some(layout)) => ("--from", layout),
                _ => ("--data-dir", Layout::LinuxKit),
            },
            _ => ("--user-data", self.layout_for(path)),
        };
        let [what, content] = match option {
            "--user-data" => ["the content of that file", "the content"],
            "--from" => ["that directory", "the seed in it"],
            _ => ["that directory", "its files as JSON for LinuxKit"],
        };
        Some(format!(
            "the data is the text {data:?}, not {what}; to store {content}: {} (--data means a string)",
            self.command(layout, &[(option, file)], self.image.as_os_str())
        ))
    }

    /// The command that stores the first operand in the image that the second one names, if they look swapped.
    pub(super) fn in_order(&self) -> Option<String> {
        self.data.filter(|data| has_image_extension(Path::new(data))).map(|data| self.swapped(data))
    }

    /// The command with an image for `--user-data A B`, where the only operand is a file. `parts`: the files of `--user-data`.
    pub(super) fn without_image(&self, parts: &[OsString]) -> Option<String> {
        let is_part = !parts.is_empty() && self.data.is_none() && !has_image_extension(self.image);
        is_part.then(|| {
            let files = parts.iter().map(OsString::as_os_str).chain([self.image.as_os_str()]);
            let files: Vec<_> = files.map(|file| ("--user-data", file)).collect();
            let layout = if self.layout == Layout::LinuxKit { Layout::NoCloud } else { self.layout };
            self.command(layout, &files, OsStr::new("IMAGE"))
        })
    }

    /// The command that stores the first operand in `image`.
    fn swapped(&self, image: &OsStr) -> String {
        if self.image.is_dir() {
            let directory = self.image.as_os_str();
            let (option, layout) = match seed_layout(self.image) {
                Ok(Some(layout)) => ("--from", layout),
                _ => ("--data-dir", Layout::LinuxKit),
            };
            return self.command(layout, &[(option, directory)], image);
        }
        self.command(self.layout_for(self.image), &[("--user-data", self.image.as_os_str())], image)
    }

    /// A command line that a shell reads back, with the options that were given.
    fn command(&self, layout: Layout, data: &[(&str, &OsStr)], image: &OsStr) -> String {
        let mut words: Vec<OsString> = Vec::new();
        if layout != Layout::LinuxKit && data.iter().all(|(option, _)| *option != "--from") {
            words.extend(["--layout".into(), layout.name().into()]);
        }
        words.extend(data.iter().flat_map(|(option, value)| [OsString::from(option), value.into()]));
        words.extend(self.options.iter().cloned());
        words.push(image.into());
        command_line("metadata create", &words)
    }

    /// Whether an option was given that only the files of a seed have a use for.
    fn has_seed_options(&self) -> bool {
        const OF_SEEDS: [&str; 6] =
            ["--meta-data", "--network-config", "--vendor-data", "--hostname", "--ssh-key", "--instance-id"];
        self.options.iter().any(|word| OF_SEEDS.iter().any(|option| word == option))
    }

    /// The layout that a file is for, if none was given: that of cloud-init if the file begins as its data does.
    fn layout_for(&self, path: &Path) -> Layout {
        let for_cloud_init = || {
            let is_file = fs::metadata(path).is_ok_and(|found| found.is_file());
            let mut beginning = [0; 64];
            is_file
                && fs::File::open(path)
                    .and_then(|mut file| std::io::Read::read(&mut file, &mut beginning))
                    .is_ok_and(|read| part_type::PartType::of_content(&beginning[..read]).is_some())
        };
        let is_seed = || self.has_seed_options() || for_cloud_init();
        if self.layout == Layout::LinuxKit && is_seed() { Layout::NoCloud } else { self.layout }
    }

    /// Fails if the value of `--from` is a file.
    pub(super) fn check_from(&self, from: Option<&Path>) -> Result<(), Usage> {
        let Some(file) = from.filter(|path| path.is_file()) else { return Ok(()) };
        if is_image(file) {
            return Err(Usage(format!(
                "--from takes the directory of a seed, and {file:?} is an image; to change a file of it: {} NAME=PATH",
                command_line("metadata set", [file])
            )));
        }
        let option = option_of(file.as_os_str());
        let layout = match (self.layout, option) {
            (Layout::LinuxKit, "--user-data") => self.layout_for(file),
            (Layout::LinuxKit, _) => Layout::NoCloud,
            (layout, _) => layout,
        };
        Err(Usage(format!(
            "--from takes a directory, and {file:?} is a file; to store it: {}",
            self.command(layout, &[(option, file.as_os_str())], self.image.as_os_str())
        )))
    }

    /// Fails if there are operands after DATA.
    pub(super) fn check_number(&self) -> Result<(), Usage> {
        let Some(first) = self.further.first() else { return Ok(()) };
        let all: Vec<_> =
            self.data.into_iter().chain(self.further.iter().map(|name| name.as_os_str())).collect();
        if !all.iter().all(|name| file_named(name).is_some()) {
            return Err(Usage(format!(
                "unexpected argument {first:?}: create needs IMAGE and DATA; put data with spaces in quotes (--help shows the usage)"
            )));
        }
        // The name of a layout without its option.
        if let (Some(layout), [image, files @ ..]) =
            (self.image.to_str().and_then(|name| name.parse::<Layout>().ok()), &all[..])
            && has_image_extension(Path::new(image))
        {
            let options: Vec<_> = files.iter().map(|name| (option_of(name), *name)).collect();
            return Err(Usage(format!("the layout is an option: {}", self.command(layout, &options, image))));
        }
        let layout = if self.layout == Layout::LinuxKit { Layout::NoCloud } else { self.layout };
        let options: Vec<_> = all.iter().map(|name| (option_of(name), *name)).collect();
        Err(Usage(format!(
            "unexpected argument {first:?}: give files with options: {}",
            self.command(layout, &options, self.image.as_os_str())
        )))
    }

    /// There are operands after IMAGE, and an option that gives data as well. `parts`: the files of `--user-data`.
    pub(super) fn too_much_data(&self, parts: &[OsString]) -> Usage {
        let data = self.data.unwrap_or_default();
        let operands: Vec<_> = [self.image.as_os_str(), data]
            .into_iter()
            .chain(self.further.iter().map(|name| name.as_os_str()))
            .collect();
        // `--user-data A B IMAGE`, as a list that goes on.
        if let Some((image, files)) = operands.split_last()
            && !parts.is_empty()
            && has_image_extension(Path::new(image))
            && files.iter().all(|file| !has_image_extension(Path::new(file)) && Path::new(file).exists())
        {
            let files = parts.iter().map(OsString::as_os_str).chain(files.iter().copied());
            let files: Vec<_> = files.map(|file| ("--user-data", file)).collect();
            let layout = if self.layout == Layout::LinuxKit { Layout::NoCloud } else { self.layout };
            let command = self.command(layout, &files, image);
            return Usage(format!("--user-data takes one file; repeat it for each: {command}"));
        }
        Usage(format!(
            "the data is given twice: as {data:?} after the image {:?}, and with an option; leave out one of them",
            self.image
        ))
    }

    /// There is no data, and the layout needs some.
    pub(super) fn no_data(&self) -> Usage {
        let image = self.image.as_os_str();
        if has_image_extension(self.image) || !self.image.exists() {
            return Usage(format!(
                "DATA is missing after the image {image:?}: a string, --user-data PATH, --from DIR or --data-dir DIR; \
                 without data, a seed needs --layout nocloud or configdrive"
            ));
        }
        Usage(format!(
            "IMAGE or DATA is missing, and {image:?} is the only argument: write the image first, then the data"
        ))
    }
}

/// The option that a file with this name is probably for.
fn option_of(name: &OsStr) -> &'static str {
    let name = Path::new(name).file_name().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    if name.contains("meta") {
        "--meta-data"
    } else if name.contains("network") {
        "--network-config"
    } else if name.contains("vendor") {
        "--vendor-data"
    } else {
        "--user-data"
    }
}

/// The name of the file that data seems to mean: one that exists, or one behind `@`.
fn file_named(data: &OsStr) -> Option<&OsStr> {
    let bytes = data.as_encoded_bytes();
    if bytes.is_empty() || bytes.len() > PATH_BYTES_MAX || bytes.contains(&b'\n') {
        return None;
    }
    if let Some(name) = data.to_str().and_then(|text| text.strip_prefix('@')) {
        return Some(OsStr::new(name)).filter(|name| !name.is_empty());
    }
    let path = Path::new(data);
    (path.exists() || has_image_extension(path)).then_some(data)
}
