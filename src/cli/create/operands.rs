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

use super::super::{errors::Usage, escape::shell_quoted, overwrite::has_image_extension, streams::is_dash};

/// The longest string that may be the name of a file, in bytes: `PATH_MAX` of Linux.
const PATH_BYTES_MAX: usize = 4096;

/// IMAGE and DATA.
#[derive(Debug)]
pub(super) struct Operands<'a> {
    pub(super) image: &'a Path,
    /// DATA, if it is an operand.
    pub(super) data: Option<&'a OsStr>,
    pub(super) layout: Layout,
    /// Operands after DATA.
    pub(super) further: Vec<&'a OsString>,
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
                "the data is the text {data:?}, which looks like the name of an image; the image comes first: {}",
                command(self.layout_for(self.image), &[("--user-data", self.image.as_os_str())], file)
            ));
        }
        let (option, layout) = match fs::metadata(path) {
            Ok(found) if found.is_dir() => match seed_layout(path) {
                Ok(Some(layout)) => ("--from", layout),
                _ => ("--data-dir", Layout::LinuxKit),
            },
            _ => ("--user-data", self.layout_for(path)),
        };
        Some(format!(
            "the data is the text {data:?}, not the content of that file; to store the content: {} (--data means a string)",
            command(layout, &[(option, file)], self.image.as_os_str())
        ))
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
        if self.layout == Layout::LinuxKit && for_cloud_init() { Layout::NoCloud } else { self.layout }
    }

    /// Fails if there are operands after DATA.
    pub(super) fn check_number(&self) -> Result<(), Usage> {
        let Some(first) = self.further.first() else { return Ok(()) };
        let all: Vec<_> =
            self.data.into_iter().chain(self.further.iter().map(|name| name.as_os_str())).collect();
        if !all.iter().all(|name| file_named(name).is_some()) {
            return Err(Usage(format!(
                "unexpected operand {first:?}: create needs IMAGE and DATA; put data with spaces in quotes (--help shows the usage)"
            )));
        }
        let layout = if self.layout == Layout::LinuxKit { Layout::NoCloud } else { self.layout };
        let options: Vec<_> = all.iter().map(|name| (option_of(name), *name)).collect();
        Err(Usage(format!(
            "unexpected operand {first:?}: give files with options: {}",
            command(layout, &options, self.image.as_os_str())
        )))
    }

    /// There is DATA, and an option that gives data as well.
    pub(super) fn too_much_data(&self) -> Usage {
        let data = self.data.unwrap_or_default();
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
            "IMAGE or DATA is missing, and {image:?} is the only operand: write the image first, then the data"
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

/// A command line that a shell reads back.
fn command(layout: Layout, options: &[(&str, &OsStr)], image: &OsStr) -> String {
    let quoted = |word: &OsStr| {
        let text = word.to_string_lossy();
        shell_quoted(&text).unwrap_or_else(|_| format!("{word:?}"))
    };
    let mut words = vec!["metadata create".to_owned()];
    if layout != Layout::LinuxKit && options.iter().all(|(option, _)| *option != "--from") {
        words.push(format!("--layout {layout}"));
    }
    words.extend(options.iter().map(|(option, value)| format!("{option} {}", quoted(value))));
    words.push(quoted(image));
    words.join(" ")
}
