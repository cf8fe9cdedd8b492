//! YAML documents that are one mapping, and what is to say about those that are not.

use std::ops::Range;

use saphyr::{MarkedYaml, YamlData, YamlLoader};
use saphyr_parser::{Marker, Parser, ScanError};

use super::finding::{Code, Finding};

/// Nodes that aliases of a YAML document may make of it at most.
const ALIAS_NODES_MAX: usize = 1000;

/// A member of a mapping.
pub(super) struct Member {
    pub(super) key: String,
    /// Which characters of the text the key is.
    pub(super) span: Range<usize>,
    pub(super) value: Value,
}

/// What a key stands for.
pub(super) enum Value {
    /// A scalar as it is written, without its quotes.
    Scalar(String),
    Sequence(Vec<Value>),
    Mapping(Vec<Member>),
    /// Something of another kind, such as a tagged value.
    Other,
}

impl Value {
    /// Whether it is a scalar that means nothing.
    pub(super) fn is_null(&self) -> bool {
        matches!(self, Self::Scalar(text) if is_null(text))
    }

    fn of(node: &MarkedYaml<'_>) -> Self {
        match &node.data {
            YamlData::Representation(text, _, _) => Self::Scalar(text.to_string()),
            YamlData::Sequence(nodes) => Self::Sequence(nodes.iter().map(Self::of).collect()),
            YamlData::Mapping(mapping) => Self::Mapping(members(mapping.iter())),
            _ => Self::Other,
        }
    }
}

/// Members of which the key is a scalar.
fn members<'a>(mapping: impl Iterator<Item = (&'a MarkedYaml<'a>, &'a MarkedYaml<'a>)>) -> Vec<Member> {
    mapping
        .filter_map(|(key, value)| {
            let YamlData::Representation(text, _, _) = &key.data else { return None };
            let span = key.span.start.index()..key.span.end.index();
            Some(Member { key: text.to_string(), span, value: Value::of(value) })
        })
        .collect()
}

fn is_null(scalar: &str) -> bool {
    matches!(scalar, "" | "~" | "null")
}

/// The documents of a YAML text. Of a key that is there twice PyYAML, and so cloud-init, takes the last value.
fn load<'a>(text: &'a str, findings: &mut Vec<Finding>) -> Result<Vec<MarkedYaml<'a>>, ScanError> {
    let load = |allow_duplicate_keys| {
        let mut loader = YamlLoader::<MarkedYaml<'a>>::default();
        loader.early_parse(false);
        loader.alias_limit(ALIAS_NODES_MAX);
        loader.allow_duplicate_keys(allow_duplicate_keys);
        Parser::new_from_str(text).load(&mut loader, true)?;
        match loader.error() {
            Some(error) => Err(error.clone()),
            None => Ok(loader.into_documents()),
        }
    };
    match load(false) {
        Err(error) if error.info().contains("duplicated key") => {
            let at = error.marker().index();
            let span = bytes_of(text, at..at + 1);
            // Merged mappings may be several.
            if !text[span.start..].starts_with("<<") {
                findings.push(Finding::new(
                    Code::DuplicateKey,
                    span,
                    "this key is here twice; the last one counts",
                ));
            }
            load(true)
        }
        loaded => loaded,
    }
}

/// The members of a YAML document that is one mapping; `None`: it is none, which has been said.
pub(super) fn check_mapping(text: &str, what: &str, findings: &mut Vec<Finding>) -> Option<Vec<Member>> {
    let documents = match load(text, findings) {
        Ok(documents) => documents,
        Err(error) => {
            let at = error.marker().index();
            let message = format!("this is no YAML: {}", error.info());
            findings.push(Finding::new(Code::YamlSyntax, bytes_of(text, at..at + 1), message));
            return None;
        }
    };
    let mut no_mapping = |at: &Marker, message: String| {
        findings.push(Finding::new(Code::NoMapping, bytes_of(text, at.index()..at.index() + 1), message));
        None
    };
    let document = match documents.as_slice() {
        // Comments only.
        [] => return Some(Vec::new()),
        [document] => document,
        [_, more, ..] => {
            return no_mapping(&more.span.start, format!("a second document, and {what} is one mapping"));
        }
    };
    match &document.data {
        YamlData::Mapping(mapping) => Some(members(mapping.iter())),
        YamlData::Representation(text, _, _) if is_null(text) => Some(Vec::new()),
        _ => no_mapping(
            &document.span.start,
            format!("{what} is a mapping of keys to values, and this is none"),
        ),
    }
}

/// The bytes of these characters.
pub(super) fn bytes_of(text: &str, characters: Range<usize>) -> Range<usize> {
    let mut offsets = text.char_indices().map(|(at, _)| at).chain([text.len()]);
    let start = offsets.nth(characters.start).unwrap_or(text.len());
    let more = characters.len().checked_sub(1);
    let end = more.and_then(|more| offsets.nth(more)).unwrap_or(text.len());
    start..end
}
