//! Changes one value in meta-data, and keeps every other byte: comments, the order of keys, the style of quotes.
//!
//! JSON is changed by the places of its members, block YAML by its lines. What is written in another way, such as a value over
//! several lines, is an error, and so is a change after which the text would mean anything else than intended.

use std::{fmt, ops::Range};

use serde::{
    Deserializer,
    de::{MapAccess, Visitor},
};
use serde_json::{json, value::RawValue};

use super::{
    finding::Severity,
    yaml::{Member, NodeId, Tree, Value, check_mapping},
};
use crate::error::{Context, Result, bail, ensure};

/// The meta-data `text` with `value` as the value of the top-level key `key`.
///
/// # Errors
/// Fails if the text is not a valid mapping, or the value is written in a way that cannot be changed.
pub fn with_member(text: &str, key: &str, value: &str) -> Result<String> {
    let before = members_of(text)?;
    let edited = match json_members(text) {
        Some(members) => edit_json(text, &members, key, value),
        None => edit_yaml(text, &before, key, value)?,
    };
    let after = members_of(&edited).context("the new text would not be valid")?;
    let others =
        |members: &[(String, String)]| members.iter().filter(|(other, _)| other != key).cloned().collect();
    let [others_before, others_after]: [Vec<_>; 2] = [&before, &after].map(|members| others(&members.pairs));
    let is_set = after.pairs.iter().any(|(other, found)| other == key && found == &shown(value));
    ensure!(
        is_set && others_before == others_after,
        "{key:?} is written in a way that cannot be changed in place"
    );
    Ok(edited)
}

/// The value of the top-level key `key`, if it is text.
#[must_use]
pub fn member(text: &str, key: &str) -> Option<String> {
    let tree = check_mapping(text, "meta-data", &mut Vec::new())?;
    // PyYAML, and so cloud-init, uses the last.
    let mut members = tree.members(tree.root()).iter().rev();
    let found = members.find(|member| tree.text(member.key) == Some(key))?;
    tree.text(found.value).map(str::to_owned)
}

/// The members of a mapping.
struct Members {
    /// Each key, and what its value means.
    pairs: Vec<(String, String)>,
    /// Where each key is in the text.
    spans: Vec<(String, Range<usize>)>,
}

fn members_of(text: &str) -> Result<Members> {
    let mut findings = Vec::new();
    let tree = check_mapping(text, "meta-data", &mut findings);
    if let Some(error) = findings.iter().find(|finding| finding.code.severity() == Severity::Error) {
        bail!("{}", error.message);
    }
    let tree = tree.context("not a mapping of keys to values")?;
    let mut found = Members { pairs: Vec::new(), spans: Vec::new() };
    for member in tree.members(tree.root()) {
        let Some(scalar) = tree.scalar(member.key) else { continue };
        found.pairs.push((scalar.text.to_string(), meaning_of(&tree, member.value)));
        found.spans.push((scalar.text.to_string(), tree.span(member.key)));
    }
    Ok(found)
}

/// A text that is the same for values that mean the same.
fn meaning_of(tree: &Tree<'_>, node: NodeId) -> String {
    let mut text = String::new();
    push_meaning(tree, node, &mut text);
    text
}

/// Appends what a value means. Its nesting is bounded, and so is what its aliases expand to.
fn push_meaning(tree: &Tree<'_>, node: NodeId, out: &mut String) {
    match tree.value(node) {
        Value::Scalar(scalar) => *out += &shown(&scalar.text),
        Value::Sequence(items) => {
            out.push('[');
            for &item in items {
                push_meaning(tree, item, out);
                out.push(',');
            }
            out.push(']');
        }
        Value::Mapping(members) => {
            out.push('{');
            for &Member { key, value } in members {
                push_meaning(tree, key, out);
                out.push(':');
                push_meaning(tree, value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Unknown => *out += "unknown",
    }
}

fn shown(text: &str) -> String {
    format!("{text:?}")
}

/// The members of a JSON object: each key, and where its value is. `None`: the text is not a JSON object.
fn json_members(text: &str) -> Option<Vec<(String, Range<usize>)>> {
    struct Places(usize);

    impl<'de> Visitor<'de> for Places {
        type Value = Vec<(String, Range<usize>)>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut members = Vec::new();
            while let Some((key, value)) = map.next_entry::<String, &'de RawValue>()? {
                // The value is a part of the text.
                let start = value.get().as_ptr().addr() - self.0;
                members.push((key, start..start + value.get().len()));
            }
            Ok(members)
        }
    }

    let mut parser = serde_json::Deserializer::from_str(text);
    let members = parser.deserialize_map(Places(text.as_ptr().addr())).ok()?;
    parser.end().ok()?;
    Some(members)
}

fn edit_json(text: &str, members: &[(String, Range<usize>)], key: &str, value: &str) -> String {
    let value = json!(value).to_string();
    let mut edited = text.to_owned();
    let places: Vec<_> = members.iter().filter(|(other, _)| other == key).map(|(_, place)| place).collect();
    for place in places.iter().rev() {
        edited.replace_range((*place).clone(), &value);
    }
    if places.is_empty() {
        let open = text.find('{').map_or(0, |at| at + 1);
        // The white space in front of the first member.
        let space: String = text[open..].chars().take_while(char::is_ascii_whitespace).collect();
        let member = match members {
            [] => format!("{}: {value}", json!(key)),
            _ => format!("{space}{}: {value},", json!(key)),
        };
        edited.insert_str(open, &member);
    }
    edited
}

fn edit_yaml(text: &str, members: &Members, key: &str, value: &str) -> Result<String> {
    let value = json!(value).to_string();
    let newline = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let found = members.spans.iter().rev().find(|(other, _)| other == key);
    let Some((_, span)) = found else {
        let end = if text.is_empty() || text.ends_with('\n') { "" } else { newline };
        return Ok(format!("{text}{end}{key}: {value}{newline}"));
    };
    let starts_line = span.start == 0 || text[..span.start].ends_with(['\n', '\u{feff}']);
    ensure!(starts_line, "{key:?} is not on a line of its own");
    let line_end = text[span.end..].find('\n').map_or(text.len(), |at| span.end + at);
    let line = text[span.end..line_end].trim_end_matches('\r');
    let colon = line.find(':').with_context(|| format!("{key:?} is not followed by a colon"))?;
    let old = &line[colon + 1..];
    let space = old.len() - old.trim_start_matches([' ', '\t']).len();
    let old_len = scalar_len(&old[space..])
        .with_context(|| format!("the value of {key:?} is written over several lines"))?;
    let start = span.end + colon + 1;
    let separator = if space == 0 { " " } else { &old[..space] };
    // A comment needs a blank in front of it.
    let rest = &text[start + space + old_len..];
    let blank = if rest.starts_with('#') { " " } else { "" };
    Ok(format!("{}{separator}{value}{blank}{rest}", &text[..start]))
}

/// How many bytes of the rest of a line the scalar at its start has. `None`: it does not end on the line.
fn scalar_len(line: &str) -> Option<usize> {
    let quoted = |quote: char, escape: Option<char>| {
        let mut escaped = false;
        let end = line.char_indices().skip(1).find(|(_, c)| {
            let is_end = *c == quote && !escaped;
            escaped = Some(*c) == escape && !escaped;
            is_end
        });
        end.map(|(at, _)| at + 1)
    };
    match line.chars().next() {
        Some('"') => quoted('"', Some('\\')),
        Some('\'') => quoted('\'', None),
        Some('|' | '>' | '&' | '*' | '!' | '[' | '{') => None,
        Some('#') => Some(0),
        _ => {
            let end = line.find(" #").or_else(|| line.find("\t#")).unwrap_or(line.len());
            Some(line[..end].trim_end().len())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Result<String, String> {
        with_member(text, "local-hostname", "web").map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn only_the_value_of_yaml_changes() {
        for (before, after) in [
            ("", "local-hostname: \"web\"\n"),
            ("# mine\n", "# mine\nlocal-hostname: \"web\"\n"),
            ("instance-id: i", "instance-id: i\nlocal-hostname: \"web\"\n"),
            (
                "# a\ninstance-id: 'i' # b\nlocal-hostname:  old   # c\nx: [1,\n 2]\n",
                "# a\ninstance-id: 'i' # b\nlocal-hostname:  \"web\"   # c\nx: [1,\n 2]\n",
            ),
            ("local-hostname: \"a # \\\" b\" # c\n", "local-hostname: \"web\" # c\n"),
            ("local-hostname: 'a: b'\ny: 1\n", "local-hostname: \"web\"\ny: 1\n"),
            ("local-hostname:\n", "local-hostname: \"web\"\n"),
            ("local-hostname: # none\ny: 1\n", "local-hostname: \"web\" # none\ny: 1\n"),
            ("\"local-hostname\": old\r\ny: 1\r\n", "\"local-hostname\": \"web\"\r\ny: 1\r\n"),
            ("y: |\n  local-hostname: no\n", "y: |\n  local-hostname: no\nlocal-hostname: \"web\"\n"),
            ("---\ninstance-id: i\n", "---\ninstance-id: i\nlocal-hostname: \"web\"\n"),
            ("ö: 1\nlocal-hostname: ä\n", "ö: 1\nlocal-hostname: \"web\"\n"),
        ] {
            assert_eq!(named(before).as_deref(), Ok(after), "{before}");
        }
    }

    #[test]
    fn only_the_value_of_json_changes() {
        for (before, after) in [
            ("{}", r#"{"local-hostname": "web"}"#),
            (r#"{"instance-id": "i"}"#, r#"{"local-hostname": "web","instance-id": "i"}"#),
            (
                "{\n  \"b\": 1,\n  \"a\": 2\n}\n",
                "{\n  \"local-hostname\": \"web\",\n  \"b\": 1,\n  \"a\": 2\n}\n",
            ),
            (
                r#"{"b": {"local-hostname": 1}, "local-hostname" : "x" , "a": [ ]}"#,
                r#"{"b": {"local-hostname": 1}, "local-hostname" : "web" , "a": [ ]}"#,
            ),
        ] {
            assert_eq!(named(before).as_deref(), Ok(after), "{before}");
        }
    }

    #[test]
    fn what_cannot_be_changed_in_place_is_an_error() {
        for (text, why) in [
            ("local-hostname: |\n  a\n", "the value of \"local-hostname\" is written over several lines"),
            ("local-hostname: \"a\n  b\"\n", "the value of \"local-hostname\" is written over several lines"),
            ("local-hostname: a\n  b\n", "the new text would not be valid"),
            ("local-hostname:\n  a\n", "the new text would not be valid"),
            ("local-hostname: [a]\n", "the value of \"local-hostname\" is written over several lines"),
            ("{instance-id: i, local-hostname: a}\n", "\"local-hostname\" is not on a line of its own"),
            ("{instance-id: i}\n", "the new text would not be valid"),
            ("instance-id: i\n...\n", ""),
            ("- a\n", "meta-data must be a mapping of keys to values"),
            ("a: [\n", ""),
        ] {
            let error = named(text).unwrap_err();
            assert!(error.starts_with(why), "{text}: {error}");
        }
    }

    #[test]
    fn a_member_is_the_last_of_its_key() {
        assert_eq!(member("a: 1\nb: \"x y\"\na: 2\n", "a").as_deref(), Some("2"));
        assert_eq!(member("{\"uuid\": \"u\"}", "uuid").as_deref(), Some("u"));
        assert_eq!(member("a: []\n", "a"), None);
        assert_eq!(member("a: [\n", "a"), None);
    }
}
