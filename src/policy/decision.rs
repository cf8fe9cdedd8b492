//! What the answer of a policy in Rego means for a boot.
//!
//! A policy has rules called `allow`, `deny` and `sample`, in any package. A boot is denied when `deny` is not empty, when `allow`
//! is defined and not true, when the policy has none of the three rules, or when anything fails.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The files of a policy.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The name of each file, for errors, and its text.
    pub files: Vec<(String, String)>,
    /// Whether the policy may run programs.
    pub allow_exec: bool,
}

/// What a [`Worker`](super::process::Worker) is asked, as JSON.
#[derive(Serialize, Deserialize)]
pub(super) struct EvaluationRequest {
    pub(super) files: Vec<(String, String)>,
    pub(super) allow_exec: bool,
    pub(super) input: Value,
}

/// What it answers: the rules `allow`, `deny` and `sample` of all files, with their values.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct EvaluationResponse {
    pub(super) rules: Vec<(Rule, RuleResult)>,
    /// Why the policy as a whole cannot be evaluated.
    pub(super) error: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Rule {
    Allow,
    Deny,
    Sample,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RuleResult {
    Undefined,
    Value(Value),
    Error(String),
}

/// What a policy decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Why the boot is denied, one line each; empty if it is allowed.
    pub denials: Vec<String>,
    /// What failed. A failure denies the boot, too.
    pub error: Option<String>,
    /// The values of `deny`, `sample` and, if it is defined, `allow`.
    pub results: Value,
    /// Whether the policy asks for a line in the log.
    pub sample: bool,
}

impl Decision {
    /// Whether the boot is allowed.
    #[must_use]
    pub fn allows(&self) -> bool {
        self.denials.is_empty() && self.error.is_none()
    }

    pub(super) fn from_error(error: String) -> Self {
        let results = json!({ "deny": [], "sample": false });
        Self { denials: Vec::new(), error: Some(error), results, sample: false }
    }

    pub(super) fn from_response(response: EvaluationResponse) -> Self {
        let mut errors = Vec::from_iter(response.error);
        let (mut deny, mut allow, mut sample) = (Vec::new(), None, false);
        if response.rules.is_empty() && errors.is_empty() {
            errors.push("the policy defines none of the rules allow, deny and sample".to_owned());
        }
        for (rule, result) in response.rules {
            match (rule, result) {
                (_, RuleResult::Error(error)) => errors.push(error),
                (Rule::Allow, result) => {
                    let is_true = matches!(result, RuleResult::Value(Value::Bool(true)));
                    allow = Some(allow.unwrap_or(true) && is_true);
                }
                (Rule::Sample, result) => {
                    sample |= matches!(result, RuleResult::Value(Value::Bool(true)));
                }
                (Rule::Deny, RuleResult::Undefined) => {}
                (Rule::Deny, RuleResult::Value(value)) => match value {
                    Value::Bool(false) => {}
                    Value::Array(values) => deny.extend(values),
                    Value::Object(members) => deny.extend(members.into_iter().map(|(_, value)| value)),
                    value => deny.push(value),
                },
            }
        }
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            Value::Bool(true) => "deny is true".to_owned(),
            value => value.to_string(),
        };
        let mut denials: Vec<_> = deny.iter().map(text).collect();
        if allow == Some(false) {
            denials.push("allow is not true".to_owned());
        }
        let mut results = json!({ "deny": deny, "sample": sample });
        if let Some(allow) = allow {
            results["allow"] = allow.into();
        }
        let error = (!errors.is_empty()).then(|| errors.join("; "));
        Self { denials, error, results, sample }
    }
}

impl Policy {
    /// The text of all files.
    fn body(&self) -> String {
        self.files.iter().map(|(_, text)| text.as_str()).collect()
    }

    /// The line about a decision for the log: one line of JSON.
    ///
    /// `ts`: the current time in RFC 3339 format.
    #[must_use]
    pub fn sample_line(&self, decision: &Decision, input: &Value, run_id: &str, ts: &str) -> String {
        let outcome = if decision.allows() { "allow" } else { "deny" };
        let line = json!({
            "caller": concat!("policy.rs:", line!()),
            "level": "info",
            "msg": format!("Sample 0/INITIALIZATION/{run_id}/{outcome}"),
            "sample": {
                "body": self.body(),
                "input": input,
                "outcome": outcome,
                "results": decision.results,
                "error": decision.error.as_deref().unwrap_or_default(),
            },
            "ts": ts,
        });
        line.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decide(rules: Vec<(Rule, RuleResult)>) -> Decision {
        Decision::from_response(EvaluationResponse { rules, error: None })
    }

    #[test]
    fn what_is_not_clearly_allowed_is_denied() {
        use RuleResult::{Error, Undefined};
        let value = |value: Value| RuleResult::Value(value);
        for (rules, denials) in [
            (vec![(Rule::Deny, value(json!([])))], vec![]),
            (vec![(Rule::Deny, value(json!(["a", "b\nc"])))], vec!["a", "b\nc"]),
            (vec![(Rule::Deny, value(json!({"x": "a"})))], vec!["a"]),
            (vec![(Rule::Deny, value(json!(true)))], vec!["deny is true"]),
            (vec![(Rule::Deny, value(json!("no")))], vec!["no"]),
            (vec![(Rule::Deny, value(json!([{"a": 1}])))], vec!["{\"a\":1}"]),
            (vec![(Rule::Deny, value(json!(false)))], vec![]),
            (vec![(Rule::Deny, Undefined)], vec![]),
            (vec![(Rule::Allow, value(json!(true)))], vec![]),
            (vec![(Rule::Allow, value(json!(false)))], vec!["allow is not true"]),
            (vec![(Rule::Allow, value(json!("true")))], vec!["allow is not true"]),
            (vec![(Rule::Allow, value(json!([true])))], vec!["allow is not true"]),
            (vec![(Rule::Allow, Undefined)], vec!["allow is not true"]),
            (vec![(Rule::Allow, value(json!(true))), (Rule::Allow, Undefined)], vec!["allow is not true"]),
            (vec![(Rule::Allow, value(json!(true))), (Rule::Deny, value(json!(["a"])))], vec!["a"]),
            (vec![(Rule::Sample, value(json!(true)))], vec![]),
        ] {
            let text = format!("{rules:?}");
            let decision = decide(rules);
            assert_eq!(decision.denials, denials, "{text}");
            assert_eq!(decision.allows(), denials.is_empty(), "{text}");
        }
        assert_eq!(
            decide(vec![]).error.as_deref(),
            Some("the policy defines none of the rules allow, deny and sample")
        );
        let decision = decide(vec![(Rule::Allow, value(json!(true))), (Rule::Sample, Error("x".to_owned()))]);
        assert!(!decision.allows() && decision.error.as_deref() == Some("x"));
    }

    #[test]
    fn a_line_for_the_log_is_one_line_of_json() {
        let policy = Policy { files: vec![("p".to_owned(), "package p\n".to_owned())], allow_exec: false };
        let input = json!({ "a": "\u{1b}[2J\u{9b}\u{202e}ä\"" });
        let line =
            policy.sample_line(&Decision::from_error("x".to_owned()), &input, "r1", "2026-01-01T00:00:00Z");
        assert!(!line.contains('\n'), "{line}");
        let parsed: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(parsed["sample"]["input"], input);
        assert_eq!(parsed["msg"], "Sample 0/INITIALIZATION/r1/deny");
    }
}
