//! Images whose names, extents or entries readers understand differently: what we read is what Linux reads, or an error.
//!
//! `guest/agreement.rs` shows the same images to the kernel.

use std::{fs, io::Read, path::Path};

use flate2::read::GzDecoder;
use metadata_image::image::Image;

use crate::{fuzz_targets::iso, support::Sandbox};

/// An image, and what we make of it.
pub(crate) struct Oddity {
    pub(crate) what: &'static str,
    pub(crate) image: Vec<u8>,
    /// A path that is shown, or why nothing is.
    shows: Result<&'static str, &'static str>,
}

/// A change of the first place that has these bytes.
type Patch<'a> = (&'a [u8], &'a [u8]);

pub(crate) fn oddities() -> Vec<Oddity> {
    const NAME_LEN: usize = 32;
    const FLAGS: usize = 25;
    let [both, _, joliet, plain, _] = iso::bases() else { panic!("there are other images") };
    let wide = |name: &str| name.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>();
    let [meta_data, dots, other_case, version] =
        ["meta-data", "meta-d...", "USER-data", "meta-da;1"].map(wide);
    let record = |base: &[u8], name: &[u8]| base.windows(name.len()).position(|at| at == name).unwrap() - 33;
    let at = |base: &[u8], name: &[u8], field: usize, byte: u8| {
        let mut image = base.to_vec();
        let at = record(base, name);
        image[at + field] = byte;
        image
    };
    let cut = |len: u8| {
        let mut image = at(plain, b"USER_DATA.;1", NAME_LEN, len);
        let name = record(plain, b"USER_DATA.;1") + 33;
        image[name + usize::from(len)..name + 12].fill(0);
        image
    };
    let patched = |base: &[u8], patches: &[Patch]| {
        let mut image = base.to_vec();
        for (old, new) in patches {
            let at = image.windows(old.len()).position(|window| window == *old).unwrap();
            image[at..at + new.len()].copy_from_slice(new);
        }
        image
    };
    let broken = Err("reading Rock Ridge of the root directory");
    let all = [
        (
            "a version that is not 1",
            patched(plain, &[(b"USER_DATA.;1", b"USER_DATA.;2")]),
            Ok("user_data..2"),
        ),
        ("a version without a dot", patched(plain, &[(b"USER_DATA.;1", b"USER_DATAS;1")]), Ok("user_datas")),
        ("no version, but a dot", cut(10), Ok("user_data.")),
        ("neither version nor dot", cut(9), Ok("user_data")),
        ("a version that is empty", cut(11), Ok("user_data..")),
        ("a name in lower case", patched(plain, &[(b"USER_DATA.;1", b"user_data.;1")]), Ok("user_data")),
        (
            "a name that ends early",
            patched(plain, &[(b"USER_DATA.;1", b"USER\0")]),
            Err("is not a valid name"),
        ),
        ("a name with a slash", patched(plain, &[(b"USER_DATA.;1", b"USER/")]), Err("is not a valid name")),
        ("two names that are one", patched(plain, &[(b"USER_DATA.;1", b"META_DATA.;1")]), Err("two files")),
        ("dots at the end in Joliet", patched(joliet, &[(&meta_data, &dots)]), Ok("meta-d")),
        ("a version in Joliet", patched(joliet, &[(&meta_data, &version)]), Ok("meta-da")),
        ("two cases in Joliet", patched(joliet, &[(&meta_data, &other_case)]), Err("two files")),
        ("no start of Rock Ridge", patched(both, &[(b"SP\x07\x01", b"XP")]), broken),
        (
            "Rock Ridge that skips bytes",
            patched(both, &[(b"SP\x07\x01\xbe\xef\0", b"SP\x07\x01\xbe\xef\x01")]),
            broken,
        ),
        ("an extension that is not Rock Ridge", patched(both, &[(b"RRIP_1991A", b"XRIP")]), broken),
        ("a file that is interleaved", at(plain, b"USER_DATA.;1", 26, 1), Err("interleaved")),
        ("a gap without units", at(joliet, &meta_data, 27, 1), Err("interleaved")),
        ("a file that is associated", at(plain, b"USER_DATA.;1", FLAGS, 4), Err("associated")),
        ("a file with attributes", at(plain, b"USER_DATA.;1", 1, 1), Err("extended attributes")),
        ("a file that is hidden", at(plain, b"USER_DATA.;1", FLAGS, 1), Ok("user_data")),
        (
            "an extent that nothing follows",
            at(plain, b"USER_DATA.;1", FLAGS, 0x80),
            Err("do not belong together"),
        ),
        ("a name that is a dot", patched(both, &[(b"\x0e\x01\0meta-data", b"\x06\x01\0.")]), Err("")),
        ("hard links that are none", same_serial(both), Err("two files have the same serial number")),
    ];
    let mut all: Vec<_> = all.map(|(what, image, shows)| Oddity { what, image, shows }).into();
    all.extend(misread().map(|(name, why)| Oddity { what: name, image: unpacked(name), shows: Err(why) }));
    let name = "permissions-after-a-relocation";
    all.push(Oddity { what: name, image: unpacked(name), shows: Ok("d/deep/y") });
    all
}

/// Images in testdata/oddities, and why they are refused.
fn misread() -> impl Iterator<Item = (&'static str, &'static str)> {
    const NO_ROCK_RIDGE: &str = "there are Rock Ridge entries, but the root directory has none";
    [
        ("symbolic-link-in-the-own-record-of-a-directory", NO_ROCK_RIDGE),
        ("file-type-in-the-own-record-of-a-directory", NO_ROCK_RIDGE),
        ("relocation-in-the-own-record-of-a-directory", NO_ROCK_RIDGE),
        ("relocation-of-a-later-extent", "an extent of a file is stored elsewhere, as a directory"),
        ("relocation-with-several-extents", "a directory has several extents"),
        (
            "partial-extent-before-an-empty-one",
            "an extent of a file ends within a sector, but is not the last",
        ),
        ("name-in-a-second-record-of-the-directory", "too many records for itself"),
        ("name-in-a-second-record-of-the-directory-above", "too many records for itself"),
        ("name-in-the-record-of-the-directory-above", "a directory has a name in its own record"),
        ("name-in-the-own-record-of-a-directory", "a directory has a name in its own record"),
        ("symbolic-link-in-an-own-record-with-rock-ridge", "gives it the length of something else"),
        ("zisofs-in-the-own-record-of-the-root", "gives it the length of something else"),
        ("relocation-with-a-symbolic-link", "a directory has the length of something else"),
        ("relocation-with-zisofs", "a directory has the length of something else"),
        ("relocation-of-a-directory-that-is-stored-nowhere", "belongs elsewhere, and nothing is there"),
        ("directory-that-belongs-nowhere", "belongs elsewhere, and nothing is there"),
        ("extended-attributes", "extended attributes"),
        ("associated-file", "associated with another"),
        ("number-of-another-file", "two files have the same serial number"),
        ("first-sector-of-another-file", "two files have the same serial number"),
        ("directory-of-two-lengths", "a directory has two lengths"),
        ("file-type-of-a-directory", "a directory has the type of something else"),
        ("entry-that-ends-all", "not all readers understand"),
        ("signature-with-a-digit", "an invalid signature"),
        ("continuation-that-is-too-long", r#"a "CE" entry is malformed"#),
        ("continuation-that-follows-no-directory", "a sector that does not follow a directory"),
        ("joliet-before-rock-ridge", "comes before that with Rock Ridge"),
        ("joliet-of-an-unknown-level", "the level of Joliet is unknown"),
        ("joliet-with-small-blocks", "the block size of Joliet"),
        ("empty-first-sector-of-the-root", "looks empty"),
        ("joliet-name-of-104-characters", "longer than 103 characters"),
        ("file-named-as-its-directory", "the name of a directory above it"),
        ("empty-name", "an empty name"),
        ("name-of-254-bytes", "which Linux cuts"),
        ("more-entries-than-a-file-needs", "more than 128 entries"),
        ("final-dot-beside-none", "Linux sees two files"),
    ]
    .into_iter()
}

fn unpacked(name: &str) -> Vec<u8> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/oddities");
    let packed = fs::File::open(directory.join(format!("{name}.iso.gz"))).unwrap();
    let mut image = Vec::new();
    GzDecoder::new(packed).read_to_end(&mut image).unwrap();
    image
}

/// The image with two links, and one serial number, for every file.
fn same_serial(image: &[u8]) -> Vec<u8> {
    const LINKS: usize = 12;
    const SERIAL: usize = 36;
    let mut image = image.to_vec();
    for at in 0..image.len() - 44 {
        if image[at..].starts_with(b"PX\x2c\x01") && image[at + 5] & 0xf0 == 0x80 {
            for (field, number) in [(LINKS, 2), (SERIAL, 7)] {
                image[at + field..at + field + 8].copy_from_slice(&[number, 0, 0, 0, 0, 0, 0, number]);
            }
        }
    }
    image
}

#[test]
fn what_readers_understand_differently_is_read_as_linux_does_or_refused() {
    let sandbox = Sandbox::on_tmpfs();
    for Oddity { what, image, shows } in oddities() {
        let path = sandbox.write("meta.iso", image);
        let listed = Image::open(&path).and_then(|mut image| image.list());
        let listed = listed.map(|(_, records)| records).map_err(|error| format!("{error:#}"));
        match (&listed, shows) {
            (Ok(records), Ok(path)) => {
                assert!(records.iter().any(|record| record.path == path.as_bytes()), "{what}: {records:?}");
            }
            (Err(error), Err(why)) => assert!(error.contains(why), "{what}: {error}"),
            _ => panic!("{what}: {listed:?}"),
        }
    }
}
