//! cloud-config that is a template (`## template: jinja`). What an expression becomes is not known; the rest is judged.

use super::config;
use crate::userdata::{
    finding::{Code, Finding, Severity},
    schema::Rules,
    yaml::check_mapping,
};

/// Stands for an expression. Text has no such character of its own.
const MARK: char = '\u{e000}';

/// Checks a template of a cloud-config.
pub(super) fn check(text: &str, rules: &Rules, findings: &mut Vec<Finding>) {
    let masked = masked(text);
    let before = findings.len();
    let tree = check_mapping(&masked, "cloud-config", findings);
    let is_wrong = findings[before..].iter().any(|it| it.code.severity() == Severity::Error);
    // What a statement, or an expression on a line of its own, makes of the text may be right.
    // The blanks in place of a comment may be an indentation that the text does not have.
    let is_open = masked.contains("{%")
        || text.contains("{#")
        || has_lines_of_expressions(&masked)
        || has_written_line_ends(text);
    if (is_wrong || tree.is_none()) && is_open {
        findings.truncate(before);
        return;
    }
    // Both branches of a condition may have a key.
    if masked.contains("{%") {
        let mut place = 0;
        findings.retain(|finding| {
            place += 1;
            place <= before || finding.code != Code::DuplicateKey
        });
    }
    if let Some(mut tree) = tree {
        tree.forget(|text| text.contains(MARK) || text.contains("{%"));
        config::check_tree(&tree, rules, findings);
    }
}

/// The text with comments blanked and every expression replaced by a mark, in the same length.
fn masked(text: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    // Behind the last end, none is looked for again.
    let [last_expression, last_comment] = ["}}", "#}"].map(|end| text.rfind(end).unwrap_or(0));
    while let Some(at) = rest.find('{') {
        let start = text.len() - rest.len() + at;
        let end_of = |end: &str| rest[at + 2..].find(end).map(|found| at + 2 + found + 2);
        let is_comment = rest[at..].starts_with("{#");
        let end = if is_comment && start < last_comment {
            end_of("#}")
        } else if rest[at..].starts_with("{{") && start < last_expression {
            end_of("}}")
        } else {
            None
        };
        masked.push_str(&rest[..at]);
        let Some(end) = end else {
            masked.push('{');
            rest = &rest[at + 1..];
            continue;
        };
        if is_comment {
            masked.extend(rest[at..end].bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        } else {
            masked.push(MARK);
            masked.extend(std::iter::repeat_n('x', end - at - MARK.len_utf8()));
        }
        rest = &rest[end..];
    }
    masked + rest
}

/// Whether a line has an expression only.
fn has_lines_of_expressions(masked: &str) -> bool {
    masked
        .lines()
        .any(|line| line.trim().strip_prefix(MARK).is_some_and(|rest| rest.bytes().all(|byte| byte == b'x')))
}

/// Whether an expression contains the escape of a line end, so that it may become several lines.
fn has_written_line_ends(text: &str) -> bool {
    let mut behind = text.split("{{").skip(1);
    behind.any(|text| text.split("}}").next().is_some_and(|expression| expression.contains("\\n")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(body: &str) -> Vec<&'static str> {
        let mut findings = Vec::new();
        let text = format!("## template: jinja\n#cloud-config\n{body}");
        check(&text, &Rules::default(), &mut findings);
        findings.iter().map(|finding| finding.code.name()).collect()
    }

    #[test]
    fn what_an_expression_becomes_is_not_judged_and_the_rest_is() {
        for body in [
            "hostname: {{ v1.x }}\npackages: {{ list }}\n",
            "{{ key }}: 1\nruncmd: ['{{ a }}', \"{{ b }}\", c {{ d }} e]\n",
            "{% if x %}\nhostname: a\n{% else %}\nhostname: b\n{% endif %}\n",
            "{{ macro() }}\nhostname: a\n",
            "{# hostname: [ #}\nhostname: é{{ x }}\n",
            "write_files:\n- path: /x\n  content: |\n    {% if x %}\n    a: b\n    {% endif %}\n",
        ] {
            assert_eq!(codes(body), [""; 0], "{body}");
        }
        assert_eq!(codes("hostname: a{{ \"\\n\" }}locale: c\n"), [""; 0]);
        assert_eq!(codes("hostname: a{{ b }}locale: c\n"), ["yaml-syntax"]);
        assert_eq!(codes("hostname: {{ v1.x }}\npackages: 1\n"), ["value-type"]);
        assert_eq!(codes("a{{ x }}: 1\npackage: [x]\n"), ["unknown-key"]);
        assert_eq!(codes("hostname: [{{ x }}\n"), ["yaml-syntax"]);
        assert_eq!(codes("hostname: {{ x\n"), ["yaml-syntax"]);
    }

    #[test]
    fn a_masked_text_has_the_same_length() {
        for text in ["", "{", "{{", "{{}}", "{{ é }}{#é\n#}", "a{{b}}c{%d%}{{{e}}}", "{#", "é{é"] {
            assert_eq!(masked(text).len(), text.len(), "{text}");
        }
    }
}
