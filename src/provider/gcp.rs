//! The metadata server of Google Compute Engine.
//!
//! Source: the Compute Engine documents "About VM metadata" and "Add SSH keys to VMs". The server is addressed by number, so no name
//! server is needed.

use std::{net::Ipv6Addr, time::Instant};

use serde_json::Value;

use super::{
    InstanceEntries, KEYS, KeyLine, Log, LogLevel, Metadata, Provider,
    http::{self, Client, Failure, Method, Priority, Request},
};
use crate::{
    error::{Result, ensure, error},
    userdata::authorized_keys::KeyOptions,
};

/// The address of the server.
pub const HOST: &str = "169.254.169.254";

/// The value of the header `Metadata-Flavor` in requests and responses.
pub(super) const FLAVOUR: &str = "Google";

/// The server at one address.
#[derive(Clone, Debug)]
pub struct Gcp {
    /// The URL that every path begins with.
    base: String,
}

impl Gcp {
    /// The server at `host`, a name or an address, perhaps with a colon and a port, such as [`HOST`].
    ///
    /// # Errors
    /// Fails if `host` is a URL, an IPv6 address without brackets, or not a valid host with or without a port.
    pub fn new(host: &str) -> Result<Self> {
        ensure!(!host.contains("://"), "give a host, optionally with a port, instead of a URL");
        ensure!(host.parse::<Ipv6Addr>().is_err(), "write an IPv6 address in brackets");
        Ok(Self { base: http::check_address(&format!("http://{host}"))? + "/computeMetadata/v1" })
    }
}

impl Provider for Gcp {
    fn name(&self) -> &'static str {
        "gcp"
    }

    fn is_local(&self) -> bool {
        false
    }

    fn fetch(&self, deadline: Instant, log: &mut Log) -> Result<Option<Metadata>> {
        let client = Client::new(self.base.clone(), deadline);
        let mut server = Server { client, genuine: false };
        match server.get("/instance/hostname", Priority::Required, log) {
            Ok(hostname) => server.fetch(hostname, log).map(Some),
            Err(Failure::NoService(why)) => {
                // A user who gave an address expects a server there.
                let is_given = Self::new(HOST).is_ok_and(|default| default.base != self.base);
                log(if is_given { LogLevel::Step } else { LogLevel::Detail }, &why);
                Ok(None)
            }
            Err(Failure::Broken(error)) => Err(error),
        }
    }
}

/// A server that may be Google's.
struct Server {
    client: Client,
    /// Whether a response has shown that it is.
    genuine: bool,
}

impl Server {
    /// Everything the server has. If the user data cannot be read, that is an error. Any other value is lost.
    fn fetch(&mut self, hostname: Option<Vec<u8>>, log: &mut Log) -> Result<Metadata> {
        let mut userdata = self.userdata("user-data", log)?;
        if userdata.is_none() {
            userdata = self.userdata("userdata", log)?;
        }
        let mut instance = InstanceEntries::default();
        instance.add_hostname(&String::from_utf8_lossy(&hostname.unwrap_or_default()), log);
        let lines = self.key_lines(&mut instance, log);
        let keys = public_keys(&lines, jiff::Timestamp::now(), &mut instance, log);
        instance.add_keys(keys, KeyOptions::Refused, log);
        let InstanceEntries { entries, losses, .. } = instance;
        Ok(Metadata {
            provider: "gcp",
            origin: "GCP".to_owned(),
            userdata,
            entries,
            losses,
            ..Metadata::default()
        })
    }

    fn userdata(&mut self, key: &str, log: &mut Log) -> Result<Option<Vec<u8>>> {
        let path = format!("/instance/attributes/{key}");
        self.get(&path, Priority::Required, log).map_err(|failure| error!(failure.into_text()))
    }

    /// The lines with the keys of the instance, and of the project unless the instance blocks them: with a flag, or with keys under
    /// the old name. If that cannot be read, the keys of the project are skipped.
    fn key_lines(&mut self, instance: &mut InstanceEntries, log: &mut Log) -> String {
        let lines = self.keys("/instance/attributes/ssh-keys", instance, log);
        let old = self.keys("/instance/attributes/sshKeys", instance, log);
        let blocked = self.keys("/instance/attributes/block-project-ssh-keys", instance, log);
        let project = match (&old, blocked) {
            (Some(old), Some(blocked)) if old.is_empty() && !is_true(blocked.trim()) => {
                self.keys("/project/attributes/ssh-keys", instance, log)
            }
            (Some(_), Some(_)) => {
                log(LogLevel::Detail, "the keys of the project are blocked");
                None
            }
            _ => {
                let why = "skipping the keys of the project, which the instance may block";
                instance.lose(KEYS, why, log);
                None
            }
        };
        [lines, project, old].map(Option::unwrap_or_default).join("\n")
    }

    /// The text at `path`; `None`: it is lost.
    fn keys(&mut self, path: &str, instance: &mut InstanceEntries, log: &mut Log) -> Option<String> {
        match self.get(path, Priority::Optional, log) {
            Ok(bytes) => Some(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()),
            Err(failure) => {
                instance.lose(KEYS, &failure.into_text(), log);
                None
            }
        }
    }

    /// The body at `path`; `None`: there is none.
    fn get(&mut self, path: &str, priority: Priority, log: &mut Log) -> Result<Option<Vec<u8>>, Failure> {
        let request = Request { method: &Method::GET, path, header: Some(("metadata-flavor", FLAVOUR)) };
        let response = self.client.send(&request, priority, log)?;
        let wrong = |why: &str| self.client.context(path, why);
        if response.flavour.as_deref() != Some(FLAVOUR) {
            let why = wrong(&format!("the response has no header Metadata-Flavor: {FLAVOUR}"));
            return Err(if self.genuine { Failure::Broken(error!(why)) } else { Failure::NoService(why) });
        }
        self.genuine = true;
        match response.status {
            200 => Ok((!response.body.is_empty()).then_some(response.body)),
            404 => Ok(None),
            status => Err(Failure::Broken(error!(wrong(&format!("status {status}"))))),
        }
    }
}

/// Whether the value of a flag is one that Google reads as true.
fn is_true(flag: &str) -> bool {
    ["true", "t", "yes", "y", "1"].iter().any(|word| flag.eq_ignore_ascii_case(word))
}

/// The public keys in lines such as `user:ssh-ed25519 AAAA…`, without the user. Comments and keys that have expired at `now` are
/// skipped. A key whose expiry cannot be read, or without a user, is lost.
fn public_keys(
    lines: &str,
    now: jiff::Timestamp,
    instance: &mut InstanceEntries,
    log: &mut Log,
) -> Vec<KeyLine> {
    let mut keys = Vec::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (user, key) = match line.split_once(':') {
            Some(("", _)) => {
                instance.lose_key("skipping a public key without a user", log);
                continue;
            }
            Some((user, key)) if !user.contains(char::is_whitespace) => (user, key.trim()),
            _ => ("", line),
        };
        match expiry(key) {
            _ if key.is_empty() => {}
            Some(Ok(expiry)) if expiry <= now => {
                log(
                    LogLevel::Detail,
                    &format!("skipping a public key of {user:?}, which expired at {expiry}"),
                );
            }
            Some(Err(why)) => {
                let why = format!("skipping a public key of {user:?}: {why} cannot be read");
                instance.lose_key(&why, log);
            }
            _ => keys.push(KeyLine { name: format!("a public key of {user:?}"), line: key.to_owned() }),
        }
    }
    keys
}

/// When a key expires that has the comment `google-ssh {"userName":"…","expireOn":"2030-01-01T00:00:00+0000"}`. `None`: never.
fn expiry(key: &str) -> Option<Result<jiff::Timestamp, &'static str>> {
    let (_, comment) = key.split_once(" google-ssh ")?;
    let Ok(comment) = serde_json::from_str::<Value>(comment) else { return Some(Err("the comment")) };
    match &comment["expireOn"] {
        Value::Null => None,
        Value::String(time) => Some(time.parse().map_err(|_| "the time expireOn")),
        _ => Some(Err("the time expireOn")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_and_expired_keys_are_left_out() {
        let now = "2026-01-01T00:00:00Z".parse().unwrap();
        let lines = r#"
            alice:ssh-ed25519 A alice@host
            ssh-ed25519 B without:user

            bob:ssh-rsa C google-ssh {"userName":"bob","expireOn":"2025-12-31T23:59:59+0000"}
            bob:ssh-rsa D google-ssh {"userName":"bob","expireOn":"2026-01-01T01:00:00+0100"}
            bob:ssh-rsa E google-ssh {"userName":"bob","expireOn":"2026-01-01T00:00:01+0000"}
            bob:ssh-rsa F google-ssh {"userName":"bob"}
            bob:ssh-rsa G google-ssh {"userName":
            bob:ssh-rsa H google-ssh {"userName":"bob","expireOn":"tomorrow"}
            bob:
            #carol:ssh-rsa I
            :ssh-rsa J"#;
        let mut said = Vec::new();
        let mut instance = InstanceEntries::default();
        let keys = public_keys(lines, now, &mut instance, &mut |level, _| said.push(level));
        let keys = keys.into_iter().map(|key| key.line).collect::<Vec<_>>();
        assert_eq!(
            keys,
            [
                "ssh-ed25519 A alice@host",
                "ssh-ed25519 B without:user",
                r#"ssh-rsa E google-ssh {"userName":"bob","expireOn":"2026-01-01T00:00:01+0000"}"#,
                r#"ssh-rsa F google-ssh {"userName":"bob"}"#,
            ]
        );
        assert_eq!(instance.losses.len(), 3);
        let [detail, warning] = [LogLevel::Detail, LogLevel::Warning];
        assert_eq!(said, [detail, detail, warning, warning, warning]);
    }
}
