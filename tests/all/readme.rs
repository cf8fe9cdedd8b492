//! What README shows is what the program prints.

use std::{fs, path::Path, process::Command};

use crate::support::Sandbox;

const README: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

/// Runs the commands of every `console` block, one after the other in one directory, and gives the text with what they
/// really printed.
fn with_real_output(text: &str) -> String {
    let sandbox = Sandbox::new();
    let binary = assert_cmd::cargo::cargo_bin!("metadata");
    let directory = binary.parent().unwrap().to_str().unwrap();
    let path = format!("{directory}:{}", std::env::var("PATH").unwrap());
    let mut real = String::new();
    let mut console = false;
    for line in text.lines() {
        if line.starts_with("```") {
            console = line == "```console";
        } else if console {
            let Some(command) = line.strip_prefix("$ ") else { continue };
            let output = Command::new("bash")
                .current_dir(sandbox.path(""))
                .env("PATH", &path)
                .env_remove("SOURCE_DATE_EPOCH")
                .args(["-c", &format!("exec 2>&1; {command}")])
                .output()
                .unwrap();
            real.extend([line, "\n", str::from_utf8(&output.stdout).unwrap()]);
            continue;
        }
        real += line;
        real.push('\n');
    }
    real
}

#[test]
#[cfg_attr(not(feature = "policy"), ignore = "shows policies")]
fn examples_print_what_readme_says() {
    let readme = fs::read_to_string(README).unwrap();
    let real = with_real_output(&readme);
    if real != readme {
        // For `mv`, when the change is wanted.
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("README.md");
        fs::write(&path, &real).unwrap();
        let (line, _) =
            readme.lines().zip(real.lines()).enumerate().find(|(_, (one, other))| one != other).unwrap();
        panic!("README.md does not say from line {} on what {} does", line + 1, path.display());
    }
}
