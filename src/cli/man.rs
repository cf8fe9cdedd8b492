//! Manual pages, made from the definition of the command line. Only `scripts/man` and a test make them, so that the program does
//! not contain them.

use std::{env, fs, path::Path, process::Command};

use clap::{Arg, CommandFactory};
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

use super::Cli;

/// The variable that names the directory to write to.
const DIRECTORY: &str = "METADATA_MAN_DIRECTORY";

/// Writes the page of the program and one for each command that the help shows. Returns their names.
fn write_pages(directory: &Path) -> Vec<String> {
    let mut whole = Cli::command().disable_help_subcommand(true);
    whole.build();
    let shown = whole.get_subcommands().filter(|command| !command.is_hide_set());
    let mut pages = vec![(whole.get_name().to_owned(), page(&whole))];
    pages.extend(shown.map(|command| {
        let name = format!("metadata-{}", command.get_name());
        // The name in the heading, and in the synopsis that is not written out.
        let command = command.clone().display_name(name.clone()).bin_name(name.replacen('-', " ", 1));
        (name, page(&command))
    }));
    let names = pages.iter().map(|(name, page)| {
        let name = format!("{name}.1");
        assert!(!page.contains("metadata\\-help"), "{name}: there is no such page");
        fs::write(directory.join(&name), page).unwrap();
        name
    });
    names.collect()
}

/// Stands for a line break within the description of an option, which roff would fill.
const BREAK: char = '\u{1}';

/// The page of a command. It has no date, so that equal sources make equal pages.
fn page(command: &clap::Command) -> String {
    let name = command.get_display_name().unwrap_or("metadata");
    let version = env!("CARGO_PKG_VERSION");
    let mut page = format!(".TH {name} 1 \"\" \"metadata {version}\" \"User Commands\"\n").into_bytes();
    let man = Man::new(command.clone().mut_args(with_line_breaks));
    man.render_name_section(&mut page).unwrap();
    page.extend(synopsis(command).to_roff().into_bytes());
    man.render_description_section(&mut page).unwrap();
    if command.get_arguments().any(|argument| !argument.is_hide_set()) {
        man.render_options_section(&mut page).unwrap();
    }
    if command.get_subcommands().any(|command| !command.is_hide_set()) {
        man.render_subcommands_section(&mut page).unwrap();
    }
    let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    page.extend(section_of_examples(&examples).to_roff().into_bytes());
    String::from_utf8(page).unwrap().replace(BREAK, ".br\n")
}

/// The forms of the command, as in its help: `clap_mangen` would list each option, without its value.
fn synopsis(command: &clap::Command) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]).control("nf", []);
    let usage = command.clone().render_usage().to_string();
    for line in usage.trim_start_matches("Usage:").lines().map(str::trim) {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff
}

/// The argument with its line breaks marked.
fn with_line_breaks(argument: Arg) -> Arg {
    let help = argument.get_long_help().or(argument.get_help()).map(ToString::to_string);
    match help {
        Some(help) if help.contains('\n') => argument.long_help(help.replace('\n', &format!("\n{BREAK}"))),
        _ => argument,
    }
}

/// The text after the help, line by line.
fn section_of_examples(text: &str) -> Roff {
    let mut roff = Roff::new();
    let lines = text.split_once('\n').map_or("", |(_, lines)| lines);
    roff.control("SH", ["EXAMPLES"]).control("nf", []);
    for line in lines.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff
}

#[test]
fn every_visible_command_has_a_page() {
    let directory = tempfile::tempdir().unwrap();
    let names = write_pages(directory.path());
    assert!(names.contains(&"metadata.1".to_owned()) && names.contains(&"metadata-create.1".to_owned()));
    assert!(!names.iter().any(|name| name.contains("policy-worker")), "{names:?}");
    for name in &names {
        let text = fs::read_to_string(directory.path().join(name)).unwrap();
        let command = name.trim_end_matches(".1").replacen('-', " ", 1).replace('-', "\\-");
        let form = format!("SYNOPSIS\n.nf\n{command} ");
        assert!(text.contains("EXAMPLES") && text.contains(&form), "{name}: no {form:?}: {text}");
        assert!(!text.contains("policy\\-worker") && !text.contains("policy\\-evaluator"), "{name}");
    }
}

#[test]
#[ignore = "needs man and groff"]
fn man_renders_the_pages_without_a_warning() {
    let directory = tempfile::tempdir().unwrap();
    for name in write_pages(directory.path()) {
        let output = Command::new("man")
            .env("MANWIDTH", "80")
            .env("LC_ALL", "C.UTF-8")
            .args(["--warnings=w", "--local-file"])
            .arg(directory.path().join(&name))
            .output()
            .unwrap();
        let warnings = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && warnings.is_empty(), "{name}: {warnings}");
        let shown = String::from_utf8(output.stdout).unwrap();
        // The lines of an example are not run together.
        assert!(shown.lines().any(|line| line.trim_start().starts_with("metadata ")), "{name}: {shown}");
    }
}

/// What `scripts/man` runs.
#[test]
#[ignore = "writes where scripts/man wants the pages"]
fn pages_are_written() {
    let Some(directory) = env::var_os(DIRECTORY) else { return };
    write_pages(Path::new(&directory));
}
