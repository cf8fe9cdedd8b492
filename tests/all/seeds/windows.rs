//! Seeds for Windows, which cloudbase-init reads.

use std::fs;

use super::sandbox;
use crate::support::{done, failed};

#[test]
fn windows_gets_its_headers_and_its_password() {
    let sandbox = sandbox();
    for data in ["#ps1_sysnative\n", "#ps1_x86\n", "#ps1\n", "rem cmd\n"] {
        let ran = sandbox.run(["create", "-q", "-l", "configdrive", "seed.iso", "--data", data]);
        assert_eq!(ran, done(""), "{data:?}");
    }
    sandbox.write("setup.ps1", "#ps1_sysnative\nGet-Date\n");
    let parts = ["create", "-q", "-l", "configdrive", "--user-data", "setup.ps1", "--user-data", "a.yaml"];
    assert_eq!(sandbox.run([&parts[..], &["seed.iso"]].concat()), done(""), "as a part, too");
    sandbox.write("password", "s3cret\n");
    let create = ["create", "-q", "-l", "configdrive", "--admin-pass-file", "password", "seed.iso"];
    let mode = |bits| {
        fs::set_permissions(sandbox.path("password"), std::os::unix::fs::PermissionsExt::from_mode(bits))
    };
    mode(0o644).unwrap();
    assert_eq!(
        sandbox.run(create),
        failed(
            1,
            "reading admin password \"password\": other users can read the file (mode 0644); run: chmod 600 \"password\""
        )
    );
    mode(0o600).unwrap();
    let readable =
        "the permission bits 0644 let other users read the image, and on it the administrator's password";
    let ran = sandbox.run([&create[..], &["--mode", "644"]].concat());
    assert_eq!(ran, done(&format!("metadata: warning: {readable}\n")));
    let line = "{\"image\": \"b.iso\", \"layout\": \"windows\", \"admin_pass_file\": \"password\", \"mode\": \"644\"}\n";
    let ran = sandbox.run_with_input(["batch", "-q", "--into", "."], line);
    assert_eq!(ran, done(&format!("metadata: line 1: warning: {readable}\n")));
    assert_eq!(sandbox.run(create), done(""));
    let meta = String::from_utf8(sandbox.succeed(["extract", "b.iso", "openstack/latest/meta_data.json"]));
    assert!(meta.unwrap().contains("s3cret"));
    let meta = sandbox.succeed(["extract", "seed.iso", "openstack/latest/meta_data.json"]);
    let meta: serde_json::Value = serde_json::from_slice(&meta).unwrap();
    assert_eq!(meta["admin_pass"], "s3cret");
    assert_eq!(
        sandbox.run(["create", "-l", "nocloud", "--admin-pass-file", "password", "seed.iso"]),
        failed(2, "admin-pass-file needs the layout configdrive")
    );
}

#[test]
fn a_script_for_windows_without_a_header_shows_it() {
    let sandbox = sandbox();
    for (name, header, program) in
        [("setup.ps1", "#ps1_sysnative", "PowerShell"), ("setup.cmd", "rem cmd", "the command interpreter")]
    {
        sandbox.write(name, "Get-Date\n");
        let expected = format!(
            "error[no-header]: cloud-init does not recognize this line and ignores the data\n --> {name}:1:1\n  |\n\
             1 | Get-Date\n  | ^^^^^^^^\n  |\nhelp: begin the file with the line \"{header}\", by which cloudbase-init knows \
             {program}\n\nmetadata: {name} has 1 error, no warnings; cloud-init would ignore the file (--lenient builds the \
             image anyway)\n"
        );
        let ran = sandbox.run(["create", "-l", "windows", "--user-data", name, "seed.iso"]);
        assert_eq!((ran.status, ran.stderr), (Some(1), expected));
        let help =
            format!("begin the file with the line \"{header}\", by which cloudbase-init knows {program}");
        let ran = sandbox.run(["check", name]);
        assert!(ran.status == Some(1) && ran.stdout.contains(&format!("\nhelp: {help}\n")), "{ran:?}");
        let line = format!("{{\"image\": \"b.iso\", \"layout\": \"windows\", \"user_data\": {name:?}}}");
        let why = format!(
            "standard input: line 1: {name}:1:1: cloud-init does not recognize this line and ignores the data [no-header]; \
             {help}; 0 images built in \".\""
        );
        assert_eq!(sandbox.run_with_input(["batch", "--into", "."], line), failed(1, &why));
        let parts = ["create", "-l", "windows", "--user-data", name, "--user-data", "a.yaml", "seed.iso"];
        let why = format!(
            "user data {name:?}: cloud-init does not recognize the first line, such as #cloud-config or #!/bin/sh; {help}"
        );
        assert_eq!(sandbox.run(parts), failed(1, &why));
        let typed = format!("{name}:x-shellscript");
        let ran = sandbox.run(["create", "-l", "windows", "--user-data", &typed, "seed.iso"]);
        assert!(ran.status == Some(1) && ran.stderr.contains(&format!("\nhelp: {help}\n")), "{ran:?}");
        let part = format!(
            "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\
             Content-Disposition: attachment; filename={name}\n\nGet-Date\n--b--\n"
        );
        let ran = sandbox.run_with_input(["check", "--as", "configdrive", "-"], part);
        assert!(ran.status == Some(1) && ran.stdout.contains(&format!("\nhelp: {help}\n")), "{ran:?}");
        sandbox.succeed(["create", "-q", "-l", "windows", "old.iso", "-H", "web"]);
        let ran = sandbox.run(["set", "old.iso", &format!("openstack/latest/user_data={name}")]);
        assert!(ran.status == Some(1) && ran.stderr.contains(&format!("\nhelp: {help}\n")), "{ran:?}");
    }
}

#[test]
#[ignore = "needs root to give a file to another user"]
fn a_password_in_the_file_of_another_user_is_refused() {
    let sandbox = sandbox();
    sandbox.write("password", "s3cret\n");
    sandbox.tool("chmod", ["600", "password"]);
    std::os::unix::fs::chown(sandbox.path("password"), Some(12), None).unwrap();
    assert_eq!(
        sandbox.run(["create", "-q", "-l", "configdrive", "--admin-pass-file", "password", "seed.iso"]),
        failed(
            1,
            "reading admin password \"password\": the file belongs to user 12, who can read and change it; it must belong to \
             you (user 0) or root"
        )
    );
}
