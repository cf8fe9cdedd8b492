//! `metadata set`.

mod operands;

use std::{
    ffi::OsString,
    fs::File,
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, anyhow};
use clap::ArgGroup;
use metadata_image::{
    check::{Notice, Prepared},
    datasource::{compatibility::Agent, layout::Layout},
    image::{Image, Record, Volume, draft::Draft},
    recipe::change::{ChangedImage, ImageChange},
    userdata::cloud_config::header::hint_for_windows,
};

use self::operands::{NewFile, check_order};
use super::{
    create::{file_or_standard_input, tolerance},
    described::NewImage,
    errors::to_library_error,
    progress::Bar,
    rebuild::{check_still, keep_owner, open_locked},
    render::show_findings,
    signals::clean_up_on_signals,
    streams::{print, say},
};

/// Change or add files on an image
///
/// Works on an ISO 9660 or FAT image in a file, whichever tool made it. The image
/// is rebuilt in one step. It keeps its volume identifier, its date and its other
/// files, with their permission bits, owners and dates. An image with something
/// that would be lost, such as a boot record, is rejected. A generated instance
/// ID follows the content. A manifest and a signature are removed, because they
/// are about the old content.
#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
#[command(
    after_help = EXAMPLES,
    override_usage = USAGE,
    group = ArgGroup::new("change").required(true).multiple(true)
)]
pub(crate) struct Args {
    /// The image to change
    image: PathBuf,

    /// A file to add or to replace: its name on the image, which may have
    /// directories, and a file with the new content; '-' is standard input
    #[arg(value_name = "NAME=PATH", group = "change")]
    files: Vec<OsString>,

    /// Remove a file (repeatable)
    #[arg(long, value_name = "NAME", group = "change")]
    remove: Vec<OsString>,

    /// Change the host name in the meta-data, and keep the rest of it
    #[arg(short = 'H', long, value_name = "NAME", group = "change")]
    hostname: Option<String>,

    /// Change the instance ID in the meta-data, so that cloud-init runs again
    #[arg(long, value_name = "ID", group = "change")]
    instance_id: Option<String>,

    /// Sync the image and its directory to disk
    #[arg(long)]
    sync: bool,

    /// Treat warnings as errors
    #[arg(long)]
    strict: bool,

    /// Change the image even if cloud-init will ignore its data, and add files
    /// with any names
    #[arg(long, conflicts_with = "strict")]
    lenient: bool,

    /// Describe the image as JSON, with SHA-256 digests
    #[arg(long)]
    json: bool,

    /// Print no message on success, and no progress
    #[arg(short, long)]
    quiet: bool,
}

const USAGE: &str = "\
metadata set [OPTIONS] IMAGE NAME=PATH...
       metadata set [OPTIONS] IMAGE --remove NAME
       metadata set [OPTIONS] IMAGE --hostname NAME";

const EXAMPLES: &str = "\
Examples:
  metadata set seed.iso user-data=user.yaml
  metadata set seed.iso network-config=net.yaml --remove vendor-data
  metadata set config.iso openstack/latest/user_data=user.yaml
  metadata set seed.iso --hostname web2
  generate-config | metadata set seed.iso user-data=-";

/// The image as it was.
struct Before {
    volume: Volume,
    records: Vec<Record>,
    bytes: u64,
}

impl Args {
    pub(crate) fn run(self) -> Result<()> {
        let files = operands::split_all(&self.image, &self.files)?;
        let change = self.change(&files);
        change.check()?;
        let changing = || format!("changing image {:?}", self.image);
        clean_up_on_signals()?;
        let (target, file) = open_locked(&self.image, changing)?;
        if let Some(file) = files.iter().find(|file| target.is_same_file(&file.path)) {
            return Err(anyhow!("the image is the same file as {:?}", file.path)).with_context(changing);
        }
        let locked = file.try_clone().with_context(changing)?;
        let mut image = Image::in_file(file, &self.image)?;
        let (volume, records) = image.list()?;
        if !self.lenient {
            check_order(&self.image, &files, &records)?;
        }
        let before = Before { volume, records, bytes: image.bytes() };
        let mut progress = Bar::new(self.quiet);
        let mut changed = change.apply(&mut image, &mut progress).with_context(changing)?;
        let mut warnings: Vec<_> = changed.loss.take().into_iter().collect();
        // It cannot be prevented, so it is not a mistake that --strict would find.
        let losses = warnings.len();
        let identifier = changed.volume_identifier.clone();
        warnings.extend(changed.warnings.iter().cloned());
        let (draft, findings) = self.checked(changed, &files).with_context(changing)?;
        let mode = target.mode().context("the image no longer exists").with_context(changing)?;
        let new = target.create(mode).with_context(changing)?;
        let written = draft.write_to_file(new.file(), &mut progress).with_context(changing)?;
        warnings.extend(written.mistakable.clone());
        warnings.extend(before.other_size(written.bytes));
        warnings.extend(keep_owner(&new).with_context(changing)?);
        let (layout, lost) = before.compare(new.file(), &self.image).with_context(changing)?;
        warnings.extend(lost);
        if let (true, Some(first)) = (self.strict, warnings.get(losses)) {
            return Err(anyhow!("{first}")).with_context(changing);
        }
        let notices: Vec<_> = warnings.iter().cloned().map(Notice::from).chain(findings).collect();
        let image =
            NewImage { path: &self.image, volume_identifier: &identifier, layout, warnings: &notices };
        let json = self.json.then(|| image.describe(new.file(), &written, &mut progress));
        let json = json.transpose().with_context(changing)?;
        drop(progress);
        new.commit(self.sync, |old| check_still(old, &locked).map_err(to_library_error))
            .with_context(changing)?;
        self.report(&warnings, losses, written.bytes, layout);
        json.map_or(Ok(()), |json| print(&json))
    }

    fn change(&self, files: &[NewFile]) -> ImageChange {
        let file = |file: &NewFile| (file.name.clone(), file_or_standard_input(&file.path, "file"));
        ImageChange {
            files: files.iter().map(file).collect(),
            removed: self.remove.iter().map(|name| name.clone().into_vec()).collect(),
            hostname: self.hostname.clone(),
            instance_id: self.instance_id.clone(),
            any_names: self.lenient,
        }
    }

    /// Prints the findings about the new files, and gives them.
    fn checked(&self, changed: ChangedImage, files: &[NewFile]) -> Result<(Draft, Vec<Notice>)> {
        let layout = changed.layout.unwrap_or_default();
        let mut prepared = Prepared::of_change(changed);
        let tolerance = tolerance(self.strict, self.lenient);
        let mut findings = Vec::new();
        prepared.check(|mut checked| {
            let is_this =
                |file: &&NewFile| checked.name.as_deref().is_some_and(|name| name.as_bytes() == file.name);
            if let Some(file) = files.iter().find(is_this) {
                hint_for_windows(&file.path.to_string_lossy(), &mut checked.findings);
            }
            let shown = show_findings(&self.image, &checked, layout, tolerance).map_err(to_library_error)?;
            findings.extend(shown);
            Ok(())
        })?;
        Ok((prepared.draft, findings))
    }

    /// Prints the warnings and what was done. The first `losses` warnings are shown even if nothing else is.
    fn report(&self, warnings: &[String], losses: usize, bytes: u64, layout: Option<Layout>) {
        let path = self.image.display();
        let shown = if self.quiet { losses } else { warnings.len() };
        for warning in &warnings[..shown] {
            say(&format!("warning: {path}: {warning}"));
        }
        if !self.quiet {
            let layout = layout.map_or("unknown", Layout::name);
            say(&format!("{path}: {bytes} bytes, layout {layout}"));
        }
    }
}

impl Before {
    /// A sentence about a FAT disk that does not keep its size.
    fn other_size(&self, bytes: u64) -> Option<String> {
        let is_smaller = self.volume.read.is_fat() && bytes < self.bytes;
        is_smaller.then(|| format!("the disk had {} bytes and has {bytes}", self.bytes))
    }

    /// The layout of the new image in `file`, and sentences about the agents that found their data on the old one and do not on
    /// the new one.
    fn compare(&self, file: &File, path: &Path) -> Result<(Option<Layout>, Vec<String>)> {
        let mut image = Image::in_file(file.try_clone()?, path)?;
        let (volume, records) = image.list()?;
        let lost = Agent::ALL.into_iter().filter_map(|agent| {
            let [before, after] = [(&self.volume, &self.records), (&volume, &records)]
                .map(|(volume, records)| agent.compatibility(volume, records));
            let place = match (before.takes.is_some() && after.takes.is_none(), before.cdrom && !after.cdrom)
            {
                (true, _) => "",
                (_, true) => " on a CD-ROM",
                _ => return None,
            };
            let why = after.because.unwrap_or_default();
            Some(format!("{} no longer finds its data{place}: {why}", agent.name()))
        });
        Ok((Layout::of(&volume, &records), lost.collect()))
    }
}
