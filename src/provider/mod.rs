//! Where a guest finds its metadata.
//!
//! A provider fetches and never writes. To add one: a module beside these with a type that implements [`Provider`], its
//! name in [`Choice`], the place in `cli/agent.rs` that makes it, and a line in README.

pub mod aws;
pub mod cdrom;
pub mod file;
pub mod gcp;
mod http;

use std::{fmt, path::PathBuf, str::FromStr, time::Instant};

use anyhow::Result;

use crate::userdata::{
    config_tree::{ConfigTree, Entry, Mode},
    hostname,
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
    /// What is logged and written to `provider`, such as `CDROM /dev/sr0`.
    pub origin: String,
    /// The user data; `None` where there is none or it is empty.
    pub userdata: Option<Vec<u8>>,
    /// What the provider adds to the config tree: the host name, public keys. User data goes before it.
    pub entries: ConfigTree,
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

/// Permission bits of `ssh`, which holds who may log in.
const SSH_MODE: u32 = 0o700;

/// Permission bits of `ssh/authorized_keys`.
const KEYS_MODE: u32 = 0o600;

/// Bytes in a host name at most: Linux, `HOST_NAME_MAX` in `limits.h`.
const HOST_NAME_BYTES_MAX: usize = 64;

/// The entries `hostname` and `ssh/authorized_keys`, where there is something to write.
fn entries(hostname: Option<String>, public_keys: &[String]) -> ConfigTree {
    let mut tree = ConfigTree::default();
    if let Some(hostname) = hostname {
        tree.entries.insert("hostname".to_owned(), Entry::file(hostname, None));
    }
    if !public_keys.is_empty() {
        let keys = Entry::file(public_keys.join("\n") + "\n", Mode::new(KEYS_MODE));
        let ssh = ConfigTree { entries: [("authorized_keys".to_owned(), keys)].into() };
        tree.entries.insert("ssh".to_owned(), Entry::directory(ssh, Mode::new(SSH_MODE)));
    }
    tree
}

/// A host name as a platform gives it, if it can be one. Of a name with a domain that is too long for Linux the first part
/// is taken.
fn host_name(name: &str, say: &mut Say) -> Option<String> {
    let mut name = name.trim();
    if name.len() > HOST_NAME_BYTES_MAX
        && let Some((first, _)) = name.split_once('.')
    {
        say(Level::Warning, &format!("the host name {name:?} is longer than 64 bytes, taking {first:?}"));
        name = first;
    }
    if name.is_empty() {
        return None;
    }
    match hostname::check(name) {
        Ok(()) => Some(name.to_owned()),
        Err(why) => {
            say(Level::Warning, &format!("not taking the host name {name:?}, which {why}"));
            None
        }
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
    fn a_long_host_name_loses_its_domain_and_a_bad_one_is_left_out() {
        let mut said = Vec::new();
        let mut say = |level, text: &str| said.push((level, text.to_owned()));
        let long = format!("web.{}", "a.".repeat(40) + "internal");
        assert_eq!(host_name(" web-1.example.com\n", &mut say).as_deref(), Some("web-1.example.com"));
        assert_eq!(host_name("", &mut say), None);
        assert_eq!(host_name(&long, &mut say).as_deref(), Some("web"));
        assert_eq!(host_name("a_b", &mut say), None);
        assert_eq!(host_name(&"a".repeat(65), &mut say), None);
        assert_eq!(said.len(), 3);
        assert!(said.iter().all(|(level, _)| *level == Level::Warning));
    }
}
