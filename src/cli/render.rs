//! Findings as text in the style of rustc, and as JSON.

use std::{
    io::{self, IsTerminal, Write},
    ops::AddAssign,
    path::Path,
};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet, renderer::DecorStyle};
use anyhow::{Result, bail};
use metadata_image::{
    check::{CheckedText, FINDINGS_LISTED_MAX, Notice, Tolerance},
    datasource::layout::Layout,
    userdata::finding::{Code, Finding, Lines, Position, Severity},
};
use serde::Serialize;

use super::{
    escape::{json, printable, printable_source},
    streams::{colours_are_wanted, say},
};

/// What is added to an error that `--lenient` makes a warning.
pub(super) const LENIENT: &str = " (--lenient builds the image anyway)";

/// How much of a long line is shown before and after a finding, in bytes.
const AROUND_BYTES: usize = 200;

/// A finding or a warning as JSON.
#[derive(Serialize)]
pub(super) struct JsonNotice<'a> {
    code: Option<&'static str>,
    severity: String,
    file: Option<&'a str>,
    path: &'a str,
    line: Option<usize>,
    column: Option<usize>,
    message: &'a str,
    hint: Option<&'a str>,
}

impl<'a> JsonNotice<'a> {
    pub(super) fn of(notice: &'a Notice) -> Self {
        Self {
            code: notice.code.map(Code::name),
            severity: notice.severity.to_string(),
            file: notice.file.as_deref(),
            path: &notice.path,
            line: notice.place.map(|[line, _]| line),
            column: notice.place.map(|[_, column]| column),
            message: &notice.message,
            hint: notice.hint.as_deref(),
        }
    }
}

/// How many findings of each severity there are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Count {
    pub(super) errors: usize,
    pub(super) warnings: usize,
}

impl Count {
    pub(super) fn of(checked: &[CheckedText]) -> Self {
        let mut count = Self::default();
        for finding in checked.iter().flat_map(|checked| &checked.findings) {
            match finding.code.severity() {
                Severity::Error => count.errors += 1,
                Severity::Warning => count.warnings += 1,
            }
        }
        count
    }
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.errors += other.errors;
        self.warnings += other.warnings;
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let some = |count: usize, what: &str| match count {
            0 => format!("no {what}s"),
            1 => format!("1 {what}"),
            _ => format!("{count} {what}s"),
        };
        write!(f, "{}, {}", some(self.errors, "error"), some(self.warnings, "warning"))
    }
}

/// The findings about `checked`, which is from `file`, each as a paragraph.
pub(super) fn paragraphs<'a>(
    file: &str,
    checked: &'a CheckedText,
    out: &impl IsTerminal,
) -> impl Iterator<Item = String> + 'a {
    let renderer = if colours_are_wanted(out) { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii);
    let file = printable(&full_name(file, checked));
    let lines = Lines::of(&checked.text);
    checked.findings.iter().map(move |finding| {
        let level = match finding.code.severity() {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = match &*finding.path {
            "" => printable(&finding.message),
            path => printable(&format!("{path}: {}", finding.message)),
        };
        let title = level.primary_title(title).id(finding.code.name());
        let shown = SnippetLine::of(&lines, finding);
        let hint = finding.hint.as_deref().map(printable);
        let group = if checked.text.is_empty() {
            title.element(Origin::path(&file))
        } else {
            title.element(
                Snippet::source(&shown.source)
                    .path(&file)
                    .line_start(shown.position.line)
                    .annotation(AnnotationKind::Primary.span(shown.span.clone())),
            )
        };
        let hint = hint.as_deref().map(|hint| Group::with_title(Level::HELP.secondary_title(hint)));
        let report: Vec<_> = [Some(group), hint].into_iter().flatten().collect();
        shown.with_true_column(&file, renderer.render(&report)) + "\n"
    })
}

/// Prints the findings about a file for the image `image`, which is being built, to standard error, and gives them.
///
/// # Errors
/// Fails if one of them is not tolerated in an image of this layout.
pub(super) fn show_findings(
    image: &Path,
    checked: &CheckedText,
    layout: Layout,
    tolerance: Tolerance,
) -> Result<Vec<Notice>> {
    let image = image.to_string_lossy();
    let mut shown = paragraphs(&image, checked, &io::stderr());
    for paragraph in shown.by_ref().take(FINDINGS_LISTED_MAX) {
        drop(writeln!(io::stderr(), "{paragraph}"));
    }
    let more = checked.findings.len().saturating_sub(FINDINGS_LISTED_MAX);
    if more > 0 {
        say(&format!("{more} more findings; metadata check shows all of them"));
    }
    let name = full_name(&image, checked);
    let refused = |finding: &Finding| tolerance.refuses(layout, finding.code.loses_data());
    if checked.findings.iter().any(refused) {
        let count = Count::of(std::slice::from_ref(checked));
        match tolerance {
            Tolerance::Strict => bail!("{name} has {count}"),
            _ => bail!("{name} has {count}; cloud-init would ignore the file{LENIENT}"),
        }
    }
    let lines = Lines::of(&checked.text);
    let listed = checked.findings.iter().take(FINDINGS_LISTED_MAX);
    Ok(listed.map(|finding| Notice::of(finding, &name, checked, &lines)).collect())
}

/// A JSON object on a line for every finding.
pub(super) fn json_lines<'a>(file: &str, checked: &'a CheckedText) -> impl Iterator<Item = String> + 'a {
    let lines = Lines::of(&checked.text);
    let file = full_name(file, checked);
    checked.findings.iter().map(move |finding| {
        let notice = Notice::of(finding, &file, checked, &lines);
        json(&JsonNotice::of(&notice)).unwrap_or_default()
    })
}

/// The name of the file that the findings are about.
pub(super) fn full_name(file: &str, checked: &CheckedText) -> String {
    match (&checked.source, &checked.name) {
        (Some(source), _) => source.display().to_string(),
        (None, Some(name)) => format!("{file}/{name}"),
        (None, None) => file.to_owned(),
    }
}

/// The line of a finding, escaped for a terminal. A long line is cut to a window, so that a report costs the same in a text of
/// any size.
struct SnippetLine {
    source: String,
    position: Position,
    span: std::ops::Range<usize>,
}

impl SnippetLine {
    fn of(lines: &Lines<'_>, finding: &Finding) -> Self {
        let position = lines.position(finding.span.start);
        let line = lines.line(position.line);
        let start = lines.boundary(finding.span.start).saturating_sub(position.line_start).min(line.len());
        let end =
            lines.boundary(finding.span.end).saturating_sub(position.line_start).clamp(start, line.len());
        let boundary = |at: usize| (0..=at).rev().find(|&at| line.is_char_boundary(at)).unwrap_or(0);
        let from = boundary(start.saturating_sub(AROUND_BYTES));
        let end = boundary(end.min(start + AROUND_BYTES)).max(start);
        let to = boundary(line.len().min(end + AROUND_BYTES));
        let [before, marked, behind] =
            [&line[from..start], &line[start..end], &line[end..to]].map(printable_source);
        let span = before.len()..before.len() + marked.len();
        Self { source: before + &marked + &behind, position, span }
    }

    /// Corrects the column in a report whose line was cut.
    fn with_true_column(&self, file: &str, report: String) -> String {
        let Position { line, column, .. } = self.position;
        let in_window = self.source[..self.span.start].chars().count() + 1;
        if in_window == column {
            return report;
        }
        report.replacen(&format!("{file}:{line}:{in_window}"), &format!("{file}:{line}:{column}"), 1)
    }
}
