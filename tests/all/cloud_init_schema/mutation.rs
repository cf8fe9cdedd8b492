//! The mistakes that people make, at random.

use super::tree::Tree;
use crate::signers::Random;

/// What people forget to quote.
const UNQUOTED: &[&str] = &[
    "yes", "no", "on", "off", "true", "~", "null", "0644", "0o644", "1:30", "1_000", "12", "3.10", "1e3",
    "text",
];

/// What people write where something else belongs.
const VALUES: &[&str] = &["text", "auto", "", "true", "0644", "10", "/dev/vdb", "root:root"];

const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz_-";

/// Changes `tree` in one place, and says how. Another value may come from one of `valid`.
pub(super) fn mutate(tree: &mut Tree, valid: &[(String, Tree)], random: &mut Random) -> &'static str {
    let paths = tree.paths();
    if paths.is_empty() {
        *tree = any_value(valid, random);
        return "another document";
    }
    // A change that is not possible at this place is tried at another.
    loop {
        let path = &paths[random.below(paths.len())];
        if let Some(kind) = mutate_at(tree, path, valid, random) {
            return kind;
        }
    }
}

fn mutate_at(
    tree: &mut Tree,
    path: &[usize],
    valid: &[(String, Tree)],
    random: &mut Random,
) -> Option<&'static str> {
    let (at, parent) = path.split_last().unwrap();
    match (random.below(11), tree.at_mut(parent)) {
        (0 | 1, Tree::Map(entries)) => {
            entries[*at].0 = misspelt(&entries[*at].0, random);
            return Some("a key misspelt");
        }
        (2, Tree::Map(entries)) if entries[*at].0.contains(['-', '_']) => {
            entries[*at].0 = swapped(&entries[*at].0);
            return Some("a key with other dashes");
        }
        (3, Tree::Map(entries)) => {
            entries.remove(*at);
            return Some("a key removed");
        }
        (3, Tree::List(entries)) => {
            entries.remove(*at);
            return Some("an entry removed");
        }
        _ => {}
    }
    let node = tree.at_mut(path);
    let (kind, changed) = match (random.below(7), &*node) {
        (0, Tree::Map(entries)) => {
            let mut entries = entries.clone();
            let keys = ["extra", "name", "enabled", "path"];
            let key = keys.iter().find(|key| entries.iter().all(|(name, _)| name != *key))?;
            entries.push(((*key).to_owned(), any_value(valid, random)));
            ("a key more", Tree::Map(entries))
        }
        (0, Tree::List(entries)) => {
            ("an entry more", Tree::List([entries.clone(), vec![any_value(valid, random)]].concat()))
        }
        (1, node) => ("a list around it", Tree::List(vec![node.clone()])),
        (2, Tree::List(entries)) => ("its first entry", entries.first()?.clone()),
        (3, Tree::Plain(text)) => ("quoted", Tree::Text(text.clone())),
        (4, Tree::Text(_)) => ("unquoted", Tree::Plain(random.of(UNQUOTED).to_owned())),
        (5, Tree::Text(text)) => ("a value misspelt", Tree::Text(misspelt(text, random))),
        (6, _) => ("another value", any_value(valid, random)),
        _ => return None,
    };
    *node = changed;
    Some(kind)
}

/// A word, a number, something empty, or a part of another document.
fn any_value(valid: &[(String, Tree)], random: &mut Random) -> Tree {
    match random.below(6) {
        0 => Tree::Plain(random.of(UNQUOTED).to_owned()),
        1 => Tree::Text(random.of(VALUES).to_owned()),
        2 => Tree::List(Vec::new()),
        3 => Tree::Map(Vec::new()),
        4 => Tree::Plain((random.below(200)).to_string()),
        _ => {
            let (_, tree) = &valid[random.below(valid.len())];
            let paths = tree.paths();
            tree.at(&paths.get(random.below(paths.len().max(1))).cloned().unwrap_or_default()).clone()
        }
    }
}

/// With a letter more, less, changed, or two changed about.
fn misspelt(word: &str, random: &mut Random) -> String {
    let mut letters: Vec<_> = word.chars().collect();
    let letter = char::from(LETTERS[random.below(LETTERS.len())]);
    if letters.len() < 2 {
        letters.push(letter);
        return letters.into_iter().collect();
    }
    let at = random.below(letters.len() - 1);
    match random.below(4) {
        0 => letters.insert(at, letter),
        1 => drop(letters.remove(at)),
        2 => letters[at] = letter,
        _ => letters.swap(at, at + 1),
    }
    letters.into_iter().collect()
}

fn swapped(key: &str) -> String {
    let (from, to) = if key.contains('_') { ('_', "-") } else { ('-', "_") };
    key.replace(from, to)
}
