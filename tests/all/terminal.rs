//! What others write does not reach a terminal as it is, whatever shows it.

use crate::support::{Ran, Sandbox};

/// C1, DEL, marks of direction, separators, zero width, a filler, a tag, variation selectors: all that a file name may hold.
const HIDDEN: &str = "\u{7f}\u{9b}\u{ad}\u{61c}\u{200b}\u{200d}\u{200e}\u{200f}\u{2028}\u{2029}\u{202e}\u{2060}\u{2066}\u{feff}\u{3164}\u{fe0f}\u{e0041}\u{e01ef}";

/// Whether nothing is printed that a terminal obeys or a person does not see, and its escape is, but for JSON about a place.
#[track_caller]
fn is_shown_safely(ran: &Ran, arguments: &[&str]) {
    let printed = ran.stdout.clone() + &ran.stderr;
    let bad = |c: char| c != '\n' && (c.is_control() || HIDDEN.contains(c));
    let found = printed.lines().find(|line| line.contains(bad));
    assert!(found.is_none(), "{arguments:?}: {found:?}");
    let is_named = printed.contains("202e") || arguments == ["check", "user.yaml", "--json"];
    assert!(is_named, "{arguments:?}: {printed}");
}

#[test]
fn what_a_terminal_obeys_or_hides_is_escaped_wherever_it_is_shown() {
    let sandbox = Sandbox::new();
    let name = format!("a{HIDDEN}b");
    sandbox.write(&name, "x");
    let file = format!("{name}={name}");
    let data = format!("{{\"k{HIDDEN}\u{85}\": {{\"{HIDDEN}\": 1, \"perm\": \"9{HIDDEN}\"}}}}");
    sandbox.write("data.json", &data);
    sandbox.write("user.yaml", format!("#cloud-config\na: \u{202e}{HIDDEN}\nb: {{{{\u{9b} }}}}\nb: [\n"));
    let image = format!("{name}.iso");
    let create = ["create", &image, "--data-file", "data.json", "--file", &file, "--run-metadata", &name];
    let ran = sandbox.run([&create[..], &["--json", "--volume-id", "\u{9b}"]].concat());
    assert_eq!(ran.status, Some(2), "a volume identifier has no control characters: {ran:?}");
    is_shown_safely(&sandbox.run([&create[..], &["--json"]].concat()), &create);

    let line =
        format!("{{\"image\": \"x/{name}\", \"data\": \"x\", \"files\": {{\"{name}\": \"{name}\"}}}}\n");
    for arguments in
        [&["batch", "--into", "out", "--json"][..], &["batch", "--into", "out", "--json", "--digests"]]
    {
        is_shown_safely(&sandbox.run_with_input(arguments, line.clone()), arguments);
    }
    for arguments in [
        &["show", &image] as &[_],
        &["show", "--json", &image],
        &["check", &image],
        &["check", "--json", &image],
        &["check", "data.json"],
        &["check", "user.yaml"],
        &["check", "user.yaml", "--json"],
        &["apply", "--dry-run", &image],
        &["apply", &image, "root"],
        &["extract", &image, "--into", "files", &format!("{name}x")],
        &["extract", &name, "x"],
        &["agent", "--root", "root", "--json", "-v", &format!("file={image}")],
        &["attach", &image, "qemu", "--json"],
        &["verify", &image, "--allowed-signers", &name],
        &["confirm", &image, &name],
        &["pack", &format!("{name}/x")],
        &[&name],
    ] {
        is_shown_safely(&sandbox.run(arguments), arguments);
    }
}

#[cfg(feature = "policy")]
#[test]
fn what_a_policy_samples_is_one_safe_line() {
    let sandbox = Sandbox::new();
    let name = format!("a{HIDDEN}b");
    sandbox.write("p.rego", "package p\nallow := true\nsample := true\n");
    sandbox.succeed(["create", "-q", "meta.iso", "x", "--run-metadata", &name]);
    for arguments in
        [&["policy", "--policy", "p.rego", "meta.iso"] as &[_], &["policy", "--print-input", "meta.iso"]]
    {
        let ran = sandbox.run(arguments);
        assert_eq!(ran.status, Some(0), "{ran:?}");
        is_shown_safely(&ran, arguments);
    }
}
