//! Nobody else's file: links that others plant, directories that they exchange, and what signals leave.

mod as_root;
mod exchanged;
mod followed;
mod leftover;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use crate::support::{Ran, Sandbox};

fn metadata() -> Command {
    Command::new(assert_cmd::cargo::cargo_bin!("metadata"))
}

/// The names in a directory, sorted.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn temporaries(directory: &Path) -> Vec<String> {
    names(directory).into_iter().filter(|name| name.starts_with(".metadata-")).collect()
}

fn shell(sandbox: &Sandbox, script: &str) -> Ran {
    let mut command = Command::new("sh");
    command.current_dir(sandbox.path("")).args(["-c", script]).arg(metadata().get_program());
    Ran::from(command.output().unwrap())
}

/// Commands that replace a file, and the directory that it is in.
fn replacing(sandbox: &Sandbox) -> [(&'static [&'static str], PathBuf); 4] {
    sandbox.write("data", "x");
    sandbox.write("lines", "{\"image\": \"image\", \"data\": \"x\"}\n");
    sandbox.succeed(["create", "image.iso", "x"]);
    let commands: [&[&str]; 4] = [
        &["create", "created/image", "x", "--quiet"],
        &["batch", "lines", "--into", "built", "--quiet"],
        &["extract", "image.iso", "--into", "extracted", "--force", "--quiet"],
        &["apply", "data", "applied"],
    ];
    fs::create_dir(sandbox.path("created")).unwrap();
    ["created", "built", "extracted", "applied"]
        .map(|name| sandbox.path(name))
        .into_iter()
        .zip(commands)
        .map(|(directory, command)| (command, directory))
        .collect::<Vec<_>>()
        .try_into()
        .unwrap()
}

fn run(command: &mut Command, sandbox: &Sandbox) -> Output {
    command.current_dir(sandbox.path("")).output().unwrap()
}
