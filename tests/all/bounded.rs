//! Time, memory and stack grow with the bytes given: inputs that once cost the square of their size, or the stack.
//!
//! Each generator makes an input of about so many bytes. A child process of its own does all the work that user data,
//! meta-data and a line of a batch ever cause, and says how much heap and processor time that took.

use std::{
    env, fmt,
    fmt::Write as _,
    fs,
    io::Cursor,
    num::NonZero,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use metadata_image::{
    agent::admission,
    batch,
    check::{Prepared, Subject, check_image, check_whole},
    datasource::layout::Layout,
    image::{Image, probe::FileSystem, source::Source},
    manifest::{Manifest, inventory::Contents},
    provider::Metadata,
    recipe::{Recipe, change::ImageChange},
    trust::{allowed_signers::AllowedSigners, revoked_keys::Revoked, signature::Signature},
    userdata::{
        config_tree::ConfigTree,
        finding::Lines,
        install_plan::InstallPlan,
        meta_data_edit::with_member,
        schema::{Rules, Schema},
    },
};
use peak_alloc::PeakAlloc;
use rustix::time::{ClockId, clock_gettime};

use crate::{
    fuzz_targets::mkisofs,
    support::{Sandbox, cases},
};

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// A name, and what makes an input of about so many bytes.
type Generator = (&'static str, fn(usize) -> String);

/// The head of a MIME document.
const MIME: &str = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n";

/// What divides a schema from the document that is judged by it.
const SCHEMA_END: &str = "\n---\n";

/// What begins an input that is a command line of mkisofs and names of files.
const MKISOFS: &str = "mkisofs ";

/// What begins an input that is names of files in the directory of a seed.
const SEED: &str = "seed ";

/// How deep a config tree may be.
const LEVELS: usize = 127;

const GENERATORS: &[Generator] = &[
    // Every finding repeated the path of its entry.
    ("a long name with many unknown fields", |size| {
        format!("{{\"{}\":{{{}}}}}", "n".repeat(size / 2), list("\"\":0", size / 2))
    }),
    ("many levels of long names with many unknown fields", |size| {
        let name = "n".repeat((size / 2 / LEVELS).saturating_sub(20).max(1));
        nested(&name, &format!("{{\"a\":{{{}}}}}", list("\"\":0", size / 2)))
    }),
    ("many levels of long names with many files", |size| {
        let name = "n".repeat((size / 2 / LEVELS).saturating_sub(20).clamp(1, 255));
        let mut files = String::new();
        for number in 0..size / 2 / 20 {
            write!(files, "\"{number:x}\":{{\"content\":\"\"}},").unwrap();
        }
        nested(&name, &format!("{{{}}}", files.trim_end_matches(',')))
    }),
    // Every field was compared with all before it.
    ("fields that are there again and again", |size| {
        let [perms, contents] = ["\"perm\":\"\"", "\"content\":\"\""].map(|field| list(field, size / 2));
        format!("{{\"a\":{{{perms},{contents}}}}}")
    }),
    ("names that are there again and again", |size| format!("{{{}}}", list("\"a\":0", size))),
    ("wrong types", |size| format!("{{{}}}", list("\"a\":{\"content\":1,\"perm\":\"9\"}", size))),
    // Aliases were expanded.
    ("aliases of a long text", |size| {
        let aliases = list("*a", size / 2);
        format!("#cloud-config\npublic-keys: [&a \"{}\",{aliases}]\n", "k".repeat(size / 2))
    }),
    ("aliases of aliases", |size| {
        let mut text = "#cloud-config\nk0: &k0 x\n".to_owned();
        for number in 1..size / 25 {
            let before = number - 1;
            writeln!(text, "k{number}: &k{number} [*k{before}, *k{before}]").unwrap();
        }
        text
    }),
    ("aliases as keys", |size| {
        let mut text = "#cloud-config\nk0: &k0 x\n".to_owned();
        for number in 1..size / 30 {
            let before = number - 1;
            writeln!(text, "k{number}: &k{number} {{? [*k{before}] : *k{before}}}").unwrap();
        }
        text
    }),
    ("anchors within anchors", |size| {
        format!("#cloud-config\na: {}{}{}\n", "&a [".repeat(120), list("x", size), "]".repeat(120))
    }),
    // Every finding counted the characters in front of it.
    ("findings behind a letter of two bytes", |size| {
        let mut text = "#cloud-config\né: 1\n".to_owned();
        for number in 0..size / 18 {
            writeln!(text, "!t{number} seedfrom: 1").unwrap();
        }
        text
    }),
    ("keys that are there again and again", |size| format!("#cloud-config\n{}", "a: 1\n".repeat(size / 5))),
    ("keys without values", |size| format!("#cloud-config\n{}", "? a\n".repeat(size / 4))),
    ("documents", |size| format!("#cloud-config\n{}", "--- {a: 1}\n".repeat(size / 11))),
    ("templates", |size| format!("#cloud-config\n{}", "a: {{ x }}\n".repeat(size / 11))),
    ("folded lines", |size| format!("#cloud-config\na: \"{}\"\n", "x\n ".repeat(size / 3))),
    ("blank lines in a block", |size| {
        format!("#cloud-config\na: |\n{}", format!("{:50}\n", "").repeat(size / 51))
    }),
    ("tag directives", |size| {
        let mut text = "#cloud-config\n".to_owned();
        for number in 0..size / 20 {
            writeln!(text, "%TAG !e{number}! tag:x,{number}:").unwrap();
        }
        text + "---\na: 1\n"
    }),
    ("merge keys", |size| {
        let mut text = "#cloud-config\na: &a {b: 1, c: 2}\n".to_owned();
        for number in 0..size / 24 {
            writeln!(text, "k{number}: {{<<: *a, d: 3}}").unwrap();
        }
        text
    }),
    ("unknown keys", |size| {
        let mut text = "#cloud-config\n".to_owned();
        for number in 0..size / 18 {
            writeln!(text, "packages{number}: [a]").unwrap();
        }
        text
    }),
    ("wrong values below a long key", |size| {
        format!(
            "#cloud-config\nyum_repos:\n  {}:\n{}",
            "k".repeat(size / 2),
            "    baseurl: [1]\n".repeat(size / 40)
        )
    }),
    ("users that are wrong", |size| {
        format!("#cloud-config\nusers:\n{}", "- {name: 1, sud: x, groups: [1]}\n".repeat(size / 33))
    }),
    ("aliases of something wrong", |size| {
        format!("#cloud-config\nusers:\n- &a {{sud: x}}\n{}", "- *a\n".repeat(size / 5))
    }),
    ("text in quotes that the parser does not accept", |size| {
        format!("#cloud-config\nruncmd:\n{}", "  - 'a\nb'\n".repeat(size / 11))
    }),
    ("expressions of a template", |size| {
        format!("## template: jinja\n#cloud-config\npackages:\n{}", "- {{ x }}\n".repeat(size / 10))
    }),
    ("openings of expressions", |size| {
        format!("## template: jinja\n#cloud-config\na: {}", "{{".repeat(size / 2))
    }),
    ("parts of an archive", |size| {
        format!("#cloud-config-archive\n{}", "- |\n  #cloud-config\n  users: 1\n".repeat(size / 32))
    }),
    ("networks", |size| {
        let mut text = "version: 2\nethernets:\n".to_owned();
        for number in 0..size / 66 {
            writeln!(text, "  e{number}: {{addresses: [10.0.0.1/8, x], routes: [{{via: 10.0.0.2}}]}}")
                .unwrap();
        }
        text
    }),
    ("names of networks that are not there", |size| {
        let mut text = "version: 2\nvlans:\n".to_owned();
        for number in 0..size / 28 {
            writeln!(text, "  v{number}: {{id: 1, link: w{number}}}").unwrap();
        }
        text
    }),
    ("addresses and gateways", |size| {
        let addresses = list("10.0.0.1/24", size / 2);
        let routes = list("{to: default, via: 10.1.0.1}", size / 2);
        format!("version: 2\nethernets: {{e: {{addresses: [{addresses}], routes: [{routes}]}}}}\n")
    }),
    ("comments in front", |size| "# x\n".repeat(size / 4) + "{}"),
    ("carriage returns", |size| "\r\n".repeat(size / 2)),
    ("parts without headers", |size| format!("{MIME}{}", "--b\n\nx\n".repeat(size / 7))),
    ("parts with many headers", |size| {
        format!("{MIME}--b\n{}\nx\n", "Content-Type: x\n y\n".repeat(size / 19))
    }),
    ("a long header", |size| format!("{MIME}--b\nContent-Type: a/b{}\n\nx\n", ";a=\"b\"".repeat(size / 6))),
    ("parameters without a value", |size| {
        format!("{MIME}--b\nContent-Type: a/b{}\n\nx\n", ";a".repeat(size / 2))
    }),
    ("multiparts within multiparts", |size| {
        let mut text = MIME.to_owned();
        for number in 0..size / 60 {
            writeln!(text, "--b{number:x}\nContent-Type: multipart/x; boundary=b{number:x}\n").unwrap();
        }
        text
    }),
    ("lines like boundaries", |size| {
        let level = |level| format!("--b\nContent-Type: multipart/x; boundary=b{level}\n\n--b{level}\n");
        let open = (0..15).map(level).collect::<Vec<_>>().concat();
        format!("{MIME}{open}{}", "--b!\n".repeat(size / 5 - open.len() / 5))
    }),
    ("a part in base64", |size| {
        format!(
            "{MIME}--b\nContent-Transfer-Encoding: base64\n\n{}",
            "YTogWwo=\n".replace('=', "A").repeat(size / 9)
        )
    }),
    ("a part in quoted-printable", |size| {
        format!("{MIME}--b\nContent-Transfer-Encoding: quoted-printable\n\n{}", "=61=\n".repeat(size / 5))
    }),
    ("findings in parts", |size| {
        format!("{MIME}--b\nContent-Type: text/cloud-config\n\n{}", "a: 1\n".repeat(size / 5))
    }),
    ("an archive of items", |size| format!("#cloud-config-archive\n{}", "- a\n".repeat(size / 4))),
    ("an archive of aliases", |size| {
        let items = "- *a\n".repeat(size / 2 / 5);
        format!("#cloud-config-archive\n- &a '{}'\n{items}", "k".repeat(size / 2))
    }),
    ("brackets that are not closed", |size| format!("#cloud-config\na: {}\nb: 1\n", "[], ".repeat(size / 4))),
    ("public keys", |size| format!("public-keys:\n{}", "- a b\n".repeat(size / 6))),
    ("allowed signers", |size| "a,b*c*d ssh-ed25519 AAAA\n".repeat(size / 25)),
    // hadris looks for a free name from the first on for each.
    ("files that are one in the plain tree", |size| {
        line_of_files(('\u{a1}'..).take(size / 9).map(String::from))
    }),
    ("files that are one in the plain tree, and may be", |size| {
        // 512, which take a quarter of the suffixes that there may be.
        let names = (0..size / 128).map(|number| format!("{}{number:04}", "n".repeat(30)));
        padded(&line_of_files(names), size)
    }),
    ("files that are one in all trees", |size| {
        let names = (0..size / 75).map(|number| format!("{}{number:04}", "n".repeat(64)));
        line_of_files(names)
    }),
    // Each took sectors, and a warning with its path.
    ("directories", |size| line_of_files((0..size / 17).map(|number| format!("nnn{number:04x}/f")))),
    ("directories below one another", |size| {
        line_of_files((0..size / 136).map(|number| format!("{number:03}/{}f", "a/".repeat(62))))
    }),
    ("directories below one another, as many as may be", |size| {
        let names = (0..size / 1200).map(|number| format!("{number:03}/{}f", "a/".repeat(62)));
        padded(&line_of_files(names), size)
    }),
    // Each directory of the path was taken from its start on.
    ("an image in many directories", |size| {
        format!("{{\"image\":\"{}a\",\"data\":\"\"}}", "a/".repeat(size / 2))
    }),
    ("an image in many directories and another fault", |size| {
        format!("{{\"image\":\"{}a\",\"unknown\":\"\"}}", "a/".repeat(size / 2))
    }),
    // Every value was compared with all that the schema names, and all of those were told of each.
    ("a schema of many values", |size| {
        let values = list("\"some value\"", size / 2);
        schema(&format!("{{\"items\":{{\"enum\":[{values}]}}}}"), &format!("[{}]", list("any", size / 2)))
    }),
    ("a schema of many values of another type", |size| {
        let values = list("\"some value\"", size / 2);
        schema(
            &format!("{{\"items\":{{\"type\":\"string\",\"enum\":[{values}]}}}}"),
            &format!("[{}]", list("12345", size / 2)),
        )
    }),
    ("a schema of many branches", |size| {
        let branches = list("{\"required\":[\"a\"]},{\"enum\":[\"b\"]}", size / 2);
        schema(&format!("{{\"items\":{{\"anyOf\":[{branches}]}}}}"), &format!("[{}]", list("{}", size / 2)))
    }),
    ("a schema of many keys", |size| {
        let mut keys = "\"\":{}".to_owned();
        for number in 0..size / 2 / 20 {
            write!(keys, ",\"k{number:x}ey\":{{\"a\":1}}").unwrap();
        }
        let unknown: Vec<_> = (0..size / 2 / 11).map(|number| format!("k{number:04x}ex: 1,")).collect();
        let one = format!("{{\"properties\":{{{keys}}},\"additionalProperties\":false}}");
        schema(&one, &format!("{{{}}}", unknown.concat()))
    }),
    ("a schema of many keys that must be there", |size| {
        let keys = list("\"a key\"", size / 2);
        schema(&format!("{{\"items\":{{\"required\":[{keys}]}}}}"), &format!("[{}]", list("{}", size / 2)))
    }),
    ("a schema of many keys that need others", |size| {
        let mut keys = "\"\":[]".to_owned();
        for number in 0..size / 2 / 13 {
            write!(keys, ",\"{number:04x}\":[\"a\"]").unwrap();
        }
        schema(
            &format!("{{\"items\":{{\"dependencies\":{{{keys}}}}}}}"),
            &format!("[{}]", list("{}", size / 2)),
        )
    }),
    // Every finding had all of it.
    ("a schema with a long description", |size| {
        let words = "long ".repeat(size / 4 / 5);
        let one = format!(
            "{{\"items\":{{\"type\":\"string\",\"x-expected\":\"{words}\",\"deprecated\":true,\"deprecated_description\":\"{words}\"}}}}"
        );
        schema(&one, &format!("[{}]", list("{},a", size / 2)))
    }),
    ("a schema of many patterns", |size| {
        let mut patterns = "\"^a\":{}".to_owned();
        for number in 0..size / 2 / 20 {
            write!(patterns, ",\"(a|b)*{number:04x}\":true").unwrap();
        }
        let keys: Vec<_> = (0..size / 2 / 11).map(|number| format!("b{number:04x}ab: 1,")).collect();
        schema(&format!("{{\"patternProperties\":{{{patterns}}}}}"), &format!("{{{}}}", keys.concat()))
    }),
    ("a schema with patterns that repeat repetitions", |size| {
        let pattern = |length: usize| format!("{{\"pattern\":\"((a{{1,{length}}}b?){{1,9}}c?){{1,9}}d\"}}");
        let patterns: Vec<_> = (1..size / 2 / 40).map(|number| pattern(number % 90 + 1)).collect();
        let text = format!("\"{}\"", "a".repeat(1000));
        schema(
            &format!("{{\"items\":{{\"allOf\":[{}]}}}}", patterns.join(",")),
            &format!("[{}]", list(&text, size / 2)),
        )
    }),
    ("line ends of YAML 1.1", |size| {
        format!("#cloud-config\na: x\n{}", "- é\u{2028}\u{85}".repeat(size / 9))
    }),
    ("halves of characters", |size| format!("#cloud-config\na: \"{}\"\n", "\\ud83d".repeat(size / 6))),
    ("many anchors", |size| {
        let mut text = "#cloud-config\n".to_owned();
        for number in 0..size / 20 {
            writeln!(text, "k{number:04x}: !!str &a{number:04x} x").unwrap();
        }
        text
    }),
    ("anchors of one name", |size| format!("#cloud-config\na:\n{}", "- &a x\n".repeat(size / 7))),
    ("keys over two lines", |size| format!("#cloud-config\na: {{{}}}\n", "a\n b: 1,".repeat(size / 8))),
    ("short options in one argument", |size| format!("-{}H", "v".repeat(size))),
    ("arguments and values", |size| "--net\0x\0-v\0y\0".repeat(size / 13)),
    ("words of mkisofs", |size| format!("{MKISOFS}0{}d\n\nf", "-quiet\n".repeat(size / 7))),
    ("words of mkisofs that begin several options", |size| {
        format!("{MKISOFS}0{}d\n\nf", "-qui\n-JRlf\n".repeat(size / 11))
    }),
    ("files in the directory of a config drive", |size| {
        let names: Vec<_> =
            (0..size / 23).map(|number| format!("openstack/content/{number:04x}\n")).collect();
        format!("{SEED}openstack/latest/user_data\n{}", names.concat())
    }),
    ("names in the directory of a seed that are almost right", |size| {
        // Some letters of each are in upper case.
        let name = |number: usize| {
            let letters = "network-config".char_indices();
            let upper =
                |(at, it): (usize, char)| if number >> at & 1 == 1 { it.to_ascii_uppercase() } else { it };
            letters.map(upper).collect::<String>() + ".yaml\n"
        };
        format!("{SEED}user-data\n{}", (0..size / 20).map(name).collect::<String>())
    }),
    ("names that genisoimage shortens to one", |size| lines_of_names("0-R\n-J\nd\n", size / 30)),
    ("names that xorrisofs shortens to one", |size| lines_of_names("1-J\nd\n", size / 30)),
    ("names that genisoimage shortens to one of 31 characters", |size| {
        let names = (0..size / 128).map(|number| format!("{}{number:04}\n", "n".repeat(124)));
        format!("{MKISOFS}0-R\n-l\nd\n\n{}", names.collect::<String>())
    }),
    ("long names of level 4", |size| {
        let names = (0..size / 256).map(|number| format!("{number:04}{}\n", "n".repeat(251)));
        format!("{MKISOFS}0-R\n-iso-level\n4\nd\n\n{}", names.collect::<String>())
    }),
    ("directories of mkisofs below one another", |size| {
        let names = (0..size / 1200).map(|number| format!("{number:03}/{}f\n", "a/".repeat(62)));
        let names = names.collect::<String>();
        format!("{MKISOFS}0-R\n-J\nd\n\n{names}{}", "f\n".repeat((size - names.len()) / 2))
    }),
    ("a pattern of mkisofs with many stars", |size| {
        let name = format!("{}\n", "a".repeat(255));
        format!("{MKISOFS}0-R\n-m\n{}b\nd\n\n{}", "*a".repeat(size / 4), name.repeat(size / 512))
    }),
    ("a pattern of mkisofs with a long part behind a star", |size| {
        let name = format!("{}\n", "a".repeat(255));
        format!("{MKISOFS}1-m\n*{}b\nd\n\n{}", "[[:alpha:]a-z]".repeat(size / 28), name.repeat(size / 512))
    }),
    ("patterns of mkisofs and names", |size| {
        let patterns = "-m\n*a*b*\n".repeat(size / 18);
        format!("{MKISOFS}0{patterns}d\n\n{}", format!("{}\n", "a".repeat(63)).repeat(size / 128))
    }),
    ("patterns of mkisofs without a special character, and names", |size| {
        let patterns = (0..size / 24).map(|number| format!("-x\nname{number:04}\n"));
        let names = (0..size / 24).map(|number| format!("named{number:04}\n"));
        format!("{MKISOFS}0{}d\n\n{}", patterns.collect::<String>(), names.collect::<String>())
    }),
    ("patterns of mkisofs whose brackets are not closed", |size| {
        let halves = ["[".repeat(size / 4), "[[:x".repeat(size / 16), "[\\]".repeat(size / 12)];
        format!("{MKISOFS}0-m\n{}\nd\n\nf", halves.join("\n-m\n"))
    }),
    ("pairs of names of xorrisofs that begin in the same way", |size| {
        let pairs = (0..size / 20).map(|number| format!("abcd{number:04x}\nABCD{number:04X}x\n"));
        format!("{MKISOFS}1d\n\n{}", pairs.collect::<String>())
    }),
    ("graft points", |size| format!("{MKISOFS}0-graft-points\nd\n\n{}", "a/../b\\==x\n".repeat(size / 12))),
    ("a manifest of strings", |size| {
        format!("{{\"user_provided_metadata\":[{}],\"version\":1}}", list("\"\"", size))
    }),
];

/// An input of mkisofs with so many names that begin with the same characters, behind these words.
fn lines_of_names(words: &str, count: usize) -> String {
    let names = (0..count).map(|number| format!("configuration-file-{number:05}.txt\n"));
    format!("{MKISOFS}{words}\n{}", names.collect::<String>())
}

/// A name, and what makes a FAT image of about so many bytes.
type ImageGenerator = (&'static str, fn(usize) -> Vec<u8>);

/// These follow the others in number.
const IMAGES: &[ImageGenerator] = &[
    ("a FAT image of many short names", |size| fat_image(size, |number| format!("N{number:07}"))),
    ("a FAT image of many long names", |size| {
        fat_image(size, |number| format!("{number:04}{}", "n".repeat(200)))
    }),
    ("a FAT image of many directories", |size| fat_image(size / 9, |number| format!("d{number:04}/f"))),
    ("a FAT image of directories below one another", |size| {
        fat_image(size / 64, |number| format!("{number}/{}f", "d/".repeat(60)))
    }),
    ("a FAT image whose clusters are all apart", scattered),
    ("a FAT image with little but its table, whose clusters are all apart", table_alone),
];

/// A FAT image of empty files with these names.
fn fat_image(size: usize, name: impl Fn(usize) -> String) -> Vec<u8> {
    let entries = 2 + name(0).len() / 13;
    let files = (0..(size / 32 / entries).max(1))
        .map(|number| (name(number).into_bytes(), Source::Bytes(Vec::new())));
    let recipe = Recipe {
        files: files.collect(),
        file_system: FileSystem::Fat,
        ..Recipe::new(Source::Bytes(vec![b'x']))
    };
    let mut image = Vec::new();
    recipe.write_to(&mut image).unwrap();
    image
}

/// A FAT12 image of one file, whose clusters are in the opposite order.
fn scattered(size: usize) -> Vec<u8> {
    let data = Source::Bytes(vec![b'x'; size]);
    let mut image = Vec::new();
    let recipe = Recipe { file_system: FileSystem::Fat, ..Recipe::new(data) };
    recipe.write_to(&mut image).unwrap();
    let clusters = size.div_ceil(512 * usize::from(image[13]));
    for cluster in 2..2 + clusters {
        let next = if cluster == 2 { 0xfff } else { u16::try_from(cluster - 1).unwrap() };
        let at = 512 + cluster * 3 / 2;
        let old = u16::from_le_bytes([image[at], image[at + 1]]);
        let new = if cluster.is_multiple_of(2) { old & 0xf000 | next } else { old & 0xf | next << 4 };
        image[at..at + 2].copy_from_slice(&new.to_le_bytes());
    }
    let entry = image.chunks(32).position(|entry| entry.starts_with(b"CONFIG     ")).unwrap() * 32;
    image[entry + 26..entry + 28].copy_from_slice(&u16::try_from(clusters + 1).unwrap().to_le_bytes());
    image
}

/// A FAT32 image of files whose clusters are in the opposite order, and which reach past its end. Each is as long as the image.
fn table_alone(size: usize) -> Vec<u8> {
    const SECTOR: usize = 512;
    let sectors = size / SECTOR;
    let table_sectors = sectors * 3 / 4;
    let mut image = vec![0; sectors * SECTOR];
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    let number = |number: usize| u32::try_from(number).unwrap().to_le_bytes();
    let (clusters, root_clusters) = (table_sectors * SECTOR / 4 - 2, sectors / 8);
    put(0, b"\xeb\x58\x90");
    put(11, &[0, 2, 1, 1, 0, 1, 0, 0, 0, 0, 0xf8]);
    put(32, &number(1 + table_sectors + clusters));
    put(36, &number(table_sectors));
    put(44, &number(2));
    put(510, b"\x55\xaa");
    let mut set = |cluster: usize, next: usize| put(SECTOR + cluster * 4, &number(next));
    (2..=root_clusters).for_each(|cluster| set(cluster, cluster + 1));
    set(1 + root_clusters, 0x0fff_ffff);
    let chains = (2 + root_clusters..2 + clusters).collect::<Vec<_>>();
    let chains = chains.chunks_exact(sectors).take(root_clusters * 16);
    for chain in chains.clone() {
        set(chain[0], 0x0fff_ffff);
        chain.windows(2).for_each(|pair| set(pair[1], pair[0]));
    }
    for (index, chain) in chains.enumerate() {
        let at = (1 + table_sectors) * SECTOR + index * 32;
        let first = number(chain[sectors - 1]);
        put(at, format!("F{index:07}   \x20").as_bytes());
        put(at + 20, &first[2..]);
        put(at + 26, &first[..2]);
        put(at + 28, &number(sectors * SECTOR));
    }
    image
}

/// The name of an input, and what it is.
fn generate(index: usize, size: usize) -> (&'static str, Vec<u8>) {
    match index.checked_sub(GENERATORS.len()) {
        None => (GENERATORS[index].0, GENERATORS[index].1(size).into_bytes()),
        Some(index) => (IMAGES[index].0, IMAGES[index].1(size)),
    }
}

/// Reads an image as a guest and a host do, and builds it again with another file.
fn read_image(image: &[u8]) {
    let mut image = Image::from_reader(Cursor::new(image)).unwrap();
    let (_, records) = image.list().unwrap();
    if !records.iter().all(|record| image.holds(record)) {
        return;
    }
    drop(check_image(&mut image, None).unwrap());
    drop(Contents::read(&mut image, |_, _| Vec::new(), 0, &mut ()).unwrap());
    let change =
        ImageChange { files: vec![(b"new".to_vec(), Source::Bytes(Vec::new()))], ..ImageChange::default() };
    let changed = change.apply(&mut image, &mut ()).unwrap();
    changed.draft.write_forward(&mut std::io::sink(), &mut ()).unwrap();
}

/// `item`, repeated with commas between up to about so many bytes.
fn list(item: &str, bytes: usize) -> String {
    vec![item; bytes / (item.len() + 1)].join(",")
}

/// A line of a batch with these further files.
fn line_of_files(names: impl Iterator<Item = String>) -> String {
    let files: Vec<_> = names.map(|name| format!("\"{name}\":\"f\"")).collect();
    format!("{{\"image\":\"c\",\"data\":\"\",\"files\":{{{}}}}}", files.join(","))
}

/// The line with as much data as it takes to have so many bytes.
fn padded(line: &str, size: usize) -> String {
    let data = "x".repeat(size - line.len());
    line.replace("\"data\":\"\"", &format!("\"data\":\"{data}\""))
}

/// A config tree of many levels with `inner` at the bottom.
fn nested(name: &str, inner: &str) -> String {
    format!("{}{inner}{}", format!("{{\"{name}\":{{\"entries\":").repeat(LEVELS), "}}".repeat(LEVELS))
}

/// A schema of the key `a`, and a value of it.
fn schema(of_a: &str, value: &str) -> String {
    format!("{{\"properties\":{{\"a\":{of_a}}}}}{SCHEMA_END}a: {value}\n")
}

/// Does all that a guest or a host does with text of others, and shows every finding in one line.
fn work(text: &str) {
    let mut rules = vec![(text.to_owned(), Rules::default())];
    if let Some((schema, document)) = text.split_once(SCHEMA_END)
        && let Ok(schema) = Schema::parse(schema.as_bytes())
    {
        let schema = Some(Arc::new(schema));
        rules.push((format!("#cloud-config\n{document}"), Rules { schema, ..Rules::default() }));
    }
    let subjects = [
        Subject::UserData(None),
        Subject::UserData(Some(Layout::LinuxKit)),
        Subject::UserData(Some(Layout::NoCloud)),
        Subject::MetaData(Layout::NoCloud),
        Subject::MetaData(Layout::ConfigDrive),
        Subject::NetworkConfig,
        Subject::NetworkData,
        Subject::VendorData(Layout::ConfigDrive),
    ];
    let mut shown = 0;
    for (text, rules) in rules {
        for subject in subjects {
            for checked in check_whole(text.as_bytes(), subject, None, &rules) {
                let lines = Lines::of(&checked.text);
                let said = checked.findings.iter().map(|finding| finding.in_one_line("f", &lines).len());
                shown += said.sum::<usize>();
            }
        }
    }
    for key in ["local-hostname", "a"] {
        shown += with_member(text, key, "web").map_or(0, |edited| edited.len());
    }
    let plan = InstallPlan::new(Some(text.as_bytes()), ConfigTree::default());
    shown += plan.lines("f").map(|(_, line)| line.len()).sum::<usize>() + plan.losses().len();
    drop(plan.list());
    let mut found = Metadata { meta_data: Some(text.into()), ..Metadata::default() };
    found.parse_meta_data(&mut |_, line| shown += line.len());
    drop(admission::input(&found, None));
    drop((Manifest::parse(text.as_bytes()), Signature::parse(text.as_bytes())));
    drop((AllowedSigners::parse("f", text), Revoked::parse(text.as_bytes())));
    crate::fuzz_targets::localds::run(text.as_bytes());
    assert!(shown < usize::MAX);
}

/// Builds images of lines with `text` as data, as a line, and as every field.
fn build(text: &str) {
    let directory = tempfile::tempdir_in("/dev/shm").unwrap();
    let data = serde_json::to_string(text).unwrap();
    let line = |layout: &str| format!("{{\"image\":\"a-{layout}\",\"layout\":\"{layout}\",\"data\":{data}}}");
    let lines = [line("linuxkit"), line("nocloud"), text.to_owned()].join("\n");
    let options = batch::BatchOptions {
        into: directory.path().to_owned(),
        lines: None,
        jobs: NonZero::<usize>::MIN,
        shard: batch::Shard::ALL,
        keep_going: true,
        force: false,
        tolerance: metadata_image::check::Tolerance::Usual,
        digests: false,
        sync: false,
        seconds: None,
    };
    let input = batch::Input::Stream(Box::new(Cursor::new(lines.into_bytes())));
    let summary = batch::run(input, &options, &mut |_| Ok(())).unwrap();
    assert!(summary.built + summary.faulty >= 2, "{summary:?}");
}

/// Writes a file of the seed that [`build_seed`] builds.
fn write_file_of_seed(name: &str) {
    let path = Path::new("seed").join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "#cloud-config\n").unwrap();
}

/// Builds the image of the seed, as `create --from` does.
fn build_seed() {
    let recipe = Recipe::of_seed(Path::new("seed"), None).unwrap();
    let mut prepared = Prepared::new(recipe).unwrap();
    prepared.check(|_| Ok(())).unwrap();
    prepared.draft.write_forward(&mut std::io::sink(), &mut ()).unwrap();
}

/// What an input cost.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Cost {
    /// Bytes of the input.
    size: usize,
    /// Bytes on the heap at most.
    heap: usize,
    processor_time: Duration,
}

impl Cost {
    const VARIABLE: &str = "METADATA_TEST_BOUNDED";

    /// That of an input of this size, in a process of its own.
    fn of(generator: usize, size: usize) -> Self {
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "bounded::cost_of_one_input", "--ignored", "--nocapture"])
            .env(Self::VARIABLE, format!("{generator} {size}"))
            .stderr(Stdio::inherit())
            .output()
            .unwrap();
        let said = String::from_utf8(child.stdout).unwrap();
        assert!(child.status.success(), "{} of {size} bytes: {said}", generate(generator, size).0);
        let line = said.lines().find_map(|line| line.strip_prefix("cost ")).unwrap();
        let (heap, nanoseconds) = line.split_once(' ').unwrap();
        Self {
            size,
            heap: heap.parse().unwrap(),
            processor_time: Duration::from_nanos(nanoseconds.parse().unwrap()),
        }
    }

    /// The same with the processor time of `other`, if that is less.
    fn least(self, other: Self) -> Self {
        Self { processor_time: self.processor_time.min(other.processor_time), ..self }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} kB, {:.3} s", self.heap / 1000, self.processor_time.as_secs_f64())
    }
}

/// The child of [`Cost::of`].
#[test]
#[ignore = "the other tests here run it with an input"]
fn cost_of_one_input() {
    let Some(input) = env::var(Cost::VARIABLE).ok() else { return };
    let (generator, size) = input.split_once(' ').unwrap();
    let generator: usize = generator.parse().unwrap();
    let (_, input) = generate(generator, size.parse().unwrap());
    // The file that lines name. This process has no other test.
    let directory = tempfile::tempdir().unwrap();
    env::set_current_dir(&directory).unwrap();
    fs::write("f", "x").unwrap();
    let seed = str::from_utf8(&input).ok().and_then(|text| text.strip_prefix(SEED));
    seed.into_iter().flat_map(str::lines).for_each(write_file_of_seed);
    let processor_time = || Duration::try_from(clock_gettime(ClockId::ProcessCPUTime)).unwrap();
    HEAP.reset_peak_usage();
    let (heap, time) = (HEAP.current_usage(), processor_time());
    if generator < GENERATORS.len() {
        let text = str::from_utf8(&input).unwrap();
        if let Some(input) = text.strip_prefix(MKISOFS) {
            mkisofs::run(input.as_bytes());
        } else if seed.is_some() {
            build_seed();
        } else {
            work(text);
            build(text);
        }
    } else {
        read_image(&input);
    }
    let time = processor_time().checked_sub(time).unwrap();
    println!("cost {} {}", HEAP.peak_usage() - heap, time.as_nanos());
}

#[test]
fn time_and_memory_grow_with_the_bytes_given() {
    const SIZE: usize = 64 << 10;
    /// Times that an input is measured again when it took too long.
    const TRIES: usize = 5;
    // In a debug build, whose code is not optimised.
    let slower = if cfg!(debug_assertions) { 10 } else { 1 };
    for index in 0..GENERATORS.len() + IMAGES.len() {
        let (name, made) = generate(index, SIZE);
        let made = made.len();
        assert!((SIZE / 2..=SIZE + SIZE / 4).contains(&made), "{name}: {made} bytes");
        let mut costs = [SIZE / 4, SIZE].map(|size| Cost::of(index, size));
        // What any input takes is no growth.
        let heap = costs[0].heap.max(4 << 20);
        assert!(costs[1].heap <= (5 * heap).min(100_000_000), "{name}: {}; {}", costs[0], costs[1]);
        let is_bounded = |[small, large]: [Cost; 2]| {
            // Nor is the renaming by hadris, which is quadratic up to a number of names (image/iso9660/renaming.rs).
            let time = small.processor_time.max(slower * Duration::from_millis(40));
            large.processor_time <= (5 * time).min(slower * Duration::from_secs(1))
        };
        // Others on the machine can only make it slower, so that the least time of several is the one of the input.
        for _ in 0..TRIES {
            if is_bounded(costs) {
                break;
            }
            costs = costs.map(|cost| cost.least(Cost::of(index, cost.size)));
        }
        println!("{name}: {}; {}", costs[0], costs[1]);
        assert!(is_bounded(costs), "{name}: {}; {}", costs[0], costs[1]);
    }
}

#[test]
#[ignore = "needs GNU time"]
fn the_program_takes_no_more_for_what_it_prints() {
    let sandbox = Sandbox::on_tmpfs();
    for (name, generate) in GENERATORS {
        sandbox.write("input", generate(cases(32 << 10, 64 << 10)));
        for arguments in [
            &["check", "input"] as &[_],
            &["check", "--json", "--as", "cloud-init", "input"],
            &["check", "--as", "meta-data", "input"],
            &["apply", "input", "out"],
            &["agent", "--root", "out", "--json", "file=input"],
            &["create", "--lenient", "-l", "nocloud", "--data-file", "input", "--force", "out.iso"],
            &["create", "--lenient", "out.iso", "x", "-l", "nocloud", "--meta-data", "input", "--force"],
            &["agent", "--root", "out", "--json", "file=out.iso"],
        ] {
            let program = assert_cmd::cargo::cargo_bin!("metadata").to_str().unwrap();
            let time = ["-q", "-f", "%U %S %M", "-o", "cost", program];
            let mut command = Command::new("time");
            command.current_dir(sandbox.path("")).args(time).args(arguments);
            let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
            assert!(matches!(status.code(), Some(0 | 1)), "{name}: {arguments:?}: {status}");
            let cost = String::from_utf8(sandbox.read("cost")).unwrap();
            let cost: Vec<f64> = cost.split_whitespace().map(|number| number.parse().unwrap()).collect();
            let slower = if cfg!(debug_assertions) { 10.0 } else { 1.0 };
            assert!(cost[0] + cost[1] <= slower, "{name}: {arguments:?}: {cost:?}");
            assert!(cost[2] <= 100_000.0, "{name}: {arguments:?}: {cost:?}");
        }
    }
}

#[test]
fn nesting_takes_no_stack() {
    const LEVELS: usize = 100_000;
    let deep = [
        format!("#cloud-config\n{}", "- ".repeat(LEVELS)),
        format!("#cloud-config\n{}", "? ".repeat(LEVELS)),
        format!("#cloud-config\n{}", "- ? ".repeat(LEVELS)),
        format!("#cloud-config\na: {}", "[".repeat(LEVELS)),
        format!("#cloud-config\na: {}", "{a: ".repeat(LEVELS)),
        format!("#cloud-config\n{}x\n", "&a - ".repeat(LEVELS)),
        format!("{}{}", "[".repeat(LEVELS), "]".repeat(LEVELS)),
        format!("{{\"a\":{}{}}}", "[".repeat(LEVELS), "]".repeat(LEVELS)),
        format!("{}{{}}{}", "{\"a\":{\"entries\":".repeat(LEVELS), "}}".repeat(LEVELS)),
        nested("a", "{}"),
    ];
    // As small as that of a thread that builds images.
    let work = move || {
        for text in &deep {
            work(text);
            build(text);
        }
    };
    thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap();
}
