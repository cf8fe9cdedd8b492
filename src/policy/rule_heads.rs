//! Finds rules that look like `allow`, `deny` or `sample` and are not evaluated as one of them.
//!
//! A rule that was meant to deny and is never evaluated would allow. The check reads the parsed modules that the engine evaluates,
//! not their text (regorus 0.14.1, `Engine::get_modules`). Only heads of rules count. Imports, local variables, comments and
//! strings may have these names.

use anyhow::{Result, bail};
use regorus::unstable::{Expr, Module, Rule, RuleHead, Span};

/// The rules that are evaluated.
const RULES: [&str; 3] = ["allow", "deny", "sample"];

/// Keywords of v1 that are names in v0, where `allow := x in y` is three rules, the first of which is `x`.
const KEYWORDS: [&str; 4] = ["contains", "every", "if", "in"];

/// Rejects a module if its package or one of its rules looks like one of the three rules and is not.
pub(super) fn check(module: &Module) -> Result<()> {
    let package = Reference::of(&module.package.refr);
    if let Some(rule) = package.looks_like() {
        bail!(
            "{}: the package {:?} is named like the rule {rule}, but its rules are not evaluated as that rule: rename the package",
            place(&module.package.span),
            package.text
        );
    }
    for rule in &module.policy {
        let head = ParsedHead::of(rule);
        if let (false, Some(name)) = (head.is_evaluated(), head.looks_like()) {
            bail!(
                "{}: {:?} looks like the rule {name}, but is not evaluated as that rule: write {name}, or rename it",
                place(rule.span()),
                head.text()
            );
        }
    }
    Ok(())
}

/// Whether v0 read a keyword of v1 as a rule.
pub(super) fn has_keyword(module: &Module) -> bool {
    module.policy.iter().any(|rule| {
        let head = ParsedHead::of(rule);
        KEYWORDS.iter().any(|keyword| head.reference.names.first().is_some_and(|name| name == keyword))
    })
}

fn place(span: &Span) -> String {
    format!("{}:{}:{}", span.source.get_path(), span.line, span.col)
}

/// A reference such as `a.b["c"][d]`.
struct Reference {
    /// The parts that are names or strings: `a`, `b` and `c`.
    names: Vec<String>,
    text: String,
}

impl Reference {
    fn of(reference: &Expr) -> Self {
        let mut parts = Vec::new();
        let mut rest = reference;
        loop {
            let (above, name, text) = match rest {
                Expr::RefDot { refr, field, .. } => {
                    (Some(refr), Some(field.0.text().to_owned()), format!(".{}", field.0.text()))
                }
                Expr::RefBrack { refr, index, .. } => {
                    let name = string(index);
                    let text = name
                        .as_ref()
                        .map_or_else(|| format!("[{}]", index.span().text()), |name| format!("[{name:?}]"));
                    (Some(refr), name, text)
                }
                other => {
                    let text = other.span().text().to_owned();
                    (None, Some(text.clone()), text)
                }
            };
            parts.push((name, text));
            match above {
                Some(above) => rest = above,
                None => break,
            }
        }
        parts.reverse();
        let text = parts.iter().map(|(_, text)| text.as_str()).collect();
        Self { names: parts.into_iter().filter_map(|(name, _)| name).collect(), text }
    }

    /// The rule that a reader could mistake it for.
    fn looks_like(&self) -> Option<&'static str> {
        self.names.iter().find_map(|name| looks_like(name))
    }
}

fn looks_like(name: &str) -> Option<&'static str> {
    RULES.into_iter().find(|rule| name.trim().eq_ignore_ascii_case(rule))
}

/// The text of a string.
fn string(expression: &Expr) -> Option<String> {
    match expression {
        Expr::String { value, .. } | Expr::RawString { value, .. } => {
            value.as_string().ok().map(ToString::to_string)
        }
        _ => None,
    }
}

/// The head of a rule.
struct ParsedHead<'a> {
    expression: &'a Expr,
    reference: Reference,
    /// Whether it has arguments, and so is a function.
    is_function: bool,
    /// The key of a set, if it is in brackets as in v0: `a["deny"] { … }`.
    key: Option<&'a Expr>,
}

impl<'a> ParsedHead<'a> {
    fn of(rule: &'a Rule) -> Self {
        let (expression, is_function, key) = match rule {
            Rule::Default { refr, args, .. } => (refr, !args.is_empty(), None),
            Rule::Spec { head: RuleHead::Func { refr, .. }, .. } => (refr, true, None),
            Rule::Spec { head: RuleHead::Compr { refr, .. }, .. } => (refr, false, None),
            Rule::Spec { head: RuleHead::Set { refr, key, .. }, .. } => {
                let key = key.as_ref().filter(|key| follows_bracket(refr, key));
                (refr, false, key.map(AsRef::as_ref))
            }
        };
        Self { expression, reference: Reference::of(expression), is_function, key }
    }

    /// Whether it is one of the three rules: `deny`, or `deny[x]` unless `x` is a string, which the engine treats as another
    /// rule.
    fn is_evaluated(&self) -> bool {
        let root = match self.expression {
            Expr::RefBrack { refr, index, .. } if string(index).is_none() => refr,
            other => other,
        };
        let is_one = matches!(root, Expr::Var { span, .. } if RULES.contains(&span.text()));
        is_one && !self.is_function
    }

    fn looks_like(&self) -> Option<&'static str> {
        let key = || looks_like(&string(self.key?)?);
        self.reference.looks_like().or_else(key)
    }

    fn text(&self) -> String {
        let key =
            self.key.map(|key| format!("[{}]", string(key).map_or(String::new(), |key| format!("{key:?}"))));
        let arguments = if self.is_function { "(…)" } else { "" };
        format!("{}{}{arguments}", self.reference.text, key.unwrap_or_default())
    }
}

/// Whether `key` follows `reference` in brackets, and not after `contains`.
fn follows_bracket(reference: &Expr, key: &Expr) -> bool {
    let (before, after) = (reference.span(), key.span());
    let between = before.end as usize..after.start as usize;
    before.source.get_contents().get(between).is_none_or(|text| text.starts_with('['))
}
