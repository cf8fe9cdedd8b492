//! Asking the providers: those that need no network first, one after the other, since an image is attached on purpose, and
//! an address that never answers must not hold a boot up; the others at once.

use std::{
    sync::{
        Arc,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use crate::error::Result;
use serde::Serialize;

use super::Options;
use crate::provider::{Level, Metadata, Provider, Say};

/// How long an answer is held back for that of a provider that was named before.
const HOLD: Duration = Duration::from_secs(1);

/// A question to a provider.
#[derive(Clone, Debug, Serialize)]
pub struct Probe {
    /// The provider's name.
    pub provider: &'static str,
    /// What came of it.
    pub outcome: Outcome,
    /// What is wrong with a broken one.
    pub error: Option<String>,
    /// How long it took, or how long it had been asked when nobody waited any more.
    pub seconds: f64,
}

/// What came of a question to a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Its metadata was taken.
    Served,
    /// It has metadata, but one that was named before it serves.
    Unused,
    /// It is not the platform, or has nothing to tell.
    Nothing,
    /// It is the platform, but broken.
    Broken,
    /// It did not answer before another one served, or in time.
    Unanswered,
}

/// The metadata of the provider that serves.
pub(super) fn find(
    providers: &[Arc<dyn Provider>],
    options: &Options,
    probes: &mut Vec<Probe>,
    say: &mut Say,
) -> Option<Metadata> {
    let (local, network): (Vec<_>, Vec<_>) =
        providers.iter().cloned().partition(|provider| provider.is_local());
    for provider in local {
        let asked = Asked::new(&*provider);
        let fetched = provider.fetch(asked.at + options.wait, &mut |level, text| asked.say(level, text, say));
        if let Some(found) = asked.answered(fetched, probes, say) {
            asked.serves(&found, probes, say);
            return Some(found);
        }
    }
    if network.is_empty() { None } else { ask_network(&network, options.timeout, probes, say) }
}

/// What a thread that asks a provider has to tell.
enum Message {
    Said(Level, String),
    Answered(Result<Option<Metadata>>),
}

/// What one of several providers has answered.
enum Answer {
    Missing,
    /// It does not serve.
    None,
    Found(Metadata),
}

/// Asks all at once. The first in the order given that answers serves; it is waited for until the deadline, or for a
/// second once a later one has answered.
fn ask_network(
    providers: &[Arc<dyn Provider>],
    timeout: Duration,
    probes: &mut Vec<Probe>,
    say: &mut Say,
) -> Option<Metadata> {
    let (sender, receiver) = mpsc::channel();
    let asked: Vec<_> = providers.iter().map(|provider| Asked::new(&**provider)).collect();
    let end = Instant::now() + timeout;
    for (index, provider) in providers.iter().enumerate() {
        spawn(index, Arc::clone(provider), end, sender.clone());
    }
    let mut deadline = end + grace(timeout);
    let mut answers: Vec<_> = providers.iter().map(|_| Answer::Missing).collect();
    while !is_decided(&answers) {
        let Some((index, message)) = receive(&receiver, deadline) else { break };
        match message {
            Message::Said(level, text) => asked[index].say(level, &text, say),
            Message::Answered(fetched) => {
                answers[index] = Answer::None;
                if matches!(fetched, Ok(None)) && Instant::now() >= end {
                    // It has waited for an answer itself.
                    asked[index].gave_none(probes, say);
                } else if let Some(found) = asked[index].answered(fetched, probes, say) {
                    answers[index] = Answer::Found(found);
                    deadline = deadline.min(Instant::now() + HOLD);
                }
            }
        }
    }
    let mut served = None;
    for (asked, answer) in asked.iter().zip(answers) {
        match answer {
            Answer::Missing => asked.gave_none(probes, say),
            Answer::Found(found) if served.is_none() => {
                asked.serves(&found, probes, say);
                served = Some(found);
            }
            Answer::Found(_) | Answer::None => {}
        }
    }
    served
}

/// Asks a provider in a thread of its own, which nobody waits for when another one serves.
fn spawn(index: usize, provider: Arc<dyn Provider>, deadline: Instant, sender: Sender<(usize, Message)>) {
    thread::spawn(move || {
        // Nobody listens any more once another one serves.
        let send = |message| drop(sender.send((index, message)));
        let fetched =
            provider.fetch(deadline, &mut |level, text| send(Message::Said(level, text.to_owned())));
        send(Message::Answered(fetched));
    });
}

/// Whether no answer that is still missing could change which provider serves.
fn is_decided(answers: &[Answer]) -> bool {
    let first = answers.iter().find(|answer| !matches!(answer, Answer::None));
    first.is_none_or(|answer| matches!(answer, Answer::Found(_)))
}

/// The next message, if there is one before the deadline.
fn receive(receiver: &Receiver<(usize, Message)>, deadline: Instant) -> Option<(usize, Message)> {
    receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())).ok()
}

/// How long after the time for all has ended a provider is still listened to, which says itself what it has and what it
/// waited for in vain. Linux ends a wait on a socket up to an eighth late (`kernel/time/timer.c`), and what has been answered
/// before must not be lost with it.
fn grace(timeout: Duration) -> Duration {
    timeout / 8 + Duration::from_millis(100)
}

/// A provider that has been asked.
struct Asked {
    name: &'static str,
    at: Instant,
}

impl Asked {
    fn new(provider: &dyn Provider) -> Self {
        Self { name: provider.name(), at: Instant::now() }
    }

    fn say(&self, level: Level, text: &str, say: &mut Say) {
        say(level, &format!("{}: {text}", self.name));
    }

    /// Reports the answer. Who answers may serve or not, which is seen later.
    fn answered(
        &self,
        fetched: Result<Option<Metadata>>,
        probes: &mut Vec<Probe>,
        say: &mut Say,
    ) -> Option<Metadata> {
        let (found, outcome, error) = match fetched {
            Ok(None) => (None, Outcome::Nothing, None),
            Ok(Some(found)) => (Some(found), Outcome::Unused, None),
            Err(error) => (None, Outcome::Broken, Some(format!("{error:#}"))),
        };
        match &error {
            Some(error) => self.say(Level::Warning, &format!("broken: {error}"), say),
            None if found.is_none() => self.say(Level::Detail, "nothing found", say),
            None => self.say(Level::Detail, "found", say),
        }
        self.report(outcome, error, probes);
        found
    }

    fn gave_none(&self, probes: &mut Vec<Probe>, say: &mut Say) {
        self.say(Level::Detail, "no answer", say);
        self.report(Outcome::Unanswered, None, probes);
    }

    fn report(&self, outcome: Outcome, error: Option<String>, probes: &mut Vec<Probe>) {
        let seconds = self.at.elapsed().as_secs_f64();
        probes.push(Probe { provider: self.name, outcome, error, seconds });
    }

    fn serves(&self, found: &Metadata, probes: &mut [Probe], say: &mut Say) {
        for probe in probes.iter_mut().filter(|probe| probe.provider == self.name) {
            if probe.outcome == Outcome::Unused {
                probe.outcome = Outcome::Served;
            }
        }
        let what = match &found.userdata {
            Some(data) if data.len() == 1 => "1 byte of user data".to_owned(),
            Some(data) => format!("{} bytes of user data", data.len()),
            None => "no user data".to_owned(),
        };
        say(Level::Step, &format!("{}: {what}", found.origin));
    }
}
