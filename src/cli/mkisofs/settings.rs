//! What a command line asks for.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
};

use metadata_image::image::{
    ALIGNMENT_BYTES,
    iso9660::{
        primary_names::{self, Length, PrimaryNames},
        volume_format::Identifiers,
    },
};

use super::{
    Trouble, charset,
    dialect::{Dialect, Failure},
    exclude::Exclusions,
    identity::Identity,
    list,
    options::Meaning,
    parse::Parsed,
};

/// The most bytes of a volume or system identifier (ECMA-119, 8.4.5 and 8.4.6), of the identifiers that are text, and of those that
/// name a file.
const SHORT_BYTES_MAX: usize = 32;
const TEXT_BYTES_MAX: usize = 128;
const FILE_BYTES_MAX: usize = 37;

/// The unit of size with `-partition_cyl_align on`.
const CYLINDER_BYTES: u64 = 1 << 20;

/// What a command line asks for.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of mkisofs")]
pub(super) struct Settings {
    pub(super) dialect: Dialect,
    /// Where the image goes. `None`: standard output.
    pub(super) output: Option<PathBuf>,
    pub(super) volume_id: String,
    pub(super) identifiers: Identifiers,
    pub(super) joliet: bool,
    pub(super) rock_ridge: bool,
    /// All belongs to root, and everybody may read all.
    pub(super) is_rational: bool,
    pub(super) names: PrimaryNames,
    pub(super) follow_links: bool,
    pub(super) graft_points: bool,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
    pub(super) file_mode: Option<u32>,
    pub(super) directory_mode: Option<u32>,
    pub(super) made_directory_mode: u32,
    pub(super) size_unit: u64,
    /// Names are characters of UTF-8.
    pub(super) names_are_utf8: bool,
    /// What is left out.
    pub(super) exclusions: Exclusions,
    /// Whether files are left out whose names look like those of backups.
    pub(super) no_backups: bool,
    /// The lists that were read. The image must not be written to one of them.
    pub(super) lists: Vec<Identity>,
    /// Whether the size of the image is wanted in place of the image.
    pub(super) print_size: bool,
    pub(super) log_file: Option<PathBuf>,
    /// Whether warnings about the image are unwanted.
    pub(super) quiet: bool,
    /// Whether deep directories should stay where they are, which is not supported.
    pub(super) no_relocation: bool,
    /// Whether findings are wanted.
    pub(super) check: bool,
    pub(super) operands: Vec<OsString>,
}

/// What the program says instead of making an image.
pub(super) enum Wanted {
    Image(Box<Settings>),
    Help,
    Version,
}

impl Settings {
    fn new(dialect: Dialect) -> Self {
        let names = match dialect {
            Dialect::Genisoimage => primary_names::Dialect::Genisoimage,
            Dialect::Xorrisofs => primary_names::Dialect::Xorrisofs,
        };
        let identifiers = Identifiers { system: dialect.system_id().to_owned(), ..Identifiers::default() };
        Self {
            dialect,
            output: None,
            volume_id: dialect.volume_id().to_owned(),
            identifiers,
            joliet: false,
            rock_ridge: !dialect.is_genisoimage(),
            is_rational: false,
            names: PrimaryNames::new(names),
            follow_links: false,
            graft_points: false,
            uid: None,
            gid: None,
            file_mode: None,
            directory_mode: None,
            made_directory_mode: dialect.made_directory_mode(),
            size_unit: ALIGNMENT_BYTES,
            names_are_utf8: true,
            exclusions: Exclusions::default(),
            no_backups: false,
            lists: Vec::new(),
            print_size: false,
            log_file: None,
            quiet: false,
            no_relocation: false,
            check: false,
            operands: Vec::new(),
        }
    }

    /// What a command line asks for.
    ///
    /// # Errors
    /// Fails if a value is not valid, an option is not supported, or there is nothing to make an image of.
    pub(super) fn of(dialect: Dialect, parsed: Parsed) -> Result<Wanted, Trouble> {
        let mut settings = Self::new(dialect);
        for (known, value) in &parsed.options {
            let value = value.as_deref().unwrap_or_default();
            match known.meaning {
                Meaning::Help => return Ok(Wanted::Help),
                Meaning::Version => return Ok(Wanted::Version),
                Meaning::Unsupported => {
                    return Err(Trouble::new(
                        Failure::Option,
                        format!(
                            "option '-{}' is not supported, and the image would be another one without it",
                            known.name
                        ),
                    ));
                }
                meaning => settings.set(meaning, known.name, value)?,
            }
        }
        settings.operands.extend(parsed.operands);
        if settings.operands.is_empty() {
            let message = "no file or directory is named (usage: [options] -o IMAGE FILE..., and -help lists the options)";
            return Err(Trouble::new(Failure::NoOperand, message.to_owned()));
        }
        Ok(Wanted::Image(Box::new(settings)))
    }

    fn set(&mut self, meaning: Meaning, name: &str, value: &OsStr) -> Result<(), Trouble> {
        // What only Rock Ridge can say switches it on.
        self.rock_ridge |= matches!(
            meaning,
            Meaning::Uid
                | Meaning::Gid
                | Meaning::FileMode
                | Meaning::DirectoryMode
                | Meaning::NewDirectoryMode
        );
        let id = |most| identifier(name, value, most);
        let is_genisoimage = self.dialect.is_genisoimage();
        // xorrisofs writes the identifiers in upper case that ECMA-119 allows only in upper case.
        let text = |most| id(most).map(|id| if is_genisoimage { id } else { id.to_ascii_uppercase() });
        match meaning {
            Meaning::Output => self.output = output(value),
            Meaning::VolumeId => self.volume_id = id(SHORT_BYTES_MAX)?,
            Meaning::SystemId => self.identifiers.system = text(SHORT_BYTES_MAX)?,
            Meaning::VolumeSet => self.identifiers.volume_set = text(TEXT_BYTES_MAX)?,
            Meaning::Publisher => self.identifiers.publisher = text(TEXT_BYTES_MAX)?,
            Meaning::Preparer => self.identifiers.preparer = text(TEXT_BYTES_MAX)?,
            Meaning::Application => self.identifiers.application = text(TEXT_BYTES_MAX)?,
            Meaning::Copyright => self.identifiers.copyright_file = text(FILE_BYTES_MAX)?,
            Meaning::Abstract => self.identifiers.abstract_file = text(FILE_BYTES_MAX)?,
            Meaning::Bibliography => self.identifiers.bibliographic_file = text(FILE_BYTES_MAX)?,
            Meaning::Joliet => self.joliet = true,
            Meaning::JolietLong => self.joliet |= is_genisoimage,
            Meaning::Rock => self.rock_ridge = true,
            Meaning::RationalRock => (self.rock_ridge, self.is_rational) = (true, true),
            Meaning::NoRock => self.rock_ridge = false,
            Meaning::FollowLinks => self.follow_links = true,
            Meaning::GraftPoints => self.graft_points = true,
            Meaning::InputCharset | Meaning::OutputCharset => {
                if is_genisoimage && !charset::is_known(value) {
                    return Err(Trouble::new(Failure::Charset, format!("Unknown charset {value:?}")));
                }
                if meaning == Meaning::InputCharset {
                    self.names_are_utf8 = charset::is_utf8(value);
                    self.joliet |= name == "jcharset";
                }
            }
            Meaning::Uid => self.uid = Some(number(name, value, 10)?),
            Meaning::Gid => self.gid = Some(number(name, value, 10)?),
            Meaning::FileMode => self.file_mode = Some(number(name, value, 8)? & 0o7777),
            Meaning::DirectoryMode => self.directory_mode = Some(number(name, value, 8)? & 0o7777),
            Meaning::NewDirectoryMode => self.made_directory_mode = number(name, value, 8)? & 0o7777,
            Meaning::PathList => {
                let operands = self.lines_of("path list", value)?;
                self.operands.extend(operands);
            }
            Meaning::Exclude => self.exclusions.add(self.dialect, value),
            Meaning::ExcludeList => {
                for pattern in self.lines_of("list of excluded files", value)? {
                    self.exclusions.add(self.dialect, &pattern);
                }
            }
            Meaning::NoBackups => self.no_backups = true,
            Meaning::VolumeSetNumber if value != "1" => {
                let message = format!("option '-{name}': only 1 is supported");
                return Err(Trouble::new(Failure::Value, message));
            }
            Meaning::PrintSize => self.print_size = true,
            Meaning::LogFile => self.log_file = Some(value.into()),
            Meaning::CylinderAlign => {
                let is_on = matches!(value.as_bytes(), b"on" | b"all");
                self.size_unit = if is_on { CYLINDER_BYTES } else { ALIGNMENT_BYTES };
            }
            Meaning::Quiet => self.quiet = true,
            Meaning::NoRelocation => self.no_relocation = true,
            Meaning::Check => self.check = true,
            _ => self.set_names(meaning, value)?,
        }
        Ok(())
    }

    /// The lines of a list.
    fn lines_of(&mut self, what: &str, path: &OsStr) -> Result<Vec<OsString>, Trouble> {
        let (lines, identity) = list::read(what, path)?;
        self.lists.extend(identity);
        Ok(lines)
    }

    /// Options about the names of the primary tree.
    fn set_names(&mut self, meaning: Meaning, value: &OsStr) -> Result<(), Trouble> {
        let names = &mut self.names;
        match meaning {
            Meaning::Level => match (value.as_bytes(), self.dialect) {
                (b"1", _) => {}
                (b"4", Dialect::Genisoimage) => names.length = Length::Unlimited,
                (b"2" | b"3" | b"4", _) => lengthen(names, Length::Long),
                _ => {
                    return Err(Trouble::new(
                        Failure::Value,
                        format!("illegal iso9660 level {value:?} (use 1, 2, 3 or 4)"),
                    ));
                }
            },
            Meaning::LongNames => lengthen(names, Length::Long),
            Meaning::LongestNames => {
                lengthen(names, Length::Longest);
                names.omit_version = true;
            }
            Meaning::LeadingDots => names.leading_dot = true,
            Meaning::LowerCase => names.lower_case = true,
            Meaning::ManyDots => names.many_dots = true,
            Meaning::Relaxed => names.ascii = true,
            Meaning::NoTranslate => names.tilde_hyphen_hash = self.dialect.is_genisoimage(),
            Meaning::OmitPeriod => names.omit_dot = true,
            Meaning::OmitVersion => names.omit_version = true,
            Meaning::Untranslated => {
                lengthen(names, if self.dialect.is_genisoimage() { Length::Long } else { Length::Longest });
                names.omit_dot = true;
                names.omit_version = true;
                names.leading_dot = true;
                names.ascii = true;
                names.lower_case = true;
                names.many_dots = true;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Makes names longer, never shorter.
fn lengthen(names: &mut PrimaryNames, length: Length) {
    let rank = |length| match length {
        Length::Short => 0,
        Length::Long => 1,
        Length::Longest => 2,
        Length::Unlimited => 3,
    };
    if rank(length) > rank(names.length) {
        names.length = length;
    }
}

/// Where the image goes.
fn output(value: &OsStr) -> Option<PathBuf> {
    const STANDARD: [&str; 3] = ["-", "/dev/stdout", "/dev/fd/1"];
    (!STANDARD.iter().any(|standard| value == *standard)).then(|| value.into())
}

/// The text of an identifier of at most `most` bytes.
fn identifier(name: &str, value: &OsStr, most: usize) -> Result<String, Trouble> {
    let text = value.to_string_lossy().into_owned();
    if text.len() > most {
        let message = format!("option '-{name}': the text has {} bytes, more than {most}", text.len());
        return Err(Trouble::new(Failure::Value, message));
    }
    Ok(text)
}

fn number(name: &str, value: &OsStr, radix: u32) -> Result<u32, Trouble> {
    let number = value.to_str().and_then(|text| u32::from_str_radix(text, radix).ok());
    number.ok_or_else(|| Trouble::new(Failure::Value, format!("option '-{name}': {value:?} is not a number")))
}
