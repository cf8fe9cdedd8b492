//! What is wrong with the fields of a line, in plain words.

use std::collections::HashMap;

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::{Map, Value, value::RawValue};

use crate::{
    datasource::layout::Layout,
    error::{Error, error},
    image::probe::FileSystem,
    suggestion::{did_you_mean, nearest},
};

/// The longest line, in bytes, including its end. Larger data belongs in a file.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// What a field must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Text,
    Layout,
    FileSystem,
    Boolean,
    List,
    TextOrList,
    Files,
}

/// The fields of a line.
const FIELDS: &[(&str, Shape)] = &[
    ("image", Shape::Text),
    ("data", Shape::Text),
    ("data_file", Shape::Text),
    ("user_data", Shape::TextOrList),
    ("from", Shape::Text),
    ("data_dir", Shape::Text),
    ("follow", Shape::Boolean),
    ("layout", Shape::Layout),
    ("filesystem", Shape::FileSystem),
    ("files", Shape::Files),
    ("meta_data", Shape::Text),
    ("network_config", Shape::Text),
    ("vendor_data", Shape::Text),
    ("hostname", Shape::Text),
    ("ssh_keys", Shape::List),
    ("instance_id", Shape::Text),
    ("volume_id", Shape::Text),
    ("run_metadata", Shape::List),
    ("run_id", Shape::Text),
    ("mode", Shape::Text),
    ("admin_pass_file", Shape::Text),
    ("strict", Shape::Boolean),
    ("lenient", Shape::Boolean),
];

/// What serde found wrong with a line.
pub(super) fn fault(line: &[u8], error: &serde_json::Error) -> Error {
    if error.is_data()
        && let Ok(fields) = serde_json::from_slice::<Map<String, Value>>(line)
        && let Some(why) = first_fault(&fields)
    {
        return error!("{why}");
    }
    // For the parser, every line is line 1.
    let text = error.to_string();
    let what = text.rsplit_once(" at line ").map_or(&*text, |(what, _)| what);
    let column = error.column();
    if let Some(name) = what.strip_prefix("duplicate field `").and_then(|rest| rest.strip_suffix('`')) {
        return error!("the field {name:?} is given twice");
    }
    if error.is_eof() {
        return error!("column {column}: the line ends within the JSON object");
    }
    if error.is_syntax() {
        error!("column {column}: not valid JSON: {what}")
    } else {
        error!("column {column}: {what}")
    }
}

/// Whether data is lines for a batch, by its first line: an object with the path of an image, and with fields of a line only.
#[must_use]
pub fn are_lines(data: &[u8]) -> bool {
    let line = data.split(|&byte| byte == b'\n').find(|line| !line.trim_ascii().is_empty());
    let line = line.filter(|line| line.len() <= LINE_BYTES_MAX && begins_with_field(line));
    line.and_then(|line| serde_json::from_slice::<HashMap<KnownField, &RawValue>>(line).ok())
        .and_then(|fields| fields.get(&KnownField("image")).map(|image| image.get().starts_with('"')))
        .unwrap_or_default()
}

/// Whether a line begins as an object does whose first name is that of a field: nearly all other data is told apart by that.
fn begins_with_field(line: &[u8]) -> bool {
    let name = behind(line, b"{").and_then(|rest| behind(rest, b"\""));
    name.is_some_and(|name| FIELDS.iter().any(|(known, _)| name.starts_with(known.as_bytes())))
}

/// What follows `mark`, if the text begins with that.
fn behind<'a>(text: &'a [u8], mark: &[u8]) -> Option<&'a [u8]> {
    text.trim_ascii_start().strip_prefix(mark)
}

/// The name of a field. What begins with another name is not read any further.
#[derive(PartialEq, Eq, Hash)]
struct KnownField(&'static str);

impl<'de> Deserialize<'de> for KnownField {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let known = FIELDS.iter().find(|(known, _)| *known == name);
        known.map(|(known, _)| Self(known)).ok_or_else(|| D::Error::custom("not a field of a line"))
    }
}

/// What is wrong with the first field that is wrong.
fn first_fault(fields: &Map<String, Value>) -> Option<String> {
    if fields.get("image").is_none_or(Value::is_null) {
        const MEANT: [&str; 8] = ["name", "output", "iso", "path", "file", "out", "img", "output_file"];
        let meant = MEANT.iter().find(|name| fields.contains_key(**name));
        let meant = meant.map_or(String::new(), |name| format!("; write \"image\" instead of {name:?}"));
        return Some(format!("the field \"image\" is missing: the path of the image{meant}"));
    }
    fields.iter().find_map(|(name, value)| {
        let Some((_, shape)) = FIELDS.iter().find(|(known, _)| known == name) else {
            let meant = nearest(name, FIELDS.iter().map(|(known, _)| *known));
            let meant = meant.map_or(String::new(), |known| format!("; {}", did_you_mean(known)));
            return Some(format!("there is no field {name:?}{meant}"));
        };
        shape.fault(value).map(|why| format!("the field {name:?} {why}"))
    })
}

impl Shape {
    fn fault(self, value: &Value) -> Option<String> {
        let texts = |values: &[Value]| values.iter().all(Value::is_string);
        let fits = match (self, value) {
            (_, Value::Null)
            | (Self::Text | Self::TextOrList, Value::String(_))
            | (Self::Boolean, Value::Bool(_)) => true,
            (Self::Layout, Value::String(name)) => match name.parse::<Layout>() {
                Ok(_) => true,
                Err(_) => return Some("must be linuxkit, nocloud or configdrive".to_owned()),
            },
            (Self::FileSystem, Value::String(name)) => match name.parse::<FileSystem>() {
                Ok(_) => true,
                Err(why) => return Some(why.to_owned()),
            },
            // A string in the list of files has its own message.
            (Self::List | Self::TextOrList | Self::Files, Value::Array(values)) => texts(values),
            (Self::Files, Value::Object(files)) => files.values().all(Value::is_string),
            _ => false,
        };
        (!fits).then(|| format!("must be {}, not {}", self.describe(), kind_of(value)))
    }

    fn describe(self) -> &'static str {
        match self {
            Self::Text => "a string",
            Self::Layout => "the name of a layout",
            Self::FileSystem => "iso9660 or vfat",
            Self::Boolean => "true or false",
            Self::List => "a list of strings",
            Self::TextOrList => "a string or a list of strings",
            Self::Files => "an object of names and paths, or a list of \"NAME=PATH\"",
        }
    }
}

fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(values) if values.iter().any(|value| !value.is_string()) => "a list with other values",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_field_that_is_wrong_is_named() {
        let said = |line: &str| first_fault(&serde_json::from_str(line).unwrap()).unwrap_or_default();
        assert_eq!(
            said(r#"{"name": "a.iso"}"#),
            "the field \"image\" is missing: the path of the image; write \"image\" instead of \"name\""
        );
        assert_eq!(said("{}"), "the field \"image\" is missing: the path of the image");
        assert_eq!(
            said(r#"{"image": "a", "hostnme": "b"}"#),
            "there is no field \"hostnme\"; did you mean \"hostname\"?"
        );
        assert_eq!(said(r#"{"image": 1}"#), "the field \"image\" must be a string, not a number");
        assert_eq!(
            said(r#"{"image": "a", "ssh_keys": "k"}"#),
            "the field \"ssh_keys\" must be a list of strings, not a string"
        );
        assert_eq!(
            said(r#"{"image": "a", "layout": "x"}"#),
            "the field \"layout\" must be linuxkit, nocloud or configdrive"
        );
        assert_eq!(
            said(r#"{"image": "a", "filesystem": "ext4"}"#),
            "the field \"filesystem\" must be iso9660 or vfat"
        );
        assert_eq!(said(r#"{"image": "a", "layout": "cidata", "files": {"a": "b"}, "data": null}"#), "");
    }

    #[test]
    fn lines_are_told_from_user_data() {
        for text in ["{\"image\": \"a\"}\n{", "\n { \"layout\": 1, \"image\": \"a\"}"] {
            assert!(are_lines(text.as_bytes()), "{text:?}");
        }
        for text in [
            "",
            "{}",
            "{",
            "{\"",
            "{\"layout\": 1}",
            "{\"image\": {\"content\": \"a\"}}",
            "{\"image\": \"a\", \"x\": 1}",
            "[\"image\"]",
        ] {
            assert!(!are_lines(text.as_bytes()), "{text:?}");
        }
    }
}
