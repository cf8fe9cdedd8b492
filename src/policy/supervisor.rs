//! The process between the agent and the evaluation of a policy. It outlives the evaluation, and ends everything that the
//! evaluation has started.
//!
//! The limits of an evaluation may kill it at any time, and then it cannot end the programs that it runs. So its parent does: the
//! supervisor is the reaper of all its descendants, evaluates nothing itself, and answers once no descendant is left. It also ends
//! all of them when its standard input closes: the agent wants no answer any more, or has ended.

use std::{
    io::{BufRead, BufReader, Read, Write},
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, ExitStatus},
    sync::mpsc,
    thread,
    time::Instant,
};

use rustix::process::Signal;

use super::{
    decision::EvaluationResponse,
    limits::{ANSWER_BYTES_MAX, DESCENDANTS_ENDING_TIME_MAX, MEMORY_BYTES_MAX, PROCESSOR_SECONDS_MAX},
    process::{THIS_PROGRAM, spawn},
};
use crate::{
    error::{Context, Result},
    os,
};

/// Reads a request, runs this program with the only argument `evaluator` to evaluate it, and writes the answer to `out` once no
/// descendant is left. The evaluator calls [`crate::policy::engine::serve`]. `input` stays open as long as the answer is wanted.
/// This process becomes the reaper of its descendants, and must have no other children.
///
/// # Errors
/// Fails if the request cannot be read or the answer cannot be written.
pub fn supervise(evaluator: &str, input: impl Read + Send + 'static, out: &mut dyn Write) -> Result<()> {
    os::become_reaper()?;
    let mut input = BufReader::new(input);
    let mut request = Vec::new();
    input.read_until(b'\n', &mut request)?;
    let answer = match spawn(Path::new(THIS_PROGRAM), evaluator) {
        Err(error) => Err(format!("starting the evaluation with {THIS_PROGRAM:?}: {error}")),
        Ok(child) => match answer(child, &request, input)? {
            Some(answer) => answer,
            None => return Ok(()),
        },
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(error) => {
            serde_json::to_vec(&EvaluationResponse { error: Some(error), ..EvaluationResponse::default() })?
        }
    };
    out.write_all(&answer)?;
    out.write_all(b"\n")?;
    Ok(out.flush()?)
}

/// Waits for the answer of an evaluation, and ends it and its descendants. `None`: the answer is not wanted any more.
fn answer(
    mut child: Child,
    request: &[u8],
    mut input: impl Read + Send + 'static,
) -> Result<Option<Result<Vec<u8>, String>>> {
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (mut stdin, stdout) = stdin.zip(stdout).context("opening pipes to the evaluation")?;
    let (sender, events) = mpsc::channel();
    let unwanted = sender.clone();
    // The evaluation reads the whole request first. If this fails, it has ended, which shows below.
    drop(stdin.write_all(request));
    drop(stdin);
    thread::spawn(move || {
        let mut answer = Vec::new();
        let read = stdout.take(ANSWER_BYTES_MAX + 1).read_to_end(&mut answer);
        sender.send(Some(read.map(|_| answer)))
    });
    thread::spawn(move || {
        // Nothing more is sent, so this returns when the input closes.
        drop(input.read(&mut [0]));
        unwanted.send(None)
    });
    let event = events.recv()?;
    // It has closed its output, or the answer is not wanted: killing it loses nothing.
    child.kill()?;
    let status = child.wait()?;
    let is_over = os::kill_own_descendants(Instant::now() + DESCENDANTS_ENDING_TIME_MAX);
    let Some(answer) = event.transpose()? else { return Ok(None) };
    Ok(Some(if !is_over {
        Err("processes that the policy's programs started could not be ended".to_owned())
    } else if answer.len() as u64 > ANSWER_BYTES_MAX {
        Err(format!("the results are longer than {ANSWER_BYTES_MAX} bytes"))
    } else if answer.is_empty() || !status.success() {
        Err(format!("the evaluation did not finish: {}", why_ended(status)))
    } else {
        Ok(answer)
    }))
}

/// Why an evaluation ended without a complete answer.
fn why_ended(status: ExitStatus) -> String {
    match status.signal().and_then(Signal::from_named_raw) {
        Some(Signal::XCPU) => {
            format!("it took more than {PROCESSOR_SECONDS_MAX} seconds of processor time")
        }
        // A failed allocation aborts.
        Some(Signal::ABORT) => {
            format!("it took more than {} MiB of memory, or aborted", MEMORY_BYTES_MAX >> 20)
        }
        _ => status.to_string(),
    }
}
