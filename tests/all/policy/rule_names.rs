//! Rules that only look like one that decides.

use super::{allowed, broken, decide, denied, image};

#[test]
fn what_only_looks_like_a_rule_denies() {
    let sandbox = image(&[]);
    for (policy, place, head, rule) in [
        // Functions.
        ("package p\nallow := true\ndeny(x) := true", "3:1", "deny(…)", "deny"),
        ("package p\nallow := true\n  deny(x) := \"no\"", "3:3", "deny(…)", "deny"),
        ("package p\nallow := true\n\tdeny(_) if true", "3:5", "deny(…)", "deny"),
        ("package p\nallow := true deny(1) := 2", "2:15", "deny(…)", "deny"),
        ("package p\nallow := true\ndeny() := true", "3:1", "deny(…)", "deny"),
        ("package p\nallow := true\ndefault deny(x) := true", "3:1", "deny(…)", "deny"),
        ("package p\nallow { true }\ndeny(x) = true { x }", "3:1", "deny(…)", "deny"),
        (
            "package p\nallow := true\nf(x) := 1 if { x } else := 2\ndeny(x) := 1 if { x } else := 2",
            "4:1",
            "deny(…)",
            "deny",
        ),
        ("package p\nallow := true\na.deny(x) := true", "3:1", "a.deny(…)", "deny"),
        ("package p\nallow := true\ndeny[x](y) := 1 if x := 1", "3:1", "deny[x](…)", "deny"),
        // Names below others.
        ("package p\nallow := true\na.deny contains \"no\"", "3:1", "a.deny", "deny"),
        ("package p\nallow := true\na[\"deny\"] contains \"no\"", "3:1", "a[\"deny\"]", "deny"),
        ("package p\nallow := true\na[\"de\\u006ey\"] := \"no\"", "3:1", "a[\"deny\"]", "deny"),
        ("package p\nallow := true\na[\"deny\"] if true", "3:1", "a[\"deny\"]", "deny"),
        ("package p\nallow { true }\na[\"deny\"] { true }", "3:1", "a[\"deny\"]", "deny"),
        ("package p\nallow { true }\na[\"deny\"] = \"no\" { true }", "3:1", "a[\"deny\"]", "deny"),
        ("package p\nallow { true }\na.deny { true }", "3:1", "a.deny", "deny"),
        ("package p\nallow := true\na[x].deny := 1 if x := 1", "3:1", "a[x].deny", "deny"),
        ("package p\nallow := true\na.deny[x] := 1 if x := 1", "3:1", "a.deny[x]", "deny"),
        ("package p\nallow := true\na.deny := \"x\" if { false } else := \"y\"", "3:1", "a.deny", "deny"),
        ("package p\nallow := true\ndefault a.b.allow := false", "3:1", "a.b.allow", "allow"),
        ("package p\nallow := true\na[\"ä\"].deny := 1", "3:1", "a[\"ä\"].deny", "deny"),
        ("package p\nallow := true\nlog.sample := true", "3:1", "log.sample", "sample"),
        // Names below the rule itself.
        ("package p\nallow := true\ndeny.b := 1", "3:1", "deny.b", "deny"),
        ("package p\nallow := true\ndeny[\"no\"] := \"x\"", "3:1", "deny[\"no\"]", "deny"),
        ("package p\nallow := true\ndeny[\"no\"] if true", "3:1", "deny[\"no\"]", "deny"),
        ("package p\nallow := true\ndeny[x][y] := 1 if { x := 1; y := 1 }", "3:1", "deny[x][y]", "deny"),
        ("package p\nallow := true\ndeny[x].y := 1 if x := 1", "3:1", "deny[x].y", "deny"),
        // Names with other letters.
        ("package p\nallow := true\nDeny contains \"no\"", "3:1", "Deny", "deny"),
        ("package p\nallow := true\na[\"deny \"] := \"no\"", "3:1", "a[\"deny \"]", "deny"),
        // Behind other things.
        ("package p\nallow := true\nx := `\n`\n  a.deny := 1", "5:3", "a.deny", "deny"),
        ("package p\nimport data.q as deny\nallow := true\na.deny := 1", "4:1", "a.deny", "deny"),
    ] {
        let ran = decide(&sandbox, policy, &[]);
        let why = format!(
            "reading policy \"p.rego\": p.rego:{place}: {head:?} looks like the rule {rule}, but is not evaluated as that rule: write {rule}, or rename it"
        );
        assert_eq!(ran, broken(&why), "{policy}");
    }
}

#[test]
fn a_package_that_is_named_like_a_rule_denies() {
    let sandbox = image(&[]);
    sandbox.write("allow.rego", "package b\nallow := true");
    for (package, name, rule) in [
        ("b.deny", "b.deny", "deny"),
        ("deny", "deny", "deny"),
        ("a[\"deny\"]", "a[\"deny\"]", "deny"),
        ("b.deny.c", "b.deny.c", "deny"),
        ("b.Allow", "b.Allow", "allow"),
        ("sample", "sample", "sample"),
    ] {
        sandbox.write("p.rego", format!("package {package}\nreasons contains \"no\"\nallow := true"));
        let ran = sandbox.run(["policy", "meta.iso", "--policy", "allow.rego", "--policy", "p.rego"]);
        let why = format!(
            "reading policy \"p.rego\": p.rego:1:1: the package {name:?} is named like the rule {rule}, but its rules are not evaluated as that rule: rename the package"
        );
        assert_eq!(ran, broken(&why), "{package}");
    }
}

#[test]
fn what_has_the_name_of_a_rule_and_is_not_one_is_allowed() {
    let sandbox = image(&["one"]);
    for policy in [
        "package p\nallow if {\n  x := {\"allow\": true}\n  x.allow\n}",
        "package p\nallow := true\n# deny(x) := 1\n   # a.deny contains \"no\"",
        "package p\nallow := true\nx := \"deny(x) := 1\"\ny := {\"deny\": [\"a.deny := 1\"]}",
        "package p\nx := `\ndeny(x) := 1\na.deny contains \"no\"\n  deny := true\n`\nallow := true",
        "package p\nallow if {\n  some deny in [1]\n  deny == 1\n}",
        "package p\nallow if {\n  some deny\n  input.run.user_provided_metadata[deny] == \"one\"\n}",
        "package p\nallow if {\n  deny := 1\n  deny == 1\n}",
        "package p\nallow if {\n  every deny in [1] { deny == 1 }\n}",
        "package p\nimport input.run as deny\nallow if deny.state == \"PREPARING\"",
        "package p\nimport input.run.sample\nallow := true",
        "package p\nf(deny) := deny\nallow if f(true)",
        "package p\nactions contains \"deny\"\nallow if \"deny\" in actions",
        "package p\nimport future.keywords.contains\nactions contains \"deny\" { true }\nallow { actions.deny }",
        "package p\nteams[name] := 1 if name := \"deny\"\nallow if teams.deny == 1",
        "package p\ndenied := true\nallow_all(x) := x\ndeny_list.a := 1\nallow := true",
        "package p\ndefault allow := false\nallow if { false } else := true",
        "package p\nallow := true\ndefault deny := false\ndefault sample := false",
        "package p\nallow := true\ndefault deny() := false",
        "package p\nallow := \"ä\" == \"\\u00e4\"\nx := \"dеny(x)\"",
        "package a.denied[\"allow it\"]\nallow := true",
    ] {
        assert_eq!(decide(&sandbox, policy, &[]), allowed(), "{policy}");
    }
    // Those that are evaluated.
    for (policy, messages) in [
        ("package p\nallow := true\ndeny[1] := \"a\"", &["a"][..]),
        ("package p\nallow := true\ndeny[x] := \"a\" if x := \"b\"", &["a"]),
        ("package p\nallow { true }\ndeny[x] { x := \"a\" }", &["a"]),
        ("package p\nallow { true }\ndeny[\"allow\"] { true }", &["allow"]),
        ("package p\nallow := true\n  deny contains \"a\"", &["a"]),
        ("package p\nallow := true deny := \"a\"", &["a"]),
        ("package p\nallow := true\ndefault deny := \"a\"", &["a"]),
        ("package p\nallow := true\ndeny := \"b\" if { false } else := \"a\"", &["a"]),
        ("package p\nimport data.q as deny\nallow := true\ndeny contains \"a\"", &["a"]),
    ] {
        assert_eq!(decide(&sandbox, policy, &[]), denied(messages), "{policy}");
    }
}

#[test]
fn two_files_of_one_package_are_refused() {
    let sandbox = image(&[]);
    sandbox.write("one.rego", "package p\nallow := false");
    sandbox.write("two.rego", "package p\nallow := true");
    let ran = sandbox.run(["policy", "meta.iso", "--policy", "one.rego", "--policy", "two.rego"]);
    let why = "two files have the package \"p\"; give each file its own\n";
    assert!(ran.status == Some(1) && ran.stderr.ends_with(why), "{ran:?}");
}
