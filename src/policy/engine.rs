//! The evaluation of a policy, in a process of its own.

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
use rustix::process::{
    Resource, Rlimit, Signal, getpid, getrlimit, set_child_subreaper, set_parent_process_death_signal,
    setrlimit,
};
use serde::Deserialize;
use serde_json::json;

use super::{
    decision::{Answer, Evaluation, Request, Rule},
    descendants, rule_heads,
    supervisor::ENDING_TIME_MAX,
};

/// Bytes of address space that an evaluation may take; 5 MB are resident for a small policy.
pub(super) const MEMORY_BYTES_MAX: u64 = 256 << 20;

/// Seconds of a processor that it may take.
pub(super) const PROCESSOR_SECONDS_MAX: u64 = 2;

/// How long a program may take that a policy runs.
const PROGRAM_TIME_MAX: Duration = Duration::from_secs(10);

/// Bytes of its output at most, and of its errors.
const OUTPUT_BYTES_MAX: u64 = 1 << 20;

/// Evaluates the policy that `request` has, and writes the answer to `out`. From here on the process has the limits of an
/// evaluation, ends with its parent, and is the reaper of what is below it.
///
/// # Errors
/// The system refuses a limit, the request is none, or nobody takes the answer.
pub fn serve(request: &mut dyn Read, out: &mut dyn Write) -> Result<()> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    set_child_subreaper(Some(getpid()))?;
    limit(Resource::As, MEMORY_BYTES_MAX)?;
    limit(Resource::Cpu, PROCESSOR_SECONDS_MAX)?;
    limit(Resource::Core, 0)?;
    let request: Request = serde_json::from_reader(request)?;
    let answer =
        evaluate(&request).unwrap_or_else(|error| Answer { error: Some(text(&error)), ..Answer::default() });
    serde_json::to_writer(&mut *out, &answer)?;
    Ok(out.flush()?)
}

/// Lowers the soft limit.
fn limit(resource: Resource, limit: u64) -> Result<()> {
    let hard = getrlimit(resource).maximum;
    let current = Some(hard.map_or(limit, |hard| hard.min(limit)));
    Ok(setrlimit(resource, Rlimit { current, maximum: hard })?)
}

/// An error of the engine in one line. The first ones draw the place.
fn text(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let lines: Vec<_> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let place = lines.iter().find_map(|line| line.strip_prefix("--> "));
    let said = lines.iter().rfind(|line| line.starts_with("error: "));
    match (place, said) {
        (Some(place), Some(said)) => format!("{place}: {}", said.trim_start_matches("error: ")),
        _ => lines.join(" "),
    }
}

fn evaluate(request: &Request) -> Result<Answer> {
    let mut engine = Engine::new();
    engine.set_gather_prints(true);
    if request.allow_exec {
        engine.add_extension("exec".to_owned(), 1, Box::new(exec))?;
    }
    for (number, (name, body)) in request.files.iter().enumerate() {
        // The engine tells files by their names.
        let taken = request.files[..number].iter().any(|(other, _)| other == name);
        let path = if taken { format!("{name}#{number}") } else { name.clone() };
        add(&mut engine, &path, body).with_context(|| format!("reading policy {name:?}"))?;
    }
    engine.set_input(Value::from_json_str(&request.input.to_string())?);
    let mut answer = Answer::default();
    let packages = engine.get_policy_package_components()?;
    // Rules of one package and name are joined, so that one file would allow what the other does not.
    let mut seen = BTreeSet::new();
    for package in &packages {
        let name = package.components.join(".");
        ensure!(seen.insert(name.clone()), "two files are of the package {name:?}, each needs its own");
    }
    for package in packages {
        for (rule, name) in [(Rule::Allow, "allow"), (Rule::Deny, "deny"), (Rule::Sample, "sample")] {
            if engine.has_declared_rule_rooted_at(&package.source_file, name)? {
                let components = package.components.iter().map(|component| format!("[{}]", json!(component)));
                let path = format!("data{}.{name}", components.collect::<String>());
                answer.rules.push((rule, evaluate_rule(&mut engine, path)));
            }
        }
    }
    Ok(answer)
}

fn evaluate_rule(engine: &mut Engine, path: String) -> Evaluation {
    let evaluated = engine.eval_rule(path).and_then(|value| match value {
        Value::Undefined => Ok(Evaluation::Undefined),
        value => Ok(Evaluation::Value(serde_json::from_str(&value.to_json_str()?)?)),
    });
    evaluated.unwrap_or_else(|error| Evaluation::Error(text(&error)))
}

/// Adds a file: as Rego v1, or, if it is none, as v0.
///
/// What v1 has as keywords are names to v0, so that it takes `allow if { … }` for two rules, of which the first one is true. A
/// file with such a mistake elsewhere must not come to mean that.
fn add(engine: &mut Engine, name: &str, body: &str) -> Result<()> {
    engine.set_rego_v0(false);
    if let Err(error) = engine.add_policy(name.to_owned(), body.to_owned()) {
        engine.set_rego_v0(true);
        let v0 = engine.add_policy(name.to_owned(), body.to_owned());
        if v0.is_err() || rule_heads::has_keyword(added(engine)?) {
            bail!("{}", text(&error));
        }
    }
    rule_heads::check(added(engine)?)
}

/// The module that was added last.
fn added(engine: &mut Engine) -> Result<&Module> {
    engine.get_modules().last().map(|module| &**module).context("the engine has the policy")
}

/// What a policy says of a program to run.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Program {
    /// Its path and its arguments.
    command: Vec<String>,
    /// What it reads.
    #[serde(default)]
    stdin: String,
}

/// The builtin `exec`: runs a program and gives its exit status and what it wrote.
///
/// Called with an object of `command`, an array of the program's path and its arguments, and perhaps `stdin`; gives one of
/// `status`, `stdout` and `stderr`. A program that cannot be run, is ended by a signal, takes too long or writes too much is
/// an error of the policy, which denies.
#[expect(clippy::needless_pass_by_value, reason = "it is what an extension gets")]
fn exec(arguments: Vec<Value>) -> Result<Value> {
    let [argument] = arguments.as_slice() else { bail!("exec takes one object") };
    let program: Program = serde_json::from_str(&argument.to_json_str()?)
        .map_err(|error| anyhow!("reading what exec shall run: {error}"))?;
    let [path, arguments @ ..] = program.command.as_slice() else { bail!("exec has no program") };
    ensure!(path.starts_with('/'), "exec runs {path:?}, which is no absolute path");
    // The engine shows an error without what is behind it.
    let ran = run(path, arguments, program.stdin.into_bytes());
    let ran = ran.map_err(|error| anyhow!("running {path:?}: {error:#}"))?;
    Value::from_json_str(&ran.to_string())
}

/// Runs a program in a process group of its own, and ends all that it has started.
fn run(path: &str, arguments: &[String], input: Vec<u8>) -> Result<serde_json::Value> {
    let until = Instant::now() + PROGRAM_TIME_MAX;
    let mut child = with_higher_limits(|| {
        Command::new(path)
            .args(arguments)
            .env_clear()
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    })??;
    let late = || anyhow!("it took more than {} seconds", PROGRAM_TIME_MAX.as_secs());
    let ran = || -> Result<serde_json::Value> {
        let mut stdin = child.stdin.take().context("it has an input")?;
        // What it does not read is no loss.
        thread::spawn(move || stdin.write_all(&input));
        let stdout = collect(child.stdout.take().context("it has an output")?);
        let stderr = collect(child.stderr.take().context("it has an output for errors")?);
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
        let status = status.code().with_context(|| format!("it ended by {status}"))?;
        Ok(json!({ "status": status, "stdout": stdout, "stderr": stderr }))
    };
    let ran = ran();
    let is_over = descendants::end_own(Instant::now() + ENDING_TIME_MAX);
    ensure!(is_over, "processes that it has started could not be ended");
    ran
}

/// What a program writes, as text in which bytes that are not UTF-8 are U+FFFD.
fn collect(from: impl Read + Send + 'static) -> Receiver<Result<String>> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = from.take(OUTPUT_BYTES_MAX + 1).read_to_end(&mut bytes);
        let collected = read.context("reading what it writes").and_then(|_| {
            ensure!(bytes.len() as u64 <= OUTPUT_BYTES_MAX, "it writes more than {OUTPUT_BYTES_MAX} bytes");
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        });
        sender.send(collected)
    });
    receiver
}

/// Does `spawn` with the limits that the process was started with: what holds for the evaluation is too little for the
/// runtimes of some languages.
fn with_higher_limits<T>(spawn: impl FnOnce() -> T) -> Result<T> {
    let lowered = [Resource::As, Resource::Cpu].map(|resource| (resource, getrlimit(resource)));
    for (resource, Rlimit { maximum, .. }) in lowered {
        setrlimit(resource, Rlimit { current: maximum, maximum })?;
    }
    let spawned = spawn();
    for (resource, limit) in lowered {
        setrlimit(resource, limit)?;
    }
    Ok(spawned)
}
