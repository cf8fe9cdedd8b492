//! Where a guest finds its metadata.
//!
//! A provider fetches and never writes. To add one: write a module here with a type that implements [`Provider`], add its name to
//! [`Choice`], create it in `cli/agent.rs`, and add it to docs/agent.md.

pub mod aws;
pub mod cdrom;
pub mod file;
pub mod gcp;
mod http;

use std::{collections::HashSet, fmt, mem, path::PathBuf, str::FromStr, time::Instant};

use crate::{
    error::Result,
    manifest::inventory::Contents,
    trust::public_key::PublicKey,
    userdata::{
        authorized_keys::{self, KeyOptions},
        config_tree::{ConfigTree, Entry, Mode},
        finding::{Code, Lines, Severity},
        hostname,
        install_plan::Loss,
        meta_data,
    },
};

/// A place where a guest may find its metadata.
pub trait Provider: Send + Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// Whether it needs no network. Local providers are asked first.
    fn is_local(&self) -> bool;

    /// The metadata. `Ok(None)`: the guest is not on this platform, or the platform has no metadata; ask the next provider.
    ///
    /// # Errors
    /// Fails if the guest is on this platform, but the metadata cannot be read.
    fn fetch(&self, deadline: Instant, log: &mut Log) -> Result<Option<Metadata>>;
}

/// What a provider found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The provider's name.
    pub provider: &'static str,
    /// Where the metadata comes from, such as `CDROM /dev/sr0`. It is logged and written to the file `provider`.
    pub origin: String,
    /// The user data; `None` if there is none or it is empty.
    pub userdata: Option<Vec<u8>>,
    /// The bytes of NoCloud's meta-data, until [`Metadata::parse_meta_data`] takes them.
    pub meta_data: Option<Vec<u8>>,
    /// What the provider adds to the config tree: the host name, public keys. User data has precedence.
    pub entries: ConfigTree,
    /// What the provider has and the guest does not get.
    pub losses: Vec<Loss>,
    /// The instance ID.
    pub instance_id: Option<String>,
    /// Everything on the image that the metadata comes from; `None`: it comes from elsewhere, or not everything was read. The fields
    /// above were read together with it.
    pub contents: Option<Box<Contents>>,
}

impl Metadata {
    /// Whether it holds nothing, and nothing is lost.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let has_data = self.userdata.is_some() || self.meta_data.is_some();
        !has_data && self.entries.entries.is_empty() && self.losses.is_empty()
    }

    /// Parses NoCloud's meta-data, if there is any: host name, public keys and instance ID. If a signature is required, call this
    /// after it was checked.
    pub fn parse_meta_data(&mut self, log: &mut Log) {
        let Some(data) = self.meta_data.take() else { return };
        let text = String::from_utf8_lossy(&data);
        let mut findings = Vec::new();
        let parsed = meta_data::parse(&text, "instance-id", &mut findings);
        findings.sort_by_key(|finding| finding.span.start);
        let mut instance = InstanceEntries {
            entries: mem::take(&mut self.entries),
            losses: mem::take(&mut self.losses),
            keys_lost: 0,
        };
        let lines = Lines::of(&text);
        for finding in findings {
            let line = finding.in_one_line("meta-data", &lines);
            match finding.code.severity() {
                // It is reported below.
                _ if finding.code == Code::HostName => {}
                Severity::Error => instance.lose("", &line, log),
                Severity::Warning => log(LogLevel::Detail, &line),
            }
        }
        if let Some(name) = parsed.local_hostname {
            instance.add_hostname(&name, log);
        }
        let keys = (1..)
            .zip(parsed.public_keys)
            .map(|(number, line)| KeyLine { name: format!("public key {number} of meta-data"), line });
        // As in cloud-init (cloudinit/ssh_util.py, `AuthKeyLineParser`).
        instance.add_keys(keys, KeyOptions::Allowed, log);
        InstanceEntries { entries: self.entries, losses: self.losses, .. } = instance;
        self.instance_id = parsed.instance_id;
    }
}

/// Receives the messages of a provider or the agent. No message has a secret.
pub type Log<'a> = dyn FnMut(LogLevel, &str) + 'a;

/// Who is shown a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogLevel {
    /// Those who look for a fault.
    Detail,
    /// Everyone.
    Step,
    /// Everyone: something is lost or wrong.
    Warning,
    /// Programs that read the log: a line that must be printed unchanged.
    Raw,
}

/// A provider's name on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// `cdrom`, or `hyperkit`.
    Cdrom,
    /// `file=PATH`.
    File(PathBuf),
    /// `aws`.
    Aws,
    /// `gcp`.
    Gcp,
    /// A provider of LinuxKit's agent that this program does not support.
    LinuxKitOnly(String),
}

impl Choice {
    /// The providers that are asked if none is named.
    pub const DEFAULT: [Self; 3] = [Self::Cdrom, Self::Aws, Self::Gcp];
}

/// Providers that only LinuxKit's agent supports.
const LINUXKIT_ONLY: [&str; 10] = [
    "azure",
    "digitalocean",
    "equinixmetal",
    "hetzner",
    "metaldata",
    "openstack",
    "packet",
    "scaleway",
    "vmware",
    "vultr",
];

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cdrom => f.write_str("cdrom"),
            Self::File(path) => write!(f, "file={}", path.display()),
            Self::Aws => f.write_str("aws"),
            Self::Gcp => f.write_str("gcp"),
            Self::LinuxKitOnly(name) => f.write_str(name),
        }
    }
}

impl FromStr for Choice {
    type Err = &'static str;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "cdrom" | "hyperkit" => Ok(Self::Cdrom),
            "aws" => Ok(Self::Aws),
            "gcp" => Ok(Self::Gcp),
            name if LINUXKIT_ONLY.contains(&name) => Ok(Self::LinuxKitOnly(name.to_owned())),
            name => match name.strip_prefix("file=") {
                Some("") => Err("the path is missing"),
                Some(path) => Ok(Self::File(path.into())),
                None => Err("unknown provider; use cdrom, aws, gcp or file=PATH"),
            },
        }
    }
}

/// The file for public keys.
const KEYS: &str = "ssh/authorized_keys";

/// Permission bits of the directory `ssh`.
const SSH_MODE: u32 = 0o700;

/// Permission bits of `ssh/authorized_keys`.
const KEYS_MODE: u32 = 0o600;

/// The most public keys that are skipped with a reason each. A platform may give a million lines that are not keys.
const KEYS_LOST_MAX: usize = 100;

/// The most bytes in a host name: Linux, `HOST_NAME_MAX` in `limits.h`.
const HOST_NAME_BYTES_MAX: usize = 64;

/// A line that a platform gives as a public key.
struct KeyLine {
    /// The name of the key in warnings.
    name: String,
    line: String,
}

/// What a platform knows of the instance, as entries such as `hostname` and `ssh/authorized_keys`.
#[derive(Default)]
struct InstanceEntries {
    entries: ConfigTree,
    losses: Vec<Loss>,
    /// Public keys that were left out.
    keys_lost: usize,
}

impl InstanceEntries {
    /// Adds a file, such as `instance_id`.
    fn add_file(&mut self, name: &str, content: String) {
        self.entries.entries.insert(name.to_owned(), Entry::file(content, None));
    }

    /// Adds the host name, if it is valid. A name with a domain that is too long for Linux is cut at the first dot.
    fn add_hostname(&mut self, name: &str, log: &mut Log) {
        let mut name = name.trim();
        if name.len() > HOST_NAME_BYTES_MAX
            && let Some((first, _)) = name.split_once('.')
        {
            log(LogLevel::Warning, &format!("the host name is longer than 64 bytes; using {first:?}"));
            name = first;
        }
        match hostname::check(name) {
            _ if name.is_empty() => {}
            Ok(()) => self.add_file("hostname", name.to_owned()),
            Err(why) => self.lose("hostname", &format!("the host name {name:?} {why}"), log),
        }
    }

    /// Adds public keys, each a line of `authorized_keys`. Other lines are lost. Duplicates are written once.
    fn add_keys(&mut self, keys: impl IntoIterator<Item = KeyLine>, options: KeyOptions, log: &mut Log) {
        let mut seen = HashSet::new();
        let mut lines = String::new();
        for KeyLine { name, line } in keys {
            if let Err(why) = check_key_line(&line, options) {
                self.lose_key(&format!("skipping {name}: {why:#}"), log);
            } else if seen.insert(line.clone()) {
                lines += &(line + "\n");
            }
        }
        if let Some(more @ 1..) = self.keys_lost.checked_sub(KEYS_LOST_MAX) {
            self.lose(KEYS, &format!("skipping {more} more lines that are not valid public keys"), log);
        }
        if !lines.is_empty() {
            let keys = Entry::file(lines, Mode::new(KEYS_MODE));
            let ssh = ConfigTree { entries: [("authorized_keys".to_owned(), keys)].into() };
            self.entries.entries.insert("ssh".to_owned(), Entry::directory(ssh, Mode::new(SSH_MODE)));
        }
    }

    /// Reports that a public key is lost. Of very many, only the number is reported, with the last of them.
    fn lose_key(&mut self, why: &str, log: &mut Log) {
        self.keys_lost += 1;
        if self.keys_lost <= KEYS_LOST_MAX {
            self.lose(KEYS, why, log);
        }
    }

    /// Reports that the file `path`, or a part of it, is lost.
    fn lose(&mut self, path: &str, why: &str, log: &mut Log) {
        log(LogLevel::Warning, why);
        self.losses.push(Loss::new(path, why));
    }
}

/// Checks a line of `authorized_keys`, and that its key is one that OpenSSH can use.
fn check_key_line(line: &str, options: KeyOptions) -> Result<()> {
    authorized_keys::check_line(line, options)?;
    let Err(error) = PublicKey::parse(line) else { return Ok(()) };
    let (_, key) = authorized_keys::split_options(line)?;
    PublicKey::parse(key).map(drop).map_err(|_| error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_linuxkit() {
        let parse = Choice::from_str;
        assert_eq!(parse("cdrom"), Ok(Choice::Cdrom));
        assert_eq!(parse("hyperkit"), Ok(Choice::Cdrom));
        assert_eq!(parse("file=/a=b"), Ok(Choice::File("/a=b".into())));
        assert_eq!(parse("vultr"), Ok(Choice::LinuxKitOnly("vultr".to_owned())));
        assert_eq!(parse("file="), Err("the path is missing"));
        for name in ["", "file", "AWS", "cd-rom"] {
            assert!(parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_long_host_name_loses_its_domain_and_an_invalid_one_is_lost() {
        let mut said = Vec::new();
        let mut take = |name: &str| {
            let mut instance = InstanceEntries::default();
            instance.add_hostname(name, &mut |level, _| said.push(level));
            (serde_json::to_string(&instance.entries).unwrap(), instance.losses.len())
        };
        let long = format!("web.{}", "a.".repeat(40) + "internal");
        let entry = |name: &str| format!(r#"{{"hostname":{{"content":"{name}"}}}}"#);
        assert_eq!(take(" web-1.example.com\n"), (entry("web-1.example.com"), 0));
        assert_eq!(take(""), ("{}".to_owned(), 0));
        assert_eq!(take(&long), (entry("web"), 0));
        assert_eq!(take("a_b"), ("{}".to_owned(), 1));
        assert_eq!(take(&"a".repeat(65)), ("{}".to_owned(), 1));
        assert_eq!(said, [LogLevel::Warning; 3]);
    }

    #[test]
    fn a_key_is_written_once_and_other_lines_are_lost() {
        const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAlpAatg9W9L2h4v0mNHyAmFQp5lNv4Pa9y2mfXqFqSY";
        let restricted = format!("restrict {KEY} a");
        let lines =
            [&format!("{KEY} b"), KEY, "hello", &restricted, &format!("{KEY} b"), &format!("{KEY}\u{1b}")];
        let take = |options| {
            let mut said = Vec::new();
            let mut instance = InstanceEntries::default();
            let keys = (1..)
                .zip(lines)
                .map(|(number, line)| KeyLine { name: format!("key {number}"), line: line.to_owned() });
            instance.add_keys(keys, options, &mut |level, text| said.push((level, text.to_owned())));
            assert!(said.iter().all(|(level, _)| *level == LogLevel::Warning));
            assert!(instance.losses.iter().map(|loss| &loss.reason).eq(said.iter().map(|(_, text)| text)));
            let said: Vec<_> = said.into_iter().map(|(_, text)| text).collect();
            (serde_json::to_string(&instance.entries).unwrap(), said)
        };
        let tree = |lines: &str| {
            format!(
                r#"{{"ssh":{{"perm":"0700","entries":{{"authorized_keys":{{"perm":"0600","content":"{lines}"}}}}}}}}"#
            )
        };
        let losses = [
            "skipping key 3: not a public key",
            "skipping key 4: options are not allowed in front of the key",
            "skipping key 6: the line has control characters",
        ];
        assert_eq!(
            take(KeyOptions::Refused),
            (tree(&format!("{KEY} b\\n{KEY}\\n")), losses.map(str::to_owned).to_vec())
        );
        let losses = [losses[0], losses[2]];
        assert_eq!(
            take(KeyOptions::Allowed),
            (tree(&format!("{KEY} b\\n{KEY}\\n{restricted}\\n")), losses.map(str::to_owned).to_vec())
        );
    }

    #[test]
    fn of_very_many_lines_that_are_no_keys_the_first_are_told() {
        let mut instance = InstanceEntries::default();
        let keys = (0..1_000).map(|_| KeyLine { name: "a key".to_owned(), line: "a".to_owned() });
        let mut said = Vec::new();
        instance.add_keys(keys, KeyOptions::Refused, &mut |_, text| said.push(text.to_owned()));
        assert_eq!((said.len(), instance.losses.len()), (KEYS_LOST_MAX + 1, KEYS_LOST_MAX + 1));
        assert_eq!(said[0], "skipping a key: not a public key");
        assert_eq!(said[KEYS_LOST_MAX], "skipping 900 more lines that are not valid public keys");
    }

    #[test]
    fn a_key_of_another_curve_is_skipped() {
        let key = "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBO01T/Tc5MWmrkV5ez0kBn2ckXatx4smn0n5BTkCD3oVPd/vIKsMG6OvCybiX2aTK5jQS97B3vfKgFXRVPspUU8=";
        check_key_line(key, KeyOptions::Refused).unwrap();
        check_key_line(&format!("restrict {key}"), KeyOptions::Allowed).unwrap();
        // The field that names the curve says nistp384.
        let other_curve = key.replace("AAAAIbmlzdHAyNTY", "AAAAIbmlzdHAzODQ");
        authorized_keys::check_line(&other_curve, KeyOptions::Refused).unwrap();
        assert!(check_key_line(&other_curve, KeyOptions::Refused).is_err());
    }
}
