//! What to do about a value that does not fit.

use serde_json::Value as Json;

use super::{
    fault::Expected,
    report::{Place, Reporter},
    words::candidates,
};
use crate::{suggestion::did_you_mean, userdata::yaml::Member};

/// How many values are looked at for one that is right without its quotes.
const LOOKED_AT_MAX: usize = 100;

/// The longest value that a hint shows in a list, in bytes.
const LISTED_BYTES_MAX: usize = 80;

impl Reporter<'_, '_> {
    /// What to do about a value of the wrong type.
    pub(super) fn hint_for_type(&mut self, all: &[Expected<'_>], place: Place) -> Option<String> {
        let tree = self.tree;
        let wants =
            |names: &[&str]| all.iter().any(|it| matches!(it, Expected::Type(name) if names.contains(name)));
        if let Some(text) = tree.string(place.node) {
            let is_number = wants(&["integer", "number"]) && text.parse::<i64>().is_ok();
            let is_boolean = wants(&["boolean"]) && is_boolean(text);
            if is_number || is_boolean || candidates(all).take(LOOKED_AT_MAX).any(|it| it == text) {
                return Some("remove the quotes".to_owned());
            }
        }
        // Text with a colon and a space, such as that of a command.
        if let [Member { key, value }] = tree.members(place.node)
            && wants(&["string"])
            && place.key.is_none()
            && [key, value].into_iter().all(|node| tree.scalar(*node).is_some())
        {
            return Some("put all of the text in quotes if \": \" is part of it".to_owned());
        }
        // The items of a list that stands for one mapping.
        let items = tree.items(place.node);
        if wants(&["object"])
            && !items.is_empty()
            && items.iter().take(LOOKED_AT_MAX).all(|item| !tree.members(*item).is_empty())
        {
            return Some("write a mapping, without \"- \" in front of the keys".to_owned());
        }
        self.hint_for_value(all, place)
    }

    /// What to do about a value that is not one of those that are expected.
    pub(super) fn hint_for_value(&mut self, all: &[Expected<'_>], place: Place) -> Option<String> {
        let tree = self.tree;
        let text = tree.string(place.node).unwrap_or_default();
        if let Some(nearest) = self.suggestions.nearest(text, candidates(all)) {
            // In quotes, these would be strings.
            let is_boolean = matches!(nearest, "true" | "false") && !has_string(all, nearest);
            return Some(if is_boolean { format!("did you mean {nearest}?") } else { did_you_mean(nearest) });
        }
        // An item of a list may be one that has been split by mistake.
        if place.key.is_none() || !all.iter().any(|it| matches!(it, Expected::InList)) {
            return None;
        }
        Some(match tree.scalar(place.node) {
            Some(scalar) if scalar.text.len() <= LISTED_BYTES_MAX && !scalar.text.contains('\n') => {
                let quote = if tree.string(place.node).is_some() { "\"" } else { "" };
                format!("write a list: [{quote}{}{quote}]", scalar.text.escape_debug())
            }
            Some(_) => "write a list: put \"- \" in front of the value".to_owned(),
            None => "write a list: put \"- \" in front of the first key, and indent the others".to_owned(),
        })
    }
}

/// Whether a text would be a boolean without its quotes.
fn is_boolean(text: &str) -> bool {
    ["true", "false", "yes", "no", "on", "off"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Whether one of the values is a string, and this one.
fn has_string(all: &[Expected<'_>], text: &str) -> bool {
    let is_it = |value: &Json| value.as_str() == Some(text);
    all.iter().any(|expected| match expected {
        Expected::OneOf(values) => values.iter().take(LOOKED_AT_MAX).any(is_it),
        Expected::Constant(value) => is_it(value),
        _ => false,
    })
}
