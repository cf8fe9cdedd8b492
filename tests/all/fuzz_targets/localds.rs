//! The command line of cloud-localds, and the meta-data that is made from it. The input is arguments with a NUL between them; an odd
//! number of bytes stands for `POSIXLY_CORRECT`.

use std::{ffi::OsString, os::unix::ffi::OsStringExt};

#[allow(dead_code, reason = "the program uses more of it")]
#[path = "../../../src/cli/cloud_localds/arguments.rs"]
pub(crate) mod arguments;
#[path = "../../../src/cli/cloud_localds/meta_data.rs"]
mod meta_data;

pub(crate) fn run(data: &[u8]) {
    let given: Vec<_> =
        data.split(|byte| *byte == 0).map(|bytes| OsString::from_vec(bytes.to_vec())).collect();
    if let Ok(normal) = normal_form(given, data.len() % 2 == 1) {
        // Options first, each by its long name, then `--`: that means the same in both modes.
        for options_first in [false, true] {
            assert_eq!(normal_form(normal.clone(), options_first), Ok(normal.clone()));
        }
    }
    made_meta_data_has_a_line_for_each_value(data);
}

/// A command line as getopt prints it: options with their long names and values, `--`, operands.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn normal_form(given: Vec<OsString>, options_first: bool) -> Result<Vec<OsString>, String> {
    let count = given.len();
    let bytes: usize = given.iter().map(|argument| argument.len()).sum();
    let parsed =
        arguments::parse(given, options_first).inspect_err(|message| assert!(!message.is_empty()))?;
    // One argument can be many short options.
    assert!(parsed.operands.len() <= count && parsed.options.len() <= bytes);
    let mut normal = Vec::new();
    for (known, value) in parsed.options {
        assert_eq!(known.has_value, value.is_some());
        normal.push(format!("--{}", known.long).into());
        normal.extend(value);
    }
    normal.push("--".into());
    normal.extend(parsed.operands);
    Ok(normal)
}

fn made_meta_data_has_a_line_for_each_value(data: &[u8]) {
    let made = meta_data::generate(b"host", data, b"local");
    let lines = made.split(|byte| *byte == b'\n').count();
    let has_interfaces = data.strip_suffix(b"\n").unwrap_or(data).iter().any(|byte| *byte != 0);
    assert_eq!(lines, if has_interfaces { 7 } else { 6 });
    assert!(made.len() <= 2 * data.len() + 100 && !made.contains(&0));
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "out\0ud\0md",
        "-v\0--network-config=f\0out\0ud",
        "out\0ud\0--network-config\0f\0--disk-format\0qcow2",
        "--disk-format\0qcow2\0_\0-",
        "-fvfat\0-draw\0-vHhost\0-N\0f\0out\0ud\0--verb",
        "--h\0x",
        "--\0-v\0--",
        "auto lo\niface lo inet loopback\n\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
