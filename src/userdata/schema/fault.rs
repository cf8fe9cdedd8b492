//! What is wrong at a place, and what is to be said about it.

use std::rc::Rc;

use serde_json::Value as Json;

use crate::userdata::yaml::{Member, NodeId};

/// What a schema expects of a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Expected<'s> {
    /// A type of JSON Schema.
    Type(&'s str),
    /// One of these values.
    OneOf(&'s [Json]),
    /// This value.
    Constant(&'s Json),
    /// Text that matches this pattern.
    Pattern(&'s str),
    /// What the schema says for people, in place of all that follows.
    Words(&'s str),
    /// The permission bits of a file, as an octal number in a string.
    Mode,
    Date,
    /// A number of at least or at most so much.
    AtLeast(&'s Json),
    AtMost(&'s Json),
    /// Of a list: the value would fit as an item of it.
    InList,
    /// So many characters, items or keys at least or at most.
    Least(u64, &'static str),
    Most(u64, &'static str),
}

impl Expected<'_> {
    /// Whether both are the same part of a schema, or the same type. Values are not compared, of which there may be many.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Type(a), Self::Type(b)) => a == b,
            (Self::OneOf(a), Self::OneOf(b)) => std::ptr::eq(*a, *b),
            (Self::Constant(a), Self::Constant(b)) => std::ptr::eq(*a, *b),
            (Self::Pattern(a) | Self::Words(a), Self::Pattern(b) | Self::Words(b)) => std::ptr::eq(*a, *b),
            (Self::Date, Self::Date) | (Self::Mode, Self::Mode) | (Self::InList, Self::InList) => true,
            _ => false,
        }
    }
}

/// What is wrong at a place.
#[derive(Clone, Debug)]
pub(super) enum Fault<'s> {
    Type(Vec<Expected<'s>>),
    /// The type is wrong, and as a string it would be right.
    Unquoted(Vec<Expected<'s>>),
    Value(Vec<Expected<'s>>),
    /// An item that is there before.
    Twice(NodeId),
    /// A key that is not allowed, and the schema whose properties are.
    UnknownKey(NodeId, &'s Json),
    /// One of these keys is missing; another one may need it.
    MissingKey(Vec<&'s str>, Option<&'s str>),
    /// Keys that exclude each other.
    Excluded(Vec<&'s str>),
    /// Nothing is allowed here, or not together with the rest.
    Forbidden,
    /// The value has more than one of the forms of which it must have one.
    Ambiguous,
}

impl<'s> Fault<'s> {
    /// Lets a message say `words` for what is expected, unless it is a number of items.
    pub(super) fn say(&mut self, words: Expected<'s>) {
        if let Self::Type(all) | Self::Unquoted(all) | Self::Value(all) = self
            && !matches!(
                all.first(),
                Some(Expected::Words(_) | Expected::Mode | Expected::Least(..) | Expected::Most(..))
            )
        {
            all.insert(0, words);
        }
    }

    /// Whether a value is not the only one that is allowed.
    fn is_of_constant(&self) -> bool {
        let (Self::Type(all) | Self::Value(all)) = self else { return false };
        matches!(all.as_slice(), [Expected::Constant(_) | Expected::OneOf([_])])
    }

    /// Whether a value is refused for its type.
    fn is_of_type(&self) -> bool {
        matches!(self, Self::Type(_))
    }
}

/// What a schema says about a place that fits it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Note<'s> {
    Deprecated {
        since: Option<&'s str>,
        /// What replaces it, or a sentence about that.
        instead: Option<&'s str>,
        sentence: Option<&'s str>,
    },
    NewSince(&'s str),
    /// A name that is none of these.
    Unfamiliar(&'s [Json]),
}

/// How to come from one outcome to the next.
#[derive(Clone, Copy, Debug)]
pub(super) enum Step {
    /// The same node under another schema.
    Same,
    /// The same node under one of several schemas.
    Branch,
    Member(Member),
    Item(usize, NodeId),
}

/// How a node fits a schema.
#[expect(clippy::struct_excessive_bools, reason = "each says something else of the faults")]
#[derive(Debug, Default)]
pub(super) struct Outcome<'s> {
    pub(super) faults: Vec<Fault<'s>>,
    pub(super) notes: Vec<Note<'s>>,
    /// Outcomes that have something to say.
    pub(super) below: Vec<(Step, Rc<Outcome<'s>>)>,
    /// How many faults there are, here and below.
    pub(super) fault_count: usize,
    /// How many deprecations there are, here and below.
    pub(super) deprecations: usize,
    /// Whether there are notes, here or below.
    has_notes: bool,
    /// How deep below the node the deepest fault is.
    pub(super) depth: usize,
    /// Whether the node itself has the wrong type.
    pub(super) has_wrong_type: bool,
    /// Whether a member has not the only value that is allowed for it, so that another form is meant.
    pub(super) is_of_another_form: bool,
    /// Whether quotes would put all of it right.
    pub(super) is_unquoted: bool,
}

impl<'s> Outcome<'s> {
    /// Whether there is nothing to say.
    pub(super) fn is_silent(&self) -> bool {
        self.fault_count == 0 && !self.has_notes
    }

    pub(super) fn is_valid(&self) -> bool {
        self.fault_count == 0
    }

    pub(super) fn add(&mut self, fault: Fault<'s>) {
        let is_unquoted = matches!(fault, Fault::Unquoted(_));
        self.is_unquoted = is_unquoted && (self.fault_count == 0 || self.is_unquoted);
        self.fault_count = self.fault_count.saturating_add(1);
        self.has_wrong_type |= fault.is_of_type();
        self.faults.push(fault);
    }

    pub(super) fn note(&mut self, note: Note<'s>) {
        self.deprecations = self.deprecations.saturating_add(matches!(note, Note::Deprecated { .. }).into());
        self.has_notes = true;
        self.notes.push(note);
    }

    /// Adds an outcome, if it says something.
    pub(super) fn include(&mut self, step: Step, outcome: Rc<Self>) {
        if outcome.is_silent() {
            return;
        }
        let is_here = matches!(step, Step::Same | Step::Branch);
        if outcome.fault_count > 0 {
            self.depth = self.depth.max(outcome.depth + usize::from(!is_here));
            self.is_unquoted = is_here && outcome.is_unquoted && (self.fault_count == 0 || self.is_unquoted);
            self.has_wrong_type |= is_here && outcome.has_wrong_type;
            self.is_of_another_form |= if is_here {
                outcome.is_of_another_form
            } else {
                outcome.faults.iter().any(Fault::is_of_constant)
            };
        }
        self.fault_count = self.fault_count.saturating_add(outcome.fault_count);
        self.deprecations = self.deprecations.saturating_add(outcome.deprecations);
        self.has_notes |= outcome.has_notes;
        self.below.push((step, outcome));
    }
}
