//! A batch makes the images that `create` makes.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
};

use super::files;

use crate::support::{Sandbox, failed, noise};

#[expect(clippy::too_many_lines, reason = "a table")]
#[test]
fn every_option_makes_the_image_that_create_makes() {
    let sandbox = Sandbox::new();
    sandbox.write("small", noise(5000));
    sandbox.write("large", noise(5_000_000));
    sandbox.write("tree/ssh/sshd_config", "PermitRootLogin no\n");
    symlink("ssh", sandbox.path("tree/link")).unwrap();
    sandbox.write(
        "key.pub",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIB1LbhbqWSmmEFLOaGmtqPBJmcOQWWFCSwV1I0i3PlGV me@host\n",
    );
    sandbox.write("net", "version: 2\n");
    sandbox.write("meta", "instance-id: mine\n");
    let cases: [(&str, &[&str]); 20] = [
        (r#""data": "hello""#, &["hello"]),
        (r#""data": """#, &[""]),
        (r#""data": "\u00e9\u0000\n", "follow": false, "strict": null"#, &["--data-file", "special"]),
        (r#""data_file": "small""#, &["--data-file", "small"]),
        (r#""data_file": "large", "hostname": null"#, &["--data-file", "large"]),
        (r#""data_dir": "tree", "follow": true"#, &["--data-dir", "tree", "--follow"]),
        (
            r#""data": "x", "files": {"a/b": "small", "c": "large"}"#,
            &["x", "--file", "a/b=small", "--file", "c=large"],
        ),
        (
            r#""data": "x", "files": ["a/b=small", "c=large", "d=net"]"#,
            &["x", "--file", "a/b=small", "--file", "c=large", "--file", "d=net"],
        ),
        (r##""data": "#!", "layout": "nocloud""##, &["#!", "--layout", "nocloud"]),
        (
            r##""data": "#!", "layout": "nocloud", "hostname": "web", "ssh_keys": ["key.pub", "key.pub"]"##,
            &[
                "#!",
                "--layout",
                "nocloud",
                "--hostname",
                "web",
                "--ssh-key",
                "key.pub",
                "--ssh-key",
                "key.pub",
            ],
        ),
        (
            r#""data_file": "large", "layout": "nocloud", "hostname": "web""#,
            &["--data-file", "large", "--layout", "nocloud", "--hostname", "web"],
        ),
        (
            r##""data": "#!", "layout": "nocloud", "instance_id": "i-1", "network_config": "net""##,
            &["#!", "--layout", "nocloud", "--instance-id", "i-1", "--network-config", "net"],
        ),
        (
            r##""data": "#!", "layout": "nocloud", "meta_data": "meta", "vendor_data": "small""##,
            &["#!", "--layout", "nocloud", "--meta-data", "meta", "--vendor-data", "small"],
        ),
        (
            r##""data": "#!", "layout": "configdrive", "network_config": "net", "hostname": "h""##,
            &["#!", "--layout", "configdrive", "--network-config", "net", "--hostname", "h"],
        ),
        (r#""data": "x", "volume_id": "cidata""#, &["x", "--volume-id", "cidata"]),
        (r#""data": "x", "mode": "0640""#, &["x", "--mode", "0640"]),
        (
            r##""data": "#!", "layout": "nocloud", "run_metadata": ["a", "b"]"##,
            &["#!", "--layout", "nocloud", "--run-metadata", "a", "--run-metadata", "b"],
        ),
        (
            r##""data": "#?", "layout": "nocloud", "run_metadata": ["c"]"##,
            &["#?", "--layout", "nocloud", "--run-metadata", "c"],
        ),
        (
            r#""data_file": "large", "run_metadata": ["a"], "run_id": "r1""#,
            &["--data-file", "large", "--run-metadata", "a", "--run-id", "r1"],
        ),
        (r#""data": "x", "layout": "linuxkit", "strict": true"#, &["x", "--strict"]),
    ];
    sandbox.write("special", "\u{e9}\0\n");
    // Twice, so that the second of each is laid out with the help of the first.
    for copy in 0..2 {
        let input: Vec<_> = (0..)
            .zip(cases)
            .map(|(number, (fields, _))| format!("{{\"image\": \"{copy}/{number}.iso\", {fields}}}\n"))
            .collect();
        for jobs in ["1", "3"] {
            let into = format!("out-{jobs}");
            let mut command =
                sandbox.command(["batch", "--lenient", "--quiet", "--into", &into, "--jobs", jobs]);
            let output =
                command.env("SOURCE_DATE_EPOCH", "1700000000").write_stdin(input.concat()).output().unwrap();
            assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    for (number, (fields, options)) in (0..).zip(cases) {
        let mut command = sandbox.command(
            [
                if options.contains(&"--strict") {
                    &["create", "meta.iso"] as &[_]
                } else {
                    &["create", "--lenient", "meta.iso"]
                },
                options,
            ]
            .concat(),
        );
        assert!(command.env("SOURCE_DATE_EPOCH", "1700000000").output().unwrap().status.success());
        for made in ["out-1/0", "out-1/1", "out-3/0", "out-3/1"] {
            let made = format!("{made}/{number}.iso");
            assert!(sandbox.read(&made) == sandbox.read("meta.iso"), "{made}: {fields}");
            let bits = |name: &str| fs::metadata(sandbox.path(name)).unwrap().permissions().mode();
            assert_eq!(bits(&made), bits("meta.iso"), "{made}: {fields}");
            let blocks = |name: &str| fs::metadata(sandbox.path(name)).unwrap().blocks();
            assert_eq!(blocks(&made), blocks("meta.iso"), "{made}: {fields}");
        }
    }
}

#[test]
fn many_lines_of_many_lengths_make_the_images_that_create_makes() {
    let sandbox = Sandbox::new();
    let data = |number: usize| String::from_utf8(vec![b'x'; number * 37 % 9000]).unwrap();
    let input = (0..400)
        .map(|number| {
            format!("{{\"image\":\"{number}\",\"layout\":\"nocloud\",\"data\":\"{}\"}}\n", data(number))
        })
        .collect::<Vec<_>>()
        .concat();
    sandbox.write("lines", input);
    assert_eq!(sandbox.run(["batch", "lines", "--into", "out", "--quiet", "--lenient"]).status, Some(0));
    assert_eq!(files(&sandbox.path("out")).len(), 400);
    for number in (0..400).step_by(23) {
        sandbox.write("data", data(number));
        sandbox.succeed(["create", "meta.iso", "--data-file", "data", "-l", "nocloud", "-q", "--lenient"]);
        assert!(sandbox.read(&format!("out/{number}")) == sandbox.read("meta.iso"), "{number}");
    }
}

#[test]
fn the_shards_together_make_what_one_process_makes() {
    let sandbox = Sandbox::new();
    let input = (0..50)
        .map(|number| format!("\n{{\"image\": \"{number}\", \"data\": \"{number}\"}}\n"))
        .collect::<Vec<_>>()
        .concat();
    sandbox.write("lines", &input);
    sandbox.succeed(["batch", "lines", "--into", "all"]);
    for shard in ["0/3", "1/3", "2/3"] {
        let before = fs::read_dir(sandbox.path("shards")).map_or(0, Iterator::count);
        sandbox.succeed(["batch", "lines", "--into", "shards", "--shard", shard]);
        assert!(
            (16..=17).contains(&(fs::read_dir(sandbox.path("shards")).unwrap().count() - before)),
            "{shard}"
        );
    }
    assert_eq!(files(&sandbox.path("shards")), files(&sandbox.path("all")));
    for image in files(&sandbox.path("all")) {
        let [one, other] = ["all", "shards"].map(|directory| sandbox.read(&format!("{directory}/{image}")));
        assert!(one == other, "{image}");
    }
    let fault =
        "invalid value '3/3' for '--shard <I/N>': I must be from 0 to N-1, here 2 (--help shows the usage)";
    assert_eq!(sandbox.run(["batch", "lines", "--into", "x", "--shard", "3/3"]), failed(2, fault));
}
