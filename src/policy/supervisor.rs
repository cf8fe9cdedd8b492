//! The process between an agent and the evaluation of a policy: it outlives the evaluation, and ends all that this has started.
//!
//! An evaluation may be killed at any time by the limits that it has, and then it cannot end the programs that it runs. So its
//! parent does: the supervisor is the reaper of all processes below it, evaluates nothing itself, and answers when there are none
//! any more. It ends all of them as well when its standard input closes, that is, when the agent asks for that or has ended.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use crate::error::{Context, Result};
use rustix::process::{Signal, getpid, set_child_subreaper};

use super::{
    decision::{ANSWER_BYTES_MAX, Answer, THIS_PROGRAM},
    descendants,
    engine::{MEMORY_BYTES_MAX, PROCESSOR_SECONDS_MAX},
};

/// How long it may take to end what an evaluation has started.
pub(super) const ENDING_TIME_MAX: Duration = Duration::from_secs(5);

/// Reads a request, has this program evaluate it in a process with the only argument `evaluator`, which calls
/// [`crate::policy::engine::serve`], and writes the answer to `out` once nothing is left of that. `input` stays open as long as the
/// answer is wanted. This process becomes the reaper of what is below it, and must have no other children.
///
/// # Errors
/// The system refuses a process, or nobody takes the answer.
pub fn supervise(evaluator: &str, input: impl Read + Send + 'static, out: &mut dyn Write) -> Result<()> {
    set_child_subreaper(Some(getpid()))?;
    let mut input = BufReader::new(input);
    let mut request = Vec::new();
    input.read_until(b'\n', &mut request)?;
    // A group of its own: a program that signals its group does not signal this process.
    let child = Command::new(THIS_PROGRAM)
        .arg(evaluator)
        .env_clear()
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn();
    let answer = match child {
        Err(error) => Err(format!("starting the evaluation with {THIS_PROGRAM:?}: {error}")),
        Ok(child) => match answer(child, &request, input)? {
            Some(answer) => answer,
            None => return Ok(()),
        },
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => serde_json::to_vec(&Answer { error: Some(error), ..Answer::default() })?,
    };
    out.write_all(&answer)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// Waits for the answer of an evaluation, and ends it and all that it has started. `None`: the answer is not wanted any more.
fn answer(
    mut child: Child,
    request: &[u8],
    mut input: impl Read + Send + 'static,
) -> Result<Option<Result<Vec<u8>, String>>> {
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (mut stdin, stdout) = stdin.zip(stdout).context("the evaluation has pipes")?;
    let (sender, events) = mpsc::channel();
    let unwanted = sender.clone();
    // It reads all of it before it does anything else. What it does not read, because it has ended, is no loss.
    drop(stdin.write_all(request));
    drop(stdin);
    thread::spawn(move || {
        let mut answer = Vec::new();
        let read = stdout.take(ANSWER_BYTES_MAX + 1).read_to_end(&mut answer);
        sender.send(Some(read.map(|_| answer)))
    });
    thread::spawn(move || {
        // Nothing more is sent, so this is the end.
        drop(input.read(&mut [0]));
        unwanted.send(None)
    });
    let event = events.recv()?;
    // Once it has closed its output, it ends as it does: that it is killed changes nothing.
    child.kill()?;
    let status = child.wait()?;
    let is_over = descendants::end_own(Instant::now() + ENDING_TIME_MAX);
    let Some(answer) = event.transpose()? else { return Ok(None) };
    Ok(Some(if !is_over {
        Err("processes that its programs have started could not be ended".to_owned())
    } else if answer.len() as u64 > ANSWER_BYTES_MAX {
        Err(format!("its results are longer than {ANSWER_BYTES_MAX} bytes"))
    } else if answer.is_empty() || !status.success() {
        Err(format!("its evaluation did not come to an end: {}", why_ended(status)))
    } else {
        Ok(answer)
    }))
}

/// Why an evaluation ended without its whole answer.
fn why_ended(status: ExitStatus) -> String {
    match status.signal().and_then(Signal::from_named_raw) {
        Some(Signal::XCPU) => {
            format!("it took more than {PROCESSOR_SECONDS_MAX} seconds of a processor")
        }
        // What an allocation that fails ends with.
        Some(Signal::ABORT) => {
            format!("it took more than {} MiB of memory, or failed", MEMORY_BYTES_MAX >> 20)
        }
        _ => status.to_string(),
    }
}
