//! Findings from what came of a walk.

use std::{collections::HashSet, ops::Range, rc::Rc, sync::Arc};

use serde_json::Value as Json;

use super::{
    Terms, Unknown, Version,
    fault::{Expected, Fault, Note, Outcome, Step},
    words::{LISTED_MAX, counted, expected, found, listed, plain, quoted},
};
use crate::{
    suggestion::{self, did_you_mean},
    userdata::{
        finding::{Code, FINDINGS_MAX, Finding, push_bounded, shortened},
        yaml::{Kind, Member, NodeId, Tree},
    },
};

/// How much of a version in a schema is read, in bytes.
const VERSION_BYTES_MAX: usize = 40;

/// What to do with the key `network` at the top of user data.
const NETWORK: &str =
    "cloud-init reads the network configuration from network-config (option --network-config)";

/// Where an outcome is.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) node: NodeId,
    /// The key that the node belongs to.
    pub(super) key: Option<NodeId>,
    /// Whether the schema is one of several for the node, so that a note is about the value and not about the key.
    is_branch: bool,
    /// The length of the path.
    path: usize,
}

pub(super) struct Reporter<'a, 'r> {
    pub(super) tree: &'a Tree<'a>,
    terms: Terms<'r>,
    known: &'a [&'a str],
    pub(super) suggestions: suggestion::Budget,
    /// Keys that others were most likely meant to be, by their mapping.
    meant: HashSet<(NodeId, String)>,
    /// Findings about keys that are missing, of which one would do, and their mapping. They come last: a key that is misspelt is
    /// one mistake.
    missing: Vec<(NodeId, Vec<String>, Finding)>,
    seen: HashSet<(usize, usize, &'static str)>,
    /// The path of the outcome at hand.
    path: String,
    root: NodeId,
    findings: &'a mut Vec<Finding>,
}

/// Adds the findings of an outcome. `known`: the keys that the schema names for the top.
pub(super) fn report(
    tree: &Tree<'_>,
    root: NodeId,
    path: &str,
    outcome: &Rc<Outcome<'_>>,
    terms: Terms<'_>,
    known: &[&str],
    findings: &mut Vec<Finding>,
) {
    let mut reporter = Reporter {
        tree,
        terms,
        known,
        suggestions: suggestion::Budget::default(),
        meant: HashSet::new(),
        missing: Vec::new(),
        seen: HashSet::new(),
        path: path.to_owned(),
        root,
        findings,
    };
    if terms.top_is_open {
        reporter.unknown_at_top();
    }
    let mut visited = HashSet::new();
    let start = Place { node: root, key: None, is_branch: false, path: path.len() };
    let mut left = vec![(Rc::clone(outcome), start, Step::Same)];
    while let Some((outcome, mut place, step)) = left.pop() {
        reporter.path.truncate(place.path);
        reporter.enter(step, &mut place);
        if !visited.insert((Rc::as_ptr(&outcome), place.is_branch)) {
            continue;
        }
        reporter.at(&outcome, place);
        left.extend(outcome.below.iter().rev().map(|(step, below)| (Rc::clone(below), place, *step)));
    }
    let Reporter { meant, missing, mut seen, findings, .. } = reporter;
    for (node, keys, finding) in missing {
        let is_misspelt = keys.into_iter().any(|key| meant.contains(&(node, key)));
        if !is_misspelt && seen.insert((finding.span.start, finding.span.end, finding.code.name())) {
            push_bounded(findings, finding);
        }
    }
}

impl Reporter<'_, '_> {
    fn enter(&mut self, step: Step, place: &mut Place) {
        match step {
            Step::Same => {}
            Step::Branch => place.is_branch = true,
            Step::Member(Member { key, value }) => {
                *place = Place { node: value, key: Some(key), is_branch: false, path: 0 };
                push_key(&mut self.path, self.tree.text(key).unwrap_or("~"));
            }
            Step::Item(number, node) => {
                *place = Place { node, key: None, is_branch: false, path: 0 };
                push_item(&mut self.path, number);
            }
        }
        place.path = self.path.len();
    }

    fn push(&mut self, code: Code, span: Range<usize>, message: String, hint: Option<String>) {
        if self.seen.insert((span.start, span.end, code.name())) {
            let path: Arc<str> = shortened(&self.path);
            push_bounded(self.findings, Finding { code, path, span, message, hint });
        }
    }

    /// A finding about a key in the mapping at hand.
    fn push_at_key(&mut self, code: Code, key: NodeId, message: String, hint: Option<String>) {
        let len = self.path.len();
        push_key(&mut self.path, self.tree.text(key).unwrap_or("~"));
        self.push(code, self.tree.span(key), message, hint);
        self.path.truncate(len);
    }

    /// Finds keys at the top that nothing reads.
    fn unknown_at_top(&mut self) {
        let known: HashSet<_> = self.known.iter().copied().collect();
        for member in self.tree.members(self.root) {
            let Some(key) = self.tree.text(member.key) else { continue };
            if known.contains(key) {
                continue;
            }
            let nearest = self.suggestions.nearest(key, self.known.iter().copied());
            self.meant.extend(nearest.map(|nearest| (self.root, nearest.to_owned())));
            let hint = if key == "network" { Some(NETWORK.to_owned()) } else { nearest.map(did_you_mean) };
            let message = "cloud-init does not know this key".to_owned();
            self.push_at_key(Code::UnknownKey, member.key, message, hint);
        }
    }

    fn at(&mut self, outcome: &Outcome<'_>, place: Place) {
        for fault in &outcome.faults {
            self.fault(fault, place);
        }
        for note in &outcome.notes {
            self.note(note, place);
        }
    }

    /// The span of a value; of its key if it is empty or a collection.
    fn value_span(&self, place: Place) -> Range<usize> {
        let span = self.tree.span(place.node);
        match place.key {
            Some(key) if span.is_empty() || self.tree.scalar(place.node).is_none() => self.tree.span(key),
            _ => span,
        }
    }

    /// The span of the key; without one that of the value.
    fn key_span(&self, place: Place) -> Range<usize> {
        self.tree.span(place.key.unwrap_or(place.node))
    }

    fn fault(&mut self, fault: &Fault<'_>, place: Place) {
        let tree = self.tree;
        let text = tree.text(place.node).unwrap_or_default();
        let differs = |all: &[Expected<'_>]| {
            let found = match all {
                [Expected::Least(..) | Expected::Most(..)] => counted(tree, place.node),
                _ => found(tree, place.node),
            };
            format!("expected {}, found {found}", expected(all))
        };
        match fault {
            Fault::Type(all) => {
                let hint = self.hint_for_type(all, place);
                self.push(Code::ValueType, self.value_span(place), differs(all), hint);
            }
            Fault::Unquoted(all) if self.mode(all, place) => {}
            Fault::Unquoted(all) => {
                let hint = format!("put it in quotes: \"{text}\"");
                self.push(Code::Unquoted, self.value_span(place), differs(all), Some(hint));
            }
            Fault::Value(all) => {
                let hint = self.hint_for_value(all, place);
                self.push(Code::BadValue, self.value_span(place), differs(all), hint);
            }
            Fault::Twice(item) => {
                let message = format!("this item occurs twice: {}", found(tree, *item));
                self.push(Code::BadValue, tree.span(*item), message, None);
            }
            Fault::UnknownKey(key, schema) => self.unknown_key(*key, schema, place),
            Fault::MissingKey(keys, needed_by) => self.missing_key(keys, *needed_by, place),
            Fault::Excluded(keys) => {
                let names: Vec<_> = keys.iter().take(LISTED_MAX).map(|key| quoted(key)).collect();
                let message = match &*names {
                    [name] => format!("the key {name} is not allowed here"),
                    names => format!("the keys {} exclude each other", listed(names, "and")),
                };
                self.push(Code::ExclusiveKeys, self.key_span(place), message, None);
            }
            Fault::Forbidden => {
                let message = "this is not allowed here".to_owned();
                self.push(Code::BadValue, self.key_span(place), message, None);
            }
            Fault::Ambiguous => {
                let message = "this has more than one of the forms of which it must have one".to_owned();
                self.push(Code::ExclusiveKeys, self.key_span(place), message, None);
            }
        }
    }

    /// Reports a number in place of the permission bits of a file, if they differ from the digits as an octal number. cloud-init
    /// takes the number itself (`decode_perms` of `cc_write_files.py`), and 644 is the mode 01204.
    fn mode(&mut self, all: &[Expected<'_>], place: Place) -> bool {
        let (Some(Expected::Mode), Some(scalar)) = (all.first(), self.tree.scalar(place.node)) else {
            return false;
        };
        let number = match &scalar.kind {
            Kind::Integer(number) => u32::try_from(*number).ok(),
            _ => None,
        };
        let Some(mode) = number.filter(|mode| *mode <= 0o7777) else { return false };
        let digits = u32::from_str_radix(&scalar.text, 8).ok();
        if digits == Some(mode) {
            return false;
        }
        let message = format!(
            "expected {}, found {}, which is the mode 0{mode:o}",
            expected(all),
            found(self.tree, place.node)
        );
        let (code, hint) = match digits.filter(|digits| is_usual(*digits)) {
            None => (Code::Unquoted, format!("put it in quotes: \"0{mode:o}\"")),
            // Some write 511 for 0777.
            Some(digits) if is_usual(mode) => {
                (Code::Unquoted, format!("write \"0{mode:o}\" or \"0{digits:o}\", in quotes"))
            }
            Some(digits) => (Code::ValueType, format!("put it in quotes: \"0{digits:o}\"")),
        };
        self.push(code, self.value_span(place), message, Some(hint));
        true
    }

    fn missing_key(&mut self, keys: &[&str], needed_by: Option<&str>, place: Place) {
        let names: Vec<_> = keys.iter().take(LISTED_MAX).map(|key| quoted(key)).collect();
        let mut message = match &*names {
            [name] => format!("the key {name} is missing"),
            names => format!("one of the keys {} is missing", listed(names, "or")),
        };
        if let Some(key) = needed_by {
            message = format!("{message}, which {} needs", quoted(key));
        }
        let span = self.key_span(place);
        let code = Code::MissingKey;
        if self.missing.len() <= FINDINGS_MAX {
            let finding = Finding { code, path: shortened(&self.path), span, message, hint: None };
            let keys = keys.iter().take(LISTED_MAX).map(|&key| key.to_owned()).collect();
            self.missing.push((place.node, keys, finding));
        }
    }

    fn unknown_key(&mut self, key: NodeId, schema: &Json, place: Place) {
        let tree = self.tree;
        let is_top = place.node == self.root && self.terms.top_is_open;
        let text = tree.text(key).unwrap_or("~");
        if is_top {
            return;
        }
        let properties = schema.get("properties").and_then(Json::as_object);
        let is_current = |schema: &Json| schema.get("deprecated") != Some(&Json::Bool(true));
        let mut known =
            properties.into_iter().flatten().filter(|(_, it)| is_current(it)).map(|(key, _)| &**key);
        let nearest = self.suggestions.nearest(text, known.clone());
        self.meant.extend(nearest.map(|nearest| (place.node, nearest.to_owned())));
        let code = match self.terms.unknown {
            Unknown::Doubtful if nearest.is_none() => Code::UnknownKey,
            _ => Code::UnexpectedKey,
        };
        let is_known = || properties.and_then(|all| all.get(text)).is_some_and(is_current);
        let hint = match nearest {
            _ if tree.string(key).is_none() && is_known() => Some(format!("put it in quotes: \"{text}\"")),
            Some(nearest) => Some(did_you_mean(nearest)),
            None => {
                let names: Vec<_> = known.by_ref().take(LISTED_MAX).map(quoted).collect();
                let is_whole = !names.is_empty() && known.next().is_none();
                is_whole.then(|| format!("known here: {}", listed(&names, "and")))
            }
        };
        self.push_at_key(code, key, "this key is not known here".to_owned(), hint);
    }

    fn note(&mut self, note: &Note<'_>, place: Place) {
        let version = |text: &str| text.get(..VERSION_BYTES_MAX).unwrap_or(text).parse::<Version>().ok();
        let (span, what) = match place.key {
            Some(key) if !place.is_branch => {
                (self.tree.span(key), format!("the key {}", quoted(self.tree.text(key).unwrap_or("~"))))
            }
            _ => (self.value_span(place), "this value".to_owned()),
        };
        match *note {
            Note::Deprecated { since, instead, sentence } => {
                // Versions are not parsed without need: a schema may have long ones.
                if let Some(reader) = self.terms.version
                    && since.and_then(version).is_some_and(|since| reader < since)
                {
                    return;
                }
                let since =
                    since.map(|since| format!(" since cloud-init {}", plain(since))).unwrap_or_default();
                let message = format!("{what} is deprecated{since}");
                let hint = instead.map(|it| format!("use {}", plain(it))).or(sentence.map(plain));
                self.push(Code::Deprecated, span, message, hint);
            }
            Note::NewSince(since) => {
                if let Some(reader) = self.terms.version
                    && let Some(new) = version(since).filter(|&new| reader < new)
                {
                    let message = format!("cloud-init {reader} does not know {what}, which is new in {new}");
                    self.push(Code::TooNew, span, message, None);
                }
            }
            // A name that is like none of the known ones may be that of a module of the image's own.
            Note::Unfamiliar(known) => {
                let name = self.tree.text(place.node).unwrap_or_default();
                if let Some(nearest) = self.suggestions.nearest(name, known.iter().filter_map(Json::as_str)) {
                    let message = "cloud-init has no module of this name".to_owned();
                    self.push(Code::UnknownModule, span, message, Some(did_you_mean(nearest)));
                }
            }
        }
    }
}

/// Adds a key to a path.
pub(in crate::userdata) fn push_key(path: &mut String, key: &str) {
    if !path.is_empty() {
        path.push('.');
    }
    let is_plain = |it: char| !it.is_whitespace() && !it.is_control() && !matches!(it, '.' | '[' | ']' | '"');
    if !key.is_empty() && key.chars().all(is_plain) {
        path.push_str(key);
    } else {
        path.push('"');
        path.extend(key.chars().flat_map(char::escape_debug));
        path.push('"');
    }
}

/// Adds the number of an item to a path.
pub(in crate::userdata) fn push_item(path: &mut String, number: usize) {
    path.push('[');
    path.push_str(&number.to_string());
    path.push(']');
}

/// Whether files have this mode: without special bits, and with no more for the group than for the owner, nor for others than for
/// the group.
fn is_usual(mode: u32) -> bool {
    let [owner, group, others] = [mode >> 6, mode >> 3 & 7, mode & 7];
    owner <= 7 && group & !owner == 0 && others & !group == 0
}
