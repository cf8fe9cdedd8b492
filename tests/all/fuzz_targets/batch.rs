//! Building an image for every line. The input is the lines.
//!
//! Lines name files of the host, and a fuzzer must not read others than those in its working directory, which is empty: an
//! input that may name one elsewhere is left alone.

use std::{fs, io::Cursor, num::NonZero, path::Path};

use metadata_image::{
    batch::{self, BatchOptions, Built, Event, Input, LINE_BYTES_MAX, LineOutcome, Shard},
    image::{Image, Kind},
};

use super::image::in_memory;

pub(crate) fn run(data: &[u8]) {
    if !data.split(|&byte| byte == b'\n').all(stays_here) {
        return;
    }
    let directory = in_memory();
    let into = directory.path().join("out");
    let options = BatchOptions {
        into: into.clone(),
        lines: None,
        jobs: NonZero::<usize>::MIN,
        shard: Shard::ALL,
        keep_going: true,
        force: true,
        tolerance: metadata_image::check::Tolerance::Usual,
        digests: data.len() % 2 == 1,
        sync: false,
        seconds: None,
    };
    let mut outcomes = Vec::new();
    let summary = batch::run(Input::Stream(Box::new(Cursor::new(data.to_vec()))), &options, &mut |event| {
        if let Event::Outcome(outcome) = event {
            outcomes.push(outcome);
        }
        Ok(())
    });
    let summary = match summary {
        Ok(summary) => summary,
        // The first line shows that it is something else.
        Err(error) => {
            assert!(format!("{error:#}").starts_with("reading the input: the input "), "{error:#}");
            assert_eq!((outcomes.len(), count_files(&into)), (0, 0));
            return;
        }
    };

    // Every line that is not blank has one outcome, in order.
    let numbers = (1..)
        .zip(data.split(|&byte| byte == b'\n'))
        .filter(|(_, line)| !line.trim_ascii().is_empty() || line.len() > LINE_BYTES_MAX);
    let numbers: Vec<u64> = numbers.map(|(number, _)| number).collect();
    assert_eq!(outcomes.iter().map(|outcome| outcome.line).collect::<Vec<_>>(), numbers);
    let built = outcomes.iter().filter(|outcome| outcome.built.is_ok()).count();
    assert_eq!((summary.built, summary.faulty), (built as u64, (outcomes.len() - built) as u64));
    for LineOutcome { image, built, .. } in &outcomes {
        if let Ok(built) = built {
            check_image(&into.join(image.as_deref().unwrap()), built);
        }
    }
    // A line that failed leaves nothing.
    assert_eq!(count_files(&into), built);
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "{\"image\": \"a.iso\", \"data\": \"x\"}\n\n{\"image\": \"b/c\", \"data\": \"{}\", \"strict\": true}\n",
        r##"{"image": "a", "data": "#cloud-config\n", "layout": "nocloud", "hostname": "web", "instance_id": "i-1"}"##,
        r#"{"image": "a", "data": "", "layout": "configdrive", "mode": "0644", "volume_id": "config-2"}"#,
        r#"{"image": "a", "data": "x", "run_metadata": ["a", "b"], "run_id": "r1"}"#,
        r#"{"image": "a", "data_file": "absent", "files": {"x/y": "absent"}, "ssh_keys": ["absent"]}"#,
        r#"{"image": "a", "data_dir": ".", "follow": true, "files": ["x=absent"], "meta_data": null}"#,
        r#"{"image": "a", "data": "x", "layout": "nocloud", "network_config": "absent", "vendor_data": "absent"}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}

/// What was built is an image with what the outcome says.
fn check_image(path: &Path, built: &Built) {
    let (volume, records) = Image::open(path).unwrap().list().unwrap();
    assert_eq!(fs::metadata(path).unwrap().len(), built.bytes);
    assert_eq!(volume.identifier, built.volume_identifier.trim_end_matches(' '));
    assert!(!volume.malformed);
    if let Some((files, digests)) = &built.digests {
        let names = records.iter().filter(|record| record.kind == Kind::File);
        assert_eq!((files.len(), digests.files.len()), (names.clone().count(), names.count()));
    }
}

fn count_files(directory: &Path) -> usize {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    let count = |entry: fs::DirEntry| {
        if entry.file_type().unwrap().is_dir() { count_files(&entry.path()) } else { 1 }
    };
    entries.map(count).sum()
}

/// The members of a line whose strings are paths of files on the host. That of `image` is none: it must stay where it is put.
const PATHS: [&str; 7] =
    ["data_dir", "data_file", "files", "meta_data", "network_config", "ssh_keys", "vendor_data"];

/// Whether no string of a line can be a path out of the working directory. A line that is not valid JSON names no file.
fn stays_here(line: &[u8]) -> bool {
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(line) else { return true };
    if !PATHS.iter().any(|name| value.get(name).is_some()) {
        return true;
    }
    // Of members that are there twice, a value has the last only.
    let mut rest = line;
    while let Some(start) = rest.iter().position(|&byte| byte == b'"') {
        rest = &rest[start..];
        let Some(len) = string_len(rest) else { return true };
        let (string, behind) = rest.split_at(len);
        rest = behind;
        let Ok(string) = serde_json::from_slice::<String>(string) else { return true };
        // A file may be given as NAME=PATH.
        let paths = string.match_indices('=').map(|(at, _)| &string[at + 1..]).chain([string.as_str()]);
        let leaves = |path: &str| path.starts_with('/') || path.split('/').any(|component| component == "..");
        if paths.into_iter().any(leaves) {
            return false;
        }
    }
    true
}

/// Bytes of the JSON string at the start of `text`, its quotes included.
fn string_len(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    let end = text.iter().skip(1).position(|&byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    });
    end.map(|end| end + 2)
}
