//! The grammar of the command line: that of util-linux's getopt, which cloud-localds calls.
//!
//! Options may follow operands, unless `POSIXLY_CORRECT` is set. Long options may be abbreviated, and take their value after `=` or
//! as the next argument. Short options can be bundled. `--` ends the options.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
};

/// What an option is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    DiskFormat,
    Dsmode,
    Filesystem,
    Help,
    Hostname,
    Interfaces,
    NetworkConfig,
    Output,
    VendorData,
    Verbose,
}

/// An option.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known {
    pub(super) long: &'static str,
    pub(super) short: u8,
    /// Whether it has a value.
    pub(super) has_value: bool,
    pub(super) meaning: Meaning,
}

const fn known(long: &'static str, short: u8, has_value: bool, meaning: Meaning) -> Known {
    Known { long, short, has_value, meaning }
}

/// All options of cloud-localds 0.33.
pub(super) const OPTIONS: [Known; 10] = [
    known("disk-format", b'd', true, Meaning::DiskFormat),
    known("dsmode", b'm', true, Meaning::Dsmode),
    known("filesystem", b'f', true, Meaning::Filesystem),
    known("help", b'h', false, Meaning::Help),
    known("hostname", b'H', true, Meaning::Hostname),
    known("interfaces", b'i', true, Meaning::Interfaces),
    known("network-config", b'N', true, Meaning::NetworkConfig),
    known("output", b'o', true, Meaning::Output),
    known("vendor-data", b'V', true, Meaning::VendorData),
    known("verbose", b'v', false, Meaning::Verbose),
];

/// A command line, taken apart.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    /// Options in their order, with their values.
    pub(super) options: Vec<(Known, Option<OsString>)>,
    pub(super) operands: Vec<OsString>,
}

/// Takes apart the arguments after the name of the program. `options_first`: the first operand ends the options.
///
/// # Errors
/// Fails if an option is unknown or ambiguous, has no value where it needs one, or has one where it takes none.
pub(super) fn parse(arguments: Vec<OsString>, options_first: bool) -> Result<Parsed, String> {
    let mut arguments = VecDeque::from(arguments);
    let mut parsed = Parsed::default();
    while let Some(argument) = arguments.pop_front() {
        let bytes = argument.as_bytes();
        if bytes == b"--" {
            parsed.operands.extend(arguments.drain(..));
        } else if let Some(name) = bytes.strip_prefix(b"--") {
            parsed.options.push(long_option(name, &mut arguments)?);
        } else if bytes.len() > 1 && bytes[0] == b'-' {
            short_options(&bytes[1..], &mut arguments, &mut parsed)?;
        } else {
            parsed.operands.push(argument);
            if options_first {
                parsed.operands.extend(arguments.drain(..));
            }
        }
    }
    Ok(parsed)
}

/// A long option: what follows the two dashes, and the arguments after it.
fn long_option(
    written: &[u8],
    arguments: &mut VecDeque<OsString>,
) -> Result<(Known, Option<OsString>), String> {
    let (name, value) = match written.iter().position(|byte| *byte == b'=') {
        Some(at) => (&written[..at], Some(OsString::from_vec(written[at + 1..].to_vec()))),
        None => (written, None),
    };
    let known = known_by_long_name(name)?;
    let option = || format!("option '--{}'", known.long);
    match (known.has_value, value) {
        (false, Some(_)) => Err(format!("{} does not take a value", option())),
        (true, None) => {
            let next = arguments.pop_front().ok_or_else(|| format!("{} needs a value", option()))?;
            Ok((known, Some(next)))
        }
        (_, value) => Ok((known, value)),
    }
}

/// The option with this name, or the only one that begins with it.
fn known_by_long_name(name: &[u8]) -> Result<Known, String> {
    if let Some(known) = OPTIONS.iter().find(|known| known.long.as_bytes() == name) {
        return Ok(*known);
    }
    let begun: Vec<_> = OPTIONS.iter().filter(|known| known.long.as_bytes().starts_with(name)).collect();
    let shown = OsStr::from_bytes(name).to_string_lossy();
    match begun[..] {
        [known] => Ok(*known),
        [] => Err(format!("unknown option '--{shown}'")),
        _ => {
            let names: Vec<_> = begun.iter().map(|known| format!("'--{}'", known.long)).collect();
            Err(format!("option '--{shown}' is ambiguous: {}", names.join(" or ")))
        }
    }
}

/// Short options: what follows the dash, and the arguments after it.
fn short_options(
    mut letters: &[u8],
    arguments: &mut VecDeque<OsString>,
    parsed: &mut Parsed,
) -> Result<(), String> {
    while let [letter, rest @ ..] = letters {
        let known = OPTIONS.iter().find(|known| known.short == *letter);
        let known = *known.ok_or_else(|| format!("unknown option '-{}'", letter.escape_ascii()))?;
        let value = match (known.has_value, rest) {
            (false, _) => None,
            (true, []) => {
                let next = arguments.pop_front();
                Some(next.ok_or_else(|| format!("option '-{}' needs a value", char::from(known.short)))?)
            }
            (true, value) => Some(OsString::from_vec(value.to_vec())),
        };
        letters = if known.has_value { &[] } else { rest };
        parsed.options.push((known, value));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The command line as getopt gives it back: options by their long names, `--`, operands. With a blank between all.
    fn read(arguments: &str, options_first: bool) -> Result<String, String> {
        let parsed = parse(arguments.split_whitespace().map(OsString::from).collect(), options_first)?;
        let mut words = Vec::new();
        for (known, value) in parsed.options {
            words.push(format!("--{}", known.long));
            words.extend(value.map(|value| value.into_string().unwrap()));
        }
        words.push("--".to_owned());
        words.extend(parsed.operands.into_iter().map(|operand| operand.into_string().unwrap()));
        Ok(words.join(" "))
    }

    #[test]
    fn options_are_read_as_getopt_reads_them() {
        for (given, read_as) in [
            ("out ud", "-- out ud"),
            ("out -v ud --hostname h md", "--verbose --hostname h -- out ud md"),
            ("-vHh -d=raw - -", "--verbose --hostname h --disk-format =raw -- - -"),
            ("--hostname= out", "--hostname  -- out"),
            ("--net=x --verb --i y", "--network-config x --verbose --interfaces y --"),
            ("-H -v --hostname -- out", "--hostname -v --hostname -- -- out"),
            ("out -- -v", "-- out -v"),
        ] {
            assert_eq!(read(given, false).as_deref(), Ok(read_as), "{given}");
        }
        assert_eq!(read("-v out -v", true).as_deref(), Ok("--verbose -- out -v"));
    }

    #[test]
    fn a_wrong_option_is_named() {
        for (given, message) in [
            ("--version", "unknown option '--version'"),
            ("-vx", "unknown option '-x'"),
            ("-v-", "unknown option '--'"),
            ("--h x", "option '--h' is ambiguous: '--help' or '--hostname'"),
            ("--help=x", "option '--help' does not take a value"),
            ("--dsmode", "option '--dsmode' needs a value"),
            ("-vm", "option '-m' needs a value"),
        ] {
            assert_eq!(read(given, false), Err(message.to_owned()), "{given}");
        }
    }
}
