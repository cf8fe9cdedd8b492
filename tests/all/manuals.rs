//! What README and docs show is what the program prints, and what they refer to exists.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use metadata_image::userdata::finding::Code;

use crate::support::Sandbox;

/// README is read in two minutes.
const README_LINES_MAX: usize = 250;

/// README is read in a terminal, too.
const README_COLUMNS_MAX: usize = 100;

/// What blocks of text are in. `console` is run: a line that begins with `$ ` is a command, the others are its output.
const LANGUAGES: [&str; 7] = ["console", "ini", "rego", "rust", "sh", "toml", "yaml"];

/// A text and its path from the root of the repository.
struct Manual {
    path: PathBuf,
    text: String,
}

/// README and everything in docs.
fn manuals() -> Vec<Manual> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().file_name());
    let mut paths: Vec<_> = docs.map(|name| Path::new("docs").join(name)).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    paths.push("README.md".into());
    paths.sort();
    paths.into_iter().map(Manual::read).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Runs a command line in the sandbox and gives what it prints, standard error included.
fn run(sandbox: &Sandbox, command: &str) -> String {
    let binary = assert_cmd::cargo::cargo_bin!("metadata");
    let directory = binary.parent().unwrap().to_str().unwrap();
    let output = Command::new("bash")
        .current_dir(sandbox.path(""))
        .env("PATH", format!("{directory}:{}", std::env::var("PATH").unwrap()))
        .env_remove("SOURCE_DATE_EPOCH")
        .args(["-c", &format!("exec 2>&1; {command}")])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

impl Manual {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(root().join(&path)).unwrap();
        Self { path, text }
    }

    /// The lines, each with the language of the block that it is in. A line that begins or ends a block is in none.
    fn lines(&self) -> impl Iterator<Item = (Option<&str>, &str)> {
        self.text.lines().scan(None, |language, line| {
            if let Some(name) = line.strip_prefix("```") {
                *language = if language.is_some() { None } else { Some(name) };
                return Some((None, line));
            }
            Some((*language, line))
        })
    }

    /// The text with what the commands of its `console` blocks really print, all of them in one directory.
    fn with_real_output(&self) -> String {
        let sandbox = Sandbox::new();
        let mut real = String::new();
        for (language, line) in self.lines() {
            let command = line.strip_prefix("$ ").filter(|_| language == Some("console"));
            if language != Some("console") || command.is_some() {
                real.extend([line, "\n"]);
            }
            if let Some(command) = command {
                real += &run(&sandbox, command);
            }
        }
        real
    }

    /// Where its links lead, but for those to other sites.
    fn links(&self) -> Vec<&str> {
        let text = self.lines().filter(|(language, _)| language.is_none()).map(|(_, line)| line);
        // Code between backquotes has no links.
        let prose = text.flat_map(|line| line.split('`').step_by(2));
        let links =
            prose.flat_map(|part| part.split("](").skip(1).map(|link| link.split(')').next().unwrap()));
        links.filter(|link| !link.starts_with("https://")).collect()
    }

    /// What is wrong with a link.
    fn fault_of(&self, link: &str) -> Option<String> {
        let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
        let path = if file.is_empty() { self.path.clone() } else { self.path.with_file_name(file) };
        if !root().join(&path).is_file() {
            return Some(format!("{:?} leads to {path:?}, which is not there", self.path));
        }
        if anchor.is_empty() || Self::read(path.clone()).anchors().any(|known| known == anchor) {
            return None;
        }
        Some(format!("{:?} leads to {path:?}, which has no heading for #{anchor}", self.path))
    }

    /// What its headings are called in a link.
    fn anchors(&self) -> impl Iterator<Item = String> {
        let headings = self.lines().filter(|(language, line)| language.is_none() && line.starts_with('#'));
        headings.map(|(_, line)| anchor(line.trim_start_matches('#').trim()))
    }

    /// The cells of the rows of its tables.
    fn rows(&self) -> Vec<Vec<&str>> {
        let rows = self.text.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
        rows.map(|row| row.split(" | ").collect()).collect()
    }
}

/// A heading in a link, as web sites make it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
    kept.collect::<String>().to_lowercase().replace(' ', "-")
}

/// What is between backquotes.
fn code(cell: &str) -> Option<&str> {
    cell.strip_prefix('`')?.strip_suffix('`')
}

#[test]
#[cfg_attr(not(feature = "policy"), ignore = "shows policies")]
fn examples_print_what_the_manuals_say() {
    let mut faults = Vec::new();
    for manual in manuals() {
        let real = manual.with_real_output();
        if real == manual.text {
            continue;
        }
        // For `cp`, when the change is wanted.
        let wanted = Path::new(env!("CARGO_TARGET_TMPDIR")).join("manuals").join(&manual.path);
        fs::create_dir_all(wanted.parent().unwrap()).unwrap();
        fs::write(&wanted, &real).unwrap();
        let same = manual.text.lines().zip(real.lines()).take_while(|(one, other)| one == other).count();
        faults.push(format!(
            "{:?}, line {}: the program prints what is in {wanted:?}",
            manual.path,
            same + 1
        ));
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_block_says_its_language_and_only_console_has_prompts() {
    for manual in manuals() {
        for (language, line) in manual.lines() {
            assert!(!line.starts_with(' ') || !line.trim().starts_with("```"), "{:?}: {line}", manual.path);
            let Some(language) = language else { continue };
            assert!(LANGUAGES.contains(&language), "{:?}: a block in {language:?}", manual.path);
            assert!(!line.starts_with("$ ") || language == "console", "{:?}: not run: {line}", manual.path);
        }
    }
}

#[test]
fn links_lead_to_files_and_headings_that_exist() {
    let manuals = manuals().into_iter().chain([Manual::read("CHANGELOG.md".into())]);
    let faults: Vec<_> = manuals
        .flat_map(|manual| manual.links().iter().filter_map(|link| manual.fault_of(link)).collect::<Vec<_>>())
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn broken_links_are_found() {
    let text = "# A `b`: c\n[x](#a-b-c) [x](../README.md), ![x](none.svg)\n`[x](code)` [`y`](#none)\n```sh\n[x](y)\n```\n";
    let manual = Manual { path: "docs/agent.md".into(), text: text.to_owned() };
    assert_eq!(manual.links(), ["#a-b-c", "../README.md", "none.svg", "#none"]);
    assert_eq!(manual.anchors().collect::<Vec<_>>(), ["a-b-c"]);
    let broken = |link| manual.fault_of(link).is_some();
    assert!(
        !broken("../README.md") && !broken("../README.md#install") && !broken("trust.md#allowed-signers")
    );
    assert!(broken("none.svg") && broken("#none") && broken("../README.md#none") && broken("README.md"));
}

#[test]
fn readme_is_short_and_narrow() {
    let readme = Manual::read("README.md".into());
    assert!(readme.text.lines().count() <= README_LINES_MAX);
    for line in readme.text.lines() {
        assert!(line.chars().count() <= README_COLUMNS_MAX, "{line}");
    }
}

#[test]
fn readme_leads_to_every_manual() {
    let readme = Manual::read("README.md".into());
    let links = readme.links();
    for manual in manuals().iter().filter(|manual| manual.path != readme.path) {
        let path = manual.path.to_str().unwrap();
        assert!(links.iter().any(|link| link.split('#').next() == Some(path)), "{path}");
    }
}

#[test]
#[cfg_attr(not(feature = "policy"), ignore = "lists a command that is missing")]
fn readme_lists_every_command() {
    let help = String::from_utf8(Sandbox::new().succeed(["--help"])).unwrap();
    let commands = help.split("Commands:\n").nth(1).unwrap().lines().take_while(|line| !line.is_empty());
    // A description that is continued is indented further.
    let commands = commands.filter_map(|line| line.strip_prefix("  ").filter(|line| !line.starts_with(' ')));
    let commands: BTreeSet<_> = commands.map(|line| line.split(' ').next().unwrap()).collect();
    let readme = Manual::read("README.md".into());
    let table = readme.rows().into_iter().filter(|row| row.len() == 3).filter_map(|row| code(row[0]));
    assert_eq!(table.chain(["help"]).collect::<BTreeSet<_>>(), commands);
}

/// The rows of docs/check.md about codes: the code, its severity and an example.
fn codes(manual: &Manual) -> Vec<[&str; 3]> {
    let rows = manual.rows().into_iter().filter(|row| row.len() == 5);
    rows.filter_map(|row| Some([code(row[0])?, row[1], row[4]])).collect()
}

#[test]
fn every_code_of_a_finding_is_described() {
    let manual = Manual::read("docs/check.md".into());
    let described: Vec<_> =
        codes(&manual).iter().map(|[code, severity, _]| format!("{code} {severity}")).collect();
    let known: BTreeSet<_> =
        Code::ALL.iter().map(|code| format!("{} {}", code.name(), code.severity())).collect();
    assert_eq!(described.iter().cloned().collect::<BTreeSet<_>>(), known);
    assert_eq!(described.len(), known.len(), "a code is described twice");
}

#[test]
fn the_example_of_every_code_has_such_a_finding() {
    let manual = Manual::read("docs/check.md".into());
    let mut without = Vec::new();
    for [name, severity, example] in codes(&manual) {
        let Some(command) = code(example) else {
            without.push(name);
            continue;
        };
        let printed = run(&Sandbox::new(), command);
        let heading = format!("{severity}[{name}]: ");
        assert!(printed.lines().any(|line| line.starts_with(&heading)), "{command}\n{printed}");
    }
    // Its example has 100,001 findings.
    assert_eq!(without, ["too-many"]);
}
