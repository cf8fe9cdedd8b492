//! Small schemas and documents, with all that is said of them.

use super::*;
use crate::userdata::yaml::check_mapping;

fn said(schema: &str, text: &str) -> Vec<String> {
    let schema = Schema::parse(schema.as_bytes()).unwrap();
    let mut findings = Vec::new();
    let tree = check_mapping(text, "it", &mut findings).unwrap();
    let version = Some("22.4".parse().unwrap());
    judge(
        &tree,
        Terms { schema: &schema, version, unknown: Unknown::Refused, top_is_open: false },
        &mut findings,
    );
    Finding::lines(&findings, text)
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn every_keyword_has_its_words() {
    for (schema, text, expected) in [
        (r#"{"type": ["string", "null"]}"#, "[1]", "expected a string or nothing, found a list [value-type]"),
        (
            r#"{"enum": ["off", true, 5]}"#,
            "of",
            "expected \"off\", true or 5, found the string \"of\" [bad-value] (did you mean \"off\"?)",
        ),
        (
            r#"{"enum": ["off"]}"#,
            "off",
            "expected \"off\", found the boolean false (written off) [unquoted] (put it in quotes: \"off\")",
        ),
        (r#"{"const": 2}"#, "3", "expected 2, found the number 3 [bad-value]"),
        (
            r#"{"type": "string"}"#,
            "2024-01-02",
            "expected a string, found the date 2024-01-02 [unquoted] (put it in quotes: \"2024-01-02\")",
        ),
        (
            r#"{"type": "boolean"}"#,
            "'true'",
            "expected true or false, found the string \"true\" [value-type] (remove the quotes)",
        ),
        (
            r#"{"type": "boolean"}"#,
            "'Yes'",
            "expected true or false, found the string \"Yes\" [value-type] (remove the quotes)",
        ),
        (
            r#"{"type": "boolean"}"#,
            "treu",
            "expected true or false, found the string \"treu\" [value-type] (did you mean true?)",
        ),
        (
            r#"{"enum": [true, "true"]}"#,
            "treu",
            "expected true or \"true\", found the string \"treu\" [bad-value] (did you mean \"true\"?)",
        ),
        (
            r#"{"type": "integer"}"#,
            "1.0",
            "expected an integer, found the number 1 (written 1.0) [value-type]",
        ),
        (
            r#"{"pattern": "^a+$"}"#,
            "ab",
            "expected text that matches the pattern \"^a+$\", found the string \"ab\" [bad-value]",
        ),
        (
            r#"{"pattern": "^a+$", "x-expected": "the letter `a`"}"#,
            "ab",
            "expected the letter \"a\", found the string \"ab\" [bad-value]",
        ),
        (
            r#"{"type": "string", "format": "date"}"#,
            "'2024-13-01'",
            "expected a date such as 2024-12-31, found the string \"2024-13-01\" [bad-value]",
        ),
        (r#"{"minLength": 2}"#, "é", "expected at least 2 characters, found 1 [bad-value]"),
        (r#"{"maxLength": 1}"#, "éé", "expected at most 1 character, found 2 [bad-value]"),
        (r#"{"minimum": 2}"#, "1", "expected a number of at least 2, found the number 1 [bad-value]"),
        (r#"{"maximum": 2}"#, "2.5", "expected a number of at most 2, found the number 2.5 [bad-value]"),
        (r#"{"minItems": 1}"#, "[]", "expected at least 1 item, found none [bad-value]"),
        (r#"{"maxItems": 1}"#, "[1, 2]", "expected at most 1 item, found 2 [bad-value]"),
        (
            r#"{"uniqueItems": true}"#,
            "[1, x, '1', x]",
            "this item occurs twice: the string \"x\" [bad-value]",
        ),
        (
            r#"{"items": [{"type": "string"}], "additionalItems": false}"#,
            "[x, y]",
            "this is not allowed here [bad-value]",
        ),
        (r#"{"minProperties": 1}"#, "{}", "expected at least 1 key, found none [bad-value]"),
        (r#"{"maxProperties": 1}"#, "{a: 1, b: 2}", "expected at most 1 key, found 2 [bad-value]"),
        (r#"{"required": ["a"]}"#, "{b: 1}", "the key \"a\" is missing [missing-key]"),
        (
            r#"{"dependencies": {"b": ["a"]}}"#,
            "{b: 1}",
            "the key \"a\" is missing, which \"b\" needs [missing-key]",
        ),
        (
            r#"{"anyOf": [{"required": ["a"]}, {"required": ["c"]}]}"#,
            "{b: 1}",
            "one of the keys \"a\" or \"c\" is missing [missing-key]",
        ),
        (
            r#"{"not": {"required": ["a", "b"]}}"#,
            "{a: 1, b: 1}",
            "the keys \"a\" and \"b\" exclude each other [exclusive-keys]",
        ),
        (
            r#"{"properties": {"name": {}}, "additionalProperties": false}"#,
            "{nmae: 1}",
            "this key is not known here [unexpected-key] (did you mean \"name\"?)",
        ),
        (
            r#"{"patternProperties": {"^x-": {}}, "additionalProperties": false}"#,
            "{x-a: 1, y: 2}",
            "this key is not known here [unexpected-key]",
        ),
        (
            r#"{"additionalProperties": {"type": "integer"}}"#,
            "{a: b}",
            "expected an integer, found the string \"b\" [value-type]",
        ),
        (
            r#"{"oneOf": [{"type": "integer"}, {"minimum": 2}]}"#,
            "3",
            "this has more than one of the forms of which it must have one [exclusive-keys]",
        ),
        (
            r#"{"oneOf": [{"type": "string"}, {"type": "array"}]}"#,
            "{}",
            "expected a string or a list, found an empty mapping [value-type]",
        ),
        // The branch of the right type, then the one with the deepest fault.
        (
            r#"{"anyOf": [{"type": "string"}, {"properties": {"a": {"items": {"type": "string"}}}, "type": "object"}]}"#,
            "{a: [{}]}",
            "expected a string, found an empty mapping [value-type]",
        ),
        // The branch of which the constant fits.
        (
            r#"{"anyOf": [{"properties": {"t": {"const": "x"}}}, {"properties": {"t": {"const": "y"}}, "required": ["z"]}]}"#,
            "{t: y}",
            "the key \"z\" is missing [missing-key]",
        ),
        (
            r#"{"deprecated": true, "x-deprecated-since": "22.2", "x-replaced-by": "`b`"}"#,
            "1",
            "the key \"k\" is deprecated since cloud-init 22.2 [deprecated] (use \"b\")",
        ),
        (
            r#"{"anyOf": [{"type": "string"}, {"deprecated": true, "deprecated_version": "22.2", "deprecated_description": "Use **b**."}]}"#,
            "1",
            "this value is deprecated since cloud-init 22.2 [deprecated] (Use **b**.)",
        ),
        (r#"{"deprecated": true, "x-deprecated-since": "23.1"}"#, "1", ""),
        (
            r#"{"x-new-since": "23.1"}"#,
            "1",
            "cloud-init 22.4 does not know the key \"k\", which is new in 23.1 [too-new]",
        ),
        (r#"{"new": true, "new_version": "22.4"}"#, "1", ""),
        ("false", "1", "this is not allowed here [bad-value]"),
        ("true", "1", ""),
        (
            r##"{"$ref": "#/definitions/d"}"##,
            "1",
            "expected a string, found the number 1 [unquoted] (put it in quotes: \"1\")",
        ),
        (r##"{"$ref": "#/properties/k"}"##, "1", ""),
    ] {
        let whole =
            format!(r#"{{"properties": {{"k": {schema}}}, "definitions": {{"d": {{"type": "string"}}}}}}"#);
        let said = said(&whole, &format!("k: {text}\n"));
        let said: Vec<_> = said.iter().map(|it| it.split_once("\": ").unwrap().1).collect();
        let expected: Vec<_> = Some(expected).into_iter().filter(|it| !it.is_empty()).collect();
        assert_eq!(said, expected, "{schema}: {text}");
    }
}

#[test]
fn a_path_names_keys_and_items() {
    let schema = r#"{"additionalProperties": {"items": {"additionalProperties": {"type": "integer"}}}}"#;
    let said = said(schema, "users:\n- a: 1\n- {a: x, 'b.c': y, '': z}\n");
    let paths: Vec<_> = said.iter().map(|it| it.split(": expected").next().unwrap()).collect();
    let expected = [r#"f:3:7: "users[1].a""#, r#"f:3:17: "users[1].\"b.c\"""#, r#"f:3:24: "users[1].\"\"""#];
    assert_eq!(paths, expected);
}

#[test]
fn a_key_that_is_misspelt_is_not_missing_as_well() {
    let schema = r#"{"items": {"required": ["name", "path"], "properties": {"name": {}, "path": {}}, "additionalProperties": false}}"#;
    let whole = format!(r#"{{"properties": {{"k": {schema}}}}}"#);
    assert_eq!(
        said(&whole, "k:\n- nmae: 1\n  path: 2\n- {nmae: 1, name: 2, path: 3}\n- {nmae: 1}\n- {x: 1}\n"),
        [
            "f:2:3: \"k[0].nmae\": this key is not known here [unexpected-key] (did you mean \"name\"?)",
            "f:4:4: \"k[1].nmae\": this key is not known here [unexpected-key] (did you mean \"name\"?)",
            "f:5:4: \"k[2].nmae\": this key is not known here [unexpected-key] (did you mean \"name\"?)",
            "f:6:4: \"k[3].x\": this key is not known here [unexpected-key] (known here: \"name\" and \"path\")",
            "f:5:3: \"k[2]\": the key \"path\" is missing [missing-key]",
            "f:6:3: \"k[3]\": the key \"name\" is missing [missing-key]",
        ]
    );
    let either = r#"{"properties": {"k": {"anyOf": [{"required": ["name"]}, {"required": ["path"]}], "properties": {"name": {}, "path": {}}, "additionalProperties": false}}}"#;
    assert_eq!(
        said(either, "k: {nmae: 1}\n"),
        ["f:1:5: \"k.nmae\": this key is not known here [unexpected-key] (did you mean \"name\"?)"]
    );
}

#[test]
fn messages_are_short_whatever_a_schema_says() {
    let long = "x".repeat(10_000);
    let values = vec![format!("\"{long}\""); 100].join(",");
    for schema in [
        format!(r#"{{"enum": [{values}, [{values}]]}}"#),
        format!(r#"{{"const": [{values}]}}"#),
        format!(r#"{{"type": "integer", "x-expected": "{long}", "pattern": "{long}"}}"#),
        format!(
            r#"{{"deprecated": true, "deprecated_version": "{long}", "deprecated_description": "{long}"}}"#
        ),
        format!(r#"{{"required": [{values}]}}"#),
        format!(r#"{{"not": {{"required": ["{long}"]}}, "minProperties": 2}}"#),
        format!(r#"{{"properties": {{"{long}": {{}}}}, "additionalProperties": false}}"#),
    ] {
        for value in ["a", "{b: 1}"] {
            for line in said(&format!(r#"{{"properties": {{"k": {schema}}}}}"#), &format!("k: {value}\n")) {
                assert!(line.len() < 2000, "{} bytes: {line:.100}", line.len());
            }
        }
    }
}

#[test]
fn schemas_that_cannot_be_used_are_refused() {
    let said = |text: &str| Schema::parse(text.as_bytes()).unwrap_err();
    assert_eq!(said("[]"), "the schema is not a JSON object");
    assert!(said("{").starts_with("not valid JSON: "));
    for reference in ["other.json#/a", "#/definitions/x", "https://example.com/a", "#x", ""] {
        let schema = format!(r#"{{"properties": {{"a": {{"$ref": "{reference}"}}}}}}"#);
        let expected =
            format!("the reference {reference:?} names nothing in the schema; other files are not read");
        if reference.is_empty() {
            continue;
        }
        assert_eq!(said(&schema), expected);
    }
    assert_eq!(said(&" ".repeat(SCHEMA_BYTES_MAX + 1)), "the schema is larger than 4 MiB");
}

#[test]
fn hostile_schemas_end() {
    let branches = vec![r##"{"$ref": "#"}"##; 50].join(",");
    let deep = format!("{}1{}\n", "[".repeat(100), "]".repeat(100));
    let wide = format!("[{}]", vec!["{b: [c, {d: e}]}"; 2000].join(","));
    let nested = |levels: usize| {
        let parts: Vec<_> = (0..levels)
            .map(|it| format!(r##""d{it}": {{"anyOf": [{{"$ref": "#/definitions/d{n}"}}, {{"items": {{"$ref": "#/definitions/d{n}"}}}}]}}"##, n = it + 1))
            .collect();
        format!(
            r##"{{"$ref": "#/definitions/d0", "definitions": {{{}, "d{levels}": {{"type": "string"}}}}}}"##,
            parts.join(",")
        )
    };
    let schemas = [
        format!(r#"{{"anyOf": [{branches}], "additionalProperties": {{"oneOf": [{branches}]}}, "items": {{"allOf": [{branches}]}}}}"#),
        nested(1000),
        r##"{"additionalProperties": {"$ref": "#"}, "items": {"$ref": "#"}, "not": {"not": {"$ref": "#"}}}"##.to_owned(),
        format!(r#"{{"additionalProperties": {{"enum": [{}]}}}}"#, vec!["1"; 100_000].join(",")),
        r#"{"patternProperties": {"(x{1000}){1000}": {}, "(a*)*b": {}, "(": {}, "(?=a)": {}}, "additionalProperties": false}"#.to_owned(),
    ];
    for schema in &schemas {
        for text in [&deep, &wide, &"a".repeat(100_000)] {
            let said = said(schema, &format!("k: {text}\n{}: 1\n", "a".repeat(1000)));
            assert!(said.len() <= 2001, "{}", said.len());
        }
    }
}

/// A value that would be right as the only item is told so, unless it stands in a list itself.
#[test]
fn a_list_of_one_is_proposed() {
    let schema = r#"{"properties": {"a": {"type": "array", "items": {"enum": ["x", 1]}},
        "b": {"anyOf": [{"enum": ["all"]}, {"type": "array", "items": {"type": "string"}}]},
        "c": {"items": {"type": "array", "items": {"type": "string"}}}}}"#;
    for (text, expected) in [
        (
            "a: x",
            "f:1:4: \"a\": expected a list, found the string \"x\" [value-type] (write a list: [\"x\"])",
        ),
        ("a: 1", "f:1:4: \"a\": expected a list, found the number 1 [value-type] (write a list: [1])"),
        ("a: y", "f:1:4: \"a\": expected a list, found the string \"y\" [value-type]"),
        (
            "b: y",
            "f:1:4: \"b\": expected \"all\" or a list, found the string \"y\" [bad-value] (write a list: [\"y\"])",
        ),
        ("a: |\n  x", "f:2:3: \"a\": expected a list, found the string \"x\\n\" [value-type]"),
        (
            "b: |\n  y\n",
            "f:2:3: \"b\": expected \"all\" or a list, found the string \"y\\n\" [bad-value] \
             (write a list: put \"- \" in front of the value)",
        ),
        (
            "c: [[{echo x: y}]]",
            "f:1:6: \"c[0][0]\": expected a string, found a mapping [value-type] \
             (put all of the text in quotes if \": \" is part of it)",
        ),
        ("c: [y z]", "f:1:5: \"c[0]\": expected a list, found the string \"y z\" [value-type]"),
    ] {
        assert_eq!(said(schema, text), [expected], "{text}");
    }
}

#[test]
fn a_name_that_is_almost_a_known_one_is_a_warning() {
    let schema = r#"{"properties": {"a": {"items": {"x-known": ["write_files", "ssh"]}}}}"#;
    let known = "a: [write_files, write-files, cc_write_files, ssh.py, own-module, 5]";
    assert_eq!(said(schema, known), [""; 0]);
    assert_eq!(
        said(schema, "a: [write-fiels]"),
        [
            "f:1:5: \"a[0]\": cloud-init has no module of this name [unknown-module] (did you mean \"write_files\"?)"
        ]
    );
}

/// A schema that would take minutes says that it was given up, and what a message shows of it is short.
#[test]
fn a_schema_of_many_steps_is_given_up_and_says_so() {
    let values = (0..20_000).map(|number| format!("\"v{number}\"")).collect::<Vec<_>>().join(",");
    let text = format!("a: [{}]", "x,".repeat(2_000));
    let found = said(&format!(r#"{{"properties": {{"a": {{"items": {{"enum": [{values}]}}}}}}}}"#), &text);
    let last = found.last().unwrap();
    assert!(last.ends_with("of which the rest was not checked [unchecked]"), "{last}");
    let long = "1".repeat(2_000_000);
    let started = std::time::Instant::now();
    let schema = format!(
        r#"{{"properties": {{"a": {{"items": {{"deprecated": true, "deprecated_version": "{long}", "not": {{"required": [{values}]}}}}}}}}}}"#
    );
    let found = said(&schema, &text);
    assert!(found.iter().all(|line| line.len() < 1000) && found.len() > 2_000, "{}", found.len());
    assert!(started.elapsed().as_secs() < 10, "{:?}", started.elapsed());
}
