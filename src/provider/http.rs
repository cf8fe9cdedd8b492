//! HTTP requests to a metadata service on a link-local address.
//!
//! Without TLS, which no such service has; without a proxy, which could answer for another host; and without redirects, which could
//! send a token to another host.

use std::{
    fmt, thread,
    time::{Duration, Instant},
};

pub(super) use ureq::http::Method;
use ureq::{Error, http::Uri};

use super::{Log, LogLevel};
use crate::error::{Context, Result, ensure, error};

/// The most bytes in the body of a response.
const BODY_BYTES_MAX: u64 = 1 << 20;

/// How long to wait before the first retry. Each further wait is twice as long.
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// The longest wait.
const DELAY_MAX: Duration = Duration::from_secs(2);

/// Retries of an optional request.
const RETRIES: usize = 3;

/// How much a request matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Priority {
    /// It is retried until the deadline.
    Required,
    /// It is retried a few times. Each attempt may take half of the time that is left, so that other requests follow.
    Optional,
}

/// A client of one service.
pub(super) struct Client {
    agent: ureq::Agent,
    base: String,
    deadline: Instant,
    /// Whether there was a response, so that silence is an error.
    has_responded: bool,
}

/// A response.
pub(super) struct Response {
    pub(super) status: u16,
    /// The value of the header `Metadata-Flavor`, which identifies Google's server.
    pub(super) flavour: Option<String>,
    pub(super) body: Vec<u8>,
}

/// Why there is no response.
#[derive(Debug)]
pub(super) enum Failure {
    /// There is no such service.
    NoService(String),
    /// There is a service, but it does not work.
    Broken(crate::error::Error),
}

impl Failure {
    /// The failure in words.
    pub(super) fn into_text(self) -> String {
        match self {
            Self::NoService(why) => why,
            Self::Broken(error) => format!("{error:#}"),
        }
    }
}

/// Checks the address of a service: `http://`, a host, perhaps a port, and nothing else. Returns it without a slash at its end.
///
/// # Errors
/// Fails if `url` is anything else.
pub(super) fn check_address(url: &str) -> Result<String> {
    let url = url.strip_suffix('/').unwrap_or(url);
    let parsed: Uri = url.parse().ok().context("not a valid URL")?;
    ensure!(parsed.scheme_str() != Some("https"), "metadata services do not support https");
    ensure!(parsed.scheme_str() == Some("http"), "the URL does not begin with http://");
    let authority = parsed.authority().context("the URL has no host")?.as_str();
    ensure!(!authority.contains('@'), "the URL has a user name");
    let port = authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
    ensure!(port.is_none_or(|(_, port)| port.parse::<u16>().is_ok()), "the port is not valid");
    ensure!(url == format!("http://{authority}"), "the URL has more than a host and a port");
    Ok(url.to_owned())
}

impl Client {
    /// A client of the service at `base`, a URL without a slash at its end, that gives up at `deadline`.
    pub(super) fn new(base: String, deadline: Instant) -> Self {
        let config = ureq::Agent::config_builder()
            .proxy(None)
            .max_redirects(0)
            .http_status_as_error(false)
            .user_agent(concat!("metadata/", env!("CARGO_PKG_VERSION")))
            .accept("")
            .build();
        Self { agent: config.into(), base, deadline, has_responded: false }
    }

    /// Sends a request. After the statuses 429 and 5xx and a broken connection it retries, with growing pauses, so a response has
    /// any other status.
    pub(super) fn send(
        &mut self,
        request: &Request,
        priority: Priority,
        log: &mut Log,
    ) -> Result<Response, Failure> {
        let mut delay = FIRST_DELAY;
        for retry in 0.. {
            let wait = if priority == Priority::Optional { self.left() / 2 } else { self.left() };
            let (is_temporary_failure, why) = match self.send_once(request, wait) {
                Ok(response) if !is_temporary(response.status) => {
                    let Response { status, body, .. } = &response;
                    log(LogLevel::Detail, &format!("{request}: status {status}, {} bytes", body.len()));
                    return Ok(response);
                }
                Ok(response) => (true, format!("status {}", response.status)),
                Err(error) if !self.has_responded && !matches!(error, Error::Http(_)) => {
                    return Err(Failure::NoService(self.context(request.path, &in_words(&error))));
                }
                Err(error) => (matches!(error, Error::Io(_)), in_words(&error)),
            };
            let is_last = priority == Priority::Optional && retry == RETRIES;
            if !is_temporary_failure || is_last || self.left() <= delay {
                return Err(Failure::Broken(error!(self.context(request.path, &why))));
            }
            log(LogLevel::Detail, &format!("{request}: {why}; retrying in {} ms", delay.as_millis()));
            thread::sleep(delay);
            delay = DELAY_MAX.min(delay * 2);
        }
        unreachable!("the loop has no end")
    }

    /// Sends a request once, and waits at most `wait`. `None`: no response.
    pub(super) fn try_send(&mut self, request: &Request, wait: Duration, log: &mut Log) -> Option<Response> {
        match self.send_once(request, wait.min(self.left())) {
            Ok(response) => {
                log(LogLevel::Detail, &format!("{request}: status {}", response.status));
                Some(response)
            }
            Err(error) => {
                log(LogLevel::Detail, &self.context(request.path, &in_words(&error)));
                None
            }
        }
    }

    /// The time until the deadline.
    pub(super) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    fn send_once(&mut self, request: &Request, wait: Duration) -> Result<Response, Error> {
        if wait.is_zero() {
            return Err(Error::Timeout(ureq::Timeout::Global));
        }
        let uri = format!("{}{}", self.base, request.path);
        let mut builder = ureq::http::Request::builder().method(request.method).uri(uri);
        if request.method == Method::PUT {
            // Otherwise ureq 3.5.1 sends the empty body in chunks, which a small server may not support.
            builder = builder.header("content-length", "0");
        }
        if let Some((name, value)) = request.header {
            builder = builder.header(name, value);
        }
        let request = self.agent.configure_request(builder.body(())?).timeout_global(Some(wait)).build();
        let mut response = self.agent.run(request)?;
        self.has_responded = true;
        let flavour = response.headers().get("metadata-flavor");
        let flavour = flavour.and_then(|value| value.to_str().ok()).map(str::to_owned);
        // ureq also rejects a body of exactly as many bytes as the limit.
        let body = response.body_mut().with_config().limit(BODY_BYTES_MAX + 1).read_to_vec()?;
        Ok(Response { status: response.status().as_u16(), flavour, body })
    }

    /// An error message about the request for `path`.
    pub(super) fn context(&self, path: &str, why: &str) -> String {
        format!("requesting {}{path}: {why}", self.base)
    }
}

/// A request to a service.
pub(super) struct Request<'a> {
    pub(super) method: &'a Method,
    pub(super) path: &'a str,
    /// Name and value. The value may be a secret.
    pub(super) header: Option<(&'a str, &'a str)>,
}

impl fmt::Display for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// Whether a status means that the service is throttled or out of order, and that a later request may succeed.
pub(super) fn is_temporary(status: u16) -> bool {
    status == 429 || status >= 500
}

fn in_words(error: &Error) -> String {
    match error {
        Error::Timeout(_) => "no response in time".to_owned(),
        Error::BodyExceedsLimit(_) => format!("the response is larger than {BODY_BYTES_MAX} bytes"),
        Error::Io(error) => error.to_string(),
        _ => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_perhaps_a_port() {
        for url in ["http://169.254.169.254", "http://a.b:8080", "http://[fd00:ec2::254]", "http://[::1]:80/"]
        {
            assert_eq!(check_address(url).unwrap(), url.trim_end_matches('/'));
        }
        for (url, why) in [
            ("", "not a valid URL"),
            ("127.0.0.1:80", "the URL does not begin with http://"),
            ("https://a", "metadata services do not support https"),
            ("ftp://a", "the URL does not begin with http://"),
            ("http://user:secret@a", "the URL has a user name"),
            ("http://a:99999", "the port is not valid"),
            ("http://a:x", "the port is not valid"),
            ("http://a b", "not a valid URL"),
            ("http://a/latest", "the URL has more than a host and a port"),
            ("http://a?b", "the URL has more than a host and a port"),
            ("http://http://a", "the port is not valid"),
        ] {
            assert_eq!(check_address(url).map_err(|error| error.to_string()), Err(why.to_owned()), "{url}");
        }
    }
}
