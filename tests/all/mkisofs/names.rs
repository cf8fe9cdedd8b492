//! Names of the primary tree beside those of genisoimage and xorrisofs, for many random names.

use std::fs;

use super::{Programs, primary_names};

/// Options that change names, of both programs, and of genisoimage alone.
const BOTH: [&str; 6] =
    ["-l", "-max-iso9660-filenames", "-d", "-N", "-allow-lowercase", "-relaxed-filenames"];
const GENISOIMAGE: [&str; 4] = ["-allow-multidot", "-ldots", "-no-iso-translate", "-U"];

/// What names are made of.
const PARTS: [&str; 22] = [
    "a",
    "B",
    "c",
    "d",
    "1",
    "_",
    "-",
    ".",
    ".",
    "~",
    "#",
    " ",
    "+",
    ";",
    "*",
    "=",
    "é",
    "json",
    ".tar.gz",
    "abcdefghijkl",
    "$",
    "日",
];

/// Numbers that look random: xorshift.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).unwrap()
    }

    /// A name of few characters, so that many become the same, or of many.
    fn name(&mut self, is_short: bool) -> String {
        loop {
            let (parts, most) = if is_short { (&PARTS[..11], 4) } else { (&PARTS[..], 14) };
            let count = 1 + self.below(most);
            let name: String = (0..count).map(|_| parts[self.below(parts.len())]).collect();
            if ![".", ".."].contains(&name.as_str()) && name.len() < 100 {
                return name;
            }
        }
    }
}

/// Whether the first record of the root directory is that of the directory itself (ECMA-119, 6.8.2.2).
fn begins_with_itself(image: &[u8]) -> bool {
    let root = u32::from_le_bytes(image[16 * 2048 + 158..][..4].try_into().unwrap());
    image[usize::try_from(root).unwrap() * 2048..][32..34] == [1, 0]
}

/// The same in every run; `SEED` gives other names.
fn seed() -> u64 {
    std::env::var("SEED").map_or(1129, |seed| seed.parse().unwrap())
}

#[test]
#[ignore = "needs genisoimage and xorriso"]
fn random_names_become_those_of_the_originals() {
    let seed = seed();
    println!("SEED={seed}");
    let mut random = Random(seed);
    let programs = Programs::with_originals();
    for round in 0..60 {
        let is_genisoimage = round % 2 == 0;
        let program = if is_genisoimage { "genisoimage" } else { "xorrisofs" };
        let mut options: Vec<_> = BOTH.into_iter().filter(|_| random.below(3) == 0).collect();
        if is_genisoimage {
            options.extend(GENISOIMAGE.into_iter().filter(|_| random.below(3) == 0));
            if random.below(10) == 0 {
                options = vec!["-iso-level", "4"];
            }
        }
        let is_short = random.below(2) == 0;
        let is_directory = random.below(3) == 0;
        let mut names: Vec<_> = (0..60).map(|_| random.name(is_short)).collect();
        names.sort();
        names.dedup();
        let source = programs.path("source");
        drop(fs::remove_dir_all(&source));
        // Each is an operand of its own, so that both programs see them in the order of their bytes.
        let mut operands = Vec::new();
        for (number, name) in names.iter().enumerate() {
            let above = format!("source/{number:03}");
            let path = format!("{above}/{name}");
            if is_directory {
                fs::create_dir_all(programs.path(&path)).unwrap();
                operands.push(above);
            } else {
                super::write(&programs.path(&path), "");
                operands.push(path);
            }
        }
        let identifiers = |whose: &str| {
            let arguments = ["-quiet", "-R", "-o", "image"].into_iter().chain(options.iter().copied());
            let output = programs.run(whose, program, arguments.chain(operands.iter().map(String::as_str)));
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            let image = programs.sandbox.read("image");
            begins_with_itself(&image).then(|| primary_names(&image))
        };
        let ours = identifiers("ours").expect("the root is first in its own directory");
        // Where it keeps characters that come before a dot, genisoimage sorts names such as ` ;d` before that of the directory
        // itself, which it then renames: no reader can use such an image.
        let Some(theirs) = identifiers("theirs") else {
            let keeps = options.iter().any(|option| ["-U", "-relaxed-filenames"].contains(option));
            assert!(is_genisoimage && keeps, "SEED={seed} {program} {options:?}");
            continue;
        };
        for (theirs, ours) in theirs.iter().zip(&ours) {
            let text = |(name, identifier): &(Vec<u8>, Vec<u8>)| {
                (String::from_utf8_lossy(name).into_owned(), String::from_utf8_lossy(identifier).into_owned())
            };
            assert_eq!(
                text(ours),
                text(theirs),
                "SEED={seed} {program} {options:?} directories: {is_directory}"
            );
        }
        assert_eq!(ours.len(), theirs.len(), "SEED={seed}");
    }
}

#[test]
fn names_that_callers_rely_on() {
    let programs = Programs::new();
    for name in ["user-data", "meta-data", "network-config", "x.tar.gz"] {
        super::write(&programs.path("seed").join(name), name);
    }
    for (options, expected) in [
        (&[][..], ["META_DAT.;1", "NETWORK_.;1", "USER_DAT.;1", "X.TGZ;1"]),
        (&["-l"], ["META_DATA.;1", "NETWORK_CONFIG.;1", "USER_DATA.;1", "X.TGZ;1"]),
        (
            &["-ldots", "-allow-lowercase", "-allow-multidot", "-l"],
            ["meta_data.;1", "network_config.;1", "user_data.;1", "x.tar.gz;1"],
        ),
        (&["-iso-level", "4"], ["meta-data", "network-config", "user-data", "x.tar.gz"]),
    ] {
        programs.succeed("genisoimage", [&["-R", "-o", "image"], options, &["seed"]].concat());
        let names = primary_names(&programs.sandbox.read("image"));
        let identifiers: Vec<_> =
            names.into_iter().map(|(_, name)| String::from_utf8(name).unwrap()).collect();
        assert_eq!(identifiers, expected, "{options:?}");
    }
}

#[test]
fn a_directory_whose_order_takes_another_sector_has_all_of_its_files() {
    let programs = Programs::new();
    // Random names whose records take three sectors in the order of the names, and four in that of the identifiers.
    let names = "#|#-a|#a1|#~#|-d11|1|1#d|1.|1._-|11c|1~.c|B|B-|B-~|B.|Bd.|_|_-#|_11|_a.|a|a-.B|a..|a.d|aa|aad1|c|c-~|\
                 c.#1|c.#d|c._a|c1.|cBa.|c__|ccd|cd|cd#|d|d.|d..|d~1|~|~1.1|~B.1|~cd#|~~";
    for name in names.split('|') {
        fs::create_dir_all(programs.path("seed").join(name)).unwrap();
    }
    programs.succeed("xorrisofs", ["-l", "-allow-lowercase", "-o", "image", "seed"]);
    let found = primary_names(&programs.sandbox.read("image"));
    let found: Vec<_> = found.into_iter().map(|(name, _)| String::from_utf8(name).unwrap()).collect();
    assert_eq!(found.join("|"), names);
}

#[test]
fn thousands_of_names_that_become_one_are_numbered() {
    let programs = Programs::new();
    fs::create_dir(programs.path("seed")).unwrap();
    for number in 0..4000 {
        fs::write(programs.path("seed").join(format!("configuration-{number:04}.yaml")), "").unwrap();
    }
    programs.succeed("genisoimage", ["-R", "-o", "image", "seed"]);
    let names = primary_names(&programs.sandbox.read("image"));
    let identifiers: std::collections::BTreeSet<_> = names.iter().map(|(_, name)| name).collect();
    assert_eq!(identifiers.len(), 4000);
    assert!(identifiers.contains(&b"CONFI000.YAM;1".to_vec()), "base 36, from 000");
    assert!(identifiers.contains(&b"CONFI332.YAM;1".to_vec()));
}
