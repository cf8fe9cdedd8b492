//! What `metadata check` prints for other programs, over files, seeds and images.

use serde_json::{Value, json};

use crate::support::{Ran, Sandbox};

/// Files with mistakes of all kinds: with and without a place, over several lines, in parts, and on an image.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write(
        "seed/user-data",
        "#cloud-config\npackage: [nginx]\nusers: [{nmae: web}]\nwrite_files: [{path: /é, permissions: 0644}]\n",
    );
    sandbox.write("seed/meta-data", "local-hostname: web\n");
    sandbox.write("seed/network-config", "version: 2\nethernets: {eth0: {dhcp4: treu}}\n");
    sandbox.write("a, b:100%.yaml", "#cloud-config\na: [\n");
    sandbox.write("mime", "MIME-Version: 1.0\nContent-Type: text/cloud-config\nContent-Transfer-Encoding: base64\n\nI2Nsb3VkLWNvbmZpZwpwYWNrYWdlczogMQo=\n");
    sandbox.write("program", b"\x7fELF\0\0");
    let image = ["create", "-q", "--lenient", "-l", "nocloud", "seed.iso", "--user-data", "seed/user-data"];
    sandbox.succeed(
        [&image[..], &["--network-config", "seed/network-config", "--volume-id", "CiData"]].concat(),
    );
    sandbox
}

const PATHS: [&str; 5] = ["seed", "seed.iso", "a, b:100%.yaml", "mime", "program"];

fn check(sandbox: &Sandbox, format: &str) -> Ran {
    sandbox.run([&["check", "--format", format], &PATHS[..]].concat())
}

/// The findings as `--format json` has them.
fn findings(sandbox: &Sandbox) -> Vec<Value> {
    let ran = check(sandbox, "json");
    assert_eq!(ran.status, Some(1), "{ran:?}");
    ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What SARIF 2.1.0 requires of the parts that are used (3.13, 3.14, 3.18 to 3.20, 3.27 to 3.30, 3.49).
fn sarif() -> Value {
    let text = json!({ "type": "object", "required": ["text"], "properties": { "text": { "type": "string", "minLength": 1 } } });
    let level = json!({ "enum": ["none", "note", "warning", "error"] });
    let place = json!({ "type": "integer", "minimum": 1 });
    let rules = json!({ "type": "array", "uniqueItems": true, "items": {
        "type": "object",
        "required": ["id"],
        "properties": {
            "id": { "type": "string", "minLength": 1 },
            "shortDescription": text,
            "defaultConfiguration": { "type": "object", "properties": { "level": level } },
        },
    } });
    let driver = json!({
        "type": "object",
        "required": ["name"],
        "properties": {
            "name": { "type": "string", "minLength": 1 },
            "version": { "type": "string" },
            "rules": rules,
        },
    });
    let uri = json!({ "type": "string", "pattern": "^([A-Za-z0-9._~/-]|%[0-9A-F]{2})+$" });
    let physical_location = json!({
        "type": "object",
        "required": ["artifactLocation"],
        "additionalProperties": false,
        "properties": {
            "artifactLocation": { "type": "object", "required": ["uri"], "properties": { "uri": uri } },
            "region": {
                "type": "object",
                "required": ["startLine", "startColumn", "endLine", "endColumn"],
                "additionalProperties": place,
            },
        },
    });
    let result = json!({
        "type": "object",
        "required": ["message", "ruleId"],
        "additionalProperties": false,
        "properties": {
            "ruleId": { "type": "string" },
            "level": level,
            "message": text,
            "locations": { "type": "array", "items": {
                "type": "object",
                "properties": { "physicalLocation": physical_location },
            } },
        },
    });
    let run = json!({
        "type": "object",
        "required": ["tool", "results"],
        "additionalProperties": false,
        "properties": {
            "columnKind": { "enum": ["utf16CodeUnits", "unicodeCodePoints"] },
            "tool": { "type": "object", "required": ["driver"], "properties": { "driver": driver } },
            "results": { "type": "array", "items": result },
        },
    });
    json!({
        "type": "object",
        "required": ["version", "runs"],
        "additionalProperties": false,
        "properties": {
            "$schema": { "type": "string", "pattern": "^https://.+sarif.+2\\.1\\.0.*\\.json$" },
            "version": { "const": "2.1.0" },
            "runs": { "type": "array", "minItems": 1, "maxItems": 1, "items": run },
        },
    })
}

#[test]
fn sarif_has_what_the_standard_requires_and_all_findings() {
    let sandbox = sandbox();
    let ran = check(&sandbox, "sarif");
    assert_eq!(ran.status, Some(1), "{ran:?}");
    let log: Value = serde_json::from_str(&ran.stdout).unwrap();
    let validator = jsonschema::validator_for(&sarif()).unwrap();
    let faults: Vec<_> = validator.iter_errors(&log).map(|error| error.to_string()).collect();
    assert!(faults.is_empty(), "{faults:#?}\n{log:#}");
    let run = &log["runs"][0];
    let rules: Vec<_> =
        run["tool"]["driver"]["rules"].as_array().unwrap().iter().map(|it| &it["id"]).collect();
    let results = run["results"].as_array().unwrap();
    let findings = findings(&sandbox);
    assert_eq!(results.len(), findings.len());
    for (result, finding) in results.iter().zip(&findings) {
        assert_eq!(result["ruleId"], finding["code"]);
        assert_eq!(result["level"], finding["severity"]);
        assert!(rules.contains(&&result["ruleId"]), "{result}");
        let region = &result["locations"][0]["physicalLocation"]["region"];
        if !region.is_null() {
            let [line, column] = [finding["line"].clone(), finding["column"].clone()];
            assert_eq!([&region["startLine"], &region["startColumn"]], [&line, &column], "{result}");
            let place = |line: &str, column: &str| (region[line].as_u64(), region[column].as_u64());
            assert!(place("startLine", "startColumn") <= place("endLine", "endColumn"), "{result}");
        }
    }
    let uris: Vec<_> = results
        .iter()
        .map(|it| it["locations"][0]["physicalLocation"]["artifactLocation"]["uri"].as_str().unwrap())
        .collect();
    for uri in
        ["seed/user-data", "seed/network-config", "seed.iso/user-data", "a%2C%20b%3A100%25.yaml", "program"]
    {
        assert!(uris.contains(&uri), "{uri} is not in {uris:?}");
    }
    assert!(uris.iter().any(|uri| uri.starts_with("mime/part-")), "{uris:?}");
}

#[test]
fn a_sarif_document_without_findings_has_no_rules() {
    let sandbox = Sandbox::new();
    sandbox.write("user-data", "#cloud-config\npackages: [nginx]\n");
    let ran = sandbox.run(["check", "--format", "sarif", "user-data"]);
    assert_eq!((ran.status, &*ran.stderr), (Some(0), ""));
    let log: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(jsonschema::validator_for(&sarif()).unwrap().is_valid(&log), "{log:#}");
    assert_eq!(log["runs"][0]["results"], json!([]));
}

/// A workflow command is `::NAME KEY=VALUE,...::MESSAGE`, in which `%`, line ends, and in a value `:` and `,` are escaped.
#[test]
fn annotations_are_workflow_commands_with_all_findings() {
    let sandbox = sandbox();
    let ran = check(&sandbox, "github");
    assert_eq!(ran.status, Some(1), "{ran:?}");
    let findings = findings(&sandbox);
    let lines: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), findings.len(), "{}", ran.stdout);
    for (line, finding) in lines.into_iter().zip(&findings) {
        let (command, message) = line.strip_prefix("::").and_then(|line| line.split_once("::")).unwrap();
        let (severity, properties) = command.split_once(' ').unwrap();
        assert_eq!(severity, finding["severity"]);
        assert!(!message.is_empty());
        let value = |key: &str| {
            let property = properties.split(',').find_map(|it| it.strip_prefix(key)?.strip_prefix('='))?;
            Some(property.replace("%2C", ",").replace("%3A", ":").replace("%25", "%"))
        };
        assert_eq!(value("title").as_deref(), finding["code"].as_str());
        assert_eq!(value("file").as_deref(), finding["file"].as_str(), "{line}");
        let number = |key: &str| value(key).map(|number| number.parse::<u64>().unwrap());
        if number("line").is_some() {
            assert_eq!(
                [number("line"), number("col")],
                [finding["line"].as_u64(), finding["column"].as_u64()]
            );
            // GitHub takes no columns for an annotation of several lines.
            assert!(number("endColumn").is_some() != number("endLine").is_some(), "{line}");
        }
    }
}

#[test]
fn a_batch_prints_the_findings_of_each_line_as_json() {
    let sandbox = Sandbox::new();
    sandbox.write(
        "lines",
        "{\"image\":\"a.iso\",\"layout\":\"nocloud\",\"data\":\"#cloud-config\\npackage: [x]\\n\"}\n",
    );
    let ran = sandbox.run(["batch", "--json", "lines", "--into", "out"]);
    let line: Value = serde_json::from_str(ran.stdout.lines().next().unwrap()).unwrap();
    assert!(line["warnings"].to_string().contains("cloud-init does not know this key"), "{line}");
}

#[test]
fn every_command_prints_warnings_in_the_shape_of_findings() {
    let sandbox = Sandbox::new();
    sandbox.write("user-data", "#cloud-config\npackage: [x]\n");
    let value = |text: &[u8]| serde_json::from_slice::<Value>(text).unwrap();
    let finding = value(&sandbox.succeed(["check", "--json", "user-data"]));
    let create =
        ["create", "--json", "-l", "nocloud", "--instance-id", "i-1", "--user-data", "user-data", "a.iso"];
    assert_eq!(value(&sandbox.succeed(create))["warnings"], json!([finding]));
    let line = r#"{"image": "b.iso", "layout": "nocloud", "user_data": "user-data"}"#;
    let ran = sandbox.run_with_input(["batch", "--json", "--into", "."], line);
    assert_eq!(value(ran.stdout.as_bytes())["warnings"], json!([finding]));
    let warning = |message: &str| {
        json!({
            "code": null, "severity": "warning", "file": null, "path": "", "line": null, "column": null, "message": message,
            "hint": null
        })
    };
    let set = value(&sandbox.succeed(["set", "--json", "a.iso", "user-data=user-data"]));
    let stays = "the instance ID \"i-1\" stays, so cloud-init does not repeat what it does once per instance (--instance-id \
                 gives another)";
    let mut of_image = finding.clone();
    of_image["file"] = "a.iso/user-data".into();
    assert_eq!(set["warnings"], json!([warning(stays), of_image]));
    let empty = value(&sandbox.succeed(["create", "--json", "-l", "nocloud", "c.iso"]));
    assert_eq!(empty["warnings"], json!([warning("the seed has no user data, host name or keys")]));
}
