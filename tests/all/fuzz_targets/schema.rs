//! A document and the schema that it is judged by. The input is the schema, a line with `---`, and the document.

use std::sync::Arc;

use metadata_image::{
    check::{Subject, check_whole},
    datasource::layout::Layout,
    userdata::schema::{Rules, Schema},
};

use super::places::check_places;

/// What divides the schema from the document.
const LINE: &[u8] = b"\n---\n";

pub(crate) fn run(data: &[u8]) {
    let Some(at) = data.windows(LINE.len()).position(|window| window == LINE) else { return };
    let (schema, document) = (&data[..at], &data[at + LINE.len()..]);
    let Ok(schema) = Schema::parse(schema).map(Arc::new) else { return };
    let document = [b"#cloud-config\n", document].concat();
    for cloud_init in [None, Some("22.4".parse().unwrap())] {
        let rules = Rules { schema: Some(Arc::clone(&schema)), cloud_init };
        for checked in check_whole(&document, Subject::UserData(Some(Layout::NoCloud)), None, &rules) {
            check_places(&checked);
        }
    }
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        r##"{"properties": {"a": {"$ref": "#/$defs/b"}}, "$defs": {"b": {"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#/$defs/b"}}]}}}
---
a: [[1], x, [[0644]]]
"##,
        r#"{"required": ["name"], "properties": {"name": {"pattern": "^a+$", "minLength": 2, "maxLength": 3}}, "additionalProperties": false}
---
nmae: 1
"#,
        r#"{"oneOf": [{"required": ["a", "b"]}, {"not": {"required": ["a"]}}], "patternProperties": {"^(x|y)*": {"enum": ["on", true, 5, null, [1]]}}}
---
x: on
a: yes
y: 0x5
"#,
        r#"{"allOf": [{"properties": {"l": {"minItems": 1, "maxItems": 2, "uniqueItems": true, "items": [{"type": "integer"}], "additionalItems": {"const": 2}}}}], "dependencies": {"l": ["m"]}}
---
l: [1, 2, 2, 3]
"#,
        r#"{"properties": {"d": {"format": "date", "deprecated": true, "deprecated_version": "22.1", "x-expected": "a `date`"}, "n": {"minimum": 1, "maximum": 5, "new": true, "new_version": "25.1"}}}
---
d: 2024-01-02
n: 6.5
"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
