//! Nodes with a tag (PyYAML's `constructor.py`, `SafeConstructor`).

use super::{
    numbers, scalar, timestamp,
    tree::{Kind, Meaning},
};
use crate::encoding::is_base64_of_python;

/// The prefix of the tags that PyYAML knows.
const PREFIX: &str = "tag:yaml.org,2002:";

/// A tag that PyYAML knows, without its prefix. `Err`: it refuses it.
pub(super) fn known<'a>(handle: &str, suffix: &'a str) -> Result<&'a str, ()> {
    let name = if handle == PREFIX {
        suffix
    } else if handle.is_empty() {
        suffix.strip_prefix(PREFIX).ok_or(())?
    } else {
        return Err(());
    };
    let is_known = matches!(
        name,
        "null"
            | "bool"
            | "int"
            | "float"
            | "binary"
            | "timestamp"
            | "omap"
            | "pairs"
            | "set"
            | "str"
            | "seq"
            | "map"
    );
    if is_known { Ok(name) } else { Err(()) }
}

/// The meaning of a scalar with a tag.
pub(super) fn scalar(tag: &str, text: &str) -> Meaning {
    match tag {
        "str" => Ok(Kind::String),
        "null" => Ok(Kind::Null),
        "bool" => match scalar::of_plain(&text.to_ascii_lowercase()) {
            Ok(kind @ Kind::Boolean(_)) => Ok(kind),
            _ => Err("this is not a boolean"),
        },
        "int" => {
            let text = text.trim();
            if text.is_empty() { Err("this is not an integer") } else { integer(text) }
        }
        "float" => {
            let value = numbers::float(text.trim());
            value.map(Kind::Float).ok_or("this is not a number")
        }
        "timestamp" => timestamp::kind(text),
        "binary" if is_base64_of_python(text) => Ok(Kind::Binary),
        "binary" => Err("this is not base64"),
        _ => Err("the tag is one of a list or a mapping"),
    }
}

fn integer(text: &str) -> Meaning {
    numbers::integer(text).map(Kind::Integer)
}

/// Whether a tag is one of a sequence.
pub(super) fn is_of_sequence(tag: &str) -> bool {
    matches!(tag, "seq" | "omap" | "pairs")
}

/// Whether a tag is one of a mapping.
pub(super) fn is_of_mapping(tag: &str) -> bool {
    matches!(tag, "map" | "set")
}
