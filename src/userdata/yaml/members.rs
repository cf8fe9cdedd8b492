//! The members of a mapping: merge keys, and keys that occur twice after they have been resolved.

use std::collections::{HashMap, HashSet};

use super::{
    composer::Composer,
    tree::{Kind, Member, NodeId, Scalar, Value},
};
use crate::userdata::finding::{Code, Finding, push_bounded};

/// A key that Python takes for the same as another: `1`, `1.0` and `true` are one key, `1` and `"1"` are two.
#[derive(Hash, PartialEq, Eq)]
enum Key<'t> {
    Null,
    /// The bits of a number as floating point.
    Number(u64),
    Integer(i128),
    String(&'t str),
    Binary(&'t str),
    Time(&'t str),
}

impl<'t> Key<'t> {
    fn of(scalar: &'t Scalar<'_>) -> Option<Self> {
        Some(match scalar.kind {
            Kind::Null => Self::Null,
            Kind::Boolean(value) => Self::Integer(value.into()),
            Kind::Integer(value) => Self::Integer(value),
            Kind::Float(value) if value.is_nan() => return None,
            #[expect(clippy::cast_possible_truncation, reason = "the value is whole and below 2 to the 53rd")]
            Kind::Float(value) if value.fract() == 0.0 && value.abs() < 9e15 => Self::Integer(value as i128),
            Kind::Float(value) => Self::Number(value.to_bits()),
            Kind::String => Self::String(&scalar.text),
            Kind::Binary => Self::Binary(&scalar.text),
            Kind::Date | Kind::Timestamp => Self::Time(&scalar.text),
        })
    }
}

impl Composer<'_, '_> {
    /// The members of a mapping from its keys and values as written.
    pub(super) fn members(&mut self, written: Vec<Member>) -> Result<Vec<Member>, Finding> {
        let (sources, own): (Vec<_>, Vec<_>) =
            written.into_iter().partition(|member| self.is_merge_key(member.key));
        let own = self.without_duplicates(own);
        if sources.is_empty() {
            return Ok(own);
        }
        let mut merged = Vec::new();
        for Member { key, value } in sources {
            self.merge(key, value, &mut merged)?;
        }
        merged.extend(own);
        Ok(self.last_of_each(&merged))
    }

    /// Adds the members that a merge key brings. PyYAML lets the first of a sequence win, and the own keys over all.
    fn merge(&mut self, key: NodeId, value: NodeId, merged: &mut Vec<Member>) -> Result<(), Finding> {
        let sources = match &self.nodes[value].value {
            Value::Mapping(_) => vec![value],
            Value::Sequence(items) => items.iter().rev().copied().collect(),
            Value::Unknown => return Ok(()),
            Value::Scalar(_) => {
                self.refuse(key, "<< needs a mapping or a list of mappings");
                return Ok(());
            }
        };
        for source in sources {
            match &self.nodes[source].value {
                Value::Mapping(members) => {
                    let members = members.clone();
                    self.spend(members.len(), self.nodes[key].span.clone())?;
                    merged.extend(members);
                }
                Value::Unknown => {}
                _ => self.refuse(key, "<< needs a mapping or a list of mappings"),
            }
        }
        Ok(())
    }

    /// The members without those whose key occurs again. Each is a finding.
    fn without_duplicates(&mut self, members: Vec<Member>) -> Vec<Member> {
        let last = self.last_of_each(&members);
        if last.len() == members.len() {
            return members;
        }
        let mut seen = HashSet::new();
        let mut twice = Vec::new();
        for member in &members {
            let Value::Scalar(scalar) = &self.nodes[member.key].value else { continue };
            let Some(key) = Key::of(scalar) else { continue };
            if !seen.insert(key) {
                twice.push(self.nodes[member.key].span.clone());
            }
        }
        for span in twice {
            let message = "this key occurs twice; the last one counts";
            push_bounded(self.findings, Finding::new(Code::DuplicateKey, span, message));
        }
        last
    }

    /// The last member of each key, in the order of the text.
    fn last_of_each(&self, members: &[Member]) -> Vec<Member> {
        let mut places = HashMap::with_capacity(members.len());
        let mut kept = vec![true; members.len()];
        for (place, member) in members.iter().enumerate() {
            let Value::Scalar(scalar) = &self.nodes[member.key].value else { continue };
            let Some(key) = Key::of(scalar) else { continue };
            if let Some(before) = places.insert(key, place) {
                kept[before] = false;
            }
        }
        members.iter().zip(kept).filter_map(|(member, kept)| kept.then_some(*member)).collect()
    }
}
