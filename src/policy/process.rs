//! The child process that evaluates a policy.
//!
//! An evaluation can take any time and any memory, and can end its process (regorus 0.14.1: `numbers.range`, recursion, `sprintf`
//! with a width). No bound inside the process holds. So another process evaluates, under limits of the system, and if it dies the
//! boot is denied. Between the two is a supervisor, which ends everything that the evaluation has started.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use rustix::process::Pid;
use serde_json::Value;

use super::{
    decision::{Decision, EvaluationRequest, EvaluationResponse, Policy},
    limits::{ANSWER_BYTES_MAX, SUPERVISOR_ENDING_TIME_MAX, TIME_MAX, TIME_WITH_PROGRAMS_MAX},
};
use crate::{
    error::{Context, Result, ensure, error},
    os,
};

/// The running program, even if its file was replaced or removed: the kernel opens the file itself (proc(5)).
pub const THIS_PROGRAM: &str = "/proc/self/exe";

/// The program that evaluates policies. It calls [`crate::policy::supervisor::supervise`].
#[derive(Clone, Debug)]
pub struct Worker {
    /// Its path; [`THIS_PROGRAM`] if the running program evaluates its own policies.
    pub program: PathBuf,
    /// Its only argument.
    pub argument: &'static str,
}

impl Worker {
    /// Decides by `policy` about `input`.
    #[must_use]
    pub fn decide(&self, policy: &Policy, input: &Value) -> Decision {
        match self.evaluate(policy, input) {
            Ok(response) => Decision::from_response(response),
            Err(error) => Decision::from_error(format!("{error:#}")),
        }
    }

    fn evaluate(&self, policy: &Policy, input: &Value) -> Result<EvaluationResponse> {
        ensure!(cfg!(feature = "policy"), "this program was built without support for policies");
        os::check_has_policies()?;
        let Policy { files, allow_exec } = policy.clone();
        let mut request = serde_json::to_vec(&EvaluationRequest { files, allow_exec, input: input.clone() })?;
        request.push(b'\n');
        let mut supervisor = Supervisor { child: self.spawn()? };
        let (stdin, stdout) = (supervisor.child.stdin.take(), supervisor.child.stdout.take());
        let (mut stdin, stdout) = stdin.zip(stdout).context("opening pipes to the evaluation")?;
        let (sender, receiver) = mpsc::channel();
        // Standard input stays open as long as the answer is wanted. It also closes when this process ends.
        let (wanted, released) = mpsc::channel::<()>();
        thread::spawn(move || {
            // If this fails, the process has ended, which shows below.
            drop(stdin.write_all(&request));
            _ = released.recv();
        });
        thread::spawn(move || {
            let mut answer = Vec::new();
            let mut stdout = BufReader::new(stdout.take(ANSWER_BYTES_MAX + 1));
            let read = stdout.read_until(b'\n', &mut answer);
            sender.send(read.map(|_| answer))
        });
        let limit = if allow_exec { TIME_WITH_PROGRAMS_MAX } else { TIME_MAX };
        let answer = receiver.recv_timeout(limit);
        drop(wanted);
        let status = supervisor.end().context("ending the evaluation")?;
        let answer =
            answer.map_err(|_| error!("the evaluation took more than {} seconds", limit.as_secs()))??;
        ensure!(!answer.is_empty(), "the evaluation did not finish: {status}");
        serde_json::from_slice(&answer).map_err(|_| error!("the evaluation was interrupted: {status}"))
    }

    fn spawn(&self) -> Result<Child> {
        spawn(&self.program, self.argument)
            .with_context(|| format!("starting the evaluation with {:?}", self.program))
    }
}

/// Starts a program with one argument and an empty environment, to write to and to read from. It is in its own group, so that a
/// program that signals its group does not signal this process.
pub(super) fn spawn(program: &Path, argument: &str) -> io::Result<Child> {
    Command::new(program)
        .arg(argument)
        .env_clear()
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
}

/// The process that ends everything an evaluation has started.
struct Supervisor {
    child: Child,
}

impl Supervisor {
    /// Waits until it has ended. It ends itself once its standard input is closed.
    fn end(&mut self) -> io::Result<ExitStatus> {
        let until = Instant::now() + SUPERVISOR_ENDING_TIME_MAX;
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(1));
        }
        // A program may have stopped it. Until it is killed, it is still the reaper of everything below it.
        let until = Instant::now() + SUPERVISOR_ENDING_TIME_MAX;
        os::kill_descendants(Pid::from_child(&self.child), until);
        self.child.kill()?;
        self.child.wait()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // After `end` the process is gone.
        if matches!(self.child.try_wait(), Ok(None)) {
            drop(self.end());
        }
    }
}
