//! JSON Schema over YAML: what does not fit a schema, where, and what is expected there.
//!
//! A walk of its own, because explaining a mistake is what it is for: it takes the branch of an `anyOf` or `oneOf` that comes
//! nearest, and says one mistake once. It knows the keywords of draft 7 that cloud-init's schemas use, and judges as
//! cloud-init does, with draft 4: a number with a fraction of zero is not an integer, and what stands beside a `$ref` does not
//! count. `format` is checked for dates only.
//!
//! Time is bounded: a schema meets a node once, recursion stops at a depth, and all steps are counted.

mod branches;
mod fault;
mod hints;
mod pattern;
mod report;
mod values;
mod version;
mod walk;
mod words;

use std::sync::Arc;

use serde_json::Value as Json;

use super::{
    finding::{Code, Finding, push_bounded},
    yaml::{NodeId, Tree},
};
pub(in crate::userdata) use report::{push_item, push_key};
pub use version::Version;
pub(in crate::userdata) use words::quoted;

/// The largest schema that is read, in bytes.
pub const SCHEMA_BYTES_MAX: usize = 4 << 20;

/// A schema.
#[derive(Debug)]
pub struct Schema {
    root: Json,
}

impl Schema {
    /// Parses a schema. References may point into the schema only: `#/definitions/NAME`, `#/$defs/NAME`.
    ///
    /// # Errors
    /// Fails, in words, if the text is larger than [`SCHEMA_BYTES_MAX`], is not a JSON object, or refers to something that is
    /// not in it.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        if text.len() > SCHEMA_BYTES_MAX {
            return Err("the schema is larger than 4 MiB".to_owned());
        }
        let root: Json = serde_json::from_slice(text).map_err(|error| format!("not valid JSON: {error}"))?;
        if !root.is_object() {
            return Err("the schema is not a JSON object".to_owned());
        }
        let schema = Self { root };
        let mut left = vec![&schema.root];
        while let Some(json) = left.pop() {
            match json {
                Json::Object(members) => {
                    if let Some(Json::String(reference)) = members.get("$ref")
                        && schema.target(reference).is_none()
                    {
                        return Err(format!(
                            "the reference {reference:?} names nothing in the schema; other files are not read"
                        ));
                    }
                    left.extend(members.values());
                }
                Json::Array(items) => left.extend(items),
                _ => {}
            }
        }
        Ok(schema)
    }

    /// What a reference names.
    fn target(&self, reference: &str) -> Option<&Json> {
        self.root.pointer(reference.strip_prefix('#')?)
    }
}

/// What user data is judged by.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// A schema of cloud-config in place of the one of the program.
    pub schema: Option<Arc<Schema>>,
    /// The version of cloud-init that reads the data. `None`: any.
    pub cloud_init: Option<Version>,
}

/// What an unknown key below the top is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::userdata) enum Unknown {
    /// An error.
    Refused,
    /// An error if it is like a known one; else a warning, as others may know it.
    Doubtful,
}

/// How a document is judged.
#[derive(Clone, Copy, Debug)]
pub(in crate::userdata) struct Terms<'s> {
    pub(in crate::userdata) schema: &'s Schema,
    /// The version of cloud-init that reads the document, if one is given.
    pub(in crate::userdata) version: Option<Version>,
    pub(in crate::userdata) unknown: Unknown,
    /// Whether an unknown key at the top is a warning only, as cloud-init reads the rest.
    pub(in crate::userdata) top_is_open: bool,
}

/// Finds what does not fit the schema.
pub(in crate::userdata) fn judge(tree: &Tree<'_>, terms: Terms<'_>, findings: &mut Vec<Finding>) {
    judge_node(tree, tree.root(), "", terms, findings);
}

/// Finds what of a node does not fit the schema. `path`: that of the node.
pub(in crate::userdata) fn judge_node(
    tree: &Tree<'_>,
    node: NodeId,
    path: &str,
    terms: Terms<'_>,
    findings: &mut Vec<Finding>,
) {
    let mut walk = walk::Walk::new(terms.schema, tree);
    let outcome = walk.judge(&terms.schema.root, node);
    let known = if terms.top_is_open { walk.known_keys(&terms.schema.root) } else { Vec::new() };
    report::report(tree, node, path, &outcome, terms, &known, findings);
    if walk.is_exhausted() {
        let message = "the schema takes too many steps with this text, of which the rest was not checked";
        let span = tree.span(node);
        let finding = Finding::new(Code::Unchecked, span.start..span.start, message);
        push_bounded(findings, Finding { path: path.into(), ..finding });
    }
}

#[cfg(test)]
mod tests;
