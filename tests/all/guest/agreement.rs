//! Whether the kernel, bsdtar and we read the same: names, types, permissions and bytes of images that are whole, odd or mutated.
//!
//! All images are partitions of a few disks, so that the kernel sees where each ends, and one boot is enough. What it reads
//! comes back as archives, one behind the other, on a disk of its own.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs::{self, File},
    io::{Seek, SeekFrom, Write},
    process::{Command, Stdio},
};

use metadata_image::image::{Image, Kind, Record, Tree};

use super::machine::Guest;
use crate::{
    fuzz_targets::image::image_of,
    mutants::{self, random},
    oddities::oddities,
    support::{Sandbox, noise},
};

/// The seed of the random files.
const SEED: u64 = 20_261_128;

/// Sets of files, each in an image of another kind.
const SETS: u64 = 150;

/// Mutants, with numbers that no other test has.
const MUTANTS: std::ops::Range<u64> = 1_000_000..1_000_200;

/// Bytes of one file that are compared.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// What mount options leave to read names by.
const WAYS: [&str; 4] = ["ro", "ro,norock", "ro,nojoliet", "ro,norock,nojoliet"];

/// Between the archives.
const MARK: &str = "--- 5d41402abc4b2a76b9719d911017c592";

/// What a reader sees by a path.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Seen {
    kind: Kind,
    mode: u32,
    bytes: Vec<u8>,
}

/// What a reader sees, by path.
type Files = BTreeMap<Vec<u8>, Seen>;

/// `None`: it is refused.
type View = Option<Files>;

struct Sample {
    what: String,
    image: Vec<u8>,
    is_mutant: bool,
}

#[test]
#[ignore = "needs a guest, genisoimage, xorriso and bsdtar"]
fn linux_bsdtar_and_we_read_the_same_or_refuse() {
    println!("seed {SEED}, mutants {MUTANTS:?} of seed {}", mutants::SEED);
    let mut guest = Guest::new();
    let samples = samples(&guest.sandbox);
    File::create(guest.sandbox.path("views")).unwrap().set_len(1 << 30).unwrap();
    guest.data_disk("views");
    let mut steps = "exec 3>/dev/vda\n".to_owned();
    for (disk, samples) in samples.chunks(partitions::COUNT_MAX).enumerate() {
        let name = format!("images-{disk}");
        partitions::write(&guest.sandbox, &name, samples.iter().map(|sample| &sample.image[..]));
        guest.virtio_disk(&name);
        let letter = char::from(b'b' + u8::try_from(disk).unwrap());
        writeln!(steps, "archive {MARK:?} /dev/vd{letter} {} {}", samples.len(), WAYS.join(" ")).unwrap();
    }
    let report = guest.boot(&(steps + "exec 3>&-\n sync"));
    let views = fs::read(report.sandbox.path("views")).unwrap();
    let mut views = archives(&views);

    let mut figures = BTreeMap::<String, usize>::new();
    let mut faults = Vec::new();
    for samples in samples.chunks(partitions::COUNT_MAX) {
        for (options, sample) in WAYS.iter().flat_map(|options| samples.iter().map(move |one| (options, one)))
        {
            let kernel = views.next().unwrap_or_else(|| panic!("no view of {}", sample.what));
            let path = report.sandbox.write("sample.iso", &sample.image);
            let Some(ours) = read_as(options, &path) else { continue };
            compare(&mut figures, &mut faults, &format!("Linux, {options}"), sample, &kernel, &ours);
        }
    }
    assert!(views.next().is_none(), "one view for each image");
    // What is not whole bsdtar reads in ways of its own.
    for sample in samples.iter().filter(|sample| !sample.is_mutant) {
        let path = report.sandbox.write("sample.iso", &sample.image);
        let views = [read_by_bsdtar(&report.sandbox), read_as("ro", &path).unwrap()];
        let [bsdtar, ours] = views.map(as_bsdtar);
        compare(&mut figures, &mut faults, "bsdtar", sample, &bsdtar, &ours);
    }
    println!("{} images: {figures:#?}", samples.len());
    for fault in faults.iter().take(20) {
        println!("{fault}");
    }
    assert!(faults.is_empty(), "{} views differ", faults.len());
    let same = |reader: &str| figures[&format!("{reader}: the same")];
    for reader in WAYS.map(|options| format!("Linux, {options}")) {
        assert!(same(&reader) > 100, "{reader}: too few images can be compared");
    }
    assert!(same("bsdtar") > 100, "too few images can be compared");
}

/// The view without what bsdtar has its own way with: modes that are not on the image, capitals, final dots and `;` in
/// names, and the directory for directories that are too deep.
fn as_bsdtar(view: View) -> View {
    let shown = |path: &[u8]| {
        let path = String::from_utf8(path.to_ascii_lowercase()).unwrap();
        let parts = path.split('/').map(|part| part.trim_end_matches('.').replace(';', "."));
        parts.collect::<Vec<_>>().join("/").into_bytes()
    };
    let changed = view?.into_iter().map(|(path, seen)| (shown(&path), Seen { mode: 0, ..seen }));
    Some(changed.filter(|(path, _)| path != b"rr_moved").collect())
}

fn compare(
    figures: &mut BTreeMap<String, usize>,
    faults: &mut Vec<String>,
    reader: &str,
    sample: &Sample,
    theirs: &View,
    ours: &View,
) {
    let outcome = match (theirs, ours) {
        (None, None) => "both refuse",
        (None, Some(_)) => "it refuses",
        (Some(_), None) => "we refuse",
        (Some(theirs), Some(ours)) if theirs == ours => "the same",
        (Some(theirs), Some(ours)) => {
            let shown = |view: &Files, other: &Files| {
                let differs = view.iter().filter(|(path, seen)| other.get(*path) != Some(seen));
                let shown = differs.map(|(path, seen)| {
                    let Seen { kind, mode, bytes } = seen;
                    format!("\n  {:?} {kind:?} {mode:o} {}", String::from_utf8_lossy(path), bytes.len())
                });
                shown.collect::<String>()
            };
            faults.push(format!(
                "{}: {reader}:{}\n us:{}",
                sample.what,
                shown(theirs, ours),
                shown(ours, theirs)
            ));
            "not the same"
        }
    };
    let what = if !sample.is_mutant && outcome == "we refuse" { "we refuse, no mutant" } else { outcome };
    *figures.entry(format!("{reader}: {what}")).or_default() += 1;
}

/// What we see of an image, where the kernel with such options sees it by a tree that we know as well.
fn read_as(options: &str, path: &std::path::Path) -> Option<View> {
    let view = |image: &mut Image, records: Vec<Record>, default_modes: bool| {
        let seen = records.into_iter().map(|record| {
            let bytes =
                if record.kind == Kind::File { image.read(&record, FILE_BYTES_MAX)? } else { Vec::new() };
            let mode = record.mode.filter(|_| !default_modes).unwrap_or(0o555);
            Ok((record.path, Seen { kind: record.kind, mode, bytes }))
        });
        seen.collect::<anyhow::Result<Files>>().ok()
    };
    let Ok(mut image) = Image::open(path) else { return Some(None) };
    let Ok((volume, records)) = image.list() else { return Some(None) };
    let has = |tree| volume.trees.contains(&tree);
    let tree = match options {
        "ro" => return Some(view(&mut image, records, false)),
        "ro,norock" if has(Tree::Joliet) => Tree::Joliet,
        "ro,nojoliet" if has(Tree::RockRidge) => Tree::RockRidge,
        // Linux looks at entries of Rock Ridge then that count for nobody else.
        "ro,nojoliet" if volume.read != Tree::Primary => return None,
        _ => Tree::Primary,
    };
    let records = image.list_tree(tree).ok();
    Some(records.and_then(|records| view(&mut image, records, tree != Tree::RockRidge)))
}

fn read_by_bsdtar(sandbox: &Sandbox) -> View {
    let mut command = Command::new("bsdtar");
    command.current_dir(sandbox.path("")).env("LC_ALL", "C.UTF-8");
    let output =
        command.args(["--format=gnutar", "-cf", "-", "@sample.iso"]).output().expect("running bsdtar");
    output.status.success().then(|| archive(&output.stdout))
}

/// Images of random files by several programs, odd ones, and mutants.
fn samples(sandbox: &Sandbox) -> Vec<Sample> {
    let mut samples = Vec::new();
    for oddity in oddities() {
        samples.push(Sample { what: oddity.what.to_owned(), image: oddity.image, is_mutant: true });
    }
    let mut state = SEED;
    for number in 0..SETS {
        if let Some(what) = random_image(sandbox, number, &mut state) {
            samples.push(Sample { what, image: sandbox.read("random.iso"), is_mutant: false });
        }
    }
    for number in MUTANTS {
        let image = image_of(&mutants::input(number));
        samples.push(Sample { what: format!("mutant {number}"), image, is_mutant: true });
    }
    for sample in &mut samples {
        // A partition has whole sectors.
        sample.image.resize(sample.image.len().next_multiple_of(2048), 0);
    }
    samples
}

/// Makes `random.iso`. What it is; `None`: genisoimage gives up on some names.
fn random_image(sandbox: &Sandbox, number: u64, state: &mut u64) -> Option<String> {
    const NAMES: [&str; 24] = [
        "config",
        "Config",
        "CONFIG",
        "user-data",
        "USER-DATA",
        "meta-data",
        "user_data",
        "config.",
        "a.b.c",
        "a;1",
        "a;2",
        "b;1",
        "x...",
        "tar.gz",
        "日本語",
        "ä",
        "Ä",
        "😀",
        "a b",
        "+",
        "a+",
        "a-",
        ".hidden",
        "name of more than sixty-four characters, which Joliet does not hold, so it is cut.txt",
    ];
    const DIRECTORIES: [&str; 5] = ["", "", "d/", "d/Deep.er/", "1/2/3/4/5/6/7/8/9/"];
    const PROGRAMS: [&[&str]; 8] = [
        &["ours"],
        &["ours"],
        &["genisoimage", "-quiet", "-J", "-R"],
        &["genisoimage", "-quiet", "-J", "-joliet-long"],
        &["genisoimage", "-quiet", "-R"],
        &["genisoimage", "-quiet", "-l", "-iso-level", "4"],
        &["xorriso", "-as", "mkisofs", "-quiet", "-J"],
        &["xorriso", "-as", "mkisofs", "-quiet", "--norock", "-J"],
    ];
    let contents = noise(8192);
    let mut one_of = |end: usize| usize::try_from(random(state) >> 8).unwrap() % end;
    let directory = format!("files-{number}");
    let mut paths = BTreeSet::new();
    for _ in 0..=one_of(7) {
        let path = format!("{}{}", DIRECTORIES[one_of(DIRECTORIES.len())], NAMES[one_of(NAMES.len())]);
        let len = [0, 1, 2047, 2048, 2049, 5000][one_of(6)];
        let from = one_of(contents.len() - len);
        sandbox.write(&format!("{directory}/{path}"), &contents[from..from + len]);
        paths.insert(path);
    }
    let program = PROGRAMS[usize::try_from(number).unwrap() % PROGRAMS.len()];
    drop(fs::remove_file(sandbox.path("random.iso")));
    if program == ["ours"] {
        let files = paths.iter().map(|path| format!("--file={path}={directory}/{path}"));
        // The layout whose own files have none of these names.
        let arguments = ["create", "--quiet", "random.iso", "#!", "--layout=configdrive"].map(str::to_owned);
        sandbox.succeed(arguments.into_iter().chain(files));
    } else {
        let mut command = Command::new(program[0]);
        command.current_dir(sandbox.path("")).args(&program[1..]).args(["-o", "random.iso", &directory]);
        let status =
            command.stderr(Stdio::null()).status().unwrap_or_else(|error| panic!("{program:?}: {error}"));
        if !status.success() {
            return None;
        }
    }
    Some(format!("set {number}, {}: {paths:?}", program.join(" ")))
}

/// What the guest read, in order: the archives between the marks. `None`: it could not be mounted or read.
fn archives(views: &[u8]) -> impl Iterator<Item = View> {
    let mut rest = views;
    std::iter::from_fn(move || {
        let at = rest.windows(MARK.len()).position(|window| window == MARK.as_bytes())?;
        let (archived, after) = rest.split_at(at);
        let end = MARK.len() + after[MARK.len()..].iter().position(|&byte| byte == b'\n')?;
        let status = &after[MARK.len()..end];
        rest = &after[end + 1..];
        Some((status == b" 0").then(|| archive(archived)))
    })
}

/// What is in an archive of tar's, with the extension of GNU for long names.
fn archive(mut bytes: &[u8]) -> Files {
    const BLOCK: usize = 512;
    let text = |field: &[u8]| field.split(|&byte| byte == 0).next().unwrap_or_default().to_vec();
    let number = |field: &[u8]| {
        let digits = String::from_utf8(text(field)).unwrap();
        usize::from_str_radix(digits.trim(), 8).unwrap()
    };
    let relative = |path: &[u8]| {
        let path = path.strip_prefix(b"./").unwrap_or(path);
        path.strip_suffix(b"/").unwrap_or(path).to_vec()
    };
    let mut view = Files::new();
    let mut long_name = None;
    let mut long_link = None;
    while let Some((header, after)) = bytes.split_at_checked(BLOCK).filter(|(header, _)| header[0] != 0) {
        let len = number(&header[124..136]);
        let content = &after[..len];
        bytes = &after[len.next_multiple_of(BLOCK)..];
        match header[156] {
            b'L' => long_name = Some(text(content)),
            b'K' => long_link = Some(text(content)),
            kind => {
                let path = relative(&long_name.take().unwrap_or_else(|| text(&header[..100])));
                let link = long_link.take().unwrap_or_else(|| text(&header[157..257]));
                let (kind, bytes) = match kind {
                    b'0' | 0 => (Kind::File, content.to_vec()),
                    b'1' => {
                        let first = &view[&relative(&link)];
                        (first.kind, first.bytes.clone())
                    }
                    b'2' => (Kind::SymbolicLink, Vec::new()),
                    b'5' => (Kind::Directory, Vec::new()),
                    _ => (Kind::Other, Vec::new()),
                };
                let mode = u32::try_from(number(&header[100..108])).unwrap() & 0o7777;
                if !matches!(&path[..], b"" | b".") {
                    view.insert(path, Seen { kind, mode, bytes });
                }
            }
        }
    }
    view
}

/// Disks with a partition for each image (UEFI specification, 5.3).
mod partitions {
    use super::{File, Sandbox, Seek, SeekFrom, Write};

    /// Linux has so many partitions of a disk, and one for all of it.
    pub(super) const COUNT_MAX: usize = 200;

    const BLOCK: usize = 512;
    const ENTRY: usize = 128;

    pub(super) fn write<'a>(sandbox: &Sandbox, name: &str, images: impl Iterator<Item = &'a [u8]>) {
        let mut disk = File::create(sandbox.path(name)).unwrap();
        let mut entries = vec![0; COUNT_MAX * ENTRY];
        let mut block = 2 + entries.len() / BLOCK;
        let first = block;
        for (image, entry) in images.zip(entries.chunks_mut(ENTRY)) {
            let end = block + image.len() / BLOCK;
            // Type and name of the partition, which are any.
            entry[..32].fill(1);
            entry[32..40].copy_from_slice(&number(block));
            entry[40..48].copy_from_slice(&number(end - 1));
            disk.seek(SeekFrom::Start((block * BLOCK) as u64)).unwrap();
            disk.write_all(image).unwrap();
            block = end;
        }
        disk.set_len(((block + 1) * BLOCK) as u64).unwrap();

        let mut header = b"EFI PART\0\0\x01\0".to_vec();
        header.extend([92, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        // This header, the other one, and what partitions may take.
        for at in [1, block, first, block - 1] {
            header.extend(number(at));
        }
        header.extend([1; 16]);
        header.extend(number(2));
        for at in [COUNT_MAX, ENTRY] {
            header.extend(&number(at)[..4]);
        }
        header.extend(crc(&entries));
        let sum = crc(&header);
        header[16..20].copy_from_slice(&sum);

        let mut blocks = vec![0; 2 * BLOCK];
        blocks[446..462].copy_from_slice(&[0, 0, 2, 0, 0xee, 255, 255, 255, 1, 0, 0, 0, 255, 255, 255, 255]);
        blocks[510..512].copy_from_slice(&[0x55, 0xaa]);
        blocks[BLOCK..BLOCK + header.len()].copy_from_slice(&header);
        disk.rewind().unwrap();
        disk.write_all(&[blocks, entries].concat()).unwrap();
    }

    fn number(number: usize) -> [u8; 8] {
        (number as u64).to_le_bytes()
    }

    /// The checksum of Ethernet.
    fn crc(bytes: &[u8]) -> [u8; 4] {
        let sum = bytes.iter().fold(u32::MAX, |sum, &byte| {
            (0..8).fold(sum ^ u32::from(byte), |sum, _| (sum >> 1) ^ (0xedb8_8320 * (sum & 1)))
        });
        (!sum).to_le_bytes()
    }
}
