//! What `backup adopt --dry-run --json` prints.

use schemars::JsonSchema;
use serde::Serialize;

use crate::plan::AdoptStep;

/// Version of the document's format.
pub const FORMAT_VERSION: u32 = 1;

/// What an adoption would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AdoptPreview {
    /// Format of this document.
    pub format_version: u32,
    /// The step of the plan.
    #[serde(flatten)]
    pub step: AdoptStep,
}

impl From<AdoptStep> for AdoptPreview {
    fn from(step: AdoptStep) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            step,
        }
    }
}
