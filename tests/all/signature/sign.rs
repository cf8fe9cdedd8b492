//! What `sign` makes, and what it does not sign.

use std::fs::OpenOptions;

use ssh_key::HashAlg;

use super::{key, public, signed, verify_image, write_key};

use crate::support::{Ran, Sandbox, done, failed};

#[test]
fn signing_says_what_it_did() {
    let sandbox = Sandbox::new();
    write_key(&sandbox, "key", 1);
    sandbox.succeed(["create", "--quiet", "meta.iso", "hello"]);
    let (id, print) = ("46da07b36016d63f1653fe1f83ecf214", key(1).fingerprint(HashAlg::Sha256));
    assert_eq!(
        sandbox.run([
            "sign",
            "meta.iso",
            "--key",
            "key",
            "--not-after",
            "2027-01-01T00:00:00Z",
            "--audience",
            "web"
        ]),
        done(&format!(
            "metadata: meta.iso: 372736 bytes, layout linuxkit, run {id}, signed by ED25519 {print} \
             until 2027-01-01T00:00:00Z for \"web\"\n"
        ))
    );
    let shown = String::from_utf8(sandbox.succeed(["show", "meta.iso"])).unwrap();
    let said = format!(
        "run       {id}\nuntil     2027-01-01T00:00:00Z\naudience  web\nsigned    yes (not verified)\n"
    );
    assert!(shown.contains(&said), "{shown}");
    let signed = sandbox.read("meta.iso");
    sandbox.succeed(["sign", "--quiet", "meta.iso", "--key", "key"]);
    assert!(
        sandbox.read("meta.iso") == signed,
        "a signature of Ed25519 is the same again, and what was said stays"
    );
    assert_eq!(
        sandbox.run(["confirm", "--quiet", "meta.iso", "--run-metadata", "x"]),
        done("metadata: warning: meta.iso: the signature no longer matches and was removed\n")
    );
}

#[test]
fn an_image_with_names_that_nobody_could_verify_is_not_signed() {
    let sandbox = Sandbox::new();
    write_key(&sandbox, "key", 1);
    sandbox.write("allowed", format!("a@b {}\n", public(1)));
    let long = "x".repeat(100);
    let sign = |names: &[&str]| {
        let files = names.iter().enumerate().flat_map(|(number, name)| {
            sandbox.write(&number.to_string(), name);
            ["--file".to_owned(), format!("{name}={number}")]
        });
        let create = ["create", "--quiet", "meta.iso", "hello"].map(str::to_owned);
        sandbox.succeed(create.into_iter().chain(files));
        let image = sandbox.read("meta.iso");
        let ran = sandbox.run(["sign", "--quiet", "meta.iso", "--key", "key"]);
        if ran == done("") {
            assert_eq!(verify_image(&sandbox, &[]), done(""), "{names:?}");
        } else {
            assert!(sandbox.read("meta.iso") == image, "the image is as it was");
        }
        ran
    };
    for names in [
        &["A_B", "CONFIG.d", "user_data.d", "a b", "ä", "😀", "日", "日本語", "c?d", "e*f"][..],
        &[&long, "rr_moved/x", "1/2/3/4/5/6/7"],
    ] {
        assert_eq!(sign(names), done(""), "{names:?}");
    }
    let refused = |why: &str| {
        failed(1, &format!("building image \"meta.iso\": checking that the new image can be verified: {why}"))
    };
    assert_eq!(
        sign(&["a:b", "a_b"]),
        refused("file \"a_b\" is the same as \"a:b\" to Linux with the mount option norock")
    );
    assert_eq!(
        sign(&["1/2/3/4/5/6/7/8/9"]),
        refused(
            "file \"1/2/3/4/5/6/7/8/9\" is more than 7 directories deep, which plain ISO 9660 cannot store"
        )
    );
}

/// The places that only other readers look at.
#[test]
fn what_appears_in_place_of_an_image_that_is_being_signed_is_kept() {
    for (appears, is_kept) in [(Some("precious"), true), (None, false)] {
        let sandbox = signed();
        sandbox.tool("mkfifo", ["fifo"]);
        let mut sign = std::process::Command::new(assert_cmd::cargo::cargo_bin!("metadata"));
        sign.current_dir(sandbox.path("")).args(["sign", "meta.iso", "--quiet", "--key", "fifo"]);
        let child = sign.stderr(std::process::Stdio::piped()).spawn().unwrap();
        // When it reads the key, it has read the image.
        let mut fifo = OpenOptions::new().write(true).open(sandbox.path("fifo")).unwrap();
        match appears {
            Some(text) => std::fs::rename(sandbox.write("new", text), sandbox.path("meta.iso")).unwrap(),
            None => std::fs::remove_file(sandbox.path("meta.iso")).unwrap(),
        }
        std::io::Write::write_all(&mut fifo, &sandbox.read("key")).unwrap();
        drop(fifo);
        let ran = Ran::from(child.wait_with_output().unwrap());
        assert_eq!(ran.status, Some(i32::from(is_kept)), "{ran:?}");
        if is_kept {
            let why = "renaming the new file to \"meta.iso\": another file has replaced the image meanwhile";
            assert_eq!(ran, failed(1, &format!("building image \"meta.iso\": {why}")));
            assert_eq!(sandbox.read("meta.iso"), b"precious");
        }
        assert!(sandbox.names().iter().all(|name| !name.starts_with(".metadata-")));
    }
}
