//! The arguments of `metadata create`.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use clap::builder::{OsStringValueParser, PossibleValue, PossibleValuesParser, TypedValueParser};
use metadata_image::{check::Tolerance, datasource::layout::Layout, image::probe::FileSystem, recipe};

use super::{super::errors::Usage, operands::Operands};

/// Build an image from a string, files, a directory or standard input
///
/// Accepts the same arguments as 'linuxkit metadata create'; -data and
/// -data-file may have one dash or two. The image has Rock Ridge and Joliet
/// names. Only its owner can read it. The same input always makes the same
/// image. It replaces an old image completely or not at all.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(after_help = EXAMPLES, override_usage = USAGE)]
pub(crate) struct Args {
    /// The image to write; '-' is standard output
    pub(super) image: Option<OsString>,

    /// The data itself, a string; use '--' before data that begins with '-'.
    /// Other users of this machine can read it while the program runs, so give a
    /// secret in a file, or on standard input with '--user-data -'
    pub(super) data: Option<OsString>,

    /// Operands that are left over, for an error that says what to write.
    #[arg(hide = true)]
    pub(super) further: Vec<OsString>,

    /// The image to write; the first argument is then DATA
    #[arg(short, long, value_name = "IMAGE")]
    pub(super) output: Option<OsString>,

    /// The data itself, instead of DATA
    #[arg(long = "data", id = "DATA_STRING", value_name = "STRING", allow_hyphen_values = true)]
    pub(super) data_string: Option<OsString>,

    /// A file with the data; '-' is standard input. Several files become one
    /// MIME document for cloud-init (repeatable). TYPE, such as
    /// x-shellscript-per-boot, is needed if the first line does not say it
    #[arg(long, visible_alias = "data-file", value_name = "PATH[:TYPE]", allow_hyphen_values = true)]
    pub(super) user_data: Vec<OsString>,

    /// A directory with the files of a seed: user-data, meta-data,
    /// network-config and vendor-data, or openstack/latest
    #[arg(long, value_name = "DIR")]
    pub(super) from: Option<PathBuf>,

    /// A directory to make the data from: JSON for LinuxKit, as 'metadata pack'
    /// prints it
    #[arg(long, value_name = "DIR")]
    pub(super) data_dir: Option<PathBuf>,

    /// With --data-dir: follow symbolic links, and store what they point to
    #[arg(long, requires = "data_dir")]
    pub(super) follow: bool,

    /// Where the guest looks for the data [default: linuxkit, or that of the
    /// directory given with --from]
    #[arg(
        short,
        long,
        long_help = LAYOUTS,
        ignore_case = true,
        value_parser = PossibleValuesParser::new(layout_values())
            .try_map(|name| name.to_ascii_lowercase().parse::<Layout>())
    )]
    pub(super) layout: Option<Layout>,

    /// The file system of the image; vfat is for virtual machines without
    /// CD-ROM drives
    #[arg(
        long, value_name = "TYPE", default_value = "iso9660",
        value_parser = PossibleValuesParser::new(file_system_values()).try_map(|name| name.parse::<FileSystem>())
    )]
    pub(super) filesystem: FileSystem,

    /// Another file for the image; NAME may have directories (repeatable)
    #[arg(
        long = "file", value_name = "NAME=PATH",
        value_parser = OsStringValueParser::new().try_map(|value| split(&value))
    )]
    pub(super) files: Vec<(Vec<u8>, PathBuf)>,

    /// The meta-data file; generated if it is not given (not for linuxkit)
    #[arg(long, value_name = "PATH")]
    pub(super) meta_data: Option<PathBuf>,

    /// The network configuration (not for linuxkit)
    #[arg(short = 'N', long, value_name = "PATH")]
    pub(super) network_config: Option<PathBuf>,

    /// The vendor data (not for linuxkit)
    #[arg(long, value_name = "PATH")]
    pub(super) vendor_data: Option<PathBuf>,

    /// The host name, for generated meta-data
    #[arg(short = 'H', long, value_name = "NAME")]
    pub(super) hostname: Option<String>,

    /// A file with public keys, for generated meta-data (repeatable)
    #[arg(long = "ssh-key", value_name = "PATH")]
    pub(super) ssh_keys: Vec<PathBuf>,

    /// The instance ID, for generated meta-data [default: made from the
    /// content, so it changes when the content does]
    #[arg(long, value_name = "ID")]
    pub(super) instance_id: Option<String>,

    /// A file with the administrator's password for cloudbase-init, which only
    /// you may be able to read (only for configdrive)
    #[arg(long, value_name = "PATH")]
    pub(super) admin_pass_file: Option<PathBuf>,

    /// The volume identifier: at most 32 bytes, or 11 for vfat [default: that of
    /// the layout]
    #[arg(long, value_name = "ID")]
    pub(super) volume_id: Option<String>,

    /// A string about this boot for a policy in the guest; adds a manifest to
    /// the image (repeatable)
    #[arg(long, value_name = "STRING", allow_hyphen_values = true)]
    pub(super) run_metadata: Vec<String>,

    /// The name of this boot in the manifest [default: made from the content]
    #[arg(long, value_name = "ID", requires = "run_metadata")]
    pub(super) run_id: Option<String>,

    /// The permission bits of the image file [default: 0600]
    #[arg(long, value_name = "OCTAL", value_parser = recipe::parse_mode)]
    pub(super) mode: Option<u32>,

    /// Sync the image to disk, even if it does not replace a file
    #[arg(long)]
    pub(super) sync: bool,

    /// Replace a file that is not an image
    #[arg(long)]
    pub(super) force: bool,

    /// Treat warnings as errors
    #[arg(long)]
    pub(super) strict: bool,

    /// Build the image even if cloud-init will ignore its data
    #[arg(long, conflicts_with = "strict")]
    pub(super) lenient: bool,

    /// Describe the image as JSON, with SHA-256 digests
    #[arg(long)]
    pub(super) json: bool,

    /// Print no message on success, and no progress
    #[arg(short, long)]
    pub(super) quiet: bool,
}

const USAGE: &str = "\
metadata create [OPTIONS] IMAGE DATA
       metadata create [OPTIONS] IMAGE --data STRING
       metadata create [OPTIONS] IMAGE --user-data PATH...
       metadata create [OPTIONS] IMAGE --from DIR
       metadata create [OPTIONS] IMAGE --data-dir DIR";

const LAYOUTS: &str = "\
Where the guest looks for the data:
linuxkit: file config, volume CIDATA
nocloud: user-data and meta-data, volume CIDATA; also called cloud-init
configdrive: openstack/latest/user_data and meta_data.json, volume config-2
[default: linuxkit, or that of the directory of --from]";

const EXAMPLES: &str = "\
Examples:
  metadata create meta.iso 'hello'
  metadata create meta.iso -data-file=config.json
  metadata create meta.iso --data-dir config
  metadata create --layout nocloud --user-data user.yaml \\
      --hostname web --ssh-key ~/.ssh/id_ed25519.pub seed.iso
  metadata create --from seed seed.iso
  metadata create --file models/base.bin=base.bin meta.iso '{}'
  generate-config | metadata create --user-data - - > meta.iso

SOURCE_DATE_EPOCH sets the date of the image, in seconds since 1970. The default
is 1980-01-01.";

/// The names of the layouts, for an option. Aliases are accepted and not shown.
fn layout_values() -> [PossibleValue; 3] {
    Layout::ALL.map(|layout| PossibleValue::new(layout.name()).aliases(layout.aliases()))
}

/// The names of the file systems, for an option. `fat` is another name of `vfat`.
fn file_system_values() -> [PossibleValue; 2] {
    FileSystem::NAMES.map(|name| PossibleValue::new(name).aliases((name == "vfat").then_some("fat")))
}

pub(crate) fn split(argument: &OsStr) -> Result<(Vec<u8>, PathBuf)> {
    let bytes = argument.as_bytes();
    let middle = bytes.iter().position(|&byte| byte == b'=').context("not in the form NAME=PATH")?;
    let path = &bytes[middle + 1..];
    ensure!(!path.is_empty(), "PATH is missing");
    Ok((bytes[..middle].to_vec(), OsString::from_vec(path.to_vec()).into()))
}

impl Args {
    /// IMAGE and DATA, wherever they were given.
    pub(super) fn operands(&self) -> Result<Operands<'_>, Usage> {
        let layout = self.layout.unwrap_or_default();
        let mut operands = [&self.image, &self.data].into_iter().flatten().chain(&self.further);
        let image = match &self.output {
            Some(image) => image,
            None => operands.next().ok_or_else(|| {
                Usage(
                    "IMAGE is missing: the image to write, before the data (--help shows the usage)"
                        .to_owned(),
                )
            })?,
        };
        let data = operands.next().map(OsString::as_os_str);
        let further = operands.collect();
        let options = self.other_options();
        let operands = Operands { image: Path::new(image), data, layout, further, options };
        let sources = self.sources();
        if let [first, second, ..] = sources[..] {
            return Err(Usage(match (first, second) {
                ("--user-data", "--from") => "--from takes all files of a seed from a directory, with the user data, so \
                    --user-data cannot be given as well; to replace it: copy the directory, or give each file with its \
                    option (--user-data, --meta-data, --network-config, --vendor-data)"
                    .to_owned(),
                _ => format!("{first} and {second} both give the data; leave out one of them"),
            }));
        }
        if data.is_some() && !sources.is_empty() {
            return Err(operands.too_much_data(&self.user_data));
        }
        operands.check_number()?;
        if data.is_none() && sources.is_empty() && layout == Layout::LinuxKit {
            return Err(operands.no_data());
        }
        Ok(operands)
    }

    /// The options that give the data.
    fn sources(&self) -> Vec<&'static str> {
        let options = [
            (self.data_string.is_some(), "--data"),
            (!self.user_data.is_empty(), "--user-data"),
            (self.from.is_some(), "--from"),
            (self.data_dir.is_some(), "--data-dir"),
        ];
        options.into_iter().filter_map(|(given, name)| given.then_some(name)).collect()
    }

    /// The options that were given, with their values, without those for the data, the image and the layout.
    fn other_options(&self) -> Vec<OsString> {
        let mut words: Vec<OsString> = Vec::new();
        let mut add = |name: &str, value: OsString| words.extend([name.into(), value]);
        if self.filesystem == FileSystem::Fat {
            add("--filesystem", "vfat".into());
        }
        for (name, path) in [
            ("--meta-data", &self.meta_data),
            ("--network-config", &self.network_config),
            ("--vendor-data", &self.vendor_data),
        ] {
            if let Some(path) = path {
                add(name, path.into());
            }
        }
        self.hostname.iter().for_each(|name| add("--hostname", name.into()));
        self.ssh_keys.iter().for_each(|path| add("--ssh-key", path.into()));
        self.instance_id.iter().for_each(|id| add("--instance-id", id.into()));
        self.admin_pass_file.iter().for_each(|path| add("--admin-pass-file", path.into()));
        for (name, path) in &self.files {
            let joined = [name, &b"="[..], path.as_os_str().as_bytes()].concat();
            add("--file", OsString::from_vec(joined));
        }
        self.volume_id.iter().for_each(|id| add("--volume-id", id.into()));
        self.run_metadata.iter().for_each(|string| add("--run-metadata", string.into()));
        self.run_id.iter().for_each(|id| add("--run-id", id.into()));
        self.mode.iter().for_each(|mode| add("--mode", format!("{mode:04o}").into()));
        for (given, name) in [
            (self.sync, "--sync"),
            (self.force, "--force"),
            (self.strict, "--strict"),
            (self.lenient, "--lenient"),
            (self.json, "--json"),
            (self.quiet, "--quiet"),
        ] {
            words.extend(given.then(|| name.into()));
        }
        words
    }

    /// The command that was meant if the image and the file with the data look swapped, or the image was left out.
    pub(super) fn in_order(&self, operands: &Operands) -> Option<String> {
        let swapped = Operands { data: self.user_data.first().map(OsString::as_os_str), ..operands.clone() };
        let in_order = operands.in_order().or_else(|| swapped.in_order());
        in_order.or_else(|| operands.without_image(&self.user_data))
    }

    /// The directory that LinuxKit's data is made from.
    pub(super) fn packed_directory(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }

    /// What is tolerated.
    pub(super) fn tolerance(&self) -> Tolerance {
        tolerance(self.strict, self.lenient)
    }
}

/// What `--strict` and `--lenient` mean.
pub(crate) fn tolerance(strict: bool, lenient: bool) -> Tolerance {
    match (strict, lenient) {
        (true, _) => Tolerance::Strict,
        (_, true) => Tolerance::Lenient,
        _ => Tolerance::Usual,
    }
}
