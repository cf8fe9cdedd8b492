//! What becomes of a manifest and its signature.

use serde_json::Value;

use super::{OLD, create, extracted, show, with_image};
use crate::support::{Sandbox, done};

/// The strings and the run ID of an image, if it has a manifest.
fn stated(sandbox: &Sandbox) -> Option<(Value, Value)> {
    let manifest = show(sandbox, "seed.iso").get("manifest").cloned()?;
    assert_eq!(manifest["signed"], false);
    Some((manifest["user_provided_metadata"].clone(), manifest["run_id"].clone()))
}

#[test]
fn what_was_stated_about_the_old_content_goes_and_that_is_said() {
    let sandbox = with_image("nocloud", &["--hostname", "web", "--run-metadata", "a", "--run-metadata", "b"]);
    sandbox.tool("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", "key"]);
    sandbox.succeed(["sign", "seed.iso", "--key", "key", "--not-after", "2099-01-01", "--audience", "x"]);
    let ran = sandbox.run(["set", "--quiet", "seed.iso", "user-data=new"]);
    let lost = "the manifest was about the old content and was removed, with 2 strings, the time limits, the audience, \
                the run ID and the signature";
    assert_eq!(ran, done(&format!("metadata: warning: seed.iso: {lost}\n")));
    assert_eq!(stated(&sandbox), None);
    create(&sandbox, "new.iso", "nocloud", "new", &["--hostname", "web"]);
    assert!(sandbox.read("seed.iso") == sandbox.read("new.iso"), "the generated instance ID follows");
}

#[test]
fn a_run_id_that_was_given_stays() {
    let sandbox = with_image("nocloud", &["--run-metadata", "a", "--run-id", "r-1"]);
    let ran = sandbox.run(["set", "-q", "seed.iso", "user-data=new"]);
    let lost =
        "the manifest keeps only the run ID \"r-1\"; what was about the old content was removed: 1 string";
    assert_eq!(ran, done(&format!("metadata: warning: seed.iso: {lost}\n")));
    assert_eq!(stated(&sandbox), Some((Value::Array(Vec::new()), "r-1".into())));
    assert_eq!(sandbox.run(["set", "-q", "seed.iso", "user-data=old"]), done(""));
    assert_eq!(sandbox.run(["confirm", "-q", "seed.iso", "--run-metadata", "again"]), done(""));
    let ran = sandbox.run(["set", "-q", "seed.iso", "--remove", "manifest.json"]);
    assert!(ran.stderr.ends_with("was removed, with 1 string and the run ID\n"), "{}", ran.stderr);
    assert_eq!(stated(&sandbox), None);
}

#[test]
fn a_manifest_that_is_wrong_already_is_not_made_right() {
    let sandbox = with_image("nocloud", &["--run-metadata", "a"]);
    let mut image = sandbox.read("seed.iso");
    let at = image.windows(5).position(|bytes| bytes == b"nginx").unwrap();
    image[at] = b'N';
    sandbox.write("seed.iso", &image);
    let ran = sandbox.run(["set", "seed.iso", "x=new"]);
    let why = "the manifest is wrong already (--remove manifest.json drops it): comparing the image with its manifest.json: file \"user-data\" has other content";
    assert!(ran.stderr.contains(why), "{}", ran.stderr);
    assert!(sandbox.read("seed.iso") == image);
    assert_eq!(sandbox.run(["set", "seed.iso", "x=new", "--remove", "manifest.json"]).status, Some(0));
}

#[test]
fn a_file_that_is_only_called_manifest_json_stays() {
    let sandbox = with_image("nocloud", &["--file", "manifest.json=old"]);
    assert_eq!(sandbox.run(["set", "-q", "seed.iso", "user-data=new"]), done(""));
    assert_eq!(extracted(&sandbox, "manifest.json"), OLD);
}
