//! Random files of signers: lines that `ssh-keygen` accepts, and lines near to those.

use super::{IDENTITY, OTHER_KEYS, Random, Signed};

const PRINCIPALS: &[&str] = &[
    "a@b",
    "a@b",
    "a@b",
    "a@b",
    "*",
    "*@b",
    "?@b",
    "a@?",
    "a*",
    "a@b,c@d",
    "x,a@b",
    "a@b,",
    ",a@b",
    "\"a@b\"",
    "\"x y,a@b\"",
    "*,!c@*",
    "!a@b,*",
    "*,!a@?",
    "A@B",
    "c@d",
    "a@b*",
    "**b",
    "a@b,!",
    "!,a@b",
    "\"a@b",
    "a\"@\"b",
    "\"\"",
    "a@b\"\"",
    "\"a@b\",c",
    "#a@b",
    "a@b\u{a0}",
    "\u{feff}a@b",
    "ä,a@b",
    "*,\\",
    "a\\@b",
    "a@b=c",
    "namespaces=\"*\"",
];

const WHITE: &[&str] = &[
    " ", " ", " ", " ", " ", " ", " ", " ", "\t", "  ", " \t ", "\u{a0}", "\u{c}", "\u{b}", "\r", "\u{2003}",
    "", "\0", "\u{85}", "\n",
];

const NAMESPACES: &[&str] = &[
    "metadata-image",
    "metadata-*",
    "file,metadata-image",
    "*",
    "*,!metadata-image",
    "file",
    "!file,*",
    "",
    "metadata-imag?",
    "Metadata-image",
    " metadata-image",
    "metadata-image,",
];

const COMMENTS: &[&str] = &[
    "",
    "",
    " me@host",
    "  a comment",
    " \"quoted",
    " ä",
    "\r",
    " x\r",
    "\u{c}",
    "\0",
    "\t",
    "\u{a0}x",
    " # x",
];

const LINE_ENDS: &[&str] = &["\n", "\n", "\n", "\n", "\r\n", "", "\r", "\n\n", "\r\n\r\n"];

/// A date near [`AT`], or one that is hardly any.
fn date(random: &mut Random) -> String {
    let zone = random.of(&["Z", "Z", "Z", "", "UTC", "z", "utc", "+00", " Z", "ZZ"]);
    let date = match random.below(8) {
        0 => random
            .of(&[
                "",
                "19700101",
                "00000000",
                "20260230",
                "20261301",
                "20260532",
                "99991231235959",
                "100000101",
                "2026060",
                "19691231235959",
                "202606011260",
                "20260601120060",
                "20260601120061",
                "2026-06-01",
                "20380119031408",
                "never",
                "2026 601",
                "+0260601",
                "20260601 12 0",
                "0",
                "1970010100000",
                "19700101000000",
                "19700101000001",
            ])
            .to_owned(),
        // Within two days, to the second.
        1..=4 => format!(
            "202606{:02}{:02}{:02}{}",
            random.below(3),
            random.below(25),
            random.of(&[&0_usize, &59, &60, &1]),
            random.of(&["", "00", "01", "59", "60"])
        ),
        _ => format!("{}{:02}{:02}", 2025 + random.below(3), random.below(14), random.below(33)),
    };
    date + zone
}

fn option(random: &mut Random) -> String {
    let name = random.of(&[
        "namespaces",
        "namespaces",
        "valid-after",
        "valid-before",
        "valid-before",
        "NAMESPACES",
        "Valid-After",
    ]);
    let value =
        if name.eq_ignore_ascii_case("namespaces") { random.of(NAMESPACES).to_owned() } else { date(random) };
    match random.below(14) {
        0 => format!("{name}={value}"),
        1 => random
            .of(&[
                "cert-authority",
                "unknown",
                "",
                "verify-required",
                "touch-required=\"x\"",
                "\\\"",
                "x=\"y z\"",
            ])
            .to_owned(),
        2 => format!("{name}=\"{value}"),
        3 => random
            .of(&[
                "namespaces=\"\\\"metadata-image\"",
                "namespaces=\"*\\\\\"",
                "namespaces =\"*\"",
                "namespaces=\"*\"x",
            ])
            .to_owned(),
        _ => format!("{name}=\"{value}\""),
    }
}

fn key(random: &mut Random, signed: &Signed, all: &[Signed]) -> String {
    let public = match random.below(12) {
        0 => all[random.below(all.len())].public.clone(),
        1 => random.of(OTHER_KEYS).to_owned(),
        _ => signed.public.clone(),
    };
    let (kind, base64) = public.split_once(' ').unwrap();
    match random.below(30) {
        0 => format!(
            "{}{base64}",
            random.of(&["ssh-ed25519 ", "ssh-rsa ", "rsa-sha2-512 ", "SSH-RSA ", "ssh-ed25519"])
        ),
        1 => format!("{kind} {}", base64.trim_end_matches('=')),
        2 => format!("{kind} {base64}="),
        3 => format!("{kind} {base64}AAAA"),
        4 => format!("{kind}{}{base64}", random.of(WHITE)),
        5 => {
            let at = random.below(base64.len());
            format!("{kind} {}{}{}", &base64[..at], random.of(WHITE), &base64[at..])
        }
        _ => public.clone(),
    }
}

fn line(random: &mut Random, signed: &Signed, all: &[Signed]) -> String {
    let mut line = String::new();
    if random.once_in(12) {
        line += random.of(WHITE);
    }
    if random.once_in(60) {
        line += "x,";
        line += &"y".repeat(1018 + random.below(8));
        line += ",";
    }
    line += if random.once_in(2) { IDENTITY } else { random.of(PRINCIPALS) };
    line += if random.once_in(6) { random.of(WHITE) } else { " " };
    let options = [0, 0, 0, 1, 1, 2][random.below(6)];
    for number in 0..options {
        if number > 0 {
            line += if random.once_in(20) { random.of(&[",,", ", ", " ,", ""]) } else { "," };
        }
        line += &option(random);
    }
    if options > 0 {
        line += if random.once_in(8) { random.of(WHITE) } else { " " };
    }
    line += &key(random, signed, all);
    line += random.of(COMMENTS);
    line + if random.once_in(3) { random.of(LINE_ENDS) } else { "\n" }
}

/// What a byte may become.
const BYTES: &[u8] = b" \t\r\n\x0b\x0c\0\"\\,=!*?#@aZ09\x80\xa0\xc2\xff";

pub(crate) fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let at = random.below(bytes.len());
    let byte = BYTES[random.below(BYTES.len())];
    match random.below(6) {
        0 => bytes[at] = byte,
        1 => bytes.insert(at, byte),
        2 => drop(bytes.remove(at)),
        3 => bytes[at] ^= 1 << random.below(8),
        4 => bytes.truncate(at),
        _ => {
            let end = (at + random.below(40)).min(bytes.len());
            bytes.extend_from_within(at..end);
        }
    }
}

pub(super) fn file(random: &mut Random, signed: &Signed, all: &[Signed]) -> Vec<u8> {
    let lines = [1, 1, 1, 2, 3][random.below(5)];
    let mut bytes = String::from(if random.once_in(10) { "# comment\n\n" } else { "" });
    for _ in 0..lines {
        bytes += &line(random, signed, all);
    }
    let mut bytes = bytes.into_bytes();
    if random.once_in(4) {
        for _ in 0..=random.below(2) {
            mutate(random, &mut bytes);
        }
    }
    bytes
}
