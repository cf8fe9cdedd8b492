//! What a schema says about a single value: type, allowed values, text, numbers.

use serde_json::Value as Json;

use super::{
    fault::{Expected, Fault},
    pattern::Patterns,
};
use crate::userdata::yaml::{Kind, NodeId, Scalar, Tree, Value, is_date};

/// Whether a node has a type of JSON Schema.
pub(super) fn has_type(tree: &Tree<'_>, node: NodeId, name: &str) -> bool {
    match tree.value(node) {
        Value::Unknown => true,
        Value::Mapping(_) => name == "object",
        Value::Sequence(_) => name == "array",
        Value::Scalar(scalar) => match scalar.kind {
            Kind::Null => name == "null",
            Kind::Boolean(_) => name == "boolean",
            Kind::Integer(_) => matches!(name, "integer" | "number"),
            Kind::Float(_) => name == "number",
            // cloud-init takes bytes for a string.
            Kind::String | Kind::Binary => name == "string",
            Kind::Date | Kind::Timestamp => false,
        },
    }
}

/// The types that a schema names.
pub(super) fn types(schema: &Json) -> impl Iterator<Item = &str> {
    let (one, many) = match schema.get("type") {
        Some(Json::String(name)) => (Some(name.as_str()), &[] as &[Json]),
        Some(Json::Array(names)) => (None, names.as_slice()),
        _ => (None, &[] as &[Json]),
    };
    one.into_iter().chain(many.iter().filter_map(Json::as_str))
}

/// Whether a scalar has a value. `text`: what its text would be as a string.
fn is_value(scalar: &Scalar<'_>, as_string: bool, json: &Json) -> bool {
    match (json, scalar.kind) {
        (Json::String(value), kind) => (as_string || kind == Kind::String) && scalar.text == value.as_str(),
        _ if as_string => false,
        (Json::Null, Kind::Null) => true,
        (Json::Bool(value), Kind::Boolean(found)) => *value == found,
        (Json::Number(value), Kind::Integer(found)) => {
            value.as_i64().map(i128::from).or(value.as_u64().map(i128::from)) == Some(found)
        }
        (Json::Number(value), Kind::Float(found)) => value.as_f64() == Some(found),
        _ => false,
    }
}

/// Whether values have the type of a scalar.
fn has_values_of_type(scalar: &Scalar<'_>, values: &[Json]) -> bool {
    values.iter().any(|json| match scalar.kind {
        Kind::Null => json.is_null(),
        Kind::Boolean(_) => json.is_boolean(),
        Kind::Integer(_) | Kind::Float(_) => json.is_number(),
        Kind::String | Kind::Binary => json.is_string(),
        Kind::Date | Kind::Timestamp => false,
    })
}

/// The first fault of a scalar. `as_string`: as if it were in quotes.
pub(super) fn scalar_fault<'s>(
    schema: &'s Json,
    scalar: &Scalar<'_>,
    as_string: bool,
    patterns: &mut Patterns<'s>,
) -> Option<Fault<'s>> {
    if let Some(fault) = choice_fault(schema, scalar, as_string) {
        return Some(fault);
    }
    let value = |expected| Some(Fault::Value(vec![expected]));
    if as_string || matches!(scalar.kind, Kind::String | Kind::Binary) {
        let text = &*scalar.text;
        if let Some(pattern) = schema.get("pattern").and_then(Json::as_str)
            && !patterns.is_match(pattern, text)
        {
            return value(Expected::Pattern(pattern));
        }
        if schema.get("format").and_then(Json::as_str) == Some("date") && !is_date(text) {
            return value(Expected::Date);
        }
        let length = || text.chars().count() as u64;
        if let Some(least) = bound(schema, "minLength").filter(|&least| length() < least) {
            return value(Expected::Least(least, "character"));
        }
        if let Some(most) = bound(schema, "maxLength").filter(|&most| length() > most) {
            return value(Expected::Most(most, "character"));
        }
        return None;
    }
    #[expect(clippy::cast_precision_loss, reason = "limits are small numbers")]
    let number = match scalar.kind {
        Kind::Integer(number) => number as f64,
        Kind::Float(number) => number,
        _ => return None,
    };
    let limit = |name| schema.get(name).and_then(|limit| Some((limit, limit.as_f64()?)));
    if let Some((limit, _)) = limit("minimum").filter(|&(_, limit)| number < limit) {
        return value(Expected::AtLeast(limit));
    }
    if let Some((limit, _)) = limit("maximum").filter(|&(_, limit)| number > limit) {
        return value(Expected::AtMost(limit));
    }
    None
}

/// The values that a schema names.
fn choices(schema: &Json) -> Option<(&[Json], Expected<'_>)> {
    if let Some(Json::Array(values)) = schema.get("enum") {
        Some((values, Expected::OneOf(values)))
    } else {
        let constant = schema.get("const")?;
        Some((std::slice::from_ref(constant), Expected::Constant(constant)))
    }
}

/// The fault of a list or a mapping where a schema names scalars only.
pub(super) fn collection_fault(schema: &Json) -> Option<Fault<'_>> {
    let (values, expected) = choices(schema)?;
    let is_scalar = |json: &Json| !json.is_array() && !json.is_object();
    values.iter().all(is_scalar).then(|| Fault::Type(vec![expected]))
}

/// The fault of a scalar that is not one of the values that a schema names.
fn choice_fault<'s>(schema: &'s Json, scalar: &Scalar<'_>, as_string: bool) -> Option<Fault<'s>> {
    let (values, expected) = choices(schema)?;
    if values.iter().any(|json| is_value(scalar, as_string, json)) {
        return None;
    }
    let would_fit = scalar.is_plain && values.iter().any(|json| is_value(scalar, true, json));
    Some(if would_fit && !as_string {
        Fault::Unquoted(vec![expected])
    } else if has_values_of_type(scalar, values) || as_string {
        Fault::Value(vec![expected])
    } else {
        Fault::Type(vec![expected])
    })
}

/// A limit of a schema that counts something.
pub(super) fn bound(schema: &Json, name: &str) -> Option<u64> {
    schema.get(name).and_then(Json::as_u64)
}
