//! A health check: what was measured for it, and what was made of that.
//!
//! `Measured` is what the inventory does not say: earlier runs, free space over time, what reading
//! a share found. `Health` is the result, kept as `health.json` in the state directory.

use std::collections::BTreeMap;

use chrono::{DateTime, FixedOffset};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Finding, Report, RunResult, Severity, SnapshotId,
    config::DestinationName,
    drill::Drill,
    journal::{Sealed, Status, StepReport},
    notified::FailedMail,
    plan::{Part, copies_away, only_tells},
};

pub use crate::record::LastGood;

/// Version of the result's format.
pub const FORMAT_VERSION: u32 = 1;

/// What a health check came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Health {
    /// Format of this document.
    pub format_version: u32,
    /// The host.
    pub host: String,
    /// When it was checked.
    pub checked_at: DateTime<FixedOffset>,
    /// In one word.
    pub verdict: HealthVerdict,
    /// The newest backup that counts, as far as it can be known now.
    pub last_good: Option<LastGood>,
    /// Room on the destination; none while it is away.
    pub space: Option<Space>,
    /// The share of the stored data that was read; none if none was.
    pub verified: Option<VerifiedShare>,
    /// The cloud copy, where there is to be one.
    pub cloud: Option<CloudCopy>,
    /// What was found, the gravest first.
    pub findings: Vec<Finding>,
    /// When people were told of what is still so; none if they were not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told_at: Option<DateTime<FixedOffset>>,
    /// What it came to for each named destination; the verdict is of the whole. Each is kept apart.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub destinations: BTreeMap<DestinationName, Self>,
}

impl Health {
    /// How many findings have this severity.
    #[must_use]
    pub fn count(&self, severity: Severity) -> u64 {
        let found = self.findings.iter();
        found.filter(|one| one.severity == severity).count() as u64
    }
}

/// What a health check came to, in one word.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum HealthVerdict {
    /// Nothing to do (exit code 0).
    Ok,
    /// A person should look (exit code 3).
    Warning,
    /// There is no backup to rely on, or soon will be none (exit code 1).
    Error,
}

impl HealthVerdict {
    /// The word, as users read it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// Room on the destination, and where it leads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Space {
    /// Free bytes that the program may use.
    pub free_bytes: u64,
    /// Size of the file system in bytes.
    pub total_bytes: u64,
    /// How it changes; none while too little is known.
    pub trend: Option<Trend>,
}

/// How the room on a destination changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Trend {
    /// Bytes that become fewer each day; negative where they become more.
    pub used_bytes_a_day: i64,
    /// Days until only `local.minSpaceGB` are free and runs are refused; none if that is not in
    /// sight.
    pub days_left: Option<u64>,
    /// The oldest snapshots go for each new one (`local.makeRoom`), so that there is no such day.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub oldest_make_room: bool,
    /// What that is computed from.
    pub basis: TrendBasis,
    /// Since when.
    pub since: DateTime<FixedOffset>,
}

/// What a trend is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum TrendBasis {
    /// The free space that runs found.
    FreeSpace {
        /// How many runs.
        runs: u64,
    },
    /// What snapshots stored first, as their records have it; deletions are not counted.
    Snapshots {
        /// How many snapshots.
        snapshots: u64,
    },
}

/// A share of the stored data that was read and compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifiedShare {
    /// Which part, from 1 on.
    pub part: u32,
    /// Of how many.
    pub of: u32,
    /// How many of these parts were read at one time or another.
    pub parts_read: u32,
    /// When the longest unread of them was read.
    pub oldest_at: DateTime<FixedOffset>,
    /// Files whose content was read.
    pub files_read: u64,
    /// Bytes that were read.
    pub bytes_read: u64,
    /// Damages that were found.
    pub damage_count: u64,
    /// The first of them, in a sentence.
    pub first_damage: Option<String>,
}

/// The copy in the cloud.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CloudCopy {
    /// When one was last brought there; none if the runs that are remembered brought none.
    pub copied_at: Option<DateTime<FixedOffset>>,
    /// Why the remote cannot be reached; none where it can or was not tried.
    pub unreachable: Option<String>,
}

/// What a health check measures besides the inventory.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Measured {
    /// Backups that ended, oldest first, as far as they are remembered.
    pub runs: Vec<EndedRun>,
    /// A run that was begun and not ended.
    pub unfinished: Option<UnfinishedRun>,
    /// Whether a run holds the lock.
    pub running: bool,
    /// The room that runs found on the destination that is there now, oldest first.
    pub space: Vec<SpaceSample>,
    /// Snapshots whose records stand on the destination although their trees do not.
    pub lost: Vec<SnapshotId>,
    /// The share that was read.
    pub verified: Option<VerifiedShare>,
    /// Why the destination cannot be read although it is there.
    pub destination_fault: Option<String>,
    /// Why the share could not be read.
    pub not_verified: Option<String>,
    /// Why the share, or the rest of it, is left to the next check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub put_off: Option<String>,
    /// rclone, where the cloud is enabled.
    pub rclone: Option<ToolFound>,
    /// Why the remote cannot be reached.
    pub cloud_unreachable: Option<String>,
    /// When what is stored was last read back.
    #[serde(skip_serializing_if = "ReadBack::is_never")]
    pub read_back: ReadBack,
    /// When health was last checked.
    pub last_check_at: Option<DateTime<FixedOffset>>,
    /// What the last drill came to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drill: Option<Drill>,
    /// Why the report that is to come by mail could not be sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report_unsent: Option<FailedMail>,
    /// Whether trial restores are made of the remote.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub drills_remote: bool,
}

/// When content was last read and compared, however much of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ReadBack {
    /// On the disk, or on any of those that take turns.
    pub disk_at: Option<DateTime<FixedOffset>>,
    /// On the remote.
    pub remote_at: Option<DateTime<FixedOffset>>,
}

impl ReadBack {
    fn is_never(&self) -> bool {
        *self == Self::default()
    }
}

/// A backup that ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndedRun {
    /// Its name.
    pub run_id: String,
    /// When it began.
    pub started_at: DateTime<FixedOffset>,
    /// When it ended.
    pub ended_at: DateTime<FixedOffset>,
    /// How.
    pub result: RunResult,
    /// The part whose steps alone it had; none where it was a whole run.
    #[serde(default)]
    pub only: Option<Part>,
    /// The good snapshot that it sealed.
    pub good: Option<LastGood>,
    /// What its first step that did not all of its work said, the snapshot's errors aside.
    #[serde(default)]
    pub undone: Option<String>,
    /// When its copy to the cloud succeeded.
    pub copied_at: Option<DateTime<FixedOffset>>,
    /// How its copy to the cloud ended, where it had one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cloud: Option<CloudEnded>,
    /// What was said of a notification that reached nobody.
    pub not_notified: Option<String>,
    /// What it noticed of the sources that holds until a person changes something; none for a run
    /// that did not look at them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<Vec<Finding>>,
}

/// How a copy to the cloud ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CloudEnded {
    /// In one word.
    pub status: Status,
    /// As it was told.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl EndedRun {
    /// What health needs of a report.
    #[must_use]
    pub fn of(report: &Report) -> Self {
        let step = |kind: &str| report.steps.iter().find(|done| done.step == kind);
        let copy = report.steps.iter().find(|done| copies_away(&done.step));
        let good = |sealed: &Sealed| {
            sealed.suspect.is_empty().then_some(LastGood {
                id: sealed.id,
                started_at: report.started_at,
                complete: sealed.complete,
            })
        };
        Self {
            run_id: report.run_id.clone(),
            started_at: report.started_at,
            ended_at: report.ended_at,
            result: report.result,
            only: report.only,
            good: report.snapshot.as_ref().and_then(good),
            undone: undone(report),
            copied_at: copy
                .filter(|done| done.outcome.status == Status::Succeeded)
                .map(|done| done.ended_at),
            cloud: copy.map(|done| CloudEnded {
                status: done.outcome.status,
                message: done.outcome.message.clone(),
                hint: done.outcome.hint.clone(),
            }),
            not_notified: step("notify")
                .filter(|done| done.outcome.status >= Status::Incomplete)
                .map(|done| done.outcome.message.clone()),
            standing: standing(report),
        }
    }
}

/// What the first step said that left something undone, or the finding that refused the run. Errors
/// of a snapshot that was sealed are in its record.
fn undone(report: &Report) -> Option<String> {
    let sealed = |done: &StepReport| done.step == "snapshot" && done.outcome.sealed.is_some();
    let mut steps = report.steps.iter().filter(|done| !only_tells(&done.step));
    steps
        .find(|done| {
            let status = done.outcome.status;
            // How the copy in the cloud is not whole is told of the copy.
            let copy = copies_away(&done.step) && status == Status::Incomplete;
            let told = sealed(done) || copy || done.outcome.message.is_empty();
            status >= Status::Incomplete && !told
        })
        .map(|done| done.outcome.message.clone())
        .or_else(|| {
            // What was noticed makes a run incomplete that sealed a good and complete snapshot.
            let good = report.snapshot.as_ref();
            let good = good.is_some_and(|one| one.complete && one.suspect.is_empty());
            let least = if good {
                Severity::Warning
            } else {
                Severity::Refusal
            };
            let mut findings = report.findings.iter();
            let found = findings.find(|finding| finding.severity >= least)?;
            Some(found.message.clone())
        })
}

/// Code of the finding that data of this machine is passed over, which holds until a person says
/// that it is meant.
pub const DATA_PASSED_OVER: &str = "data-passed-over";

/// What a run noticed of the sources that holds until a person changes something; none if it did not
/// look at them.
#[must_use]
pub fn standing(report: &Report) -> Option<Vec<Finding>> {
    let mut steps = report.steps.iter();
    let looked = steps.any(|done| done.step == "snapshot");
    let findings = report.findings.iter();
    let standing: Vec<Finding> = findings
        .filter(|finding| finding.code == DATA_PASSED_OVER)
        .cloned()
        .collect();
    (looked || !standing.is_empty()).then_some(standing)
}

/// A run that was begun and not ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UnfinishedRun {
    /// Its name.
    pub run_id: String,
    /// The step that it was in, where that is known.
    pub step: Option<String>,
    /// When it was planned.
    pub planned_at: DateTime<FixedOffset>,
    /// How often in a row it was interrupted there.
    #[serde(default)]
    pub interruptions: u64,
}

/// The room on a destination at one time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SpaceSample {
    /// When.
    pub at: DateTime<FixedOffset>,
    /// Free bytes.
    pub free_bytes: u64,
}

/// A program as it was found on the PATH.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolFound {
    /// What it says that it is, such as `1.75.2`; none where it cannot be run.
    pub version: Option<String>,
    /// Why no version is known.
    pub fault: Option<String>,
}
