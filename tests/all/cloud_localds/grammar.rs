//! The command line, as getopt reads it: compared on random ones.

use std::{
    ffi::OsString,
    hash::{BuildHasher, RandomState},
    os::unix::ffi::OsStringExt,
    process::Command,
};

use crate::fuzz_targets::localds::normal_form;

/// What random command lines are made of: options in all spellings, their beginnings, and what is none.
const WORDS: [&str; 30] = [
    "-d",
    "-draw",
    "-dtar",
    "-f",
    "-H",
    "-Hweb",
    "-i",
    "-m",
    "-N",
    "-o",
    "-V",
    "-v",
    "-vv",
    "-vH",
    "-vx",
    "-h",
    "-",
    "--",
    "--disk-format",
    "--disk=raw",
    "--d",
    "--h",
    "--he",
    "--ho=",
    "--help=x",
    "--verb",
    "--v",
    "--net",
    "out",
    "",
];

/// How many command lines are compared.
const CASES: usize = 400;

/// What util-linux's getopt prints for the options of cloud-localds. `None`: something is wrong with them.
fn getopt(arguments: &[&str], options_first: bool) -> Option<Vec<OsString>> {
    const SHORT: &str = "hH:i:d:f:m:N:o:V:v";
    const LONG: &str = "disk-format:,dsmode:,filesystem:,help,hostname:,interfaces:,network-config:,output:,vendor-data:,verbose";
    let mut command = Command::new("getopt");
    command.env_remove("POSIXLY_CORRECT").args([
        "--unquoted",
        "--options",
        SHORT,
        "--longoptions",
        LONG,
        "--",
    ]);
    if options_first {
        command.env("POSIXLY_CORRECT", "1");
    }
    let output = command.args(arguments).output().unwrap();
    let words = output.stdout.strip_suffix(b"\n").unwrap_or(&output.stdout);
    let words = words.strip_prefix(b" ").unwrap_or(words);
    output
        .status
        .success()
        .then(|| words.split(|byte| *byte == b' ').map(|word| OsString::from_vec(word.to_vec())).collect())
}

/// An option by its long name.
fn in_full(word: &OsString) -> OsString {
    const SHORT: [(&str, &str); 10] = [
        ("-d", "--disk-format"),
        ("-m", "--dsmode"),
        ("-f", "--filesystem"),
        ("-h", "--help"),
        ("-H", "--hostname"),
        ("-i", "--interfaces"),
        ("-N", "--network-config"),
        ("-o", "--output"),
        ("-V", "--vendor-data"),
        ("-v", "--verbose"),
    ];
    SHORT.iter().find(|(short, _)| word == *short).map_or_else(|| word.clone(), |(_, long)| (*long).into())
}

#[test]
#[ignore = "needs getopt of util-linux"]
fn getopt_reads_random_command_lines_the_same() {
    let seed = RandomState::new().hash_one("cloud-localds");
    println!("seed {seed}");
    let mut state = seed | 1;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    };
    let mut valid = 0;
    for case in 0..CASES {
        let count = 1 + random(6);
        let words: Vec<_> = (0..count).map(|_| WORDS[random(WORDS.len())]).collect();
        let options_first = case % 4 == 0;
        let ours = normal_form(words.iter().map(OsString::from).collect(), options_first);
        let theirs = getopt(&words, options_first);
        // A value that looks like a short option stays as it is, so both are compared in the same spelling.
        let spelled = |words: Vec<OsString>| words.iter().map(in_full).collect::<Vec<_>>();
        valid += usize::from(theirs.is_some());
        assert_eq!(ours.ok().map(spelled), theirs.map(spelled), "{words:?} {options_first}");
    }
    assert!(valid > CASES / 20, "{valid}");
}
