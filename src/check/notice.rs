//! What is noticed about an image that is built all the same, in the one shape in which it is shown and printed.

use std::{fmt, sync::Arc};

use super::CheckedText;
use crate::{
    recipe::Warning,
    userdata::finding::{Code, Finding, Lines, Severity},
};

/// A warning about an image, or a finding about a text on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The kind of the finding. `None`: it is about the image or its recipe.
    pub code: Option<Code>,
    /// How serious it is.
    pub severity: Severity,
    /// The file that the finding is about.
    pub file: Option<String>,
    /// The path in the config tree or the mapping, or empty.
    pub path: Arc<str>,
    /// The line and the column, counted from 1. `None`: it is not about a place in a text.
    pub place: Option<[usize; 2]>,
    /// What is wrong: a sentence without a full stop.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Notice {
    /// What is found in a text. `file`: the name that is shown; `lines`: those of the text.
    #[must_use]
    pub fn of(finding: &Finding, file: &str, text: &CheckedText, lines: &Lines<'_>) -> Self {
        let position = (!text.text.is_empty()).then(|| lines.position(finding.span.start));
        Self {
            code: Some(finding.code),
            severity: finding.code.severity(),
            file: Some(file.to_owned()),
            path: Arc::clone(&finding.path),
            place: position.map(|position| [position.line, position.column]),
            message: finding.message.clone(),
            hint: finding.hint.clone(),
        }
    }
}

impl From<String> for Notice {
    fn from(message: String) -> Self {
        Self {
            code: None,
            severity: Severity::Warning,
            file: None,
            path: Arc::default(),
            place: None,
            message,
            hint: None,
        }
    }
}

impl From<Warning> for Notice {
    fn from(warning: Warning) -> Self {
        warning.text.into()
    }
}

/// On one line, without the hint.
impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            f.write_str(file)?;
            if let Some([line, column]) = self.place {
                write!(f, ":{line}:{column}")?;
            }
            f.write_str(": ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{:?}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        self.code.map_or(Ok(()), |code| write!(f, " [{}]", code.name()))
    }
}
