//! Errors of the command line: each on one line, with the words that were probably meant.

use std::{ffi::OsString, mem};

use clap::{
    Command,
    builder::Arg,
    error::{ContextKind, ContextValue, ErrorKind},
};
use metadata_image::suggestion::nearest;

use super::habits::{COMMANDS, ONE_OPERAND_MORE, OPTIONS};

/// Options that `linuxkit` spells with one dash.
const ONE_DASH: [&str; 2] = ["data", "data-file"];

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
    OPTIONS.iter().find(is).map(|(.., words)| *words)
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
    let other = COMMANDS.iter().find(|(known, _)| known.contains(&word));
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
