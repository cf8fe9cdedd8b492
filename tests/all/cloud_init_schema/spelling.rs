//! The same document written in other ways: members in another order, strings in other quotes, collections in flow style.

use std::fmt::Write;

use saphyr::{Mapping, ScalarStyle, Yaml, YamlLoader};
use saphyr_parser::Parser;

use crate::signers::Random;

/// A part of a document. A key is a scalar.
#[derive(Clone, Debug)]
pub(super) enum Node {
    /// As it is written without quotes.
    Plain(String),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

/// Words that mean something else without quotes.
const WORDS: [&str; 7] = ["yes", "no", "on", "off", "true", "false", "null"];

impl Node {
    /// The only document of a text. `None`: it has tags, which another spelling would change.
    pub(super) fn of(text: &str) -> Option<Self> {
        let mut loader = YamlLoader::<Yaml>::default();
        loader.early_parse(false);
        Parser::new_from_str(text).load(&mut loader, true).unwrap_or_else(|error| panic!("{error}:\n{text}"));
        Self::of_yaml(loader.into_documents().first()?)
    }

    fn of_yaml(yaml: &Yaml) -> Option<Self> {
        Some(match yaml {
            Yaml::Representation(_, _, Some(_)) | Yaml::Tagged(..) => return None,
            Yaml::Representation(text, ScalarStyle::Plain, None) => Self::Plain(text.to_string()),
            Yaml::Representation(text, _, None) => Self::Text(text.to_string()),
            Yaml::Sequence(items) => Self::List(items.iter().map(Self::of_yaml).collect::<Option<_>>()?),
            Yaml::Mapping(members) => Self::Map(Self::members(members)?),
            other => panic!("{other:?}"),
        })
    }

    fn members(members: &Mapping) -> Option<Vec<(Self, Self)>> {
        members.iter().map(|(key, value)| Some((Self::of_yaml(key)?, Self::of_yaml(value)?))).collect()
    }

    /// With the members of all mappings in another order.
    fn shuffle(&mut self, random: &mut Random) {
        match self {
            Self::List(items) => items.iter_mut().for_each(|item| item.shuffle(random)),
            Self::Map(members) => {
                for last in (1..members.len()).rev() {
                    members.swap(last, random.below(last + 1));
                }
                for (_, value) in members {
                    value.shuffle(random);
                }
            }
            Self::Plain(_) | Self::Text(_) => {}
        }
    }

    /// The document in a spelling at random.
    pub(super) fn spelt(mut self, random: &mut Random) -> String {
        self.shuffle(random);
        let mut text = String::new();
        self.write(0, &mut text, random);
        text
    }

    /// At the start of a line, with the end of the last.
    fn write(&self, indent: usize, text: &mut String, random: &mut Random) {
        match self {
            Self::Map(members) if !members.is_empty() && !random.once_in(4) => {
                for (key, value) in members {
                    write!(text, "{:indent$}{}:", "", key.scalar(true, random)).unwrap();
                    value.write_behind(indent, text, random);
                }
            }
            Self::List(items) if !items.is_empty() && !random.once_in(4) => {
                for item in items {
                    write!(text, "{:indent$}-", "").unwrap();
                    item.write_behind(indent, text, random);
                }
            }
            _ => {
                write!(text, "{:indent$}", "").unwrap();
                self.write_flow(text, random);
                text.push('\n');
            }
        }
    }

    /// Behind a key or a dash, with the end of the line.
    fn write_behind(&self, indent: usize, text: &mut String, random: &mut Random) {
        if matches!(self, Self::Plain(_) | Self::Text(_)) {
            writeln!(text, " {}", self.scalar(false, random)).unwrap();
        } else {
            text.push('\n');
            self.write(indent + 1 + random.below(3), text, random);
        }
    }

    fn write_flow(&self, text: &mut String, random: &mut Random) {
        match self {
            Self::Plain(_) | Self::Text(_) => text.push_str(&self.scalar(true, random)),
            Self::List(items) => {
                text.push('[');
                for item in items {
                    item.write_flow(text, random);
                    text.push_str(", ");
                }
                text.push(']');
            }
            Self::Map(members) => {
                text.push('{');
                for (key, value) in members {
                    write!(text, "{}: ", key.scalar(true, random)).unwrap();
                    value.write_flow(text, random);
                    text.push_str(", ");
                }
                text.push('}');
            }
        }
    }

    /// A scalar in quotes at random, or without. `in_flow`: signs of flow style end it.
    fn scalar(&self, in_flow: bool, random: &mut Random) -> String {
        let (text, is_text) = match self {
            Self::Plain(text) => (text, is_surely_text(text)),
            Self::Text(text) => (text, true),
            Self::List(_) | Self::Map(_) => panic!("a collection as a key"),
        };
        let may_be_plain = match self {
            Self::Plain(_) => !in_flow || !text.contains(['[', ']', '{', '}', ',']),
            _ => {
                is_surely_text(text)
                    && text.chars().all(|it| it.is_ascii_alphanumeric() || "_./".contains(it))
            }
        };
        let may_be_single = !text.contains(['\n', '\r', '\t']) && text.chars().all(|it| !it.is_control());
        match random.below(3) {
            _ if !is_text => text.clone(),
            0 if may_be_plain => text.clone(),
            1 if may_be_single => format!("'{}'", text.replace('\'', "''")),
            _ => serde_json::to_string(text).unwrap(),
        }
    }
}

/// Whether a text is a string without quotes as well, whatever else it could be: it begins with a letter, or like a path.
fn is_surely_text(text: &str) -> bool {
    let is_word = WORDS.iter().any(|word| word.eq_ignore_ascii_case(text));
    text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/') && !is_word
}
