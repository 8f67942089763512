//! What verbs with `--json` write to stderr while they work, and why they failed: an object on each line.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Finding, RunResult, journal::Outcome, output::status::BackupStatus};

/// Version of the lines' format.
pub const FORMAT_VERSION: u32 = 1;

/// One line of progress.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ProgressLine<'a> {
    /// Format of this line.
    pub format_version: u32,
    /// What happened.
    #[serde(flatten)]
    pub event: ProgressEvent<'a>,
}

impl<'a> From<ProgressEvent<'a>> for ProgressLine<'a> {
    fn from(event: ProgressEvent<'a>) -> Self {
        Self {
            format_version: FORMAT_VERSION,
            event,
        }
    }
}

/// Something that happened during a run.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum ProgressEvent<'a> {
    /// The run began, or goes on after an interruption.
    RunStarted {
        /// Its name.
        run_id: &'a str,
        /// Whether an earlier process began it.
        continued: bool,
    },
    /// A step began.
    StepStarted {
        /// Its name.
        step: &'a str,
    },
    /// Work went on; a few times a second at most.
    Progress {
        /// What the work is.
        phase: Phase,
        /// Entries dealt with.
        entries: u64,
        /// Of how many, as far as is known; 0 if nothing is.
        entries_total: u64,
        /// Bytes dealt with.
        bytes: u64,
        /// Of how many, as far as is known; 0 if nothing is.
        bytes_total: u64,
        /// The file at hand, where that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        path: Option<&'a str>,
    },
    /// Something was noticed.
    Noticed {
        /// What.
        finding: &'a Finding,
    },
    /// A script printed a line.
    ScriptLine {
        /// The step.
        step: &'a str,
        /// The line.
        line: &'a str,
    },
    /// The verb ended with an error, which is the last line.
    Failed {
        /// What went wrong, in a sentence.
        message: &'a str,
        /// What to do about it.
        hint: Option<&'a str>,
        /// The exit code.
        exit_code: u8,
    },
    /// A step ended.
    StepFinished {
        /// Its name.
        step: &'a str,
        /// How it ended.
        outcome: &'a Outcome,
    },
    /// What a unit of a run is at, which is all that a user may know of it.
    Unit {
        /// The unit.
        unit: &'a str,
        /// What it says.
        says: &'a str,
    },
    /// A run that was watched ended.
    RunEnded {
        /// Its name; none where it ended before it had one.
        run_id: Option<&'a str>,
        /// How; none where it was killed, or not begun.
        result: Option<RunResult>,
    },
    /// How things stand, which is the last line of who watches.
    Status {
        /// As `backup status --json` prints it.
        status: &'a BackupStatus,
    },
}

/// What a long piece of work is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Reading the sources' metadata.
    #[default]
    Scan,
    /// rsync copying and linking.
    Rsync,
    /// Copying and linking.
    Copy,
    /// Waiting for the disk to have everything.
    Sync,
    /// Removing an old snapshot.
    Remove,
    /// Copying out of a snapshot.
    Restore,
    /// Comparing snapshots with their manifests.
    Verify,
    /// Copying to or from a remote.
    Cloud,
}
