//! What `-help` and `-version` print. Callers read the first line of the version, from standard output, and look for the names of
//! options in the help.

use std::{
    fmt::Write as _,
    io::{self, Write as _},
};

use super::{
    Trouble,
    dialect::{Dialect, Failure},
    options::{self, Meaning},
};

/// What options do, with the name of their value.
const TEXTS: [(Meaning, &str, &str); 45] = [
    (Meaning::Output, "FILE", "write the image to FILE ('-': standard output, as without this option)"),
    (Meaning::VolumeId, "ID", "volume identifier, by which guests find the image"),
    (Meaning::SystemId, "ID", "system identifier"),
    (Meaning::VolumeSet, "ID", "volume set identifier"),
    (Meaning::Publisher, "ID", "publisher identifier"),
    (Meaning::Preparer, "ID", "preparer identifier"),
    (Meaning::Application, "ID", "application identifier"),
    (Meaning::Copyright, "FILE", "name of the copyright file"),
    (Meaning::Abstract, "FILE", "name of the abstract file"),
    (Meaning::Bibliography, "FILE", "name of the bibliographic file"),
    (Meaning::Joliet, "", "add Joliet names"),
    (Meaning::JolietLong, "", "add Joliet names, which have at most 64 characters all the same"),
    (Meaning::Rock, "", "add Rock Ridge names, with modes and owners"),
    (Meaning::RationalRock, "", "as -R, but all files belong to root, and everybody may read them"),
    (Meaning::NoRock, "", "no Rock Ridge names"),
    (Meaning::Level, "N", "names of 8.3 characters (1), 31 (2, 3) or any (4, genisoimage)"),
    (Meaning::LongNames, "", "names of 31 characters"),
    (Meaning::LongestNames, "", "names of 37 characters without a version"),
    (Meaning::LeadingDots, "", "names may begin with a dot"),
    (Meaning::LowerCase, "", "names may have lower-case letters"),
    (Meaning::ManyDots, "", "names may have several dots"),
    (Meaning::Relaxed, "", "names may have all characters of ASCII"),
    (Meaning::NoTranslate, "", "names may have '~', '-' and '#'"),
    (Meaning::OmitPeriod, "", "no dot at the end of names without one"),
    (Meaning::OmitVersion, "", "no version in names"),
    (Meaning::Untranslated, "", "names may have all that the other options allow"),
    (Meaning::FollowLinks, "", "store what symbolic links lead to"),
    (Meaning::GraftPoints, "", "store a file TARGET=SOURCE as TARGET"),
    (Meaning::InputCharset, "NAME", "characters of file names"),
    (Meaning::OutputCharset, "NAME", "characters of names on the image"),
    (Meaning::Uid, "UID", "owner of all files"),
    (Meaning::Gid, "GID", "group of all files"),
    (Meaning::FileMode, "MODE", "permission bits of all files"),
    (Meaning::DirectoryMode, "MODE", "permission bits of all directories"),
    (Meaning::NewDirectoryMode, "MODE", "permission bits of directories that are made"),
    (Meaning::PathList, "FILE", "read the files to store from FILE, one a line"),
    (Meaning::Exclude, "GLOB", "leave out files with this name or path"),
    (Meaning::ExcludeList, "FILE", "read patterns of -m from FILE, one a line"),
    (Meaning::NoBackups, "", "leave out files whose names have '~' or '#', or end in .bak"),
    (Meaning::PrintSize, "", "print the size of the image in sectors, and write none"),
    (Meaning::LogFile, "FILE", "write messages to FILE"),
    (Meaning::Quiet, "", "no warnings about what differs from the original"),
    (Meaning::Check, "", "print what 'metadata check' finds in the image"),
    (Meaning::Help, "", "print this text"),
    (Meaning::Version, "", "print the version"),
];

/// Prints the options to standard error, as the originals do.
pub(super) fn print_help(program: &str, dialect: Dialect) {
    let program = if program == "xorriso" { "xorriso -as mkisofs" } else { program };
    let mut text = format!(
        "Usage: {program} [options] file...\nThis is metadata {} in place of {program}.\nOptions:\n",
        env!("CARGO_PKG_VERSION")
    );
    for (meaning, value, does) in TEXTS {
        let value = if value.is_empty() { String::new() } else { format!(" {value}") };
        let names: Vec<_> =
            names(dialect, |other| other == meaning).map(|name| format!("-{name}{value}")).collect();
        if !names.is_empty() {
            // A string takes everything.
            let _ = writeln!(text, "  {}\n      {does}", names.join(", "));
        }
    }
    text.push_str("Accepted, with little or no effect on the image:\n");
    let is_described = |meaning| TEXTS.iter().any(|(other, ..)| *other == meaning);
    for name in names(dialect, |meaning| meaning != Meaning::Unsupported && !is_described(meaning)) {
        let _ = writeln!(text, "  -{name}");
    }
    // A closed standard error is no failure.
    drop(io::stderr().write_all(text.as_bytes()));
}

fn names(dialect: Dialect, has: impl Fn(Meaning) -> bool) -> impl Iterator<Item = &'static str> {
    options::of(dialect).filter(move |known| has(known.meaning)).map(|known| known.name)
}

/// Prints the version to standard output.
pub(super) fn print_version(program: &str, dialect: Dialect) -> Result<(), Trouble> {
    let own = format!("metadata {} in place of {program}", env!("CARGO_PKG_VERSION"));
    let text = match (dialect, program) {
        (Dialect::Xorrisofs, _) => format!("mkisofs 2.01-Emulation\n{own}\n"),
        (_, "mkisofs") => {
            format!("mkisofs 2.01 (this line is only for programs that look for it)\n{own}\n")
        }
        _ => format!("{program} 1.1.11 (Linux)\n{own}\n"),
    };
    let written = io::stdout().write_all(text.as_bytes());
    written.map_err(|error| Trouble::new(Failure::Output, format!("writing to standard output: {error}")))
}
