//! PyYAML as the judge of what documents mean.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value as Json, json};

use super::{
    tree::{Kind, NodeId, Tree, Value},
    *,
};

/// What PyYAML makes of the documents: a list of its type and value, or `null` if it refuses it.
fn py_yaml(documents: &[String]) -> Vec<Json> {
    const SCRIPT: &str = r"
import datetime, json, math, sys, yaml
def shown(it):
    if it is None: return ['null']
    if it is True or it is False: return ['boolean', it]
    if isinstance(it, int): return ['integer', str(max(min(it, 2**127 - 1), 1 - 2**127))]
    if isinstance(it, float): return ['float', 'nan' if math.isnan(it) else it.hex()]
    if isinstance(it, str): return ['string', it]
    if isinstance(it, bytes): return ['binary']
    if isinstance(it, datetime.datetime): return ['time']
    if isinstance(it, datetime.date): return ['date']
    if isinstance(it, list): return ['list', [shown(x) for x in it]]
    if isinstance(it, dict): return ['mapping', sorted(([shown(k), shown(v)] for k, v in it.items()), key=json.dumps)]
    return ['unknown']
answers = []
for text in json.load(sys.stdin):
    try:
        answers.append(shown(yaml.safe_load(text)))
    except Exception as e:
        answers.append(None)
json.dump(answers, sys.stdout)
";
    let mut python = Command::new("python3")
        .args(["-c", SCRIPT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let input = serde_json::to_vec(documents).unwrap();
    python.stdin.take().unwrap().write_all(&input).unwrap();
    let output = python.wait_with_output().unwrap();
    assert!(output.status.success(), "python3 with PyYAML is needed");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The same of a tree.
fn shown(tree: &Tree<'_>, node: NodeId) -> Json {
    match tree.value(node) {
        Value::Unknown => json!(["unknown"]),
        Value::Scalar(scalar) => match scalar.kind {
            Kind::Null => json!(["null"]),
            Kind::Boolean(value) => json!(["boolean", value]),
            Kind::Integer(value) => json!(["integer", value.to_string()]),
            Kind::Float(value) => json!(["float", value.to_bits().to_string()]),
            Kind::String => json!(["string", scalar.text]),
            Kind::Binary => json!(["binary"]),
            Kind::Date => json!(["date"]),
            Kind::Timestamp => json!(["time"]),
        },
        Value::Sequence(items) => {
            json!(["list", items.iter().map(|&item| shown(tree, item)).collect::<Vec<_>>()])
        }
        Value::Mapping(members) => {
            let mut members: Vec<_> = members
                .iter()
                .map(|member| json!([shown(tree, member.key), shown(tree, member.value)]))
                .collect();
            members.sort_by_key(ToString::to_string);
            json!(["mapping", members])
        }
    }
}

/// The findings' errors as `null`, the only document, or a text that tells what the crate does not accept.
fn ours(text: &str) -> Result<Json, String> {
    let mut findings = Vec::new();
    let tree = check_document(text, "it", &mut findings);
    let error = findings.iter().find(|it| it.code.name() != "duplicate-key");
    match (error, tree) {
        (Some(finding), None) => Err(finding.message.clone()),
        (Some(_), Some(_)) => Ok(Json::Null),
        (None, Some(tree)) if text_is_empty(&tree) => Ok(json!(["null"])),
        (None, Some(tree)) => Ok(shown(&tree, tree.root())),
        (None, None) => Ok(json!(["unknown"])),
    }
}

fn text_is_empty(tree: &Tree<'_>) -> bool {
    tree.len() == 1
        && matches!(tree.value(tree.root()), Value::Mapping(_))
        && tree.span(tree.root()) == (0..0)
}

/// Numbers from a seed (`SplitMix64`).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % end as u64).unwrap()
    }

    fn of<'t, T: ?Sized>(&mut self, all: &[&'t T]) -> &'t T {
        all[self.below(all.len())]
    }
}

fn seed() -> u64 {
    // The same in every run, as in the other comparisons with foreign programs.
    const SEED: u64 = 20_261_125;
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(SEED);
    println!("SEED={seed}");
    seed
}

/// How many documents are drawn: some, or `all` of them in `scripts/test --all`.
fn cases(some: usize, all: usize) -> usize {
    if std::env::var_os("METADATA_TEST_ALL").is_some() { all } else { some }
}

/// Floats as bits, and members in the order of [`shown`].
fn normalized(answer: &mut Json) {
    let Json::Array(parts) = answer else { return };
    for part in &mut *parts {
        normalized(part);
    }
    match parts.first().and_then(Json::as_str) {
        Some("float") => {
            let text = parts[1].as_str().unwrap();
            let value = if text == "nan" { f64::NAN } else { of_hex(text) };
            parts[1] = json!(value.to_bits().to_string());
        }
        Some("mapping") => parts[1].as_array_mut().unwrap().sort_by_key(ToString::to_string),
        _ => {}
    }
}

/// A number as Python's `float.hex` writes it.
fn of_hex(text: &str) -> f64 {
    let (sign, text) = text.strip_prefix('-').map_or((1.0, text), |rest| (-1.0, rest));
    if text == "inf" {
        return sign * f64::INFINITY;
    }
    let (mantissa, exponent) = text.strip_prefix("0x").unwrap().split_once('p').unwrap();
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let digits = u64::from_str_radix(&format!("{whole}{fraction:0<13}"), 16).unwrap();
    #[expect(clippy::cast_precision_loss, reason = "53 bits")]
    let value = digits as f64 * 2_f64.powi(-52);
    // In two steps, as the smallest numbers have no power of two of their own.
    let exponent: i32 = exponent.parse().unwrap();
    sign * value * 2_f64.powi(exponent / 2) * 2_f64.powi(exponent - exponent / 2)
}

fn mutated(text: &str, alphabet: &[&str], random: &mut Random) -> String {
    let mut characters: Vec<_> = text.chars().collect();
    for _ in 0..=random.below(2) {
        let at = random.below(characters.len() + 1);
        match random.below(3) {
            0 if at < characters.len() => drop(characters.remove(at)),
            1 if at < characters.len() => characters[at] = random.of(alphabet).chars().next().unwrap(),
            _ => characters.splice(at..at, random.of(alphabet).chars()).for_each(drop),
        }
    }
    characters.into_iter().collect()
}

/// How often both differ.
#[derive(Debug, Default)]
struct Differences {
    /// Both accept a document and take it for different things.
    meaning: Vec<String>,
    /// Only PyYAML accepts a document.
    refused: Vec<String>,
    /// Only PyYAML refuses a document.
    accepted: Vec<String>,
    both_accept: usize,
}

impl Differences {
    fn of(documents: &[String]) -> Self {
        let mut all = Self::default();
        for (text, mut theirs) in documents.iter().zip(py_yaml(documents)) {
            normalized(&mut theirs);
            let ours = ours(text);
            let line = || format!("{text:?}: {ours:?} instead of {theirs}");
            match &ours {
                Err(_) | Ok(Json::Null) if theirs.is_null() => {}
                Err(_) | Ok(Json::Null) => all.refused.push(line()),
                Ok(_) if theirs.is_null() => all.accepted.push(line()),
                Ok(ours)
                    if *ours == theirs
                        || [ours, &theirs].iter().any(|it| it.to_string().contains("[\"unknown\"]")) =>
                {
                    all.both_accept += 1;
                }
                Ok(_) => all.meaning.push(line()),
            }
        }
        let (meaning, refused, accepted) = (all.meaning.len(), all.refused.len(), all.accepted.len());
        println!(
            "{} documents: {} are accepted by both with the same meaning",
            documents.len(),
            all.both_accept
        );
        println!("{meaning} differ in meaning, {refused} are refused and {accepted} are accepted by us only");
        for difference in all.meaning.iter().chain(&all.refused).chain(&all.accepted).take(60) {
            println!("{difference}");
        }
        all
    }
}

#[test]
#[ignore = "needs PyYAML"]
fn scalars_mean_what_they_mean_in_py_yaml() {
    const ALPHABET: &[&str] = &[
        "0", "1", "5", "6", "7", "8", "9", ":", ".", "_", "-", "+", "e", "E", "x", "b", "o", "a", "f", "T",
        "Z", " ", "n", "y", "~", "=", "<", "N", "00", "60", "e+3", "t",
    ];
    const VALID: &[&str] = &[
        "yes",
        "No",
        "ON",
        "off",
        "true",
        "False",
        "y",
        "null",
        "Null",
        "~",
        "0644",
        "0o644",
        "08",
        "0b101",
        "0x1F",
        "1_000",
        "1:30",
        "190:20:30",
        "1.5",
        ".5",
        "+.5",
        "-1.5e+3",
        "1e3",
        "1.e+3",
        ".inf",
        "-.INF",
        ".nan",
        "1:30.5",
        "2024-01-02",
        "2024-1-2",
        "2024-01-02T03:04:05Z",
        "2024-01-02 03:04:05.678 +01:30",
        "2024-02-30",
        "=",
        "<<",
        "0b_",
        "0x_",
        "0_",
        "-0",
        "1__0",
        "3.10",
        "685230",
        "12345678901234567890123",
        "4.9e-324",
        "1.7976931348623157e+309",
    ];
    let mut random = Random(seed());
    let mut documents: Vec<_> = VALID.iter().map(|text| format!("a: {text}")).collect();
    for _ in 0..cases(10_000, 40_000) {
        let scalar = if random.below(2) == 0 {
            mutated(random.of(VALID), ALPHABET, &mut random)
        } else {
            (0..=random.below(8)).map(|_| random.of(ALPHABET)).collect()
        };
        let tag = if random.below(8) == 0 {
            random.of(&["!!str ", "!!bool ", "!!null ", "!!timestamp ", "! ", "!x "])
        } else {
            ""
        };
        documents.push(format!("a: {tag}{scalar}"));
    }
    let differences = Differences::of(&documents);
    assert!(differences.both_accept > documents.len() / 4);
    assert_eq!(differences.meaning.len() + differences.refused.len() + differences.accepted.len(), 0);
}

#[test]
#[ignore = "needs PyYAML"]
fn documents_mean_what_they_mean_in_py_yaml() {
    const VALID: &[&str] = &[
        "a: 1\nb:\n  - c\n  - d: e\n    f: 'g'\n",
        "x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\n",
        "x: &x {a: 1}\ny: &y {a: 2, c: 3}\nz:\n  <<: [*x, *y]\n  d: 4\n",
        "a: |\n  text\n   more\n\nb: >-\n  folded\n  text\n",
        "a: \"x\\ty\\u00e9\\/\"\nb: 'it''s'\n",
        "- [a, b, {c: d}]\n- {e: [f], g: }\n",
        "? a\n: b\n? c\n",
        "--- # comment\na: !!str 0644\nb: !!int '0644'\nc: !!float 1\n...\n",
        "%YAML 1.1\n---\na: 1\n",
        "a: 1\na: 2\n'a': 3\n1: x\n1: y\n'1': z\n",
        "a: !!binary aGVsbG8=\nb: !!set {x, y}\nc: !!omap [a: 1]\n",
        "users:\n- name: a\n  sudo: [\"ALL=(ALL) NOPASSWD:ALL\"]\nruncmd:\n- [ls, -l]\n- echo hi\n",
        "write_files:\n- path: /x\n  permissions: 0644\n  content: |\n    a\tb\n    #c\n",
        "a: b c\n  d\nb: http://x:80/\nc: x#y\nd: x #y\n",
    ];
    const ALPHABET: &[&str] = &[
        "a", "1", ":", ": ", "-", "- ", " ", "  ", "\n", "\t", "#", " #", "[", "]", "{", "}", ",", "&", "*",
        "!", "|", ">", "'", "\"", "?", "? ", "\\", "<<", "~", "%", "@", "`", "=", "\u{1}", "é", "---\n",
        "...\n", "&x ", "*x",
    ];
    let mut random = Random(seed());
    let mut documents: Vec<_> = VALID.iter().map(|&text| text.to_owned()).collect();
    for _ in 0..cases(6_000, 20_000) {
        documents.push(mutated(random.of(VALID), ALPHABET, &mut random));
    }
    let differences = Differences::of(&documents);
    assert!(differences.both_accept > documents.len() / 4);
    // Known: a literal block without a line end at the end of the text; question marks and anchors between brackets.
    assert!(differences.meaning.len() < documents.len() / 400);
    assert!(differences.refused.len() < documents.len() / 500);
    assert!(differences.accepted.len() < documents.len() / 20);
}
