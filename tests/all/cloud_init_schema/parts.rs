//! User data of several parts, as cloud-init takes it apart.

use serde_json::{Value, json};

use super::judge::Judge;
use crate::support::Sandbox;

#[test]
#[ignore = "needs cloud-init, unpacked by scripts/get-cloud-init"]
fn cloud_init_reads_the_parts_that_create_joins() {
    let sandbox = Sandbox::new();
    let config = "#cloud-config\npackages: [gr\u{fc}n]\n";
    let script = "#!/bin/sh\r\necho 'no newline at the end'";
    sandbox.write("a.yaml", config);
    sandbox.write("b.sh", script);
    sandbox.succeed([
        "create",
        "-q",
        "-l",
        "nocloud",
        "--user-data",
        "a.yaml",
        "--user-data",
        "b.sh:x-shellscript-per-boot",
        "--user-data",
        "b.sh",
        "seed.iso",
    ]);
    let document = sandbox.succeed(["extract", "seed.iso", "user-data"]);
    let path = sandbox.write("document", document);
    let output = Judge::python("parts.py").arg(path).output().unwrap();
    let found: Value = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    let expected = json!([
        ["text/cloud-config", "a.yaml", config],
        ["text/x-shellscript-per-boot", "b.sh", script],
        ["text/x-shellscript", "003-b.sh", script],
    ]);
    assert_eq!(found, expected);
}
