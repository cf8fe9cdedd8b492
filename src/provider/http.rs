//! Questions to a metadata service on a link-local address, and what may be believed of the answers.
//!
//! Without TLS, which none of them has; without a proxy, which would answer for somebody else; and without redirects,
//! which would lead a token to somebody else.

use std::{
    fmt, thread,
    time::{Duration, Instant},
};

use crate::error::{Context, Result, ensure, error};
pub(super) use ureq::http::Method;
use ureq::{
    Error,
    http::{Request, Uri},
};

use super::{Level, Say};

/// Bytes of an answer at most.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// How long to wait before the first repetition. The next waits are twice as long each.
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// How long to wait at most.
const DELAY_MAX: Duration = Duration::from_secs(2);

/// Repetitions of a question that can do without an answer.
const REPETITIONS: usize = 3;

/// How much a question matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// It is repeated until the deadline.
    Needed,
    /// It is repeated a few times, and each time waited for half the time that is left, so that others are asked as well.
    Useful,
}

/// A client of one service.
pub(super) struct Client {
    agent: ureq::Agent,
    base: String,
    deadline: Instant,
    /// Whether there has been an answer, so that silence is a fault.
    answered: bool,
}

/// An answer of any status but 429 and 5xx.
pub(super) struct Answer {
    pub(super) status: u16,
    /// The value of the header `Metadata-Flavor`, by which Google's service is known.
    pub(super) flavour: Option<String>,
    pub(super) body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Failure {
    /// Nobody speaks HTTP there.
    Nobody(String),
    /// Somebody does, and not as a service should.
    Broken(crate::error::Error),
}

impl Failure {
    /// The same in words.
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Nobody(why) => why,
            Self::Broken(error) => format!("{error:#}"),
        }
    }
}

/// Checks the address of a service: `http://`, a host, perhaps a port, and nothing else. The same without a slash at its end.
///
/// # Errors
/// It is something else.
pub(super) fn check_address(url: &str) -> Result<String> {
    let url = url.strip_suffix('/').unwrap_or(url);
    let parsed: Uri = url.parse().ok().context("it is no URL")?;
    ensure!(parsed.scheme_str() != Some("https"), "metadata services have no TLS");
    ensure!(parsed.scheme_str() == Some("http"), "it does not begin with http://");
    let authority = parsed.authority().context("it has no host")?.as_str();
    ensure!(!authority.contains('@'), "it has a user name");
    let port = authority.rsplit_once(':').filter(|(_, port)| !port.ends_with(']'));
    ensure!(port.is_none_or(|(_, port)| port.parse::<u16>().is_ok()), "it has a port that is none");
    ensure!(url == format!("http://{authority}"), "it has more than a host and a port");
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
        Self { agent: config.into(), base, deadline, answered: false }
    }

    /// Asks for `path`. The statuses 429 and 5xx and a connection that breaks are passing: it asks again, with pauses that grow.
    pub(super) fn ask(
        &mut self,
        question: &Question,
        weight: Weight,
        say: &mut Say,
    ) -> Result<Answer, Failure> {
        let mut delay = FIRST_DELAY;
        for repetition in 0.. {
            let wait = if weight == Weight::Useful { self.left() / 2 } else { self.left() };
            let (passing, why) = match self.ask_once(question, wait) {
                Ok(answer) if !is_passing(answer.status) => {
                    let Answer { status, body, .. } = &answer;
                    say(Level::Detail, &format!("{question}: {status}, {} bytes", body.len()));
                    return Ok(answer);
                }
                Ok(answer) => (true, format!("the answer is {}", answer.status)),
                Err(error) if !self.answered && !matches!(error, Error::Http(_)) => {
                    return Err(Failure::Nobody(self.context(question.path, &in_words(&error))));
                }
                Err(error) => (matches!(error, Error::Io(_)), in_words(&error)),
            };
            let enough = weight == Weight::Useful && repetition == REPETITIONS;
            if !passing || enough || self.left() <= delay {
                return Err(Failure::Broken(error!(self.context(question.path, &why))));
            }
            say(Level::Detail, &format!("{question}: {why}, asking again in {} ms", delay.as_millis()));
            thread::sleep(delay);
            delay = DELAY_MAX.min(delay * 2);
        }
        unreachable!("there are enough numbers")
    }

    /// Asks once, and waits at most so long. `None`: no answer.
    pub(super) fn try_ask(&mut self, question: &Question, wait: Duration, say: &mut Say) -> Option<Answer> {
        match self.ask_once(question, wait.min(self.left())) {
            Ok(answer) => {
                say(Level::Detail, &format!("{question}: {}", answer.status));
                Some(answer)
            }
            Err(error) => {
                say(Level::Detail, &self.context(question.path, &in_words(&error)));
                None
            }
        }
    }

    /// The time until the deadline.
    pub(super) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }

    fn ask_once(&mut self, question: &Question, wait: Duration) -> Result<Answer, Error> {
        if wait.is_zero() {
            return Err(Error::Timeout(ureq::Timeout::Global));
        }
        let uri = format!("{}{}", self.base, question.path);
        let mut request = Request::builder().method(question.method).uri(uri);
        if question.method == Method::PUT {
            // Otherwise ureq 3.5.1 sends the body that is not there in chunks, which a small server may not know.
            request = request.header("content-length", "0");
        }
        if let Some((name, value)) = question.header {
            request = request.header(name, value);
        }
        let request = self.agent.configure_request(request.body(())?).timeout_global(Some(wait)).build();
        let mut response = self.agent.run(request)?;
        self.answered = true;
        let flavour = response.headers().get("metadata-flavor");
        let flavour = flavour.and_then(|value| value.to_str().ok()).map(str::to_owned);
        // A body of as many bytes as the limit is an error, too.
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX + 1).read_to_vec()?;
        Ok(Answer { status: response.status().as_u16(), flavour, body })
    }

    /// What is wrong with the answer to the question for `path`.
    pub(super) fn context(&self, path: &str, why: &str) -> String {
        format!("asking {}{path}: {why}", self.base)
    }
}

/// A question to a service.
pub(super) struct Question<'a> {
    pub(super) method: &'a Method,
    pub(super) path: &'a str,
    /// Name and value. The value may be a secret.
    pub(super) header: Option<(&'a str, &'a str)>,
}

impl fmt::Display for Question<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)
    }
}

/// Whether a service that answers like this may answer otherwise a little later: it is throttled or out of order.
pub(super) fn is_passing(status: u16) -> bool {
    status == 429 || status >= 500
}

fn in_words(error: &Error) -> String {
    match error {
        Error::Timeout(_) => "no answer in time".to_owned(),
        Error::BodyExceedsLimit(_) => format!("the answer is larger than {ANSWER_BYTES_MAX} bytes"),
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
            ("", "it is no URL"),
            ("127.0.0.1:80", "it does not begin with http://"),
            ("https://a", "metadata services have no TLS"),
            ("ftp://a", "it does not begin with http://"),
            ("http://user:secret@a", "it has a user name"),
            ("http://a:99999", "it has a port that is none"),
            ("http://a:x", "it has a port that is none"),
            ("http://a b", "it is no URL"),
            ("http://a/latest", "it has more than a host and a port"),
            ("http://a?b", "it has more than a host and a port"),
            ("http://http://a", "it has a port that is none"),
        ] {
            assert_eq!(check_address(url).map_err(|error| error.to_string()), Err(why.to_owned()), "{url}");
        }
    }
}
