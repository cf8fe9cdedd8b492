//! What is allowed in a recipe but likely to be a mistake.

use super::{Recipe, near_names};
use crate::{
    datasource::layout::Layout,
    image::{JOLIET_IDENTIFIER_CHARACTERS, probe::FileSystem},
    manifest,
};

/// A warning about a recipe: what is allowed but likely to be a mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// A sentence without a full stop.
    pub text: String,
    /// Whether the guest will not find its data.
    pub loses_data: bool,
}

impl From<String> for Warning {
    fn from(text: String) -> Self {
        Self { text, loses_data: false }
    }
}

impl Recipe {
    /// Warnings about what is allowed but likely to be a mistake, in addition to those of the draft.
    #[must_use]
    pub fn warnings(&self) -> Vec<Warning> {
        let mut warnings: Vec<_> = self.notes.iter().cloned().map(Warning::from).collect();
        let identifier = self.volume_identifier();
        let is_iso9660 = self.file_system == FileSystem::Iso9660;
        if is_iso9660 && identifier.chars().count() > JOLIET_IDENTIFIER_CHARACTERS {
            let cut: String = identifier.chars().take(JOLIET_IDENTIFIER_CHARACTERS).collect();
            warnings.push(format!("volume identifier {identifier:?}: Windows and macOS show {cut:?}, since Joliet stores 16 characters").into());
        }
        let expected = self.layout.volume_identifier();
        let [lower, upper] = [expected.to_ascii_lowercase(), expected.to_ascii_uppercase()];
        // LinuxKit's agent accepts a CD-ROM with any volume identifier.
        let any = is_iso9660 && self.layout == Layout::LinuxKit && !identifier.eq_ignore_ascii_case(expected);
        if !any && identifier != lower && identifier != upper {
            warnings.push(Warning {
                text: format!("volume identifier {identifier:?}: agents look for {upper:?} or {lower:?}"),
                loses_data: true,
            });
        }
        let manifest = self.files.iter().any(|(name, _)| name == manifest::NAME.as_bytes());
        if manifest && self.statement.is_none() {
            let text =
                format!("file {:?} will be read as a manifest, as --run-metadata makes it", manifest::NAME);
            warnings.push(text.into());
        }
        // LinuxKit's images may have any files besides their data.
        for (name, _) in self.files.iter().filter(|_| self.layout != Layout::LinuxKit) {
            if let Some(meant) = near_names::meant(name, Some(self.layout)) {
                let name = String::from_utf8_lossy(name);
                warnings.push(near_names::not_used(&name, meant).into());
            }
        }
        if !is_iso9660 {
            return warnings;
        }
        let clashes = self.clashes();
        warnings.extend(clashes.refused.into_iter().chain(clashes.doubtful).map(Warning::from));
        warnings
    }

    /// A sentence if an image file with the permission bits `mode` lets others read the password on it.
    #[must_use]
    pub fn password_warning(&self, mode: u32) -> Option<String> {
        (self.admin_pass.is_some() && mode & 0o077 != 0).then(|| {
            format!(
                "the permission bits {mode:04o} let other users read the image, and on it the administrator's password"
            )
        })
    }
}
