//! What a policy in Rego says of a boot.
//!
//! A policy has rules called `allow`, `deny` and `sample`, in any package. What it does not clearly allow is denied: `deny`
//! is not empty, `allow` is there and not true, there is none of the three, or something went wrong.
//!
//! An evaluation can take any time and any memory, and can end the process that does it (regorus 0.14.1: `numbers.range`,
//! recursion, `sprintf` with a width). No bound in the process holds, so another process does it, under limits of the system,
//! and its death is a denial. Between the two is a supervisor, which ends what the evaluation has started.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use crate::error::{Context, Result, ensure, error};
use rustix::process::Pid;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::descendants;

/// The program that this process runs, whatever has become of its path: the kernel opens the file itself, so that one that was
/// replaced or removed is still this one (proc(5)).
pub const THIS_PROGRAM: &str = "/proc/self/exe";

/// Bytes of an answer at most.
pub(super) const ANSWER_BYTES_MAX: u64 = 1 << 20;

/// How long an evaluation may take.
const TIME_MAX: Duration = Duration::from_secs(10);

/// How long it may take with programs that it runs.
const TIME_WITH_PROGRAMS_MAX: Duration = Duration::from_secs(30);

/// How long to wait for the end of a supervisor that was asked to end, which itself takes no more than 5 seconds.
const ENDING_TIME_MAX: Duration = Duration::from_secs(7);

/// The files of a policy.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Their names, for errors, and their texts.
    pub files: Vec<(String, String)>,
    /// Whether it may run programs.
    pub allow_exec: bool,
}

/// The program that has policies evaluated: it calls [`crate::policy::supervisor::supervise`].
#[derive(Clone, Debug)]
pub struct Worker {
    /// Its path, [`THIS_PROGRAM`] if the program that asks is the one that evaluates.
    pub program: PathBuf,
    /// Its only argument.
    pub argument: &'static str,
}

/// What a worker is asked, as JSON.
#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) files: Vec<(String, String)>,
    pub(super) allow_exec: bool,
    pub(super) input: Value,
}

/// What it answers: every rule of the three that a file declares, with its value.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Answer {
    pub(super) rules: Vec<(Rule, Evaluation)>,
    /// Why the policy as a whole cannot be evaluated.
    pub(super) error: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Rule {
    Allow,
    Deny,
    Sample,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Evaluation {
    Undefined,
    Value(Value),
    Error(String),
}

/// What a policy says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Why the boot is denied, a line each. None: it is allowed.
    pub denials: Vec<String>,
    /// What went wrong, which denies as well.
    pub error: Option<String>,
    /// The values of `deny`, `sample` and, where there is one, `allow`.
    pub results: Value,
    /// Whether the policy asks for a line in the log.
    pub sample: bool,
}

impl Decision {
    /// Whether the boot is allowed.
    #[must_use]
    pub fn allows(&self) -> bool {
        self.denials.is_empty() && self.error.is_none()
    }

    fn failed(error: String) -> Self {
        let results = json!({ "deny": [], "sample": false });
        Self { denials: Vec::new(), error: Some(error), results, sample: false }
    }

    fn of(answer: Answer) -> Self {
        let mut errors = Vec::from_iter(answer.error);
        let (mut deny, mut allow, mut sample) = (Vec::new(), None, false);
        if answer.rules.is_empty() && errors.is_empty() {
            errors.push("it defines none of allow, deny and sample".to_owned());
        }
        for (rule, evaluation) in answer.rules {
            match (rule, evaluation) {
                (_, Evaluation::Error(error)) => errors.push(error),
                (Rule::Allow, evaluation) => {
                    let is_true = matches!(evaluation, Evaluation::Value(Value::Bool(true)));
                    allow = Some(allow.unwrap_or(true) && is_true);
                }
                (Rule::Sample, evaluation) => {
                    sample |= matches!(evaluation, Evaluation::Value(Value::Bool(true)));
                }
                (Rule::Deny, Evaluation::Undefined) => {}
                (Rule::Deny, Evaluation::Value(value)) => match value {
                    Value::Bool(false) => {}
                    Value::Array(values) => deny.extend(values),
                    Value::Object(members) => deny.extend(members.into_iter().map(|(_, value)| value)),
                    value => deny.push(value),
                },
            }
        }
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            Value::Bool(true) => "deny is true".to_owned(),
            value => value.to_string(),
        };
        let mut denials: Vec<_> = deny.iter().map(text).collect();
        if allow == Some(false) {
            denials.push("allow is not true".to_owned());
        }
        let mut results = json!({ "deny": deny, "sample": sample });
        if let Some(allow) = allow {
            results["allow"] = allow.into();
        }
        let error = (!errors.is_empty()).then(|| errors.join("; "));
        Self { denials, error, results, sample }
    }
}

impl Policy {
    /// What it says of `input`.
    #[must_use]
    pub fn decide(&self, input: &Value, worker: &Worker) -> Decision {
        match self.ask(input, worker) {
            Ok(answer) => Decision::of(answer),
            Err(error) => Decision::failed(format!("{error:#}")),
        }
    }

    fn ask(&self, input: &Value, worker: &Worker) -> Result<Answer> {
        ensure!(cfg!(feature = "policy"), "this program was built without policies");
        let request =
            Request { files: self.files.clone(), allow_exec: self.allow_exec, input: input.clone() };
        let mut request = serde_json::to_vec(&request)?;
        request.push(b'\n');
        let child = Command::new(&worker.program)
            .arg(worker.argument)
            .env_clear()
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("starting the evaluation with {:?}", worker.program))?;
        let mut supervisor = Supervisor { child };
        let (stdin, stdout) = (supervisor.child.stdin.take(), supervisor.child.stdout.take());
        let (mut stdin, stdout) = stdin.zip(stdout).context("the evaluation has pipes")?;
        let (sender, receiver) = mpsc::channel();
        // Its standard input is open as long as the answer is wanted, and closes with this process as well.
        let (wanted, released) = mpsc::channel::<()>();
        thread::spawn(move || {
            // What it does not read, because it has ended, is no loss.
            drop(stdin.write_all(&request));
            _ = released.recv();
        });
        thread::spawn(move || {
            let mut answer = Vec::new();
            let mut stdout = BufReader::new(stdout.take(ANSWER_BYTES_MAX + 1));
            let read = stdout.read_until(b'\n', &mut answer);
            sender.send(read.map(|_| answer))
        });
        let limit = if self.allow_exec { TIME_WITH_PROGRAMS_MAX } else { TIME_MAX };
        let answer = receiver.recv_timeout(limit);
        drop(wanted);
        let status = supervisor.end().context("ending the evaluation")?;
        let answer = answer.map_err(|_| error!("it took more than {} seconds", limit.as_secs()))??;
        ensure!(!answer.is_empty(), "its evaluation did not come to an end: {status}");
        serde_json::from_slice(&answer).map_err(|_| error!("its evaluation broke off: {status}"))
    }

    /// The text of all files.
    fn body(&self) -> String {
        self.files.iter().map(|(_, text)| text.as_str()).collect()
    }

    /// The line about a decision for the log: JSON without a newline, and without characters that a terminal obeys.
    ///
    /// `ts`: now, as RFC 3339 has it.
    #[must_use]
    pub fn sample_line(&self, decision: &Decision, input: &Value, run_id: &str, ts: &str) -> String {
        let outcome = if decision.allows() { "allow" } else { "deny" };
        let line = json!({
            "caller": concat!("policy.rs:", line!()),
            "level": "info",
            "msg": format!("Sample 0/INITIALIZATION/{run_id}/{outcome}"),
            "sample": {
                "body": self.body(),
                "input": input,
                "outcome": outcome,
                "results": decision.results,
                "error": decision.error.as_deref().unwrap_or_default(),
            },
            "ts": ts,
        });
        line.to_string()
    }
}

/// The process that ends all that an evaluation has started.
struct Supervisor {
    child: Child,
}

impl Supervisor {
    /// Waits for its end, for which it was asked when its standard input closed.
    fn end(&mut self) -> io::Result<ExitStatus> {
        let until = Instant::now() + ENDING_TIME_MAX;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(1));
        }
        // A program may have stopped it. It is still the reaper of all that is below it, as long as it is not killed.
        descendants::end_beneath(Pid::from_child(&self.child), Instant::now() + ENDING_TIME_MAX);
        self.child.kill()?;
        self.child.wait()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // After `end` there is nothing to wait for.
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.end());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(rules: Vec<(Rule, Evaluation)>) -> Decision {
        Decision::of(Answer { rules, error: None })
    }

    #[test]
    fn what_is_not_clearly_allowed_is_denied() {
        use Evaluation::{Error, Undefined};
        let value = |value: Value| Evaluation::Value(value);
        for (rules, denials) in [
            (vec![(Rule::Deny, value(json!([])))], vec![]),
            (vec![(Rule::Deny, value(json!(["a", "b\nc"])))], vec!["a", "b\nc"]),
            (vec![(Rule::Deny, value(json!({"x": "a"})))], vec!["a"]),
            (vec![(Rule::Deny, value(json!(true)))], vec!["deny is true"]),
            (vec![(Rule::Deny, value(json!("no")))], vec!["no"]),
            (vec![(Rule::Deny, value(json!([{"a": 1}])))], vec!["{\"a\":1}"]),
            (vec![(Rule::Deny, value(json!(false)))], vec![]),
            (vec![(Rule::Deny, Undefined)], vec![]),
            (vec![(Rule::Allow, value(json!(true)))], vec![]),
            (vec![(Rule::Allow, value(json!(false)))], vec!["allow is not true"]),
            (vec![(Rule::Allow, value(json!("true")))], vec!["allow is not true"]),
            (vec![(Rule::Allow, value(json!([true])))], vec!["allow is not true"]),
            (vec![(Rule::Allow, Undefined)], vec!["allow is not true"]),
            (vec![(Rule::Allow, value(json!(true))), (Rule::Allow, Undefined)], vec!["allow is not true"]),
            (vec![(Rule::Allow, value(json!(true))), (Rule::Deny, value(json!(["a"])))], vec!["a"]),
            (vec![(Rule::Sample, value(json!(true)))], vec![]),
        ] {
            let text = format!("{rules:?}");
            let decision = decide(rules);
            assert_eq!(decision.denials, denials, "{text}");
            assert_eq!(decision.allows(), denials.is_empty(), "{text}");
        }
        assert_eq!(decide(vec![]).error.as_deref(), Some("it defines none of allow, deny and sample"));
        let decision = decide(vec![(Rule::Allow, value(json!(true))), (Rule::Sample, Error("x".to_owned()))]);
        assert!(!decision.allows() && decision.error.as_deref() == Some("x"));
    }

    #[test]
    fn a_line_for_the_log_is_one_line_of_json() {
        let policy = Policy { files: vec![("p".to_owned(), "package p\n".to_owned())], allow_exec: false };
        let input = json!({ "a": "\u{1b}[2J\u{9b}\u{202e}ä\"" });
        let line =
            policy.sample_line(&Decision::failed("x".to_owned()), &input, "r1", "2026-01-01T00:00:00Z");
        assert!(!line.contains('\n'), "{line}");
        let parsed: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(parsed["sample"]["input"], input);
        assert_eq!(parsed["msg"], "Sample 0/INITIALIZATION/r1/deny");
    }
}
