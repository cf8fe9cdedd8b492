//! Which room of `src` may use what: `rules` says it, `source` reads it from the code, and this compares the two.
//!
//! A *room* is a file or a folder of `src`. Imports run downwards only, no two files import each other, directly or through
//! others, some crates are confined to some rooms, and some appear in no public signature.

mod rules;
mod source;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use rules::{Confined, HIDDEN, LAYERS, Layer};
use source::{File, Tree};

/// Every breach of the rules in a tree, a line each, sorted.
fn breaches(tree: &Tree, layers: &[Layer], confined: &[Confined], hidden: &[&str]) -> Vec<String> {
    let mut breaches: Vec<_> =
        tree.files().flat_map(|file| breaches_of(file, layers, confined, hidden)).collect();
    breaches
        .extend(circles(tree).into_iter().map(|files| format!("{}: import each other", files.join(", "))));
    breaches.sort();
    breaches.dedup();
    breaches
}

fn breaches_of(file: &File, layers: &[Layer], confined: &[Confined], hidden: &[&str]) -> Vec<String> {
    let mut breaches = Vec::new();
    let Some((floor, room)) = layer(&file.path, layers) else {
        return vec![format!("{}: no layer in tests/layers/rules.rs has this file", file.path)];
    };
    for import in &file.imports {
        if let Some((below, other)) = layer(&import.target, layers)
            && room != other
            && below <= floor
        {
            breaches.push(format!(
                "{}:{}: {room} must not import {other} ({})",
                file.path, import.line, import.path
            ));
        }
    }
    for used in &file.crates {
        let rule = confined
            .iter()
            .find(|rule| used.path == rule.path || used.path.starts_with(&format!("{}::", rule.path)));
        if let Some(rule) = rule
            && !rule.rooms.iter().any(|room| holds(room, &file.path))
        {
            breaches.push(format!(
                "{}:{}: {} belongs in {} ({})",
                file.path,
                used.line,
                rule.path,
                rule.rooms.join(", "),
                used.path
            ));
        }
    }
    for public in &file.public {
        let name = public.path.split("::").next().unwrap();
        if hidden.iter().any(|hidden| {
            name == *hidden || hidden.strip_suffix('*').is_some_and(|start| name.starts_with(start))
        }) {
            breaches.push(format!(
                "{}:{}: {name} in a public signature ({})",
                file.path, public.line, public.path
            ));
        }
    }
    breaches
}

/// Which layer a file is in, from the top, and which of its rooms holds it.
fn layer<'a>(path: &str, layers: &[Layer<'a>]) -> Option<(usize, &'a str)> {
    let rooms =
        layers.iter().enumerate().flat_map(|(floor, rooms)| rooms.iter().map(move |room| (floor, *room)));
    rooms.filter(|(_, room)| holds(room, path)).max_by_key(|(_, room)| room.len())
}

/// Whether a room, which is a file or ends in `/`, holds a file.
fn holds(room: &str, path: &str) -> bool {
    if room.ends_with('/') { path.starts_with(room) } else { path == room }
}

/// The groups of files that import each other, directly or through others. That a file uses the module which declares it
/// does not count: the two are one subject.
fn circles(tree: &Tree) -> Vec<Vec<String>> {
    let reach: BTreeMap<_, _> = tree.files().map(|file| (file.path.as_str(), reached(tree, file))).collect();
    let mut circles = Vec::new();
    for (path, reached) in &reach {
        let both = |other: &&str| reached.contains(*other) && reach[other].contains(*path);
        let circle: Vec<_> = reach.keys().copied().filter(both).map(str::to_owned).collect();
        // Its first file speaks for all of them.
        if circle.first().is_some_and(|first| first == path) {
            circles.push(circle);
        }
    }
    circles
}

/// The paths of all files that a file imports, directly or through others; its own, if it is among them.
fn reached(tree: &Tree, file: &File) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    let mut open = vec![file];
    while let Some(file) = open.pop() {
        let module =
            file.path.rsplit_once('/').map_or("lib.rs".to_owned(), |(folder, _)| format!("{folder}/mod.rs"));
        for import in file.imports.iter().filter(|import| import.target != module) {
            if reached.insert(import.target.clone()) {
                open.push(tree.file(&import.target));
            }
        }
    }
    reached
}

#[test]
fn every_room_keeps_the_rules() {
    let tree = Tree::read(Path::new("src"));
    let breaches = breaches(&tree, LAYERS, rules::CONFINED, HIDDEN);
    assert!(breaches.is_empty(), "\n{}\n", breaches.join("\n"));
}

/// Other rooms call what the system's own file offers.
#[test]
fn only_one_room_asks_which_system_it_runs_on() {
    let tree = Tree::read(Path::new("src"));
    let asks = |path: &str| {
        let text = fs::read_to_string(Path::new("src").join(path)).unwrap();
        ["target_os", "target_vendor", "cfg(unix", "cfg(windows"].iter().any(|word| text.contains(word))
    };
    let asking: Vec<_> = tree.files().map(|file| &*file.path).filter(|path| asks(path)).collect();
    assert_eq!(asking, ["os/mod.rs"]);
}

/// A rule that names what is not there keeps nothing.
#[test]
fn every_rule_names_what_exists() {
    let tree = Tree::read(Path::new("src"));
    let rooms = LAYERS.iter().copied().flatten().chain(rules::CONFINED.iter().flat_map(|rule| rule.rooms));
    for room in rooms {
        assert!(fs::exists(Path::new("src").join(room)).unwrap(), "no room {room}");
    }
    for rule in rules::CONFINED {
        for room in rule.rooms {
            let files = tree.files().filter(|file| holds(room, &file.path));
            let mut used = files.flat_map(|file| &file.crates);
            assert!(
                used.any(|used| used.path.starts_with(rule.path)),
                "nothing in {room} uses {}",
                rule.path
            );
        }
    }
}

#[test]
fn each_kind_of_breach_is_found() {
    const LAYERS: &[Layer] = &[&["main.rs"], &["top/"], &["left/", "right.rs"], &["base/"], &["lib.rs"]];
    const CONFINED: &[Confined] = &[
        Confined { path: "parser", rooms: &["base/inner.rs"] },
        Confined { path: "std::os", rooms: &["base/"] },
    ];
    let tree = Tree::new(BTreeMap::from(
        [
            ("lib.rs", "pub mod top; pub mod left; pub mod right; pub mod base; pub use base::Inner as Front;"),
            ("main.rs", "use metadata_image::top; fn main() { top::run() }"),
            ("top/mod.rs", "mod part; pub fn run() { part::go(); crate::left::go() }"),
            ("top/part.rs", "pub(super) fn go() {}"),
            ("left/mod.rs", "pub fn go() {}\nuse crate::{\n    base::{Inner, self},\n    right::{\n        self as other,\n    },\n};"),
            ("right.rs", "fn f() -> crate::top::Thing { assert!(crate::left::go()) }"),
            ("base/mod.rs", "mod inner; mod second;\npub use inner::Inner;\nfn f(_: crate::Front) {}"),
            ("base/inner.rs", "use super::second::x;\nuse parser as p;\npub struct Inner { pub field: p::Node }\nuse std::os::fd::AsFd;"),
            ("base/second.rs", "mod deep { use super::super::inner::Inner; }\npub(crate) fn hidden(_: parser::Node) {}"),
            ("stray.rs", ""),
        ]
        .map(|(path, text)| (path.to_owned(), text.to_owned())),
    ));
    assert_eq!(
        breaches(&tree, LAYERS, CONFINED, &["pars*"]),
        [
            "base/inner.rs, base/second.rs: import each other",
            "base/inner.rs:3: parser in a public signature (parser::Node)",
            "base/second.rs:2: parser belongs in base/inner.rs (parser::Node)",
            "left/mod.rs, right.rs, top/mod.rs: import each other",
            "left/mod.rs:5: left/ must not import right.rs (crate::right)",
            "right.rs:1: right.rs must not import left/ (crate::left::go)",
            "right.rs:1: right.rs must not import top/ (crate::top::Thing)",
            "stray.rs: no layer in tests/layers/rules.rs has this file",
        ]
    );
}
