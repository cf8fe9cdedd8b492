//! `metadata diff`.

use std::{
    collections::{BTreeMap, HashMap},
    fmt::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::Result;
use metadata_image::{
    encoding::hex,
    image::{Kind, Volume},
};
use serde::Serialize;

use super::{
    Trouble,
    diff_side::{Entry, Side},
    diff_text::{BYTES_MAX, Steps},
    escape::{pretty_json, printable},
    print,
    progress::Bar,
};

/// Compare two images, or an image with a directory
///
/// Shows which files differ in their bytes or permission bits, which are only
/// in A (removed) or only in B (added), and whether the volume identifiers and
/// dates differ. If one side is a directory, only names and bytes are compared.
/// The exit status is 0 if there is no difference, 1 if there is one, and 2 if
/// the comparison failed.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// An image, a block device with one, or a directory
    a: PathBuf,

    /// The image, block device or directory to compare with A
    b: PathBuf,

    /// Show the changed lines of text files of up to 4 MiB
    #[arg(long)]
    text: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,

    /// Print nothing; the exit status is the answer
    #[arg(short, long, conflicts_with_all = ["text", "json"])]
    quiet: bool,
}

const EXAMPLES: &str = "\
Examples:
  metadata diff old.iso new.iso
  metadata diff --text old.iso new.iso
  metadata diff seed/ seed.iso";

/// Exit status if there is a difference.
const EXIT_DIFFERENT: u8 = 1;

/// What `--json` prints.
#[derive(Serialize)]
struct DiffOutput {
    a: String,
    b: String,
    same: bool,
    volume: Vec<VolumeDifference>,
    files: Vec<FileDifference>,
}

/// Something that two volumes state in different ways.
#[derive(Serialize)]
struct VolumeDifference {
    what: &'static str,
    a: Option<String>,
    b: Option<String>,
}

/// A file that is not the same on both sides.
#[derive(Serialize)]
struct FileDifference {
    name: String,
    change: Change,
    /// `None`: it is only in B.
    a: Option<ShownEntry>,
    /// `None`: it is only in A.
    b: Option<ShownEntry>,
    /// The changed lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    text: Option<String>,
}

#[derive(Clone, Copy, Serialize)]
#[serde(rename_all = "lowercase")]
enum Change {
    Added,
    Removed,
    /// One is a file and the other a directory, for example.
    Kind,
    Content,
    Mode,
}

#[derive(Serialize)]
struct ShownEntry {
    kind: &'static str,
    size: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    /// The digest, if the file was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
}

impl Args {
    pub(crate) fn run(self) -> Result<ExitCode> {
        self.compare_and_print().map_err(|error| Trouble(error).into())
    }

    fn compare_and_print(&self) -> Result<ExitCode> {
        let [a, b] = [Side::open(&self.a)?, Side::open(&self.b)?];
        let volume = match (&a.volume, &b.volume) {
            (Some(a), Some(b)) => compare_volumes(a, b),
            _ => Vec::new(),
        };
        let files = self.compare_files(&a, &b)?;
        let same = volume.is_empty() && files.is_empty();
        let shown = |path: &Path| path.display().to_string();
        let found = DiffOutput { a: shown(&a.path), b: shown(&b.path), same, volume, files };
        match self {
            Self { quiet: true, .. } => {}
            Self { json: true, .. } => print(&pretty_json(&found)?)?,
            _ => print(&found.to_text())?,
        }
        Ok(if same { ExitCode::SUCCESS } else { EXIT_DIFFERENT.into() })
    }

    fn compare_files(&self, a: &Side, b: &Side) -> Result<Vec<FileDifference>> {
        let mut progress = Bar::new(self.quiet);
        let mut steps = Steps::new();
        let mut found = Vec::new();
        for (name, entries) in pairs(a, b) {
            let Some((change, [shown_a, shown_b])) = compare(entries, [a, b], &mut progress)? else {
                continue;
            };
            let text = match (change, entries) {
                (Change::Content, [Some(in_a), Some(in_b)]) if self.text => {
                    let shown = String::from_utf8_lossy(name);
                    let names = [a, b].map(|side| format!("{}/{shown}", side.path.display()));
                    match (a.read(in_a, BYTES_MAX)?, b.read(in_b, BYTES_MAX)?) {
                        (Some(a), Some(b)) => steps.unified([&names[0], &names[1]], [&a, &b]),
                        _ => None,
                    }
                }
                _ => None,
            };
            let name = String::from_utf8_lossy(name).into_owned();
            found.push(FileDifference { name, change, a: shown_a, b: shown_b, text });
        }
        Ok(found)
    }
}

/// The entries of both sides by name. On two FAT volumes, names that differ only in case are the same to a guest.
fn pairs<'a>(a: &'a Side, b: &'a Side) -> BTreeMap<&'a [u8], [Option<&'a Entry>; 2]> {
    let mut pairs: BTreeMap<&[u8], [Option<&Entry>; 2]> = BTreeMap::new();
    let ignore_case = [a, b].iter().all(|side| side.volume.as_ref().is_some_and(|it| it.read.is_fat()));
    let folded: HashMap<_, _> = if ignore_case {
        a.entries.keys().map(|name| (name.to_ascii_lowercase(), name)).collect()
    } else {
        HashMap::new()
    };
    for (name, entry) in &a.entries {
        pairs.entry(name).or_default()[0] = Some(entry);
    }
    for (name, entry) in &b.entries {
        let name = folded.get(&name.to_ascii_lowercase()).copied().unwrap_or(name);
        pairs.entry(name).or_default()[1] = Some(entry);
    }
    pairs
}

fn compare_volumes(a: &Volume, b: &Volume) -> Vec<VolumeDifference> {
    let parts = [
        ("volume_identifier", Some(a.identifier.clone()), Some(b.identifier.clone())),
        ("created", a.created.clone(), b.created.clone()),
        ("modified", a.modified.clone(), b.modified.clone()),
    ];
    let differing = parts.into_iter().filter(|(_, a, b)| a != b);
    differing.map(|(what, a, b)| VolumeDifference { what, a, b }).collect()
}

/// How the two entries of a name differ, with what is shown of them. `None`: they do not.
fn compare(
    [a, b]: [Option<&Entry>; 2],
    sides: [&Side; 2],
    progress: &mut Bar,
) -> Result<Option<(Change, [Option<ShownEntry>; 2])>> {
    let (a, b) = match (a, b) {
        (Some(a), Some(b)) => (a, b),
        (Some(a), None) => return Ok(Some((Change::Removed, [Some(ShownEntry::of(a, None)), None]))),
        (None, b) => return Ok(b.map(|b| (Change::Added, [None, Some(ShownEntry::of(b, None))]))),
    };
    let mut digests = [None, None];
    let change = if a.kind != b.kind {
        Some(Change::Kind)
    } else if a.kind == Kind::File && a.len != b.len {
        Some(Change::Content)
    } else {
        if a.kind == Kind::File && a.len > 0 {
            let [in_a, in_b] = sides;
            digests = [Some(in_a.digest(a, progress)?), Some(in_b.digest(b, progress)?)];
        }
        let modes = a.mode.zip(b.mode);
        match digests {
            [a, b] if a != b => Some(Change::Content),
            _ if modes.is_some_and(|(a, b)| a != b) => Some(Change::Mode),
            _ => None,
        }
    };
    let [digest_a, digest_b] = digests.map(|digest| digest.map(|digest| hex(&digest)));
    Ok(change.map(|change| (change, [Some(ShownEntry::of(a, digest_a)), Some(ShownEntry::of(b, digest_b))])))
}

impl ShownEntry {
    fn of(entry: &Entry, sha256: Option<String>) -> Self {
        let kind = match entry.kind {
            Kind::File => "file",
            Kind::Directory => "directory",
            Kind::SymbolicLink => "symbolic link",
            Kind::Other => "other",
        };
        let mode = entry.mode.map(|mode| format!("{mode:04o}"));
        Self { kind, size: entry.len, mode, sha256 }
    }
}

impl DiffOutput {
    fn to_text(&self) -> String {
        let mut text = String::new();
        for VolumeDifference { what, a, b } in &self.volume {
            let shown = |value: &Option<String>| printable(value.as_deref().unwrap_or("no valid date"));
            let what = if *what == "volume_identifier" { "volume" } else { what };
            push_line(&mut text, what, &format!("{} -> {}", shown(a), shown(b)));
        }
        for file in &self.files {
            let (what, details) = file.in_words();
            push_line(&mut text, what, &format!("{}{details}", printable(&file.name)));
            // Its lines are escaped already.
            text += file.text.as_deref().unwrap_or_default();
        }
        text
    }
}

fn push_line(text: &mut String, what: &str, rest: &str) {
    writeln!(text, "{what:<8}  {rest}").expect("writing to a string does not fail");
}

impl FileDifference {
    /// The change in a word, and what follows the name.
    fn in_words(&self) -> (&'static str, String) {
        let details = match (self.change, &self.a, &self.b) {
            (Change::Kind, Some(a), Some(b)) => format!(": {} -> {}", a.kind, b.kind),
            (_, Some(a), Some(b)) => {
                let sizes = (a.size != b.size).then(|| format!("{} -> {} bytes", a.size, b.size));
                let modes = a.mode.as_ref().zip(b.mode.as_ref()).filter(|(a, b)| a != b);
                let modes = modes.map(|(a, b)| format!("mode {a} -> {b}"));
                let parts: Vec<_> = [sizes, modes].into_iter().flatten().collect();
                if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(", ")) }
            }
            (_, Some(only), None) | (_, None, Some(only)) => match only.kind {
                "file" => format!(" ({} bytes)", only.size),
                "directory" => "/".to_owned(),
                kind => format!(" ({kind})"),
            },
            (_, None, None) => String::new(),
        };
        let what = match self.change {
            Change::Added => "added",
            Change::Removed => "removed",
            Change::Kind => "kind",
            Change::Content => "changed",
            Change::Mode => "mode",
        };
        (what, details)
    }
}
