//! Command lines, replayed: what readers see of the output, and the exit status, are those of the original.

use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    process::{Command, Output, Stdio},
};

use super::with_inputs;
use crate::support::Sandbox;

/// The original.
const ORIGINAL: &str = "/usr/bin/cloud-localds";

/// The command lines of programs that call cloud-localds, behind the name of each. OUT is the output.
const CALLERS: [&[&str]; 16] = [
    // Subiquity: scripts/kvm-test.py, and its manual; curtin: tests/vmtests, tools/launch; uvtool.
    &["OUT", "user-data", "meta-data"],
    // Snapd: tests/lib/nested.sh.
    &["-H", "web", "OUT", "user-data"],
    // kubevirtci: customize-image.sh.
    &["OUT", "user-data"],
    // vrnetlab: ubuntu/docker/launch.py.
    &["-v", "--network-config=network.yaml", "OUT", "user-data"],
    // ipdk: build/scripts/ipdk-lib.sh.
    &["-v", "--network-config=network.yaml", "OUT", "user-data", "meta-data"],
    // placemat: pkg/vm/volume.go.
    &["OUT", "user-data", "--network-config", "network.yaml", "--disk-format", "qcow2"],
    &["OUT", "user-data", "--disk-format", "qcow2"],
    // ansible-role-cloud_localds.
    &["OUT", "user-data", "--network-config", "network.yaml"],
    // EVE: Makefile.
    &["--disk-format", "qcow2", "OUT", "-"],
    // Scripts of users.
    &["--filesystem", "iso", "OUT", "user-data", "--verbose"],
    &["-f", "vfat", "-d", "raw", "-H", "web.example.com", "-N", "network.yaml", "OUT", "user-data"],
    &["--filesystem=vfat", "OUT", "user-data", "meta-data"],
    &["-m", "local", "OUT", "user-data", "meta-data"],
    &["-m", "local", "OUT", "user-data"],
    &["--version"],
    &["--help"],
];

/// Other command lines, of all options.
const OTHERS: [&[&str]; 28] = [
    &["-v", "-Hweb", "-mnet", "-iinterfaces", "-Nnetwork.yaml", "-Vvendor.yaml", "OUT", "user-data"],
    &["-V", "vendor.yaml", "-N", "network.yaml", "OUT", "user-data", "meta-data"],
    &["-vvf", "iso9660", "-d", "raw", "OUT", "user-data"],
    &["-o", "elsewhere", "OUT", "user-data"],
    &["--", "OUT", "user-data"],
    &["OUT", "--", "-"],
    &["-d", "tar", "OUT", "user-data"],
    &["-v", "-d", "tar", "-f", "tar", "OUT", "-"],
    &["-f", "tar", "OUT", "user-data", "meta-data", "-V", "vendor.yaml"],
    &["-d", "tar-seed-local", "OUT", "user-data", "-N", "network.yaml"],
    &["-v", "-d", "tar-seed-net", "OUT", "user-data", "meta-data"],
    &["-f", "tar-seed-net", "OUT", "user-data"],
    &["-d", "vmdk", "-v", "OUT", "user-data"],
    &["-f", "tar", "-d", "vdi", "OUT", "user-data"],
    &["-vfvfat", "-Nnetwork.yaml", "-Vvendor.yaml", "OUT", "-"],
    &["-f", "vfat", "-d", "qcow2", "OUT", "user-data"],
    &["-d", "tarball", "OUT", "user-data"],
    &["-d", "tar", "-f", "vfat", "OUT", "user-data"],
    &["-d", "nothing", "OUT", "user-data"],
    &["-f", "ext4", "OUT", "user-data"],
    &["-H", "web", "OUT", "user-data", "meta-data"],
    &["-i", "absent", "OUT", "user-data"],
    &["-N", "absent", "OUT", "user-data"],
    &["-V", "absent", "OUT", "user-data"],
    &["OUT", "absent"],
    &["OUT", "user-data", "absent"],
    &["OUT"],
    &["OUT", "user-data", "meta-data", "more"],
];

/// What readers see of an output.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    /// Whether there is an output.
    exists: bool,
    /// Modes, owners, sizes and names.
    entries: Vec<String>,
    /// Joliet and primary names, and the label, of ISO 9660; nothing of an archive.
    descriptors: Vec<String>,
    /// Names and contents.
    files: Vec<(String, String)>,
    mode: u32,
}

/// What an output is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Iso9660,
    Fat,
    Tar,
}

impl Form {
    /// `None`: a disk format of qemu-img.
    fn of(bytes: &[u8]) -> Option<Self> {
        let marks: [(usize, &[u8], Self); 3] =
            [(32769, b"CD001", Self::Iso9660), (257, b"ustar", Self::Tar), (54, b"FAT12", Self::Fat)];
        let found = marks.iter().find(|(at, mark, _)| bytes.get(*at..*at + mark.len()) == Some(mark));
        found.map(|(_, _, form)| *form)
    }
}

impl Seen {
    fn of(sandbox: &Sandbox, path: &str) -> Self {
        let Ok(metadata) = fs::metadata(sandbox.path(path)) else { return Self::default() };
        let mut image = path.to_owned();
        let form = Form::of(&sandbox.read(path)).unwrap_or_else(|| {
            image = format!("{path}.raw");
            sandbox.tool("qemu-img", ["convert", "-O", "raw", path, &image]);
            Form::of(&sandbox.read(&image)).unwrap()
        });
        let seen = Self { exists: true, mode: metadata.permissions().mode(), ..Self::default() };
        if form == Form::Fat {
            return seen.with_fat(sandbox, &image);
        }
        let listing = text(sandbox, "bsdtar", &["-tvf", &image]);
        let mut entries: Vec<_> = listing.lines().filter_map(entry).collect();
        entries.sort();
        let mut descriptors = Vec::new();
        if form == Form::Iso9660 {
            for options in [&["-J", "-f"][..], &["-f"], &["-d"]] {
                let text = text(sandbox, "isoinfo", &[options, &["-i", &image]].concat());
                let same = |line: &&str| {
                    line.starts_with('/') || line.contains("olume id") || line.contains("Joliet")
                };
                descriptors.extend(text.lines().filter(same).map(str::to_owned));
            }
            descriptors.sort();
        }
        let names = text(sandbox, "bsdtar", &["-tf", &image]);
        let content = |name: &str| (name.to_owned(), text(sandbox, "bsdtar", &["-xOf", &image, name]));
        let mut files: Vec<_> =
            names.lines().filter(|name| *name != "." && !name.ends_with('/')).map(content).collect();
        files.sort();
        Self { entries, descriptors, files, ..seen }
    }

    /// The files of a FAT volume, and its labels, by which blkid and cloud-init find it.
    fn with_fat(self, sandbox: &Sandbox, image: &str) -> Self {
        let export = text(sandbox, "blkid", &["--probe", "--output", "export", image]);
        let same = |line: &&str| line.starts_with("LABEL") || line.starts_with("TYPE=");
        let mut descriptors: Vec<_> = export.lines().filter(same).map(str::to_owned).collect();
        descriptors.sort();
        assert_eq!(descriptors, ["LABEL=cidata", "LABEL_FATBOOT=cidata", "TYPE=vfat"]);
        let attributes = text(sandbox, "mattrib", &["-i", image, "::/*"]);
        let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
        let mut entries: Vec<_> = attributes.lines().map(words).collect();
        entries.sort();
        let names = text(sandbox, "mdir", &["-b", "-i", image, "::/"]);
        let content = |name: &str| (name.to_owned(), text(sandbox, "mtype", &["-i", image, name]));
        let mut files: Vec<_> = names.lines().map(content).collect();
        files.sort();
        sandbox.tool("fsck.fat", ["-n", image]);
        Self { entries, descriptors, files, ..self }
    }
}

/// What a program prints.
fn text(sandbox: &Sandbox, program: &str, arguments: &[&str]) -> String {
    String::from_utf8(sandbox.tool(program, arguments)).unwrap()
}

/// A line of bsdtar's listing without the number of links and the date.
fn entry(line: &str) -> Option<String> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let size = if fields[0].starts_with('d') { "" } else { fields[4] };
    Some([fields[0], fields[2], fields[3], size, fields.last()?].join(" "))
}

/// Runs a program with standard input of the same bytes every time.
fn run(sandbox: &Sandbox, program: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(program);
    command.current_dir(sandbox.path(".")).env_remove("SOURCE_DATE_EPOCH").args(arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // Who fails does not read.
    drop(child.stdin.take().unwrap().write_all(b"#!/bin/sh\n"));
    child.wait_with_output().unwrap()
}

#[test]
#[ignore = "needs cloud-localds, genisoimage, qemu-img, dosfstools, mtools"]
fn every_command_line_makes_what_the_original_makes() {
    let sandbox = with_inputs();
    sandbox.succeed(["install-names", "."]);
    let program = sandbox.path("cloud-localds");
    for template in CALLERS.iter().chain(&OTHERS) {
        for output in ["output", "-"] {
            if output == "-" && !template.contains(&"OUT") {
                continue;
            }
            let arguments: Vec<_> =
                template.iter().map(|word| if *word == "OUT" { output } else { word }).collect();
            let mut seen = Vec::new();
            for program in [ORIGINAL, program.to_str().unwrap()] {
                drop(fs::remove_file(sandbox.path("output")));
                let ran = run(&sandbox, program, &arguments);
                let errors = String::from_utf8(ran.stderr).unwrap();
                // What is said on success is the same, and there is something to say about a failure.
                let said = if ran.status.success() { errors } else { (!errors.is_empty()).to_string() };
                if output == "-" && ran.status.success() {
                    sandbox.write("output", &ran.stdout);
                    fs::set_permissions(sandbox.path("output"), fs::Permissions::from_mode(0o644)).unwrap();
                }
                let is_help =
                    template.contains(&"--help") && ran.stdout.starts_with(b"Usage: cloud-localds ");
                seen.push((ran.status.code(), said, is_help, Seen::of(&sandbox, "output")));
            }
            let ours = seen.pop().unwrap();
            assert_eq!(ours, seen[0], "{arguments:?}");
        }
    }
}

#[test]
#[ignore = "needs cloud-localds, genisoimage"]
fn the_meta_data_that_is_made_is_the_same_text() {
    let sandbox = with_inputs();
    for interfaces in ["", "\n", "a", "a\nb", "a\n\n\n", "a\\b\t\"c\"\r\n", "\u{e9}\0x\n"] {
        sandbox.write("interfaces", interfaces);
        for options in [&["-H", "a\"b"][..], &["-m", "any: thing"], &["-H", "", "-m", ""], &["-H", "a\nb"]] {
            let arguments = [&["-d", "tar", "output", "user-data", "-i", "interfaces"], options].concat();
            assert!(run(&sandbox, ORIGINAL, &arguments).status.success());
            let theirs = sandbox.tool("tar", ["-xOf", "output", "meta-data"]);
            sandbox.succeed([&["cloud-localds"], &arguments[..]].concat());
            assert_eq!(
                sandbox.tool("tar", ["-xOf", "output", "meta-data"]),
                theirs,
                "{interfaces:?} {options:?}"
            );
        }
    }
}
