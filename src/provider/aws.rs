//! The instance metadata service of Amazon EC2, version 2, and version 1 where there is no other.
//!
//! Source: the EC2 user guide, "Instance metadata and user data". What is written, and under which names, is what LinuxKit's
//! agent writes, but for public keys: all of them instead of the first one.

use std::time::Instant;

use anyhow::{Result, anyhow};

use super::{
    Level, Metadata, Provider, Say, entries,
    gcp::FLAVOUR,
    host_name,
    http::{Client, Failure, Method},
};
use crate::userdata::config_tree::Entry;

/// Where every instance finds the service.
pub const ENDPOINT: &str = "http://169.254.169.254";

/// Where an instance finds it that has only IPv6.
pub const ENDPOINT_IPV6: &str = "http://[fd00:ec2::254]";

/// Seconds that a token is good for: the most that the service gives.
const TOKEN_SECONDS: &str = "21600";

/// Bytes in a token at most. Those of the service have 56.
const TOKEN_BYTES_MAX: usize = 4096;

/// Files, and the keys of meta-data that they are made of.
const FILES: [(&str, &str); 6] = [
    ("public_ipv4", "public-ipv4"),
    ("local_ipv4", "local-ipv4"),
    ("availability_zone", "placement/availability-zone"),
    ("instance_type", "instance-type"),
    ("instance_id", "instance-id"),
    ("local_hostname", "local-hostname"),
];

/// The service at one address.
#[derive(Clone, Debug)]
pub struct Aws {
    endpoint: String,
}

impl Aws {
    /// The service at `endpoint`, a URL such as [`ENDPOINT`].
    #[must_use]
    pub fn new(endpoint: &str) -> Self {
        Self { endpoint: endpoint.trim_end_matches('/').to_owned() }
    }
}

impl Provider for Aws {
    fn name(&self) -> &'static str {
        "aws"
    }

    fn is_local(&self) -> bool {
        false
    }

    fn fetch(&self, deadline: Instant, say: &mut Say) -> Result<Option<Metadata>> {
        match Session::open(Client::new(self.endpoint.clone(), deadline), say) {
            Err(Failure::Nobody(why)) => {
                say(Level::Detail, &why);
                Ok(None)
            }
            Err(Failure::Broken(error)) => Err(error),
            Ok(mut session) => session.fetch(say).map(Some),
        }
    }
}

/// A service that has shown that it is one.
struct Session {
    client: Client,
    /// `None`: version 1. It is a secret, of which nothing is logged.
    token: Option<String>,
}

impl Session {
    fn open(mut client: Client, say: &mut Say) -> Result<Self, Failure> {
        let ttl = [("x-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS)];
        let answer = client.ask(&Method::PUT, "/latest/api/token", &ttl)?;
        let not_aws = |why: &str| Failure::Nobody(format!("this is not EC2: {why}"));
        if answer.flavour.as_deref() == Some(FLAVOUR) {
            return Err(not_aws("Google answers"));
        }
        let token = (answer.status == 200).then(|| token(answer.body)).flatten();
        let mut session = Self { client, token };
        // Whoever answers every question is found out here.
        let listing = session.get("/latest/meta-data/")?;
        match listing {
            Some(listing) if listing.lines().any(|line| line == "instance-id") => {}
            Some(_) => return Err(not_aws("meta-data has no instance-id")),
            None => return Err(not_aws("there is no meta-data")),
        }
        if session.token.is_none() {
            let why = format!("it answers {} to the question for a token", answer.status);
            say(Level::Warning, &format!("the service has no IMDSv2, asking with version 1 ({why})"));
        }
        Ok(session)
    }

    fn fetch(&mut self, say: &mut Say) -> Result<Metadata> {
        self.try_fetch(say).map_err(|failure| match failure {
            Failure::Nobody(why) => anyhow!(why),
            Failure::Broken(error) => error,
        })
    }

    fn try_fetch(&mut self, say: &mut Say) -> Result<Metadata, Failure> {
        let hostname = self.get("/latest/meta-data/hostname")?;
        let hostname = hostname.and_then(|name| host_name(&name, say));
        let mut entries = entries(hostname, &self.public_keys()?);
        for (name, key) in FILES {
            if let Some(value) = self.get(&format!("/latest/meta-data/{key}"))? {
                entries.entries.insert(name.to_owned(), Entry::file(value.trim().to_owned(), None));
            }
        }
        let userdata = self.get_bytes("/latest/user-data")?;
        Ok(Metadata { origin: "AWS".to_owned(), userdata, entries })
    }

    /// The public keys that the instance was started with, and those given to it later.
    fn public_keys(&mut self) -> Result<Vec<String>, Failure> {
        let listing = self.get("/latest/meta-data/public-keys/")?.unwrap_or_default();
        let mut keys = Vec::new();
        // A line such as "0=name".
        for number in listing.lines().filter_map(|line| line.split('=').next()) {
            if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                continue;
            }
            let key = self.get(&format!("/latest/meta-data/public-keys/{number}/openssh-key"))?;
            keys.extend(
                key.unwrap_or_default()
                    .lines()
                    .map(str::trim)
                    .filter(|key| !key.is_empty())
                    .map(str::to_owned),
            );
        }
        Ok(keys)
    }

    /// The text at `path`; `None`: there is none.
    fn get(&mut self, path: &str) -> Result<Option<String>, Failure> {
        let bytes = self.get_bytes(path)?;
        Ok(bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    }

    fn get_bytes(&mut self, path: &str) -> Result<Option<Vec<u8>>, Failure> {
        let token = self.token.as_deref().map(|token| ("x-aws-ec2-metadata-token", token));
        let answer = self.client.ask(&Method::GET, path, token.as_slice())?;
        match answer.status {
            200 => Ok((!answer.body.is_empty()).then_some(answer.body)),
            404 => Ok(None),
            300..400 => Err(Failure::Nobody(format!("this is not EC2: {path} leads elsewhere"))),
            status => {
                Err(Failure::Broken(anyhow!("asking {}{path}: the answer is {status}", self.client.base())))
            }
        }
    }
}

/// The token in an answer, if it can be one and go into a header.
fn token(body: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(body).ok()?;
    let text = text.trim();
    let plausible =
        !text.is_empty() && text.len() <= TOKEN_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
    plausible.then(|| text.to_owned())
}
