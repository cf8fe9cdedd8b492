//! The tree of a document.

use std::{borrow::Cow, ops::Range};

use crate::userdata::finding::floor_char_boundary;

/// A node of a [`Tree`].
pub(in crate::userdata) type NodeId = usize;

/// What a node is.
#[derive(Debug)]
pub(in crate::userdata) enum Value<'a> {
    Scalar(Scalar<'a>),
    Sequence(Vec<NodeId>),
    /// The members after merging. No key occurs twice; the last value counts.
    Mapping(Vec<Member>),
    /// Something that cannot be judged: what PyYAML refuses, an alias inside its own anchor, a set.
    Unknown,
}

/// A scalar.
#[derive(Clone, Debug)]
pub(in crate::userdata) struct Scalar<'a> {
    /// As written, without quotes.
    pub(in crate::userdata) text: Cow<'a, str>,
    pub(in crate::userdata) kind: Kind,
    /// Whether it has neither quotes nor a tag, so that quotes would make it a string.
    pub(in crate::userdata) is_plain: bool,
}

/// What a scalar means.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::userdata) enum Kind {
    Null,
    Boolean(bool),
    /// A number beyond 128 bits is the largest or smallest of them.
    Integer(i128),
    Float(f64),
    String,
    Binary,
    Date,
    Timestamp,
}

/// What a scalar means, or why PyYAML refuses it.
pub(super) type Meaning = Result<Kind, &'static str>;

/// A member of a mapping.
#[derive(Clone, Copy, Debug)]
pub(in crate::userdata) struct Member {
    pub(in crate::userdata) key: NodeId,
    pub(in crate::userdata) value: NodeId,
}

#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) value: Value<'a>,
    /// Where it is in the text, in bytes. A collection has its first character only.
    pub(super) span: Range<usize>,
}

impl Node<'_> {
    /// The same, with its text in it.
    pub(super) fn into_owned(self) -> Node<'static> {
        let value = match self.value {
            Value::Scalar(Scalar { text, kind, is_plain }) => {
                Value::Scalar(Scalar { text: text.into_owned().into(), kind, is_plain })
            }
            Value::Sequence(items) => Value::Sequence(items),
            Value::Mapping(members) => Value::Mapping(members),
            Value::Unknown => Value::Unknown,
        };
        Node { value, span: self.span }
    }
}

/// A document.
#[derive(Debug)]
pub(in crate::userdata) struct Tree<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) root: NodeId,
}

impl<'a> Tree<'a> {
    /// An empty mapping.
    pub(in crate::userdata) fn empty() -> Self {
        Self { nodes: vec![Node { value: Value::Mapping(Vec::new()), span: 0..0 }], root: 0 }
    }

    pub(in crate::userdata) fn root(&self) -> NodeId {
        self.root
    }

    pub(in crate::userdata) fn value(&self, node: NodeId) -> &Value<'a> {
        &self.nodes[node].value
    }

    /// How many nodes there are.
    #[cfg(feature = "check")]
    pub(in crate::userdata) fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Where a node is in the text, in bytes. A collection has its first character only; an empty value has nothing.
    pub(in crate::userdata) fn span(&self, node: NodeId) -> Range<usize> {
        self.nodes[node].span.clone()
    }

    /// Makes scalars unknown whose text cannot be judged.
    #[cfg(feature = "check")]
    pub(in crate::userdata) fn forget(&mut self, cannot_be_judged: impl Fn(&str) -> bool) {
        for node in &mut self.nodes {
            if matches!(&node.value, Value::Scalar(scalar) if cannot_be_judged(&scalar.text)) {
                node.value = Value::Unknown;
            }
        }
    }

    /// The first character of the document.
    pub(in crate::userdata) fn first_character(&self, text: &str) -> Range<usize> {
        let start = floor_char_boundary(text, self.nodes[self.root].span.start);
        start..start + text[start..].chars().next().map_or(0, char::len_utf8)
    }

    /// The members of a mapping; none if it is not a mapping.
    pub(in crate::userdata) fn members(&self, node: NodeId) -> &[Member] {
        if let Value::Mapping(members) = self.value(node) { members } else { &[] }
    }

    /// The items of a sequence; none if it is not a sequence.
    #[cfg(feature = "check")]
    pub(in crate::userdata) fn items(&self, node: NodeId) -> &[NodeId] {
        if let Value::Sequence(items) = self.value(node) { items } else { &[] }
    }

    /// A scalar.
    pub(in crate::userdata) fn scalar(&self, node: NodeId) -> Option<&Scalar<'a>> {
        if let Value::Scalar(scalar) = self.value(node) { Some(scalar) } else { None }
    }

    /// The text of a string.
    pub(in crate::userdata) fn string(&self, node: NodeId) -> Option<&str> {
        self.scalar(node).filter(|scalar| scalar.kind == Kind::String).map(|scalar| &*scalar.text)
    }

    /// The text of a scalar as written, unless it is null.
    pub(in crate::userdata) fn text(&self, node: NodeId) -> Option<&str> {
        self.scalar(node).filter(|scalar| scalar.kind != Kind::Null).map(|scalar| &*scalar.text)
    }

    /// The member of a mapping whose key is the string `key`.
    #[cfg(feature = "check")]
    pub(in crate::userdata) fn member(&self, node: NodeId, key: &str) -> Option<Member> {
        self.members(node).iter().copied().find(|member| self.string(member.key) == Some(key))
    }

    /// The value of the key `key` of a mapping.
    #[cfg(feature = "check")]
    pub(in crate::userdata) fn get(&self, node: NodeId, key: &str) -> Option<NodeId> {
        self.member(node, key).map(|member| member.value)
    }
}
