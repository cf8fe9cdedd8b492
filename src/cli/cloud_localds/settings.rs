//! What a command line asks for.

use std::{
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use super::{
    Wrong,
    arguments::{Meaning, Parsed},
};

/// The disk format of an image as it is.
const RAW: &str = "raw";

/// How the files are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Filesystem {
    Iso9660,
    Vfat,
    /// A tar archive, with the files in this directory.
    Tar(&'static str),
}

/// The names of tar forms, and the directory of the files in each.
const TAR_FORMS: [(&str, &str); 3] = [
    ("tar", ""),
    ("tar-seed-local", "var/lib/cloud/seed/nocloud/"),
    ("tar-seed-net", "var/lib/cloud/seed/nocloud-net/"),
];

/// Where something is read or written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Standard input or standard output.
    Standard,
    Path(PathBuf),
}

/// The file `meta-data`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum MetaData {
    File(PathBuf),
    /// Made from options. What is empty is left out.
    Generated {
        hostname: OsString,
        /// The file with network interfaces.
        interfaces: Option<PathBuf>,
        dsmode: OsString,
    },
}

/// What a command line asks for.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) output: Place,
    pub(super) user_data: Place,
    pub(super) meta_data: MetaData,
    pub(super) network_config: Option<PathBuf>,
    pub(super) vendor_data: Option<PathBuf>,
    pub(super) filesystem: Filesystem,
    /// The name of the file system, for `-v`.
    pub(super) filesystem_name: &'static str,
    pub(super) disk_format: OsString,
    pub(super) verbose: bool,
}

/// What the program does.
pub(super) enum Wanted {
    Image(Box<Settings>),
    Help,
}

/// The last value of every option, empty where there is none: the original makes no difference.
#[derive(Default)]
struct Values {
    disk_format: Option<OsString>,
    filesystem: OsString,
    hostname: OsString,
    interfaces: Option<PathBuf>,
    dsmode: OsString,
    network_config: OsString,
    vendor_data: OsString,
    verbose: bool,
}

impl Settings {
    /// What a command line asks for.
    ///
    /// # Errors
    /// Fails if the number of operands is wrong, options contradict each other, or a file system is unknown.
    pub(super) fn of(parsed: Parsed) -> Result<Wanted, Wrong> {
        let mut values = Values::default();
        for (known, value) in parsed.options {
            let value = value.unwrap_or_default();
            match known.meaning {
                Meaning::Help => return Ok(Wanted::Help),
                Meaning::DiskFormat => values.disk_format = Some(value),
                Meaning::Filesystem => values.filesystem = value,
                Meaning::Hostname => values.hostname = value,
                Meaning::Interfaces => values.interfaces = Some(value.into()),
                Meaning::Dsmode => values.dsmode = value,
                Meaning::NetworkConfig => values.network_config = value,
                Meaning::VendorData => values.vendor_data = value,
                Meaning::Verbose => values.verbose = true,
                // The output is an operand; the original accepts the option and ignores it.
                Meaning::Output => {}
            }
        }
        let mut operands = parsed.operands.into_iter();
        let (Some(output), Some(user_data)) = (operands.next(), operands.next()) else {
            return Err(Wrong::Usage("an output and a file with user data are required".to_owned()));
        };
        let meta_data = operands.next().unwrap_or_default();
        if let Some(extra) = operands.next() {
            return Err(Wrong::Usage(format!(
                "unexpected operand {extra:?}: there are at most three, OUTPUT USER-DATA META-DATA"
            )));
        }
        let disk_format = values.disk_format.take().unwrap_or_else(|| RAW.into());
        let (filesystem_name, filesystem) = filesystem(&disk_format, &values.filesystem)?;
        let path = |value: OsString| (!value.is_empty()).then(|| PathBuf::from(value));
        Ok(Wanted::Image(Box::new(Self {
            output: place(output, &["-", "/dev/stdout", "/dev/fd/1"]),
            user_data: place(user_data, &["-"]),
            meta_data: meta_data_of(meta_data, values.hostname, values.interfaces, values.dsmode)?,
            network_config: path(values.network_config),
            vendor_data: path(values.vendor_data),
            filesystem,
            filesystem_name,
            disk_format,
            verbose: values.verbose,
        })))
    }

    /// The format that qemu-img makes of the image. `None`: it stays as it is.
    pub(super) fn conversion(&self) -> Option<&OsStr> {
        let is_as_it_is = self.disk_format == RAW || is_tar(&self.disk_format);
        (!is_as_it_is).then_some(&self.disk_format)
    }
}

fn place(operand: OsString, standard: &[&str]) -> Place {
    if standard.iter().any(|name| operand == *name) { Place::Standard } else { Place::Path(operand.into()) }
}

fn meta_data_of(
    file: OsString,
    hostname: OsString,
    interfaces: Option<PathBuf>,
    dsmode: OsString,
) -> Result<MetaData, Wrong> {
    if file.is_empty() {
        return Ok(MetaData::Generated { hostname, interfaces, dsmode });
    }
    if hostname.is_empty() && interfaces.is_none() && dsmode.is_empty() {
        return Ok(MetaData::File(file.into()));
    }
    Err(Wrong::failed(
        "--hostname, --interfaces and --dsmode cannot be used with a meta-data file (write them to it)",
    ))
}

fn is_tar(format: &OsStr) -> bool {
    TAR_FORMS.iter().any(|(name, _)| format == *name)
}

/// The file system, and its name.
fn filesystem(disk_format: &OsStr, wanted: &OsStr) -> Result<(&'static str, Filesystem), Wrong> {
    let name = if is_tar(disk_format) {
        if !wanted.is_empty() && wanted != "tar" {
            return Err(Wrong::failed(format!(
                "--disk-format {} cannot be used with --filesystem {}",
                disk_format.display(),
                wanted.display()
            )));
        }
        disk_format
    } else if disk_format.as_encoded_bytes().starts_with(b"tar") {
        return Err(Wrong::failed(format!(
            "unknown disk format {disk_format:?} (tar formats are tar, tar-seed-local and tar-seed-net)"
        )));
    } else {
        wanted
    };
    if name.is_empty() || name == "iso" || name == "iso9660" {
        return Ok(("iso9660", Filesystem::Iso9660));
    }
    if name == "vfat" {
        return Ok(("vfat", Filesystem::Vfat));
    }
    let form = TAR_FORMS.iter().find(|(form, _)| name == *form);
    let (name, directory) = form.ok_or_else(|| {
        Wrong::failed(format!(
            "unknown file system {name:?} (use iso9660, vfat, tar, tar-seed-local or tar-seed-net)"
        ))
    })?;
    Ok((name, Filesystem::Tar(directory)))
}

#[cfg(test)]
mod tests {
    use super::{super::arguments::parse, *};

    fn settings(arguments: &str) -> Result<Settings, String> {
        let arguments = arguments.split_whitespace().map(OsString::from).collect();
        match Settings::of(parse(arguments, false)?) {
            Ok(Wanted::Image(settings)) => Ok(*settings),
            Ok(Wanted::Help) => Err("help".to_owned()),
            Err(Wrong::Usage(message)) => Err(message),
            Err(Wrong::Failed(error)) => Err(error.to_string()),
        }
    }

    #[test]
    fn the_file_system_follows_from_both_options() {
        let tar = Filesystem::Tar("");
        for (options, filesystem, converted) in [
            ("", Filesystem::Iso9660, None),
            ("-f iso", Filesystem::Iso9660, None),
            ("-f vfat -d raw", Filesystem::Vfat, None),
            ("-f vfat -d qcow2", Filesystem::Vfat, Some("qcow2")),
            ("-d tar -f tar", tar, None),
            ("-d tar-seed-local", Filesystem::Tar("var/lib/cloud/seed/nocloud/"), None),
            ("-f tar-seed-net", Filesystem::Tar("var/lib/cloud/seed/nocloud-net/"), None),
            ("-f tar -d vdi", tar, Some("vdi")),
            ("-d tar -d raw", Filesystem::Iso9660, None),
        ] {
            let settings = settings(&format!("{options} out ud")).unwrap();
            assert_eq!((settings.filesystem, settings.conversion()), (filesystem, converted.map(OsStr::new)));
        }
        for options in
            ["-d tarball", "-d tar -f vfat", "-d tar-seed-net -f tar-seed-net", "-f ext4", "-f tar-x"]
        {
            assert!(settings(&format!("{options} out ud")).is_err(), "{options}");
        }
    }

    #[test]
    fn meta_data_is_a_file_or_is_made_from_options() {
        assert_eq!(settings("out ud md").unwrap().meta_data, MetaData::File("md".into()));
        let generated = settings("-Hweb -m local -i if out ud").unwrap().meta_data;
        let expected = MetaData::Generated {
            hostname: "web".into(),
            interfaces: Some("if".into()),
            dsmode: "local".into(),
        };
        assert_eq!(generated, expected);
        for option in ["-Hweb", "-mlocal", "-iif"] {
            let error = settings(&format!("{option} out ud md")).unwrap_err();
            assert!(error.contains("cannot be used with a meta-data file"), "{error}");
        }
        // An empty value is none.
        assert_eq!(
            settings("--hostname= --dsmode= out ud md").unwrap().meta_data,
            MetaData::File("md".into())
        );
    }

    #[test]
    fn there_are_two_or_three_operands() {
        for operands in ["", "out"] {
            assert_eq!(settings(operands).unwrap_err(), "an output and a file with user data are required");
        }
        assert!(settings("out ud md more").unwrap_err().starts_with("unexpected operand \"more\""));
        assert_eq!(settings("out -h").unwrap_err(), "help");
    }
}
