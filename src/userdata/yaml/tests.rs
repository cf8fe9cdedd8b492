//! Trees of documents.

use super::{composer::DEPTH_MAX, *};

fn codes(text: &str) -> Vec<&'static str> {
    let mut findings = Vec::new();
    check_mapping(text, "it", &mut findings);
    findings.iter().map(|finding| finding.code.name()).collect()
}

#[test]
fn depth_is_bounded_whatever_nests() {
    for (open, close) in [("- ", ""), ("[", "]"), ("{a: ", "}"), ("!!seq [", "]")] {
        let nested = |levels: usize| format!("a:\n {}1{}\n", open.repeat(levels), close.repeat(levels));
        assert_eq!(codes(&nested(60)), [""; 0], "{open}");
        for levels in [DEPTH_MAX + 1, 50_000] {
            assert_eq!(codes(&nested(levels)), ["too-deep"], "{open}");
        }
    }
    let anchors = |levels: usize| {
        let anchors: Vec<_> = (0..levels).map(|level| format!("&x{level} [")).collect();
        anchors.concat()
    };
    assert_eq!(codes(&format!("a: {}{}", anchors(60), "]".repeat(60))), [""; 0]);
    assert_eq!(codes(&anchors(DEPTH_MAX + 1)), ["too-deep"]);
    for open in ["? ", "? ["] {
        let nested = |levels: usize| format!("a:\n {}1{}\n", open.repeat(levels), "]".repeat(levels));
        assert_eq!(codes(&nested(50_000)).last(), Some(&"too-deep"), "{open}");
    }
    let indented = |levels: usize| {
        let lines: Vec<_> = (0..levels).map(|level| format!("{:level$}a:\n", "")).collect();
        lines.concat()
    };
    assert_eq!(codes(&indented(DEPTH_MAX)), [""; 0]);
    assert_eq!(codes(&indented(DEPTH_MAX + 1)), ["too-deep"]);
}

#[test]
fn aliases_expand_to_a_small_multiple_of_the_text() {
    let list = |anchored: &str, aliases: usize| {
        format!("a: &a {anchored}\nb: [{}]\n", vec!["*a"; aliases].join(","))
    };
    assert_eq!(codes(&list("xyz", 1000)), [""; 0]);
    assert_eq!(codes(&list(&"x".repeat(1000), 60)), [""; 0]);
    assert_eq!(codes(&list(&"x".repeat(1000), 1000)), ["alias-expansion"]);
    let laughs = |line: &str| -> String {
        (0..30)
            .map(|level| line.replace('N', &(level + 1).to_string()).replace('M', &level.to_string()))
            .collect()
    };
    let start = "k0: &k0 {x: y}\n";
    assert_eq!(codes(&format!("{start}{}", laughs("kN: &kN [*kM, *kM]\n"))), ["alias-expansion"]);
    assert_eq!(codes(&format!("{start}{}", laughs("kN: &kN {a: *kM, b: *kM}\n"))), ["alias-expansion"]);
    assert_eq!(codes("a: &a [*a]\n"), [""; 0]);
}

#[test]
fn a_document_is_a_mapping_or_there_is_none() {
    for text in ["", "# x\n", "---\n", "--- # x\n...\n", "{}"] {
        assert_eq!(codes(text), [""; 0], "{text:?}");
    }
    for text in ["~", "null", "a", "[]", "--- 1"] {
        assert_eq!(codes(text), ["no-mapping"], "{text:?}");
    }
}

#[test]
fn the_last_value_of_a_key_that_occurs_twice_counts() {
    let mut findings = Vec::new();
    let text = "ä: 1\nb: 2\nä: 3\n\"b\": 4\n1: 5\n1.0: 6\n'1': 7\n";
    let tree = check_mapping(text, "it", &mut findings).unwrap();
    let members: Vec<_> = tree
        .members(tree.root())
        .iter()
        .map(|member| format!("{}={}", tree.text(member.key).unwrap(), tree.text(member.value).unwrap()))
        .collect();
    assert_eq!(members, ["ä=3", "b=4", "1.0=6", "1=7"]);
    let spans: Vec<_> =
        findings.iter().map(|finding| (finding.code.name(), &text[finding.span.clone()])).collect();
    assert_eq!(spans, [("duplicate-key", "ä"), ("duplicate-key", "\"b\""), ("duplicate-key", "1.0")]);
}

#[test]
fn what_py_yaml_refuses_is_found_at_its_place() {
    for (text, place) in [
        ("a: b\t", "\t"),
        ("a: 'x\ty' # \t\nb: |\n \tx\nc: \"\t\"\nd: x\t", "\t"),
        ("a: \u{1}", "\u{1}"),
        ("%YAML 2.0\n---\na: 1", "%YAML 2.0"),
        ("a: !foo b", "!"),
        ("a: 0b_", "0b_"),
        ("a: 2024-02-30", "2024-02-30"),
        ("a: =", "="),
        ("a: {[b]: c}", "["),
        ("<<: x", "<<"),
        ("a: !!int x", "!!int x"),
        ("a: !!seq {b: c}", "!"),
        ("a: {{ b }}", "{{"),
        ("a: &x 1\nb: &x 2\n", "&x"),
        ("a: &é 1\n", "&é"),
        ("a: [&x, &y.z b]\n", "&y.z"),
        ("a: &x # &x\n  b: !!str &x c\n", "&x"),
        ("? !!set {a}\n: b\n", "!"),
        ("{'a\n b': 1}", "'a\n b'"),
        ("#cloud-config\n\u{feff}a: 1\n", "\u{feff}"),
        ("a: \"\\U00110000\"\n", "\""),
        ("a: x\u{2028}b: [\u{85}", ""),
    ] {
        let mut findings = Vec::new();
        check_mapping(text, "it", &mut findings);
        let found: Vec<_> = findings.iter().map(|finding| &text[finding.span.clone()]).collect();
        assert_eq!(found, [place], "{text:?}: {findings:?}");
    }
    for key in ["k", "é"] {
        for length in [1024, 1025] {
            let text = format!("{{{}: 1}}", key.repeat(length));
            assert_eq!(codes(&text).len(), length - 1024, "{length} characters of {key}");
        }
    }
    for text in [
        "a: 1\u{85}b: 2\u{2028}c: 3\u{2029}d: [4]\n",
        "a: \"\\ud83d\\ude00 \\uDFFF \\U0000d800\"\n",
        "a: x\u{feff}y\nb: \"\u{feff}\"\nc: |\n \u{feff}\n",
        "a: &x-1_ {b: &y c}\nd: [*x-1_, *y]\n",
        "{? 'a\n b' : 1, c\n , d: 1}",
        "a: '&x'\nb: &x c # &x\nd: e &x\n",
    ] {
        assert_eq!(codes(text), [""; 0], "{text:?}");
    }
    for text in ["a: 'x\ty' # \t\nb: |\n \tx\nc: \"\t\"\n", "%YAML 1.2\n---\na: 1", "=: 1", "a: ! b"] {
        assert_eq!(codes(text), [""; 0], "{text:?}");
    }
}

#[test]
fn a_key_without_a_space_behind_its_colon_is_told_so() {
    let hint = |text: &str| {
        let mut findings = Vec::new();
        check_mapping(text, "it", &mut findings);
        findings[0].hint.clone()
    };
    assert_eq!(hint("packages:nginx\n").as_deref(), Some("write a space after the colon of a key"));
    assert_eq!(hint("see http://example.org\n"), None);
    assert_eq!(hint("- a:b\n"), None);
}
