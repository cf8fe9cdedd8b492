//! The program in the place of cloud-localds: what it makes, how its command line is read, and how it fails.

mod grammar;
mod habits;
mod replay;

use std::{fs, os::unix::fs::PermissionsExt};

use crate::support::{Ran, Sandbox};

/// A directory with files for a seed.
fn with_inputs() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("user-data", "#cloud-config\n");
    sandbox.write("meta-data", "instance-id: i-1\n");
    sandbox.write("network.yaml", "version: 2\n");
    sandbox.write("vendor.yaml", "#cloud-config\n{}\n");
    sandbox.write("interfaces", "auto lo\niface lo inet loopback\n\n");
    fs::set_permissions(sandbox.path("user-data"), fs::Permissions::from_mode(0o640)).unwrap();
    sandbox
}

/// Runs our program in the place of cloud-localds.
fn run(sandbox: &Sandbox, arguments: &[&str], input: &str) -> Ran {
    sandbox.run_with_input([&["cloud-localds"], arguments].concat(), input)
}

/// Our program fails with status 1, and the last line on standard error is this.
#[track_caller]
fn fail(sandbox: &Sandbox, arguments: &[&str], line: &str) {
    let ran = run(sandbox, arguments, "");
    assert_eq!((ran.status, ran.stdout.as_str()), (Some(1), ""), "{}", ran.stderr);
    assert_eq!(ran.stderr.lines().last(), Some(format!("cloud-localds: {line}").as_str()));
}
