//! What holds for every finding.

use metadata_image::{
    check::CheckedText,
    userdata::finding::{Code, Lines, Severity},
};

/// Every finding is at a place in the text, in order.
pub(crate) fn check_places(checked: &CheckedText) {
    let CheckedText { text, findings, .. } = checked;
    let lines = Lines::of(text);
    for finding in findings {
        assert!(finding.span.start <= finding.span.end, "{finding:?}");
        assert!(text.get(finding.span.clone()).is_some(), "{finding:?} in {} bytes", text.len());
        let line = finding.in_one_line("x", &lines);
        assert!(!line.contains('\n'), "{line:?}");
    }
    // Errors first; about a config tree all in the order of the text.
    let places: Vec<_> = findings
        .iter()
        .filter(|it| it.code != Code::TooLarge)
        .map(|it| (it.code.severity() == Severity::Warning, it.span.start))
        .collect();
    let is_in_order = places.is_sorted_by_key(|(_, start)| start);
    assert!(places.is_sorted() || is_in_order, "{places:?}");
}
