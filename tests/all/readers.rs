//! What other readers take an image and its names for: a signed image is one thing to all of them.

use ssh_key::{HashAlg, LineEnding};

use crate::{
    signature::{key, public, refused, verify_image, write_key},
    support::{Ran, Sandbox, done, failed},
};

/// A directory with a key and who may use it.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    write_key(&sandbox, "key", 1);
    sandbox.write("allowed", format!("a@b {}\n", public(1)));
    sandbox
}

/// Makes an image with files of these names, each of which holds its name, and these options; what `create` said.
fn create(sandbox: &Sandbox, names: &[&str], options: &[&str]) -> Ran {
    let files = names.iter().enumerate().flat_map(|(number, name)| {
        sandbox.write(&number.to_string(), name);
        ["--file".to_owned(), format!("{name}={number}")]
    });
    let files: Vec<_> = files.collect();
    let files = files.iter().map(String::as_str);
    sandbox.run(
        ["create", "--quiet", "meta.iso", "hello"].into_iter().chain(files).chain(options.iter().copied()),
    )
}

/// Adds a manifest and a good signature of it to the image that `create` makes with the same arguments, which `sign` would not
/// do.
fn sign_by_force(sandbox: &Sandbox, names: &[&str], options: &[&str]) {
    create(sandbox, names, options);
    sandbox.succeed(["sign", "--quiet", "meta.iso", "--manifest-only"]);
    let manifest = sandbox.succeed(["extract", "meta.iso", "manifest.json"]);
    let signature = key(1).sign("metadata-image", HashAlg::Sha512, &manifest).unwrap();
    sandbox.write("manifest", manifest);
    sandbox.write("signature", signature.to_pem(LineEnding::LF).unwrap());
    let own = ["--file", "manifest.json=manifest", "--file", "manifest.json.sig=signature"];
    create(sandbox, names, &[&own, options].concat());
}

const NOROCK: &str = "Linux with the mount option norock";
const PLAIN: &str = "a reader of plain ISO 9660 names";
const LENIENT: &str = "a reader that ignores case, final dots and versions";

#[test]
fn names_that_a_reader_cannot_tell_apart_are_neither_signed_nor_verified() {
    let n = "n".repeat(253);
    let [long, longer] = ["a", "b"].map(|end| format!("{n}{end}"));
    for (names, path, other, reader) in [
        (&["USER-DATA"][..], "USER-DATA", "user-data", NOROCK),
        (&["user-data..."], "user-data...", "user-data", NOROCK),
        (&["META-DATA"], "META-DATA", "meta-data", NOROCK),
        (&["Config"], "Config", "config", NOROCK),
        (&["config."], "config.", "config", NOROCK),
        (&["config "], "config ", "config", "Windows"),
        (&["config;1"], "config;1", "config", LENIENT),
        (&["Manifest.json"], "Manifest.json", "manifest.json", NOROCK),
        (&["user_data"], "user_data", "user-data", PLAIN),
        (&["OpenStack/latest/user_data"], "OpenStack/latest/user_data", "openstack/latest/user_data", NOROCK),
        (&["A/x", "a/y"], "a", "A", NOROCK),
        (&["a:b", "a_b"], "a_b", "a:b", NOROCK),
        (&[&long, &longer], &longer, &long, "Linux"),
    ] {
        let sandbox = sandbox();
        let kind = if names.contains(&path) { "file" } else { "directory" };
        let sentence = format!("{kind} {path:?} cannot be told from {other:?} by {reader}");
        let created = create(&sandbox, names, &[]);
        assert_eq!(created.status, Some(0));
        assert!(
            created.stderr.lines().any(|line| line == format!("metadata: warning: {sentence}")),
            "{created:?}"
        );
        assert_eq!(create(&sandbox, names, &["--strict"]), failed(1, &sentence));
        let image = sandbox.read("meta.iso");
        assert_eq!(
            sandbox.run(["sign", "meta.iso", "--key", "key"]),
            failed(1, &format!("building image \"meta.iso\": nobody could verify it: {sentence}"))
        );
        assert!(sandbox.read("meta.iso") == image, "the image is as it was");
        sign_by_force(&sandbox, names, &[]);
        assert_eq!(verify_image(&sandbox, &[]), refused(&sentence));
    }
}

#[test]
fn names_that_only_the_plain_tree_changes_are_signed_with_a_warning() {
    let sandbox = sandbox();
    let sentence = format!("file \"a-\" cannot be told from \"a+\" by {PLAIN}");
    assert_eq!(create(&sandbox, &["a+", "a-"], &[]), done(&format!("metadata: warning: {sentence}\n")));
    let signed = sandbox.run(["sign", "meta.iso", "--key", "key"]);
    let warning = format!("metadata: warning: meta.iso: {sentence}\n");
    assert!(signed.status == Some(0) && signed.stderr.starts_with(&warning), "{signed:?}");
    assert_eq!(verify_image(&sandbox, &[]), done(""));
}

#[test]
fn names_that_every_tree_keeps_apart_are_signed_without_a_word() {
    let sandbox = sandbox();
    for names in [&["日", "日本語"][..], &["keys/config", "keys/Config.d", "keys/a.pem"], &["meta-data"]]
    {
        assert_eq!(create(&sandbox, names, &[]), done(""));
        assert_eq!(sandbox.run(["sign", "--quiet", "meta.iso", "--key", "key"]), done(""));
        assert_eq!(verify_image(&sandbox, &[]), done(""), "{names:?}");
    }
}

#[test]
#[ignore = "needs bsdtar and 7z"]
fn a_signed_image_has_the_same_names_for_every_reader() {
    let sandbox = sandbox();
    let names = ["日", "日本語", "keys/config", "keys/ca.pem", "models/base.bin"];
    assert_eq!(create(&sandbox, &names, &[]), done(""));
    sandbox.succeed(["sign", "--quiet", "meta.iso", "--key", "key"]);
    let list = |program: &str, arguments: &[&str]| {
        let text = sandbox.tool("env", [&["LC_ALL=C.UTF-8", program], arguments].concat());
        let text = String::from_utf8(text).unwrap();
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let tar = list("bsdtar", &["-tf", "meta.iso"]);
    let tar: Vec<_> = tar.iter().map(|name| name.trim_start_matches("./").to_owned()).collect();
    let seven: Vec<_> = list("7z", &["l", "-slt", "-ba", "meta.iso"])
        .iter()
        .filter_map(|line| line.strip_prefix("Path = ").map(str::to_owned))
        .collect();
    for name in names.iter().chain(&["config", "manifest.json", "manifest.json.sig"]) {
        for (reader, listed) in [("bsdtar", &tar), ("7z", &seven)] {
            assert_eq!(
                listed.iter().filter(|other| other == name).count(),
                1,
                "{reader}: {name:?} in {listed:?}"
            );
        }
    }
    // What they make of names that are refused: 7z finds another file by the name without case.
    create(&sandbox, &["CONFIG"], &[]);
    let found = sandbox.tool("7z", ["x", "-so", "-ssc-", "meta.iso", "config"]);
    assert_eq!(found, b"CONFIGhello");
}
