//! `metadata create`.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, IsTerminal, Write},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::{
    ArgGroup,
    builder::{OsStringValueParser, PossibleValuesParser, TypedValueParser},
};
use metadata_image::{
    check::{CheckedText, Prepared},
    datasource::layout::Layout,
    encoding::hex,
    image::{
        digests::digests,
        iso9660::writer::{Draft, PlacedFile, WrittenImage},
        source::Source,
    },
    manifest::Statement,
    output::atomic_file::{Replacement, Target, standard_output},
    recipe::{self, Recipe},
};
use serde::Serialize;

use super::{
    Usage,
    escape::pretty_json,
    is_dash, layout_values,
    overwrite::check_replaceable,
    pack::pack_directory,
    print,
    progress::Bar,
    render::{Count, paragraphs},
    say,
    signals::clean_up_on_signals,
    to_library_error,
};

/// Build an image from a string, a file, a directory or standard input
///
/// Accepts the same arguments as 'linuxkit metadata create'; -data and
/// -data-file may have one dash or two. The image has Rock Ridge and Joliet
/// names. Only its owner can read it. The same input always makes the same
/// image. It replaces an old image completely or not at all.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(after_help = EXAMPLES, override_usage = USAGE, group = ArgGroup::new("source").required(true))]
pub(crate) struct Args {
    /// The image to write; '-' is standard output
    image: PathBuf,

    /// The data itself; use '--' before data that begins with '-'. Other users
    /// of this machine can read it while the program runs, so give a secret in a
    /// file, or on standard input with '--data-file -'
    #[arg(group = "source")]
    data: Option<OsString>,

    /// The data itself, as DATA
    #[arg(
        long = "data",
        id = "DATA_STRING",
        value_name = "STRING",
        group = "source",
        allow_hyphen_values = true
    )]
    data_string: Option<OsString>,

    /// A file with the data; '-' is standard input
    #[arg(long, value_name = "PATH", group = "source", allow_hyphen_values = true)]
    data_file: Option<PathBuf>,

    /// A directory to make the data from: JSON for LinuxKit, as 'metadata pack'
    /// prints it
    #[arg(long, value_name = "DIR", group = "source")]
    data_dir: Option<PathBuf>,

    /// With --data-dir: follow symbolic links, and store what they point to
    #[arg(long, requires = "data_dir")]
    follow: bool,

    /// Where the guest looks for the data
    #[arg(
        long,
        default_value = "linuxkit",
        long_help = LAYOUTS,
        value_parser = PossibleValuesParser::new(layout_values()).try_map(|name| name.parse::<Layout>())
    )]
    layout: Layout,

    /// Another file for the image; NAME may have directories (repeatable)
    #[arg(
        long = "file", value_name = "NAME=PATH",
        value_parser = OsStringValueParser::new().try_map(|value| split(&value))
    )]
    files: Vec<(Vec<u8>, PathBuf)>,

    /// The meta-data file; generated if it is not given (not for linuxkit)
    #[arg(long, value_name = "PATH")]
    meta_data: Option<PathBuf>,

    /// The network configuration (not for linuxkit)
    #[arg(long, value_name = "PATH")]
    network_config: Option<PathBuf>,

    /// The vendor data (not for linuxkit)
    #[arg(long, value_name = "PATH")]
    vendor_data: Option<PathBuf>,

    /// The host name, for generated meta-data
    #[arg(long, value_name = "NAME")]
    hostname: Option<String>,

    /// A file with public keys, for generated meta-data (repeatable)
    #[arg(long = "ssh-key", value_name = "PATH")]
    ssh_keys: Vec<PathBuf>,

    /// The instance ID, for generated meta-data [default: derived from the
    /// content, so it changes when the content does]
    #[arg(long, value_name = "ID")]
    instance_id: Option<String>,

    /// The volume identifier, at most 32 bytes [default: that of the layout]
    #[arg(long, value_name = "ID")]
    volume_id: Option<String>,

    /// A string about this boot for a policy in the guest; adds a manifest to
    /// the image (repeatable)
    #[arg(long, value_name = "STRING", allow_hyphen_values = true)]
    run_metadata: Vec<String>,

    /// The name of this boot in the manifest [default: derived from the content]
    #[arg(long, value_name = "ID", requires = "run_metadata")]
    run_id: Option<String>,

    /// The permission bits of the image file [default: 0600]
    #[arg(long, value_name = "OCTAL", value_parser = recipe::parse_mode)]
    mode: Option<u32>,

    /// Sync the image to disk, even if it does not replace a file
    #[arg(long)]
    sync: bool,

    /// Replace a file that is not an image
    #[arg(long)]
    force: bool,

    /// Treat warnings as errors
    #[arg(long)]
    strict: bool,

    /// Describe the image as JSON, with SHA-256 digests
    #[arg(long)]
    json: bool,

    /// Print no message on success, and no progress
    #[arg(short, long)]
    quiet: bool,
}

const USAGE: &str = "\
metadata create [OPTIONS] IMAGE DATA
       metadata create [OPTIONS] IMAGE --data STRING
       metadata create [OPTIONS] IMAGE --data-file PATH
       metadata create [OPTIONS] IMAGE --data-dir DIR";

/// The most findings that are shown while an image is built; `metadata check` shows all.
const FINDINGS_SHOWN_MAX: usize = 20;

const LAYOUTS: &str = "\
Where the guest looks for the data:
linuxkit: file config, volume CIDATA
nocloud: user-data and meta-data, volume CIDATA
configdrive: openstack/latest/user_data and meta_data.json, volume config-2";

const EXAMPLES: &str = "\
Examples:
  metadata create meta.iso 'hello'
  metadata create meta.iso -data-file=config.json
  metadata create meta.iso --data-dir config
  metadata create --layout nocloud --data-file user.yaml \\
      --hostname web --ssh-key ~/.ssh/id_ed25519.pub seed.iso
  metadata create --file models/base.bin=base.bin meta.iso '{}'
  generate-config | metadata create --data-file - - > meta.iso

SOURCE_DATE_EPOCH sets the date of the image, in seconds since 1970. The default
is 1980-01-01.";

fn split(argument: &OsStr) -> Result<(Vec<u8>, PathBuf)> {
    let bytes = argument.as_bytes();
    let middle = bytes.iter().position(|&byte| byte == b'=').context("not in the form NAME=PATH")?;
    let path = &bytes[middle + 1..];
    ensure!(!path.is_empty(), "PATH is missing");
    Ok((bytes[..middle].to_vec(), OsString::from_vec(path.to_vec()).into()))
}

/// What `--json` prints.
#[derive(Serialize)]
struct CreateOutput<'a> {
    path: String,
    size: u64,
    sha256: String,
    volume_identifier: &'a str,
    layout: Layout,
    files: Vec<FileOutput>,
}

#[derive(Serialize)]
pub(super) struct FileOutput {
    name: String,
    size: u64,
    offset: u64,
    sha256: String,
}

impl FileOutput {
    pub(super) fn new(file: &PlacedFile, digest: &[u8]) -> Self {
        Self {
            name: String::from_utf8_lossy(&file.name).into_owned(),
            size: file.extent.len,
            offset: file.extent.offset,
            sha256: hex(digest),
        }
    }
}

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let recipe = self.recipe()?;
        recipe.check()?;
        if is_dash(self.image.as_os_str()) {
            return self.write_to_standard_output(recipe);
        }
        let building = || format!("building image {:?}", self.image);
        let target = Target::resolve(&self.image).with_context(building)?;
        if let Some(path) = recipe.paths().find(|path| target.is_same_file(path)) {
            return Err(anyhow!("the image is the same file as {path:?}")).with_context(building);
        }
        self.check_old(target.open_old()).with_context(building)?;
        clean_up_on_signals()?;
        let identifier = recipe.volume_identifier().to_owned();
        let draft = self.draft(recipe)?;
        let mut progress = Bar::new(self.quiet);
        let file = target.create(self.mode.unwrap_or(recipe::MODE)).with_context(building)?;
        let written = draft.write_to_file(file.file(), &mut progress).with_context(building)?;
        self.warn_of_written(&written)?;
        let json =
            if self.json { Some(self.describe(&file, &written, &identifier, &mut progress)?) } else { None };
        drop(progress);
        file.commit(self.sync, |old| self.check_old(Ok(old)).map_err(to_library_error))
            .with_context(building)?;
        if let Some(json) = json {
            print(&json)?;
        }
        self.report(written.bytes);
        Ok(())
    }

    /// Checks that the image may replace the existing file, if there is one.
    fn check_old(&self, old: io::Result<Option<File>>) -> Result<()> {
        let data = self.data.as_deref().map(Path::new).or(self.data_file.as_deref());
        if self.force { Ok(()) } else { check_replaceable(old, &self.image, data) }
    }

    /// Writes the image to standard output.
    fn write_to_standard_output(&self, recipe: Recipe) -> Result<()> {
        for (given, option) in [(self.json, "--json"), (self.sync, "--sync"), (self.mode.is_some(), "--mode")]
        {
            if given {
                return Err(
                    Usage(format!("{option} cannot be used when the image goes to standard output")).into()
                );
            }
        }
        ensure!(!io::stdout().is_terminal(), "writing the image: standard output is a terminal");
        let draft = self.draft(recipe)?;
        let out = standard_output().context("writing the image to standard output")?;
        let mut progress = Bar::new(self.quiet);
        let written =
            draft.write_to_output(&out, &mut progress).context("writing the image to standard output")?;
        drop(progress);
        self.warn_of_written(&written)?;
        self.report(written.bytes);
        Ok(())
    }

    /// Prints the warning that is known only after the image has been written.
    fn warn_of_written(&self, written: &WrittenImage) -> Result<()> {
        match &written.mistakable {
            Some(warning) if self.strict => bail!("{warning}"),
            Some(warning) => say(&format!("warning: {warning}")),
            None => {}
        }
        Ok(())
    }

    fn recipe(&self) -> Result<Recipe> {
        let data = match (&self.data, &self.data_string, &self.data_file, &self.data_dir) {
            (Some(data), ..) | (_, Some(data), ..) => Source::Bytes(data.clone().into_encoded_bytes()),
            (_, _, Some(path), _) => file_or_standard_input(path, "data file"),
            (_, _, _, Some(directory)) => Source::Bytes(pack_directory(directory, self.follow)?),
            (None, None, None, None) => bail!("the command line has no data"),
        };
        let part =
            |path: &Option<PathBuf>, role| path.as_deref().map(|path| file_or_standard_input(path, role));
        let file = |(name, path): &(Vec<u8>, PathBuf)| (name.clone(), file_or_standard_input(path, "file"));
        Ok(Recipe {
            layout: self.layout,
            volume_id: self.volume_id.clone(),
            files: self.files.iter().map(file).collect(),
            meta_data: part(&self.meta_data, "meta-data file"),
            network_config: part(&self.network_config, "network-config file"),
            vendor_data: part(&self.vendor_data, "vendor-data file"),
            hostname: self.hostname.clone(),
            ssh_keys: self.ssh_keys.clone(),
            instance_id: self.instance_id.clone(),
            seconds: source_date_epoch()?,
            statement: (!self.run_metadata.is_empty()).then(|| Statement {
                run_id: self.run_id.clone(),
                user_provided_metadata: self.run_metadata.clone(),
                ..Statement::default()
            }),
            ..Recipe::new(data)
        })
    }

    /// Prepares the image, and prints warnings and findings.
    fn draft(&self, recipe: Recipe) -> Result<Draft> {
        let mut prepared = Prepared::new(recipe)?;
        if self.data.as_deref().is_some_and(is_dash) {
            let warning = "the data is a single '-'; to read standard input, use --data-file -";
            prepared.warnings.push(warning.to_owned());
        }
        if let (true, Some(first)) = (self.strict, prepared.warnings.first()) {
            bail!("{first}");
        }
        for warning in &prepared.warnings {
            say(&format!("warning: {warning}"));
        }
        prepared.check(|checked| self.show_findings(&checked).map_err(to_library_error))?;
        Ok(prepared.draft)
    }

    /// Prints the findings about a file for the image.
    fn show_findings(&self, checked: &CheckedText) -> Result<()> {
        let image = self.image.to_string_lossy();
        let mut shown = paragraphs(&image, checked, &io::stderr());
        for paragraph in shown.by_ref().take(FINDINGS_SHOWN_MAX) {
            drop(writeln!(io::stderr(), "{paragraph}"));
        }
        let more = checked.findings.len().saturating_sub(FINDINGS_SHOWN_MAX);
        if more > 0 {
            say(&format!("{more} more findings; metadata check shows all of them"));
        }
        let count = Count::of(std::slice::from_ref(checked));
        ensure!(
            !self.strict || count.errors + count.warnings == 0,
            "the data for {:?} has {count}",
            self.image
        );
        Ok(())
    }

    fn describe(
        &self,
        file: &Replacement,
        written: &WrittenImage,
        identifier: &str,
        progress: &mut Bar,
    ) -> Result<String> {
        let digests = digests(file.file(), written, progress).context("reading the image back")?;
        let files = written.files.iter().zip(&digests.files);
        let files = files.map(|(file, digest)| FileOutput::new(file, digest));
        let made = CreateOutput {
            path: self.image.display().to_string(),
            size: written.bytes,
            sha256: hex(&digests.image),
            volume_identifier: identifier,
            layout: self.layout,
            files: files.collect(),
        };
        pretty_json(&made)
    }

    fn report(&self, bytes: u64) {
        if !self.quiet {
            let image = if is_dash(self.image.as_os_str()) {
                "standard output"
            } else {
                &*self.image.to_string_lossy()
            };
            say(&format!("{image}: {bytes} bytes, layout {}", self.layout));
        }
    }
}

fn file_or_standard_input(path: &Path, role: &'static str) -> Source {
    if is_dash(path.as_os_str()) { Source::StandardInput } else { Source::file(path, role) }
}

/// The date that the environment sets for reproducible builds, in seconds since 1970.
pub(super) fn source_date_epoch() -> Result<Option<u64>> {
    let Some(value) = env::var_os("SOURCE_DATE_EPOCH") else { return Ok(None) };
    let digits = value.to_str().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let seconds = digits.and_then(|digits| digits.parse().ok());
    let usage = || Usage(format!("SOURCE_DATE_EPOCH {value:?} is not a number of seconds since 1970"));
    Ok(Some(seconds.ok_or_else(usage)?))
}
