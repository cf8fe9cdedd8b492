//! The recipe that the arguments of `metadata create` describe.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
};

use anyhow::Result;
use metadata_image::{
    image::source::Source,
    manifest::Statement,
    recipe::{
        Recipe,
        user_data::{UserData, UserDataPart, read_admin_pass, split_part},
    },
};

use super::{
    super::{
        errors::Usage, pack::pack_directory, streams::is_dash, trust_args::is_public_key, words::command_line,
    },
    args::Args,
};

impl Args {
    /// What to build.
    pub(super) fn recipe(&self, data: Option<&OsStr>) -> Result<Recipe> {
        let mut recipe = match &self.from {
            Some(directory) => Recipe::of_seed(directory, self.layout)?,
            None => Recipe { layout: self.layout.unwrap_or_default(), ..Recipe::default() },
        };
        if let Some(data) = data.or(self.data_string.as_deref()) {
            recipe.data = Source::Bytes(data.as_bytes().to_vec()).into();
        } else if let Some(directory) = &self.data_dir {
            recipe.data = Source::Bytes(pack_directory(directory, self.follow)?).into();
        } else if !self.user_data.is_empty() {
            recipe.data = self.user_data()?;
        }
        let part =
            |path: &Option<PathBuf>, role| path.as_deref().map(|path| file_or_standard_input(path, role));
        let file = |(name, path): &(Vec<u8>, PathBuf)| (name.clone(), file_or_standard_input(path, "file"));
        for key in &self.ssh_keys {
            let text = key.as_os_str().as_bytes();
            if is_public_key(text) {
                let why = "--ssh-key takes a file with public keys, not a key; save the key to a file";
                return Err(Usage(why.to_owned()).into());
            }
        }
        let admin_pass = self.admin_pass_file.as_deref().map(read_admin_pass).transpose()?;
        recipe.files.extend(self.files.iter().map(file));
        Ok(Recipe {
            file_system: self.filesystem,
            volume_id: self.volume_id.clone(),
            meta_data: part(&self.meta_data, "meta-data file").or(recipe.meta_data),
            network_config: part(&self.network_config, "network-config file").or(recipe.network_config),
            vendor_data: part(&self.vendor_data, "vendor-data file").or(recipe.vendor_data),
            hostname: self.hostname.clone(),
            ssh_keys: self.ssh_keys.clone(),
            instance_id: self.instance_id.clone(),
            admin_pass,
            seconds: source_date_epoch()?,
            statement: (!self.run_metadata.is_empty()).then(|| Statement {
                run_id: self.run_id.clone(),
                user_provided_metadata: self.run_metadata.clone(),
                ..Statement::default()
            }),
            ..recipe
        })
    }

    fn user_data(&self) -> Result<UserData> {
        let part = |argument: &OsString| -> Result<UserDataPart> {
            check_is_one_file(argument)?;
            let (path, kind) = split_part(argument)?;
            Ok(UserDataPart { source: file_or_standard_input(&path, "data file"), kind })
        };
        Ok(UserData::of_parts(self.user_data.iter().map(part).collect::<Result<_>>()?))
    }
}

/// Fails if the value of `--user-data` is a list of files with commas between them.
fn check_is_one_file(argument: &OsStr) -> Result<(), Usage> {
    let names: Vec<_> = argument.as_bytes().split(|&byte| byte == b',').map(OsStr::from_bytes).collect();
    if names.len() < 2 || Path::new(argument).exists() || !names.iter().all(|name| Path::new(name).is_file())
    {
        return Ok(());
    }
    let repeated = names.iter().flat_map(|name| [OsStr::new("--user-data"), name]);
    let repeated = command_line("", repeated);
    Err(Usage(format!("--user-data takes one file; repeat it for each:{repeated}")))
}

pub(crate) fn file_or_standard_input(path: &Path, role: &'static str) -> Source {
    if is_dash(path.as_os_str()) { Source::StandardInput } else { Source::file(path, role) }
}

/// The date that the environment sets for reproducible builds, in seconds since 1970.
pub(crate) fn source_date_epoch() -> Result<Option<u64>> {
    let Some(value) = env::var_os("SOURCE_DATE_EPOCH") else { return Ok(None) };
    let digits = value.to_str().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    let seconds = digits.and_then(|digits| digits.parse().ok());
    let usage = || Usage(format!("SOURCE_DATE_EPOCH {value:?} is not a number of seconds since 1970"));
    Ok(Some(seconds.ok_or_else(usage)?))
}
