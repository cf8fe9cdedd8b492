//! Asks the providers. Local providers come first, one after the other, since an image is attached on purpose, and an address that
//! never answers must not delay the boot. The others are asked all at once.

use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::AgentOptions;
use crate::{
    error::Result,
    provider::{Log, LogLevel, Metadata, Provider},
};

/// How long to wait for a provider that was named earlier, once a later one has answered.
const HOLD: Duration = Duration::from_secs(1);

/// What one provider answered.
#[derive(Clone, Debug, Serialize)]
pub struct Probe {
    /// The provider's name.
    pub provider: &'static str,
    /// The outcome.
    pub outcome: ProbeOutcome,
    /// The error of a broken provider.
    pub error: Option<String>,
    /// How long the answer took, or how long the agent waited in vain.
    pub seconds: f64,
}

/// The outcome of asking a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeOutcome {
    /// Its metadata is used.
    Served,
    /// It has metadata, but that of a provider named earlier is used.
    Unused,
    /// The guest is not on its platform, or it has no metadata.
    Nothing,
    /// The guest is on its platform, but the metadata cannot be read.
    Broken,
    /// It did not answer in time, or before another answer was used.
    Unanswered,
}

/// The metadata of the first provider that has some.
pub(super) fn find(
    providers: &[Arc<dyn Provider>],
    options: &AgentOptions,
    probes: &mut Vec<Probe>,
    log: &mut Log,
) -> Option<Metadata> {
    let (local, network): (Vec<_>, Vec<_>) =
        providers.iter().cloned().partition(|provider| provider.is_local());
    for provider in local {
        let query = Query::new(&*provider);
        let fetched = provider.fetch(query.at + options.wait, &mut |level, text| query.log(level, text, log));
        if let Some(found) = query.answered(fetched, probes, log) {
            query.use_metadata(&found, probes, log);
            return Some(found);
        }
    }
    if network.is_empty() { None } else { ask_network(&network, options.timeout, probes, log) }
}

/// What the thread of a provider sends.
enum Message {
    Log(LogLevel, String),
    Answer(Result<Option<Metadata>>),
}

/// What is known of one of several providers.
enum Reply {
    /// It has not answered yet.
    Pending,
    /// It has no metadata, or is broken.
    Nothing,
    Found(Metadata),
}

/// Asks all providers at once. The metadata of the first provider, in the order given, is used. It is waited for until the
/// deadline, but for at most a second once a later provider has answered.
fn ask_network(
    providers: &[Arc<dyn Provider>],
    timeout: Duration,
    probes: &mut Vec<Probe>,
    log: &mut Log,
) -> Option<Metadata> {
    let (sender, receiver) = mpsc::channel();
    let queries: Vec<_> = providers.iter().map(|provider| Query::new(&**provider)).collect();
    let end = Instant::now() + timeout;
    for (index, provider) in providers.iter().enumerate() {
        spawn(index, Arc::clone(provider), end, sender.clone());
    }
    let mut deadline = end + grace(timeout);
    let mut replies: Vec<_> = providers.iter().map(|_| Reply::Pending).collect();
    while !is_decided(&replies) {
        let Some((index, message)) = receive(&receiver, deadline) else { break };
        match message {
            Message::Log(level, text) => queries[index].log(level, &text, log),
            Message::Answer(fetched) => {
                replies[index] = Reply::Nothing;
                if matches!(fetched, Ok(None)) && Instant::now() >= end {
                    // It waited for an answer itself.
                    queries[index].timed_out(probes, log);
                } else if let Some(found) = queries[index].answered(fetched, probes, log) {
                    replies[index] = Reply::Found(found);
                    deadline = deadline.min(Instant::now() + HOLD);
                }
            }
        }
    }
    let mut served = None;
    for (query, reply) in queries.iter().zip(replies) {
        match reply {
            Reply::Pending => query.timed_out(probes, log),
            Reply::Found(found) if served.is_none() => {
                query.use_metadata(&found, probes, log);
                served = Some(found);
            }
            Reply::Found(_) | Reply::Nothing => {}
        }
    }
    served
}

/// Asks a provider in its own thread, which nobody waits for once another provider is used.
fn spawn(index: usize, provider: Arc<dyn Provider>, deadline: Instant, sender: Sender<(usize, Message)>) {
    thread::spawn(move || {
        // Sending fails once another provider is used.
        let send = |message| drop(sender.send((index, message)));
        let fetched = provider.fetch(deadline, &mut |level, text| send(Message::Log(level, text.to_owned())));
        send(Message::Answer(fetched));
    });
}

/// Whether no pending reply could change which provider is used.
fn is_decided(replies: &[Reply]) -> bool {
    let first = replies.iter().find(|reply| !matches!(reply, Reply::Nothing));
    first.is_none_or(|reply| matches!(reply, Reply::Found(_)))
}

/// The next message; `None`: there is none before the deadline.
fn receive(receiver: &Receiver<(usize, Message)>, deadline: Instant) -> Option<(usize, Message)> {
    receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
}

/// How long to wait for messages after the deadline. A provider returns what it has when its own wait ends, and Linux ends a wait on
/// a socket up to an eighth late (`kernel/time/timer.c`).
fn grace(timeout: Duration) -> Duration {
    timeout / 8 + Duration::from_millis(100)
}

/// A provider that was asked, and when.
struct Query {
    name: &'static str,
    at: Instant,
}

impl Query {
    fn new(provider: &dyn Provider) -> Self {
        Self { name: provider.name(), at: Instant::now() }
    }

    fn log(&self, level: LogLevel, text: &str, log: &mut Log) {
        log(level, &format!("{}: {text}", self.name));
    }

    /// Reports the answer. Whether it is used is decided later.
    fn answered(
        &self,
        fetched: Result<Option<Metadata>>,
        probes: &mut Vec<Probe>,
        log: &mut Log,
    ) -> Option<Metadata> {
        let (found, outcome, error) = match fetched {
            Ok(None) => (None, ProbeOutcome::Nothing, None),
            Ok(Some(found)) => (Some(found), ProbeOutcome::Unused, None),
            Err(error) => (None, ProbeOutcome::Broken, Some(format!("{error:#}"))),
        };
        match &error {
            Some(error) => self.log(LogLevel::Warning, &format!("broken: {error}"), log),
            None if found.is_none() => self.log(LogLevel::Detail, "nothing found", log),
            None => self.log(LogLevel::Detail, "found", log),
        }
        self.report(outcome, error, probes);
        found
    }

    fn timed_out(&self, probes: &mut Vec<Probe>, log: &mut Log) {
        self.log(LogLevel::Detail, "no answer", log);
        self.report(ProbeOutcome::Unanswered, None, probes);
    }

    fn report(&self, outcome: ProbeOutcome, error: Option<String>, probes: &mut Vec<Probe>) {
        let seconds = self.at.elapsed().as_secs_f64();
        probes.push(Probe { provider: self.name, outcome, error, seconds });
    }

    fn use_metadata(&self, found: &Metadata, probes: &mut [Probe], log: &mut Log) {
        for probe in probes.iter_mut().filter(|probe| probe.provider == self.name) {
            if probe.outcome == ProbeOutcome::Unused {
                probe.outcome = ProbeOutcome::Served;
            }
        }
        let what = match &found.userdata {
            Some(data) if data.len() == 1 => "1 byte of user data".to_owned(),
            Some(data) => format!("{} bytes of user data", data.len()),
            None => "no user data".to_owned(),
        };
        log(LogLevel::Step, &format!("{}: {what}", found.origin));
    }
}
