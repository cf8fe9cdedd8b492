//! Cloud configurations beside cloud-init's own `schema` command, which `scripts/get-cloud-init` unpacks.

mod documents;
mod judge;
mod keywords;
mod mutation;
mod second_opinion;
mod tree;

use std::{collections::BTreeMap, env, fs};

use documents::{Document, Verdict, documents};
use judge::Judge;
use mutation::mutate;
use second_opinion::SecondOpinion;
use tree::Tree;

use crate::signers::{Random, SEED};

/// How often a valid document is changed.
const MUTATIONS: usize = 4_000;

/// The least part of what cloud-init rejects that must have a finding, in percent.
const FOUND_MIN: usize = 95;

/// Where an error of ours stays although cloud-init's schema accepts the document, by the start of the path, and why.
const EXCEPTIONS: &[(&str, &str)] = &[];

/// The findings about one document.
#[derive(Debug, Default)]
struct Opinion {
    errors: Vec<String>,
    warnings: Vec<String>,
}

impl Opinion {
    fn is_silent(&self) -> bool {
        self.errors.is_empty() && self.warnings.is_empty()
    }

    fn excused(&self) -> bool {
        self.errors.iter().all(|error| EXCEPTIONS.iter().any(|(path, _)| error.starts_with(path)))
    }
}

#[test]
#[ignore = "needs cloud-init"]
fn documents_are_what_cloud_init_says() {
    let mut judge = Judge::new();
    let second = SecondOpinion::new();
    for Document { name, text, verdict } in documents() {
        let judged = judge.ask(&text);
        let opinion = judged.value.as_ref().map(|value| second.opinion(value));
        let accepted = matches!(verdict, Verdict::Valid | Verdict::Deprecated);
        assert_eq!(judged.accepted, accepted, "{name}: {:?}", judged.errors);
        assert_eq!(verdict == Verdict::Deprecated, !judged.deprecations.is_empty(), "{name}: deprecations");
        if let Some(opinion) = opinion {
            assert_eq!(verdict == Verdict::Invalid, !opinion.is_silent(), "{name}: {opinion:?}");
        }
    }
}

/// What cloud-init's package has for people to start from.
#[test]
#[ignore = "needs cloud-init"]
fn nothing_is_wrong_with_the_examples_of_cloud_init() {
    let mut judge = Judge::new();
    let second = SecondOpinion::new();
    let mut count = 0;
    for entry in fs::read_dir(Judge::examples()).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap_or_default();
        if !text.starts_with("#cloud-config\n") {
            continue;
        }
        let judged = judge.ask(&text);
        let Some(value) = judged.value.filter(|_| judged.accepted) else { continue };
        let opinion = second.opinion(&value);
        assert!(opinion.is_silent(), "{}: {opinion:?}", path.display());
        count += 1;
    }
    assert!(count > 20, "{count} examples");
}

#[test]
#[ignore = "needs cloud-init"]
fn mutations_are_found_where_cloud_init_rejects_them() {
    let seed = env::var("SEED").ok().map_or(SEED, |seed| seed.parse().unwrap());
    let mutations = env::var("MUTATIONS").ok().map_or(MUTATIONS, |count| count.parse().unwrap());
    println!("SEED={seed} MUTATIONS={mutations}");
    let mut random = Random::new(seed);
    let mut judge = Judge::new();
    let second = SecondOpinion::new();
    let valid: Vec<_> = documents()
        .filter(|document| matches!(document.verdict, Verdict::Valid | Verdict::Deprecated))
        .map(|document| (document.name, Tree::from(&judge.ask(&document.text).value.unwrap())))
        .collect();

    let [mut accepted, mut rejected, mut found] = [0; 3];
    let mut false_alarms = Vec::new();
    let mut misses = BTreeMap::<_, usize>::new();
    for _ in 0..mutations {
        let (name, tree) = &valid[random.below(valid.len())];
        let mut tree = tree.clone();
        let mut kind = mutate(&mut tree, &valid, &mut random);
        if random.once_in(4) {
            kind = mutate(&mut tree, &valid, &mut random);
        }
        let text = tree.to_yaml();
        let judged = judge.ask(&text);
        // A date has no value in JSON.
        let Some(value) = judged.value else { continue };
        let opinion = second.opinion(&value);
        if judged.accepted {
            accepted += 1;
            if !opinion.excused() {
                false_alarms.push(format!("{name}, {kind}: {opinion:?}\n{text}"));
            }
        } else {
            rejected += 1;
            found += usize::from(!opinion.is_silent());
            if opinion.is_silent() {
                // One error of cloud-init may list all modules.
                let errors: String = judged.errors.join("; ").chars().take(300).collect();
                *misses.entry(format!("{name}, {kind}: {errors}")).or_default() += 1;
            }
        }
    }

    println!("cloud-init accepts {accepted} and rejects {rejected}, of which {found} have a finding");
    let mut misses: Vec<_> = misses.into_iter().collect();
    misses.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    for (miss, count) in misses.iter().take(20) {
        println!("missed {count} times: {miss}");
    }
    assert!(false_alarms.is_empty(), "{} false alarms:\n{}", false_alarms.len(), false_alarms.join("\n"));
    assert!(accepted > 0 && found * 100 >= rejected * FOUND_MIN, "{found} of {rejected}");
}
