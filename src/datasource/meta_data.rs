//! Generated meta-data: the instance ID, the host name and public keys, in the format of each layout.

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
    /// The instance ID. `None`: it is made from the content of the image.
    pub id: Option<String>,
    /// The host name.
    pub hostname: Option<String>,
    /// Public keys, each as a line of `authorized_keys`.
    pub ssh_keys: Vec<String>,
    /// The password that cloudbase-init gives to the administrator. Only a config drive has a place for it.
    pub admin_pass: Option<String>,
}

impl InstanceData {
    /// What a meta-data file says that this program generated, for some digest of the content. `None`: somebody else wrote it,
    /// or its instance ID was given.
    ///
    /// Whether the digest is that of the image is not known from the file alone.
    #[must_use]
    pub fn of_generated(layout: Layout, text: &str) -> Option<Self> {
        let (id, instance) = match layout {
            Layout::LinuxKit => return None,
            Layout::NoCloud => parse_nocloud(text)?,
            Layout::ConfigDrive => parse_configdrive(text)?,
        };
        // What was parsed says everything, if the same text comes of it.
        let given = Self { id: Some(id.clone()), ..instance.clone() };
        let is_ours = given.render(layout, &[0; DIGEST_BYTES])? == text.as_bytes() && is_derived(layout, &id);
        is_ours.then_some(instance)
    }

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

/// Whether an instance ID looks as if it were made from a digest.
fn is_derived(layout: Layout, id: &str) -> bool {
    let is_digits = |text: &str| text.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f' | b'-'));
    match layout {
        Layout::ConfigDrive => id.len() == uuid(&[0; DIGEST_BYTES]).len() && is_digits(id),
        _ => id.strip_prefix("iid-").is_some_and(|digits| digits.len() == 32 && is_digits(digits)),
    }
}

/// The instance ID and the rest of what [`InstanceData::render_nocloud`] wrote.
fn parse_nocloud(text: &str) -> Option<(String, InstanceData)> {
    let string = |json: &str| serde_json::from_str::<String>(json).ok();
    let mut lines = text.lines().peekable();
    let id = string(lines.next()?.strip_prefix("instance-id: ")?)?;
    let hostname = lines.next_if(|line| line.starts_with("local-hostname: "));
    let hostname = hostname.and_then(|line| string(line.strip_prefix("local-hostname: ")?));
    let keys = lines.skip(1).map(|line| string(line.strip_prefix("  - ")?));
    Some((id, InstanceData { id: None, hostname, ssh_keys: keys.collect::<Option<_>>()?, admin_pass: None }))
}

/// The instance ID and the rest of what [`InstanceData::render_configdrive`] wrote.
fn parse_configdrive(text: &str) -> Option<(String, InstanceData)> {
    let document: serde_json::Value = serde_json::from_str(text).ok()?;
    let string = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let id = string(&document["uuid"])?;
    let count = document["public_keys"].as_object().map_or(0, serde_json::Map::len);
    let keys = (0..count).map(|number| string(&document["public_keys"][format!("key-{number}")]));
    let ssh_keys = keys.collect::<Option<_>>()?;
    let admin_pass = string(&document["admin_pass"]);
    Some((id, InstanceData { id: None, hostname: string(&document["hostname"]), ssh_keys, admin_pass }))
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
    fn generated_meta_data_is_recognized() {
        let keys: Vec<_> = (0..12).map(|number| format!("k{number} \"q\"")).collect();
        for layout in [Layout::NoCloud, Layout::ConfigDrive] {
            for hostname in [None, Some("web".to_owned())] {
                for ssh_keys in [&[][..], &keys[..1], &keys] {
                    let instance = InstanceData {
                        id: None,
                        hostname: hostname.clone(),
                        ssh_keys: ssh_keys.to_vec(),
                        admin_pass: None,
                    };
                    let text = String::from_utf8(instance.render(layout, &[0x5a; 32]).unwrap()).unwrap();
                    let found = InstanceData::of_generated(layout, &text).unwrap();
                    assert_eq!(
                        (found.hostname, found.ssh_keys),
                        (instance.hostname.clone(), instance.ssh_keys.clone())
                    );
                    for other in [format!("{text}\n"), format!("# mine\n{text}"), text.replace('5', "g")] {
                        assert!(InstanceData::of_generated(layout, &other).is_none(), "{other}");
                    }
                    let given = InstanceData { id: Some("i-1".to_owned()), ..instance };
                    let text = String::from_utf8(given.render(layout, &[0; 32]).unwrap()).unwrap();
                    assert!(InstanceData::of_generated(layout, &text).is_none(), "{text}");
                }
            }
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
