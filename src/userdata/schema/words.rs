//! What is expected and what was found, in words.

use serde_json::Value as Json;

use super::fault::Expected;
use crate::userdata::{
    finding::floor_char_boundary,
    yaml::{Kind, NodeId, Tree, Value},
};

/// How much of a text a message shows, in bytes.
const SHOWN_BYTES: usize = 60;

/// How many values or keys a message lists.
pub(super) const LISTED_MAX: usize = 12;

/// How many values are looked at for a message. The same one may be there twice.
const COMPARED_MAX: usize = 4 * LISTED_MAX;

/// How much of a schema's own words a message shows, in bytes.
const WORDS_BYTES: usize = 300;

/// What is expected of the permission bits of a file.
const MODE: &str = "an octal mode in quotes, such as \"0644\"";

/// A text in quotes, cut to a length that a message has room for.
pub(in crate::userdata) fn quoted(text: &str) -> String {
    let end = floor_char_boundary(text, SHOWN_BYTES);
    if end < text.len() { format!("{:?}…", &text[..end]) } else { format!("{text:?}") }
}

/// Words with commas, and `or` or `and` before the last.
pub(super) fn listed(words: &[String], last: &str) -> String {
    match words {
        [] => String::new(),
        [word] => word.clone(),
        [words @ .., word] => format!("{} {last} {word}", words.join(", ")),
    }
}

/// What is expected, in words.
pub(super) fn expected(all: &[Expected<'_>]) -> String {
    match all.first() {
        Some(Expected::Words(words)) => return plain(words),
        Some(Expected::Mode) => return MODE.to_owned(),
        _ => {}
    }
    let mut words = Vec::new();
    for word in all.iter().flat_map(|expected| words_of(*expected)).take(COMPARED_MAX) {
        if words.len() <= LISTED_MAX && !words.contains(&word) {
            words.push(word);
        }
    }
    if words.len() > LISTED_MAX {
        words.truncate(LISTED_MAX);
        words.push("another value".to_owned());
    }
    listed(&words, "or")
}

fn words_of(expected: Expected<'_>) -> Vec<String> {
    let counted = |words: &str, count: u64, what: &str| {
        vec![format!("{words} {count} {what}{}", if count == 1 { "" } else { "s" })]
    };
    match expected {
        Expected::Type(name) => vec![type_words(name).to_owned()],
        Expected::OneOf(values) => values.iter().take(COMPARED_MAX).map(json_words).collect(),
        Expected::Constant(value) => vec![json_words(value)],
        Expected::Pattern(pattern) => vec![format!("text that matches the pattern {}", quoted(pattern))],
        Expected::Words(words) => vec![plain(words)],
        Expected::Mode => vec![MODE.to_owned()],
        Expected::Date => vec!["a date such as 2024-12-31".to_owned()],
        // A hint says so.
        Expected::InList => Vec::new(),
        Expected::AtLeast(limit) => vec![format!("a number of at least {limit}")],
        Expected::AtMost(limit) => vec![format!("a number of at most {limit}")],
        Expected::Least(count, what) => counted("at least", count, what),
        Expected::Most(count, what) => counted("at most", count, what),
    }
}

/// Words of a schema, which has backquotes around names and values.
pub(super) fn plain(words: &str) -> String {
    let end = floor_char_boundary(words, WORDS_BYTES);
    let rest = if end < words.len() { "…" } else { "" };
    words[..end].replace('`', "\"") + rest
}

fn type_words(name: &str) -> &'static str {
    match name {
        "string" => "a string",
        "integer" => "an integer",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a mapping",
        "null" => "nothing",
        _ => "another type",
    }
}

fn json_words(json: &Json) -> String {
    match json {
        Json::String(text) => quoted(text),
        Json::Null => "nothing".to_owned(),
        Json::Array(_) => "a certain list".to_owned(),
        Json::Object(_) => "a certain mapping".to_owned(),
        json => json.to_string(),
    }
}

/// What a node is, in words.
pub(super) fn found(tree: &Tree<'_>, node: NodeId) -> String {
    let scalar = match tree.value(node) {
        Value::Unknown => return "something else".to_owned(),
        Value::Mapping(members) if members.is_empty() => return "an empty mapping".to_owned(),
        Value::Mapping(_) => return "a mapping".to_owned(),
        Value::Sequence(items) if items.is_empty() => return "an empty list".to_owned(),
        Value::Sequence(_) => return "a list".to_owned(),
        Value::Scalar(scalar) => scalar,
    };
    let written = |shown: String, what: &str| {
        if shown == scalar.text {
            format!("{what} {shown}")
        } else {
            format!("{what} {shown} (written {})", quoted(&scalar.text).trim_matches('"'))
        }
    };
    match scalar.kind {
        Kind::Null => "nothing".to_owned(),
        Kind::Boolean(value) => written(value.to_string(), "the boolean"),
        Kind::Integer(value) => written(value.to_string(), "the number"),
        Kind::Float(value) => written(value.to_string(), "the number"),
        Kind::String => format!("the string {}", quoted(&scalar.text)),
        Kind::Binary => "binary data".to_owned(),
        Kind::Date => written(scalar.text.to_string(), "the date"),
        Kind::Timestamp => written(scalar.text.to_string(), "the time"),
    }
}

/// How many there are of something that has too few or too many.
pub(super) fn counted(tree: &Tree<'_>, node: NodeId) -> String {
    match tree.value(node) {
        Value::Mapping(members) if !members.is_empty() => members.len().to_string(),
        Value::Sequence(items) if !items.is_empty() => items.len().to_string(),
        Value::Scalar(scalar) => scalar.text.chars().count().to_string(),
        _ => "none".to_owned(),
    }
}

/// The values that a text could have been meant to be.
pub(super) fn candidates<'s>(all: &'s [Expected<'s>]) -> impl Iterator<Item = &'s str> {
    let word = |value: &'s Json| match value {
        Json::String(word) => Some(word.as_str()),
        Json::Bool(value) => Some(if *value { "true" } else { "false" }),
        _ => None,
    };
    all.iter().flat_map(move |expected| {
        let (values, booleans): (&[Json], &[&str]) = match expected {
            Expected::OneOf(values) => (values, &[]),
            Expected::Constant(value) => (std::slice::from_ref(*value), &[]),
            Expected::Type("boolean") => (&[], &["true", "false"]),
            _ => (&[], &[]),
        };
        values.iter().filter_map(word).chain(booleans.iter().copied())
    })
}
