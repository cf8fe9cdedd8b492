//! Reads a command line as the originals do: genisoimage by `getopt_long_only` (one dash or two, abbreviations, `-opt=value`, bundles
//! of short options, options before operands), xorrisofs by names in full, with options anywhere.

use std::{
    collections::VecDeque,
    ffi::{OsStr, OsString},
    os::unix::ffi::{OsStrExt, OsStringExt},
};

use super::{
    Trouble,
    dialect::{Dialect, Failure},
    options::{self, Known},
};

/// A command line, taken apart.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    /// Options in their order, with the name by which each was called, and its value.
    pub(super) options: Vec<(Known, Option<OsString>)>,
    /// What to make an image of.
    pub(super) operands: Vec<OsString>,
}

/// Takes apart the arguments after the name of the program.
///
/// # Errors
/// Fails if an option is unknown, or its value is missing.
pub(super) fn parse(dialect: Dialect, arguments: Vec<OsString>) -> Result<Parsed, Trouble> {
    let mut arguments = VecDeque::from(arguments);
    let mut parsed = Parsed::default();
    while let Some(argument) = arguments.pop_front() {
        let bytes = argument.as_bytes();
        if !bytes.starts_with(b"-") || bytes == b"-" {
            parsed.operands.push(argument);
            // What follows the first operand are operands too.
            if dialect.is_genisoimage() {
                parsed.operands.extend(arguments.drain(..));
            }
        } else if bytes == b"--" {
            if dialect.is_genisoimage() {
                parsed.operands.extend(arguments.drain(..));
            } else if let Some(after) = arguments.pop_front() {
                return Err(Trouble::new(
                    Failure::Option,
                    format!("{after:?}: commands of xorriso are not supported, only '-as mkisofs'"),
                ));
            }
        } else if dialect.is_genisoimage() {
            parse_as_getopt(&argument, &mut arguments, &mut parsed)?;
        } else {
            parse_by_name(&argument, &mut arguments, &mut parsed)?;
        }
    }
    Ok(parsed)
}

/// An option of genisoimage.
fn parse_as_getopt(
    argument: &OsStr,
    arguments: &mut VecDeque<OsString>,
    parsed: &mut Parsed,
) -> Result<(), Trouble> {
    let bytes = argument.as_bytes();
    let (dashes, name) = if bytes.starts_with(b"--") { (2, &bytes[2..]) } else { (1, &bytes[1..]) };
    let is_short = |name: &[u8]| name.len() == 1 && short(Dialect::Genisoimage, name[0]).is_some();
    if dashes == 2 || !is_short(name) {
        let (name, value) = match name.iter().position(|byte| *byte == b'=') {
            Some(at) => (&name[..at], Some(OsString::from_vec(name[at + 1..].to_vec()))),
            None => (name, None),
        };
        if let Some(known) = long(name, argument)? {
            let value = match (known.has_value, value) {
                (false, Some(_)) => {
                    return Err(usage(format!("option {argument:?} does not allow an argument")));
                }
                (true, None) => Some(next(argument, arguments)?),
                (_, value) => value,
            };
            parsed.options.push((known, value));
            return Ok(());
        }
    }
    // A word that is no long option is a bundle of short ones if it begins with one.
    let is_bundle =
        dashes == 1 && name.first().is_some_and(|first| short(Dialect::Genisoimage, *first).is_some());
    if !is_bundle {
        return Err(usage(format!("unrecognized option {argument:?} (-help lists the options)")));
    }
    let mut rest = name;
    while let [first, after @ ..] = rest {
        let Some(known) = short(Dialect::Genisoimage, *first) else {
            return Err(usage(format!("invalid option '{}' in {argument:?}", first.escape_ascii())));
        };
        rest = after;
        let value = match (known.has_value, after) {
            (false, _) => None,
            (true, []) => Some(next(argument, arguments)?),
            (true, value) => Some(OsString::from_vec(value.to_vec())),
        };
        if value.is_some() {
            rest = &[];
        }
        parsed.options.push((known, value));
    }
    Ok(())
}

/// An option of xorrisofs: its name in full, or several short ones without values.
fn parse_by_name(
    argument: &OsStr,
    arguments: &mut VecDeque<OsString>,
    parsed: &mut Parsed,
) -> Result<(), Trouble> {
    let bytes = argument.as_bytes();
    let name = bytes.strip_prefix(b"--").unwrap_or(&bytes[1..]);
    if let Some(known) = options::of(Dialect::Xorrisofs).find(|known| known.name.as_bytes() == name) {
        let value = known.has_value.then(|| next(argument, arguments)).transpose()?;
        parsed.options.push((*known, value));
        return Ok(());
    }
    let bundle: Option<Vec<_>> = bytes[1..]
        .iter()
        .map(|letter| short(Dialect::Xorrisofs, *letter).filter(|known| !known.has_value))
        .collect();
    let bundle =
        bundle.ok_or_else(|| usage(format!("unrecognized option {argument:?} (-help lists the options)")))?;
    parsed.options.extend(bundle.into_iter().map(|known| (known, None)));
    Ok(())
}

fn short(dialect: Dialect, letter: u8) -> Option<Known> {
    options::of(dialect).find(|known| known.name.as_bytes() == [letter]).copied()
}

/// The long option of genisoimage with this name, or the only one that begins with it.
fn long(name: &[u8], argument: &OsStr) -> Result<Option<Known>, Trouble> {
    let long = || options::of(Dialect::Genisoimage).filter(|known| known.name.len() > 1);
    if let Some(known) = long().find(|known| known.name.as_bytes() == name) {
        return Ok(Some(*known));
    }
    let mut begun = long().filter(|known| !name.is_empty() && known.name.as_bytes().starts_with(name));
    let Some(first) = begun.next() else { return Ok(None) };
    // An option that our originals do not have makes no abbreviation ambiguous.
    let others: Vec<_> = begun
        .filter(|other| (other.meaning, other.has_value) != (first.meaning, first.has_value))
        .map(|other| other.name)
        .collect();
    if others.is_empty() {
        return Ok(Some(*first));
    }
    Err(usage(format!(
        "option {argument:?} is ambiguous: '-{}' or '-{}'",
        first.name,
        others.join("' or '-")
    )))
}

fn next(option: &OsStr, arguments: &mut VecDeque<OsString>) -> Result<OsString, Trouble> {
    arguments.pop_front().ok_or_else(|| usage(format!("option {option:?} requires an argument")))
}

fn usage(message: String) -> Trouble {
    Trouble::new(Failure::Option, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of options with their values, and operands.
    fn read(dialect: Dialect, arguments: &[&str]) -> Result<(Vec<String>, Vec<String>), String> {
        let arguments = arguments.iter().map(OsString::from).collect();
        let parsed = parse(dialect, arguments).map_err(|trouble| trouble.message)?;
        let text = |text: &OsString| text.to_string_lossy().into_owned();
        let options = parsed.options.iter().map(|(known, value)| match value {
            Some(value) => format!("{}={}", known.name, text(value)),
            None => known.name.to_owned(),
        });
        Ok((options.collect(), parsed.operands.iter().map(text).collect()))
    }

    #[track_caller]
    fn assert_read(dialect: Dialect, arguments: &[&str], options: &[&str], operands: &[&str]) {
        let read = read(dialect, arguments).unwrap();
        assert_eq!(read.0, options);
        assert_eq!(read.1, operands);
    }

    #[test]
    fn genisoimage_reads_options_as_getopt_long_only() {
        let genisoimage = Dialect::Genisoimage;
        assert_read(genisoimage, &["-JR", "-o", "x", "d"], &["J", "R", "o=x"], &["d"]);
        assert_read(genisoimage, &["-lRJox", "d"], &["l", "R", "J", "o=x"], &["d"]);
        assert_read(genisoimage, &["--output=x", "-volid=v", "d"], &["output=x", "volid=v"], &["d"]);
        assert_read(genisoimage, &["-frobnicate", "d"], &["f", "r", "o=bnicate"], &["d"]);
        assert_read(genisoimage, &["-foll", "-rati", "d"], &["follow-links", "rational-rock"], &["d"]);
        assert_read(genisoimage, &["-J", "d", "-R"], &["J"], &["d", "-R"]);
        assert_read(genisoimage, &["-J", "--", "-R"], &["J"], &["-R"]);
        assert_read(genisoimage, &["-o", "-", "-J", "-"], &["o=-", "J"], &["-"]);
        for wrong in ["-nonsense", "--frobnicate", "-vol", "-joli", "-o", "--J=x", "-JK"] {
            assert!(read(genisoimage, &[wrong]).is_err(), "{wrong}");
        }
    }

    #[test]
    fn xorrisofs_reads_names_in_full_and_options_anywhere() {
        let xorrisofs = Dialect::Xorrisofs;
        assert_read(xorrisofs, &["-JR", "-o", "x", "d"], &["J", "R", "o=x"], &["d"]);
        assert_read(xorrisofs, &["d", "--norock", "-o", "x"], &["norock", "o=x"], &["d"]);
        assert_read(xorrisofs, &["d", "--"], &[], &["d"]);
        for wrong in
            [&["-output=x"][..], &["-oq"], &["-JRo", "q"], &["-vol", "x"], &["-frobnicate"], &["--", "d"]]
        {
            assert!(read(xorrisofs, wrong).is_err(), "{wrong:?}");
        }
    }
}
