//! Generated meta-data: the instance id, the host name and public keys, in the format of each layout.

use crate::error::Result;
use serde_json::json;

use super::layout::Layout;
use crate::{
    encoding::{hex, uuid},
    image::{
        DIGEST_BYTES,
        iso9660::writer::{DerivedFile, DerivedFrom, DerivedInput},
    },
};

/// The content of a generated meta-data file.
#[derive(Clone, Debug, Default)]
pub struct InstanceData {
    /// The instance id. `None`: it is made from the content of the image.
    pub id: Option<String>,
    /// The host name.
    pub hostname: Option<String>,
    /// Public keys, each as a line of `authorized_keys`.
    pub ssh_keys: Vec<String>,
    /// The password that cloudbase-init gives to the administrator. Only a config drive has a place for it.
    pub admin_pass: Option<String>,
}

impl InstanceData {
    /// The meta-data file of the layout. `digest`: the digest of the image's content, on which the length does not depend.
    ///
    /// `None`: the layout has no such file.
    pub(crate) fn render(&self, layout: Layout, digest: &[u8; DIGEST_BYTES]) -> Option<Vec<u8>> {
        match layout {
            Layout::LinuxKit => None,
            Layout::NoCloud => Some(self.render_nocloud(digest).into_bytes()),
            Layout::ConfigDrive => Some(self.render_configdrive(digest).into_bytes()),
        }
    }

    /// YAML in which every string is a JSON string, which means the same in YAML.
    fn render_nocloud(&self, digest: &[u8; DIGEST_BYTES]) -> String {
        let id = self.id.clone().unwrap_or_else(|| format!("iid-{}", hex(&digest[..16])));
        let mut lines = vec![format!("instance-id: {}", json!(id))];
        lines.extend(self.hostname.iter().map(|hostname| format!("local-hostname: {}", json!(hostname))));
        lines.extend((!self.ssh_keys.is_empty()).then(|| "public-keys:".to_owned()));
        lines.extend(self.ssh_keys.iter().map(|key| format!("  - {}", json!(key))));
        lines.join("\n") + "\n"
    }

    fn render_configdrive(&self, digest: &[u8; DIGEST_BYTES]) -> String {
        let mut document = json!({ "uuid": self.id.clone().unwrap_or_else(|| uuid(digest)) });
        if let Some(hostname) = &self.hostname {
            document["hostname"] = json!(hostname);
            document["name"] = json!(hostname);
        }
        if !self.ssh_keys.is_empty() {
            let keys =
                self.ssh_keys.iter().enumerate().map(|(number, key)| (format!("key-{number}"), json!(key)));
            document["public_keys"] = keys.collect::<serde_json::Map<_, _>>().into();
        }
        if let Some(password) = &self.admin_pass {
            document["admin_pass"] = json!(password);
        }
        format!("{document:#}\n")
    }
}

/// The generated meta-data file of an image.
#[derive(Debug)]
pub(crate) struct MetaDataFile {
    /// The layout of the image.
    pub(crate) layout: Layout,
    /// Its content.
    pub(crate) instance: InstanceData,
}

impl DerivedFile for MetaDataFile {
    fn derived_from(&self) -> DerivedFrom {
        if self.instance.id.is_none() { DerivedFrom::Content } else { DerivedFrom::Nothing }
    }

    fn render(&self, input: &DerivedInput) -> Result<Vec<u8>> {
        Ok(self.instance.render(self.layout, &input.content).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_of_generated_meta_data_does_not_depend_on_the_digest() {
        let instance = InstanceData {
            hostname: Some("web".to_owned()),
            ssh_keys: vec!["k \"q\"".to_owned()],
            ..InstanceData::default()
        };
        for layout in Layout::ALL {
            let [zeros, ones] = [[0; 32], [0xff; 32]].map(|digest| instance.render(layout, &digest));
            assert_eq!(zeros.map(|bytes| bytes.len()), ones.map(|bytes| bytes.len()));
        }
    }

    #[test]
    fn nocloud_meta_data_quotes_every_string() {
        let instance = InstanceData {
            id: Some("yes".to_owned()),
            hostname: Some("1e3".to_owned()),
            ssh_keys: vec!["ssh-ed25519 AAAA a: #b\\".to_owned()],
            admin_pass: None,
        };
        assert_eq!(
            instance.render_nocloud(&[0; 32]),
            "instance-id: \"yes\"\nlocal-hostname: \"1e3\"\npublic-keys:\n  - \"ssh-ed25519 AAAA a: #b\\\\\"\n"
        );
    }
}
