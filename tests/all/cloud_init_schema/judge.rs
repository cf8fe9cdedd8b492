//! cloud-init's `schema` command, in one process that is asked about many documents.

use std::{
    env,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use serde::Deserialize;
use serde_json::Value;

pub(super) struct Judge {
    process: Child,
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

#[derive(Deserialize)]
struct Answer {
    accepted: bool,
    errors: Vec<(String, String)>,
    deprecations: Vec<(String, String)>,
    value: Option<Value>,
}

/// What cloud-init says of a document.
pub(super) struct Judgement {
    pub(super) accepted: bool,
    /// Path and message.
    pub(super) errors: Vec<String>,
    pub(super) deprecations: Vec<String>,
    /// The document as cloud-init reads it. `None` if JSON cannot express it.
    pub(super) value: Option<Value>,
}

impl Judge {
    pub(super) fn new() -> Self {
        let mut process =
            Self::python("judge.py").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let questions = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self { process, questions, answers }
    }

    /// Python with cloud-init, to run a script of tests/oracle.
    pub(super) fn python(script: &str) -> Command {
        let packages = |package: &str| Self::unpacked(package).join("usr/lib/python3/dist-packages");
        let path = env::join_paths([packages("cloud-init"), packages("python")]).unwrap();
        // Debian's, for which the packages are made.
        let mut python = Command::new("/usr/bin/python3");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle").join(script);
        python.arg(script).env("PYTHONPATH", path);
        python
    }

    /// The documents for people in cloud-init's package.
    pub(super) fn examples() -> PathBuf {
        Self::unpacked("cloud-init").join("usr/share/doc/cloud-init/examples")
    }

    fn unpacked(package: &str) -> PathBuf {
        let target = env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
        let directory = target.join("cloud-init").join(package);
        assert!(directory.exists(), "{} is missing: run scripts/get-cloud-init", directory.display());
        directory
    }

    pub(super) fn ask(&mut self, document: &str) -> Judgement {
        let question = serde_json::to_string(document).unwrap();
        writeln!(self.questions.as_mut().unwrap(), "{question}").unwrap();
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        let answer: Answer = serde_json::from_str(&line).unwrap();
        let joined = |(path, message)| format!("{path}: {message}");
        Judgement {
            accepted: answer.accepted,
            errors: answer.errors.into_iter().map(joined).collect(),
            deprecations: answer.deprecations.into_iter().map(joined).collect(),
            value: answer.value,
        }
    }
}

impl Drop for Judge {
    fn drop(&mut self) {
        drop(self.questions.take());
        _ = self.process.wait();
    }
}
