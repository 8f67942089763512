//! A drill: a trial restore, what it is to do and what it came to.
//!
//! `DrillPlan` says what is shown in the room, and what is run there: the room's process gets it and decides
//! nothing. `Drill` is the result, kept as `drill.json` in the state directory.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Digest, SnapshotId, Tier};

/// Version of the result's format.
pub const FORMAT_VERSION: u32 = 1;
/// How many damages a result lists.
pub const MOST_DAMAGES: usize = 20;
/// How much of what a check says is kept, in bytes; its end counts.
pub const MOST_OUTPUT: usize = 4096;

/// What a drill is to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DrillPlan {
    /// Format of this document.
    pub format_version: u32,
    /// The host.
    pub host: String,
    /// When it was planned.
    pub planned_at: DateTime<FixedOffset>,
    /// The snapshot that is restored.
    pub snapshot: DrilledSnapshot,
    /// The remote that a sample of it is brought from, as rclone names it; none for a disk, of which all stands in
    /// a room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// Newer snapshots that are not good, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<PassedOver>,
    /// What the room shows, each folder before what is in it.
    pub mounts: Vec<RoomMount>,
    /// What is run in it, in this order; services each in a container of its own.
    pub checks: Vec<PlannedCheck>,
    /// What services are started in; none where no check is one, or there can be none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<DrillContainer>,
    /// How long each check, and reading the sample, may take, in seconds.
    pub check_seconds: u64,
}

/// The snapshot of a drill.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DrilledSnapshot {
    /// Its id.
    pub id: SnapshotId,
    /// The tier whose folder holds it.
    pub home: Tier,
    /// When it was started.
    pub started_at: DateTime<FixedOffset>,
    /// False when it was sealed with listed errors.
    pub complete: bool,
}

/// A snapshot that a drill does without.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PassedOver {
    /// Its id, or the name of its folder.
    pub id: String,
    /// Why.
    pub because: String,
}

/// What stands at a path in the room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoomMount {
    /// The path in the room.
    pub at: String,
    /// What stands there.
    pub shows: Shown,
}

/// What a path of the room shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind", deny_unknown_fields)]
pub enum Shown {
    /// What the snapshot holds at this path, without a leading slash; what is written there is thrown away.
    Restored {
        /// The path in the snapshot; empty for all of it.
        path: String,
    },
    /// What this machine has at this path, read-only.
    Machine {
        /// The path on the machine.
        path: String,
    },
    /// The machine's folders at this path and in it, two deep, with their owners and modes and without what is
    /// in them.
    Outline {
        /// The path on the machine.
        path: String,
    },
    /// A symbolic link, as the machine has it.
    Link {
        /// Where it leads.
        target: String,
    },
    /// Nothing, whatever the machine has there.
    Hidden,
    /// An empty folder that anybody may write to.
    Temporary,
    /// An empty folder.
    Folder,
    /// The devices that hold nothing, such as `null` and `urandom`.
    Devices,
    /// The processes of the room.
    Processes,
}

/// A check that is run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedCheck {
    /// As it is configured.
    pub check: String,
    /// Where its program stands in the room; none for a service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// The unit that must start; none for a program.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Why it is not run; none where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
}

/// The container that a service is started in: its own systemd, in a room like the other one. What is written in
/// it is thrown away, also where it shows what is the machine's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DrillContainer {
    /// The machine's systemd-nspawn, which makes it.
    pub nspawn: String,
    /// Its first process, by the path that it has there.
    pub init: String,
    /// What `/run/current-system` leads to on NixOS, and in the container.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system: Option<String>,
    /// Its host name.
    pub host_name: String,
    /// What it shows, each folder before what is in it.
    pub mounts: Vec<RoomMount>,
}

/// A file that is read in the room, and what it must be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SampleFile {
    /// The path in the room without its leading slash, escaped.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Digest of the content.
    pub digest: Digest,
}

/// What a drill came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Drill {
    /// Format of this document.
    pub format_version: u32,
    /// The host.
    pub host: String,
    /// When it began.
    pub started_at: DateTime<FixedOffset>,
    /// When it ended.
    pub ended_at: DateTime<FixedOffset>,
    /// In one word.
    pub verdict: DrillVerdict,
    /// In one line.
    pub summary: String,
    /// The snapshot that was restored.
    pub snapshot: DrilledSnapshot,
    /// The remote that a sample of it was brought from, as rclone names it; none for a disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    /// Newer snapshots that are not good, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<PassedOver>,
    /// Milliseconds until all of the snapshot stood at its paths; none if it never did.
    pub ready_millis: Option<u64>,
    /// Paths at which nothing could be written in the room, because the file system of the destination cannot
    /// be the lower layer of an overlay.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read_only: Vec<String>,
    /// What was read and compared with the manifest; none if nothing was.
    pub sample: Option<SampleRead>,
    /// The checks, in their order.
    pub checks: Vec<CheckResult>,
    /// What kept the drill from being done, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Drill {
    /// How long it took, in milliseconds.
    #[must_use]
    pub fn millis(&self) -> u64 {
        let took = (self.ended_at - self.started_at).num_milliseconds();
        u64::try_from(took).unwrap_or(0)
    }
}

/// What a drill came to, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DrillVerdict {
    /// All that was read and run is as it should be (exit code 0).
    Passed,
    /// Something is not (exit code 1).
    Failed,
}

impl DrillVerdict {
    /// The word, as users read it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
        }
    }
}

/// Files that were read in the room and compared with the manifest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SampleRead {
    /// Files that were read.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Regular files of the snapshot.
    pub of_files: u64,
    /// Milliseconds that it took.
    pub millis: u64,
    /// Files that were to be read and were not, because the time was over.
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    pub left_out: u64,
    /// How many are not what the manifest says.
    pub damage_count: u64,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damage: Vec<SampleDamage>,
}

/// A file that is not what the manifest says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SampleDamage {
    /// Its path on the machine, escaped.
    pub path: String,
    /// What is wrong, as the end of a sentence about it.
    pub message: String,
}

/// How a check ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckResult {
    /// As it is configured.
    pub check: String,
    /// In one word.
    pub status: CheckStatus,
    /// Milliseconds that it took.
    pub millis: u64,
    /// How it ended, as the end of a sentence about it.
    pub message: String,
    /// The end of what it said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub output: String,
}

/// How a check ended, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CheckStatus {
    /// With exit code 0; the service runs.
    Passed,
    /// With another exit code, or by a signal; the service does not.
    Failed,
    /// It was ended because its time was over.
    TimedOut,
    /// It could not be started, or was not because others could change it.
    NotRun,
}

impl CheckStatus {
    /// The word, as users read it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::TimedOut => "timed out",
            Self::NotRun => "not run",
        }
    }
}

/// What happened in the room.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoomOutcome {
    /// Milliseconds until all of the snapshot stood at its paths; none if it never did.
    pub ready_millis: Option<u64>,
    /// Paths at which nothing could be written.
    pub read_only: Vec<String>,
    /// What was read; none if nothing was.
    pub sample: Option<SampleRead>,
    /// The checks that ended, by their place in the plan.
    pub checks: BTreeMap<usize, CheckResult>,
    /// What kept the drill from being done, in a sentence.
    pub fault: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
}
