use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use crate::{
    support::{Ran, Sandbox, done, failed, linuxkit_image},
    userdata::tree_of,
};

#[test]
fn an_image_is_applied_like_its_user_data() {
    let sandbox = Sandbox::new();
    let data = r#"{"a": {"entries": {"b": {"content": "x", "perm": "0600"}}}}"#;
    sandbox.write("linuxkit.iso", linuxkit_image(data.as_bytes()));
    sandbox.write("data.json", data);
    for layout in ["linuxkit", "nocloud"] {
        sandbox.run(["create", "meta.iso", data, "--layout", layout]);
        for source in ["meta.iso", "linuxkit.iso", "data.json"] {
            let out = format!("{layout}-{source}");
            let said = format!("metadata: {out}: 2 files and 1 directory written\n");
            assert_eq!(sandbox.run(["apply", source, "--into", &out]), done(&said));
            let expected = format!("0755 a/\n0600 a/b \"x\"\n0600 userdata {data:?}\n");
            assert_eq!(tree_of(&sandbox.path(&out)), expected);
        }
    }
    // As it was written before there was --into.
    assert_eq!(sandbox.run_with_input(["apply", "-q", "-", "out"], data), done(""));
    assert_eq!(tree_of(&sandbox.path("out")), tree_of(&sandbox.path("nocloud-meta.iso")));
    let listed = r#"{
  "into": "json",
  "files": [
    {
      "name": "userdata",
      "size": 59,
      "mode": "0600"
    },
    {
      "name": "a/b",
      "size": 1,
      "mode": "0600"
    },
    {
      "name": "a",
      "mode": "0755"
    }
  ]
}
"#;
    let ran = sandbox.run(["apply", "--json", "data.json", "--into", "json"]);
    assert_eq!(ran, Ran { status: Some(0), stdout: listed.to_owned(), stderr: String::new() });
    let line = "the directory is missing: --into DIR writes to it, and --dry-run only lists the files";
    assert_eq!(sandbox.run(["apply", "data.json"]), failed(2, line));
}

#[test]
fn what_cannot_be_written_is_named_and_the_rest_is_written() {
    let sandbox = Sandbox::new();
    sandbox.write("out/a/x", "in the way of a file");
    sandbox.write("out/b", "in the way of a directory");
    let data = r#"{"a": {"content": ""}, "b": {"entries": {"c": {"content": ""}}}, "d": {"content": "y"}, "../e": {"content": ""}}"#;
    let ran = sandbox.run_with_input(["apply", "-", "out"], data);
    let stderr = "\
metadata: -:1:89: \"../e\": the name contains '/', which would lead to another directory; the entry is skipped [bad-name]
metadata: skipping \"a\": a directory has this name
metadata: skipping \"b\": a file has this name
metadata: out: 2 files written
metadata: applying \"-\": 3 items were skipped
";
    assert_eq!(ran, Ran { status: Some(1), stdout: String::new(), stderr: stderr.to_owned() });
    assert_eq!(sandbox.read("out/d"), b"y");
    assert_eq!(sandbox.read("out/b"), b"in the way of a directory");
    assert_eq!(sandbox.names(), ["out"]);
}

#[test]
fn links_that_are_found_lead_nowhere() {
    let sandbox = Sandbox::new();
    sandbox.write("outside/file", "old");
    fs::create_dir(sandbox.path("out")).unwrap();
    symlink("../outside", sandbox.path("out/directory")).unwrap();
    symlink("../outside/file", sandbox.path("out/file")).unwrap();
    symlink("../outside/file", sandbox.path("out/userdata")).unwrap();
    let data = r#"{"directory": {"entries": {"file": {"content": "new"}}}, "file": {"content": "new"}}"#;
    let ran = sandbox.run_with_input(["apply", "-", "out"], data);
    assert_eq!(ran.status, Some(1), "{ran:?}");
    assert_eq!(sandbox.read("outside/file"), b"old");
    assert_eq!(sandbox.read("out/file"), b"new");
    assert_eq!(sandbox.read("out/userdata"), data.as_bytes());
}

#[test]
fn a_directory_without_rights_is_filled_and_filled_again() {
    let sandbox = Sandbox::new();
    let data = r#"{"a": {"perm": "0000", "entries": {"b": {"perm": "0000", "content": "x"}}}}"#;
    for _ in 0..2 {
        let ran = sandbox.run_with_input(["apply", "--quiet", "-", "--into", "out"], data);
        assert_eq!(ran, done(""));
        let mode = fs::metadata(sandbox.path("out/a")).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0);
    }
    fs::set_permissions(sandbox.path("out/a"), fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(sandbox.read("out/a/b"), b"x");
}

#[test]
fn pack_names_everything_that_has_no_place() {
    let sandbox = Sandbox::new();
    sandbox.write("d/binary", b"ok\xff");
    sandbox.write("d/good", "x");
    sandbox.write("d/nul", "ok\0");
    sandbox.write("d/sub/deep", "y");
    symlink("good", sandbox.path("d/link")).unwrap();
    sandbox.tool("mkfifo", ["d/fifo"]);
    let stderr = "\
metadata: packing \"d/binary\": byte 2 is not UTF-8, but a config tree contains only text
metadata: packing \"d/fifo\": is a FIFO
metadata: packing \"d/link\": is a symbolic link (--follow stores what it points to)
metadata: packing \"d/nul\": byte 2 is a NUL character, but a config tree contains only text
metadata: packing \"d\": 4 files cannot be stored in a config tree
";
    for arguments in [&["pack", "d"] as &[_], &["create", "meta.iso", "--data-dir", "d"]] {
        let expected = Ran { status: Some(1), stdout: String::new(), stderr: stderr.to_owned() };
        assert_eq!(sandbox.run(arguments), expected);
    }
    for name in ["binary", "fifo", "nul"] {
        fs::remove_file(sandbox.path("d").join(name)).unwrap();
    }
    let json = String::from_utf8(sandbox.succeed(["pack", "--follow", "d"])).unwrap();
    let expected =
        r#"{"good":{"content":"x"},"link":{"content":"x"},"sub":{"entries":{"deep":{"content":"y"}}}}"#;
    assert_eq!(json.trim_end(), expected);
    symlink("..", sandbox.path("d/sub/loop")).unwrap();
    let ran = sandbox.run(["pack", "--follow", "d"]);
    assert!(ran.stderr.contains("the symbolic link leads back to a directory above it"), "{}", ran.stderr);
}

#[test]
fn pack_reads_so_much_and_no_more() {
    const MIB: u64 = 1 << 20;
    let sandbox = Sandbox::new();
    let directory = |name: &str, files: &[(u64, u8)]| {
        for (number, &(bytes, byte)) in files.iter().enumerate() {
            let content = vec![byte; usize::try_from(if byte == 0 { 0 } else { bytes }).unwrap()];
            let path = sandbox.write(&format!("{name}/{number}"), content);
            fs::File::options().append(true).open(path).unwrap().set_len(bytes).unwrap();
        }
    };
    directory("sparse", &[(300 * MIB, 0)]);
    directory("together", &[(33 * MIB, b'x'), (33 * MIB, b'x')]);
    // Six bytes of JSON each.
    directory("escaped", &[(12 * MIB, 1)]);
    for (name, why) in [
        ("sparse", "the files together are larger than 64 MiB"),
        ("together", "the files together are larger than 64 MiB"),
        ("escaped", "the JSON is larger than 64 MiB"),
    ] {
        let line = format!("packing {name:?}: {why}");
        assert_eq!(sandbox.run(["pack", name]), failed(1, &line));
        assert_eq!(sandbox.run(["create", "meta.iso", "--data-dir", name]), failed(1, &line));
        let task = format!("{{\"image\": \"meta.iso\", \"data_dir\": {name:?}}}\n");
        let ran = sandbox.run_with_input(["batch", "-", "--into", "out"], task);
        let line = format!("standard input: line 1: {line}; 0 images built in \"out\"");
        assert_eq!(ran, failed(1, &line));
    }
    directory("enough", &[(32 * MIB, b'x'), (31 * MIB, b'x')]);
    assert!(sandbox.succeed(["pack", "enough"]).len() as u64 > 63 * MIB);
}

#[test]
fn a_directory_makes_the_image_that_its_json_makes() {
    let sandbox = Sandbox::new();
    sandbox.write("d/a/b", "x");
    sandbox.write("d/c", "y".repeat(3_000_000));
    let json = sandbox.succeed(["pack", "d"]);
    sandbox.succeed(["create", "directory.iso", "--data-dir", "d"]);
    sandbox.write("json", json);
    sandbox.succeed(["create", "json.iso", "--data-file", "json"]);
    assert!(sandbox.read("directory.iso") == sandbox.read("json.iso"));
}
