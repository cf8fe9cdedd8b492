//! Where a guest finds its metadata.
//!
//! A provider fetches and never writes. To add one: a module beside these with a type that implements [`Provider`], its
//! name in [`Choice`], the place in `cli/agent.rs` that makes it, and a line in README.

pub mod aws;
pub mod cdrom;
pub mod file;
pub mod gcp;
mod http;

use std::{collections::HashSet, fmt, mem, path::PathBuf, str::FromStr, time::Instant};

use crate::error::Result;

use crate::{
    manifest::inventory::Contents,
    trust::public_key::{self, Options},
    userdata::{
        config_tree::{ConfigTree, Entry, Mode},
        finding::{Code, Lines, Severity},
        hostname,
        install_plan::Loss,
        meta_data,
    },
};

/// Something that may know a guest's metadata.
pub trait Provider: Send + Sync {
    /// Its name on the command line.
    fn name(&self) -> &'static str;

    /// Whether it answers without the network, and is asked before those that need it.
    fn is_local(&self) -> bool;

    /// What the guest is told. `Ok(None)`: this is not the platform, or it has nothing to tell; ask the next one.
    ///
    /// # Errors
    /// It is the platform, but broken.
    fn fetch(&self, deadline: Instant, say: &mut Say) -> Result<Option<Metadata>>;
}

/// What a provider found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The provider's name.
    pub provider: &'static str,
    /// What is logged and written to `provider`, such as `CDROM /dev/sr0`.
    pub origin: String,
    /// The user data; `None` where there is none or it is empty.
    pub userdata: Option<Vec<u8>>,
    /// NoCloud's meta-data as it is on the image, until [`Metadata::parse_meta_data`] has taken it.
    pub meta_data: Option<Vec<u8>>,
    /// What the provider adds to the config tree: the host name, public keys. User data goes before it.
    pub entries: ConfigTree,
    /// What it has and cannot give.
    pub losses: Vec<Loss>,
    /// The instance id.
    pub instance_id: Option<String>,
    /// All that is on the image that it comes from, where it comes from one and that was asked for. What is above was read
    /// together with it.
    pub contents: Option<Box<Contents>>,
}

impl Metadata {
    /// Whether there is nothing in it, and nothing is lost.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let has_data = self.userdata.is_some() || self.meta_data.is_some();
        !has_data && self.entries.entries.is_empty() && self.losses.is_empty()
    }

    /// Takes the host name, the public keys and the instance id out of NoCloud's meta-data, if there is any. Where a signature
    /// is asked for, this waits until it has been checked.
    pub fn parse_meta_data(&mut self, say: &mut Say) {
        let Some(data) = self.meta_data.take() else { return };
        let text = String::from_utf8_lossy(&data);
        let mut findings = Vec::new();
        let said = meta_data::parse(&text, "instance-id", &mut findings);
        findings.sort_by_key(|finding| finding.span.start);
        let mut instance = Instance {
            entries: mem::take(&mut self.entries),
            losses: mem::take(&mut self.losses),
            keys_lost: 0,
        };
        let lines = Lines::of(&text);
        for finding in findings {
            let line = finding.in_one_line("meta-data", &lines);
            match finding.code.severity() {
                // It is said below.
                _ if finding.code == Code::HostName => {}
                Severity::Error => instance.lose("", &line, say),
                Severity::Warning => say(Level::Detail, &line),
            }
        }
        if let Some(name) = said.local_hostname {
            instance.hostname(&name, say);
        }
        let keys = (1..)
            .zip(said.public_keys)
            .map(|(number, line)| PublicKey { whose: format!("public key {number} of meta-data"), line });
        // As cloud-init does (cloudinit/ssh_util.py, `AuthKeyLineParser`).
        instance.public_keys(keys, Options::Allowed, say);
        Instance { entries: self.entries, losses: self.losses, .. } = instance;
        self.instance_id = said.instance_id;
    }
}

/// Takes the steps of a provider or of the agent as they are made. None of them repeats a secret.
pub type Say<'a> = dyn FnMut(Level, &str) + 'a;

/// Who wants to read of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// Who looks for a fault.
    Detail,
    /// Everybody.
    Step,
    /// Everybody: something is lost or not as it should be.
    Warning,
    /// Programs that read the log: a line that is to be printed as it is.
    Log,
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
    /// A provider that LinuxKit's agent has, and this program has not.
    LinuxKits(String),
}

impl Choice {
    /// Those that are asked where none is named.
    pub const DEFAULT: [Self; 3] = [Self::Cdrom, Self::Aws, Self::Gcp];
}

/// Providers that only LinuxKit's agent has.
const LINUXKITS: [&str; 10] = [
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
            Self::LinuxKits(name) => f.write_str(name),
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
            name if LINUXKITS.contains(&name) => Ok(Self::LinuxKits(name.to_owned())),
            name => match name.strip_prefix("file=") {
                Some("") => Err("a path is missing"),
                Some(path) => Ok(Self::File(path.into())),
                None => Err("no such provider, there are cdrom, aws, gcp and file=PATH"),
            },
        }
    }
}

/// The file that public keys go to.
const KEYS: &str = "ssh/authorized_keys";

/// Permission bits of `ssh`, which holds who may log in.
const SSH_MODE: u32 = 0o700;

/// Permission bits of `ssh/authorized_keys`.
const KEYS_MODE: u32 = 0o600;

/// Public keys that are left out with a reason at most. A platform may give out a million lines that are none.
const KEYS_LOST_MAX: usize = 100;

/// Bytes in a host name at most: Linux, `HOST_NAME_MAX` in `limits.h`.
const HOST_NAME_BYTES_MAX: usize = 64;

/// A line that a platform gives out as a public key.
struct PublicKey {
    /// What warnings call it.
    whose: String,
    line: String,
}

/// What a platform says of the instance, for the entries `hostname` and `ssh/authorized_keys`.
#[derive(Default)]
struct Instance {
    entries: ConfigTree,
    losses: Vec<Loss>,
    /// Public keys that were left out.
    keys_lost: usize,
}

impl Instance {
    /// A file of its own, such as `instance_id`.
    fn file(&mut self, name: &str, content: String) {
        self.entries.entries.insert(name.to_owned(), Entry::file(content, None));
    }

    /// A host name, if it can be one. Of a name with a domain that is too long for Linux the first part is taken.
    fn hostname(&mut self, name: &str, say: &mut Say) {
        let mut name = name.trim();
        if name.len() > HOST_NAME_BYTES_MAX
            && let Some((first, _)) = name.split_once('.')
        {
            say(Level::Warning, &format!("the host name is longer than 64 bytes, taking {first:?}"));
            name = first;
        }
        match hostname::check(name) {
            _ if name.is_empty() => {}
            Ok(()) => self.file("hostname", name.to_owned()),
            Err(why) => self.lose("hostname", &format!("the host name {name:?} {why}"), say),
        }
    }

    /// Public keys, each a line for `authorized_keys`. What is not such a line is lost; one that is there twice is written
    /// once.
    fn public_keys(&mut self, keys: impl IntoIterator<Item = PublicKey>, options: Options, say: &mut Say) {
        let mut seen = HashSet::new();
        let mut lines = String::new();
        for PublicKey { whose, line } in keys {
            if let Err(why) = public_key::check_line(&line, options) {
                self.lose_key(&format!("leaving out {whose}: {why:#}"), say);
            } else if seen.insert(line.clone()) {
                lines += &(line + "\n");
            }
        }
        if let Some(more @ 1..) = self.keys_lost.checked_sub(KEYS_LOST_MAX) {
            self.lose(KEYS, &format!("leaving out {more} more that are no public keys"), say);
        }
        if !lines.is_empty() {
            let keys = Entry::file(lines, Mode::new(KEYS_MODE));
            let ssh = ConfigTree { entries: [("authorized_keys".to_owned(), keys)].into() };
            self.entries.entries.insert("ssh".to_owned(), Entry::directory(ssh, Mode::new(SSH_MODE)));
        }
    }

    /// A public key is lost. Of very many only how many there are is told, with the last of them.
    fn lose_key(&mut self, why: &str, say: &mut Say) {
        self.keys_lost += 1;
        if self.keys_lost <= KEYS_LOST_MAX {
            self.lose(KEYS, why, say);
        }
    }

    fn lose(&mut self, path: &str, why: &str, say: &mut Say) {
        say(Level::Warning, why);
        self.losses.push(Loss::new(path, why));
    }
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
        assert_eq!(parse("vultr"), Ok(Choice::LinuxKits("vultr".to_owned())));
        assert_eq!(parse("file="), Err("a path is missing"));
        for name in ["", "file", "AWS", "cd-rom"] {
            assert!(parse(name).is_err(), "{name}");
        }
    }

    #[test]
    fn a_long_host_name_loses_its_domain_and_a_bad_one_is_lost() {
        let mut said = Vec::new();
        let mut take = |name: &str| {
            let mut instance = Instance::default();
            instance.hostname(name, &mut |level, _| said.push(level));
            (serde_json::to_string(&instance.entries).unwrap(), instance.losses.len())
        };
        let long = format!("web.{}", "a.".repeat(40) + "internal");
        let entry = |name: &str| format!(r#"{{"hostname":{{"content":"{name}"}}}}"#);
        assert_eq!(take(" web-1.example.com\n"), (entry("web-1.example.com"), 0));
        assert_eq!(take(""), ("{}".to_owned(), 0));
        assert_eq!(take(&long), (entry("web"), 0));
        assert_eq!(take("a_b"), ("{}".to_owned(), 1));
        assert_eq!(take(&"a".repeat(65)), ("{}".to_owned(), 1));
        assert_eq!(said, [Level::Warning; 3]);
    }

    #[test]
    fn a_key_is_written_once_and_what_is_no_key_is_lost() {
        const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAlpAatg9W9L2h4v0mNHyAmFQp5lNv4Pa9y2mfXqFqSY";
        let restricted = format!("restrict {KEY} a");
        let lines =
            [&format!("{KEY} b"), KEY, "hello", &restricted, &format!("{KEY} b"), &format!("{KEY}\u{1b}")];
        let take = |options| {
            let mut said = Vec::new();
            let mut instance = Instance::default();
            let keys = (1..)
                .zip(lines)
                .map(|(number, line)| PublicKey { whose: format!("key {number}"), line: line.to_owned() });
            instance.public_keys(keys, options, &mut |level, text| said.push((level, text.to_owned())));
            assert!(said.iter().all(|(level, _)| *level == Level::Warning));
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
            "leaving out key 3: not a public key",
            "leaving out key 4: options in front of the key",
            "leaving out key 6: control characters in it",
        ];
        assert_eq!(
            take(Options::Refused),
            (tree(&format!("{KEY} b\\n{KEY}\\n")), losses.map(str::to_owned).to_vec())
        );
        let losses = [losses[0], losses[2]];
        assert_eq!(
            take(Options::Allowed),
            (tree(&format!("{KEY} b\\n{KEY}\\n{restricted}\\n")), losses.map(str::to_owned).to_vec())
        );
    }

    #[test]
    fn of_very_many_lines_that_are_no_keys_the_first_are_told() {
        let mut instance = Instance::default();
        let keys = (0..1_000).map(|_| PublicKey { whose: "a key".to_owned(), line: "a".to_owned() });
        let mut said = Vec::new();
        instance.public_keys(keys, Options::Refused, &mut |_, text| said.push(text.to_owned()));
        assert_eq!((said.len(), instance.losses.len()), (KEYS_LOST_MAX + 1, KEYS_LOST_MAX + 1));
        assert_eq!(said[0], "leaving out a key: not a public key");
        assert_eq!(said[KEYS_LOST_MAX], "leaving out 900 more that are no public keys");
    }
}
