//! The parts of a run: which steps a unit of its own may take over, with a log, a priority and a
//! sandbox of its own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Action, Plan, Step};

/// A part of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// What holds the run together: scripts and notifications.
    Coordinator,
    /// What works on the destination.
    Local,
    /// What talks to the cloud.
    Cloud,
}

impl Part {
    /// Its name, as users read it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Coordinator => "coordinator",
            Self::Local => "local",
            Self::Cloud => "cloud",
        }
    }
}

impl Action {
    /// The part of a run that does this.
    #[must_use]
    pub fn part(&self) -> Part {
        match self {
            Self::Announce(_)
            | Self::PreScript(_)
            | Self::PlanAgain
            | Self::PostScript(_)
            | Self::Notify(_) => Part::Coordinator,
            Self::DestinationCheck(_)
            | Self::SpaceCheck(_)
            | Self::Snapshot(_)
            | Self::Rotate(_)
            | Self::Delete(_)
            | Self::Restore(_)
            | Self::Mark(_)
            | Self::Repair(_)
            | Self::Adopt(_) => Part::Local,
            Self::CloudSync(_) => Part::Cloud,
        }
    }
}

impl Plan {
    /// The steps that a part does in one go, from the first one that is not `done`: its own that
    /// follow each other, up to the next one of another part.
    pub fn group(&self, part: Part, done: impl Fn(&Step) -> bool) -> &[Step] {
        let of_part = |step: &Step| step.action.part() == part;
        let first = self
            .steps
            .iter()
            .position(|step| of_part(step) && !done(step))
            .unwrap_or(self.steps.len());
        let rest = &self.steps[first..];
        let length = rest.iter().take_while(|step| of_part(step)).count();
        &rest[..length]
    }
}
