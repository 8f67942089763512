//! The parts of a run: which steps a unit of its own may take over, with a log, a priority and a
//! sandbox of its own.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Action, Plan, Step};
use crate::config::DestinationName;

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

/// The steps that a unit of its own may take over: those of a part, or of a named destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// The part.
    pub part: Part,
    /// The named destination; none for `local` and `cloud`.
    pub of: Option<DestinationName>,
}

impl Share {
    /// What a part does of the run for `local` and `cloud`.
    #[must_use]
    pub fn of_part(part: Part) -> Self {
        Self { part, of: None }
    }

    /// Its name, as users read it.
    #[must_use]
    pub fn word(&self) -> &str {
        match &self.of {
            Some(name) => name.as_str(),
            None => self.part.word(),
        }
    }
}

impl Step {
    /// The share that it is in.
    #[must_use]
    pub fn share(&self) -> Share {
        Share {
            part: self.action.part(),
            of: self.of.clone(),
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
            Self::CloudSync(_) | Self::Upload(_) | Self::Expire(_) | Self::RemoteMark(_) => {
                Part::Cloud
            }
        }
    }
}

impl Plan {
    /// The steps that a unit does in one go, from the first one that is not `done`: those of its share that
    /// follow each other, up to the next one of another.
    pub fn group(&self, share: &Share, done: impl Fn(&Step) -> bool) -> &[Step] {
        let of_part = |step: &Step| step.share() == *share;
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
