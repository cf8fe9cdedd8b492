//! Our schema as the crate `jsonschema` applies it.

use jsonschema::{Validator, error::ValidationErrorKind};
use serde_json::Value;

use super::Opinion;

pub(super) const SCHEMA: &str = include_str!("../../../src/userdata/cloud_config/schema.json");

pub(super) struct SecondOpinion {
    validator: Validator,
}

impl SecondOpinion {
    pub(super) fn new() -> Self {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
        Self { validator }
    }

    /// Top-level keys that are not known are warnings, and everything else is an error.
    pub(super) fn opinion(&self, value: &Value) -> Opinion {
        let mut opinion = Opinion::default();
        for error in self.validator.iter_errors(value) {
            let path = error.instance_path().to_string();
            let unknown = matches!(error.kind(), ValidationErrorKind::AdditionalProperties { .. });
            let finding = format!("{path}: {error}");
            if path.is_empty() && unknown {
                opinion.warnings.push(finding);
            } else {
                opinion.errors.push(finding);
            }
        }
        opinion
    }
}
