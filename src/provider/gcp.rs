//! The metadata server of Google Compute Engine.
//!
//! Source: the Compute Engine documents "About VM metadata" and "Add SSH keys to VMs". The server is asked by its address, so
//! that no name server is needed.

use std::time::Instant;

use anyhow::{Result, anyhow};
use jiff::Timestamp;
use serde_json::Value;

use super::{
    Level, Metadata, Provider, Say, entries, host_name,
    http::{Client, Failure, Method},
};

/// Where every instance finds the server.
pub const HOST: &str = "169.254.169.254";

/// The value of the header `Metadata-Flavor` that question and answer carry.
pub(super) const FLAVOUR: &str = "Google";

/// The server at one address.
#[derive(Clone, Debug)]
pub struct Gcp {
    host: String,
}

impl Gcp {
    /// The server at `host`, a name or an address, perhaps with a colon and a port, such as [`HOST`].
    #[must_use]
    pub fn new(host: &str) -> Self {
        Self { host: host.to_owned() }
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
        let client = Client::new(format!("http://{}/computeMetadata/v1", self.host), deadline);
        match (Server { client, genuine: false }).fetch(say) {
            Ok(found) => Ok(Some(found)),
            Err(Failure::Nobody(why)) => {
                say(Level::Detail, &why);
                Ok(None)
            }
            Err(Failure::Broken(error)) => Err(error),
        }
    }
}

struct Server {
    client: Client,
    /// Whether it has shown that it is Google's.
    genuine: bool,
}

impl Server {
    fn fetch(&mut self, say: &mut Say) -> Result<Metadata, Failure> {
        let hostname = self.get("/instance/hostname")?.and_then(|name| host_name(&name, say));
        let mut lines = self.get("/instance/attributes/ssh-keys")?.unwrap_or_default();
        let blocked = self.get("/instance/attributes/block-project-ssh-keys")?;
        if !blocked.is_some_and(|blocked| blocked.trim().eq_ignore_ascii_case("true")) {
            lines.push('\n');
            lines.push_str(&self.get("/project/attributes/ssh-keys")?.unwrap_or_default());
        }
        let keys = public_keys(&lines, Timestamp::now(), say);
        let mut userdata = self.get_bytes("/instance/attributes/user-data")?;
        if userdata.is_none() {
            userdata = self.get_bytes("/instance/attributes/userdata")?;
        }
        Ok(Metadata { origin: "GCP".to_owned(), userdata, entries: entries(hostname, &keys) })
    }

    fn get(&mut self, path: &str) -> Result<Option<String>, Failure> {
        let bytes = self.get_bytes(path)?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// The bytes at `path`; `None`: there are none.
    fn get_bytes(&mut self, path: &str) -> Result<Option<Vec<u8>>, Failure> {
        let answer = self.client.ask(&Method::GET, path, &[("metadata-flavor", FLAVOUR)])?;
        if answer.flavour.as_deref() != Some(FLAVOUR) {
            let why =
                format!("the answer from {} has no header Metadata-Flavor: {FLAVOUR}", self.client.base());
            return Err(if self.genuine { Failure::Broken(anyhow!(why)) } else { Failure::Nobody(why) });
        }
        self.genuine = true;
        match answer.status {
            200 => Ok((!answer.body.is_empty()).then_some(answer.body)),
            404 => Ok(None),
            status => {
                Err(Failure::Broken(anyhow!("asking {}{path}: the answer is {status}", self.client.base())))
            }
        }
    }
}

/// The public keys in lines such as `user:ssh-ed25519 AAAA…`, without the user, and without those that have expired at
/// `now`.
fn public_keys(lines: &str, now: Timestamp, say: &mut Say) -> Vec<String> {
    let mut keys = Vec::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let key = match line.split_once(':') {
            Some((user, key)) if !user.contains(char::is_whitespace) => key.trim(),
            _ => line,
        };
        match expiry(key) {
            Some(Ok(expiry)) if expiry <= now => {
                say(Level::Detail, "leaving out a public key that has expired");
            }
            Some(Err(why)) => {
                say(Level::Warning, &format!("leaving out a public key, of which {why} cannot be read"));
            }
            _ => keys.push(key.to_owned()),
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
            bob:ssh-rsa H google-ssh {"userName":"bob","expireOn":"tomorrow"}"#;
        let mut said = Vec::new();
        let keys = public_keys(lines, now, &mut |level, _| said.push(level));
        assert_eq!(
            keys,
            [
                "ssh-ed25519 A alice@host",
                "ssh-ed25519 B without:user",
                r#"ssh-rsa E google-ssh {"userName":"bob","expireOn":"2026-01-01T00:00:01+0000"}"#,
                r#"ssh-rsa F google-ssh {"userName":"bob"}"#,
            ]
        );
        assert_eq!(said, [Level::Detail, Level::Detail, Level::Warning, Level::Warning]);
    }
}
