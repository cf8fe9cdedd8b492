//! Errors of the command line: each on one line, with the words that were probably meant.

use std::{ffi::OsString, mem};

use clap::{
    Command,
    builder::Arg,
    error::{ContextKind, ContextValue, ErrorKind},
};
use metadata_image::suggestion::nearest;

/// Options that `linuxkit` spells with one dash.
const ONE_DASH: [&str; 2] = ["data", "data-file"];

/// What every image has, for those who ask for it.
const NAMES: &str = "every ISO 9660 image has Joliet and Rock Ridge names";

/// What `--layout` is for.
const LAYOUT: &str = "--layout LAYOUT says where the guest looks for the data";

/// Options of other programs, the command that they are given to, and what to write.
const OF_OTHERS: &[(&str, &[&str], &str)] = &[
    (
        "create",
        &["V"],
        "--volume-id ID sets the volume identifier, and --vendor-data PATH is cloud-localds' -V",
    ),
    (
        "create",
        &["f"],
        "--filesystem vfat makes a FAT image, --force replaces a file that is not an image, and --file NAME=PATH adds a file",
    ),
    ("create", &["v", "verbose"], "progress is shown on a terminal, and --json describes the image"),
    (
        "check",
        &["user-data", "u", "f", "file", "from"],
        "files, images and directories are given without an option: metadata check PATH",
    ),
    ("pack", &["o", "output", "into"], "the JSON goes to standard output: metadata pack DIR > FILE"),
    (
        "sign",
        &["expires", "expire", "valid-for", "until", "ttl", "validity"],
        "--not-after +30d lets guests accept the image for 30 days",
    ),
    ("create", &["dry-run", "n", "check"], "metadata check PATH finds mistakes without building an image"),
    ("set", &["dry-run", "n"], "to try it, change a copy of the image"),
    ("create", &["i"], "--instance-id ID sets the instance ID"),
    (
        "create",
        &[
            "k",
            "ssh-keys",
            "sshkey",
            "public-key",
            "authorized-keys",
            "ssh-authorized-keys",
            "ssh-authorized-key",
            "key",
        ],
        "--ssh-key PATH adds public keys",
    ),
    ("create", &["m"], "--meta-data PATH is the meta-data file"),
    ("create", &["d", "disk-format"], "an image is always raw; qemu-img convert makes other formats"),
    ("create", &["J", "R", "r", "JR", "RJ", "joliet", "rock", "rational-rock"], NAMES),
    ("create", &["volid", "label", "volume", "volume-label"], "--volume-id ID sets the volume identifier"),
    ("create", &["vfat", "fat"], "--filesystem vfat makes a FAT image"),
    ("create", &["local-hostname"], "--hostname NAME sets the host name"),
    ("create", &["interfaces"], "--network-config PATH is the network configuration"),
    ("create", &["dsmode"], "--meta-data PATH is a meta-data file, which may have dsmode"),
    ("create", &["host-name", "host", "name"], "--hostname NAME sets the host name"),
    ("create", &["format", "type", "nocloud", "cloud-init"], LAYOUT),
    (
        "create",
        &["u", "a", "cloud-config", "stdin"],
        "--user-data PATH is the user data; '-' is standard input",
    ),
    ("create", &["network", "network-data"], "--network-config PATH is the network configuration"),
    ("create", &["vendor"], "--vendor-data PATH is the vendor data"),
    (
        "create",
        &["dir", "directory"],
        "--from DIR takes the files of a seed, --data-dir DIR makes JSON for LinuxKit",
    ),
    (
        "create",
        &["password", "admin-pass", "admin-password", "password-file", "admin-password-file"],
        "--admin-pass-file PATH names a file with the password",
    ),
    ("create", &["graft-points"], "--file NAME=PATH adds a file"),
    ("create", &["overwrite", "y"], "--force replaces a file that is not an image"),
    ("create", &["sign"], "metadata sign IMAGE --key PATH signs an image"),
    (
        "set",
        &["user-data", "meta-data", "network-config", "vendor-data", "file", "add"],
        "NAME=PATH adds or replaces a file, such as user-data=PATH",
    ),
    ("set", &["delete", "rm"], "--remove NAME removes a file"),
    ("set", &["name", "host-name"], "--hostname NAME sets the host name"),
    ("extract", &["o", "d", "C", "to", "output", "dir", "all"], "--into DIR writes files to a directory"),
    ("batch", &["o", "output", "dir"], "--into DIR is the directory for the images"),
    (
        "batch",
        &["dry-run", "n", "check"],
        "all lines of a file are checked before the first image is built; to look at the images first, give --into another \
         directory",
    ),
    ("batch", &["j", "parallel", "threads"], "--jobs N builds N images at the same time"),
    ("check", &["sarif", "o", "output-format"], "--format FORMAT chooses text, json, sarif or github"),
    ("check", &["network-config", "config-file", "type"], "--as WHAT says what a file is"),
    ("diff", &["u", "unified", "content"], "--text shows the lines of text files"),
    (
        "verify",
        &["key", "k", "signer", "signers", "I"],
        "--allowed-signers PATH names the file that says who may sign",
    ),
];

/// What to write instead of one more operand of a command.
const ONE_OPERAND_MORE: &[(&str, &str)] = &[
    ("extract", "one file is printed at a time; --into DIR writes all files of an image to a directory"),
    ("show", "one image is shown at a time; metadata extract IMAGE NAME prints a file of it"),
    ("verify", "the allowed signers are an option: metadata verify IMAGE --allowed-signers PATH"),
    ("policy", "the policy is an option: metadata policy IMAGE --policy PATH"),
    ("confirm", "the string is an option: metadata confirm IMAGE --run-metadata STRING"),
    ("batch", "the directory for the images is an option: metadata batch FILE --into DIR"),
    ("apply", "the directory is an option: metadata apply SOURCE --into DIR"),
    ("attach", "one image is attached at a time"),
    ("pack", "the JSON goes to standard output: metadata pack DIR > FILE"),
    ("diff", "two images are compared: metadata diff A B"),
];

/// Subcommands of other programs, and what to write.
const COMMANDS_OF_OTHERS: &[(&[&str], &str)] = &[
    (&["version"], "--version prints the version"),
    (&["build", "make", "new", "generate", "init"], "create builds an image"),
    (&["inspect", "list", "tree", "view", "dump", "print", "read"], "show describes an image"),
    (&["get", "copy", "cp"], "extract copies files from an image"),
    (&["edit", "update", "modify", "change", "replace", "add"], "set changes files of an image"),
    (&["rm", "remove", "delete"], "set --remove NAME removes a file of an image"),
    (&["compare", "cmp"], "diff compares two images"),
    (&["validate", "lint", "schema", "test"], "check finds mistakes"),
    (
        &["genisoimage", "xorriso", "xorrisofs"],
        "mkisofs builds an image as mkisofs does, and create builds one for a guest",
    ),
    (&["metadata", "linuxkit"], "the command comes first: metadata create IMAGE DATA"),
    (&["run", "start", "boot"], "attach prints the arguments that attach an image to a virtual machine"),
    (&["isoinfo"], "show describes an image, and extract copies files from it"),
    (&["make-mime"], "create --user-data PATH --user-data PATH makes one MIME document"),
    (&["unpack"], "extract --into DIR writes the files of an image, and apply --into DIR those of user data"),
];

/// Gives `-data` and `-data-file`, alone or with `=` and a value, the second dash that clap needs.
///
/// The argument after such an option is its value and is not changed, nor is anything after `--`.
pub(super) fn with_two_dashes(arguments: impl Iterator<Item = OsString>) -> impl Iterator<Item = OsString> {
    let mut options = true;
    let mut value = false;
    arguments.map(move |argument| {
        if !options || mem::take(&mut value) {
            return argument;
        }
        options = argument != "--";
        let bytes = argument.as_encoded_bytes();
        for option in ONE_DASH {
            let after = |dashes: &str| bytes.strip_prefix(dashes.as_bytes())?.strip_prefix(option.as_bytes());
            value = after("-").or(after("--")) == Some(b"");
            if after("-").is_some_and(|rest| rest.is_empty() || rest.starts_with(b"=")) {
                let mut spelled = OsString::from("-");
                spelled.push(&argument);
                return spelled;
            }
            if value {
                break;
            }
        }
        argument
    })
}

/// Fails if an argument is a long option with one dash, such as `-hostname`, which clap would read as `-h` and more.
/// `command`: the subcommand; `arguments`: those after its name.
pub(super) fn check_dashes(command: &Command, arguments: &[OsString]) -> Result<(), clap::Error> {
    let mut is_value = false;
    for argument in arguments.iter().filter_map(|argument| argument.to_str()) {
        if argument == "--" {
            break;
        }
        let word = argument.split('=').next().unwrap_or_default();
        if !mem::take(&mut is_value)
            && let Some(name) = word.strip_prefix('-').filter(|name| name.len() > 1 && !name.starts_with('-'))
            && !is_bundle(command, name)
        {
            return Err(clap::Error::raw(ErrorKind::UnknownArgument, unknown_option(command, word)));
        }
        is_value = !argument.contains('=')
            && option_named(command, word).is_some_and(Arg::is_allow_hyphen_values_set);
    }
    Ok(())
}

/// Whether `name`, after one dash, is short options of `command`, the last one with or without its value.
fn is_bundle(command: &Command, name: &str) -> bool {
    if command.get_arguments().any(|argument| has_name(argument, name)) || of_others(command, name).is_some()
    {
        return false;
    }
    for letter in name.chars() {
        let known = command.get_arguments().find(|argument| argument.get_short() == Some(letter));
        match known {
            Some(option) if option.get_action().takes_values() => return true,
            Some(_) => {}
            None => return false,
        }
    }
    true
}

fn has_name(argument: &Arg, name: &str) -> bool {
    argument.get_long_and_visible_aliases().is_some_and(|names| names.contains(&name))
}

/// The option that is written like this, with its dashes.
fn option_named<'a>(command: &'a Command, word: &str) -> Option<&'a Arg> {
    let name = word.strip_prefix("--")?;
    command.get_arguments().find(|argument| has_name(argument, name))
}

fn of_others(command: &Command, name: &str) -> Option<&'static str> {
    let is = |(to, names, _): &&(&str, &[&str], &str)| *to == command.get_name() && names.contains(&name);
    OF_OTHERS.iter().find(is).map(|(.., words)| *words)
}

/// What is wrong with an option that the command does not have. `word`: the option with its dashes.
fn unknown_option(command: &Command, word: &str) -> String {
    let name = word.trim_start_matches('-');
    let names = command.get_arguments().filter(|argument| !argument.is_hide_set());
    let names: Vec<_> = names.filter_map(Arg::get_long_and_visible_aliases).flatten().collect();
    let instead = if names.contains(&name) {
        format!("write --{name}, with two dashes")
    } else if let Some(words) = of_others(command, name) {
        words.to_owned()
    } else if let Some(near) = nearest(name, names.iter().copied()).filter(|_| name.len() > 1) {
        format!("did you mean --{near}?")
    } else if command.get_name() == "create" && !name.chars().all(|c| c.is_ascii_alphabetic() || c == '-') {
        "write -- before data that begins with a dash".to_owned()
    } else {
        return format!("unknown option {word} (--help shows the usage)");
    };
    format!("unknown option {word}; {instead} (--help shows the usage)")
}

/// A clap error on one line, like our other errors. `program`: all commands, with their arguments; `name`: the one that was
/// called.
pub(crate) fn in_one_line(error: &clap::Error, program: &Command, name: Option<&str>) -> String {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(word)) => Some(word.as_str()),
        _ => None,
    };
    let command = name.and_then(|name| program.find_subcommand(name));
    match (error.kind(), context(ContextKind::InvalidArg), context(ContextKind::InvalidSubcommand)) {
        (ErrorKind::UnknownArgument, Some(word), _) => match command {
            Some(command) if word.starts_with('-') => {
                unknown_option(command, word.split('=').next().unwrap_or(word))
            }
            Some(command) => match one_more(command) {
                Some(words) => format!("unexpected argument {word:?}; {words} (--help shows more)"),
                None => format!(
                    "unexpected argument {word:?}: the command is {} (--help shows more)",
                    operands_of(command)
                ),
            },
            None => without_command(word),
        },
        (ErrorKind::InvalidSubcommand, _, Some(word)) if program.find_subcommand(word).is_some() => {
            format!("help describes one command at a time: metadata help {word}")
        }
        (ErrorKind::InvalidSubcommand, _, Some(word)) => unknown_command(program, word),
        (ErrorKind::MissingRequiredArgument, ..) if command.is_some() => {
            missing(command.unwrap_or(program), error)
        }
        _ => plain(error),
    }
}

fn one_more(command: &Command) -> Option<&'static str> {
    ONE_OPERAND_MORE.iter().find(|(name, _)| *name == command.get_name()).map(|(_, words)| *words)
}

/// Fails if the first argument of the program is more than one letter after one dash, which clap would read as `-h` and more.
pub(super) fn check_first(argument: Option<&OsString>) -> Result<(), clap::Error> {
    let word = argument.and_then(|argument| argument.to_str()).unwrap_or_default();
    match word.strip_prefix('-') {
        Some(rest) if rest.len() > 1 && !rest.starts_with('-') => {
            let word = word.split('=').next().unwrap_or_default();
            Err(clap::Error::raw(ErrorKind::UnknownArgument, without_command(word)))
        }
        _ => Ok(()),
    }
}

fn without_command(word: &str) -> String {
    format!(
        "unknown option {word}; options come after the command, as in metadata show --json (--help lists the commands)"
    )
}

fn unknown_command(program: &Command, word: &str) -> String {
    let names = program.get_subcommands().filter(|command| !command.is_hide_set());
    let names: Vec<_> = names.flat_map(Command::get_name_and_visible_aliases).collect();
    let other = COMMANDS_OF_OTHERS.iter().find(|(known, _)| known.contains(&word));
    match (other, nearest(word, names)) {
        (Some((_, words)), _) => format!("unknown command {word:?}; {words}"),
        (None, Some(near)) => format!("unknown command {word:?}; did you mean {near}?"),
        (None, None) if word.contains('.') || word.contains('/') => format!(
            "unknown command {word:?}; the command comes first, as in metadata show IMAGE (--help lists the commands)"
        ),
        (None, None) => format!("unknown command {word:?} (--help lists the commands)"),
    }
}

/// The arguments that are missing, each with the first sentence of its help.
fn missing(command: &Command, error: &clap::Error) -> String {
    let Some(ContextValue::Strings(names)) = error.get(ContextKind::InvalidArg) else { return plain(error) };
    let described = |name: &String| {
        let of_name = |argument: &&Arg| argument.to_string() == *name;
        let help = command.get_arguments().find(of_name).and_then(Arg::get_help).map(ToString::to_string);
        let help = help.unwrap_or_default();
        let first = help.split([';', '[', '(']).next().unwrap_or_default().trim();
        let name = name.replace(['<', '>'], "").replace('|', " or ").replace("...", "");
        if first.is_empty() { name } else { format!("{name} ({})", lower_first(first)) }
    };
    let described: Vec<_> = names.iter().map(described).collect();
    let verb = if described.len() == 1 { "is" } else { "are" };
    let input = match command.get_name() {
        "check" | "apply" => "; '-' is standard input",
        _ => "",
    };
    let wanted =
        names.first().and_then(|name| name.split([' ', '<', '>', '|']).find(|word| !word.is_empty()));
    let line = usage_lines(command).into_iter().find(|line| wanted.is_some_and(|word| line.contains(word)));
    // A command without what is missing would be no help.
    let line = line.map_or(String::new(), |line| format!(": the command is {line}{input}"));
    format!("{} {verb} missing{line} (--help shows more)", described.join(" and "))
}

/// `metadata NAME` with the operands of the command, in the order that works.
fn operands_of(command: &Command) -> String {
    usage_lines(command).swap_remove(0)
}

/// The ways to use a command, without its options.
fn usage_lines(command: &Command) -> Vec<String> {
    let usage = command.clone().render_usage().to_string();
    let lines = usage.lines().map(|line| line.trim_start().trim_start_matches("Usage: "));
    lines.map(|line| line.replace(" [OPTIONS]", "").replace(['<', '>'], "")).collect()
}

fn lower_first(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_lowercase().to_string()).unwrap_or_default();
    first + letters.as_str()
}

/// A clap error in its own words, on one line.
fn plain(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let one_line = |paragraph: &str| paragraph.split_whitespace().collect::<Vec<_>>().join(" ");
    let said: Vec<_> = text
        .split("\n\n")
        .map(one_line)
        .filter(|paragraph| {
            !paragraph.is_empty()
                && !paragraph.starts_with("Usage:")
                && !paragraph.starts_with("For more information")
                && !paragraph.starts_with("tip: to pass")
        })
        .map(|paragraph| paragraph.trim_start_matches("error: ").trim_start_matches("tip: ").to_owned())
        .collect();
    let said = said.join("; ");
    if said.contains("(--help") { said } else { format!("{said} (--help shows the usage)") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_with_one_dash_get_a_second_one() {
        let spell = |arguments: &[&str]| -> Vec<String> {
            with_two_dashes(arguments.iter().map(OsString::from))
                .map(|argument| argument.into_string().unwrap())
                .collect()
        };
        assert_eq!(spell(&["-data", "x", "-data-file", "y"]), ["--data", "x", "--data-file", "y"]);
        assert_eq!(spell(&["-data=x", "-data-file=-"]), ["--data=x", "--data-file=-"]);
        assert_eq!(spell(&["-data", "-data"]), ["--data", "-data"]);
        assert_eq!(spell(&["--data-file", "-data", "-data=x"]), ["--data-file", "-data", "--data=x"]);
        assert_eq!(spell(&["--", "-data"]), ["--", "-data"]);
        assert_eq!(spell(&["-database", "-data-files", "-d"]), ["-database", "-data-files", "-d"]);
    }
}
