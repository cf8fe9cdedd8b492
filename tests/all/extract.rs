use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
};

use crate::support::{Ran, Sandbox, done, failed, noise, with_root};

#[test]
fn all_files_go_into_a_directory() {
    let sandbox = Sandbox::new();
    sandbox.write("large", noise(3_000_000));
    sandbox.succeed(["create", "meta.iso", "#!hello", "-l", "configdrive", "--file", "a/large=large"]);
    assert_eq!(
        sandbox.run(["extract", "meta.iso", "--into", "out"]),
        done("metadata: out: 3 files and 3 directories written\n")
    );
    assert_eq!(sandbox.read("out/openstack/latest/user_data"), b"#!hello");
    assert!(sandbox.read("out/a/large") == noise(3_000_000));
    let mode = |name: &str| fs::metadata(sandbox.path(name)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(["out", "out/a", "out/a/large"].map(mode), [0o700, 0o700, 0o600]);
}

#[test]
fn one_file_or_directory_goes_into_a_directory() {
    let sandbox = Sandbox::new();
    sandbox.write("f", "1");
    sandbox.succeed(["create", "meta.iso", "hello", "--file", "a/b/c=f", "--file", "a/bc=f"]);
    assert_eq!(
        sandbox.run(["extract", "meta.iso", "/a/b/", "--into", "out"]),
        done("metadata: out: 1 file and 1 directory written\n")
    );
    assert_eq!(sandbox.read("out/a/b/c"), b"1");
    assert!(!sandbox.path("out/a/bc").exists());
    assert!(!sandbox.path("out/config").exists());
}

#[test]
fn names_are_found_in_any_case_where_that_is_unambiguous() {
    let sandbox = Sandbox::new();
    sandbox.write("f", "1");
    sandbox.succeed(["create", "meta.iso", "hello", "--file", "Readme=f", "--file", "x=f", "--file", "X=f"]);
    assert_eq!(sandbox.succeed(["extract", "meta.iso", "CONFIG"]), b"hello");
    assert_eq!(sandbox.succeed(["extract", "meta.iso", "./readme"]), b"1");
    assert_eq!(sandbox.succeed(["extract", "meta.iso", "x"]), b"1");
}

#[test]
fn what_is_there_is_kept_unless_forced() {
    let sandbox = Sandbox::new();
    sandbox.write("out/config", "old");
    sandbox.write("f", "1");
    sandbox.succeed(["create", "meta.iso", "hello", "--file", "z=f"]);
    let expected = "\
metadata: extracting \"config\": the file exists already (--force replaces it)
metadata: out: 1 file written
metadata: 1 file was not extracted to \"out\"
";
    let ran = sandbox.run(["extract", "meta.iso", "--into", "out"]);
    assert_eq!(ran, Ran { status: Some(1), stdout: String::new(), stderr: expected.to_owned() });
    assert_eq!(sandbox.read("out/config"), b"old");
    assert_eq!(sandbox.read("out/z"), b"1", "the others are written");
    assert_eq!(sandbox.run(["extract", "meta.iso", "--into", "out", "--force", "-q"]), done(""));
    assert_eq!(sandbox.read("out/config"), b"hello");
    let listed = r#"{
  "into": "out",
  "files": [
    {
      "name": "config",
      "size": 5,
      "mode": "0600",
      "offset": 45056
    }
  ]
}
"#;
    let ran = sandbox.run(["extract", "meta.iso", "config", "--into", "out", "--force", "--json"]);
    assert_eq!(ran, Ran { status: Some(0), stdout: listed.to_owned(), stderr: String::new() });
}

#[test]
fn links_in_the_directory_lead_nowhere() {
    let sandbox = Sandbox::new();
    sandbox.write("outside/config", "old");
    sandbox.write("f", "1");
    fs::create_dir(sandbox.path("out")).unwrap();
    symlink("../outside/config", sandbox.path("out/config")).unwrap();
    symlink("../outside", sandbox.path("out/a")).unwrap();
    sandbox.succeed(["create", "meta.iso", "hello", "--file", "a/z=f"]);
    for force in [&[] as &[_], &["--force"]] {
        let ran = sandbox.run([&["extract", "meta.iso", "--into", "out"], force].concat());
        assert_eq!(ran.status, Some(1), "{ran:?}");
        assert!(ran.stderr.contains("metadata: extracting \"a/z\": opening directory \"a\": "), "{ran:?}");
        assert_eq!(sandbox.read("outside/config"), b"old");
        assert!(!sandbox.path("outside/z").exists());
    }
    assert_eq!(sandbox.read("out/config"), b"hello", "a forced file replaces the link");
}

#[test]
fn what_is_not_there_is_named() {
    let sandbox = Sandbox::new();
    sandbox.write("f", "1");
    sandbox.succeed(["create", "meta.iso", "hello", "--file", "a/b=f"]);
    for (arguments, status, line) in [
        (&["x"] as &[_], 1, "image \"meta.iso\" has no file \"x\"; it has \"a/b\", \"config\""),
        (&["a"], 1, "file \"a\" on image \"meta.iso\" is a directory"),
        (
            &["config", "--into", "meta.iso"],
            1,
            "opening directory \"meta.iso\": Not a directory (os error 20)",
        ),
        (&["--into", "a/b"], 1, "opening directory \"a/b\": No such file or directory (os error 2)"),
        (
            &["config", "--force"],
            2,
            "--into DIR (the directory to write to) is missing: the command is metadata extract IMAGE --into DIR [NAME] (--help \
             shows more)",
        ),
        (
            &[],
            2,
            "NAME or --into DIR is missing: the command is metadata extract IMAGE NAME (--help shows more)",
        ),
    ] {
        let ran = sandbox.run([&["extract", "meta.iso"], arguments].concat());
        assert_eq!(ran, failed(status, line), "{arguments:?}");
    }
}

#[test]
fn two_at_once_into_one_directory_do_not_mix() {
    let sandbox = Sandbox::new();
    for name in ["a", "b"] {
        sandbox.write(name, name.repeat(5_000_000));
    }
    sandbox.write("out/.metadata-mine", "precious");
    sandbox.succeed(["create", "meta.iso", "x", "--file", "a=a", "--file", "b=b"]);
    for _ in 0..5 {
        let start = |name| {
            let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("metadata"));
            let arguments = ["extract", "meta.iso", "--force", "--into", "out", name];
            command.current_dir(sandbox.path("")).args(arguments).spawn().unwrap()
        };
        let children = ["a", "b"].map(start);
        assert!(children.into_iter().all(|mut child| child.wait().unwrap().success()));
        for name in ["a", "b"] {
            assert!(sandbox.read(&format!("out/{name}")) == sandbox.read(name), "{name}");
        }
    }
    assert_eq!(fs::read_dir(sandbox.path("out")).unwrap().count(), 3);
    assert_eq!(sandbox.read("out/.metadata-mine"), b"precious");
}

#[test]
fn files_that_share_their_bytes_take_their_room_once() {
    let sandbox = Sandbox::on_tmpfs();
    let data = noise(4_000_000);
    sandbox.write("large", &data);
    sandbox.succeed(["create", "-q", "meta.iso", "--data-file", "large"]);
    let at = sandbox.read("meta.iso").windows(64).position(|bytes| bytes == &data[..64]).unwrap();
    let sector = u32::try_from(at / 2048).unwrap();
    let records: Vec<_> = (0..8000).map(|number| (format!("F{number}"), sector, 4_000_000)).collect();
    sandbox.write("many.iso", with_root(sandbox.read("meta.iso"), &records));
    // Anything that writes them all would take 32 GB.
    for force in [&[][..], &["--force"]] {
        let ran = sandbox.run([&["extract", "-q", "many.iso", "--into", "out"], force].concat());
        assert_eq!(ran, done(""));
        let found = fs::metadata(sandbox.path("out/f7999")).unwrap();
        assert_eq!((found.nlink(), found.len()), (8000, 4_000_000));
        assert!(sandbox.read("out/f4711") == data);
    }

    // So could one file that names the same bytes again and again, and none of its readers takes it.
    let parts: Vec<_> = (0..3).map(|_| ("CONFIG".to_owned(), sector, 2048)).collect();
    let mut again = with_root(sandbox.read("meta.iso"), &parts);
    let name = again.len() - 2048;
    for at in (name..again.len() - 6).filter(|&at| again[at..at + 6] == *b"CONFIG").collect::<Vec<_>>() {
        // All but the last one are followed by another (ECMA-119, 9.1.6).
        let is_last = !again[at + 6..].windows(6).any(|window| window == b"CONFIG");
        again[at - 8] = if is_last { 0 } else { 0x80 };
    }
    sandbox.write("again.iso", again);
    for arguments in [&["show"][..], &["check"], &["apply", "--dry-run"], &["extract", "--into", "other"]] {
        let ran = sandbox.run([arguments, &["again.iso"]].concat());
        assert_eq!(ran, failed(1, "reading image \"again.iso\": extents of a file overlap"), "{arguments:?}");
    }

    // What overlaps in part could be as large, and is refused.
    let (name, _, _) = &records[0];
    let overlapping = [(name.clone(), sector, 4_000_000), ("G".to_owned(), sector + 1, 2048)];
    sandbox.write("overlapping.iso", with_root(sandbox.read("meta.iso"), &overlapping));
    let why = "files \"f0\" and \"g\" overlap in part, which no file system can store";
    let ran = sandbox.run(["extract", "overlapping.iso", "--into", "other"]);
    assert_eq!(ran, failed(1, &format!("extracting from image \"overlapping.iso\": {why}")));
    assert!(!sandbox.path("other").exists());
    assert_eq!(sandbox.succeed(["extract", "overlapping.iso", "g"]), data[2048..4096]);
}

#[test]
fn names_of_one_file_with_different_modes_are_one_file() {
    const SECTOR: usize = 2048;
    const DESCRIPTOR: usize = 16 * SECTOR;
    let sandbox = Sandbox::on_tmpfs();
    for name in ["a", "b", "c"] {
        sandbox.write(name, noise(3_000_000));
    }
    let files = ["--file", "a=a", "--file", "b=b", "--file", "c=c"];
    sandbox.succeed([&["create", "-q", "meta.iso", "hello"], &files[..]].concat());
    let mut image = sandbox.read("meta.iso");
    let number = |image: &[u8], at: usize| u32::from_le_bytes(image[at..at + 4].try_into().unwrap()) as usize;
    let root = number(&image, DESCRIPTOR + 156 + 2) * SECTOR;
    // Where the record of a file is, and the modes in it (Rock Ridge, PX).
    let record = |image: &[u8], name: &[u8]| {
        let mut at = root;
        while image[at + 33..].get(..name.len()) != Some(name) {
            at += usize::from(image[at]);
        }
        at
    };
    let [a, b, c] = [b"A.;1", b"B.;1", b"C.;1"].map(|name| record(&image, name));
    for other in [b, c] {
        image.copy_within(a + 2..a + 10, other + 2);
    }
    let px = b + image[b..].windows(2).position(|bytes| bytes == b"PX").unwrap();
    image[px + 4] |= 0o100;
    image[px + 11] |= 0o100;
    sandbox.write("meta.iso", image);
    for force in [&[][..], &["--force"]] {
        let ran = sandbox.run([&["extract", "-q", "meta.iso", "--into", "out"], force].concat());
        assert_eq!(ran, done(""));
        for name in ["out/a", "out/b", "out/c"] {
            let found = fs::metadata(sandbox.path(name)).unwrap();
            assert_eq!((found.nlink(), found.permissions().mode() & 0o7777), (3, 0o700), "{name}");
        }
    }
    // The others count only where they are extracted, too.
    sandbox.succeed(["extract", "-q", "meta.iso", "--into", "one", "a"]);
    assert_eq!(fs::metadata(sandbox.path("one/a")).unwrap().permissions().mode() & 0o7777, 0o600);
}
