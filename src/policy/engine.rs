//! Evaluates a policy with regorus, in its own process.

use std::{
    collections::BTreeSet,
    io::{Read, Write},
    os::unix::process::CommandExt,
    process::{Command, Stdio},
    sync::mpsc::{self, Receiver},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use regorus::{Engine, Value, unstable::Module};
use serde::Deserialize;
use serde_json::json;

use super::{
    decision::{EvaluationRequest, EvaluationResponse, Rule, RuleResult},
    limits::{
        DESCENDANTS_ENDING_TIME_MAX, MEMORY_BYTES_MAX, PROCESSOR_SECONDS_MAX, PROGRAM_OUTPUT_BYTES_MAX,
        PROGRAM_TIME_MAX,
    },
    rule_heads,
};
use crate::os;

/// Evaluates the policy in `request`, and writes the answer to `out`. From here on the process has the limits of an evaluation,
/// ends with its parent, and is the reaper of its descendants.
///
/// # Errors
/// Fails if a limit cannot be set, if the request is malformed, or if the answer cannot be written.
pub fn serve(request: &mut dyn Read, out: &mut dyn Write) -> Result<()> {
    os::end_with_parent()?;
    os::become_reaper()?;
    os::limit_evaluation(MEMORY_BYTES_MAX, PROCESSOR_SECONDS_MAX)?;
    let request: EvaluationRequest = serde_json::from_reader(request)?;
    let response = evaluate(&request).unwrap_or_else(|error| EvaluationResponse {
        error: Some(in_one_line(&error)),
        ..EvaluationResponse::default()
    });
    serde_json::to_writer(&mut *out, &response)?;
    Ok(out.flush()?)
}

/// An error of the engine in one line. The engine's own text has a drawing of the place.
fn in_one_line(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let place = lines.iter().find_map(|line| line.strip_prefix("--> "));
    let said = lines.iter().rfind(|line| line.starts_with("error: "));
    match (place, said) {
        (Some(place), Some(said)) => format!("{place}: {}", said.trim_start_matches("error: ")),
        _ => lines.join(" "),
    }
}

fn evaluate(request: &EvaluationRequest) -> Result<EvaluationResponse> {
    let mut engine = Engine::new();
    engine.set_gather_prints(true);
    if request.allow_exec {
        engine.add_extension("exec".to_owned(), 1, Box::new(exec))?;
    }
    for (number, (name, body)) in request.files.iter().enumerate() {
        // The engine identifies files by name.
        let is_duplicate = request.files[..number].iter().any(|(other, _)| other == name);
        let path = if is_duplicate { format!("{name}#{number}") } else { name.clone() };
        add(&mut engine, &path, body).with_context(|| format!("reading policy {name:?}"))?;
    }
    engine.set_input(Value::from_json_str(&request.input.to_string())?);
    let mut response = EvaluationResponse::default();
    let packages = engine.get_policy_package_components()?;
    // The engine joins rules of the same package and name, so one file could allow what the other does not.
    let mut seen = BTreeSet::new();
    for package in &packages {
        let name = package.components.join(".");
        ensure!(seen.insert(name.clone()), "two files have the package {name:?}; give each file its own");
    }
    for package in packages {
        for (rule, name) in [(Rule::Allow, "allow"), (Rule::Deny, "deny"), (Rule::Sample, "sample")] {
            if engine.has_declared_rule_rooted_at(&package.source_file, name)? {
                let components = package.components.iter().map(|component| format!("[{}]", json!(component)));
                let path = format!("data{}.{name}", components.collect::<String>());
                response.rules.push((rule, evaluate_rule(&mut engine, path)));
            }
        }
    }
    Ok(response)
}

fn evaluate_rule(engine: &mut Engine, path: String) -> RuleResult {
    let evaluated = engine.eval_rule(path).and_then(|value| match value {
        Value::Undefined => Ok(RuleResult::Undefined),
        value => Ok(RuleResult::Value(serde_json::from_str(&value.to_json_str()?)?)),
    });
    evaluated.unwrap_or_else(|error| RuleResult::Error(in_one_line(&error)))
}

/// Adds a file as Rego v1, or as v0 if it is not valid v1.
///
/// Keywords of v1 are names in v0: it reads `allow if { … }` as two rules, the first of which is true. A v1 file with a mistake
/// elsewhere must not be read like that.
fn add(engine: &mut Engine, name: &str, body: &str) -> Result<()> {
    engine.set_rego_v0(false);
    if let Err(error) = engine.add_policy(name.to_owned(), body.to_owned()) {
        engine.set_rego_v0(true);
        let v0 = engine.add_policy(name.to_owned(), body.to_owned());
        if v0.is_err() || rule_heads::has_keyword(added(engine)?) {
            bail!("{}", in_one_line(&error));
        }
    }
    rule_heads::check(added(engine)?)
}

/// The module that was added last.
fn added(engine: &mut Engine) -> Result<&Module> {
    engine.get_modules().last().map(|module| &**module).context("finding the policy that was added")
}

/// A program that a policy runs.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Program {
    /// Its path and its arguments.
    command: Vec<String>,
    /// Its standard input.
    #[serde(default)]
    stdin: String,
}

/// The builtin `exec`: runs a program, and returns its exit status and output.
///
/// The argument is an object with `command`, an array of the program's path and its arguments, and perhaps `stdin`. The result is
/// an object with `status`, `stdout` and `stderr`. If the program cannot be run, is ended by a signal, takes too long or writes
/// too much, the policy fails, which denies.
#[expect(clippy::needless_pass_by_value, reason = "the signature of an extension")]
fn exec(arguments: Vec<Value>) -> Result<Value> {
    let [argument] = arguments.as_slice() else { bail!("exec needs exactly one argument") };
    let program: Program = serde_json::from_str(&argument.to_json_str()?)
        .map_err(|error| anyhow!("reading the argument of exec: {error}"))?;
    let [path, arguments @ ..] = program.command.as_slice() else { bail!("the command of exec is empty") };
    ensure!(path.starts_with('/'), "exec: {path:?} is not an absolute path");
    // The engine shows an error without its causes.
    let ran = run(path, arguments, program.stdin.into_bytes());
    let ran = ran.map_err(|error| anyhow!("running {path:?}: {error:#}"))?;
    Value::from_json_str(&ran.to_string())
}

/// Runs a program in its own process group, and kills all processes that it has started.
fn run(path: &str, arguments: &[String], input: Vec<u8>) -> Result<serde_json::Value> {
    let until = Instant::now() + PROGRAM_TIME_MAX;
    let mut child = os::with_hard_limits(|| {
        Command::new(path)
            .args(arguments)
            .env_clear()
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    })??;
    let late = || anyhow!("the program took more than {} seconds", PROGRAM_TIME_MAX.as_secs());
    let ran = || -> Result<serde_json::Value> {
        let mut stdin = child.stdin.take().context("opening its standard input")?;
        // A program need not read all of its input.
        thread::spawn(move || stdin.write_all(&input));
        let stdout = collect(child.stdout.take().context("opening its standard output")?);
        let stderr = collect(child.stderr.take().context("opening its standard error")?);
        let left = || until.saturating_duration_since(Instant::now());
        let stdout = stdout.recv_timeout(left()).map_err(|_| late())??;
        let stderr = stderr.recv_timeout(left()).map_err(|_| late())??;
        let status = loop {
            match child.try_wait()? {
                Some(status) => break status,
                None if left().is_zero() => return Err(late()),
                None => thread::sleep(Duration::from_millis(1)),
            }
        };
        let status = status.code().with_context(|| format!("the program was ended by {status}"))?;
        Ok(json!({ "status": status, "stdout": stdout, "stderr": stderr }))
    };
    let ran = ran();
    let is_over = os::kill_own_descendants(Instant::now() + DESCENDANTS_ENDING_TIME_MAX);
    ensure!(is_over, "processes that the program started could not be ended");
    ran
}

/// The output of a program as text, with U+FFFD for bytes that are not UTF-8.
fn collect(from: impl Read + Send + 'static) -> Receiver<Result<String>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = from.take(PROGRAM_OUTPUT_BYTES_MAX + 1).read_to_end(&mut bytes);
        let collected = read.context("reading its output").and_then(|_| {
            ensure!(
                bytes.len() as u64 <= PROGRAM_OUTPUT_BYTES_MAX,
                "the program wrote more than {PROGRAM_OUTPUT_BYTES_MAX} bytes"
            );
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        });
        sender.send(collected)
    });
    receiver
}
