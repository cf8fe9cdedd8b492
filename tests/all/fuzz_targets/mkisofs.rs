//! The command line of mkisofs, and the names that it makes. The first byte of an input says whose command line it is; its other lines
//! are words of the command line up to the first empty one, then paths on the image, written as graft points are. The last
//! character of a path says what is there.
//!
//! Files of lists are not opened: their lines go through the same functions as words do.

#[allow(dead_code)]
#[path = "../../../src/cli/mkisofs/charset.rs"]
mod charset;
#[allow(dead_code)]
#[path = "../../../src/cli/mkisofs/destinations.rs"]
mod destinations;
#[allow(dead_code)]
#[path = "../../../src/cli/mkisofs/dialect.rs"]
mod dialect;
#[path = "../../../src/cli/mkisofs/exclude.rs"]
mod exclude;
#[allow(dead_code)]
#[path = "../../../src/cli/mkisofs/found.rs"]
mod found;
#[path = "../../../src/cli/mkisofs/graft.rs"]
mod graft;
#[allow(dead_code)]
#[path = "../../../src/cli/mkisofs/identity.rs"]
mod identity;
#[allow(dead_code)]
#[path = "../../../src/cli/mkisofs/list.rs"]
mod list;
#[allow(dead_code)]
#[path = "../../../src/cli/mkisofs/options.rs"]
mod options;
#[path = "../../../src/cli/mkisofs/parse.rs"]
mod parse;
#[allow(dead_code)]
#[path = "../../../src/cli/mkisofs/settings.rs"]
mod settings;
#[allow(dead_code)]
#[path = "../../../src/cli/mkisofs/sources.rs"]
mod sources;
#[allow(dead_code)]
#[path = "../../../src/cli/mkisofs/trouble.rs"]
mod trouble;
#[path = "../../../src/cli/mkisofs/volume.rs"]
mod volume;
#[allow(dead_code)]
#[path = "../../../src/cli/mkisofs/warnings.rs"]
mod warnings;

use std::{
    collections::BTreeSet,
    ffi::{OsStr, OsString},
    io::Cursor,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};

use metadata_image::image::{
    Attributes, Image,
    iso9660::{
        reader::{DEPTH_MAX, PATHS_BYTES_MAX, RECORDS_MAX},
        writer::Draft,
    },
};

use dialect::Dialect;
use found::{Found, Kind, Tree};
use options::Meaning;
use settings::{Settings, Wanted};
use trouble::Trouble;

/// The longest path that a system opens in bytes, and the longest name.
const PATH_BYTES_MAX: usize = 4096;
const NAME_BYTES_MAX: usize = 255;

pub(crate) fn run(data: &[u8]) {
    let Some((first, text)) = data.split_first() else { return };
    let dialect = if first % 2 == 0 { Dialect::Genisoimage } else { Dialect::Xorrisofs };
    let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').filter(|line| !line.contains(&0)).collect();
    let end = lines.iter().position(|line| line.is_empty()).unwrap_or(lines.len());
    let words = lines[..end].iter().map(|word| OsString::from_vec(word.to_vec())).collect();
    let Ok(settings) = settings_of(dialect, words) else { return };
    let Ok(tree) = tree_of(&settings, &lines[end..]) else { return };
    warnings::warn(&settings, &tree, &mut |line| assert!(!line.is_empty()));
    check_image(&settings, tree);
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "0-JR\n-V\ncidata\n-o\nx\nd\n\nuser-data\nmeta-data\nopenstack/latest/user_data\n",
        "0-quiet\n-l\n-allow-lowercase\n-allow-multidot\n-J\n-r\n-publisher\na b\nd\n\n..data\nx.tar.gz\na.b.c\nl@\np|\ns=\\=\n",
        "0-iso-level\n4\n-R\n-m\n*.[!o]\n-x\na/?\nd\n\na/b\na.o\na+b\n\u{e9}\n",
        "1d\n--norock\n-joliet\n-exclude\n/x/[[:alpha:]]*\n\n1/2/3/4/5/6/7/8/9/10/f\nA\na\n",
        "0-relaxed-filenames\n-max-iso9660-filenames\n-U\n--input-charset=iso8859-1\nd\n\n.\n..\n-\n~\n#\n",
        "1-uid\n7\n-file-mode\n0440\n-partition_cyl_align\non\nd\n\nx/\nx/y/\n",
    ]
    .map(|seed| seed.as_bytes().to_vec())
    .into()
}

/// What the words ask for.
fn settings_of(dialect: Dialect, words: Vec<OsString>) -> Result<Settings, Trouble> {
    let mut parsed = parse::parse(dialect, words)?;
    parsed.options.retain(|(known, _)| !matches!(known.meaning, Meaning::PathList | Meaning::ExcludeList));
    match Settings::of(dialect, parsed)? {
        Wanted::Image(settings) => Ok(*settings),
        Wanted::Help | Wanted::Version => Err(Trouble::new(dialect::Failure::Option, String::new())),
    }
}

/// The files with these paths, as the walk over the sources would have found them.
fn tree_of(settings: &Settings, lines: &[&[u8]]) -> Result<Tree, Trouble> {
    let found = |kind| Found {
        kind,
        source: PathBuf::from("source"),
        attributes: Attributes { mode: Some(0o644), owner: Some((1, 2)), modified: Some(1) },
        identity: (0, 0),
    };
    let mut tree = Tree::from([(Vec::new(), found(Kind::Directory))]);
    for line in lines {
        let (target, source) = graft::split_graft(line, settings.graft_points);
        let path = match target {
            Some(target) => target.path,
            None => graft::split_graft(&[&source[..], b"=x"].concat(), true).0.map_or(Vec::new(), |x| x.path),
        };
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        let is_left_out = settings.exclusions.has(name, Path::new(OsStr::from_bytes(&path)))?;
        let is_long = |name: &[u8]| name.len() > NAME_BYTES_MAX;
        if is_left_out
            || path.len() > PATH_BYTES_MAX
            || path.split(|byte| *byte == b'/').any(is_long)
            || !settings.rock_ridge && path.split(|byte| *byte == b'/').count() > 7
        {
            continue;
        }
        let ends: Vec<_> = (0..path.len()).filter(|at| path[*at] == b'/').collect();
        if ends.iter().any(|end| tree.get(&path[..*end]).is_some_and(|above| above.kind != Kind::Directory)) {
            continue;
        }
        for end in ends {
            tree.entry(path[..end].to_vec()).or_insert_with(|| found(Kind::Directory));
        }
        let kind = match line.last() {
            Some(b'/') => Kind::Directory,
            Some(b'@') if settings.rock_ridge => Kind::SymbolicLink(path.clone()),
            Some(b'|') if settings.rock_ridge => Kind::Fifo,
            Some(b'=') if settings.rock_ridge => Kind::Socket,
            Some(b'%') if settings.rock_ridge => Kind::CharacterDevice(u32::MAX, 7),
            _ => Kind::Empty,
        };
        tree.entry(path).or_insert_with(|| found(kind));
    }
    // Files have an identity each.
    for (number, found) in (1..).zip(tree.values_mut()) {
        found.identity = (0, number);
    }
    Ok(tree)
}

/// An image with these files is one, and has all of them.
fn check_image(settings: &Settings, tree: Tree) {
    let paths: BTreeSet<Vec<u8>> = tree.keys().filter(|path| !path.is_empty()).cloned().collect();
    let Ok(draft) = Draft::new(volume::volume_of(settings, tree, Some(0))) else { return };
    let mut bytes = Vec::new();
    let written = draft.write_forward(&mut bytes, &mut ()).expect("an image that is laid out can be written");
    assert_eq!(written.bytes, bytes.len() as u64);
    assert_eq!(written.bytes % 4096, 0);
    let mut image = Image::from_reader(Cursor::new(bytes)).expect("it is an image");
    let levels = |path: &Vec<u8>| path.split(|byte| *byte == b'/').count();
    let is_listed = paths.len() <= RECORDS_MAX / 2
        && paths.iter().map(Vec::len).sum::<usize>() <= PATHS_BYTES_MAX / 2
        && paths.iter().map(levels).max().unwrap_or_default() < DEPTH_MAX / 2;
    if !is_listed {
        return;
    }
    let listed = image.list();
    // The reader rejects names that Linux shows in another way. Without Rock Ridge two of them may become one.
    let is_plain =
        |path: &Vec<u8>| path.iter().all(|byte| byte.is_ascii_alphanumeric() || b"/.-_".contains(byte));
    let is_short = |path: &Vec<u8>| path.split(|byte| *byte == b'/').all(|name| name.len() <= 250);
    if listed.is_err() && !paths.iter().all(|path| is_plain(path) && is_short(path)) {
        return;
    }
    if settings.rock_ridge {
        let (_, records) = listed.expect("its trees can be read");
        let listed: BTreeSet<Vec<u8>> = records.into_iter().map(|record| record.path).collect();
        let missing: Vec<_> = paths.difference(&listed).map(|path| path.escape_ascii().to_string()).collect();
        assert!(missing.is_empty(), "missing: {missing:?}");
    }
}
