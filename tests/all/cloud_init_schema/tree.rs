//! A document that can be changed and written as YAML.

use std::fmt::Write;

use serde_json::Value;

#[derive(Clone, Debug)]
pub(super) enum Tree {
    /// Written without quotes: it is whatever YAML takes it for.
    Plain(String),
    /// Written in quotes.
    Text(String),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl From<&Value> for Tree {
    fn from(value: &Value) -> Self {
        match value {
            Value::String(text) => Self::Text(text.clone()),
            Value::Array(values) => Self::List(values.iter().map(Self::from).collect()),
            Value::Object(values) => {
                Self::Map(values.iter().map(|(key, value)| (key.clone(), Self::from(value))).collect())
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => Self::Plain(value.to_string()),
        }
    }
}

/// The way to a node: the numbers of keys and entries.
pub(super) type Path = Vec<usize>;

impl Tree {
    /// In block style, below a line.
    pub(super) fn to_yaml(&self, header: &str) -> String {
        let mut yaml = format!("{header}\n");
        self.write(0, &mut yaml);
        yaml
    }

    /// In flow style, below a line.
    pub(super) fn to_flow_yaml(&self, header: &str) -> String {
        let mut yaml = format!("{header}\n");
        self.write_flow(&mut yaml);
        yaml.push('\n');
        yaml
    }

    fn write_flow(&self, yaml: &mut String) {
        match self {
            Self::Plain(text) => yaml.push_str(text),
            Self::Text(text) => yaml.push_str(&quoted(text)),
            Self::List(entries) => {
                yaml.push('[');
                for value in entries {
                    value.write_flow(yaml);
                    yaml.push_str(", ");
                }
                yaml.push(']');
            }
            Self::Map(entries) => {
                yaml.push('{');
                for (key, value) in entries {
                    write!(yaml, "{}: ", quoted(key)).unwrap();
                    value.write_flow(yaml);
                    yaml.push_str(", ");
                }
                yaml.push('}');
            }
        }
    }

    /// With the keys of all mappings the other way round.
    pub(super) fn reversed(&self) -> Self {
        match self {
            Self::Plain(_) | Self::Text(_) => self.clone(),
            Self::List(entries) => Self::List(entries.iter().map(Self::reversed).collect()),
            Self::Map(entries) => {
                Self::Map(entries.iter().rev().map(|(key, value)| (key.clone(), value.reversed())).collect())
            }
        }
    }

    fn write(&self, indent: usize, yaml: &mut String) {
        match self {
            Self::Map(entries) if !entries.is_empty() => {
                for (key, value) in entries {
                    let key = quoted(key);
                    write!(yaml, "{:indent$}{key}:", "").unwrap();
                    value.write_behind(indent, yaml);
                }
            }
            Self::List(entries) if !entries.is_empty() => {
                for value in entries {
                    write!(yaml, "{:indent$}-", "").unwrap();
                    value.write_behind(indent, yaml);
                }
            }
            _ => self.write_behind(indent, yaml),
        }
    }

    /// Behind a key or a dash, with the end of the line.
    fn write_behind(&self, indent: usize, yaml: &mut String) {
        match self {
            Self::Plain(text) => writeln!(yaml, " {text}").unwrap(),
            Self::Text(text) => writeln!(yaml, " {}", quoted(text)).unwrap(),
            Self::List(entries) if entries.is_empty() => yaml.push_str(" []\n"),
            Self::Map(entries) if entries.is_empty() => yaml.push_str(" {}\n"),
            Self::List(_) | Self::Map(_) => {
                yaml.push('\n');
                self.write(indent + 2, yaml);
            }
        }
    }

    /// The ways to all nodes below.
    pub(super) fn paths(&self) -> Vec<Path> {
        let below: Vec<_> = match self {
            Self::List(entries) => entries.iter().collect(),
            Self::Map(entries) => entries.iter().map(|(_, value)| value).collect(),
            Self::Plain(_) | Self::Text(_) => Vec::new(),
        };
        let mut paths = Vec::new();
        for (at, node) in below.into_iter().enumerate() {
            paths.push(vec![at]);
            paths.extend(node.paths().into_iter().map(|rest| [vec![at], rest].concat()));
        }
        paths
    }

    pub(super) fn at(&self, path: &[usize]) -> &Self {
        path.iter().fold(self, |node, at| match node {
            Self::List(entries) => &entries[*at],
            Self::Map(entries) => &entries[*at].1,
            Self::Plain(_) | Self::Text(_) => unreachable!("no node is below a scalar"),
        })
    }

    pub(super) fn at_mut(&mut self, path: &[usize]) -> &mut Self {
        path.iter().fold(self, |node, at| match node {
            Self::List(entries) => &mut entries[*at],
            Self::Map(entries) => &mut entries[*at].1,
            Self::Plain(_) | Self::Text(_) => unreachable!("no node is below a scalar"),
        })
    }
}

/// In double quotes. YAML wants some characters escaped that JSON does not.
fn quoted(text: &str) -> String {
    let json = serde_json::to_string(text).unwrap();
    let escaped = |letter: char| match letter {
        '\x7f'..='\u{9f}' => format!("\\x{:02x}", u32::from(letter)),
        _ => letter.to_string(),
    };
    json.chars().map(escaped).collect()
}
