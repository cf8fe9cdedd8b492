//! Checks of user data, meta-data, network configurations, recipes and images.

use std::{collections::HashSet, fmt, str::FromStr};

use crate::{
    datasource::{compatibility::Agent, layout::Layout},
    error::Result,
    image::{
        Image, Record,
        iso9660::writer::{Draft, LayoutCache},
    },
    recipe::Recipe,
    userdata::{
        binary::{self, Consumer, Verdict},
        cloud_config::header,
        config_tree::parse,
        finding::{Code, Finding, Severity},
        meta_data, network_config,
        schema::Rules,
    },
};

/// How much of a file on an image is checked, in bytes.
const CHECKED_BYTES_MAX: u64 = 64 << 20;

/// The largest file that is checked while an image is built, in bytes.
const PREPARED_BYTES_MAX: u64 = 8 << 20;

/// The kind of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// User data, for the agents of a layout if it is known.
    UserData(Option<Layout>),
    /// Meta-data of NoCloud or a config drive.
    MetaData(Layout),
    /// A network configuration of NoCloud.
    NetworkConfig,
    /// The networks of a config drive.
    NetworkData,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UserData(None) => "user data",
            Self::UserData(Some(Layout::LinuxKit)) => "user data for LinuxKit",
            Self::UserData(Some(Layout::NoCloud | Layout::ConfigDrive)) => "user data for cloud-init",
            Self::MetaData(_) => "meta-data",
            Self::NetworkConfig => "network configuration",
            Self::NetworkData => "networks of a config drive",
        })
    }
}

impl Subject {
    /// The kind of a file by its name, in any directory. Files with other names are user data.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        let name = name.rsplit('/').next().unwrap_or(name);
        match name.strip_suffix(".yaml").or(name.strip_suffix(".yml")).unwrap_or(name) {
            "meta-data" => Self::MetaData(Layout::NoCloud),
            "meta_data.json" => Self::MetaData(Layout::ConfigDrive),
            "network-config" => Self::NetworkConfig,
            "network_data.json" => Self::NetworkData,
            "user-data" => Self::UserData(Some(Layout::NoCloud)),
            "user_data" => Self::UserData(Some(Layout::ConfigDrive)),
            _ => Self::UserData(None),
        }
    }
}

/// A platform that limits the size of user data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Platform {
    /// Its name on the command line.
    pub name: &'static str,
    /// The largest user data, in bytes.
    pub bytes_max: usize,
    /// The limit, in words.
    pub limit: &'static str,
}

/// The known platforms.
pub const PLATFORMS: [Platform; 5] = [
    Platform { name: "aws", bytes_max: 16 << 10, limit: "EC2 accepts 16 KiB of user data, before base64" },
    Platform {
        name: "gcp",
        bytes_max: 256 << 10,
        limit: "Compute Engine accepts 256 KiB in a metadata value",
    },
    Platform { name: "vmware", bytes_max: 64 << 10, limit: "a GuestInfo value has at most 64 KiB, encoded" },
    Platform { name: "proxmox", bytes_max: 4 << 20, limit: "Proxmox VE makes a cloud-init drive of 4 MiB" },
    Platform {
        name: "kubevirt",
        bytes_max: 2048,
        limit: "KubeVirt accepts 2048 bytes inline, and more in a secret",
    },
];

impl FromStr for Platform {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        PLATFORMS
            .into_iter()
            .find(|target| target.name == name)
            .ok_or_else(|| format!("unknown platform {name:?}"))
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A text and the findings about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckedText {
    /// The name of the file on the image. `None`: the text itself was given, or the findings are about the image.
    pub name: Option<String>,
    /// The text that the findings refer to; empty if the data is not text.
    pub text: String,
    /// The findings: about data for cloud-init errors first, each kind in the order of the text; about a config tree in that
    /// order.
    pub findings: Vec<Finding>,
}

/// Checks a text.
#[must_use]
pub fn check(data: &[u8], subject: Subject, target: Option<Platform>) -> CheckedText {
    check_by(data, subject, target, &Rules::default())
}

/// As [`check`], by other rules than the ones of the program.
#[must_use]
pub fn check_by(data: &[u8], subject: Subject, target: Option<Platform>, rules: &Rules) -> CheckedText {
    let mut checked = match subject {
        Subject::UserData(layout) => check_userdata(data, layout, rules),
        Subject::MetaData(Layout::ConfigDrive) => check_text(data, meta_data::check_config_drive),
        Subject::MetaData(_) => check_text(data, meta_data::check_nocloud),
        Subject::NetworkData => check_text(data, meta_data::check_network_data),
        Subject::NetworkConfig => check_text(data, network_config::check),
    };
    if let (Some(target), Subject::UserData(_)) = (target, subject)
        && data.len() > target.bytes_max
    {
        let message = format!("the user data has {} bytes; {}", data.len(), target.limit);
        checked.findings.push(Finding::new(Code::TooLarge, 0..0, message));
    }
    checked
}

/// Whether data that begins like this must be read to its end: it is text, or a config tree in a wrong encoding. For other
/// data the beginning is enough.
fn must_be_read(beginning: &[u8]) -> bool {
    !binary::is_binary(beginning) || parse::looks_like_tree(beginning)
}

fn check_userdata(data: &[u8], layout: Option<Layout>, rules: &Rules) -> CheckedText {
    if parse::looks_like_tree(data) {
        let parsed = parse::parse(data);
        return CheckedText { name: None, text: parsed.text.into_owned(), findings: parsed.findings };
    }
    let reader = match layout {
        None => Consumer::Unknown,
        Some(Layout::LinuxKit) => Consumer::LinuxKit,
        Some(Layout::NoCloud | Layout::ConfigDrive) => Consumer::CloudInit,
    };
    match binary::classify(data, reader) {
        Verdict::Text => {}
        Verdict::CompressedText => return CheckedText::default(),
        Verdict::Binary(finding) => return CheckedText { findings: vec![finding], ..CheckedText::default() },
    }
    let for_cloud_init = reader == Consumer::CloudInit;
    check_text(data, |text, findings| header::check_userdata(text, for_cloud_init, rules, findings))
}

fn check_text(data: &[u8], check: impl FnOnce(&str, &mut Vec<Finding>)) -> CheckedText {
    let text = String::from_utf8_lossy(data).into_owned();
    let mut findings = Vec::new();
    if let Some(at) = binary::find_nul(data) {
        let message = format!("byte {at} is a NUL character, which text cannot contain");
        findings.push(Finding::new(Code::Binary, 0..0, message));
        return CheckedText { findings, ..CheckedText::default() };
    }
    if let Err(error) = str::from_utf8(data) {
        let at = error.valid_up_to();
        let end = at + '\u{fffd}'.len_utf8();
        findings.push(Finding::new(Code::NotUtf8, at..end, format!("byte {at} is not UTF-8")));
    } else if text.starts_with('\u{feff}') {
        let message =
            "the text starts with a byte order mark, which cloud-init takes for part of the first line";
        findings.push(
            Finding::new(Code::ByteOrderMark, 0..3, message)
                .with_hint("save the file as UTF-8 without a byte order mark"),
        );
    } else {
        check(&text, &mut findings);
    }
    findings.sort_by_key(|finding| (finding.code.severity() == Severity::Warning, finding.span.start));
    CheckedText { name: None, text, findings }
}

/// A recipe whose sources have been opened, with warnings.
#[derive(Debug)]
pub struct Prepared {
    /// The image that will be written.
    pub draft: Draft,
    /// What is allowed but probably a mistake, one sentence each.
    pub warnings: Vec<String>,
    /// The files that agents read, and their kinds.
    subjects: Vec<(&'static str, Subject)>,
}

impl Prepared {
    /// Opens every source of `recipe` and plans the image.
    ///
    /// # Errors
    /// Fails if the recipe contradicts itself ([`Contradiction`](crate::recipe::Contradiction)), or a source cannot be read.
    pub fn new(recipe: Recipe) -> Result<Self> {
        Self::with_cache(recipe, None)
    }

    /// As [`Prepared::new`] for one of many images, which may reuse the layouts of others ([`Draft::with_cache`]).
    ///
    /// # Errors
    /// Fails as [`Prepared::new`] does.
    pub fn with_cache(recipe: Recipe, cache: Option<&mut LayoutCache>) -> Result<Self> {
        let mut warnings = recipe.warnings();
        let layout = recipe.layout;
        let subjects = [
            (Some(layout.userdata_name()), Subject::UserData(Some(layout))),
            (layout.metadata_name().filter(|_| recipe.meta_data.is_some()), Subject::MetaData(layout)),
            (layout.network_config_name(), network_subject(layout)),
        ];
        let subjects = subjects.into_iter().filter_map(|(name, subject)| Some((name?, subject))).collect();
        let draft = recipe.draft_with_cache(cache)?;
        if draft.is_empty(layout.userdata_name()) {
            warnings.push(match layout {
                Layout::LinuxKit => {
                    "the data is empty, and the guest's agent ignores an empty file".to_owned()
                }
                Layout::NoCloud | Layout::ConfigDrive => "the user data is empty".to_owned(),
            });
        }
        warnings.extend_from_slice(draft.warnings());
        Ok(Self { draft, warnings, subjects })
    }

    /// Checks the files that agents read, up to 8 MiB each, and calls `each` with the findings about each of them.
    ///
    /// # Errors
    /// Fails if a source cannot be read, or if `each` fails.
    pub fn check(&mut self, mut each: impl FnMut(CheckedText) -> Result<()>) -> Result<()> {
        for (name, subject) in &self.subjects {
            let mut beginning = None;
            let wanted = |start: &[u8]| {
                let wanted = must_be_read(start);
                beginning = (!wanted).then(|| start.to_vec());
                wanted
            };
            let content = self.draft.content(name, PREPARED_BYTES_MAX, wanted)?;
            if let Some(content) = content.or(beginning) {
                each(CheckedText { name: Some((*name).to_owned()), ..check(&content, *subject, None) })?;
            }
        }
        Ok(())
    }
}

/// Checks an image and the files on it that agents read.
///
/// # Errors
/// Fails if the image cannot be read.
pub fn check_image(image: &mut Image, target: Option<Platform>, rules: &Rules) -> Result<Vec<CheckedText>> {
    let (volume, records) = image.list()?;
    let mut about_image = CheckedText::default();
    let identifier = &volume.identifier;
    for layout in [Layout::NoCloud, Layout::ConfigDrive] {
        let expected = layout.volume_identifier();
        let [lower, upper] = [expected.to_ascii_lowercase(), expected.to_ascii_uppercase()];
        if identifier.eq_ignore_ascii_case(expected) && *identifier != lower && *identifier != upper {
            let message = format!(
                "the volume identifier is {identifier:?}, but agents look for {upper:?} or {lower:?}"
            );
            about_image.findings.push(Finding::new(Code::VolumeIdentifier, 0..0, message));
        }
    }
    let readings = Agent::ALL.map(|agent| agent.compatibility(&volume, &records));
    if readings.iter().all(|reading| reading.takes.is_none()) {
        let why = readings
            .into_iter()
            .zip(Agent::ALL)
            .filter_map(|(reading, agent)| Some(format!("{}: {}", agent.name(), reading.because?)));
        let message = format!("no agent finds data ({})", why.collect::<Vec<_>>().join("; "));
        about_image.findings.push(Finding::new(Code::Unread, 0..0, message));
    }
    let layout = Layout::of(&volume, &records);
    let mut all = vec![about_image];
    let mut seen = HashSet::new();
    for record in &records {
        let Some(subject) = subject_of(record, layout) else { continue };
        // An agent reads the first file of a name. A hostile image may have many.
        if !seen.insert(&record.path) {
            continue;
        }
        let data = image.read(record, CHECKED_BYTES_MAX)?;
        all.push(CheckedText {
            name: Some(record.display_path()),
            ..check_by(&data, subject, target, rules)
        });
    }
    Ok(all)
}

/// The kind of the file that describes networks.
fn network_subject(layout: Layout) -> Subject {
    if layout == Layout::ConfigDrive { Subject::NetworkData } else { Subject::NetworkConfig }
}

/// The kind of a file on an image, if an agent reads it.
fn subject_of(record: &Record, layout: Option<Layout>) -> Option<Subject> {
    let layouts = match layout {
        Some(layout) => vec![layout],
        None => Layout::ALL.to_vec(),
    };
    layouts.into_iter().find_map(|layout| {
        let is = |name: Option<&str>| name.is_some_and(|name| record.path == name.as_bytes());
        if is(Some(layout.userdata_name())) {
            Some(Subject::UserData(Some(layout)))
        } else if is(layout.metadata_name()) {
            Some(Subject::MetaData(layout))
        } else if is(layout.network_config_name()) {
            Some(network_subject(layout))
        } else {
            None
        }
    })
}
