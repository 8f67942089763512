//! What `backup report --json` prints: how the backups of a machine went over a period, how they stand, and
//! what is to be expected.
//!
//! All that the page and the mail show stands here. Paths are of the machine, with what is not printable
//! escaped.

use chrono::{DateTime, FixedOffset};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    ExpireReason, Finding, KeepReason, RunResult, SnapshotId,
    config::DestinationName,
    drill::Drill,
    health::{Health, HealthVerdict, ReadBack, SpaceSample, VerifiedShare},
    journal::Status,
    output::{
        list::ListedSnapshot,
        status::{BackupStatus, CloudStatus},
    },
    plan::Part,
};

/// Version of the document's format.
pub const FORMAT_VERSION: u32 = 1;

/// How the backups of a machine went over a period, and how they stand.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PeriodReport {
    /// Format of this document.
    pub format_version: u32,
    /// The host.
    pub host: String,
    /// When it was made, which is the end of the period.
    pub made_at: DateTime<FixedOffset>,
    /// The program that made it, with its version.
    pub made_by: String,
    /// When the period began.
    pub since: DateTime<FixedOffset>,
    /// From when on runs and sizes are shown: earlier than `since` where that is known, so that a short period has
    /// something to be compared with; later where a long one began before anything is known.
    pub shown_from: DateTime<FixedOffset>,
    /// In one word, from all that is known.
    pub verdict: HealthVerdict,
    /// In one line.
    pub summary: String,
    /// What ends what the summary says; none where all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// What was noticed, the gravest first; of several destinations each with its name.
    pub findings: Vec<Finding>,
    /// How things stand, as `backup status` says it.
    pub status: BackupStatus,
    /// What a health check says that reads no stored data; none where this user may not make one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub health: Option<Health>,
    /// What could not be looked at, each in a sentence with what to do about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_told: Vec<String>,
    /// Each destination by itself.
    pub destinations: Vec<ReportedDestination>,
}

impl PeriodReport {
    /// How one of its destinations stands.
    #[must_use]
    pub fn status_of(&self, destination: &ReportedDestination) -> &BackupStatus {
        let name = destination.name.as_ref();
        name.and_then(|name| self.status.destinations.get(name))
            .unwrap_or(&self.status)
    }

    /// What a health check says of one of its destinations.
    #[must_use]
    pub fn health_of(&self, destination: &ReportedDestination) -> Option<&Health> {
        let health = self.health.as_ref()?;
        match &destination.name {
            Some(name) if !name.is_predefined() => health.destinations.get(name),
            _ => Some(health),
        }
    }
}

/// A destination over a period.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReportedDestination {
    /// Its name, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<DestinationName>,
    /// Where it is: a folder, or a remote as rclone names it.
    pub place: String,
    /// Runs that ended, the oldest first, as far as they are remembered.
    pub runs: Vec<ReportedRun>,
    /// Snapshots that were made, the oldest first: those that are held, and those that the remembered runs made.
    pub sizes: Vec<SizePoint>,
    /// The snapshots that are held, the newest first, each with when it goes.
    pub snapshots: Vec<ReportedSnapshot>,
    /// By which times of the calendar it is foretold when they go; none where that is not foretold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub foretold_by: Option<String>,
    /// The free room that runs found, the oldest first.
    pub room: Vec<SpaceSample>,
    /// Bytes that must stay free on it.
    pub reserve_bytes: u64,
    /// Which folders hold, grow and change most; none where no manifest could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folders: Option<FolderReport>,
    /// When content was last read back.
    pub read_back: ReadBack,
    /// What the last health check that read a share of what is stored came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share: Option<VerifiedShare>,
    /// The last trial restore.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill: Option<Drill>,
    /// Whether trial restores are made by themselves.
    #[serde(default, skip_serializing_if = "crate::is_no")]
    pub drills: bool,
    /// The copies in the cloud of this destination, where it has some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<ReportedCloud>,
}

/// The copies in the cloud.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReportedCloud {
    /// The remote, as rclone names it.
    pub remote: String,
    /// The newest copy; none if none is known.
    pub newest: Option<CloudStatus>,
}

/// A run that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReportedRun {
    /// Its name.
    pub run_id: String,
    /// When it began.
    pub started_at: DateTime<FixedOffset>,
    /// When it ended.
    pub ended_at: DateTime<FixedOffset>,
    /// How it ended.
    pub result: RunResult,
    /// The part whose steps alone it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub only: Option<Part>,
    /// What it left undone, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone: Option<String>,
    /// The snapshot that it made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotId>,
    /// Bytes that it copied.
    pub new_bytes: u64,
    /// Files that it copied.
    pub new_files: u64,
    /// Milliseconds that making the snapshot took; none where it made none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_millis: Option<u64>,
    /// How its copy to the cloud ended, where it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<Status>,
}

/// How much a snapshot held when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SizePoint {
    /// The snapshot.
    pub id: SnapshotId,
    /// When its run began.
    pub at: DateTime<FixedOffset>,
    /// Regular files.
    pub files: u64,
    /// Sum of their sizes.
    pub bytes: u64,
    /// Bytes that were copied for it.
    pub new_bytes: u64,
}

/// A snapshot that is held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReportedSnapshot {
    /// As `backup list` shows it.
    pub listed: ListedSnapshot,
    /// How long it stays; none where that is not foretold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stays: Option<Stay>,
}

/// How long a snapshot stays, if a backup is made whenever the schedule says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Stay {
    /// Until the run at this time lets it go.
    Until {
        /// When.
        at: DateTime<FixedOffset>,
        /// Why it goes then.
        because: ExpireReason,
    },
    /// Beyond all that is foretold.
    Beyond {
        /// How far that is.
        at: DateTime<FixedOffset>,
    },
    /// Until a person or a check says something else.
    Held {
        /// What holds it.
        because: KeepReason,
    },
}

/// Which folders hold, grow and change most.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FolderReport {
    /// The newest snapshot, whose sizes are told.
    pub newest: Option<SnapshotId>,
    /// The snapshot that growth is counted from; none where there is only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<SnapshotId>,
    /// How many snapshots were compared, each with the one before it.
    pub compared: u64,
    /// All of it.
    pub all: FolderArea,
    /// The largest folders, the largest first. What is in one is not counted in those around it, so that
    /// together they are all of it; the one without a path is what is in none of the others.
    pub largest: Vec<FolderArea>,
    /// The folders that grew or shrank most, those that grew most first, counted as above.
    pub growing: Vec<FolderArea>,
    /// The folders in which most was written, counted as above.
    pub changing: Vec<FolderArea>,
}

/// What is in a folder, and not in those of its folders that are told by themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FolderArea {
    /// Its path on the machine, escaped; empty for what is in no folder that is told.
    pub path: String,
    /// Bytes of regular files in the newest snapshot.
    pub bytes: u64,
    /// Regular files in the newest snapshot.
    pub files: u64,
    /// Bytes that it has more than at the beginning of the period; negative where it has less.
    pub grown_bytes: i64,
    /// New and changed files over the period; one that changed twice is counted twice.
    pub changed_files: u64,
    /// Their bytes.
    pub changed_bytes: u64,
}

impl FolderArea {
    /// The same with what another one has.
    pub fn add(&mut self, other: &Self) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.files = self.files.saturating_add(other.files);
        self.grown_bytes = self.grown_bytes.saturating_add(other.grown_bytes);
        self.changed_files = self.changed_files.saturating_add(other.changed_files);
        self.changed_bytes = self.changed_bytes.saturating_add(other.changed_bytes);
    }

    /// The same without what another one has.
    pub fn take(&mut self, other: &Self) {
        self.bytes = self.bytes.saturating_sub(other.bytes);
        self.files = self.files.saturating_sub(other.files);
        self.grown_bytes = self.grown_bytes.saturating_sub(other.grown_bytes);
        self.changed_files = self.changed_files.saturating_sub(other.changed_files);
        self.changed_bytes = self.changed_bytes.saturating_sub(other.changed_bytes);
    }
}
