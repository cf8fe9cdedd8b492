//! The recipe to build an existing image again.

use crate::error::{Result, ensure};

use super::Recipe;
use crate::{
    datasource::layout::Layout,
    image::{Image, Kind},
    manifest::{self, inventory::Contents},
};

impl Recipe {
    /// The recipe for an image with the same files, volume identifier and date as `image`, but without manifest and signature.
    ///
    /// `contents`: those of `image`; `volume`: what its manifest says of it, or would say.
    ///
    /// # Errors
    /// Fails if a file of the layout is missing or cannot be read, or the volume identifier is not UTF-8.
    pub fn of_image(image: &Image, contents: &Contents, volume: &manifest::VolumeInfo) -> Result<Self> {
        let layout = volume.layout;
        ensure!(
            !volume.identifier.contains(char::REPLACEMENT_CHARACTER),
            "volume identifier {:?} is not UTF-8",
            volume.identifier
        );
        let mut recipe = Self {
            layout,
            volume_id: Some(volume.identifier.clone()),
            seconds: Some(volume.created_at.seconds()),
            ..Self::default()
        };
        let mut has_data = false;
        for record in contents.records.iter().filter(|record| record.kind == Kind::File) {
            let source = image.source(record)?;
            let is = |name: &str| record.path == name.as_bytes();
            let part = |name: Option<&str>| name.is_some_and(is);
            if is(manifest::NAME) || is(manifest::SIGNATURE_NAME) {
            } else if is(layout.userdata_name()) {
                recipe.data = source.into();
                has_data = true;
            } else if part(layout.metadata_name()) {
                recipe.meta_data = Some(source);
            } else if part(layout.network_config_name()) {
                recipe.network_config = Some(source);
            } else if part(layout.vendor_data_name()) {
                recipe.vendor_data = Some(source);
            } else {
                recipe.files.push((record.path.clone(), source));
            }
        }
        // cloud-init does not need the user data of a config drive.
        let has_data = has_data || layout == Layout::ConfigDrive;
        let complete = has_data && (layout.metadata_name().is_none() || recipe.meta_data.is_some());
        ensure!(complete, "a file of the layout {layout} is missing");
        Ok(recipe)
    }
}
