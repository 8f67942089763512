//! What `backup status --json` prints.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Finding, RunResult, SnapshotId,
    config::DestinationName,
    drill::{Drill, DrillVerdict},
    health::HealthVerdict,
    output::copies::Copies,
    verify::DamagedFile,
};

/// Version of the document's format.
pub const FORMAT_VERSION: u32 = 1;

/// Where things stand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BackupStatus {
    /// Format of this document.
    pub format_version: u32,
    /// In one word.
    pub verdict: StatusVerdict,
    /// In one line.
    pub summary: String,
    /// What ends what the summary says, in a sentence; none where all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// The host.
    pub host: String,
    /// The time that ages are counted from.
    pub now: DateTime<FixedOffset>,
    /// Where the snapshots are; none where local snapshots are not enabled.
    pub destination: Option<DestinationStatus>,
    /// The newest snapshot that counts; where local snapshots are not enabled, the newest copy in
    /// the cloud.
    pub last_good: Option<LastGoodSnapshot>,
    /// When the next run is due.
    pub next_run_at: Option<DateTime<FixedOffset>>,
    /// Whether the schedule is on and no timer starts it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub no_timer: bool,
    /// Since when a run is overdue.
    pub late_since: Option<DateTime<FixedOffset>>,
    /// Snapshots by the tier in which they appear; one may appear in several.
    pub by_tier: BTreeMap<String, u64>,
    /// All snapshots.
    pub snapshots: u64,
    /// Suspect snapshots that nobody has accepted.
    pub suspect: Vec<SuspectSnapshot>,
    /// Stored files that are known to be damaged.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<DamagedFile>,
    /// Snapshots whose record is damaged, as `tier/id`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged_records: Vec<String>,
    /// What the last health check found; none if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<LastHealthCheck>,
    /// What the last trial restore came to; none if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<LastDrill>,
    /// The newest copy in the cloud, as this machine remembers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<CloudStatus>,
    /// A run that was begun and not ended.
    pub unfinished: Option<UnfinishedRun>,
    /// The last run that ended.
    pub last_run: Option<LastRun>,
    /// What the last run, or the last ones of its parts, left undone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub troubles: Vec<String>,
    /// Whether a run holds the lock.
    pub running: bool,
    /// What was noticed.
    pub findings: Vec<Finding>,
    /// How many copies there are of each list of sources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<Copies>,
    /// How each of several destinations stands by itself; verdict, summary and remedy are of the whole.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub destinations: BTreeMap<DestinationName, Self>,
}

/// How things stand, in one word.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum StatusVerdict {
    /// All is well.
    Ok,
    /// A person should look.
    Warning,
    /// There is no good snapshot.
    NoBackup,
}

/// The destination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DestinationStatus {
    /// Where it is mounted.
    pub path: String,
    /// Whether its folder is there.
    pub present: bool,
    /// Whether something is mounted there.
    pub mounted: bool,
    /// Present, and mounted where the configuration asks for it.
    pub ready: bool,
    /// Whether it is one that this machine backs up to, or may become its first.
    pub is_ours: bool,
    /// The kind of file system.
    pub file_system: Option<String>,
    /// Free bytes that the program may use.
    pub free_bytes: u64,
    /// Size of the file system in bytes.
    pub total_bytes: u64,
    /// What it cannot hold, where that is less than a file system of Linux holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub lacks: Vec<String>,
}

impl DestinationStatus {
    /// Why it is not ready, in words.
    #[must_use]
    pub fn absence(&self) -> &'static str {
        if self.present {
            "not mounted"
        } else {
            "not there"
        }
    }
}

/// The newest snapshot that counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastGoodSnapshot {
    /// Its id.
    pub id: SnapshotId,
    /// Seconds since it was started.
    pub age_seconds: i64,
    /// False when it was sealed with listed errors.
    pub complete: bool,
}

/// A suspect snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SuspectSnapshot {
    /// Its id.
    pub id: SnapshotId,
    /// Why it is suspect.
    pub because: Vec<String>,
}

/// The newest copy in the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CloudStatus {
    /// The snapshot.
    pub id: SnapshotId,
    /// When it was there.
    pub uploaded_at: DateTime<FixedOffset>,
    /// Seconds since then.
    pub age_seconds: i64,
    /// Its regular files there.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Snapshots that can be restored from there.
    pub snapshots: u64,
}

/// What the last trial restore came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastDrill {
    /// When it ended.
    pub ended_at: DateTime<FixedOffset>,
    /// The snapshot that was restored.
    pub snapshot: SnapshotId,
    /// In one word.
    pub verdict: DrillVerdict,
    /// In one line.
    pub summary: String,
}

impl LastDrill {
    /// What is told of a drill.
    #[must_use]
    pub fn of(drill: &Drill) -> Self {
        Self {
            ended_at: drill.ended_at,
            snapshot: drill.snapshot.id,
            verdict: drill.verdict,
            summary: drill.summary.clone(),
        }
    }
}

/// What the last health check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastHealthCheck {
    /// When it was.
    pub checked_at: DateTime<FixedOffset>,
    /// In one word.
    pub verdict: HealthVerdict,
    /// In one line.
    pub summary: String,
    /// Whether the next one is overdue.
    pub overdue: bool,
    /// How many of its findings a later run disproved.
    #[serde(default, skip_serializing_if = "crate::is_zero")]
    pub disproved: u64,
}

/// A run that was begun and not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnfinishedRun {
    /// The run.
    pub run_id: String,
    /// The step that it was in, where that is known.
    pub step: Option<String>,
    /// How often in a row it was interrupted there.
    pub interruptions: u64,
}

/// The last run that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LastRun {
    /// The run.
    pub run_id: String,
    /// How it ended.
    pub result: RunResult,
    /// When it ended.
    pub ended_at: DateTime<FixedOffset>,
}
