//! Builds a tree from events.
//!
//! The loader of the crate saphyr (0.3.3) nests without limit, copies every node that has an anchor, and does not count the
//! keys that aliases repeat. Here the depth is checked before a node is built, and an alias shares its node.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    ops::Range,
};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span, Tag};

use super::{
    offsets::Offsets,
    repair::Strictness,
    scalar, syntax_error, tag,
    tree::{Kind, Member, Node, NodeId, Scalar, Value},
};
use crate::userdata::finding::{Code, Finding, push_bounded};

/// The most levels of collections. PyYAML, which recurses, fails at about 300.
pub(super) const DEPTH_MAX: usize = 128;

/// Aliases may expand to this many times the text, so that the time to walk a tree grows with the text.
const ALIAS_FACTOR: usize = 16;

/// Bytes and nodes that aliases may expand to in addition, whatever the length of the text.
const ALIAS_FLOOR: usize = 64 << 10;

/// Why there is no document.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) finding: Finding,
    /// What PyYAML accepts, and where, in bytes.
    pub(super) strictness: Option<(Strictness, usize)>,
}

impl From<Finding> for Failure {
    fn from(finding: Finding) -> Self {
        Self { finding, strictness: None }
    }
}

fn too_deep(span: Range<usize>) -> Finding {
    Finding::new(Code::TooDeep, span, format!("the YAML is nested in more than {DEPTH_MAX} levels"))
}

/// A collection that has not ended.
pub(super) struct OpenCollection {
    collection: Collection,
    anchor: usize,
    /// The name of its tag.
    tag: Option<String>,
    /// Where it begins, in characters.
    pub(super) start: usize,
    weight: usize,
    /// Whether it can be a key. Python has no such keys.
    is_known: bool,
}

pub(super) enum Collection {
    Sequence(Vec<NodeId>),
    /// The members, and the key whose value comes next.
    Mapping(Vec<Member>, Option<NodeId>),
}

/// Builds documents from events.
pub(super) struct Composer<'a, 'f> {
    pub(super) text: &'a str,
    pub(super) offsets: Offsets<'a>,
    pub(super) nodes: Vec<Node<'a>>,
    /// The roots, and their first characters.
    pub(super) documents: Vec<(NodeId, Range<usize>)>,
    /// The collections that the next node is in, outermost first.
    pub(super) open: Vec<OpenCollection>,
    /// The nodes with an anchor, and their weights: the number of nodes and the bytes of scalars, with aliases expanded.
    anchors: HashMap<usize, (NodeId, usize)>,
    /// The names of the anchors of the document.
    pub(super) names: HashSet<&'a str>,
    /// Bytes and nodes that further aliases may expand to.
    room: usize,
    pub(super) literal: Vec<Range<usize>>,
    pub(super) findings: &'f mut Vec<Finding>,
}

impl<'a, 'f> Composer<'a, 'f> {
    pub(super) fn new(text: &'a str, findings: &'f mut Vec<Finding>) -> Self {
        Self {
            text,
            offsets: Offsets::of(text),
            nodes: Vec::new(),
            documents: Vec::new(),
            open: Vec::new(),
            anchors: HashMap::new(),
            names: HashSet::new(),
            room: text.len().saturating_mul(ALIAS_FACTOR).saturating_add(ALIAS_FLOOR),
            literal: Vec::new(),
            findings,
        }
    }

    pub(super) fn run(&mut self) -> Result<(), Failure> {
        let mut parser = Parser::new_from_str(self.text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| self.syntax_error(&error))?;
            self.take(event, span)?;
        }
        Ok(())
    }

    fn syntax_error(&self, error: &ScanError) -> Failure {
        let span = self.offsets.character(error.marker().index());
        // The scanner reads ahead of the events, and has its own limit of 255 brackets (saphyr-parser 0.3.3).
        if error.info() == "recursion limit exceeded" {
            return too_deep(span).into();
        }
        Failure {
            strictness: Strictness::of(error).map(|strictness| (strictness, span.start)),
            finding: syntax_error::finding(self.text, span, error.info()),
        }
    }

    fn take(&mut self, event: Event<'a>, span: Span) -> Result<(), Finding> {
        match event {
            Event::SequenceStart(anchor, tag) => {
                self.begin(Collection::Sequence(Vec::new()), anchor, tag.as_deref(), span)
            }
            Event::MappingStart(anchor, tag) => {
                self.begin(Collection::Mapping(Vec::new(), None), anchor, tag.as_deref(), span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Scalar(text, style, anchor, tag) => {
                self.scalar(text, style, anchor, tag.as_deref(), span);
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.names.clear();
                Ok(())
            }
        }
    }

    /// The name of a tag. A tag that PyYAML does not know is a finding, and `Err`.
    fn tag<'t>(&mut self, tag: Option<&'t Tag>, span: Span) -> Result<Option<&'t str>, ()> {
        let Some(Tag { handle, suffix }) = tag else { return Ok(None) };
        // The tag `!` says nothing.
        if handle.is_empty() && suffix == "!" || handle == "!" && suffix.is_empty() {
            return Ok(None);
        }
        let name = tag::known(handle, suffix);
        if name.is_err() {
            let handle = if handle == "tag:yaml.org,2002:" { "!!" } else { handle };
            let message = format!("not valid YAML: cloud-init does not know the tag {handle}{suffix}");
            let at = self.offsets.character(span.start.index());
            push_bounded(self.findings, Finding::new(Code::YamlSyntax, at, message));
        }
        name.map(Some)
    }

    fn begin(
        &mut self,
        collection: Collection,
        anchor: usize,
        tag: Option<&Tag>,
        span: Span,
    ) -> Result<(), Finding> {
        let start = span.start.index();
        if self.open.len() == DEPTH_MAX {
            return Err(too_deep(self.offsets.character(start)));
        }
        if anchor > 0 {
            self.check_anchor(self.offsets.byte(start));
        }
        let name = self.tag(tag, span);
        let is_fitting = |name: &str| match collection {
            Collection::Sequence(_) => tag::is_of_sequence(name),
            Collection::Mapping(..) => tag::is_of_mapping(name),
        };
        if let Ok(Some(name)) = name
            && !is_fitting(name)
        {
            let at = self.offsets.character(start);
            self.refuse_at(at, "the tag does not fit what follows");
        }
        let is_known = name.is_ok_and(|name| name.is_none_or(|name| is_fitting(name) && name != "set"));
        let tag = name.ok().flatten().map(str::to_owned);
        self.open.push(OpenCollection { collection, anchor, tag, start, weight: 1, is_known });
        Ok(())
    }

    /// Ends the innermost collection.
    fn end(&mut self) -> Result<(), Finding> {
        let Some(OpenCollection { collection, anchor, tag, start, weight, is_known }) = self.open.pop()
        else {
            return Ok(());
        };
        let value = match collection {
            Collection::Sequence(items) => {
                if matches!(tag.as_deref(), Some("omap" | "pairs")) {
                    self.check_pairs(&items, start);
                }
                Value::Sequence(items)
            }
            Collection::Mapping(members, _) => Value::Mapping(self.members(members)?),
        };
        let span = self.offsets.character(start);
        let is_set = tag.as_deref() == Some("set");
        let node = self.push(if is_known || is_set { value } else { Value::Unknown }, span.clone());
        self.insert(node, weight, anchor, span);
        if is_set {
            self.nodes[node].value = Value::Unknown;
        }
        Ok(())
    }

    /// Items of `!!omap` and `!!pairs` are mappings of one key.
    fn check_pairs(&mut self, items: &[NodeId], start: usize) {
        let is_pair = |item: &NodeId| match &self.nodes[*item].value {
            Value::Mapping(members) => members.len() == 1,
            Value::Unknown => true,
            _ => false,
        };
        if !items.iter().all(is_pair) {
            let at = self.offsets.character(start);
            self.refuse_at(at, "each item must be a mapping of one key");
        }
    }

    fn scalar(
        &mut self,
        text: Cow<'a, str>,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        span: Span,
    ) {
        let is_plain = style == ScalarStyle::Plain;
        let (start, end) = (self.offsets.byte(span.start.index()), self.offsets.byte(span.end.index()));
        // An empty value is nowhere.
        let range = if text.is_empty() && is_plain { start..start } else { start..end };
        if !is_plain {
            self.literal.push(range.clone());
        }
        if anchor > 0 {
            self.check_anchor(start);
        }
        let name = self.tag(tag, span);
        let meaning = match name {
            // There is a finding.
            Err(()) => None,
            // Without quotes, or with the tag `!`.
            Ok(None) if is_plain || tag.is_some() => Some(scalar::of_plain(&text)),
            Ok(None) => Some(Ok(Kind::String)),
            Ok(Some(name)) => Some(tag::scalar(name, &text)),
        };
        let is_key = match self.open.last() {
            Some(OpenCollection { collection: Collection::Mapping(_, key), .. }) => key.is_none(),
            _ => false,
        };
        if is_key {
            self.check_key(&range);
        }
        let weight = 1 + text.len();
        let value = match meaning {
            Some(Ok(kind)) => Value::Scalar(Scalar { text, kind, is_plain: is_plain && tag.is_none() }),
            // A plain `=` is text as a key, and a plain `<<` merges.
            Some(Err(_)) if is_key && matches!(&*text, "=" | "<<") && is_plain => {
                Value::Scalar(Scalar { text, kind: Kind::String, is_plain: true })
            }
            Some(Err(why)) => {
                self.refuse_at(range.clone(), why);
                Value::Unknown
            }
            None => Value::Unknown,
        };
        let node = self.push(value, range.clone());
        self.insert(node, weight, anchor, range);
    }

    /// Adds the node of an alias.
    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Finding> {
        let span = self.offsets.byte(span.start.index())..self.offsets.byte(span.end.index());
        self.check_alias(span.clone());
        let Some(&(node, weight)) = self.anchors.get(&anchor) else {
            // An alias inside its own node has no node yet.
            let node = self.push(Value::Unknown, span.clone());
            self.insert(node, 1, 0, span);
            return Ok(());
        };
        self.spend(weight, span.clone())?;
        self.insert(node, weight, 0, span);
        Ok(())
    }

    /// Takes from the room for what aliases expand to.
    pub(super) fn spend(&mut self, weight: usize, span: Range<usize>) -> Result<(), Finding> {
        let Some(room) = self.room.checked_sub(weight) else {
            let message = format!(
                "the aliases expand to more than 64 KiB plus {ALIAS_FACTOR} times the length of the text"
            );
            return Err(Finding::new(Code::AliasExpansion, span, message));
        };
        self.room = room;
        Ok(())
    }

    fn push(&mut self, value: Value<'a>, span: Range<usize>) -> NodeId {
        self.nodes.push(Node { value, span });
        self.nodes.len() - 1
    }

    /// Adds a complete node to its collection. The parser counts anchors from 1; 0 means no anchor.
    fn insert(&mut self, node: NodeId, weight: usize, anchor: usize, span: Range<usize>) {
        if anchor > 0 {
            self.anchors.insert(anchor, (node, weight));
        }
        let Some(open) = self.open.last_mut() else {
            self.documents.push((node, self.offsets.character_at(span.start)));
            return;
        };
        open.weight = open.weight.saturating_add(weight);
        match &mut open.collection {
            Collection::Sequence(items) => items.push(node),
            Collection::Mapping(_, key @ None) => {
                *key = Some(node);
                if matches!(self.nodes[node].value, Value::Sequence(_) | Value::Mapping(_)) {
                    self.refuse_key(node, span.start);
                }
            }
            Collection::Mapping(members, key) => {
                if let Some(key) = key.take() {
                    members.push(Member { key, value: node });
                }
            }
        }
    }

    /// Whether a node is the key `<<` without quotes.
    pub(super) fn is_merge_key(&self, key: NodeId) -> bool {
        matches!(&self.nodes[key].value, Value::Scalar(scalar) if scalar.is_plain && scalar.text == "<<")
    }

    /// Reports what PyYAML refuses.
    pub(super) fn refuse(&mut self, node: NodeId, why: &str) {
        self.refuse_at(self.nodes[node].span.clone(), why);
    }

    pub(super) fn refuse_at(&mut self, span: Range<usize>, why: &str) {
        let finding = Finding::new(Code::YamlSyntax, span, format!("not valid YAML 1.1: {why}"));
        push_bounded(self.findings, finding);
    }
}
