//! `metadata show`.

use std::{fmt::Write as _, io, path::PathBuf};

use anyhow::{Result, bail};
use metadata_image::{
    datasource::{
        compatibility::{Agent, Compatibility},
        layout::Layout,
    },
    image::{Image, Kind, Record, Volume, probe::FileSystem},
    manifest::{self, Manifest, timestamp::Timestamp},
};
use serde::Serialize;

use super::{
    colours_are_wanted,
    escape::{pretty_json, printable},
    print,
    words::open_image,
};

/// Show the content of an image and which agents find it
///
/// Reads any ISO 9660 or FAT image, including those of other tools, from a file
/// or a block device. The last table shows which file each agent reads as the user
/// data, and whether it finds the file if the image is attached as a CD-ROM or
/// as a virtio disk.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, aliases = ["ls", "info"])]
pub(crate) struct Args {
    /// The image, or a block device
    image: PathBuf,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
Examples:
  metadata show meta.iso
  metadata show --json /dev/sr0";

/// What `--json` prints.
#[derive(Serialize)]
struct ShowOutput {
    path: String,
    size: u64,
    volume_identifier: String,
    volume_size: u64,
    created: Option<String>,
    modified: Option<String>,
    layout: Option<Layout>,
    trees: Vec<&'static str>,
    /// The tree whose files are listed.
    tree: &'static str,
    #[serde(skip)]
    is_fat: bool,
    /// Whether the root directory is malformed and was read leniently.
    malformed: bool,
    files: Vec<ShownFile>,
    agents: Vec<ShownAgent>,
    /// The manifest, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<ShownManifest>,
}

/// A manifest, which has not been checked against the image.
#[derive(Serialize)]
#[serde(untagged)]
enum ShownManifest {
    Parsed {
        run_id: String,
        user_provided_metadata: Vec<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        not_before: Option<Timestamp>,
        #[serde(skip_serializing_if = "Option::is_none")]
        not_after: Option<Timestamp>,
        #[serde(skip_serializing_if = "Option::is_none")]
        audience: Option<String>,
        /// Whether the image has a signature file.
        signed: bool,
    },
    Malformed {
        error: String,
    },
}

#[derive(Serialize)]
struct ShownAgent {
    agent: &'static str,
    #[serde(flatten)]
    reading: Compatibility,
}

#[derive(Serialize)]
struct ShownFile {
    name: String,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mode: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    size: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sector: Option<u64>,
    /// Where the file begins on the image, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    /// Whether the image contains all of its bytes.
    complete: bool,
}

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let mut image = open_image(&self.image)?;
        let (volume, records) = image.list()?;
        let files = records.iter().map(|record| shown(&image, &volume, record)).collect();
        let shown = ShowOutput {
            path: self.image.display().to_string(),
            size: image.bytes(),
            volume_identifier: volume.identifier.clone(),
            volume_size: volume.bytes,
            created: volume.created.clone(),
            modified: volume.modified.clone(),
            layout: Layout::of(&volume, &records),
            trees: volume.trees.iter().map(|tree| tree.name()).collect(),
            tree: volume.read.name(),
            is_fat: volume.read.is_fat(),
            malformed: volume.malformed,
            files,
            agents: shown_agents(&image, &volume, &records),
            manifest: shown_manifest(&image, &records),
        };
        let text = if self.json { pretty_json(&shown)? } else { shown.to_text() };
        print(&text)?;
        if let Some(file) = shown.files.iter().find(|file| !file.complete) {
            bail!("reading image {:?}: file {:?} reaches past the end of the image", self.image, file.name);
        }
        Ok(())
    }
}

fn shown_agents(image: &Image, volume: &Volume, records: &[Record]) -> Vec<ShownAgent> {
    let shown = |agent: Agent| {
        let mut reading = agent.compatibility(volume, records);
        // It finds volumes by blkid. Magic bytes alone do not settle what that says.
        if agent == Agent::CloudInit
            && reading.takes.is_some()
            && reading.because.is_none()
            && image.file_system() == FileSystem::Iso9660
            && image.check_superblocks(records).is_err()
        {
            let why = "unless blkid takes the image for another file system (see metadata check)";
            reading.because = Some(why.to_owned());
        }
        ShownAgent { agent: agent.name(), reading }
    };
    Agent::ALL.map(shown).into()
}

fn shown_manifest(image: &Image, records: &[Record]) -> Option<ShownManifest> {
    let find = |name: &str| {
        records.iter().find(|record| record.kind == Kind::File && record.path == name.as_bytes())
    };
    let record = find(manifest::NAME)?;
    let parsed = image.read(record, manifest::BYTES_MAX).and_then(|bytes| Manifest::parse(&bytes));
    Some(match parsed {
        Err(error) => ShownManifest::Malformed { error: format!("{error:#}") },
        Ok(manifest) => ShownManifest::Parsed {
            run_id: manifest.run_id,
            user_provided_metadata: manifest.user_provided_metadata,
            not_before: manifest.not_before,
            not_after: manifest.not_after,
            audience: manifest.audience,
            signed: find(manifest::SIGNATURE_NAME).is_some(),
        },
    })
}

fn shown(image: &Image, volume: &Volume, record: &Record) -> ShownFile {
    let is_file = record.kind == Kind::File;
    ShownFile {
        name: record.display_path(),
        kind: match record.kind {
            Kind::File => "file",
            Kind::Directory => "directory",
            Kind::SymbolicLink => "symbolic link",
            Kind::Other => "other",
        },
        mode: record.mode.map(|mode| format!("{mode:04o}")),
        size: is_file.then_some(record.len),
        sector: record.extents.first().map(|extent| extent.offset / volume.sector_bytes),
        offset: record.extents.first().map(|extent| extent.offset),
        complete: image.holds(record),
    }
}

impl ShowOutput {
    fn to_text(&self) -> String {
        let style = Style::for_standard_output();
        let mut text = String::new();
        let mut line = |name: &str, value: String| {
            writeln!(text, "{} {}", style.faint(&format!("{name:<9}")), printable(&value))
                .expect("writing to a string does not fail");
        };
        line("image", self.path.clone());
        let truncated = if self.volume_size > self.size {
            let place = if self.is_fat { "boot sector" } else { "descriptor" };
            format!(", {} in the {place}", self.volume_size)
        } else {
            String::new()
        };
        line("size", format!("{} bytes{truncated}", self.size));
        line("volume", self.volume_identifier.clone());
        line("layout", self.layout.map_or("unknown".to_owned(), |layout| layout.to_string()));
        line("created", self.created.clone().unwrap_or_else(|| "no valid date".to_owned()));
        line("modified", self.modified.clone().unwrap_or_else(|| "no valid date".to_owned()));
        line(if self.is_fat { "format" } else { "trees" }, self.describe_trees());
        for (name, value) in self.manifest.iter().flat_map(ShownManifest::lines) {
            line(name, value);
        }

        let mut rows = vec![["mode", "size", "sector", "name"].map(str::to_owned)];
        rows.extend(self.files.iter().map(|file| {
            let number = |value: Option<u64>| value.map_or("-".to_owned(), |value| value.to_string());
            let slash = if file.kind == "directory" { "/" } else { "" };
            let cut = match file.kind {
                "symbolic link" => "  (symbolic link)",
                "other" => "  (device, FIFO or socket)",
                _ if !file.complete => "  (reaches past the end)",
                _ => "",
            };
            let name = format!("{}{slash}{cut}", printable(&file.name));
            [
                file.mode.clone().unwrap_or_else(|| "-".to_owned()),
                number(file.size),
                number(file.sector),
                name,
            ]
        }));
        text.push('\n');
        text += &table(&rows, [false, true, true, false], &style);

        let mut rows = vec![["agent", "reads", "cd-rom", "virtio disk"].map(str::to_owned)];
        for ShownAgent { agent, reading } in &self.agents {
            let yes = |found: bool| if found { "yes" } else { "no" };
            let because =
                reading.because.as_ref().map_or(String::new(), |because| format!(": {}", printable(because)));
            rows.push([
                (*agent).to_owned(),
                reading.takes.clone().unwrap_or_else(|| "nothing".to_owned()),
                yes(reading.cdrom).to_owned(),
                yes(reading.virtio).to_owned() + &because,
            ]);
        }
        text.push('\n');
        text + &table(&rows, [false; 4], &style)
    }

    fn describe_trees(&self) -> String {
        let name = |tree: &&str| {
            if *tree == self.tree && !self.is_fat { format!("{tree} (shown)") } else { (*tree).to_owned() }
        };
        let malformed = if self.malformed { "; its root directory is malformed" } else { "" };
        self.trees.iter().map(name).collect::<Vec<_>>().join(", ") + malformed
    }
}

impl ShownManifest {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let (run_id, strings, times, audience, signed) = match self {
            Self::Malformed { error } => return vec![("manifest", error.clone())],
            Self::Parsed { run_id, user_provided_metadata, not_before, not_after, audience, signed } => (
                run_id,
                user_provided_metadata,
                [("from", not_before), ("until", not_after)],
                audience,
                signed,
            ),
        };
        let mut lines = vec![("run", run_id.clone())];
        lines.extend(strings.iter().map(|string| ("metadata", string.clone())));
        lines.extend(times.into_iter().filter_map(|(name, time)| Some((name, time.as_ref()?.to_string()))));
        lines.extend(audience.iter().map(|audience| ("audience", audience.clone())));
        lines.push(("signed", if *signed { "yes (not verified)" } else { "no" }.to_owned()));
        lines
    }
}

/// Formats rows with aligned columns. The first row is the heading. `right`: columns of numbers.
fn table(rows: &[[String; 4]], right: [bool; 4], style: &Style) -> String {
    let mut widths = [0; 4];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        let cells: Vec<_> = row
            .iter()
            .zip(widths.into_iter().zip(right))
            .map(
                |(cell, (width, right))| {
                    if right { format!("{cell:>width$}") } else { format!("{cell:<width$}") }
                },
            )
            .collect();
        let line = cells.join("  ").trim_end().to_owned();
        text += &if number == 0 { style.faint(&line) } else { line };
        text.push('\n');
    }
    text
}

/// Faint headings on a terminal; plain text elsewhere, and if `NO_COLOR` is set.
struct Style {
    colour: bool,
}

impl Style {
    fn for_standard_output() -> Self {
        Self { colour: colours_are_wanted(&io::stdout()) }
    }

    fn faint(&self, text: &str) -> String {
        if self.colour { format!("\x1b[2m{text}\x1b[0m") } else { text.to_owned() }
    }
}
