//! What a plain scalar means (PyYAML's `resolver.py`).

use super::{
    numbers, timestamp,
    tree::{Kind, Meaning},
};

/// The meaning of a scalar without quotes and tag.
pub(super) fn of_plain(text: &str) -> Meaning {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Ok(Kind::Null),
        // Tags of YAML 1.1 that nothing is constructed from. As keys both are something else.
        "=" => return Err("a plain = has no meaning as a value; put it in quotes"),
        "<<" => return Err("a plain << has a meaning only as a key; put it in quotes"),
        _ => {}
    }
    if let Some(value) = boolean(text) {
        return Ok(Kind::Boolean(value));
    }
    if !text.starts_with(|first: char| first.is_ascii_digit() || matches!(first, '+' | '-' | '.')) {
        return Ok(Kind::String);
    }
    if numbers::is_float(text) {
        Ok(numbers::float(text).map_or(Kind::String, Kind::Float))
    } else if numbers::is_integer(text) {
        numbers::integer(text).map(Kind::Integer)
    } else if timestamp::is_timestamp(text) {
        timestamp::kind(text)
    } else {
        Ok(Kind::String)
    }
}

/// The value of a word for a boolean.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(true),
        "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}
