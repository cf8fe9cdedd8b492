//! Checks of an image.

use std::collections::HashSet;

use super::{
    platform::Platform,
    subject::{Subject, subject_of},
    text::{CheckedText, check_whole, is_for_cloud_init},
};
use crate::{
    datasource::{compatibility::Agent, layout::Layout},
    error::Result,
    image::{Image, probe::FileSystem},
    userdata::{
        finding::{Code, Finding},
        schema::Rules,
    },
};

/// How much of a file on an image is checked, in bytes.
const CHECKED_BYTES_MAX: u64 = 64 << 20;

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
    // A FAT volume has the mark of FAT.
    if image.file_system() == FileSystem::Iso9660
        && let Err(error) = image.check_superblocks(&records)
    {
        let message =
            format!("other programs may mistake the image, and a guest may see other files: {error}");
        about_image.findings.push(Finding::new(Code::Mistakable, 0..0, message));
    }
    let layout = Layout::of(&volume, &records);
    let cloud_init = Agent::CloudInit.compatibility(&volume, &records);
    let missed =
        cloud_init.because.filter(|_| cloud_init.takes.is_none() && layout != Some(Layout::LinuxKit));
    let mut all = vec![about_image];
    let mut seen = HashSet::new();
    for record in &records {
        let Some(subject) = subject_of(&volume, record, layout) else { continue };
        // An agent reads the first file of a name. A hostile image may have many.
        if !seen.insert(&record.path) {
            continue;
        }
        let data = image.read(record, CHECKED_BYTES_MAX)?;
        if matches!(subject, Subject::UserData(_))
            && let Some(why) = &missed
            && is_for_cloud_init(&String::from_utf8_lossy(&data[..data.len().min(64)]))
        {
            let message = format!("cloud-init does not find the user data: {why}");
            all[0].findings.push(Finding::new(Code::Unread, 0..0, message));
        }
        let name = record.display_path();
        all.extend(check_whole(&data, subject, target, rules).into_iter().map(|text| text.below(&name)));
    }
    Ok(all)
}
