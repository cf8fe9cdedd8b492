//! The instance metadata service of Amazon EC2: version 2, or version 1 if the service gives no token.
//!
//! Source: the EC2 user guide, "Instance metadata and user data". The files have the names and content that LinuxKit's agent gives
//! them, except that all public keys are written, and not only the first.

use std::time::{Duration, Instant};

use super::{
    InstanceEntries, KEYS, KeyLine, Log, LogLevel, Metadata, Provider,
    gcp::FLAVOUR,
    http::{self, Client, Failure, Method, Priority, Request, Response},
};
use crate::{
    error::{Result, error},
    userdata::authorized_keys::KeyOptions,
};

/// The address of the service.
pub const ENDPOINT: &str = "http://169.254.169.254";

/// The address of the service for instances with IPv6 only.
pub const ENDPOINT_IPV6: &str = "http://[fd00:ec2::254]";

/// Seconds that a token is valid: the most that the service allows.
const TOKEN_SECONDS: &str = "21600";

/// The most bytes in a token. Tokens of the service have 56.
const TOKEN_BYTES_MAX: usize = 4096;

/// Files, and the meta-data keys whose values they hold.
const FILES: [(&str, &str); 6] = [
    ("public_ipv4", "public-ipv4"),
    ("local_ipv4", "local-ipv4"),
    ("availability_zone", "placement/availability-zone"),
    ("instance_type", "instance-type"),
    ("instance_id", "instance-id"),
    ("local_hostname", "local-hostname"),
];

/// The most public keys that are requested. The service gives one key to an instance that starts.
const KEYS_MAX: usize = 100;

/// The share of the time that the request for a token may take. In a container the response may be a hop too far, while version 1
/// still works.
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
    /// Fails if the URL is not `http://`, a host and perhaps a port.
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

    fn fetch(&self, deadline: Instant, log: &mut Log) -> Result<Option<Metadata>> {
        let wait = deadline.saturating_duration_since(Instant::now()).mul_f64(TOKEN_SHARE);
        match Session::open(Client::new(self.endpoint.clone(), deadline), wait, log) {
            Err(Failure::NoService(why)) => {
                // A user who gave an address expects a service there.
                let is_given = self.endpoint != ENDPOINT && self.endpoint != ENDPOINT_IPV6;
                log(if is_given { LogLevel::Step } else { LogLevel::Detail }, &why);
                Ok(None)
            }
            Err(Failure::Broken(error)) => Err(error),
            Ok(mut session) => session.fetch(log).map(Some),
        }
    }
}

/// A service that is known to be EC2's.
struct Session {
    client: Client,
    /// `None`: version 1. The token is a secret and is never logged.
    token: Option<String>,
}

impl Session {
    fn open(mut client: Client, wait: Duration, log: &mut Log) -> Result<Self, Failure> {
        let token = request_token(&mut client, wait, log)?;
        let no_token = token.as_ref().err().cloned();
        let mut session = Self { client, token: token.ok() };
        // A server that answers every request is found out here.
        let not_ec2 = |why: &str| Failure::NoService(format!("not EC2: {why}"));
        let path = "/latest/meta-data/";
        let response = session.request(path, Priority::Required, log)?;
        let listing = String::from_utf8_lossy(&response.body);
        match response.status {
            200 if listing.lines().any(|line| line == "instance-id") => {}
            200 => return Err(not_ec2("the meta-data has no instance-id")),
            // Only EC2 requires a token.
            401 => return Err(Failure::Broken(error!(session.client.context(path, "status 401")))),
            status => return Err(not_ec2(&format!("{path} has status {status}"))),
        }
        if let Some(why) = no_token {
            log(LogLevel::Warning, &format!("using IMDSv1, since there is no token: {why}"));
        }
        Ok(session)
    }

    /// Everything the service has, the most important first. If the user data cannot be read, that is an error. Any other value is
    /// lost.
    fn fetch(&mut self, log: &mut Log) -> Result<Metadata> {
        let userdata = self.get("/latest/user-data", Priority::Required, log)?;
        let mut instance = InstanceEntries::default();
        if let Some(name) = self.value("hostname", "hostname", &mut instance, log) {
            instance.add_hostname(&name, log);
        }
        let keys = self.public_keys(&mut instance, log);
        let keys = keys.iter().flat_map(|(number, lines)| {
            let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
            let name = move || format!("public key {number} of the instance");
            lines.map(move |line| KeyLine { name: name(), line: line.to_owned() })
        });
        instance.add_keys(keys, KeyOptions::Refused, log);
        for (name, key) in FILES {
            if let Some(value) = self.value(name, key, &mut instance, log) {
                instance.add_file(name, value.trim().to_owned());
            }
        }
        let InstanceEntries { entries, losses, .. } = instance;
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
    fn public_keys(&mut self, instance: &mut InstanceEntries, log: &mut Log) -> Vec<(String, String)> {
        let listing = self.value(KEYS, "public-keys/", instance, log).unwrap_or_default();
        // A line such as "0=name".
        let is_number = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let numbers: Vec<_> =
            listing.lines().filter_map(|line| line.split('=').next()).filter(is_number).collect();
        let mut keys = Vec::new();
        for (index, number) in numbers.iter().enumerate() {
            let left = numbers.len() - index;
            if index == KEYS_MAX {
                instance.lose(
                    KEYS,
                    &format!("skipping {left} public keys: at most {KEYS_MAX} are requested"),
                    log,
                );
                break;
            }
            if self.client.left().is_zero() {
                instance.lose(
                    KEYS,
                    &format!("skipping {left} public keys: no time is left to request them"),
                    log,
                );
                break;
            }
            let key = self.value(KEYS, &format!("public-keys/{number}/openssh-key"), instance, log);
            keys.push(((*number).to_owned(), key.unwrap_or_default()));
        }
        keys
    }

    /// The value of a meta-data key, for the file `name`. `None`: there is none, or it is lost.
    fn value(
        &mut self,
        name: &str,
        key: &str,
        instance: &mut InstanceEntries,
        log: &mut Log,
    ) -> Option<String> {
        match self.get(&format!("/latest/meta-data/{key}"), Priority::Optional, log) {
            Ok(bytes) => bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
            Err(error) => {
                instance.lose(name, &format!("{error:#}"), log);
                None
            }
        }
    }

    /// The body at `path`; `None`: there is none.
    fn get(&mut self, path: &str, priority: Priority, log: &mut Log) -> Result<Option<Vec<u8>>> {
        let response = self.request(path, priority, log).map_err(|failure| error!(failure.into_text()))?;
        match response.status {
            200 => Ok((!response.body.is_empty()).then_some(response.body)),
            404 => Ok(None),
            status => Err(error!(self.client.context(path, &format!("status {status}")))),
        }
    }

    fn request(&mut self, path: &str, priority: Priority, log: &mut Log) -> Result<Response, Failure> {
        let header = self.token.as_deref().map(|token| ("x-aws-ec2-metadata-token", token));
        self.client.send(&Request { method: &Method::GET, path, header }, priority, log)
    }
}

/// The token of version 2, or why there is none.
fn request_token(
    client: &mut Client,
    wait: Duration,
    log: &mut Log,
) -> Result<Result<String, String>, Failure> {
    let header = Some(("x-aws-ec2-metadata-token-ttl-seconds", TOKEN_SECONDS));
    let request = Request { method: &Method::PUT, path: "/latest/api/token", header };
    let response = match client.try_send(&request, wait, log) {
        None => return Ok(Err(format!("no response to {request}"))),
        // The service may be throttled or out of order for a moment.
        Some(response) if http::is_temporary(response.status) => {
            client.send(&request, Priority::Required, log)?
        }
        Some(response) => response,
    };
    if response.flavour.as_deref() == Some(FLAVOUR) {
        return Err(Failure::NoService("not EC2: Google answers".to_owned()));
    }
    match (response.status, parse_token(response.body)) {
        (200, Some(token)) => Ok(Ok(token)),
        (200, None) => Ok(Err(format!("the response to {request} is not a token"))),
        (status, _) => Ok(Err(format!("{request} has status {status}"))),
    }
}

/// The token in a response body, if it is plausible and fits into a header.
fn parse_token(body: Vec<u8>) -> Option<String> {
    let text = String::from_utf8(body).ok()?;
    let text = text.trim();
    let plausible =
        !text.is_empty() && text.len() <= TOKEN_BYTES_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
    plausible.then(|| text.to_owned())
}
