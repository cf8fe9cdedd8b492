//! What `metadata check` says of a document, and a second opinion on its schema.

use jsonschema::Validator;
use metadata_image::{
    check::{Subject, check},
    datasource::layout::Layout,
    userdata::finding::{Code, Severity},
};
use serde_json::Value;

use super::documents::NETWORK_CONFIG;

pub(super) const SCHEMA: &str = include_str!("../../../src/userdata/cloud_config/schema.json");

/// What a document that does not fit the schema may be told.
const BY_SCHEMA: &[Code] = &[
    Code::UnknownKey,
    Code::UnexpectedKey,
    Code::MissingKey,
    Code::ExclusiveKeys,
    Code::ValueType,
    Code::BadValue,
    Code::Unquoted,
];

/// Errors that stay where cloud-init's schema accepts a network configuration: the code, a part of the path, and why.
const EXCEPTIONS: &[(Code, &str, &str)] = &[
    (Code::BadAddress, "", "no schema looks at addresses"),
    (Code::BadMac, "", "no schema looks at hardware addresses"),
    (Code::UnknownName, "", "no schema looks at names"),
    (Code::DuplicateName, "", "no schema looks at names"),
    (Code::UnexpectedKey, "ethernets.", "netplan refuses keys that it does not know"),
    (Code::UnexpectedKey, "bonds.", "netplan refuses keys that it does not know"),
    (Code::UnexpectedKey, "bridges.", "netplan refuses keys that it does not know"),
    (Code::UnexpectedKey, "vlans.", "netplan refuses keys that it does not know"),
    (Code::MissingKey, "vlans.", "netplan requires \"id\" and \"link\""),
    (Code::MissingKey, ".set-name", "netplan requires \"match\" beside it"),
    (Code::ValueType, ".accept-ra", "netplan requires a boolean"),
    (Code::ValueType, ".macaddress", "netplan requires a string"),
    (
        Code::MissingKey,
        "config[",
        "cloud-init requires the keys of a bond, and \"type\" of a subnet, when it runs",
    ),
    (Code::ValueType, ".params", "cloud-init requires a mapping when it runs"),
];

/// A finding about a document.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) code: Code,
    pub(super) path: String,
    pub(super) message: String,
}

/// The findings about one document.
#[derive(Debug)]
pub(super) struct Opinion {
    pub(super) findings: Vec<Found>,
}

impl Opinion {
    /// What the library finds. Each finding is about something in the text.
    pub(super) fn of(text: &str) -> Self {
        let subject = if text.starts_with(NETWORK_CONFIG) {
            Subject::NetworkConfig
        } else {
            Subject::UserData(Some(Layout::NoCloud))
        };
        let checked = check(text.as_bytes(), subject, None);
        let findings = checked.findings.into_iter().map(|finding| {
            assert!(checked.text.get(finding.span.clone()).is_some(), "{finding:?} about\n{text}");
            Found { code: finding.code, path: finding.path.to_string(), message: finding.message }
        });
        Self { findings: findings.collect() }
    }

    /// Whether there are errors that cloud-init's schema should know of.
    pub(super) fn has_errors(&self) -> bool {
        self.findings.iter().any(|found| {
            // cloud-init's schema accepts anything with a key "type", and then ignores what has no version.
            if found.code == Code::MissingKey && matches!(&*found.path, "" | "network") {
                return false;
            }
            let excused =
                |(code, part, _): &(Code, &str, &str)| found.code == *code && found.path.contains(part);
            found.code.severity() == Severity::Error && !EXCEPTIONS.iter().any(excused)
        })
    }

    /// Whether the document does not fit the schema.
    pub(super) fn rejects(&self) -> bool {
        self.findings.iter().any(|found| BY_SCHEMA.contains(&found.code))
    }
}

impl std::fmt::Display for Found {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}: {}", self.path, self.code.name(), self.message)
    }
}

/// Our schema as the crate `jsonschema` applies it.
pub(super) struct SecondOpinion {
    validator: Validator,
}

impl SecondOpinion {
    pub(super) fn new() -> Self {
        let schema: Value = serde_json::from_str(SCHEMA).unwrap();
        let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
        Self { validator }
    }

    pub(super) fn is_valid(&self, value: &Value) -> bool {
        self.validator.is_valid(value)
    }
}
