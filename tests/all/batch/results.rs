//! What a batch says of its work.

use std::process::{Command, Stdio};

use super::files;

use crate::support::{Sandbox, done, noise};

#[test]
fn what_is_done_is_said_and_quiet_says_nothing() {
    let sandbox = Sandbox::new();
    sandbox
        .write("lines", "{\"image\": \"a\", \"data\": \"x\"}\r\n\n  \n{\"data\": \"y\", \"image\": \"b/c\"}");
    assert_eq!(sandbox.run(["batch", "lines", "--into", "out"]), done("metadata: out: 2 images\n"));
    assert_eq!(files(&sandbox.path("out")), ["a", "b/c"]);
    assert_eq!(sandbox.run(["batch", "lines", "--into", "out", "--quiet"]), done(""));
    let ran = sandbox.run_with_input(["batch", "-", "--into", "one"], "{\"image\": \"a\", \"data\": \"x\"}");
    assert_eq!(ran, done("metadata: one: 1 image\n"));
    assert_eq!(sandbox.run_with_input(["batch", "--into", "none"], ""), done("metadata: none: 0 images\n"));
    assert_eq!(files(&sandbox.path("none")), [""; 0]);
}

#[test]
fn json_has_a_result_for_every_line_in_their_order() {
    let sandbox = Sandbox::new();
    sandbox.write("large", noise(3_000_000));
    let mut input = String::new();
    for number in 1..=500 {
        let line = match number {
            7 => "{\"image\": \"bad\", \"data\": 1}\n".to_owned(),
            8 | 250 => format!("{{\"image\": \"{number}\", \"data_file\": \"large\"}}\n"),
            9 => "\n".to_owned(),
            10 => "{\"image\": \"10\", \"data\": \"\"}\n".to_owned(),
            _ => format!("{{\"image\": \"{number}\", \"data\": \"x\"}}\n"),
        };
        input.push_str(&line);
    }
    let ran = sandbox
        .run_with_input(["batch", "--into", "out", "--json", "--quiet", "--keep-going"], input.clone());
    assert_eq!(ran.status, Some(1));
    let results: Vec<serde_json::Value> =
        ran.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let numbers: Vec<_> = results.iter().map(|result| result["line"].as_u64().unwrap()).collect();
    assert_eq!(numbers, (1..=500).filter(|number| *number != 9).collect::<Vec<_>>());
    let made = |line: u32, image: &str, warnings: &str| {
        format!(
            "{{\"line\":{line},\"image\":{image:?},\"size\":372736,\"volume_identifier\":\"CIDATA\",\
             \"layout\":\"linuxkit\",\"replaced\":false,\"warnings\":[{warnings}]}}"
        )
    };
    let told: Vec<_> = ran.stdout.lines().collect();
    assert_eq!(told[0], made(1, "1", ""));
    let empty = r#"{"code":null,"severity":"warning","file":null,"path":"","line":null,"column":null,"message":"the data is empty, and the guest's agent ignores an empty file","hint":null}"#;
    assert_eq!(told[8], made(10, "10", empty));
    let fault = r#"{"line":7,"image":"bad","error":"the field \"data\" must be a string, not a number"}"#;
    assert_eq!(told[6], fault);

    // Once more, so that they are replaced, and with digests.
    let input = input.lines().take(20).collect::<Vec<_>>().join("\n");
    let ran = sandbox
        .run_with_input(["batch", "--into", "out", "--json", "--digests", "--quiet", "--keep-going"], input);
    for line in ran.stdout.lines().filter(|line| line.contains("sha256")).step_by(4) {
        let result: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(result["replaced"], true);
        let path = format!("out/{}", result["image"].as_str().unwrap());
        let digest = String::from_utf8(sandbox.tool("sha256sum", [&path])).unwrap();
        assert_eq!(result["sha256"], digest[..64]);
        assert_eq!(result["files"][0]["name"], "config");
        assert_eq!(result["files"][0]["sha256"].as_str().unwrap().len(), 64);
    }
}

#[test]
fn a_reader_that_has_heard_enough_is_no_failure() {
    let sandbox = Sandbox::new();
    let input = (0..2000)
        .map(|number| format!("{{\"image\": \"{number}\", \"data\": \"x\"}}\n"))
        .collect::<Vec<_>>()
        .concat();
    sandbox.write("lines", input);
    let mut child = Command::new(assert_cmd::cargo::cargo_bin!("metadata"))
        .current_dir(sandbox.path(""))
        .args(["batch", "lines", "--into", "out", "--json", "--quiet"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
    assert_eq!(files(&sandbox.path("out")).len(), 2000);
}
