//! Inputs that are text: user data, meta-data, lines of a batch, schemas, manifests and command lines of mkisofs.

use std::fmt::Write as _;

/// A name, and what makes an input of about so many bytes.
pub(super) type Generator = (&'static str, fn(usize) -> String);

/// The head of a MIME document.
const MIME: &str = "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n";

/// What divides a schema from the document that is judged by it.
pub(super) const SCHEMA_END: &str = "\n---\n";

/// What begins an input that is a command line of mkisofs and names of files.
pub(super) const MKISOFS: &str = "mkisofs ";

/// What begins an input that is names of files in the directory of a seed.
pub(super) const SEED: &str = "seed ";

/// How deep a config tree may be.
const LEVELS: usize = 127;

pub(super) const GENERATORS: &[Generator] = &[
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
pub(super) fn nested(name: &str, inner: &str) -> String {
    format!("{}{inner}{}", format!("{{\"{name}\":{{\"entries\":").repeat(LEVELS), "}}".repeat(LEVELS))
}

/// A schema of the key `a`, and a value of it.
fn schema(of_a: &str, value: &str) -> String {
    format!("{{\"properties\":{{\"a\":{of_a}}}}}{SCHEMA_END}a: {value}\n")
}
