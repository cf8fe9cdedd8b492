//! Questions to a metadata service on a link-local address, and what may be believed of the answers.
//!
//! Without TLS, which none of them has; without a proxy, which would answer for somebody else; and without redirects,
//! which would lead a token to somebody else.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::anyhow;
pub(super) use ureq::http::Method;
use ureq::{Error, http::Request};

/// Bytes of an answer at most.
const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// How long to wait before the first repetition. The next waits are twice as long each.
const FIRST_DELAY: Duration = Duration::from_millis(100);

/// How long to wait at most.
const DELAY_MAX: Duration = Duration::from_secs(2);

/// A client of one service.
pub(super) struct Client {
    agent: ureq::Agent,
    base: String,
    deadline: Instant,
    /// Whether there has been an answer, so that silence is a fault.
    answered: bool,
}

/// An answer of any status but 5xx.
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
    Broken(anyhow::Error),
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

    /// Asks for `path`. A status of 5xx and a connection that breaks are passing: it asks again, with pauses that grow, and
    /// gives up at the deadline.
    pub(super) fn ask(
        &mut self,
        method: &Method,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Answer, Failure> {
        let mut delay = FIRST_DELAY;
        loop {
            let (passing, why) = match self.ask_once(method, path, headers) {
                Ok(answer) if answer.status < 500 => return Ok(answer),
                Ok(answer) => (true, format!("the answer is {}", answer.status)),
                Err(error) if !self.answered && !is_ours(&error) => {
                    return Err(Failure::Nobody(self.context(path, &in_words(&error))));
                }
                Err(error) => (matches!(error, Error::Io(_)), in_words(&error)),
            };
            if !passing || Instant::now() + delay >= self.deadline {
                return Err(Failure::Broken(anyhow!(self.context(path, &why))));
            }
            thread::sleep(delay);
            delay = DELAY_MAX.min(delay * 2);
        }
    }

    fn ask_once(&mut self, method: &Method, path: &str, headers: &[(&str, &str)]) -> Result<Answer, Error> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(Error::Timeout(ureq::Timeout::Global));
        }
        let mut request = Request::builder().method(method).uri(format!("{}{path}", self.base));
        if method == Method::PUT {
            // Otherwise ureq 3.5.1 sends the body that is not there in chunks, which a small server may not know.
            request = request.header("content-length", "0");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = self.agent.configure_request(request.body(())?).timeout_global(Some(left)).build();
        let mut response = self.agent.run(request)?;
        self.answered = true;
        let flavour = response.headers().get("metadata-flavor");
        let flavour = flavour.and_then(|value| value.to_str().ok()).map(str::to_owned);
        // A body of as many bytes as the limit is an error, too.
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX + 1).read_to_vec()?;
        Ok(Answer { status: response.status().as_u16(), flavour, body })
    }

    pub(super) fn base(&self) -> &str {
        &self.base
    }

    fn context(&self, path: &str, why: &str) -> String {
        format!("asking {}{path}: {why}", self.base)
    }
}

/// Whether the fault is in the address or the request, so that nobody has been asked.
fn is_ours(error: &Error) -> bool {
    matches!(error, Error::BadUri(_) | Error::Http(_) | Error::Tls(_) | Error::TlsRequired)
}

fn in_words(error: &Error) -> String {
    match error {
        Error::Timeout(_) => "no answer in time".to_owned(),
        Error::BodyExceedsLimit(_) => format!("the answer is larger than {ANSWER_BYTES_MAX} bytes"),
        Error::Io(error) => error.to_string(),
        Error::TlsRequired | Error::Tls(_) => "metadata services have no TLS".to_owned(),
        Error::BadUri(_) | Error::Http(_) => "this is no URL".to_owned(),
        error => error.to_string(),
    }
}
