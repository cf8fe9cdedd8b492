//! What to do about an error of the YAML scanner, and the line that it is about.

use std::ops::Range;

use crate::userdata::finding::{Code, Finding};

/// The finding about an error that the scanner (saphyr-parser 0.3.3) noticed at `span`.
pub(super) fn finding(text: &str, span: Range<usize>, info: &str) -> Finding {
    let is = |words: &str| info.contains(words);
    let (span, hint) = if is("tabs disallowed") || is("start with a tab") {
        (indentation(text, &span), Some("indent with spaces instead of tabs".to_owned()))
    } else if let Some((bracket, line)) =
        open_bracket(text, span.start).filter(|_| is("flow") || is("':'") || is("','") || is("node content"))
    {
        (span, Some(format!("close the \"{bracket}\" in {line:?}")))
    } else if is("simple key expect ':'") {
        // The scanner notices it in the line behind.
        let hint = "write \"key: value\", or indent the line if it continues the text above it";
        (line_before(text, &span), Some(hint.to_owned()))
    } else if is("did not find expected key") {
        (span, Some("indent the line as the one above it that it belongs to".to_owned()))
    } else if is("did not find expected '-'") {
        (span, Some("indent the line as the \"- \" above it, or as the text behind that".to_owned()))
    } else if is("unexpected character") {
        // Characters that no plain scalar begins with.
        (span, Some("put the value in quotes".to_owned()))
    } else if is("quoted scalar") && is("end of stream") {
        (span, Some("close the quotes".to_owned()))
    } else if is("trailing content after") {
        (span, Some("put the whole value in quotes; within single quotes, write '' for one".to_owned()))
    } else if is("block sequence entries") {
        (span, Some("begin the list on a line of its own, or put the value in quotes".to_owned()))
    } else if (is("anchor or alias") || is("unknown anchor")) && text[span.start..].starts_with('*') {
        (span, Some("put the value in quotes, unless it is an alias of an anchor above it".to_owned()))
    } else if is("unknown escape character") {
        let hint = "write \"\\\\\" for a backslash, or use single quotes";
        (unknown_escape(text, &span), Some(hint.to_owned()))
    } else if is("mapping values are not allowed") {
        (span, Some("put the value in quotes if it contains \": \", or correct the indentation".to_owned()))
    } else {
        (span, None)
    };
    let info = if is("simple key expect ':'") {
        "expected a key and a colon"
    } else if is("trailing content after") {
        // The scanner speaks of double quotes whichever they are.
        "text after the closing quotes"
    } else {
        info
    };
    let finding = Finding::new(Code::YamlSyntax, span, format!("not valid YAML: {info}"));
    match hint {
        Some(hint) => finding.with_hint(hint),
        None => finding,
    }
}

/// The first escape that YAML does not know in the scalar in double quotes that begins at `span`, or `span` if there is none.
fn unknown_escape(text: &str, span: &Range<usize>) -> Range<usize> {
    let mut characters = text[span.start..].char_indices().skip(1);
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => {
                let Some((_, escaped)) = characters.next() else { break };
                if !"0abtnvfre \"/\\N_LPxuU\t\n\r".contains(escaped) {
                    let start = span.start + at;
                    return start..start + 1 + escaped.len_utf8();
                }
            }
            '"' => break,
            _ => {}
        }
    }
    span.clone()
}

/// The tab in the white space at the start of a line, or `span` if there is none.
fn indentation(text: &str, span: &Range<usize>) -> Range<usize> {
    let line_start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let line = &text[line_start..];
    // A block scalar is reported at its start.
    let lines = line.split_inclusive('\n').scan(line_start, |start, line| {
        let at = *start;
        *start += line.len();
        Some((at, line))
    });
    let tab = |(start, line): (usize, &str)| {
        let at = line.find(|c| c != ' ')?;
        line[at..].starts_with('\t').then_some(start + at)
    };
    lines.take(LINES_MAX).find_map(tab).map_or(span.clone(), |at| at..at + 1)
}

/// How many lines of a block scalar are searched for what is wrong in it.
const LINES_MAX: usize = 1000;

/// The longest line that a hint shows, in bytes.
const SHOWN_BYTES_MAX: usize = 80;

/// The innermost bracket that is open in front of byte `at`, and its line. `None` also if it may be in quotes or in a comment,
/// or the line is long.
fn open_bracket(text: &str, at: usize) -> Option<(char, &str)> {
    let mut closed = 0_usize;
    for (start, c) in text[..at].char_indices().rev() {
        match c {
            ']' | '}' => closed += 1,
            '[' | '{' if closed == 0 => {
                let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
                let is_literal = text[line_start..start].contains(['#', '"', '\'']);
                let line = text[line_start..].lines().next().unwrap_or_default().trim();
                return (!is_literal && line.len() <= SHOWN_BYTES_MAX).then_some((c, line));
            }
            '[' | '{' => closed -= 1,
            _ => {}
        }
    }
    None
}

/// The text of the last line in front of the line of `span` that is not blank.
fn line_before(text: &str, span: &Range<usize>) -> Range<usize> {
    let line_start = text[..span.start].rfind('\n').map_or(0, |at| at + 1);
    let before = text[..line_start].trim_end();
    let start = before.rfind('\n').map_or(0, |at| at + 1);
    let start = start + (before[start..].len() - before[start..].trim_start().len());
    if start < before.len() { start..before.len() } else { span.clone() }
}

#[cfg(test)]
mod tests {
    use crate::userdata::yaml::check_document;

    /// The line of the only finding, counted from 1, and its hint.
    fn found(text: &str) -> (usize, String) {
        let mut findings = Vec::new();
        check_document(text, "it", &mut findings);
        assert_eq!(findings.len(), 1, "{text:?}: {findings:?}");
        let finding = findings.remove(0);
        (text[..finding.span.start].matches('\n').count() + 1, finding.hint.unwrap_or_default())
    }

    #[test]
    fn an_unknown_escape_is_shown_itself() {
        let text = "a: 1\nb: \"é\\n C:\\dir\"\n";
        let mut findings = Vec::new();
        check_document(text, "it", &mut findings);
        assert_eq!(&text[findings[0].span.clone()], "\\d", "{findings:?}");
        assert_eq!(findings[0].hint.as_deref(), Some("write \"\\\\\" for a backslash, or use single quotes"));
        assert_eq!(findings.len(), 1);
    }

    #[test]
    fn errors_are_in_the_line_with_the_mistake() {
        let spaces = "indent with spaces instead of tabs";
        let above = "indent the line as the one above it that it belongs to";
        let key = "write \"key: value\", or indent the line if it continues the text above it";
        for (text, line, hint) in [
            ("a:\n\tb: 1\n", 2, spaces),
            ("a: 1\nb: |\n\tx\n", 3, spaces),
            ("a: [1, 2\nb: 3\n", 2, "close the \"[\" in \"a: [1, 2\""),
            ("a: {b: 1\nc: 3\n", 2, "close the \"{\" in \"a: {b: 1\""),
            ("a: [\n", 2, "close the \"[\" in \"a: [\""),
            ("a: |\n    x\n  y\nb: 1\n", 3, above),
            ("a: |\n  x\ny\n\nb: 1\n", 3, key),
            ("a:\n  - b\n - c\n", 3, above),
            (
                "a:\n  - b: 1\n   c: 2\n",
                3,
                "indent the line as the \"- \" above it, or as the text behind that",
            ),
            ("a: @b\n", 1, "put the value in quotes"),
            ("a: \"b\n", 1, "close the quotes"),
            ("a: 'it's'\n", 1, "put the whole value in quotes; within single quotes, write '' for one"),
            ("a: - b\n", 1, "begin the list on a line of its own, or put the value in quotes"),
            ("a: *.log\n", 1, "put the value in quotes, unless it is an alias of an anchor above it"),
            ("a: * * *\n", 1, "put the value in quotes, unless it is an alias of an anchor above it"),
            ("a: b: c\n", 1, "put the value in quotes if it contains \": \", or correct the indentation"),
        ] {
            assert_eq!(found(text), (line, hint.to_owned()), "{text:?}");
        }
    }
}
