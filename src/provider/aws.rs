//! The instance metadata service of Amazon EC2, version 2, and version 1 where there is no other.
//!
//! Source: the EC2 user guide, "Instance metadata and user data". What is written, and under which names, is what LinuxKit's
//! agent writes, but for public keys: all of them instead of the first one.

use std::time::{Duration, Instant};

use crate::error::{Result, error};

use super::{
    Instance, KEYS, Level, Metadata, Provider, PublicKey, Say,
    gcp::FLAVOUR,
    http::{self, Answer, Client, Failure, Method, Question, Weight},
};
use crate::trust::public_key::Options;

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

/// Public keys that are asked for at most. The service gives one to an instance that starts.
const KEYS_MAX: usize = 100;

/// How long the token is waited for, of the time that there is. In a container its answer may be a hop too far, and version 1
/// still be there.
const TOKEN_SHARE: f64 = 0.25;

/// The service at one address.
#[derive(Clone, Debug)]
pub struct Aws {
    endpoint: String,
}

impl Aws {
    /// The service at `endpoint`, a URL such as [`ENDPOINT`].
    ///
    /// # Errors
    /// It is something else than `http://`, a host and perhaps a port.
    pub fn new(endpoint: &str) -> Result<Self> {
        Ok(Self { endpoint: http::check_address(endpoint)? })
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
        let wait = deadline.saturating_duration_since(Instant::now()).mul_f64(TOKEN_SHARE);
        match Session::open(Client::new(self.endpoint.clone(), deadline), wait, say) {
            Err(Failure::Nobody(why)) => {
                // Who gave an address expects somebody there.
                let is_given = self.endpoint != ENDPOINT && self.endpoint != ENDPOINT_IPV6;
                say(if is_given { Level::Step } else { Level::Detail }, &why);
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
    fn open(mut client: Client, wait: Duration, say: &mut Say) -> Result<Self, Failure> {
        let token = ask_token(&mut client, wait, say)?;
        let no_token = token.as_ref().err().cloned();
        let mut session = Self { client, token: token.ok() };
        // Whoever answers every question is found out here.
        let not_ec2 = |why: &str| Failure::Nobody(format!("this is not EC2: {why}"));
        let path = "/latest/meta-data/";
        let answer = session.ask(path, Weight::Needed, say)?;
        let listing = String::from_utf8_lossy(&answer.body);
        match answer.status {
            200 if listing.lines().any(|line| line == "instance-id") => {}
            200 => return Err(not_ec2("its meta-data has no instance-id")),
            // It asks for a token, as only EC2 does.
            401 => return Err(Failure::Broken(error!(session.client.context(path, "the answer is 401")))),
            status => return Err(not_ec2(&format!("the answer to {path} is {status}"))),
        }
        if let Some(why) = no_token {
            say(Level::Warning, &format!("asking with IMDSv1, since there is no token: {why}"));
        }
        Ok(session)
    }

    /// What the service has, the most important first. Without its user data it is broken, without another value that is lost.
    fn fetch(&mut self, say: &mut Say) -> Result<Metadata> {
        let userdata = self.get("/latest/user-data", Weight::Needed, say)?;
        let mut instance = Instance::default();
        if let Some(name) = self.value("hostname", "hostname", &mut instance, say) {
            instance.hostname(&name, say);
        }
        let keys = self.public_keys(&mut instance, say);
        let keys = keys.iter().flat_map(|(number, lines)| {
            let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
            let whose = move || format!("public key {number} of the instance");
            lines.map(move |line| PublicKey { whose: whose(), line: line.to_owned() })
        });
        instance.public_keys(keys, Options::Refused, say);
        for (name, key) in FILES {
            if let Some(value) = self.value(name, key, &mut instance, say) {
                instance.file(name, value.trim().to_owned());
            }
        }
        let Instance { entries, losses, .. } = instance;
        Ok(Metadata {
            provider: "aws",
            origin: "AWS".to_owned(),
            userdata,
            entries,
            losses,
            ..Metadata::default()
        })
    }

    /// The public keys that the instance was started with, and those given to it later: their numbers, and lines of keys.
    fn public_keys(&mut self, instance: &mut Instance, say: &mut Say) -> Vec<(String, String)> {
        let listing = self.value(KEYS, "public-keys/", instance, say).unwrap_or_default();
        // A line such as "0=name".
        let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let numbers: Vec<_> =
            listing.lines().filter_map(|line| line.split('=').next()).filter(is_number).collect();
        let mut keys = Vec::new();
        for (index, number) in numbers.iter().enumerate() {
            let left = numbers.len() - index;
            if index == KEYS_MAX {
                instance.lose(KEYS, &format!("there are {left} public keys more than {KEYS_MAX}"), say);
                break;
            }
            if self.client.left().is_zero() {
                instance.lose(KEYS, &format!("no time is left to ask for {left} public keys"), say);
                break;
            }
            let key = self.value(KEYS, &format!("public-keys/{number}/openssh-key"), instance, say);
            keys.push(((*number).to_owned(), key.unwrap_or_default()));
        }
        keys
    }

    /// The value of a key of meta-data, for the file `name`. `None`: there is none, or it is lost.
    fn value(&mut self, name: &str, key: &str, instance: &mut Instance, say: &mut Say) -> Option<String> {
        match self.get(&format!("/latest/meta-data/{key}"), Weight::Useful, say) {
            Ok(bytes) => bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) => {
                instance.lose(name, &format!("{error:#}"), say);
                None
            }
        }
    }

    /// The bytes at `path`; `None`: there are none.
    fn get(&mut self, path: &str, weight: Weight, say: &mut Say) -> Result<Option<Vec<u8>>> {
        let answer = self.ask(path, weight, say).map_err(|failure| error!(failure.into_text()))?;
        match answer.status {
            200 => Ok((!answer.body.is_empty()).then_some(answer.body)),
            404 => Ok(None),
            status => Err(error!(self.client.context(path, &format!("the answer is {status}")))),
        }
    }

    fn ask(&mut self, path: &str, weight: Weight, say: &mut Say) -> Result<Answer, Failure> {
        let header = self.token.as_deref().map(|token| ("x-aws-ec2-metadata-token", token));
        self.client.ask(&Question { method: &Method::GET, path, header }, weight, say)
    }
}

/// The token of version 2, or why there is none.
fn ask_token(client: &mut Client, wait: Duration, say: &mut Say) -> Result<Result<String, String>, Failure> {
    let header = Some(("x-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS));
    let question = Question { method: &Method::PUT, path: "/latest/api/token", header };
    let answer = match client.try_ask(&question, wait, say) {
        None => return Ok(Err(format!("{question} is not answered"))),
        // It may be throttled or out of order for a moment.
        Some(answer) if http::is_passing(answer.status) => client.ask(&question, Weight::Needed, say)?,
        Some(answer) => answer,
    };
    if answer.flavour.as_deref() == Some(FLAVOUR) {
        return Err(Failure::Nobody("this is not EC2: Google answers".to_owned()));
    }
    match (answer.status, parse_token(answer.body)) {
        (200, Some(token)) => Ok(Ok(token)),
        (200, None) => Ok(Err(format!("the answer to {question} is none"))),
        (status, _) => Ok(Err(format!("the answer to {question} is {status}"))),
    }
}

/// The token in an answer, if it can be one and go into a header.
fn parse_token(body: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(body).ok()?;
    let text = text.trim();
    let plausible =
        !text.is_empty() && text.len() <= TOKEN_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
    plausible.then(|| text.to_owned())
}
