//! The fields of an entry.

use std::{collections::BTreeMap, ops::Range};

use super::{
    DEPTH_MAX, Entry,
    json::{short_span, type_of},
    parse::Parser,
};
use crate::{suggestion::did_you_mean, userdata::finding::Code};

/// The fields of an entry.
const FIELDS: [&str; 3] = ["perm", "content", "entries"];

#[derive(Default)]
pub(super) struct EntryFields {
    pub(super) perm: Option<(String, Range<usize>)>,
    pub(super) content: Option<String>,
    pub(super) entries: Option<BTreeMap<String, Entry>>,
    /// Whether one of them is not valid.
    pub(super) broken: bool,
}

impl EntryFields {
    /// Parses the value of `field`, at the cursor of `parser`. A null means that the field is not given.
    fn parse(&mut self, parser: &mut Parser<'_, '_>, field: &str) {
        match (field, parser.cursor.peek()) {
            (_, b'n') => drop(parser.cursor.skip_value()),
            ("entries", b'{') if parser.path.len() > DEPTH_MAX => {
                let span = parser.cursor.skip_value();
                let message =
                    format!("directories are nested in more than {DEPTH_MAX} levels; the entry is skipped");
                parser.find(Code::TooDeep, span.start..span.start + 1, message);
                self.broken = true;
            }
            ("entries", b'{') => {
                let entries = parser.entries();
                self.entries.get_or_insert_default().extend(entries);
            }
            ("content" | "perm", b'"') => {
                let span = parser.cursor.skip_string();
                match parser.decode(span.clone()) {
                    None => self.broken = true,
                    Some(text) if field == "perm" => self.perm = Some((text, span)),
                    Some(text) => self.content = Some(text),
                }
            }
            (_, first) => {
                let span = parser.cursor.skip_value();
                let (what, wanted) =
                    (type_of(first), if field == "entries" { "an object" } else { "a string" });
                let value = parser.cursor.text[span.clone()].to_owned();
                let message = format!(
                    "{field} is {what} instead of {wanted}; LinuxKit's agent rejects the whole document"
                );
                let span = short_span(parser.cursor.text, span);
                let hint = (what == "a number").then(|| format!("put it in quotes: \"{value}\""));
                parser.find_with_hint(Code::WrongType, span, message, hint);
                self.broken = true;
            }
        }
    }
}

impl Parser<'_, '_> {
    /// Parses the object at the cursor as the fields of an entry.
    pub(super) fn fields(&mut self) -> EntryFields {
        let mut fields = EntryFields::default();
        let mut seen = [false; FIELDS.len()];
        self.cursor.enter();
        while let Some(key) = self.cursor.next_key() {
            let Some(name) = self.decode(key.clone()) else {
                self.cursor.skip_value();
                continue;
            };
            let Some(index) = FIELDS.iter().position(|field| field.eq_ignore_ascii_case(&name)) else {
                let is_object = self.cursor.peek() == b'{';
                self.cursor.skip_value();
                let hint = match suggestion(&name) {
                    Some(field) => Some(did_you_mean(field)),
                    None if is_object => {
                        Some(format!("for an entry in this directory, write \"entries\": {{{name:?}: …}}"))
                    }
                    None => None,
                };
                let message = format!("no agent reads the field {name:?}");
                self.find_with_hint(Code::UnknownField, key, message, hint);
                continue;
            };
            let field = FIELDS[index];
            if field != name {
                let message =
                    format!("the field is called {field:?}; LinuxKit's agent accepts {name:?} by accident");
                self.find(Code::FieldCase, key.clone(), message);
            }
            if std::mem::replace(&mut seen[index], true) {
                let which = if field == "entries" { "they are merged" } else { "the last one counts" };
                self.find(Code::DuplicateKey, key, format!("{field:?} occurs twice; {which}"));
            }
            fields.parse(self, field);
        }
        fields
    }
}

/// The field that `name` is most likely meant to be.
fn suggestion(name: &str) -> Option<&'static str> {
    match name.to_ascii_lowercase().as_str() {
        "contents" | "contnet" | "conten" | "data" | "text" | "value" | "body" => Some("content"),
        "mode" | "perms" | "permission" | "permissions" | "prem" => Some("perm"),
        "entry" | "entires" | "files" | "children" | "dir" | "directory" => Some("entries"),
        _ => None,
    }
}
