//! Seeds for cloud-init: files by option, several parts, directories, and words that are probably mistakes.

mod directories;
mod windows;
mod words;

use crate::support::{Sandbox, done, failed};

const CONFIG: &str = "#cloud-config\npackages: [nginx]\n";

const SCRIPT: &str = "#!/bin/sh\necho hello\n";

fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("user-data", CONFIG);
    sandbox.write("meta-data", "instance-id: i-1\n");
    sandbox.write("a.yaml", CONFIG);
    sandbox.write("b.sh", SCRIPT);
    sandbox
}

fn made(layout: &str) -> String {
    format!("metadata: seed.iso: 372736 bytes, layout {layout}\n")
}

#[test]
fn a_seed_needs_no_user_data() {
    let sandbox = sandbox();
    for layout in ["nocloud", "configdrive"] {
        let ran = sandbox.run(["create", "-l", layout, "-H", "web", "seed.iso"]);
        assert_eq!(ran, done(&made(layout)));
        let checked = sandbox.run(["check", "seed.iso"]);
        assert_eq!(checked.status, Some(0), "{checked:?}");
    }
    assert_eq!(
        sandbox.run(["create", "-l", "nocloud", "seed.iso"]),
        done(&format!(
            "metadata: warning: the seed has no user data, host name or keys\n{}",
            made("nocloud")
        ))
    );
}

#[test]
fn several_parts_become_one_document() {
    let sandbox = sandbox();
    let parts = ["create", "-l", "nocloud", "--user-data", "a.yaml", "--user-data", "b.sh"];
    sandbox.succeed([&parts[..], &["seed.iso"]].concat());
    let document = String::from_utf8(sandbox.succeed(["extract", "seed.iso", "user-data"])).unwrap();
    let lines: Vec<_> = document.lines().filter(|line| line.starts_with("Content-")).collect();
    let boundary = lines[0].split('"').nth(1).unwrap();
    let part = |mime: &str, name: &str| {
        [
            format!("Content-Type: {mime}; charset=\"utf-8\""),
            "Content-Transfer-Encoding: base64".to_owned(),
            format!("Content-Disposition: attachment; filename=\"{name}\""),
        ]
    };
    let expected = [
        &[format!("Content-Type: multipart/mixed; boundary=\"{boundary}\"")],
        &part("text/cloud-config", "a.yaml")[..],
        &part("text/x-shellscript", "b.sh")[..],
    ];
    assert_eq!(lines, expected.concat());
    sandbox.succeed([&parts[..], &["again.iso"]].concat());
    assert!(sandbox.read("again.iso") == sandbox.read("seed.iso"), "equal parts make equal images");

    sandbox.succeed(["create", "-l", "nocloud", "--user-data", "b.sh:x-shellscript-per-boot", "seed.iso"]);
    let document = String::from_utf8(sandbox.succeed(["extract", "seed.iso", "user-data"])).unwrap();
    assert!(document.contains("\nContent-Type: text/x-shellscript-per-boot;"), "{document}");
    sandbox.succeed(["create", "-l", "nocloud", "--user-data", "b.sh", "seed.iso"]);
    assert_eq!(
        sandbox.succeed(["extract", "seed.iso", "user-data"]),
        SCRIPT.as_bytes(),
        "one part is unchanged"
    );

    sandbox.write("plain", "hello\n");
    for (arguments, status, line) in [
        (
            &["--user-data", "a.yaml", "--user-data", "plain"] as &[_],
            1,
            "user data \"plain\": cloud-init does not recognize the first line, such as #cloud-config or #!/bin/sh; add it, \
             or give the type as PATH:TYPE",
        ),
        (
            &["--user-data", "b.sh:x-python"],
            1,
            "\"b.sh\": unknown type \"x-python\"; use one of cloud-config-archive, cloud-config-jsonp, cloud-config, \
             x-include-once-url, x-include-url, cloud-boothook, part-handler, jinja2, x-shellscript, x-shellscript-per-boot, \
             x-shellscript-per-instance, x-shellscript-per-once, application/gzip",
        ),
        (&["--user-data", "-", "--user-data", "-"], 2, "standard input can be read only once"),
    ] {
        let arguments = [&["create", "-l", "nocloud", "seed.iso"], arguments].concat();
        assert_eq!(sandbox.run(arguments), failed(status, line));
    }
    assert_eq!(
        sandbox.run(["create", "seed.iso", "--user-data", "a.yaml", "--user-data", "b.sh"]),
        failed(2, "several parts of user data need the layout nocloud or configdrive")
    );
}

#[test]
fn what_cloud_init_would_ignore_is_refused_and_the_old_image_stays() {
    let sandbox = sandbox();
    sandbox.succeed(["create", "-q", "-l", "nocloud", "--user-data", "user-data", "seed.iso"]);
    let before = sandbox.read("seed.iso");
    for (data, code) in [
        ("packages: [nginx]\n", "no-header"),
        ("#cloud-config\na: [\n", "yaml-syntax"),
        ("{\"hostname\": {\"content\": \"web\"}}", "no-header"),
    ] {
        let create = ["create", "-q", "-l", "nocloud", "--user-data", "-", "seed.iso"];
        let ran = sandbox.run_with_input(create, data);
        assert_eq!(ran.status, Some(1), "{data:?}");
        assert!(ran.stderr.starts_with(&format!("error[{code}]: ")), "{}", ran.stderr);
        assert!(
            ran.stderr.ends_with("; cloud-init would ignore the file (--lenient builds the image anyway)\n")
        );
        assert!(sandbox.read("seed.iso") == before);
    }
    sandbox.succeed(["create", "-q", "--lenient", "-l", "nocloud", "--data", "hello", "seed.iso"]);
    sandbox.succeed(["create", "-q", "--data", "hello", "linuxkit.iso"]);
}
