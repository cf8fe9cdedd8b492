//! The walk over a schema and a document.

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use serde_json::{Map, Value as Json};

use super::{
    Schema,
    fault::{Expected, Fault, Note, Outcome, Step},
    pattern::Patterns,
    values::{bound, collection_fault, has_type, scalar_fault, types},
    words::LISTED_MAX,
};
use crate::userdata::yaml::{Kind, Member, NodeId, Scalar, Tree, Value};

/// How deep the walk goes, in schemas within schemas. cloud-init's take less than 30.
const DEPTH_MAX: usize = 200;

/// How many steps a walk takes, besides those that grow with the document.
const STEPS_FLOOR: usize = 100_000;

/// How many steps a walk takes for each node of the document.
const STEPS_PER_NODE: usize = 40;

/// A walk over a document.
pub(super) struct Walk<'s, 't> {
    schema: &'s Schema,
    pub(super) tree: &'t Tree<'t>,
    /// What came of a schema, by its address, and a node. `None`: it is being judged.
    seen: HashMap<(*const Json, NodeId), Option<Rc<Outcome<'s>>>>,
    /// What comes of a node that fits and of which nothing is to be said, as of most.
    nothing: Rc<Outcome<'s>>,
    patterns: Patterns<'s>,
    /// Steps that are left. Without any, everything fits.
    steps: usize,
    depth: usize,
}

impl<'s, 't> Walk<'s, 't> {
    pub(super) fn new(schema: &'s Schema, tree: &'t Tree<'t>) -> Self {
        let steps = tree.len().saturating_mul(STEPS_PER_NODE).saturating_add(STEPS_FLOOR);
        Self {
            schema,
            tree,
            seen: HashMap::new(),
            nothing: Rc::default(),
            patterns: Patterns::new(steps / 3),
            steps,
            depth: 0,
        }
    }

    /// Whether something was not judged, because it would have taken too many steps.
    pub(super) fn is_exhausted(&self) -> bool {
        self.steps == 0 || self.patterns.is_exhausted()
    }

    /// Takes steps; `false` if there are none left.
    pub(super) fn spend(&mut self, steps: usize) -> bool {
        self.steps = self.steps.saturating_sub(steps);
        self.steps > 0
    }

    /// Takes the steps of comparing a scalar with what a schema says of it.
    fn spend_on(&mut self, keywords: &Map<String, Json>, scalar: &Scalar<'_>) -> bool {
        let listed = keywords.get("enum").and_then(Json::as_array).map_or(0, Vec::len);
        self.spend(1 + listed + scalar.text.len() / 16)
    }

    /// How a node fits a schema.
    pub(super) fn judge(&mut self, schema: &'s Json, node: NodeId) -> Rc<Outcome<'s>> {
        let key = (std::ptr::from_ref(schema), node);
        match self.seen.get(&key) {
            Some(Some(outcome)) => return Rc::clone(outcome),
            // A reference that leads to itself.
            Some(None) => return Rc::clone(&self.nothing),
            None => {}
        }
        if self.depth == DEPTH_MAX || !self.spend(1) {
            return Rc::clone(&self.nothing);
        }
        self.seen.insert(key, None);
        self.depth += 1;
        let mut outcome = Outcome::default();
        match schema {
            Json::Object(keywords) => {
                self.apply(schema, keywords, node, &mut outcome);
                if let Some(words) = keywords.get("x-expected").and_then(Json::as_str) {
                    outcome.faults.iter_mut().for_each(|fault| fault.say(Expected::Words(words)));
                }
                if keywords.get("x-mode") == Some(&Json::Bool(true)) {
                    outcome.faults.iter_mut().for_each(|fault| fault.say(Expected::Mode));
                }
            }
            Json::Bool(false) => outcome.add(Fault::Forbidden),
            _ => {}
        }
        self.depth -= 1;
        let outcome = if outcome.is_silent() { Rc::clone(&self.nothing) } else { Rc::new(outcome) };
        self.seen.insert(key, Some(Rc::clone(&outcome)));
        outcome
    }

    fn apply(
        &mut self,
        schema: &'s Json,
        keywords: &'s Map<String, Json>,
        node: NodeId,
        outcome: &mut Outcome<'s>,
    ) {
        if let Some(Json::String(reference)) = keywords.get("$ref") {
            if let Some(target) = self.schema.target(reference) {
                outcome.include(Step::Same, self.judge(target, node));
            }
            return;
        }
        note(schema, outcome);
        if !self.check_type(schema, node, outcome) {
            return;
        }
        let is_collection = matches!(self.tree.value(node), Value::Sequence(_) | Value::Mapping(_));
        let listed = keywords.get("enum").and_then(Json::as_array).map_or(0, Vec::len);
        if is_collection
            && self.spend(listed)
            && let Some(fault) = collection_fault(schema)
        {
            outcome.add(fault);
            return;
        }
        match self.tree.value(node) {
            Value::Unknown => return,
            Value::Scalar(scalar) => {
                if self.spend_on(keywords, scalar)
                    && let Some(fault) = scalar_fault(schema, scalar, false, &mut self.patterns)
                {
                    outcome.add(fault);
                    return;
                }
                if let Some(Json::Array(known)) = keywords.get("x-known")
                    && scalar.kind == Kind::String
                    && self.spend(known.len())
                    && !is_familiar(scalar, known)
                {
                    outcome.note(Note::Unfamiliar(known));
                }
            }
            Value::Sequence(items) => self.apply_to_items(schema, keywords, items, outcome),
            Value::Mapping(members) => self.apply_to_members(schema, keywords, members, outcome),
        }
        if let Some(Json::Array(all)) = keywords.get("allOf") {
            for schema in all {
                outcome.include(Step::Same, self.judge(schema, node));
            }
        }
        if let Some(Json::Array(any)) = keywords.get("anyOf") {
            self.apply_branches(any, false, node, outcome);
        }
        if let Some(Json::Array(one)) = keywords.get("oneOf") {
            self.apply_branches(one, true, node, outcome);
        }
        if let Some(not) = keywords.get("not")
            && self.judge(not, node).is_valid()
        {
            // More are not listed.
            let keys: Vec<_> = required(not).take(LISTED_MAX).collect();
            outcome.add(if keys.is_empty() { Fault::Forbidden } else { Fault::Excluded(keys) });
        }
    }

    /// Whether the node has a type that the schema allows. Otherwise there is a fault.
    fn check_type(&mut self, schema: &'s Json, node: NodeId, outcome: &mut Outcome<'s>) -> bool {
        let mut names = types(schema).peekable();
        if names.peek().is_none() || names.any(|name| has_type(self.tree, node, name)) {
            return true;
        }
        let mut expected = match schema.get("enum") {
            Some(Json::Array(values)) => vec![Expected::OneOf(values)],
            _ => types(schema).map(Expected::Type).collect(),
        };
        if types(schema).any(|name| name == "array")
            && let Some(items @ Json::Object(_)) = schema.get("items")
            && self.judge(items, node).is_valid()
        {
            expected.push(Expected::InList);
        }
        let tree = self.tree;
        let as_string = types(schema).any(|name| name == "string")
            && tree.scalar(node).is_some_and(|scalar| {
                scalar.is_plain
                    && !has_type(tree, node, "null")
                    && schema.as_object().is_some_and(|keywords| self.spend_on(keywords, scalar))
                    && scalar_fault(schema, scalar, true, &mut self.patterns).is_none()
            });
        outcome.add(if as_string { Fault::Unquoted(expected) } else { Fault::Type(expected) });
        false
    }

    fn apply_to_items(
        &mut self,
        schema: &'s Json,
        keywords: &'s Map<String, Json>,
        items: &[NodeId],
        outcome: &mut Outcome<'s>,
    ) {
        let count = items.len() as u64;
        if let Some(least) = bound(schema, "minItems").filter(|&least| count < least) {
            outcome.add(Fault::Value(vec![Expected::Least(least, "item")]));
        }
        if let Some(most) = bound(schema, "maxItems").filter(|&most| count > most) {
            outcome.add(Fault::Value(vec![Expected::Most(most, "item")]));
        }
        if keywords.get("uniqueItems") == Some(&Json::Bool(true)) && self.spend(items.len()) {
            let mut seen = HashSet::new();
            for &item in items {
                if let Some(scalar) = self.tree.scalar(item)
                    && !seen.insert((format!("{:?}", scalar.kind), &scalar.text))
                {
                    outcome.add(Fault::Twice(item));
                }
            }
        }
        let (first, rest) = match keywords.get("items") {
            Some(Json::Array(schemas)) => (schemas.as_slice(), keywords.get("additionalItems")),
            Some(schema) => (&[] as &[Json], Some(schema)),
            None => return,
        };
        for (place, &item) in items.iter().enumerate() {
            if let Some(schema) = first.get(place).or(rest) {
                outcome.include(Step::Item(place, item), self.judge(schema, item));
            }
        }
    }

    fn apply_to_members(
        &mut self,
        schema: &'s Json,
        keywords: &'s Map<String, Json>,
        members: &[Member],
        outcome: &mut Outcome<'s>,
    ) {
        let count = members.len() as u64;
        if let Some(least) = bound(schema, "minProperties").filter(|&least| count < least) {
            outcome.add(Fault::Value(vec![Expected::Least(least, "key")]));
        }
        if let Some(most) = bound(schema, "maxProperties").filter(|&most| count > most) {
            outcome.add(Fault::Value(vec![Expected::Most(most, "key")]));
        }
        if !self.spend(members.len() / 8) {
            return;
        }
        self.check_required(schema, keywords, members, outcome);
        let object = |name: &str| keywords.get(name).and_then(Json::as_object);
        let (properties, patterns) = (object("properties"), object("patternProperties"));
        let additional = keywords.get("additionalProperties");
        if properties.is_none() && patterns.is_none() && additional.is_none() {
            return;
        }
        for &member in members {
            let name = match self.tree.value(member.key) {
                Value::Unknown => continue,
                Value::Scalar(_) => self.tree.string(member.key),
                _ => None,
            };
            let mut is_known = false;
            if let Some(schema) = name.and_then(|name| properties?.get(name)) {
                is_known = true;
                outcome.include(Step::Member(member), self.judge(schema, member.value));
            }
            for (pattern, schema) in patterns.into_iter().flatten() {
                let Some(name) = name else { continue };
                if !self.spend(1 + name.len() / 16) {
                    return;
                }
                if self.patterns.is_match(pattern, name) {
                    is_known = true;
                    outcome.include(Step::Member(member), self.judge(schema, member.value));
                }
            }
            match additional {
                _ if is_known => {}
                Some(Json::Bool(false)) => outcome.add(Fault::UnknownKey(member.key, schema)),
                Some(schema) => outcome.include(Step::Member(member), self.judge(schema, member.value)),
                None => {}
            }
        }
    }

    /// Finds keys that are missing.
    fn check_required(
        &mut self,
        schema: &'s Json,
        keywords: &'s Map<String, Json>,
        members: &[Member],
        outcome: &mut Outcome<'s>,
    ) {
        let listed = schema.get("required").and_then(Json::as_array).map_or(0, Vec::len);
        let dependencies = ["dependencies", "dependentRequired"].map(|name| keywords.get(name));
        let dependencies = dependencies.into_iter().flatten().filter_map(Json::as_object);
        let needing: usize = dependencies.clone().map(Map::len).sum();
        if listed + needing == 0 || !self.spend(listed + needing + members.len() / 4) {
            return;
        }
        // A key that cannot be judged may be any.
        if members.iter().any(|member| matches!(self.tree.value(member.key), Value::Unknown)) {
            return;
        }
        let names: HashSet<_> = members.iter().filter_map(|member| self.tree.string(member.key)).collect();
        for key in required(schema) {
            if !names.contains(key) {
                outcome.add(Fault::MissingKey(vec![key], None));
            }
        }
        for (key, needed) in dependencies.flatten().filter(|(key, _)| names.contains(key.as_str())) {
            for needed in needed.as_array().into_iter().flatten().filter_map(Json::as_str) {
                if self.spend(1) && !names.contains(needed) {
                    outcome.add(Fault::MissingKey(vec![needed], Some(key)));
                }
            }
        }
    }

    /// The keys that a schema names for the top of a document, whichever of its parts applies.
    pub(super) fn known_keys(&self, schema: &'s Json) -> Vec<&'s str> {
        let mut keys = Vec::new();
        let mut seen = HashSet::new();
        let mut left = vec![schema];
        while let Some(schema) = left.pop() {
            if !seen.insert(std::ptr::from_ref(schema)) {
                continue;
            }
            if let Some(Json::String(reference)) = schema.get("$ref") {
                left.extend(self.schema.target(reference));
            }
            keys.extend(
                schema
                    .get("properties")
                    .and_then(Json::as_object)
                    .into_iter()
                    .flatten()
                    .map(|(key, _)| &**key),
            );
            for name in ["allOf", "anyOf", "oneOf"] {
                left.extend(schema.get(name).and_then(Json::as_array).into_iter().flatten());
            }
        }
        keys
    }
}

/// The keys that a schema requires.
fn required(schema: &Json) -> impl Iterator<Item = &str> {
    let required = schema.get("required").and_then(Json::as_array);
    required.into_iter().flatten().filter_map(Json::as_str)
}

/// Whether a name is a known one. cloud-init takes `-` for `_` in the names of modules, and drops `cc_` and `.py`.
fn is_familiar(name: &Scalar<'_>, known: &[Json]) -> bool {
    let name = name.text.replace('-', "_");
    let name = name.strip_prefix("cc_").unwrap_or(&name);
    let name = name.strip_suffix(".py").unwrap_or(name);
    known.iter().any(|known| known.as_str() == Some(name))
}

/// Notes what a schema says about versions. cloud-init's own schema has other words for it than ours.
fn note<'s>(schema: &'s Json, outcome: &mut Outcome<'s>) {
    let text = |name: &str| schema.get(name).and_then(Json::as_str);
    let is = |name: &str| schema.get(name) == Some(&Json::Bool(true));
    if is("deprecated") {
        outcome.note(Note::Deprecated {
            since: text("x-deprecated-since").or(text("deprecated_version")),
            instead: text("x-replaced-by"),
            sentence: text("deprecated_description"),
        });
    }
    let since = text("x-new-since").or_else(|| text("new_version").filter(|_| is("new")));
    if let Some(since) = since {
        outcome.note(Note::NewSince(since));
    }
}
