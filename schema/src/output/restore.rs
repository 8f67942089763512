//! What `backup restore --dry-run --json` prints.

use schemars::JsonSchema;
use serde::Serialize;

use crate::plan::RestoreStep;

/// Version of the document's format.
pub const FORMAT_VERSION: u32 = 1;

/// What a restore would do: one step as an object, several as a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum RestorePreview {
    /// One path is restored.
    One(Box<PreviewedStep>),
    /// Several paths are restored, one after the other.
    Several(Vec<PreviewedStep>),
}

/// What one step of a restore would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PreviewedStep {
    /// Format of this document.
    pub format_version: u32,
    /// The step of the plan.
    #[serde(flatten)]
    pub step: RestoreStep,
}

impl From<&[RestoreStep]> for RestorePreview {
    fn from(steps: &[RestoreStep]) -> Self {
        let preview = |step: &RestoreStep| PreviewedStep {
            format_version: FORMAT_VERSION,
            step: step.clone(),
        };
        match steps {
            [step] => Self::One(Box::new(preview(step))),
            steps => Self::Several(steps.iter().map(preview).collect()),
        }
    }
}
