//! Cloud configurations beside cloud-init's own `schema` command, which `scripts/get-cloud-init` unpacks.

mod documents;
mod judge;
mod keywords;
mod mutation;
mod opinion;
mod parts;
mod spelling;
mod tree;

use std::{collections::BTreeMap, env, fs};

use documents::{CLOUD_CONFIG, Document, NETWORK_CONFIG, Verdict, documents, right_files};
use judge::{Judge, Judgement};
use mutation::mutate;
use opinion::{Opinion, SecondOpinion};
use serde_json::Value;
use spelling::Node;
use tree::Tree;

use crate::{
    signers::{Random, SEED},
    support::cases,
};

/// How often a valid document is changed, and how often in `scripts/test --all`.
const MUTATIONS: [usize; 2] = [2_000, 4_000];

/// How often a valid network configuration is changed, likewise.
const NETWORK_MUTATIONS: [usize; 2] = [1_000, 1_500];

/// The least part of what cloud-init rejects that must have a finding, in percent.
const FOUND_MIN: usize = 95;

#[test]
fn documents_are_what_they_say() {
    let mut faults = Vec::new();
    for document in documents() {
        let opinion = Opinion::of(&document.text);
        faults.extend(document.differences(&opinion.findings));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// How often each document is written in another way.
const SPELLINGS: usize = 10;

/// What a document is told does not depend on how it is written.
#[test]
fn order_quotes_and_flow_style_change_nothing() {
    let seed = env::var("SEED").ok().map_or(SEED, |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    let mut random = Random::new(seed);
    let mut faults = Vec::new();
    let mut count = 0;
    for document in documents() {
        let Some(node) = Node::of(&document.text) else { continue };
        count += 1;
        for _ in 0..SPELLINGS {
            let text = format!("{}\n{}", document.header(), node.clone().spelt(&mut random));
            let differences = document.differences(&Opinion::of(&text).findings);
            faults.extend(differences.into_iter().map(|difference| format!("{difference}\n{text}")));
        }
    }
    assert!(count > 200, "{count} documents");
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}

/// Whole files that are right stay so.
#[test]
fn files_that_are_right_stay_so_however_they_are_written() {
    let seed = env::var("SEED").ok().map_or(SEED, |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    let mut random = Random::new(seed);
    let mut count = 0;
    for (name, header, text) in right_files() {
        let Some(node) = Node::of(&text) else { continue };
        count += 1;
        for _ in 0..SPELLINGS {
            let text = format!("{header}\n{}", node.clone().spelt(&mut random));
            let opinion = Opinion::of(&text);
            assert!(opinion.findings.is_empty(), "{name}: {opinion:?}\n{text}");
        }
    }
    assert!(count > 0, "no file");
}

#[test]
#[ignore = "needs cloud-init"]
fn documents_are_what_cloud_init_says() {
    let mut judge = Judge::new();
    let second = SecondOpinion::new();
    for Document { name, text, verdict, .. } in documents() {
        let judged = judge.ask(&text);
        let accepted = matches!(
            verdict,
            Verdict::Valid | Verdict::Deprecated | Verdict::DeprecatedLater | Verdict::Unseen
        );
        assert_eq!(judged.accepted, accepted, "{name}: {:?}", judged.errors);
        if text.starts_with(NETWORK_CONFIG) {
            continue;
        }
        assert_eq!(verdict == Verdict::Deprecated, !judged.deprecations.is_empty(), "{name}: deprecations");
        if let Some(value) = judged.value {
            assert_eq!(verdict == Verdict::Invalid, !second.is_valid(&value), "{name}: second opinion");
        }
    }
}

/// All strings and keys are quoted in these forms.
#[test]
#[ignore = "needs cloud-init"]
fn order_and_style_change_nothing() {
    let mut judge = Judge::new();
    let mut faults = Vec::new();
    for document in documents() {
        let Some(value) = judge.ask(&document.text).value else { continue };
        let tree = Tree::from(&value);
        let header = document.header();
        for tree in [tree.reversed(), tree] {
            for text in [tree.to_yaml(header), tree.to_flow_yaml(header)] {
                let differences = document.differences(&Opinion::of(&text).findings);
                faults.extend(differences.into_iter().map(|difference| format!("{difference}\n{text}")));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What cloud-init's package has for people to start from.
#[test]
#[ignore = "needs cloud-init"]
fn nothing_is_wrong_with_the_examples_of_cloud_init() {
    let mut judge = Judge::new();
    let mut count = 0;
    for entry in fs::read_dir(Judge::examples()).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap_or_default();
        if text.starts_with("#cloud-config\n") && judge.ask(&text).accepted {
            let opinion = Opinion::of(&text);
            assert!(!opinion.has_errors() && !opinion.rejects(), "{}: {opinion:?}", path.display());
            count += 1;
        }
    }
    assert!(count > 20, "{count} examples");
}

#[test]
#[ignore = "needs cloud-init"]
fn mutations_are_found_where_cloud_init_rejects_them() {
    let second = SecondOpinion::new();
    mutations(CLOUD_CONFIG, MUTATIONS, |opinion, value| second.is_valid(value) != opinion.rejects());
}

#[test]
#[ignore = "needs cloud-init"]
fn mutations_of_network_configurations_are_found_where_cloud_init_rejects_them() {
    mutations(NETWORK_CONFIG, NETWORK_MUTATIONS, |_, _| true);
}

/// Changes documents with this first line, and compares what is found with cloud-init's judgement and a second opinion, which
/// agrees or not.
fn mutations(header: &str, [some, all]: [usize; 2], agrees: impl Fn(&Opinion, &Value) -> bool) {
    let seed = env::var("SEED").ok().map_or(SEED, |seed| seed.parse().unwrap());
    let count = env::var("MUTATIONS").ok().map_or_else(|| cases(some, all), |count| count.parse().unwrap());
    let mut random = Random::new(seed);
    let mut judge = Judge::new();
    let valid = valid(header, &mut judge);
    let mut tally = Tally::default();
    for _ in 0..count {
        let (name, tree) = &valid[random.below(valid.len())];
        let mut tree = tree.clone();
        let mut kind = mutate(&mut tree, &valid, &mut random);
        if random.once_in(4) {
            kind = mutate(&mut tree, &valid, &mut random);
        }
        let text = tree.to_yaml(header);
        let judged = judge.ask(&text);
        let opinion = Opinion::of(&text);
        if judged.value.as_ref().is_some_and(|value| !agrees(&opinion, value)) {
            tally.faults.push(format!("another second opinion: {name}, {kind}: {opinion:?}\n{text}"));
        }
        tally.count(&judged, &opinion, &format!("{name}, {kind}"), &text);
    }
    tally.report(seed, count);
}

/// The valid documents with this first line, and their names.
fn valid(header: &str, judge: &mut Judge) -> Vec<(String, Tree)> {
    documents()
        .filter(|document| document.header() == header)
        .filter(|document| {
            matches!(document.verdict, Verdict::Valid | Verdict::Deprecated | Verdict::DeprecatedLater)
        })
        .map(|document| (document.name, Tree::from(&judge.ask(&document.text).value.unwrap())))
        .collect()
}

#[derive(Default)]
struct Tally {
    accepted: usize,
    rejected: usize,
    found: usize,
    /// What must not be.
    faults: Vec<String>,
    /// What cloud-init rejects and has no finding, and how often.
    misses: BTreeMap<String, usize>,
}

impl Tally {
    fn count(&mut self, judged: &Judgement, opinion: &Opinion, name: &str, text: &str) {
        if judged.accepted {
            self.accepted += 1;
            if opinion.has_errors() {
                self.faults.push(format!("a false alarm: {name}: {opinion:?}\n{text}"));
            }
            return;
        }
        self.rejected += 1;
        if opinion.findings.is_empty() {
            // One error of cloud-init may list all modules.
            let errors: String = judged.errors.join("; ").chars().take(300).collect();
            *self.misses.entry(format!("{name}: {errors}")).or_default() += 1;
        } else {
            self.found += 1;
        }
    }

    fn report(self, seed: u64, count: usize) {
        let Self { accepted, rejected, found, faults, misses } = self;
        println!("SEED={seed} MUTATIONS={count}");
        println!("cloud-init accepts {accepted} and rejects {rejected}, of which {found} have a finding");
        let mut misses: Vec<_> = misses.into_iter().collect();
        misses.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        for (miss, count) in misses.iter().take(40) {
            println!("missed {count} times: {miss}");
        }
        assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
        assert!(accepted > 0 && found * 100 >= rejected * FOUND_MIN, "{found} of {rejected}");
    }
}
