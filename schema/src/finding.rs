//! Findings: what was noticed that a person should know, in a form that programs can sort.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::DestinationName;

/// How much a finding matters.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Worth knowing; changes nothing.
    Note,
    /// The run goes on, but is incomplete or suspect (exit code 3).
    Warning,
    /// The run is deferred: neither success nor failure (exit code 75).
    Deferral,
    /// The run is refused and nothing changes (exit code 4).
    Refusal,
    /// There is no backup to rely on, or soon will be none; of health checks (exit code 1).
    Error,
}

/// Something noticed: a stable code, a sentence, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// Stable kebab-case name of this kind of finding, such as `destination-not-mounted`.
    pub code: String,
    /// One lowercase sentence that names the path and the option.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Finding {
    /// A finding without a hint.
    #[must_use]
    pub fn new(severity: Severity, code: &str, message: impl Into<String>) -> Self {
        Self {
            severity,
            code: code.to_owned(),
            message: message.into(),
            hint: None,
        }
    }

    /// The same finding as it is told among those of other destinations.
    #[must_use]
    pub fn named(self, name: &DestinationName) -> Self {
        Self {
            message: format!("{name}: {}", self.message),
            ..self
        }
    }

    /// The same finding with what to do about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
