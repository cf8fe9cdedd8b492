//! User data in `testdata/userdata`: what is said of it, and what becomes of it.

use std::{
    collections::BTreeSet,
    ffi::OsStr,
    fmt::Write as _,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use metadata_image::userdata::finding::Code;

use crate::support::{Ran, Sandbox};

fn inputs_below(directory: &Path, inputs: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        // Several documents in each, of another test.
        if path.ends_with("schema") {
            continue;
        }
        if path.is_dir() {
            inputs_below(&path, inputs);
        } else if !matches!(path.extension().and_then(OsStr::to_str), Some("tree" | "findings" | "md")) {
            inputs.push(path);
        }
    }
}

fn inputs() -> (PathBuf, Vec<PathBuf>) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/userdata");
    let mut inputs = Vec::new();
    inputs_below(&directory, &mut inputs);
    inputs.sort();
    assert!(inputs.len() > 50);
    (directory, inputs)
}

/// What is below a directory: mode and path, for a file its content.
pub(crate) fn tree_of(directory: &Path) -> String {
    fn list(directory: &Path, above: &str, text: &mut String) {
        let mut entries: Vec<_> = fs::read_dir(directory).unwrap().map(Result::unwrap).collect();
        entries.sort_by_key(fs::DirEntry::file_name);
        for entry in entries {
            let (path, name) = (entry.path(), entry.file_name().into_string().unwrap());
            let mode = fs::symlink_metadata(&path).unwrap().permissions().mode() & 0o7777;
            let name = format!("{above}{name}");
            if path.is_dir() {
                writeln!(text, "{mode:04o} {name}/").unwrap();
                list(&path, &format!("{name}/"), text);
            } else {
                let content = String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned();
                writeln!(text, "{mode:04o} {name} {content:?}").unwrap();
            }
        }
    }
    let mut text = String::new();
    list(directory, "", &mut text);
    text
}

/// Compares with the file that stands beside an input, or writes it.
fn compare(path: &Path, actual: &str) {
    if std::env::var_os("UPDATE").is_some() {
        drop(fs::remove_file(path));
        if !actual.is_empty() {
            fs::write(path, actual).unwrap();
        }
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    assert_eq!(actual, expected, "{}", path.display());
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[test]
fn every_input_is_judged_as_its_findings_say() {
    let (directory, inputs) = inputs();
    let sandbox = Sandbox::new();
    for input in inputs {
        let name = input.strip_prefix(&directory).unwrap();
        let mut command = sandbox.command([Path::new("check"), name]);
        let ran = Ran::from(command.current_dir(&directory).output().unwrap());
        compare(&beside(&input, ".findings"), &ran.stdout);
        let failed = ran.stdout.lines().any(|line| line.starts_with("error["));
        assert_eq!(ran.status, Some(failed.into()), "{}", input.display());
    }
}

#[test]
fn every_input_becomes_its_tree_whatever_the_umask() {
    let (_, inputs) = inputs();
    let metadata = assert_cmd::cargo::cargo_bin!("metadata").to_str().unwrap().to_owned();
    for input in inputs {
        for umask in ["077", "000"] {
            let sandbox = Sandbox::new();
            let script = format!("umask {umask}; \"$0\" apply \"$1\" out 2>/dev/null; true");
            sandbox.tool("sh", ["-c", &script, &metadata, input.to_str().unwrap()]);
            let userdata = sandbox.path("out/userdata");
            assert!(fs::read(&userdata).unwrap() == fs::read(&input).unwrap(), "{}", input.display());
            assert_eq!(fs::metadata(&userdata).unwrap().permissions().mode() & 0o7777, 0o600);
            fs::remove_file(userdata).unwrap();
            compare(&beside(&input, ".tree"), &tree_of(&sandbox.path("out")));
            assert_eq!(sandbox.names(), ["out"], "nothing is written outside");
        }
    }
}

#[test]
fn an_input_without_errors_is_applied_without_failure_twice() {
    let (_, inputs) = inputs();
    // What is no user data is not applied.
    for input in inputs.into_iter().filter(|input| !input.ends_with("meta_data.json")) {
        let sandbox = Sandbox::new();
        let input = input.to_str().unwrap();
        if sandbox.run(["check", input]).status == Some(0) {
            for _ in 0..2 {
                let ran = sandbox.run(["apply", "-q", input, "--into", "out"]);
                assert_eq!(
                    ran,
                    Ran { status: Some(0), stdout: String::new(), stderr: String::new() },
                    "{input}"
                );
            }
        }
    }
}

#[test]
fn there_is_an_input_for_every_code_that_a_text_can_have() {
    let (_, inputs) = inputs();
    let mut seen = BTreeSet::new();
    for input in inputs {
        let text = fs::read_to_string(beside(&input, ".findings")).unwrap_or_default();
        let codes = text.lines().filter(|line| line.starts_with("error[") || line.starts_with("warning["));
        seen.extend(codes.map(|line| line.split(['[', ']']).nth(1).unwrap().to_owned()));
    }
    // These are about an image or a platform, which tests/all/check.rs has, or take a large input.
    // Or they depend on options.
    let elsewhere = [
        "other-agent",
        "volume-identifier",
        "unread",
        "too-large",
        "too-many",
        "unchecked",
        "exclusive-keys",
        "mistakable",
        "near-name",
        "too-new",
    ];
    for code in Code::ALL.iter().map(|code| code.name()) {
        assert_eq!(seen.contains(code), !elsewhere.contains(&code), "{code}");
    }
}
