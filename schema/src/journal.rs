//! The journal's events and the report that is folded from them.

mod chain;

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    FailureCode, Gone, LeftOut, SnapshotId,
    config::DestinationName,
    digest::Digest,
    finding::Finding,
    inventory::Cost,
    plan::{Deletion, Part},
    record::SnapshotTotals,
};

pub use self::chain::ChainReport;
pub use crate::problem::{Problem, ProblemKind};

/// Version of the journal's format.
pub const FORMAT_VERSION: u32 = 1;

/// Version of the report's format.
pub const REPORT_FORMAT_VERSION: u32 = 1;

/// One record of a run's journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[expect(
    clippy::large_enum_variant,
    reason = "a run has a few dozen of them, and most are written at once"
)]
pub enum JournalEvent {
    /// The run began, or goes on after an interruption.
    RunStarted {
        /// The plan that it runs.
        plan: Digest,
        /// When.
        at: DateTime<FixedOffset>,
        /// Process id, for people.
        pid: u32,
    },
    /// A step is about to have its first effect.
    StepStarted {
        /// The step.
        step: String,
        /// When.
        at: DateTime<FixedOffset>,
    },
    /// A step had its last effect.
    StepFinished {
        /// The step.
        step: String,
        /// When.
        at: DateTime<FixedOffset>,
        /// How it ended.
        outcome: Outcome,
    },
    /// The run ended.
    RunEnded {
        /// When.
        at: DateTime<FixedOffset>,
        /// How.
        result: RunResult,
    },
    /// A part of the run is about to be done by a process of its own, which writes on in this
    /// journal.
    HandedOver {
        /// The part.
        part: Part,
        /// The named destination whose steps they are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        of: Option<DestinationName>,
        /// When.
        at: DateTime<FixedOffset>,
    },
    /// The run's process was ended from outside; what a run owes in any case is about to be done.
    Interrupted {
        /// When it was noticed.
        at: DateTime<FixedOffset>,
        /// How it was ended.
        because: String,
    },
    /// What an interrupted run owes was done.
    Settled {
        /// When.
        at: DateTime<FixedOffset>,
    },
    /// The run was given up; another takes its place.
    RunAbandoned {
        /// When.
        at: DateTime<FixedOffset>,
        /// Why.
        because: String,
        /// How often in a row it was interrupted in one and the same step, those included that it
        /// took the place of; zero where that is not to be counted on.
        #[serde(default, skip_serializing_if = "crate::is_zero")]
        interruptions: u64,
    },
}

/// How a step ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Outcome {
    /// In one word.
    pub status: Status,
    /// What happened, where it did not succeed and a code says why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<FailureCode>,
    /// In a sentence; empty where there is nothing to say.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The snapshot that the step sealed.
    pub sealed: Option<Sealed>,
    /// Paths that did not go as they should, the first thousand.
    pub problems: Vec<Problem>,
    /// Who was told, and how that went.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<NotifiedChannel>,
    /// Snapshots that were deleted, each with what no other one has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deleted: Vec<Deletion>,
    /// Why the manifest of the plan's basis cannot be read, where the step failed for that: it is
    /// planned anew with another basis, or with none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unusable_basis: Option<String>,
}

/// How telling one channel went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotifiedChannel {
    /// The key of the configuration, such as `notifications.ntfy`.
    pub option: String,
    /// Who it is, in a few words.
    pub whom: String,
    /// Whether it was told.
    pub ok: bool,
    /// What happened, in a sentence.
    pub message: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// How often it was tried.
    pub tries: u32,
}

impl Outcome {
    /// A success with a sentence about it.
    #[must_use]
    pub fn success(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            ..Self::default()
        }
    }

    /// Another end than success, with what to do about it.
    #[must_use]
    pub fn unsuccessful(
        status: Status,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Self {
        Self {
            status,
            message: message.into(),
            hint: Some(hint.into()),
            ..Self::default()
        }
    }
}

/// How a step ended, in one word.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// All of it was done.
    #[default]
    Succeeded,
    /// A step that it needs did not succeed.
    Skipped,
    /// It was done, but not all of it, or the result is suspect.
    Incomplete,
    /// It cannot be done now and is tried again later.
    Deferred,
    /// It was refused before anything changed.
    Refused,
    /// It failed.
    Failed,
}

impl Status {
    /// Whether steps that need this one may run.
    #[must_use]
    pub fn serves(self) -> bool {
        matches!(self, Self::Succeeded | Self::Incomplete)
    }

    /// How the step ended, in a word for people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Succeeded => "ok",
            Self::Skipped => "skipped",
            Self::Incomplete => "incomplete",
            Self::Deferred => "deferred",
            Self::Refused => "refused",
            Self::Failed => "FAILED",
        }
    }
}

/// A snapshot that a step sealed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Sealed {
    /// Its id.
    pub id: SnapshotId,
    /// False when it was sealed with listed errors.
    pub complete: bool,
    /// Why it is suspect; empty for a good one.
    pub suspect: Vec<String>,
    /// What it holds.
    pub totals: SnapshotTotals,
    /// What took most of what was to be copied.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub costs_most: Option<Cost>,
    /// What tags in folders of the sources left out; none where nothing was, or where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_out: Option<LeftOut>,
    /// What was gone from the sources since its basis; none where nothing was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gone: Option<Gone>,
}

/// How a run ended, in one word; scripts get it as `BACKUP_RESULT`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RunResult {
    /// Everything was done.
    Success,
    /// Done, but incomplete or suspect.
    Incomplete,
    /// A step failed.
    Failed,
    /// Refused; nothing changed.
    Refused,
    /// To be tried again later.
    Deferred,
    /// Ended by a signal; the next run continues it.
    Interrupted,
}

impl RunResult {
    /// The exit code of a program whose run ended so.
    #[must_use]
    pub const fn exit_code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::Incomplete => 3,
            Self::Refused => 4,
            // EX_TEMPFAIL of sysexits.h.
            Self::Deferred => 75,
            // As a shell says of SIGINT.
            Self::Interrupted => 130,
        }
    }

    /// The exit code of a unit whose run ended so. systemd reads 4 as a lack of permission; what it
    /// reads as unavailable is the code of a refusal here (EX_UNAVAILABLE of sysexits.h).
    #[must_use]
    pub const fn unit_exit_code(self) -> u8 {
        match self {
            Self::Refused => 69,
            other => other.exit_code(),
        }
    }

    /// What the exit code of a program says of its run; none where it says nothing of one. A run that
    /// a signal interrupted has that signal's code.
    #[must_use]
    pub fn of_exit_code(code: i32) -> Option<Self> {
        const SIGTERM: i32 = 128 + 15;
        [
            Self::Success,
            Self::Failed,
            Self::Incomplete,
            Self::Refused,
            Self::Deferred,
            Self::Interrupted,
        ]
        .into_iter()
        .find(|result| {
            [result.exit_code(), result.unit_exit_code()].contains(&u8::try_from(code).unwrap_or(2))
        })
        .or((code == SIGTERM).then_some(Self::Interrupted))
    }

    /// The word that scripts get.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Incomplete => "incomplete",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Deferred => "deferred",
            Self::Interrupted => "interrupted",
        }
    }
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Format of this file.
    pub format_version: u32,
    /// The run.
    pub run_id: String,
    /// The host.
    pub host: String,
    /// When the run first began.
    pub started_at: DateTime<FixedOffset>,
    /// When it ended.
    pub ended_at: DateTime<FixedOffset>,
    /// How it ended.
    pub result: RunResult,
    /// The part whose steps alone it had; none where it was a whole run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Part>,
    /// The destinations whose steps alone it had, where named ones are among them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only_of: Vec<DestinationName>,
    /// The snapshot that it sealed; at `local`, where there are several destinations.
    pub snapshot: Option<Sealed>,
    /// What the plan had noticed.
    pub findings: Vec<Finding>,
    /// How each step ended, in the order of the plan.
    pub steps: Vec<StepReport>,
    /// How it ended for each destination; empty for a run that has no named one.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub destinations: BTreeMap<DestinationName, ChainReport>,
}

/// How one step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StepReport {
    /// The step.
    pub step: String,
    /// When it started; none for a step that was skipped.
    pub started_at: Option<DateTime<FixedOffset>>,
    /// When it ended.
    pub ended_at: DateTime<FixedOffset>,
    /// How it ended.
    pub outcome: Outcome,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_code_says_how_the_run_ended() {
        for result in [
            RunResult::Success,
            RunResult::Failed,
            RunResult::Incomplete,
            RunResult::Refused,
            RunResult::Deferred,
            RunResult::Interrupted,
        ] {
            let code = i32::from(result.exit_code());
            assert_eq!(RunResult::of_exit_code(code), Some(result));
            let code = i32::from(result.unit_exit_code());
            assert_eq!(RunResult::of_exit_code(code), Some(result));
        }
        assert_eq!(RunResult::of_exit_code(143), Some(RunResult::Interrupted));
        assert_eq!(RunResult::of_exit_code(2), None);
        assert_eq!(RunResult::of_exit_code(260), None);
    }
}
