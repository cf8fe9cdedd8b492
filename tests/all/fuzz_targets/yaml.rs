//! YAML as cloud-init reads it. The input is a document.

use metadata_image::{
    check::{Subject, check},
    datasource::layout::Layout,
    userdata::finding::Code,
};

use super::places::check_places;

pub(crate) fn run(data: &[u8]) {
    let alone = check(data, Subject::MetaData(Layout::NoCloud), None);
    check_places(&alone);
    // The same behind a comment: what is said of the syntax is the same, further down.
    let comment = "# x\n";
    let behind = check(&[comment.as_bytes(), data].concat(), Subject::MetaData(Layout::NoCloud), None);
    check_places(&behind);
    let Ok(text) = str::from_utf8(data) else { return };
    // A directive and a mark at the start of a text are something else inside of it.
    if text.trim().is_empty() || text.contains(['%', '\u{feff}', '\0', '\r']) {
        return;
    }
    let syntax = |checked: &metadata_image::check::CheckedText, shift: usize| -> Vec<_> {
        let of_syntax = checked.findings.iter().filter(|it| it.code == Code::YamlSyntax);
        of_syntax.map(|it| (it.span.start - shift.min(it.span.start), it.message.clone())).collect()
    };
    assert_eq!(syntax(&alone, 0), syntax(&behind, comment.len()), "{text:?}");
}

pub(crate) fn seeds() -> Vec<Vec<u8>> {
    [
        "a: 1\nb:\n  - c\n  - d: e\n    f: 'g'\n",
        "x: &x {a: 1, b: 2}\ny: {<<: *x, b: 3}\nz: {<<: [*x, {c: d}]}\n",
        "a: |\n  text\n   more\n\nb: >-\n  folded\n  text\n",
        "a: \"x\\ty\\u00e9\\/\\ud83d\\ude00\"\nb: 'it''s'\n",
        "- [a, b, {c: d}]\n- {e: [f], g: , ? h : i}\n",
        "? a\n: b\n? !!set {c}\n",
        "--- # comment\na: !!str 0644\nb: !!int '0644'\nc: !!binary aGVs\n...\n",
        "%YAML 1.1\n---\na: &a.b 1\nb: &x [&x 2]\n",
        "a: 1\u{85}b: 2\u{2028}c: \u{feff}3\u{2029}\u{feff}d: [4]\n",
        "a: \"x\ny\"\nb: [tar, -]#c\n{ 'a\n b': 1}\n",
        "0644: 1_0\n1:30: 2024-01-02\n1.: ~\n1: yes\ntrue: =\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
