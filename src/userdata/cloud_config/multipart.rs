//! MIME documents: the parts that Python's `email` finds in one, which is what cloud-init reads them with.
//!
//! A document is read line by line, without recursion. A part is a range of the text: nothing is copied before it is decoded.
//!
//! Sources: RFC 2046, 5.1; Python 3, `email/feedparser.py`.

use std::{borrow::Cow, ops::Range};

use super::transfer_encoding::Encoding;
use crate::userdata::finding::{Code, Finding, push_bounded};

/// The most parts that are read.
const PARTS_MAX: usize = 1000;

/// How deep multiparts may be nested. Every line is compared with the boundaries of all that are open.
const DEPTH_MAX: usize = 16;

/// The longest boundary, in bytes (RFC 2046, 5.1.1).
const BOUNDARY_BYTES_MAX: usize = 70;

/// A part that is not a multipart itself.
#[derive(Debug)]
pub(super) struct Part {
    /// Its type, in lower case, without parameters. `text/plain` if it has none, or one that is malformed.
    pub(super) content_type: String,
    /// The file name of its `Content-Disposition` or `Content-Type`.
    pub(super) file_name: Option<String>,
    /// How its body is encoded; an unknown encoding in lower case.
    pub(super) encoding: Result<Encoding, String>,
    /// The line with its type, or the first header.
    pub(super) type_line: Range<usize>,
    /// The line with its encoding, or the first header.
    pub(super) encoding_line: Range<usize>,
    /// Its body as it is written, without the line end in front of the next boundary.
    pub(super) body: Range<usize>,
}

/// A multipart that has not ended.
struct Open {
    boundary: String,
    /// Where its type is.
    type_line: Range<usize>,
    has_parts: bool,
}

/// What the next line belongs to.
enum State {
    /// The text before the first part, or after the last one.
    Between,
    /// The header lines of a part.
    Head(Head),
    /// The body of a part.
    Body(Part),
}

/// The parts of the document `text`, in order. What hides parts is a finding.
pub(super) fn parts(text: &str, findings: &mut Vec<Finding>) -> Vec<Part> {
    let mut reader = Reader { text, open: Vec::new(), parts: Vec::new(), findings };
    let mut state = State::Head(Head::at(0));
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if reader.parts.len() == PARTS_MAX {
            let message = format!("the document has more than {PARTS_MAX} parts; the others are not checked");
            push_bounded(
                reader.findings,
                Finding::new(Code::Unchecked, at..at + line.trim_end().len(), message),
            );
            return reader.parts;
        }
        state = reader.take(state, line, at);
        at += line.len();
    }
    reader.end_part(state, at, at);
    reader.close(0);
    reader.parts
}

struct Reader<'a, 'f> {
    text: &'a str,
    /// The multiparts that the next line is in, outermost first.
    open: Vec<Open>,
    parts: Vec<Part>,
    findings: &'f mut Vec<Finding>,
}

impl Reader<'_, '_> {
    /// Takes the line at byte `at`.
    fn take(&mut self, state: State, line: &str, at: usize) -> State {
        if let Some((level, is_last)) = self.boundary_of(line) {
            let body_end = at - line_end_bytes(&self.text[..at]);
            self.end_part(state, at, body_end);
            self.close(level + 1);
            if is_last {
                self.close(level);
                return State::Between;
            }
            self.open[level].has_parts = true;
            return State::Head(Head::at(at + line.len()));
        }
        match state {
            State::Head(mut head) => match head.take(line, at) {
                HeadLine::More => State::Head(head),
                HeadLine::End { body } => self.begin_body(&head, body),
            },
            state => state,
        }
    }

    /// The multipart whose boundary a line is, and whether it is its last one.
    fn boundary_of(&self, line: &str) -> Option<(usize, bool)> {
        let rest = line.strip_prefix("--")?;
        let level_of = |open: &Open| {
            let rest = rest.strip_prefix(&*open.boundary)?.trim_end_matches(['\r', '\n']);
            let (rest, is_last) = rest.strip_prefix("--").map_or((rest, false), |rest| (rest, true));
            rest.trim_matches([' ', '\t']).is_empty().then_some(is_last)
        };
        self.open.iter().enumerate().rev().find_map(|(level, open)| Some((level, level_of(open)?)))
    }

    /// What follows the head of a part, whose body begins at byte `body`.
    fn begin_body(&mut self, head: &Head, body: usize) -> State {
        let part = head.part(self.text, body);
        if !part.content_type.starts_with("multipart/") {
            return State::Body(part);
        }
        let value = head.value(self.text, "content-type").unwrap_or_default();
        let boundary = parameter(&value, "boundary").map(|boundary| boundary.trim_end().to_owned());
        let boundary = boundary.filter(|boundary| !boundary.is_empty());
        let fault = match &boundary {
            None => Some((
                Code::MimeSyntax,
                "the multipart has no boundary, so cloud-init finds no parts in it".to_owned(),
            )),
            Some(boundary) if boundary.len() > BOUNDARY_BYTES_MAX => Some((
                Code::MimeSyntax,
                format!("the boundary is longer than {BOUNDARY_BYTES_MAX} bytes, which MIME does not allow"),
            )),
            _ if self.open.len() == DEPTH_MAX => {
                let message = format!(
                    "multiparts are nested in more than {DEPTH_MAX} levels; the inner ones are not checked"
                );
                Some((Code::Unchecked, message))
            }
            _ => None,
        };
        match (boundary, fault) {
            (_, Some((code, message))) => {
                push_bounded(self.findings, Finding::new(code, part.type_line, message));
            }
            (Some(boundary), None) => {
                self.open.push(Open { boundary, type_line: part.type_line, has_parts: false });
            }
            (None, None) => {}
        }
        State::Between
    }

    /// Ends a part before byte `at`; a body ends at `body_end`.
    fn end_part(&mut self, state: State, at: usize, body_end: usize) {
        let part = match state {
            State::Between => None,
            // A head without a body.
            State::Head(head) => match self.begin_body(&head, at) {
                State::Body(part) => Some(part),
                _ => None,
            },
            State::Body(part) => Some(part),
        };
        self.parts.extend(part.map(|part| {
            let end = body_end.max(part.body.start);
            Part { body: part.body.start..end, ..part }
        }));
    }

    /// Closes the multiparts from `level` on.
    fn close(&mut self, level: usize) {
        for Open { boundary, type_line, has_parts } in self.open.drain(level.min(self.open.len())..).rev() {
            if !has_parts {
                let message =
                    format!("no line is \"--{boundary}\", so cloud-init finds no parts in the multipart");
                push_bounded(self.findings, Finding::new(Code::MimeSyntax, type_line, message));
            }
        }
    }
}

/// The header lines of a part.
struct Head {
    start: usize,
    end: usize,
    /// The name of each field in lower case, and its lines.
    fields: Vec<(String, Range<usize>)>,
}

enum HeadLine {
    More,
    /// The head has ended, and the body begins at this byte.
    End {
        body: usize,
    },
}

impl Head {
    fn at(start: usize) -> Self {
        Self { start, end: start, fields: Vec::new() }
    }

    fn take(&mut self, line: &str, at: usize) -> HeadLine {
        let text = line.trim_end_matches(['\r', '\n']);
        if text.is_empty() {
            return HeadLine::End { body: at + line.len() };
        }
        if text.starts_with([' ', '\t']) {
            if let Some((_, lines)) = self.fields.last_mut() {
                lines.end = at + text.len();
            }
            self.end = at + text.len();
            return HeadLine::More;
        }
        let is_envelope = text.starts_with("From ") && self.fields.is_empty();
        let name = text.split_once(':').map(|(name, _)| name);
        let is_field = name.is_some_and(|name| name.bytes().all(|byte| matches!(byte, b'!'..=b'~')));
        // A line that is not a header is the first one of the body.
        if !is_field && !is_envelope {
            return HeadLine::End { body: at };
        }
        let name = name.filter(|_| is_field).unwrap_or_default();
        // Only these are asked for.
        if ["content-type", "content-transfer-encoding", "content-disposition"]
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known))
            && !self.fields.iter().any(|(known, _)| name.eq_ignore_ascii_case(known))
        {
            self.fields.push((name.to_ascii_lowercase(), at..at + text.len()));
        } else {
            // Where its further lines go.
            self.fields.retain(|(known, _)| !known.is_empty());
            self.fields.push((String::new(), at..at + text.len()));
        }
        self.end = at + text.len();
        HeadLine::More
    }

    fn lines(&self, name: &str) -> Option<Range<usize>> {
        self.fields.iter().find(|(known, _)| known == name).map(|(_, lines)| lines.clone())
    }

    /// The value of a field, on one line.
    fn value(&self, text: &str, name: &str) -> Option<String> {
        let lines = &text[self.lines(name)?];
        let value = lines.split_once(':').map_or("", |(_, value)| value);
        Some(value.lines().collect::<String>().trim().to_owned())
    }

    fn part(&self, text: &str, body: usize) -> Part {
        let first_line = |lines: Range<usize>| {
            let len = text[lines.clone()].lines().next().map_or(0, str::len);
            lines.start..lines.start + len
        };
        let head = self.start..self.end;
        let type_value = self.value(text, "content-type");
        let disposition = self.value(text, "content-disposition");
        let encoding = self.value(text, "content-transfer-encoding");
        let line_of = |name| first_line(self.lines(name).unwrap_or(head.clone()));
        let file_name = disposition
            .and_then(|value| parameter(&value, "filename"))
            .or_else(|| parameter(type_value.as_deref()?, "name"));
        Part {
            content_type: content_type(type_value.as_deref()),
            file_name,
            encoding: Encoding::of(encoding.as_deref().unwrap_or("7bit")),
            type_line: line_of("content-type"),
            encoding_line: line_of("content-transfer-encoding"),
            body: body..body,
        }
    }
}

/// The type in the value of a `Content-Type`, as Python's `get_content_type` gives it.
fn content_type(value: Option<&str>) -> String {
    let name = value.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    if name.matches('/').count() == 1 { name } else { "text/plain".to_owned() }
}

/// A parameter in the value of a field, such as `boundary`, without its quotes.
fn parameter(value: &str, name: &str) -> Option<String> {
    let mut rest = value;
    loop {
        rest = &rest[skip_parameter(rest)?..];
        let end = skip_parameter(rest).map_or(rest.len(), |behind| behind - 1);
        if let Some((key, value)) = rest[..end].split_once('=')
            && key.trim().eq_ignore_ascii_case(name)
        {
            return Some(unquoted(value.trim()).into_owned());
        }
    }
}

/// The byte after the next semicolon that is not within quotes.
fn skip_parameter(text: &str) -> Option<usize> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let at = text.bytes().position(|byte| {
        let ends = byte == b';' && !is_quoted;
        is_quoted ^= byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    });
    at.map(|at| at + 1)
}

fn unquoted(value: &str) -> Cow<'_, str> {
    let Some(inner) = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) else {
        return value.into();
    };
    inner.replace("\\\\", "\\").replace("\\\"", "\"").into()
}

/// The bytes of the line end that a text ends with.
fn line_end_bytes(text: &str) -> usize {
    if text.ends_with("\r\n") { 2 } else { usize::from(text.ends_with('\n')) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The type, file name and body of each part, and the messages of the findings.
    fn read(text: &str) -> (Vec<String>, Vec<String>) {
        let mut findings = Vec::new();
        let shown = |part: Part| format!("{} {:?} {:?}", part.content_type, part.file_name, &text[part.body]);
        let parts = parts(text, &mut findings).into_iter().map(shown).collect();
        (parts, findings.into_iter().map(|finding| finding.message).collect())
    }

    #[test]
    fn parts_are_found_as_python_finds_them() {
        let text = "MIME-Version: 1.0\nContent-Type: multipart/mixed;\n boundary=\"a b\"\n\npreamble\n--a b\n\
                    Content-Type: text/cloud-config\nContent-Disposition: attachment; filename=\"x;y\"\n\nbody\n\n\
                    --a b \nContent-Type: multipart/mixed; boundary=in\n\n--in\n\nplain\n--in--\nepilogue\n--in\n\
                    --a b\nContent-Type: nonsense\nno header\n--a b--\n";
        let parts = [
            "text/cloud-config Some(\"x;y\") \"body\\n\"",
            "text/plain None \"plain\"",
            "text/plain None \"no header\"",
        ];
        assert_eq!(read(text), (parts.map(str::to_owned).into(), vec![]));
        let crlf = text.replace('\n', "\r\n");
        assert_eq!(read(&crlf).0.len(), 3);
        assert_eq!(
            read("Content-Type: text/x-shellscript\n\n#!/bin/sh\n").0,
            ["text/x-shellscript None \"#!/bin/sh\\n\""]
        );
    }

    #[test]
    fn what_hides_parts_is_found() {
        let said = |text: &str| read(text).1;
        assert_eq!(
            said("Content-Type: multipart/mixed\n\n--x\n\na\n"),
            ["the multipart has no boundary, so cloud-init finds no parts in it"]
        );
        assert_eq!(
            said("Content-Type: multipart/mixed; boundary=x\n\n-- x\n\na\n"),
            ["no line is \"--x\", so cloud-init finds no parts in the multipart"]
        );
        let many =
            format!("Content-Type: multipart/mixed; boundary=x\n\n{}", "--x\n\na\n".repeat(PARTS_MAX + 5));
        let (found, said) = read(&many);
        assert_eq!((found.len(), said.len()), (PARTS_MAX, 1));
        let level =
            |level: usize| format!("Content-Type: multipart/mixed; boundary=b{level}\n\n--b{level}\n");
        let deep = (0..DEPTH_MAX + 3).map(level).collect::<Vec<_>>().concat();
        assert_eq!(read(&deep).1.len(), 1, "{:?}", read(&deep));
    }

    #[test]
    fn parameters_may_be_quoted() {
        let value = "multipart/mixed; charset=utf-8; x; boundary=\"a\\\"b;c\"; name=n";
        assert_eq!(parameter(value, "boundary").as_deref(), Some("a\"b;c"));
        assert_eq!(parameter(value, "NAME").as_deref(), Some("n"));
        assert_eq!(parameter(value, "none"), None);
    }
}
