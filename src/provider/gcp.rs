//! The metadata server of Google Compute Engine.
//!
//! Source: the Compute Engine documents "About VM metadata" and "Add SSH keys to VMs". The server is asked by its address, so
//! that no name server is needed.

use std::{net::Ipv6Addr, time::Instant};

use crate::error::{Result, ensure, error};
use jiff::Timestamp;
use serde_json::Value;

use super::{
    Instance, KEYS, Level, Metadata, Provider, PublicKey, Say,
    http::{self, Client, Failure, Method, Question, Weight},
};
use crate::trust::public_key::Options;

/// Where every instance finds the server.
pub const HOST: &str = "169.254.169.254";

/// The value of the header `Metadata-Flavor` that question and answer carry.
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
    /// It is something else.
    pub fn new(host: &str) -> Result<Self> {
        ensure!(!host.contains("://"), "it is a URL, and a host is wanted, perhaps with a port");
        ensure!(
            host.parse::<Ipv6Addr>().is_err(),
            "it is an IPv6 address without the brackets that go around it"
        );
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

    fn fetch(&self, deadline: Instant, say: &mut Say) -> Result<Option<Metadata>> {
        let client = Client::new(self.base.clone(), deadline);
        let mut server = Server { client, genuine: false };
        match server.get("/instance/hostname", Weight::Needed, say) {
            Ok(hostname) => server.fetch(hostname, say).map(Some),
            Err(Failure::Nobody(why)) => {
                // Who gave an address expects somebody there.
                let is_given = Self::new(HOST).is_ok_and(|default| default.base != self.base);
                say(if is_given { Level::Step } else { Level::Detail }, &why);
                Ok(None)
            }
            Err(Failure::Broken(error)) => Err(error),
        }
    }
}

/// A server that may be Google's.
struct Server {
    client: Client,
    /// Whether it has shown that it is.
    genuine: bool,
}

impl Server {
    /// What the server has. Without its user data it is broken, without another value that is lost.
    fn fetch(&mut self, hostname: Option<Vec<u8>>, say: &mut Say) -> Result<Metadata> {
        let mut userdata = self.userdata("user-data", say)?;
        if userdata.is_none() {
            userdata = self.userdata("userdata", say)?;
        }
        let mut instance = Instance::default();
        instance.hostname(&String::from_utf8_lossy(&hostname.unwrap_or_default()), say);
        let lines = self.key_lines(&mut instance, say);
        let keys = public_keys(&lines, Timestamp::now(), &mut instance, say);
        instance.public_keys(keys, Options::Refused, say);
        let Instance { entries, losses, .. } = instance;
        Ok(Metadata {
            provider: "gcp",
            origin: "GCP".to_owned(),
            userdata,
            entries,
            losses,
            ..Metadata::default()
        })
    }

    fn userdata(&mut self, key: &str, say: &mut Say) -> Result<Option<Vec<u8>>> {
        let path = format!("/instance/attributes/{key}");
        self.get(&path, Weight::Needed, say).map_err(|failure| error!(failure.into_text()))
    }

    /// The lines with the keys of the instance, and of the project where the instance does not block them: by a flag, or by
    /// having keys under the old name. Where that cannot be told, those of the project are left out.
    fn key_lines(&mut self, instance: &mut Instance, say: &mut Say) -> String {
        let lines = self.keys("/instance/attributes/ssh-keys", instance, say);
        let old = self.keys("/instance/attributes/sshKeys", instance, say);
        let blocked = self.keys("/instance/attributes/block-project-ssh-keys", instance, say);
        let project = match (&old, blocked) {
            (Some(old), Some(blocked)) if old.is_empty() && !is_true(blocked.trim()) => {
                self.keys("/project/attributes/ssh-keys", instance, say)
            }
            (Some(_), Some(_)) => {
                say(Level::Detail, "the keys of the project are blocked");
                None
            }
            _ => {
                let why = "leaving out the keys of the project, which the instance may block";
                instance.lose(KEYS, why, say);
                None
            }
        };
        [lines, project, old].map(Option::unwrap_or_default).join("\n")
    }

    /// The text at `path`. `None`: it is lost.
    fn keys(&mut self, path: &str, instance: &mut Instance, say: &mut Say) -> Option<String> {
        match self.get(path, Weight::Useful, say) {
            Ok(bytes) => Some(String::from_utf8_lossy(&bytes.unwrap_or_default()).into_owned()),
            Err(failure) => {
                instance.lose(KEYS, &failure.into_text(), say);
                None
            }
        }
    }

    /// The bytes at `path`; `None`: there are none.
    fn get(&mut self, path: &str, weight: Weight, say: &mut Say) -> Result<Option<Vec<u8>>, Failure> {
        let question = Question { method: &Method::GET, path, header: Some(("metadata-flavor", FLAVOUR)) };
        let answer = self.client.ask(&question, weight, say)?;
        let wrong = |why: &str| self.client.context(path, why);
        if answer.flavour.as_deref() != Some(FLAVOUR) {
            let why = wrong(&format!("the answer has no header Metadata-Flavor: {FLAVOUR}"));
            return Err(if self.genuine { Failure::Broken(error!(why)) } else { Failure::Nobody(why) });
        }
        self.genuine = true;
        match answer.status {
            200 => Ok((!answer.body.is_empty()).then_some(answer.body)),
            404 => Ok(None),
            status => Err(Failure::Broken(error!(wrong(&format!("the answer is {status}"))))),
        }
    }
}

/// Whether the value of a flag is one of those that Google takes for true.
fn is_true(flag: &str) -> bool {
    ["true", "t", "yes", "y", "1"].iter().any(|word| flag.eq_ignore_ascii_case(word))
}

/// The public keys in lines such as `user:ssh-ed25519 AAAA…`, without the user, and without those that have expired at
/// `now` and what is commented out. One of which that cannot be told, and one of nobody, is lost.
fn public_keys(lines: &str, now: Timestamp, instance: &mut Instance, say: &mut Say) -> Vec<PublicKey> {
    let mut keys = Vec::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (user, key) = match line.split_once(':') {
            Some(("", _)) => {
                instance.lose_key("leaving out a public key without a user", say);
                continue;
            }
            Some((user, key)) if !user.contains(char::is_whitespace) => (user, key.trim()),
            _ => ("", line),
        };
        match expiry(key) {
            _ if key.is_empty() => {}
            Some(Ok(expiry)) if expiry <= now => {
                say(
                    Level::Detail,
                    &format!("leaving out a public key of {user:?}, which expired at {expiry}"),
                );
            }
            Some(Err(why)) => {
                let why = format!("leaving out a public key of {user:?}: {why} cannot be read");
                instance.lose_key(&why, say);
            }
            _ => keys.push(PublicKey { whose: format!("a public key of {user:?}"), line: key.to_owned() }),
        }
    }
    keys
}

/// When a key expires, whose comment is `google-ssh {"userName":"…","expireOn":"2030-01-01T00:00:00+0000"}`. `None`: never.
fn expiry(key: &str) -> Option<Result<Timestamp, &'static str>> {
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
        let mut instance = Instance::default();
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
        let [detail, warning] = [Level::Detail, Level::Warning];
        assert_eq!(said, [detail, detail, warning, warning, warning]);
    }
}
