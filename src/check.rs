//! Checks of user data, meta-data, network configurations, recipes and images.

use std::{
    collections::HashSet,
    fmt, iter,
    path::{Path, PathBuf},
    str::FromStr,
};

use crate::{
    datasource::{compatibility::Agent, layout::Layout},
    error::Result,
    image::{Image, Record, draft::Draft, iso9660::writer::LayoutCache, source::Source},
    recipe::{Recipe, Warning, change::ChangedImage, user_data::UserData},
    userdata::{
        binary::{self, Consumer, NotUnpacked, Verdict},
        cloud_config::{
            header,
            part_type::PartType,
            parts::{self, DecodedPart},
        },
        config_tree::parse,
        finding::{Code, Finding, Severity},
        json_document, meta_data, network_config,
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
    /// `network_data.json` of a config drive.
    NetworkData,
    /// Vendor data of NoCloud, which is like user data, or of a config drive.
    VendorData(Layout),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UserData(None) => "user data",
            Self::UserData(Some(Layout::LinuxKit)) => "user data for LinuxKit",
            Self::UserData(Some(Layout::NoCloud | Layout::ConfigDrive)) => "user data for cloud-init",
            Self::MetaData(_) => "meta-data",
            Self::NetworkConfig | Self::NetworkData => "network configuration",
            Self::VendorData(_) => "vendor data",
        })
    }
}

impl Subject {
    /// The kind of a file by its name, or, if that says nothing, by the keys of its YAML: a network configuration has `network`
    /// alone, or `version` and the networks.
    #[must_use]
    pub fn of_file(name: &str, data: &[u8]) -> Self {
        const NETWORKS: [&str; 7] = ["config", "ethernets", "bonds", "bridges", "vlans", "wifis", "renderer"];
        let by_name = Self::of_name(name);
        if by_name != Self::UserData(None) || data.starts_with(b"#cloud-config") {
            return by_name;
        }
        let text = String::from_utf8_lossy(data);
        let top = text.lines().filter(|line| line.starts_with(|first: char| first.is_ascii_alphabetic()));
        let keys: HashSet<_> = top.filter_map(|line| Some(line.split_once(':')?.0)).collect();
        let is_network = keys == HashSet::from(["network"])
            || keys.contains("version") && NETWORKS.iter().any(|key| keys.contains(key));
        if is_network { Self::NetworkConfig } else { by_name }
    }

    /// The kind of a file by its name, in any directory. Files with other names are user data.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        let name = name.rsplit('/').next().unwrap_or(name);
        match name.strip_suffix(".yaml").or(name.strip_suffix(".yml")).unwrap_or(name) {
            "meta-data" => Self::MetaData(Layout::NoCloud),
            "meta_data.json" => Self::MetaData(Layout::ConfigDrive),
            "network-config" => Self::NetworkConfig,
            "network_data.json" => Self::NetworkData,
            "vendor-data" => Self::VendorData(Layout::NoCloud),
            "vendor_data.json" => Self::VendorData(Layout::ConfigDrive),
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

/// A text and the findings about it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckedText {
    /// The name of the file on the image, and of the part in it. `None`: the text itself was given, or the findings are about
    /// the image.
    pub name: Option<String>,
    /// The file on the host that has the text.
    pub source: Option<PathBuf>,
    /// The text that the findings refer to; empty if the data is not text.
    pub text: String,
    /// The findings: about data for cloud-init errors first, each kind in the order of the text; about a config tree in that
    /// order.
    pub findings: Vec<Finding>,
}

impl CheckedText {
    /// The same of a file with this name.
    #[must_use]
    pub fn below(self, file: &str) -> Self {
        let name = self.name.map_or_else(|| file.to_owned(), |part| format!("{file}/{part}"));
        Self { name: Some(name), ..self }
    }
}

/// Checks a text. The parts of a MIME document that are encoded are left out ([`check_whole`] has them).
#[must_use]
pub fn check(data: &[u8], subject: Subject, target: Option<Platform>) -> CheckedText {
    check_whole(data, subject, target, &Rules::default()).swap_remove(0)
}

/// Checks a text and what it consists of. The first one is the text itself, unpacked if it is compressed; the others are parts
/// that are encoded in it, with their names. `rules`: those for cloud-config.
#[must_use]
pub fn check_whole(
    data: &[u8],
    subject: Subject,
    target: Option<Platform>,
    rules: &Rules,
) -> Vec<CheckedText> {
    let mut checked = match subject {
        Subject::UserData(layout) => check_userdata(data, layout, rules),
        Subject::VendorData(Layout::ConfigDrive) => vec![check_text(data, json_document::check_vendor_data)],
        Subject::VendorData(layout) => check_userdata(data, Some(layout), rules),
        Subject::MetaData(Layout::ConfigDrive) => vec![check_text(data, |text, findings| {
            if json_document::check_object(text, "meta_data.json", findings) {
                meta_data::check_config_drive(text, findings);
            }
        })],
        Subject::MetaData(_) => vec![check_text(data, meta_data::check_nocloud)],
        Subject::NetworkConfig => vec![check_text(data, network_config::check)],
        Subject::NetworkData => vec![check_text(data, |text, findings| {
            if json_document::check_object(text, "network_data.json", findings) {
                meta_data::check_network_data(text, findings);
            }
        })],
    };
    if let (Some(target), Subject::UserData(_)) = (target, subject)
        && data.len() > target.bytes_max
    {
        let message = format!("the user data has {} bytes; {}", data.len(), target.limit);
        checked[0].findings.push(Finding::new(Code::TooLarge, 0..0, message));
    }
    checked
}

/// Whether data that begins like this must be read to its end: it is text, perhaps compressed, or a config tree in a wrong
/// encoding. For other data the beginning is enough.
fn must_be_read(beginning: &[u8]) -> bool {
    !binary::is_binary(beginning) || parse::looks_like_tree(beginning) || binary::is_gzip(beginning)
}

fn check_userdata(data: &[u8], layout: Option<Layout>, rules: &Rules) -> Vec<CheckedText> {
    // cloud-init does not know the JSON of LinuxKit.
    if parse::looks_like_tree(data) && !matches!(layout, Some(Layout::NoCloud | Layout::ConfigDrive)) {
        let parsed = parse::parse(data);
        let text = parsed.text.into_owned();
        return vec![CheckedText { text, findings: parsed.findings, ..CheckedText::default() }];
    }
    let reader = match layout {
        None => Consumer::Unknown,
        Some(Layout::LinuxKit) => Consumer::LinuxKit,
        Some(Layout::NoCloud | Layout::ConfigDrive) => Consumer::CloudInit,
    };
    let only = |finding| vec![CheckedText { findings: vec![finding], ..CheckedText::default() }];
    match binary::classify(data, reader) {
        Verdict::Text => check_documents(data, reader, rules),
        Verdict::Binary(finding) => only(finding),
        Verdict::CompressedText => {
            let limit = parts::unpacked_bytes_max(data.len());
            match binary::unpack(data, limit) {
                Ok(text) => check_documents(text.as_bytes(), reader, rules),
                Err(NotUnpacked::TooLarge) => only(parts::too_large_to_unpack(0..0, limit)),
                Err(NotUnpacked::Damaged) => {
                    only(Finding::new(Code::Binary, 0..0, "damaged gzip data; cloud-init ignores it"))
                }
            }
        }
    }
}

/// Whether text is data that only cloud-init knows; scripts are for any agent.
fn is_for_cloud_init(text: &str) -> bool {
    let kind = PartType::of_content(text.as_bytes());
    kind.is_some_and(|kind| kind.mime.starts_with("text/cloud-config") || kind.mime == "text/jinja2")
}

/// Checks text that is not a config tree, and the parts that it consists of.
fn check_documents(data: &[u8], reader: Consumer, rules: &Rules) -> Vec<CheckedText> {
    let mut decoded = Vec::new();
    let whole = check_text(data, |text, findings| {
        if reader == Consumer::LinuxKit && is_for_cloud_init(text) {
            let first = text.lines().next().unwrap_or_default().len();
            let message = "the data is for cloud-init, which does not look for the file config";
            let finding = Finding::new(Code::OtherAgent, 0..first, message);
            findings.push(finding.with_hint("for cloud-init, build the image with --layout nocloud"));
        }
        header::check_userdata(text, reader == Consumer::CloudInit, rules, findings);
        decoded = parts::check_parts(text, rules, findings);
    });
    let part = |DecodedPart { name, text, findings }| CheckedText {
        name: Some(name),
        text,
        findings,
        ..CheckedText::default()
    };
    iter::once(whole).chain(decoded.into_iter().map(part)).collect()
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
    CheckedText { text, findings, ..CheckedText::default() }
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
    name: &'static str,
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
        let file = |(name, subject): (Option<_>, _)| Some(Self { name: name?, subject, source: None });
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

    /// As [`Prepared::new`] for one of many images, which may reuse the layouts of others ([`Draft::with_cache`]).
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
        let ChangedImage { draft, warnings, layout, changed, .. } = changed;
        let subjects = layout.into_iter().flat_map(PreparedFile::of_layout);
        let subjects = subjects.filter(|file| changed.contains(file.name.as_bytes())).collect();
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
                    each(CheckedText { source, ..text.below(name) })?;
                }
            }
        }
        Ok(())
    }
}

/// Checks an image and the files on it that agents read.
///
/// # Errors
/// Fails if the image cannot be read.
pub fn check_image(image: &mut Image, target: Option<Platform>) -> Result<Vec<CheckedText>> {
    check_image_by(image, target, &Rules::default())
}

/// As [`check_image`], by other rules than the ones of the program.
///
/// # Errors
/// Fails if the image cannot be read.
pub fn check_image_by(
    image: &mut Image,
    target: Option<Platform>,
    rules: &Rules,
) -> Result<Vec<CheckedText>> {
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
        if matches!(subject, Subject::UserData(_))
            && let Some(why) = Agent::CloudInit.compatibility(&volume, &records).because
            && Agent::CloudInit.compatibility(&volume, &records).takes.is_none()
            && is_for_cloud_init(&String::from_utf8_lossy(&data[..data.len().min(64)]))
            && layout != Some(Layout::LinuxKit)
        {
            let message = format!("cloud-init does not find the user data: {why}");
            all[0].findings.push(Finding::new(Code::Unread, 0..0, message));
        }
        let name = record.display_path();
        all.extend(check_whole(&data, subject, target, rules).into_iter().map(|text| text.below(&name)));
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
        } else if is(layout.vendor_data_name()) {
            Some(Subject::VendorData(layout))
        } else {
            None
        }
    })
}
