//! YAML documents as trees with positions, and findings about those that are not a single mapping.
//!
//! The events come from saphyr-parser; the trees are built here. The loader of the crate saphyr (0.3.3) nests without
//! limit, copies every node that has an anchor, does not count the keys that aliases repeat, and gives no position for the
//! second occurrence of a key. Here the depth is checked before a node is built, and an alias shares its node, so memory
//! grows with the text.

use std::{borrow::Cow, collections::HashMap, ops::Range, rc::Rc};

use saphyr_parser::{Event, Parser, ScalarStyle, ScanError, Span};

use crate::userdata::finding::{Code, Finding, floor_char_boundary, push_bounded};

/// The most levels of collections. PyYAML, which recurses, fails at about 300.
const DEPTH_MAX: usize = 128;

/// Aliases may expand to this many times the text, so that the time to walk a tree grows with the text.
const ALIAS_FACTOR: usize = 16;

/// Bytes and nodes that aliases may expand to in addition, whatever the length of the text.
const ALIAS_FLOOR: usize = 64 << 10;

/// A node of a document.
#[derive(Debug)]
pub(in crate::userdata) enum Value<'a> {
    /// A scalar as written, without its quotes.
    Scalar(Cow<'a, str>),
    Sequence(Vec<Rc<Value<'a>>>),
    /// The members whose key is a scalar. If a key occurs twice, PyYAML, and so cloud-init, uses the last value.
    Mapping(Vec<Member<'a>>),
    /// Anything else, such as a tagged collection.
    Other,
}

/// A member of a mapping.
#[derive(Debug)]
pub(in crate::userdata) struct Member<'a> {
    pub(in crate::userdata) key: Cow<'a, str>,
    /// Where the key is in the text, in bytes.
    pub(in crate::userdata) span: Range<usize>,
    pub(in crate::userdata) value: Rc<Value<'a>>,
}

impl<'a> Value<'a> {
    /// Whether it is a null.
    pub(in crate::userdata) fn is_null(&self) -> bool {
        matches!(self, Self::Scalar(text) if matches!(&**text, "" | "~" | "null"))
    }

    /// The members of a mapping; empty if it is not a mapping.
    pub(in crate::userdata) fn members(&self) -> &[Member<'a>] {
        if let Self::Mapping(members) = self { members } else { &[] }
    }
}

/// The document in `text`, if it is one mapping or empty. `None`: it is neither, and there is a finding. Findings call it
/// `what`.
pub(in crate::userdata) fn check_mapping<'a>(
    text: &'a str,
    what: &str,
    findings: &mut Vec<Finding>,
) -> Option<Rc<Value<'a>>> {
    let mut composer = Composer::new(text, findings);
    if let Err(finding) = composer.compose() {
        findings.push(finding);
        return None;
    }
    let mut documents = composer.documents.into_iter();
    let empty = || Some(Rc::new(Value::Mapping(Vec::new())));
    let no_mapping = |span, message| Finding::new(Code::NoMapping, span, message);
    match (documents.next(), documents.next()) {
        // Comments only.
        (None, _) => empty(),
        (Some(_), Some(more)) => {
            findings.push(no_mapping(
                more.span,
                format!("there is a second document, but {what} is a single mapping"),
            ));
            None
        }
        (Some(document), None) => match &*document.value {
            Value::Mapping(_) => Some(document.value),
            _ if document.value.is_null() => empty(),
            _ => {
                let message = format!("{what} must be a mapping of keys to values");
                findings.push(no_mapping(document.span, message));
                None
            }
        },
    }
}

fn too_deep(span: Range<usize>) -> Finding {
    Finding::new(Code::TooDeep, span, format!("the YAML is nested in more than {DEPTH_MAX} levels"))
}

/// A complete node.
#[derive(Clone, Debug)]
struct YamlNode<'a> {
    value: Rc<Value<'a>>,
    /// The number of its nodes and of the bytes of its scalars, with aliases expanded.
    weight: usize,
}

/// A document.
struct Document<'a> {
    value: Rc<Value<'a>>,
    /// Its first character.
    span: Range<usize>,
}

/// A collection that has not ended.
struct OpenCollection<'a> {
    collection: Collection<'a>,
    anchor: usize,
    is_tagged: bool,
    /// Where it begins, in characters.
    start: usize,
    weight: usize,
}

enum Collection<'a> {
    Sequence(Vec<Rc<Value<'a>>>),
    /// The members, and the key whose value comes next.
    Mapping(Vec<Candidate<'a>>, Option<Key<'a>>),
}

/// A member, and whether its key has no quotes. Quotes make a different key: `1` is a number, `"1"` is text.
type Candidate<'a> = (Member<'a>, bool);

enum Key<'a> {
    Scalar {
        text: Cow<'a, str>,
        span: Range<usize>,
        is_plain: bool,
    },
    /// A collection or an alias.
    Other,
}

/// Builds documents from events.
struct Composer<'a, 'f> {
    text: &'a str,
    offsets: Offsets<'a>,
    documents: Vec<Document<'a>>,
    /// The collections that the next node is in, outermost first.
    open: Vec<OpenCollection<'a>>,
    anchors: HashMap<usize, YamlNode<'a>>,
    /// Bytes and nodes that further aliases may expand to.
    alias_room: usize,
    findings: &'f mut Vec<Finding>,
}

impl<'a, 'f> Composer<'a, 'f> {
    fn new(text: &'a str, findings: &'f mut Vec<Finding>) -> Self {
        Self {
            text,
            offsets: Offsets::of(text),
            documents: Vec::new(),
            open: Vec::new(),
            anchors: HashMap::new(),
            alias_room: text.len().saturating_mul(ALIAS_FACTOR).saturating_add(ALIAS_FLOOR),
            findings,
        }
    }

    fn compose(&mut self) -> Result<(), Finding> {
        let mut parser = Parser::new_from_str(self.text);
        while let Some(event) = parser.next_event() {
            let (event, span) = event.map_err(|error| self.syntax_error(&error))?;
            self.take(event, span)?;
        }
        Ok(())
    }

    fn syntax_error(&self, error: &ScanError) -> Finding {
        let span = self.offsets.character(error.marker().index());
        // The scanner reads ahead of the events, and has its own limit of 255 brackets (saphyr-parser 0.3.3).
        if error.info() == "recursion limit exceeded" {
            return too_deep(span);
        }
        Finding::new(Code::YamlSyntax, span, format!("not valid YAML: {}", error.info()))
    }

    fn take(&mut self, event: Event<'a>, span: Span) -> Result<(), Finding> {
        match event {
            Event::SequenceStart(anchor, tag) => {
                let is_tagged = tag.is_some_and(|tag| !tag.is_yaml_core_schema());
                self.begin(Collection::Sequence(Vec::new()), anchor, is_tagged, span)
            }
            Event::MappingStart(anchor, tag) => {
                let is_tagged = tag.is_some_and(|tag| !tag.is_yaml_core_schema());
                self.begin(Collection::Mapping(Vec::new(), None), anchor, is_tagged, span)
            }
            Event::SequenceEnd | Event::MappingEnd => {
                self.end();
                Ok(())
            }
            Event::Scalar(text, style, anchor, _) => {
                let weight = 1 + text.len();
                let is_plain = style == ScalarStyle::Plain;
                self.add(Value::Scalar(text).into(), weight, anchor, span, is_plain);
                Ok(())
            }
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
        }
    }

    fn begin(
        &mut self,
        collection: Collection<'a>,
        anchor: usize,
        is_tagged: bool,
        span: Span,
    ) -> Result<(), Finding> {
        let start = span.start.index();
        if self.open.len() == DEPTH_MAX {
            return Err(too_deep(self.offsets.character(start)));
        }
        self.open.push(OpenCollection { collection, anchor, is_tagged, start, weight: 1 });
        Ok(())
    }

    /// Ends the innermost collection.
    fn end(&mut self) {
        let Some(OpenCollection { collection, anchor, is_tagged, start, weight }) = self.open.pop() else {
            return;
        };
        let value = match collection {
            _ if is_tagged => Value::Other,
            Collection::Sequence(values) => Value::Sequence(values),
            Collection::Mapping(candidates, _) => Value::Mapping(self.without_duplicates(candidates)),
        };
        let span = self.offsets.character(start);
        self.insert(YamlNode { value: value.into(), weight }, anchor, span, false);
    }

    /// Adds a scalar.
    fn add(&mut self, value: Rc<Value<'a>>, weight: usize, anchor: usize, span: Span, is_plain: bool) {
        let span = self.offsets.byte(span.start.index())..self.offsets.byte(span.end.index());
        self.insert(YamlNode { value, weight }, anchor, span, is_plain);
    }

    /// Adds the node of an alias.
    fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Finding> {
        let span = self.offsets.byte(span.start.index())..self.offsets.byte(span.end.index());
        // An alias inside its own node has no node yet.
        let recursive = || YamlNode { value: Value::Other.into(), weight: 1 };
        let node = self.anchors.get(&anchor).cloned().unwrap_or_else(recursive);
        let Some(room) = self.alias_room.checked_sub(node.weight) else {
            let message = format!(
                "the aliases expand to more than 64 KiB plus {ALIAS_FACTOR} times the length of the text"
            );
            return Err(Finding::new(Code::AliasExpansion, span, message));
        };
        self.alias_room = room;
        self.insert(node, 0, span, false);
        Ok(())
    }

    /// Adds a complete node to its collection. The parser counts anchors from 1; 0 means no anchor.
    fn insert(&mut self, node: YamlNode<'a>, anchor: usize, span: Range<usize>, is_plain: bool) {
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let YamlNode { value, weight } = node;
        let Some(open) = self.open.last_mut() else {
            self.documents.push(Document { value, span });
            return;
        };
        open.weight = open.weight.saturating_add(weight);
        match &mut open.collection {
            Collection::Sequence(values) => values.push(value),
            Collection::Mapping(_, key @ None) => {
                *key = Some(match &*value {
                    Value::Scalar(text) => Key::Scalar { text: text.clone(), span, is_plain },
                    _ => Key::Other,
                });
            }
            Collection::Mapping(members, key) => {
                if let Some(Key::Scalar { text, span, is_plain }) = key.take() {
                    members.push((Member { key: text, span, value }, is_plain));
                }
            }
        }
    }

    /// The members of a mapping. If a key occurs twice, only the last member is kept.
    fn without_duplicates(&mut self, candidates: Vec<Candidate<'a>>) -> Vec<Member<'a>> {
        let mut places = HashMap::with_capacity(candidates.len());
        for (place, (member, is_plain)) in candidates.iter().enumerate() {
            let is_merge = *is_plain && member.key == "<<";
            if places.insert((member.key.as_ref(), *is_plain), place).is_some() && !is_merge {
                let message = "this key occurs twice; the last one counts";
                push_bounded(self.findings, Finding::new(Code::DuplicateKey, member.span.clone(), message));
            }
        }
        if places.len() == candidates.len() {
            return candidates.into_iter().map(|(member, _)| member).collect();
        }
        let mut last: Vec<_> = places.into_values().collect();
        last.sort_unstable();
        let mut last = last.into_iter().peekable();
        let members = candidates.into_iter().enumerate();
        members.filter_map(|(place, (member, _))| last.next_if_eq(&place).map(|_| member)).collect()
    }
}

/// Converts character positions to bytes.
struct Offsets<'a> {
    text: &'a str,
    /// The byte at which every [`Offsets::STEP`]th character begins; empty if all characters are ASCII.
    steps: Vec<usize>,
}

impl<'a> Offsets<'a> {
    /// Characters between two entries of `steps`.
    const STEP: usize = 64;

    fn of(text: &'a str) -> Self {
        let steps = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().step_by(Self::STEP).map(|(at, _)| at).collect()
        };
        Self { text, steps }
    }

    /// The byte at which a character begins; for one past the last, the end of the text.
    fn byte(&self, character: usize) -> usize {
        if self.steps.is_empty() {
            return character.min(self.text.len());
        }
        let Some(&step) = self.steps.get(character / Self::STEP) else { return self.text.len() };
        let mut behind = self.text[step..].char_indices();
        behind.nth(character % Self::STEP).map_or(self.text.len(), |(at, _)| step + at)
    }

    /// The bytes of a character.
    fn character(&self, character: usize) -> Range<usize> {
        let start = floor_char_boundary(self.text, self.byte(character));
        start..self.byte(character + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(text: &str) -> Vec<&'static str> {
        let mut findings = Vec::new();
        check_mapping(text, "it", &mut findings);
        findings.iter().map(|finding| finding.code.name()).collect()
    }

    #[test]
    fn depth_is_bounded_whatever_nests() {
        for (open, close) in [("- ", ""), ("? ", ""), ("[", "]"), ("{a: ", "}"), ("&x [", "]"), ("? [", "]")]
        {
            let nested = |levels: usize| format!("a:\n {}1{}\n", open.repeat(levels), close.repeat(levels));
            assert_eq!(codes(&nested(60)), [""; 0], "{open}");
            for levels in [DEPTH_MAX + 1, 50_000] {
                assert_eq!(codes(&nested(levels)), ["too-deep"], "{open}");
            }
        }
        let indented = |levels: usize| {
            let lines: Vec<_> = (0..levels).map(|level| format!("{:level$}a:\n", "")).collect();
            lines.concat()
        };
        assert_eq!(codes(&indented(DEPTH_MAX)), [""; 0]);
        assert_eq!(codes(&indented(DEPTH_MAX + 1)), ["too-deep"]);
    }

    #[test]
    fn aliases_expand_to_a_small_multiple_of_the_text() {
        let list = |anchored: &str, aliases: usize| {
            format!("a: &a {anchored}\nb: [{}]\n", vec!["*a"; aliases].join(","))
        };
        assert_eq!(codes(&list("xyz", 1000)), [""; 0]);
        assert_eq!(codes(&list(&"x".repeat(1000), 60)), [""; 0]);
        assert_eq!(codes(&list(&"x".repeat(1000), 1000)), ["alias-expansion"]);
        let laughs = |line: &str| -> String {
            (0..30)
                .map(|level| line.replace('N', &(level + 1).to_string()).replace('M', &level.to_string()))
                .collect()
        };
        let start = "k0: &k0 x\n";
        assert_eq!(codes(&format!("{start}{}", laughs("kN: &kN [*kM, *kM]\n"))), ["alias-expansion"]);
        assert_eq!(codes(&format!("{start}{}", laughs("kN: &kN {? [*kM] : *kM}\n"))), ["alias-expansion"]);
        assert_eq!(codes("a: &a [*a]\n"), [""; 0]);
    }

    #[test]
    fn the_last_value_of_a_key_that_occurs_twice_counts() {
        let mut findings = Vec::new();
        let text = "ä: 1\nb: 2\nä: 3\n\"b\": 4\nb: 5\n";
        let document = check_mapping(text, "it", &mut findings).unwrap();
        let members: Vec<_> = document
            .members()
            .iter()
            .map(|member| match &*member.value {
                Value::Scalar(text) => format!("{}={text}", member.key),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(members, ["ä=3", "b=4", "b=5"]);
        let spans: Vec<_> =
            findings.iter().map(|finding| (finding.code.name(), &text[finding.span.clone()])).collect();
        assert_eq!(spans, [("duplicate-key", "ä"), ("duplicate-key", "b")]);
    }

    #[test]
    fn offsets_of_characters_are_in_bytes() {
        for text in ["", "abc", &"aé€😀".repeat(100)] {
            let offsets = Offsets::of(text);
            let expected = text.char_indices().map(|(at, _)| at).chain([text.len(), text.len()]);
            for (character, at) in expected.enumerate() {
                assert_eq!(offsets.byte(character), at);
            }
        }
    }
}
