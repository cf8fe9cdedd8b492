//! The schema itself: only keywords that our walk knows, and nothing that leads nowhere.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::opinion::SCHEMA;

const KEYWORDS: &[&str] = &[
    "$ref",
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "deprecated",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "properties",
    "required",
    "type",
    "uniqueItems",
    "x-deprecated-since",
    "x-expected",
    "x-known",
    "x-mode",
    "x-module",
    "x-new-since",
    "x-replaced-by",
];

#[derive(Default)]
struct Seen {
    references: BTreeSet<String>,
    faults: Vec<String>,
}

#[test]
fn the_schema_has_only_what_our_walk_knows() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut seen = Seen::default();
    let mut schema = schema.as_object().unwrap().clone();
    assert_eq!(schema.remove("$schema").unwrap(), "http://json-schema.org/draft-07/schema#");
    let definitions = schema.remove("definitions").unwrap();
    seen.schema(&Value::Object(schema.clone()), "");
    seen.named(definitions.as_object().unwrap(), "definitions");
    let names: BTreeSet<_> = definitions.as_object().unwrap().keys().cloned().collect();
    assert_eq!(seen.references, names, "definitions that are referred to, and that exist");
    assert_eq!(seen.faults, Vec::<String>::new());
}

#[test]
fn every_key_names_its_module() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut modules = BTreeMap::<_, Vec<_>>::new();
    for (key, schema) in schema["properties"].as_object().unwrap() {
        modules.entry(schema["x-module"].as_str().unwrap()).or_default().push(key);
    }
    for module in modules.keys() {
        assert!(module.starts_with("cc_") || *module == "base configuration", "{module}: {modules:?}");
    }
}

impl Seen {
    fn schema(&mut self, schema: &Value, path: &str) {
        let Some(schema) = schema.as_object() else {
            if !schema.is_boolean() {
                self.faults.push(format!("{path} is no schema"));
            }
            return;
        };
        for (keyword, value) in schema {
            if !KEYWORDS.contains(&keyword.as_str()) {
                self.faults.push(format!("{path}: {keyword}"));
            }
            self.below(keyword, value, &format!("{path}/{keyword}"));
        }
        // In draft-07 nothing counts beside a reference.
        let alone = schema.len() == 1 || !schema.contains_key("$ref");
        let dated = schema.contains_key("deprecated") == schema.contains_key("x-deprecated-since");
        if !alone || !dated {
            self.faults.push(format!("{path}: {schema:?}"));
        }
    }

    fn below(&mut self, keyword: &str, value: &Value, path: &str) {
        match (keyword, value) {
            ("properties" | "patternProperties", Value::Object(schemas)) => self.named(schemas, path),
            ("allOf" | "anyOf" | "oneOf" | "items", Value::Array(schemas)) => {
                for schema in schemas {
                    self.schema(schema, path);
                }
            }
            ("additionalItems" | "additionalProperties" | "items" | "not", schema) => {
                self.schema(schema, path);
            }
            ("$ref", Value::String(reference)) => match reference.strip_prefix("#/definitions/") {
                Some(name) => drop(self.references.insert(name.to_owned())),
                None => self.faults.push(format!("{path}: {reference}")),
            },
            ("format", format) if format != "date" => self.faults.push(format!("{path}: {format}")),
            _ => {}
        }
    }

    fn named(&mut self, schemas: &Map<String, Value>, path: &str) {
        for (name, schema) in schemas {
            self.schema(schema, &format!("{path}/{name}"));
        }
    }
}
