//! What `check` prints for texts that people write, line by line.

use crate::support::{Sandbox, done};

/// What `check` prints for this text, without the message at the end.
fn said(sandbox: &Sandbox, what: &str, text: &[u8]) -> String {
    sandbox.run_with_input(["check", "--as", what, "-"], text).stdout
}

/// A finding about the whole first line.
fn about_line(finding: &str, line: &str, help: &str) -> String {
    let marks = "^".repeat(line.len());
    format!("{finding}\n --> -:1:1\n  |\n1 | {line}\n  | {marks}\n  |\nhelp: {help}\n\n")
}

const NO_HEADER: &str = "error[no-header]: cloud-init does not recognize this line and ignores the data";

/// cloud-init takes a number for the permission bits as it is (`decode_perms` of `cc_write_files.py`).
#[test]
fn a_number_in_place_of_a_mode_is_found_by_what_cloud_init_makes_of_it() {
    let sandbox = Sandbox::new();
    let value_type = "error[value-type]";
    let unquoted = "warning[unquoted]";
    for (value, code, number, help) in [
        ("644", value_type, "644, which is the mode 01204", "put it in quotes: \"0644\""),
        ("755", value_type, "755, which is the mode 01363", "put it in quotes: \"0755\""),
        ("600", value_type, "600, which is the mode 01130", "put it in quotes: \"0600\""),
        ("0644", unquoted, "420 (written 0644)", "put it in quotes: \"0644\""),
        ("420", unquoted, "420, which is the mode 0644", "put it in quotes: \"0644\""),
        ("0x1a4", unquoted, "420 (written 0x1a4), which is the mode 0644", "put it in quotes: \"0644\""),
        ("511", unquoted, "511, which is the mode 0777", "write \"0777\" or \"0511\", in quotes"),
        ("10000", unquoted, "10000", "put it in quotes: \"10000\""),
        ("-1", unquoted, "-1", "put it in quotes: \"-1\""),
    ] {
        let text = format!("#cloud-config\nwrite_files: [{{path: /a, permissions: {value}}}]\n");
        let marks = "^".repeat(value.len());
        let expected = format!(
            "{code}: write_files[0].permissions: expected an octal mode in quotes, such as \"0644\", found the number {number}\n \
             --> -:2:39\n  |\n2 | write_files: [{{path: /a, permissions: {value}}}]\n  | {blanks}{marks}\n  |\nhelp: {help}\n\n",
            blanks = " ".repeat(38)
        );
        assert_eq!(said(&sandbox, "cloud-init", text.as_bytes()), expected);
    }
    for value in ["\"0644\"", "'644'", "0o644", "null"] {
        let text = format!("#cloud-config\nwrite_files: [{{path: /a, content: x, permissions: {value}}}]\n");
        let expected = if value == "null" { "error[value-type]" } else { "" };
        let found = said(&sandbox, "cloud-init", text.as_bytes());
        assert!(found.starts_with(expected) && found.is_empty() == expected.is_empty(), "{value}: {found}");
    }
}

#[test]
fn a_near_miss_of_the_header_is_found_whatever_the_kind() {
    let sandbox = Sandbox::new();
    for what in ["user-data", "cloud-init", "configdrive"] {
        for line in ["#cloudconfig", "# cloudconfig", "#!cloud-config", "#Cloud Config:", "# cloud-config"] {
            let expected = about_line(NO_HEADER, line, "write \"#cloud-config\"");
            assert_eq!(said(&sandbox, what, format!("{line}\npackages: [a]\n").as_bytes()), expected);
        }
        let expected = about_line(NO_HEADER, "---", "\"#cloud-config\" must be the first line");
        assert_eq!(said(&sandbox, what, b"---\n#cloud-config\npackages: [a]\n"), expected);
    }
    let ran = sandbox.run_with_input(
        ["create", "-l", "nocloud", "--user-data", "-", "seed.iso"],
        "#!cloud-config\na: 1\n",
    );
    assert!(ran.stderr.starts_with(NO_HEADER) && ran.status == Some(1), "{}", ran.stderr);
    let part = "MIME-Version: 1.0\nContent-Type: text/plain\n\n#!cloud-config\na: 1\n";
    assert!(said(&sandbox, "cloud-init", part.as_bytes()).starts_with(NO_HEADER));
}

#[test]
fn scripts_for_windows_have_the_line_ends_of_windows() {
    let sandbox = Sandbox::new();
    for text in ["#ps1_sysnative\r\nGet-Date\r\n", "#ps1\r\n1\r\n", "rem cmd\r\ndir\r\n"] {
        for what in ["user-data", "cloud-init", "configdrive"] {
            let ran = sandbox.run_with_input(["check", "-q", "--strict", "--as", what, "-"], text);
            assert_eq!(ran, done(""), "{text:?}");
        }
    }
}

#[test]
fn formats_of_cloudbase_init_are_right_on_a_config_drive() {
    let sandbox = Sandbox::new();
    for text in [
        "<powershell>\nGet-Date\n</powershell>\n",
        "<script>\r\ndir\r\n</script>\r\n",
        "<persist>true</persist>\n<powershell>1</powershell>\n",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
        "#cloud-config\nset_hostname: web\nset_timezone: Europe/Berlin\n",
    ] {
        assert_eq!(said(&sandbox, "configdrive", text.as_bytes()), "", "{text:?}");
        assert_ne!(said(&sandbox, "cloud-init", text.as_bytes()), "", "{text:?}");
    }
    let help = "this is for cloudbase-init, which needs --layout configdrive";
    let expected = about_line(NO_HEADER, "<powershell>", help);
    assert_eq!(said(&sandbox, "cloud-init", b"<powershell>\n</powershell>\n"), expected);
    let create = ["create", "-q", "-l", "windows", "--user-data", "-", "seed.iso"];
    assert_eq!(sandbox.run_with_input(create, "<powershell>\n1\n</powershell>\n"), done(""));
    assert_eq!(sandbox.run(["check", "-q", "seed.iso"]), done(""));
}

#[test]
fn data_for_another_agent_than_linuxkits_is_said() {
    let sandbox = Sandbox::new();
    let warning = |agent: &str, line: &str, layout: &str| {
        let finding =
            format!("warning[other-agent]: the data is for {agent}, which does not look for the file config");
        about_line(&finding, line, &format!("for {agent}, build the image with --layout {layout}"))
    };
    for line in ["#cloud-config", "#include", "#cloud-boothook", "MIME-Version: 1.0"] {
        let text = format!("{line}\n");
        let found = said(&sandbox, "linuxkit", text.as_bytes());
        assert!(found.starts_with(&warning("cloud-init", line, "nocloud")), "{found}");
    }
    let template = b"## template: jinja\n#cloud-config\nhostname: a\n";
    let expected = warning("cloud-init", "## template: jinja", "nocloud");
    assert_eq!(said(&sandbox, "linuxkit", template), expected);
    for line in ["#ps1_sysnative", "#ps1", "rem cmd"] {
        let expected = warning("cloudbase-init", line, "configdrive");
        assert_eq!(said(&sandbox, "linuxkit", format!("{line}\n1\n").as_bytes()), expected);
        let ran =
            sandbox.run_with_input(["create", "-q", "--user-data", "-", "a.iso"], format!("{line}\n1\n"));
        assert!(ran.status == Some(0) && ran.stderr.starts_with("warning[other-agent]: "), "{ran:?}");
        std::fs::remove_file(sandbox.path("a.iso")).unwrap();
    }
    for text in ["#!/bin/sh\necho\n", "from here\n", "hello\n"] {
        assert_eq!(said(&sandbox, "linuxkit", text.as_bytes()), "");
    }
}

#[test]
fn a_network_configuration_in_user_data_has_a_place_of_its_own() {
    let sandbox = Sandbox::new();
    let expected = "\
warning[unknown-key]: network: cloud-init does not know this key
 --> -:2:1
  |
2 | network: {version: 2}
  | ^^^^^^^
  |
help: cloud-init reads the network configuration from network-config (option --network-config)

";
    assert_eq!(said(&sandbox, "cloud-init", b"#cloud-config\nnetwork: {version: 2}\n"), expected);
}

#[test]
fn utf_16_is_called_so_for_every_kind() {
    let sandbox = Sandbox::new();
    let expected = "\
error[utf-16]: the text is encoded in UTF-16, but guests read UTF-8
--> -
 |
help: convert it: iconv -f UTF-16 -t UTF-8

";
    for what in ["user-data", "cloud-init", "configdrive", "meta-data", "network-config"] {
        for text in [&b"\xff\xfe#\0c\0"[..], b"\xfe\xff\0#\0c", b"#\0c\0"] {
            assert_eq!(said(&sandbox, what, text), expected, "{what}");
        }
    }
    let ran = sandbox
        .run_with_input(["create", "-l", "windows", "--user-data", "-", "seed.iso"], b"\xff\xfe#\0p\0");
    assert!(ran.stderr.starts_with("error[utf-16]") && ran.stderr.contains("iconv"), "{}", ran.stderr);
}
