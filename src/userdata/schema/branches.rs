//! The branch of an `anyOf` or `oneOf` that comes nearest.

use std::{cmp::Reverse, rc::Rc};

use serde_json::Value as Json;

use super::{
    fault::{Expected, Fault, Outcome, Step},
    walk::Walk,
    words::LISTED_MAX,
};
use crate::userdata::yaml::NodeId;

impl<'s> Walk<'s, '_> {
    /// Applies schemas of which one must fit, and with `exclusive` no other.
    pub(super) fn apply_branches(
        &mut self,
        branches: &'s [Json],
        exclusive: bool,
        node: NodeId,
        outcome: &mut Outcome<'s>,
    ) {
        let outcomes: Vec<_> = branches.iter().map(|branch| self.judge(branch, node)).collect();
        // What does not fit is remembered.
        if !self.spend(3 * outcomes.iter().filter(|it| !it.is_valid()).count()) {
            return;
        }
        let fitting = outcomes.iter().filter(|it| it.is_valid());
        if let Some(chosen) = fitting.clone().min_by_key(|it| it.deprecations) {
            // cloud-init does not count a deprecated form as a second one.
            if exclusive && fitting.filter(|it| it.deprecations == 0).count() > 1 {
                outcome.add(Fault::Ambiguous);
            }
            outcome.include(Step::Branch, Rc::clone(chosen));
            return;
        }
        let rank = |it: &&Rc<Outcome<'s>>| {
            let fit = if it.is_unquoted { 0 } else { 1 + u8::from(it.has_wrong_type) };
            (fit, it.is_of_another_form, Reverse(it.depth), it.fault_count)
        };
        let Some(chosen) = outcomes.iter().min_by_key(rank) else { return };
        // A value that no branch knows has been reported, and says that none of them is meant.
        if chosen.is_of_another_form && !outcome.is_valid() {
            return;
        }
        match united(chosen, &outcomes) {
            Some(fault) => outcome.add(fault),
            None => outcome.include(Step::Branch, Rc::clone(chosen)),
        }
    }
}

/// The only fault of the nearest branch, with what the others expect instead. `None`: the branch has others, or one below.
fn united<'s>(chosen: &Outcome<'s>, all: &[Rc<Outcome<'s>>]) -> Option<Fault<'s>> {
    if chosen.fault_count != 1 {
        return None;
    }
    let fault = only_fault(chosen)?;
    if let Fault::MissingKey(_, None) = fault {
        let mut keys = Vec::new();
        for outcome in all {
            let Some(Fault::MissingKey(more, None)) = only_fault(outcome) else { return None };
            if keys.len() > LISTED_MAX {
                continue;
            }
            keys.extend(more.iter().filter(|key| !keys.contains(*key)).copied().collect::<Vec<_>>());
        }
        return Some(Fault::MissingKey(keys, None));
    }
    let (Fault::Type(_) | Fault::Unquoted(_) | Fault::Value(_)) = fault else { return None };
    let mut expected: Vec<Expected<'s>> = Vec::new();
    for outcome in all {
        if let Some(Fault::Type(more) | Fault::Unquoted(more) | Fault::Value(more)) = only_fault(outcome) {
            // More are not listed.
            if expected.len() > LISTED_MAX {
                continue;
            }
            let is_new = |it: &&Expected<'s>| !expected.iter().any(|other| it.is_same(other));
            expected.extend(more.iter().filter(is_new).copied().collect::<Vec<_>>());
        } else if !outcome.has_wrong_type {
            // This form has the right type, and something else is wrong.
            return None;
        }
    }
    Some(match fault {
        Fault::Type(_) => Fault::Type(expected),
        Fault::Unquoted(_) => Fault::Unquoted(expected),
        _ => Fault::Value(expected),
    })
}

/// The fault of an outcome that has only one, at the node itself.
fn only_fault<'o, 's>(outcome: &'o Outcome<'s>) -> Option<&'o Fault<'s>> {
    let mut outcome = outcome;
    loop {
        if let [fault] = &*outcome.faults {
            return (outcome.fault_count == 1).then_some(fault);
        }
        let mut with_faults = outcome.below.iter().filter(|(_, it)| !it.is_valid());
        match (with_faults.next(), with_faults.next()) {
            (Some((Step::Same | Step::Branch, below)), None) => outcome = below,
            _ => return None,
        }
    }
}
