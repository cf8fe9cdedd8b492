//! Words in the wrong place, other names for things, and input of the wrong kind: an error shows what to type.

use crate::support::{Ran, Sandbox, done, failed};

/// A sandbox with an image and a key.
fn with_image() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.succeed(["create", "-q", "seed.iso", "#cloud-config\n", "--layout", "nocloud"]);
    sandbox.tool("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "me", "-f", "k"]);
    sandbox
}

#[test]
#[ignore = "needs ssh-keygen"]
fn swapped_words_are_shown_in_their_order() {
    let sandbox = with_image();
    sandbox.write("user-data", "x");
    for (arguments, line) in [
        (
            &["extract", "user-data", "seed.iso"] as &[_],
            "the image comes first: metadata extract seed.iso user-data",
        ),
        (
            &["sign", "seed.iso", "k"],
            "the image comes first, and the key is an option: metadata sign seed.iso --key k",
        ),
        (
            &["sign", "k", "seed.iso"],
            "the image comes first, and the key is an option: metadata sign seed.iso --key k",
        ),
        (
            &["sign", "k", "--key", "seed.iso"],
            "the image comes first, and the key is an option: metadata sign seed.iso --key k",
        ),
        (
            &["attach", "seed.iso", "qemu"],
            "the virtual machine monitor comes first: metadata attach qemu seed.iso",
        ),
        (
            &["verify", "seed.iso", "--run-metadata", "x"],
            "verify adds no strings; another command does: metadata confirm seed.iso --run-metadata STRING",
        ),
        (
            &["confirm", "seed.iso", "--allowed-signers", "a b"],
            "confirm checks no signature; another command does: metadata verify seed.iso --allowed-signers 'a b'",
        ),
        (&["confirm", "seed.iso"], "the string is missing: --run-metadata STRING adds it to the image"),
        (
            &["verify", "seed.iso"],
            "the allowed signers are missing: --allowed-signers PATH names the file that says who may sign",
        ),
        (
            &["sign", "seed.iso"],
            "the key is missing: --key PATH signs with a private key (--signature and --manifest-only are for a key that \
             only ssh-keygen can use)",
        ),
    ] {
        assert_eq!(sandbox.run(arguments), failed(2, line), "{arguments:?}");
    }
}

#[test]
fn other_names_are_understood() {
    let sandbox = Sandbox::new();
    for (layout, name) in [
        ("cidata", "nocloud"),
        ("cloud-init", "nocloud"),
        ("no-cloud", "nocloud"),
        ("config-drive", "configdrive"),
        ("config-2", "configdrive"),
        ("openstack", "configdrive"),
        ("cloudbase-init", "configdrive"),
        ("windows", "configdrive"),
    ] {
        let written = layout.to_uppercase();
        let ran = sandbox.run(["create", "x.iso", "#cloud-config\n", "--layout", &written]);
        assert_eq!(ran, done(&format!("metadata: x.iso: 372736 bytes, layout {name}\n")));
        let ran = sandbox.run(["create", "x.iso", "#cloud-config\n", "--layout", layout]);
        assert_eq!(ran, done(&format!("metadata: x.iso: 372736 bytes, layout {name}\n")));
        let line =
            format!("{{\"image\": \"y.iso\", \"data\": \"#cloud-config\\n\", \"layout\": \"{layout}\"}}");
        let ran = sandbox.run_with_input(["batch", "--into", "."], line);
        assert_eq!(ran, done("metadata: .: 1 image\n"));
        assert!(sandbox.read("x.iso") == sandbox.read("y.iso"), "{layout}");
    }
    let shown = sandbox.succeed(["show", "x.iso"]);
    for name in ["ls", "info"] {
        assert_eq!(sandbox.succeed([name, "x.iso"]), shown);
    }
    assert_eq!(sandbox.succeed(["cat", "x.iso", "openstack/latest/user_data"]), b"#cloud-config\n");
}

#[test]
fn words_that_are_one_too_many_or_in_the_place_of_an_option_are_explained() {
    let sandbox = Sandbox::new();
    sandbox.succeed(["create", "-q", "seed.iso", "--hostname", "web", "--layout", "nocloud"]);
    for (arguments, line) in [
        (&["help", "set", "show"] as &[_], "help describes one command at a time: metadata help show"),
        (
            &["extract", "seed.iso", "a", "b"],
            "unexpected argument \"b\"; one file is printed at a time; --into DIR writes all files of an image to a directory \
             (--help shows more)",
        ),
        (
            &["verify", "seed.iso", "key.pub"],
            "unexpected argument \"key.pub\"; the allowed signers are an option: metadata verify IMAGE --allowed-signers \
             PATH (--help shows more)",
        ),
        (
            &["show", "seed.iso", "b.iso"],
            "unexpected argument \"b.iso\"; one image is shown at a time; metadata extract IMAGE NAME prints a file of it \
             (--help shows more)",
        ),
        (
            &["batch", "f.jsonl", "fleet"],
            "unexpected argument \"fleet\"; the directory for the images is an option: metadata batch FILE --into DIR \
             (--help shows more)",
        ),
        (
            &["set", "seed.iso", "hostname=my db"],
            "there is no file \"my db\" to store as \"hostname\"; to change a value in the meta-data: metadata set seed.iso \
             --hostname 'my db'",
        ),
        (
            &["set", "seed.iso", "instance-id=i-2"],
            "there is no file \"i-2\" to store as \"instance-id\"; to change a value in the meta-data: metadata set seed.iso \
             --instance-id i-2",
        ),
        (
            &["seed.iso", "user-data"],
            "unknown command \"seed.iso\"; the command comes first, as in metadata show IMAGE (--help lists the commands)",
        ),
        (
            &["isoinfo", "-i", "seed.iso"],
            "unknown command \"isoinfo\"; show describes an image, and extract copies files from it",
        ),
        (
            &["make-mime", "a:cloud-config"],
            "unknown command \"make-mime\"; create --user-data PATH --user-data PATH makes one MIME document",
        ),
        (
            &["create", "--vfat", "seed.img", "x"],
            "unknown option --vfat; --filesystem vfat makes a FAT image (--help shows the usage)",
        ),
        (
            &["cat", "seed.iso"],
            "NAME or --into DIR is missing: the command is metadata extract IMAGE NAME (--help shows more)",
        ),
        (
            &["create", "-l", "nocloud", "--ssh-key", "ssh-ed25519 AAAAC3 me", "seed.iso"],
            "--ssh-key takes a file with public keys, not a key; save the key to a file",
        ),
        (
            &["-hostname"],
            "unknown option -hostname; options come after the command, as in metadata show --json (--help lists the commands)",
        ),
        (
            &["extract", "user-data", "seed.iso", "--into", "my dir", "--force"],
            "the image comes first: metadata extract seed.iso user-data --into 'my dir' --force",
        ),
    ] {
        assert_eq!(sandbox.run(arguments), failed(2, line), "{arguments:?}");
    }
    let line = "an image cannot be read from standard input; save it to a file, and give its path";
    for arguments in [
        &["show", "-"] as &[_],
        &["extract", "-", "x"],
        &["set", "-", "--hostname", "x"],
        &["confirm", "-", "--run-metadata", "x"],
        &["attach", "qemu", "-"],
    ] {
        assert_eq!(sandbox.run(arguments), failed(2, line), "{arguments:?}");
    }
}

#[test]
fn completions_have_the_other_names_of_commands() {
    let script = String::from_utf8(Sandbox::new().succeed(["completions", "bash"])).unwrap();
    for name in ["ls", "info", "cat"] {
        assert!(script.contains(&format!("metadata,{name})")), "{name}");
    }
}

#[test]
fn a_name_that_is_not_on_the_image_is_compared_with_those_that_are() {
    let sandbox = Sandbox::new();
    sandbox.succeed(["create", "-q", "seed.iso", "#cloud-config\n", "--layout", "nocloud"]);
    let line = r#"image "seed.iso" has no file "user_data"; did you mean "user-data"?"#;
    assert_eq!(sandbox.run(["extract", "seed.iso", "user_data"]), failed(1, line));
    let line = r#"image "seed.iso" has no file "x"; it has "meta-data", "user-data""#;
    assert_eq!(sandbox.run(["extract", "seed.iso", "x"]), failed(1, line));
    sandbox.write("f", "");
    let files: Vec<_> = (0..9).map(|number| format!("--file=n{number}=f")).collect();
    let arguments = ["create", "-q", "many.iso", "x"].into_iter().map(str::to_owned).chain(files);
    sandbox.succeed(arguments);
    let line = r#"image "many.iso" has no file "other"; it has "config", "n0", "n1", "n2", "n3" and 5 more"#;
    assert_eq!(sandbox.run(["extract", "many.iso", "other"]), failed(1, line));
}

#[test]
#[ignore = "needs ssh-keygen"]
fn keys_and_signers_of_the_wrong_kind_are_recognized() {
    let sandbox = with_image();
    let public = String::from_utf8(sandbox.read("k.pub")).unwrap().trim().to_owned();
    let commands = "metadata sign seed.iso --manifest-only && metadata extract seed.iso manifest.json > manifest.json && \
                    ssh-keygen -Y sign -n metadata-image -f k.pub manifest.json && \
                    metadata sign seed.iso --signature manifest.json.sig";
    let line = format!(
        "signing image \"seed.iso\": key \"k.pub\": this is a public key; give the private key, or, if that is in \
         ssh-agent or on hardware, let ssh-keygen sign: {commands}"
    );
    assert_eq!(sandbox.run(["sign", "seed.iso", "--key", "k.pub"]), failed(1, &line));
    sandbox.write("empty", "# nobody\n\n");
    let verify = |signers: &str| sandbox.run(["verify", "seed.iso", "--allowed-signers", signers]);
    let said = |signers: &str, what: &str| failed(1, &format!("reading allowed signers {signers:?}: {what}"));
    assert_eq!(
        verify("k.pub"),
        said(
            "k.pub",
            &format!(
                "this is a public key without a name; write the name in front of it: release@example.com {public}"
            )
        )
    );
    let what = "this is a private key; write a line with its public key instead: release@example.com ssh-ed25519 AAAA...";
    assert_eq!(verify("k"), said("k", what));
    let what = "the file names no signer; write a line such as: release@example.com ssh-ed25519 AAAA...";
    assert_eq!(verify("empty"), said("empty", what));
}

#[test]
#[ignore = "needs ssh-keygen"]
fn a_limit_may_be_a_time_from_now() {
    let sandbox = with_image();
    for (limit, seconds) in [("+12h", 12 * 3600), ("+30d", 30 * 86_400), ("+2w", 14 * 86_400)] {
        let now = || std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs();
        let before = now();
        let json = sandbox.succeed(["sign", "seed.iso", "--key", "k", "--not-after", limit, "--json"]);
        let json: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!((&json["path"], &json["layout"]), (&"seed.iso".into(), &"nocloud".into()), "{json}");
        let shown = String::from_utf8(sandbox.succeed(["show", "--json", "seed.iso"])).unwrap();
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        let until = shown["manifest"]["not_after"].as_str().unwrap().to_owned();
        let until = sandbox.tool("date", ["-d", &until, "+%s"]);
        let until: u64 = String::from_utf8(until).unwrap().trim().parse().unwrap();
        assert!((before + seconds..=now() + seconds).contains(&until), "{limit}: {until}");
    }
    let past = "2020-01-02T03:04:05Z";
    for words in [&["--not-after", past] as &[_], &[]] {
        let ran = sandbox.run([&["sign", "-q", "seed.iso", "--key", "k"], words].concat());
        let said = format!(
            "metadata: warning: seed.iso: the limit --not-after {past} has passed, so no guest accepts the image\n"
        );
        assert_eq!(ran, done(&said), "the limit stays");
    }
    for limit in ["+", "+d", "+3", "+3y", "+-3d", "+99999999999999999999d"] {
        let ran = sandbox.run(["sign", "seed.iso", "--key", "k", "--not-after", limit]);
        let why = "not a time from now, such as +12h, +30d or +2w";
        assert!(ran.status == Some(2) && ran.stderr.contains(why), "{limit}: {ran:?}");
    }
}

#[test]
fn input_of_a_batch_that_is_no_json_lines_is_recognized() {
    let sandbox = Sandbox::new();
    sandbox.succeed(["create", "-q", "x.iso", "hello"]);
    for (input, what) in [
        (
            "name,data\nweb,x\n",
            "looks like a table with a header (CSV); make an object of every line, here of a host name and a file: tail -n +2 \
             FILE | jq -Rc 'split(\",\") | {image: \"\\(.[0]).iso\", layout: \"nocloud\", hostname: .[0], user_data: .[1]}'",
        ),
        (
            "x.yaml\tweb\n",
            "looks like a table (separated by tabs); make an object of every line, here of a host name and a file: jq -Rc \
             'split(\"\\t\") | {image: \"\\(.[0]).iso\", layout: \"nocloud\", hostname: .[0], user_data: .[1]}' FILE",
        ),
        (
            "[{\"image\": \"a\", \"data\": \"x\"}]\n",
            "is a JSON list; make a line of every item: jq -c '.[]' FILE",
        ),
        (
            "{\n  \"image\": \"a\"\n}\n",
            "is JSON over several lines; make a line of every object: jq -c . FILE",
        ),
        ("- image: a\n", "looks like YAML; every line must be a JSON object"),
        (
            "#cloud-config\n",
            "is user data for one image: metadata create --layout nocloud --user-data FILE IMAGE",
        ),
    ] {
        let expected = failed(1, &format!("reading the input: the input {what}"));
        assert_eq!(sandbox.run_with_input(["batch", "--into", "out"], input), expected);
        sandbox.write("input", input);
        assert_eq!(sandbox.run(["batch", "input", "--into", "out"]), expected);
    }
    let what = "the input is an image or other binary data, not text with a JSON object on every line";
    assert_eq!(
        sandbox.run(["batch", "x.iso", "--into", "out"]),
        failed(1, &format!("reading the input: {what}"))
    );
    let ran = sandbox.run(["batch", "--jobs", "0", "--into", "out"]);
    assert_eq!(
        ran,
        failed(
            2,
            "invalid value '0' for '--jobs <N>': not a number from 1 to 65535 (--help shows the usage)"
        )
    );
}

/// What the error about a table says to type.
#[test]
#[ignore = "needs jq"]
fn the_command_for_a_table_makes_lines_of_it() {
    let sandbox = Sandbox::new();
    sandbox.write("a.yaml", "#cloud-config\n");
    for table in [
        "name,user-data\nweb,a.yaml\ndb,a.yaml\n",
        "\u{feff}\"Host name\";\"User data\"\r\n\"web\";\"a.yaml\"\r\n\"db\";\"a.yaml\"\r\n",
        "ip\tfile\thostname\n::1\ta.yaml\tweb\n::2\ta.yaml\tdb\n",
        "web;a.yaml\ndb;a.yaml\n",
    ] {
        sandbox.write("FILE", table);
        let said = sandbox.run(["batch", "FILE", "--into", "out"]).stderr;
        let (_, command) = said.split_once("here of a host name and a file: ").unwrap();
        sandbox.write("lines", sandbox.tool("sh", ["-c", command]));
        let ran = sandbox.run(["batch", "lines", "--into", "out"]);
        assert_eq!(ran, done("metadata: out: 2 images\n"), "{table:?}");
        let meta = String::from_utf8(sandbox.succeed(["extract", "out/db.iso", "meta-data"])).unwrap();
        assert!(meta.contains("local-hostname: \"db\""), "{meta}");
    }
}

#[test]
fn lines_for_a_batch_are_recognized() {
    let sandbox = Sandbox::new();
    let lines = "{\"image\": \"a.iso\", \"layout\": \"nocloud\", \"user_data\": \"a\"}\n{\"image\": \"b.iso\", \"data\": \"\"}\n";
    sandbox.write("my lines", lines);
    let batch = |path: &str, word: &str| {
        format!(
            "reading {path:?}: these are lines for a batch, which checks all of them before it builds an image: metadata batch \
             {word} --into DIR"
        )
    };
    assert_eq!(sandbox.run(["check", "my lines"]), failed(1, &batch("my lines", "'my lines'")));
    assert_eq!(sandbox.run_with_input(["check", "-"], lines), failed(1, &batch("-", "FILE")));
    assert_eq!(sandbox.run(["check", "-q", "--as", "linuxkit", "my lines"]).status, Some(1), "it is data");
}

#[test]
fn quiet_commands_say_nothing() {
    let sandbox = Sandbox::new();
    sandbox.succeed(["create", "-q", "x.iso", "hello", "--volume-id", "mine"]);
    sandbox.write("data", "hello");
    for arguments in [
        &["check", "-q", "data"] as &[_],
        &["apply", "-q", "data", "--into", "out"],
        &["extract", "-q", "x.iso", "--into", "out2"],
        &["confirm", "-q", "x.iso", "--run-metadata", "a"],
        &["agent", "-q", "--root", "out3", "file=data"],
    ] {
        assert_eq!(sandbox.run(arguments), done(""), "{arguments:?}");
    }
    let Ran { stderr, .. } = sandbox.run(["attach", "-q", "vfkit", "x.iso"]);
    assert_eq!(stderr, "");
}
